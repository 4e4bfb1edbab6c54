//! Java's regular expressions, as far as the models use them.

use std::sync::OnceLock;

/// Deeper nesting is no pattern of a model.
const MAX_DEPTH: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Empty,
    Set(Set),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat {
        inside: Box<Node>,
        least: usize,
        most: Option<usize>,
    },
    /// A group that is numbered, for what refers back to it.
    Group(Box<Node>),
    /// `(?=`, `(?!`, `(?<=`, `(?<!`: as it is written for the engine, up to the colon's place.
    Look {
        open: &'static str,
        inside: Box<Node>,
    },
    /// `^`, `$`, `\b`, `\A`, `\z`: no character.
    Edge(&'static str),
    Back(usize),
}

/// A class of characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    pub negated: bool,
    pub ranges: Vec<(char, char)>,
    /// Unicode properties by name, and whether they are negated.
    pub properties: Vec<(String, bool)>,
    /// A negated class inside of a class, such as `[\S\n]`.
    pub inner: Vec<Set>,
    /// The characters that texts are made of, found out with the first one.
    pub chosen: OnceLock<Vec<char>>,
}

impl Set {
    fn of(ranges: &[(char, char)]) -> Self {
        Set { ranges: ranges.to_vec(), ..Set::default() }
    }

    fn negation(self) -> Self {
        Set { negated: !self.negated, ..self }
    }
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORDS: &[(char, char)] = &[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
const SPACES: &[(char, char)] = &[(' ', ' '), ('\t', '\r')];

pub fn parse(pattern: &str) -> Option<Node> {
    let mut parser = Parser { rest: pattern, depth: 0 };
    let node = parser.choice()?;
    parser.rest.is_empty().then_some(node)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let first = self.peek()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest.strip_prefix(text);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn choice(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut branches = vec![self.sequence()?];
        while self.skip("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        if branches.len() == 1 { branches.pop() } else { Some(Node::Choice(branches)) }
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        while let Some(next) = self.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        match parts.len() {
            0 => Some(Node::Empty),
            1 => parts.pop(),
            _ => Some(Node::Sequence(parts)),
        }
    }

    fn repeated(&mut self, mut node: Node) -> Option<Node> {
        loop {
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => match self.count() {
                    Some(count) => {
                        node = repeat(node, count);
                        self.skip("?");
                        continue;
                    }
                    // A brace that counts nothing stands for itself, and is read as an atom.
                    None => return Some(node),
                },
                _ => return Some(node),
            };
            self.take();
            // Lazy and possessive forms match the same texts here.
            let _ = self.skip("?") || self.skip("+");
            node = repeat(node, (least, most));
        }
    }

    fn count(&mut self) -> Option<(usize, Option<usize>)> {
        let (inside, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        let (least, most) = match inside.split_once(',') {
            None => (inside.trim().parse().ok()?, Some(inside.trim().parse().ok()?)),
            Some((least, "")) => (least.trim().parse().ok()?, None),
            Some((least, most)) => (least.trim().parse().ok()?, Some(most.trim().parse().ok()?)),
        };
        self.rest = rest;
        Some((least, most))
    }

    fn atom(&mut self) -> Option<Node> {
        match self.take()? {
            '(' => self.group(),
            '[' => self.class().map(Node::Set),
            '.' => Some(Node::Set(Set::of(&[('\n', '\n'), ('\r', '\r')]).negation())),
            '^' => Some(Node::Edge("\\A")),
            '$' => Some(Node::Edge("\\z")),
            '\\' => self.escape(),
            other => Some(single(other)),
        }
    }

    fn group(&mut self) -> Option<Node> {
        let looks = [("?=", "?="), ("?!", "?!"), ("?<=", "?<="), ("?<!", "?<!")];
        let look = looks.iter().find(|(text, _)| self.skip(text));
        let is_plain = look.is_none() && (self.skip("?:") || self.flags());
        if look.is_none() && self.rest.starts_with("?<") {
            self.rest = self.rest.split_once('>')?.1;
        }
        let inside = Box::new(self.choice()?);
        if !self.skip(")") {
            return None;
        }
        Some(match look {
            Some((_, open)) => Node::Look { open, inside },
            None if is_plain => *inside,
            None => Node::Group(inside),
        })
    }

    /// `(?i)` and `(?s:`: texts are generated as if they were not there, and still match.
    fn flags(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix('?') else { return false };
        let flags = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-').len();
        let rest = &rest[flags..];
        if rest.starts_with(')') && flags > 0 {
            self.rest = rest;
            return true;
        }
        if flags > 0 && rest.starts_with(':') {
            self.rest = &rest[1..];
            return true;
        }
        false
    }

    fn escape(&mut self) -> Option<Node> {
        let next = self.peek()?;
        let edge = match next {
            'b' => Some("\\b"),
            'B' => Some("\\B"),
            'A' => Some("\\A"),
            'z' | 'Z' => Some("\\z"),
            _ => None,
        };
        if let Some(edge) = edge {
            self.take();
            return Some(Node::Edge(edge));
        }
        if next.is_ascii_digit() && next != '0' {
            let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = self.rest[..digits].parse().ok()?;
            self.rest = &self.rest[digits..];
            return Some(Node::Back(number));
        }
        if self.skip("Q") {
            let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            let node = Node::Sequence(quoted.chars().map(single).collect());
            self.rest = rest;
            return Some(node);
        }
        self.escaped().map(Node::Set)
    }

    /// What follows a backslash, as a class.
    fn escaped(&mut self) -> Option<Set> {
        Some(match self.take()? {
            'd' => Set::of(DIGITS),
            'D' => Set::of(DIGITS).negation(),
            'w' => Set::of(WORDS),
            'W' => Set::of(WORDS).negation(),
            's' => Set::of(SPACES),
            'S' => Set::of(SPACES).negation(),
            'h' => Set::of(&[(' ', ' '), ('\t', '\t')]),
            'n' => one('\n'),
            'r' => one('\r'),
            't' => one('\t'),
            'f' => one('\x0c'),
            'v' => one('\x0b'),
            'u' => one(self.unicode()?),
            'x' => {
                let hex = self.rest.get(..2)?;
                let code = u32::from_str_radix(hex, 16).ok()?;
                self.rest = &self.rest[2..];
                one(char::from_u32(code)?)
            }
            letter @ ('p' | 'P') => {
                let name = if self.skip("{") {
                    let (name, rest) = self.rest.split_once('}')?;
                    self.rest = rest;
                    name.to_owned()
                } else {
                    self.take()?.to_string()
                };
                property(&name, letter == 'P')
            }
            other => one(other),
        })
    }

    /// `\u0041`; the halves of a pair of surrogates together, and a lone half as the nearest character there is.
    fn unicode(&mut self) -> Option<char> {
        let code = u32::from_str_radix(self.rest.get(..4)?, 16).ok()?;
        self.rest = &self.rest[4..];
        if (0xD800..0xDC00).contains(&code)
            && let Some(low) = self.rest.strip_prefix("\\u").and_then(|rest| rest.get(..4))
            && let Ok(low @ 0xDC00..0xE000) = u32::from_str_radix(low, 16)
        {
            self.rest = &self.rest[6..];
            return char::from_u32(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
        }
        match code {
            0xD800..0xDC00 => Some('\u{E000}'),
            0xDC00..0xE000 => Some('\u{10FFFF}'),
            code => char::from_u32(code),
        }
    }

    fn class(&mut self) -> Option<Set> {
        let mut set = Set { negated: self.skip("^"), ..Set::default() };
        let mut is_first = true;
        loop {
            let next = self.take()?;
            if next == ']' && !is_first {
                return Some(set);
            }
            is_first = false;
            let low = match next {
                '\\' => self.escaped()?,
                '[' if !self.rest.starts_with(':') && self.nests() => {
                    set.inner.push(self.class()?);
                    continue;
                }
                other => one(other),
            };
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            match (single_of(&low), is_range) {
                (Some(low), true) => {
                    self.take();
                    let high = match self.take()? {
                        '\\' => self.escaped()?,
                        other => one(other),
                    };
                    match single_of(&high) {
                        Some(high) if low <= high => set.ranges.push((low, high)),
                        // `[a-\w]`: the hyphen stands for itself.
                        _ => {
                            set.ranges.extend([(low, low), ('-', '-')]);
                            add(&mut set, high);
                        }
                    }
                }
                _ => add(&mut set, low),
            }
        }
    }

    /// Whether a bracket inside of a class opens another: Java's would; where nothing closes it, it is a character.
    fn nests(&self) -> bool {
        let mut open = 0usize;
        let mut escaped = false;
        for character in self.rest.chars() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => open += 1,
                ']' if open == 0 => {
                    return self
                        .rest
                        .split_once(']')
                        .is_some_and(|(_, rest)| rest.contains(']') && !rest.contains('['));
                }
                ']' => open -= 1,
                _ => {}
            }
        }
        false
    }
}

fn add(set: &mut Set, other: Set) {
    if other.negated {
        set.inner.push(other);
    } else {
        set.ranges.extend(other.ranges);
        set.properties.extend(other.properties);
        set.inner.extend(other.inner);
    }
}

fn one(character: char) -> Set {
    Set::of(&[(character, character)])
}

fn single(character: char) -> Node {
    Node::Set(one(character))
}

fn single_of(set: &Set) -> Option<char> {
    match set.ranges.as_slice() {
        [(low, high)] if low == high && !set.negated && set.properties.is_empty() => Some(*low),
        _ => None,
    }
}

fn repeat(node: Node, (least, most): (usize, Option<usize>)) -> Node {
    Node::Repeat { inside: Box::new(node), least, most }
}

fn property(name: &str, negated: bool) -> Set {
    let ascii: Option<&[(char, char)]> = match name {
        "Alpha" => Some(&[('a', 'z'), ('A', 'Z')]),
        "Digit" => Some(DIGITS),
        "Alnum" => Some(&[('a', 'z'), ('A', 'Z'), ('0', '9')]),
        "Upper" => Some(&[('A', 'Z')]),
        "Lower" => Some(&[('a', 'z')]),
        "Punct" => Some(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "Graph" => Some(&[('!', '~')]),
        "Print" => Some(&[(' ', '~')]),
        "Blank" => Some(&[(' ', ' '), ('\t', '\t')]),
        "Cntrl" => Some(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "XDigit" => Some(&[('0', '9'), ('a', 'f'), ('A', 'F')]),
        "Space" => Some(SPACES),
        "ASCII" => Some(&[('\0', '\x7f')]),
        _ => None,
    };
    match ascii {
        Some(ranges) if negated => Set::of(ranges).negation(),
        Some(ranges) => Set::of(ranges),
        None => {
            let name = name.strip_prefix("Is").unwrap_or(name).to_owned();
            Set { properties: vec![(name, negated)], ..Set::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        assert_eq!(parse("a{2,3}"), Some(Node::Repeat { inside: Box::new(single('a')), least: 2, most: Some(3) }));
        assert_eq!(parse("(?:a|b)"), Some(Node::Choice(vec![single('a'), single('b')])));
        assert_eq!(parse("[^\\w-]"), {
            let mut ranges = WORDS.to_vec();
            ranges.push(('-', '-'));
            Some(Node::Set(Set { negated: true, ranges, ..Set::default() }))
        });
        assert_eq!(parse("a)"), None);
        assert!(parse("\\{x}").is_some());
        assert!(matches!(parse("(?!b)a"), Some(Node::Sequence(parts)) if matches!(parts[0], Node::Look { .. })));
    }
}
