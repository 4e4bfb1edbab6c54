//! From Java's regular expressions, in which the models are written, to the syntax of the engine here.
//!
//! What differs: `\w`, `\d`, `\s` and POSIX classes mean ASCII, a character beyond 16 bits is two `\u` escapes, a hyphen
//! after a class stands for itself, and `[` in a class is a character when it closes nothing.

/// Repetitions up to here are counted.
const MAX_COUNT: u32 = 1_000;

/// The pattern in the engine's syntax, without anchors.
pub(super) fn translate(pattern: &str) -> String {
    let mut translation = Translation {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        in_class: false,
        after_class: false,
    };
    while !translation.rest.is_empty() {
        translation.step();
    }
    translation.out
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
    in_class: bool,
    /// What was written last in a class is a class itself, which cannot begin a range.
    after_class: bool,
}

impl Translation<'_> {
    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn step(&mut self) {
        let after_class = std::mem::take(&mut self.after_class);
        match self.take() {
            Some('\\') => self.escape(),
            Some('[') if !self.in_class => self.open_class(),
            // The engine would take these for nested classes or set operations.
            Some('[') => self.out.push_str("\\["),
            Some(character @ ('&' | '~')) if self.in_class => {
                self.out.push('\\');
                self.out.push(character);
            }
            Some('-') if self.in_class && after_class => self.out.push_str("\\-"),
            Some(']') if self.in_class => {
                self.in_class = false;
                self.out.push(']');
            }
            Some('{') if !self.in_class => self.count(),
            Some(character) => self.out.push(character),
            None => {}
        }
    }

    fn open_class(&mut self) {
        self.in_class = true;
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        // A bracket right at the start stands for itself.
        if let Some(rest) = self.rest.strip_prefix(']') {
            self.out.push_str("\\]");
            self.rest = rest;
        }
    }

    /// `{1,100000}`: beyond a thousand the count is left open, since it would make the engine's automaton huge; the
    /// value's length is bounded by its own constraint.
    fn count(&mut self) {
        self.out.push('{');
        let Some((count, rest)) = self.rest.split_once('}') else { return };
        if let Some((least, most)) = count.split_once(',')
            && most.parse::<u32>().is_ok_and(|most| most > MAX_COUNT)
        {
            let least = least.parse::<u32>().unwrap_or(0).min(MAX_COUNT);
            self.out.push_str(&format!("{least},}}"));
            self.rest = rest;
        }
    }

    fn escape(&mut self) {
        match self.take() {
            Some('w') => self.class("a-zA-Z0-9_"),
            Some('d') => self.class("0-9"),
            Some('s') => self.class("\\t\\n\\x0B\\f\\r "),
            Some('W') => self.negated("a-zA-Z0-9_"),
            Some('D') => self.negated("0-9"),
            Some('S') => self.negated("\\t\\n\\x0B\\f\\r "),
            Some('h') => self.class("\\t \\x{A0}\\x{1680}\\x{180e}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}"),
            Some('Z') => self.out.push_str("\\z"),
            Some('u') => self.unicode(),
            Some(letter @ ('p' | 'P')) => self.property(letter),
            Some('Q') => self.quoted(),
            Some('/') => self.out.push('/'),
            Some(character) if character.is_ascii_punctuation() && !matches!(character, '_' | '<' | '>' | '"') => {
                self.out.push('\\');
                self.out.push(character);
            }
            Some(character @ ('_' | '<' | '>' | '"')) => self.out.push(character),
            Some(character) => {
                self.out.push('\\');
                self.out.push(character);
            }
            None => self.out.push_str("\\\\"),
        }
    }

    /// A class inside or outside of another.
    fn class(&mut self, inside: &str) {
        self.after_class = true;
        if self.in_class {
            self.out.push_str(inside);
        } else {
            self.out.push('[');
            self.out.push_str(inside);
            self.out.push(']');
        }
    }

    fn negated(&mut self, inside: &str) {
        self.after_class = true;
        self.out.push_str("[^");
        self.out.push_str(inside);
        self.out.push(']');
    }

    /// `\u0041`, or a pair of surrogates, or a lone one: Rust's texts have none, so it matches nothing by itself.
    fn unicode(&mut self) {
        let Some(high) = self.hex4() else {
            self.out.push('u');
            return;
        };
        let low = self
            .rest
            .strip_prefix("\\u")
            .and_then(|rest| rest.get(..4))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let code = match (high, low) {
            (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                self.rest = &self.rest[6..];
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            // The ends of ranges of surrogates: the nearest characters that exist.
            (0xD800..=0xDBFF, _) => 0xE000,
            (0xDC00..=0xDFFF, _) => 0x10FFFF,
            (code, _) => code,
        };
        self.out.push_str(&format!("\\x{{{code:X}}}"));
    }

    fn hex4(&mut self) -> Option<u32> {
        let code = self.rest.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok())?;
        self.rest = &self.rest[4..];
        Some(code)
    }

    fn property(&mut self, letter: char) {
        let Some((name, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            self.out.push('\\');
            self.out.push(letter);
            return;
        };
        self.rest = rest;
        let ascii = match name {
            "Alpha" => Some("a-zA-Z"),
            "Digit" => Some("0-9"),
            "Alnum" => Some("a-zA-Z0-9"),
            "Upper" => Some("A-Z"),
            "Lower" => Some("a-z"),
            "Punct" => Some("!-/:-@\\[-`{-\\x7e"),
            "Graph" => Some("!-\\x7e"),
            "Print" => Some(" -\\x7e"),
            "Blank" => Some(" \\t"),
            "Cntrl" => Some("\\x00-\\x1F\\x7F"),
            "XDigit" => Some("0-9a-fA-F"),
            "Space" => Some("\\t\\n\\x0B\\f\\r "),
            "ASCII" => Some("\\x00-\\x7F"),
            _ => None,
        };
        match ascii {
            Some(class) if letter == 'p' => self.class(class),
            Some(class) => self.negated(class),
            None => {
                self.after_class = true;
                self.out.push_str(&format!("\\{letter}{{{}}}", name.strip_prefix("Is").unwrap_or(name)));
            }
        }
    }

    /// `\Q...\E`: every character for itself.
    fn quoted(&mut self) {
        let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.out.push_str(&fancy_regex::escape(quoted));
        self.rest = rest;
    }
}
