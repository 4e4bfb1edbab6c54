//! Reading an expression.

use crate::Unreadable;
use crate::set::{LAST, Set, categories};

/// Repetitions of more than one character up to here are counted.
const MAX_COUNT: u32 = 1_000;
/// As deep as groups may be nested.
const MAX_DEPTH: u32 = 100;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Empty,
    Character(char),
    Set(Set),
    Concat(Vec<Node>),
    Either(Vec<Node>),
    Repeat {
        what: Box<Node>,
        least: u32,
        most: Option<u32>,
        kind: RepeatKind,
    },
    /// A group that is remembered by its number.
    Group(usize, Box<Node>),
    Look {
        ahead: bool,
        negative: bool,
        what: Box<Node>,
    },
    /// What a group matched, again.
    Again(usize),
    Start,
    End,
    WordBoundary {
        negative: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatKind {
    Greedy,
    Lazy,
    Possessive,
}

/// An expression as it is read.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub node: Node,
    /// How many groups are remembered, the whole match not counted.
    pub groups: usize,
    pub refers_back: bool,
}

pub fn read(text: &str) -> Result<Parsed, Unreadable> {
    let mut reader =
        Reader { rest: text, groups: 0, refers_back: false, depth: 0, ignore_case: false, dot_takes_all: false };
    let node = reader.alternatives()?;
    if !reader.rest.is_empty() {
        return Err(Unreadable("a group is closed that was not opened"));
    }
    Ok(Parsed { node, groups: reader.groups, refers_back: reader.refers_back })
}

struct Reader<'a> {
    rest: &'a str,
    groups: usize,
    refers_back: bool,
    depth: u32,
    ignore_case: bool,
    dot_takes_all: bool,
}

/// What stands in a class: a character, which may begin a range, or a class.
enum Member {
    Character(u32),
    Class,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn alternatives(&mut self) -> Result<Node, Unreadable> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unreadable("groups are nested too deep"));
        }
        let mut all = vec![self.sequence()?];
        while self.takes("|") {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Either(all) })
    }

    fn sequence(&mut self) -> Result<Node, Unreadable> {
        let mut all = Vec::new();
        while let Some(next) = self.peek()
            && next != '|'
            && next != ')'
        {
            let one = self.one()?;
            let one = self.repeated(one)?;
            all.push(one);
        }
        Ok(match all.len() {
            0 => Node::Empty,
            1 => all.remove(0),
            _ => Node::Concat(all),
        })
    }

    fn repeated(&mut self, mut what: Node) -> Result<Node, Unreadable> {
        while let Some((least, most)) = self.count() {
            if most.is_some_and(|most| most < least) {
                return Err(Unreadable("a repetition ends before it begins"));
            }
            let kind = if self.takes("?") {
                RepeatKind::Lazy
            } else if self.takes("+") {
                RepeatKind::Possessive
            } else {
                RepeatKind::Greedy
            };
            what = Node::Repeat { what: Box::new(what), least, most, kind };
        }
        Ok(what)
    }

    /// How often what stands before is repeated, if that is said next.
    fn count(&mut self) -> Option<(u32, Option<u32>)> {
        let (least, most, rest) = match self.peek()? {
            '*' => (0, None, &self.rest[1..]),
            '+' => (1, None, &self.rest[1..]),
            '?' => (0, Some(1), &self.rest[1..]),
            '{' => {
                let (count, rest) = self.rest[1..].split_once('}')?;
                let (least, most) = match count.split_once(',') {
                    None => (count.parse().ok()?, Some(count.parse().ok()?)),
                    Some((least, "")) => (least.parse().ok()?, None),
                    Some((least, most)) => (least.parse().ok()?, Some(most.parse().ok()?)),
                };
                (least, most, rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some((least, most))
    }

    fn one(&mut self) -> Result<Node, Unreadable> {
        Ok(match self.take() {
            Some('(') => self.group()?,
            Some('[') => Node::Set(self.class()?),
            Some('.') => Node::Set(self.any()),
            Some('^') => Node::Start,
            Some('$') => Node::End,
            Some('\\') => self.escape()?,
            Some('*' | '+' | '?') => return Err(Unreadable("a repetition of nothing")),
            Some(character) => self.literal(character),
            None => Node::Empty,
        })
    }

    fn literal(&self, character: char) -> Node {
        if self.ignore_case && character.is_ascii_alphabetic() {
            let mut set = Set::default();
            set.add(character.into(), character.into());
            set.fold();
            return Node::Set(set.finish());
        }
        Node::Character(character)
    }

    /// Every character, or every one that ends no line.
    fn any(&self) -> Set {
        let mut set = Set::default();
        if !self.dot_takes_all {
            for end in ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'] {
                set.add(end.into(), end.into());
            }
        }
        set.negate();
        set.finish()
    }

    fn group(&mut self) -> Result<Node, Unreadable> {
        let flags = (self.ignore_case, self.dot_takes_all);
        let mut number = None;
        let mut look = None;
        if self.takes("?") {
            look = [("=", true, false), ("!", true, true), ("<=", false, false), ("<!", false, true)]
                .into_iter()
                .find(|(mark, ..)| self.takes(mark));
            let named = look.is_none() && (self.takes("<") || self.takes("P<"));
            if named {
                let (_, rest) = self.rest.split_once('>').ok_or(Unreadable("a group's name does not end"))?;
                self.rest = rest;
                number = Some(());
            } else if look.is_none() && self.flags()? {
                return Ok(Node::Empty);
            }
        } else {
            number = Some(());
        }
        let number = number.map(|()| {
            self.groups += 1;
            self.groups
        });
        let inside = self.alternatives()?;
        if !self.takes(")") {
            return Err(Unreadable("a group is not closed"));
        }
        (self.ignore_case, self.dot_takes_all) = flags;
        Ok(match (number, look) {
            (Some(number), _) => Node::Group(number, Box::new(inside)),
            (None, Some((_, ahead, negative))) => Node::Look { ahead, negative, what: Box::new(inside) },
            (None, None) => inside,
        })
    }

    /// `i`, `s` and their absence, up to `:` or to the end of the group; whether it was the end.
    fn flags(&mut self) -> Result<bool, Unreadable> {
        let mut on = true;
        loop {
            match self.take() {
                Some(':') => return Ok(false),
                Some(')') => return Ok(true),
                Some('-') => on = false,
                Some('i') => self.ignore_case = on,
                Some('s') => self.dot_takes_all = on,
                _ => return Err(Unreadable("a group of an unknown kind")),
            }
        }
    }

    fn class(&mut self) -> Result<Set, Unreadable> {
        let mut set = Set::default();
        let negated = self.takes("^");
        let mut is_first = true;
        loop {
            let character = self.take().ok_or(Unreadable("a class is not closed"))?;
            // A bracket right at the start stands for itself.
            if character == ']' && !is_first {
                break;
            }
            is_first = false;
            let Member::Character(from) = self.member(character, &mut set)? else { continue };
            // A hyphen is one where it stands last.
            let ranges = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if !ranges {
                set.add(from, from);
                continue;
            }
            self.take();
            let character = self.take().ok_or(Unreadable("a class is not closed"))?;
            match self.member(character, &mut set)? {
                Member::Character(to) if to < from => return Err(Unreadable("a range ends before it begins")),
                Member::Character(to) => set.add(from, to),
                // A class ends no range.
                Member::Class => {
                    set.add(from, from);
                    set.add('-'.into(), '-'.into());
                }
            }
        }
        if self.ignore_case {
            set.fold();
        }
        if negated {
            set.negate();
        }
        Ok(set.finish())
    }

    fn member(&mut self, character: char, set: &mut Set) -> Result<Member, Unreadable> {
        if character != '\\' {
            return Ok(Member::Character(character.into()));
        }
        let escaped = self.take().ok_or(Unreadable("it ends with a backslash"))?;
        if self.shorthand(escaped, set)? {
            return Ok(Member::Class);
        }
        if escaped == 'Q' {
            for quoted in self.quoted().chars() {
                set.add(quoted.into(), quoted.into());
            }
            return Ok(Member::Class);
        }
        // In a class, a backspace.
        let code = if escaped == 'b' { Some(8) } else { self.code(escaped) };
        code.map(Member::Character).ok_or(Unreadable("an unknown escape"))
    }

    fn escape(&mut self) -> Result<Node, Unreadable> {
        let escaped = self.take().ok_or(Unreadable("it ends with a backslash"))?;
        let mut set = Set::default();
        if self.shorthand(escaped, &mut set)? {
            return Ok(Node::Set(set.finish()));
        }
        Ok(match escaped {
            'A' => Node::Start,
            'z' | 'Z' => Node::End,
            'b' => Node::WordBoundary { negative: false },
            'B' => Node::WordBoundary { negative: true },
            'Q' => Node::Concat(self.quoted().chars().map(|character| self.literal(character)).collect()),
            '1'..='9' => self.again(escaped)?,
            escaped => {
                let code = self.code(escaped).ok_or(Unreadable("an unknown escape"))?;
                match char::from_u32(code) {
                    Some(character) => self.literal(character),
                    None => Node::Character(char::REPLACEMENT_CHARACTER),
                }
            }
        })
    }

    /// A reference to a group: as many digits as there are groups for.
    fn again(&mut self, first: char) -> Result<Node, Unreadable> {
        let digit = |character: char| character.to_digit(10).map(|digit| digit as usize);
        let mut number = digit(first).unwrap_or_default();
        while let Some(next) = self.peek().and_then(digit)
            && number * 10 + next <= self.groups
        {
            number = number * 10 + next;
            self.take();
        }
        if number > self.groups {
            return Err(Unreadable("there is no such group"));
        }
        self.refers_back = true;
        Ok(Node::Again(number))
    }

    /// `\Q...\E`: every character for itself.
    fn quoted(&mut self) -> String {
        let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        let quoted = quoted.to_owned();
        self.rest = rest;
        quoted
    }

    /// Adds a class that has a letter of its own.
    fn shorthand(&mut self, letter: char, set: &mut Set) -> Result<bool, Unreadable> {
        match letter {
            'd' | 'D' => add(set, DIGITS, letter == 'D'),
            'w' | 'W' => add(set, WORDS, letter == 'W'),
            's' | 'S' => add(set, SPACES, letter == 'S'),
            'h' => {
                add(set, BLANKS, false);
                for (from, to) in [(0xA0, 0xA0), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200A)] {
                    set.add(from, to);
                }
                for code in [0x202F, 0x205F, 0x3000] {
                    set.add(code, code);
                }
            }
            'p' | 'P' => self.property(letter == 'P', set)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `{Name}`, or one letter.
    fn property(&mut self, others: bool, set: &mut Set) -> Result<(), Unreadable> {
        let unknown = Unreadable("an unknown property");
        let name = if self.takes("{") {
            let (name, rest) = self.rest.split_once('}').ok_or(unknown.clone())?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.take().ok_or(unknown.clone())?.to_string()
        };
        if let Some((_, ascii)) = POSIX.iter().find(|(known, _)| *known == name) {
            add(set, ascii, others);
            return Ok(());
        }
        let name = name.strip_prefix("Is").unwrap_or(&name);
        set.add_categories(categories(name).ok_or(unknown)?, others);
        Ok(())
    }

    /// The character that an escape stands for.
    fn code(&mut self, escaped: char) -> Option<u32> {
        Some(match escaped {
            't' => 9,
            'n' => 10,
            'f' => 12,
            'r' => 13,
            'a' => 7,
            'e' => 27,
            'u' => self.unicode()?,
            'x' if self.takes("{") => {
                let (hex, rest) = self.rest.split_once('}')?;
                let code = u32::from_str_radix(hex, 16).ok().filter(|code| *code <= LAST)?;
                self.rest = rest;
                code
            }
            'x' => self.hex(2)?,
            '0'..='9' | 'a'..='z' | 'A'..='Z' => return None,
            other => other.into(),
        })
    }

    /// `\u0041`, or a pair of surrogates, or a lone one: the end of a range of surrogates is the nearest character that exists.
    fn unicode(&mut self) -> Option<u32> {
        let high = self.hex(4)?;
        if !(0xD800..=0xDFFF).contains(&high) {
            return Some(high);
        }
        let low = self.rest.strip_prefix("\\u").and_then(|rest| rest.get(..4));
        match low.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
            Some(low @ 0xDC00..=0xDFFF) if high < 0xDC00 => {
                self.rest = &self.rest[6..];
                Some(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
            }
            _ => Some(if high < 0xDC00 { 0xE000 } else { LAST }),
        }
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let code = self.rest.get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok())?;
        self.rest = &self.rest[digits..];
        Some(code)
    }
}

/// Ranges of ASCII, rising.
type Ascii = &'static [(u8, u8)];

const DIGITS: Ascii = &[(b'0', b'9')];
const WORDS: Ascii = &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')];
const SPACES: Ascii = &[(9, 13), (b' ', b' ')];
const BLANKS: Ascii = &[(b'\t', b'\t'), (b' ', b' ')];
const POSIX: [(&str, Ascii); 13] = [
    ("Alpha", &[(b'A', b'Z'), (b'a', b'z')]),
    ("Digit", DIGITS),
    ("Alnum", &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')]),
    ("Upper", &[(b'A', b'Z')]),
    ("Lower", &[(b'a', b'z')]),
    ("Punct", &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')]),
    ("Graph", &[(b'!', b'~')]),
    ("Print", &[(b' ', b'~')]),
    ("Blank", BLANKS),
    ("Cntrl", &[(0, 0x1F), (0x7F, 0x7F)]),
    ("XDigit", &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')]),
    ("Space", SPACES),
    ("ASCII", &[(0, 0x7F)]),
];

fn add(set: &mut Set, ranges: Ascii, others: bool) {
    if others {
        set.add_all_but(ranges);
        return;
    }
    for (from, to) in ranges {
        set.add((*from).into(), (*to).into());
    }
}

/// A count as it is kept where what is repeated is more than one character: beyond a thousand it is left open, since every
/// repetition has steps of its own; the value's length is bounded by its own constraint.
pub fn bounded(least: u32, most: Option<u32>) -> (u32, Option<u32>) {
    match most {
        Some(most) if most <= MAX_COUNT => (least, Some(most)),
        _ => (least.min(MAX_COUNT), None),
    }
}
