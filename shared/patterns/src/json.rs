//! A pull tokenizer for JSON that knows where it is.
//!
//! AWS's services report a bad pattern with the line and column at which their parser stood when it noticed, so where
//! this tokenizer stands after each token is part of its contract: past the token for brackets, numbers and literals;
//! past the opening quote for a string that nobody has asked the text of yet; and, after a member's name, past the
//! colon and the beginning of its value.

use std::borrow::Cow;

use crate::error::Located;

/// Deeper nesting is refused, in events and in patterns.
pub const MAX_DEPTH: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    Name,
    Text,
    Number,
    True,
    False,
    Null,
    /// The document has ended.
    End,
}

impl Token {
    pub fn is_number(self) -> bool {
        self == Token::Number
    }
}

#[derive(Clone, Copy)]
struct Container {
    is_object: bool,
    /// Whether a member or element has been read, so that a comma is due.
    is_begun: bool,
    /// Where its bracket stands.
    start: usize,
}

pub struct Tokens<'a> {
    source: &'a str,
    at: usize,
    stack: Vec<Container>,
    pending: Option<Token>,
    current: Token,
    /// Where a string begins that has been met but not read.
    open_text: Option<usize>,
    name: Cow<'a, str>,
    text: Cow<'a, str>,
}

/// What JSON allows as a value, in the words of the parser that AWS uses.
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl<'a> Tokens<'a> {
    pub fn new(source: &'a str) -> Self {
        Tokens {
            source,
            at: 0,
            stack: Vec::new(),
            pending: None,
            current: Token::End,
            open_text: None,
            name: Cow::Borrowed(""),
            text: Cow::Borrowed(""),
        }
    }

    /// The message, with where the tokenizer stands.
    pub fn fail(&self, message: impl Into<String>) -> Located {
        Located::new(message.into(), self.source, self.at)
    }

    pub fn depth(&self) -> usize {
        self.stack.len()
    }

    /// The name of the member whose value comes next. Valid from [`Token::Name`] until the next one.
    pub fn name(&self) -> &Cow<'a, str> {
        &self.name
    }

    /// What the current token reads: a string's text, a number as it is written, a literal's letters.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Located> {
        match self.current {
            Token::Text => {
                if let Some(start) = self.open_text.take() {
                    self.text = self.read_text(start)?;
                }
                Ok(std::mem::take(&mut self.text))
            }
            Token::Name => Ok(self.name.clone()),
            Token::Number => Ok(self.text.clone()),
            Token::True => Ok("true".into()),
            Token::False => Ok("false".into()),
            Token::Null => Ok("null".into()),
            Token::StartObject => Ok("{".into()),
            Token::EndObject => Ok("}".into()),
            Token::StartArray => Ok("[".into()),
            Token::EndArray => Ok("]".into()),
            Token::End => Ok("".into()),
        }
    }

    /// A number as it is written. Valid after [`Token::Number`].
    pub fn number(&self) -> &'a str {
        match self.text {
            Cow::Borrowed(text) => text,
            Cow::Owned(_) => "",
        }
    }

    pub fn next(&mut self) -> Result<Token, Located> {
        if let Some(pending) = self.pending.take() {
            self.current = pending;
            return Ok(pending);
        }
        if let Some(start) = self.open_text.take() {
            self.skip_text(start)?;
        }
        let token = self.advance()?;
        self.current = token;
        Ok(token)
    }

    fn advance(&mut self) -> Result<Token, Located> {
        self.skip_space();
        let Some(&byte) = self.source.as_bytes().get(self.at) else { return self.end_of_input() };
        let Some(top) = self.stack.last().copied() else {
            return self.value();
        };
        if byte == b'}' || byte == b']' {
            return self.close(byte, top);
        }
        if top.is_begun {
            if byte != b',' {
                self.at += self.character_length();
                let kind = if top.is_object { "Object" } else { "Array" };
                return Err(self.unexpected(&format!("was expecting comma to separate {kind} entries")));
            }
            self.at += 1;
            self.skip_space();
        }
        if let Some(top) = self.stack.last_mut() {
            top.is_begun = true;
        }
        if !top.is_object {
            return self.value();
        }
        self.member()
    }

    fn end_of_input(&mut self) -> Result<Token, Located> {
        match self.stack.last() {
            None => Ok(Token::End),
            Some(open) => {
                let kind = if open.is_object { "Object" } else { "Array" };
                let start = Located::new(String::new(), self.source, open.start);
                Err(self.fail(format!(
                    "Unexpected end-of-input: expected close marker for {kind} (start marker at {})",
                    start.place()
                )))
            }
        }
    }

    fn close(&mut self, byte: u8, top: Container) -> Result<Token, Located> {
        self.at += 1;
        if top.is_object != (byte == b'}') {
            let (kind, expected) = if top.is_object { ("Object", '}') } else { ("Array", ']') };
            let start = Located::new(String::new(), self.source, top.start);
            return Err(self.fail(format!(
                "Unexpected close marker '{}': expected '{expected}' (for {kind} starting at {})",
                byte as char,
                start.place()
            )));
        }
        self.stack.pop();
        Ok(if top.is_object { Token::EndObject } else { Token::EndArray })
    }

    fn member(&mut self) -> Result<Token, Located> {
        match self.source.as_bytes().get(self.at) {
            Some(b'"') => self.at += 1,
            Some(_) => {
                self.at += self.character_length();
                return Err(self.unexpected("was expecting double-quote to start field name"));
            }
            None => return self.end_of_input(),
        }
        let name = self.read_text(self.at)?;
        self.skip_space();
        match self.source.as_bytes().get(self.at) {
            Some(b':') => self.at += 1,
            Some(_) => {
                self.at += self.character_length();
                return Err(self.unexpected("was expecting a colon to separate field name and value"));
            }
            None => return self.end_of_input(),
        }
        self.skip_space();
        self.pending = Some(self.value()?);
        self.name = name;
        Ok(Token::Name)
    }

    fn value(&mut self) -> Result<Token, Located> {
        let start = self.at;
        let Some(&byte) = self.source.as_bytes().get(start) else { return self.end_of_input() };
        match byte {
            b'{' | b'[' => self.open(byte == b'{'),
            b'"' => {
                self.at += 1;
                self.open_text = Some(self.at);
                Ok(Token::Text)
            }
            b'-' | b'0'..=b'9' => self.read_number(start),
            b't' => self.literal("true", Token::True),
            b'f' => self.literal("false", Token::False),
            b'n' => self.literal("null", Token::Null),
            _ => Err(self.odd_value(start)),
        }
    }

    fn open(&mut self, is_object: bool) -> Result<Token, Located> {
        self.stack.push(Container { is_object, is_begun: false, start: self.at });
        self.at += 1;
        if self.stack.len() > MAX_DEPTH {
            return Err(self.fail(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({MAX_DEPTH}, from \
                 `StreamReadConstraints.getMaxNestingDepth()`)",
                self.stack.len()
            )));
        }
        Ok(if is_object { Token::StartObject } else { Token::StartArray })
    }

    fn literal(&mut self, word: &str, token: Token) -> Result<Token, Located> {
        let rest = &self.source[self.at..];
        let length = rest.find(|c: char| !is_identifier(c)).unwrap_or(rest.len());
        if &rest[..length] == word {
            self.at += length;
            return Ok(token);
        }
        Err(self.odd_value(self.at))
    }

    fn odd_value(&mut self, start: usize) -> Located {
        let rest = &self.source[start..];
        let length = rest.find(|c: char| !is_identifier(c)).unwrap_or(rest.len());
        if length == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
            self.at += self.character_length();
            return self.unexpected(&format!("expected a valid value {VALUES}"));
        }
        self.at += length;
        // The parser that AWS uses quotes at most 256 characters of such a token.
        let token: String = rest[..length].chars().take(256).collect();
        self.fail(format!("Unrecognized token '{token}': was expecting {VALUES}"))
    }

    fn read_number(&mut self, start: usize) -> Result<Token, Located> {
        let bytes = self.source.as_bytes();
        let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(at);
        if whole == 0 {
            self.at = at;
            self.at += self.character_length();
            return Err(self.unexpected("expected digit (0-9) to follow minus sign, for valid numeric value"));
        }
        if whole > 1 && bytes[at] == b'0' {
            self.at = at + 1;
            return Err(self.fail("Invalid numeric value: Leading zeroes not allowed"));
        }
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            let fraction = digits(at);
            if fraction == 0 {
                self.at = at;
                self.at += self.character_length();
                return Err(self.unexpected("Decimal point not followed by a digit"));
            }
            at += fraction;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at);
            if exponent == 0 {
                self.at = at;
                self.at += self.character_length();
                return Err(self.unexpected("Exponent indicator not followed by a digit"));
            }
            at += exponent;
        }
        self.at = at;
        self.text = Cow::Borrowed(&self.source[start..at]);
        Ok(Token::Number)
    }

    /// Reads the string whose first character is at `start`, and stands behind its closing quote.
    fn read_text(&mut self, start: usize) -> Result<Cow<'a, str>, Located> {
        let end = self.plain_end(start)?;
        if self.source.as_bytes()[end] == b'"' {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.source[start..end]));
        }
        let mut text = String::from(&self.source[start..end]);
        let mut at = end;
        loop {
            if self.source.as_bytes()[at] == b'"' {
                self.at = at + 1;
                return Ok(Cow::Owned(text));
            }
            at = self.unescape(at, &mut text)?;
            let next = self.plain_end(at)?;
            text.push_str(&self.source[at..next]);
            at = next;
        }
    }

    fn skip_text(&mut self, start: usize) -> Result<(), Located> {
        let mut at = start;
        loop {
            at = self.plain_end(at)?;
            if self.source.as_bytes()[at] == b'"' {
                self.at = at + 1;
                return Ok(());
            }
            at = self.unescape(at, &mut String::new())?;
        }
    }

    /// Where the run of plain characters from `start` ends: at a quote or a backslash.
    fn plain_end(&mut self, start: usize) -> Result<usize, Located> {
        let bytes = &self.source.as_bytes()[start..];
        let end = memchr::memchr2(b'"', b'\\', bytes);
        let plain = &bytes[..end.unwrap_or(bytes.len())];
        if let Some(control) = plain.iter().position(|byte| *byte < 0x20) {
            self.at = start + control + 1;
            return Err(self.fail(format!(
                "Illegal unquoted character ((CTRL-CHAR, code {})): has to be escaped using backslash to be included \
                 in string value",
                plain[control]
            )));
        }
        match end {
            Some(end) => Ok(start + end),
            None => {
                self.at = self.source.len();
                Err(self.fail("Unexpected end-of-input: was expecting closing quote for a string value"))
            }
        }
    }

    /// Reads the escape whose backslash is at `at`; gives where it ends.
    fn unescape(&mut self, at: usize, text: &mut String) -> Result<usize, Located> {
        let rest = &self.source[at + 1..];
        let Some(escaped) = rest.chars().next() else {
            self.at = self.source.len();
            return Err(self.fail("Unexpected end-of-input in character escape sequence"));
        };
        let plain = match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unescape_unit(at, text),
            other => {
                self.at = at + 1 + other.len_utf8();
                return Err(self.fail(format!("Unrecognized character escape {}", describe(other))));
            }
        };
        text.push(plain);
        Ok(at + 2)
    }

    fn unescape_unit(&mut self, at: usize, text: &mut String) -> Result<usize, Located> {
        let first = self.code_unit(at)?;
        let end = at + 6;
        if (0xd800..0xdc00).contains(&first) && self.source[end..].starts_with("\\u") {
            let second = self.code_unit(end)?;
            if let Some(Ok(pair)) = char::decode_utf16([first, second]).next() {
                text.push(pair);
                return Ok(end + 6);
            }
        }
        // A half of a pair stands for nothing; Rust's strings cannot hold it.
        text.push(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(end)
    }

    fn code_unit(&mut self, at: usize) -> Result<u16, Located> {
        let digits = self.source.get(at + 2..at + 6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            return Ok(unit);
        }
        let rest = &self.source[at + 2..];
        let odd = rest.char_indices().find(|(_, c)| !c.is_ascii_hexdigit());
        let Some((offset, odd)) = odd else {
            self.at = self.source.len();
            return Err(self.fail("Unexpected end-of-input in character escape sequence"));
        };
        self.at = at + 2 + offset + odd.len_utf8();
        Err(self.unexpected("expected a hex-digit for character escape sequence"))
    }

    fn skip_space(&mut self) {
        let rest = &self.source.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn character_length(&self) -> usize {
        self.source[self.at..].chars().next().map_or(0, char::len_utf8)
    }

    /// Complains of the character before where the tokenizer stands.
    fn unexpected(&self, expected: &str) -> Located {
        match self.source[..self.at].chars().next_back() {
            Some(odd) => self.fail(format!("Unexpected character ({}): {expected}", describe(odd))),
            None => self.fail("Unexpected end-of-input"),
        }
    }
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A character as the parser that AWS uses names it: `'}' (code 125)`.
fn describe(c: char) -> String {
    let code = u32::from(c);
    match code {
        0..0x20 => format!("(CTRL-CHAR, code {code})"),
        0x20..=0xff => format!("'{c}' (code {code})"),
        _ => format!("'{c}' (code {code} / 0x{code:x})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Result<Vec<(Token, String)>, String> {
        let mut tokens = Tokens::new(source);
        let mut found = Vec::new();
        loop {
            let token = tokens.next().map_err(|error| error.to_string())?;
            if token == Token::End {
                return Ok(found);
            }
            let text = if token == Token::Name {
                tokens.name().to_string()
            } else {
                tokens.text().map_err(|error| error.to_string())?.to_string()
            };
            found.push((token, text));
        }
    }

    #[test]
    fn reads_every_kind_of_token() {
        let found =
            tokens(r#"{"a": [1, -2.5e+3, true, false, null, "x\u0041\n\ud83d\ude00"], "b": {}, "": 0}"#).unwrap();
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["{", "a", "[", "1", "-2.5e+3", "true", "false", "null", "xA\n😀", "]", "b", "{", "}", "", "0", "}"]
        );
    }

    #[test]
    fn complains_as_aws_does() {
        let cases = [
            ("{\\", "Unexpected character ('\\' (code 92)): was expecting double-quote to start field name", 3),
            (
                "{",
                "Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)\"{\"; line: 1, column: 1])",
                2,
            ),
            (
                "{\"a\": [1 2]}",
                "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
                11,
            ),
            (
                "{\"a\" 1}",
                "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
                7,
            ),
            (
                "{\"a\": abc}",
                "Unrecognized token 'abc': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                10,
            ),
            (
                "{\"a\": }",
                "Unexpected character ('}' (code 125)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                8,
            ),
            (
                "{\"a\": [}",
                "Unexpected close marker '}': expected ']' (for Array starting at [Source: (String)\"{\"a\": [}\"; line: 1, column: 7])",
                9,
            ),
            ("{\"a\": \"b", "Unexpected end-of-input: was expecting closing quote for a string value", 9),
            ("{\"a\": 01}", "Invalid numeric value: Leading zeroes not allowed", 8),
        ];
        for (source, message, column) in cases {
            let expected = format!("{message}\n at [Source: (String)\"{source}\"; line: 1, column: {column}]");
            assert_eq!(tokens(source).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_thousand_levels_are_read_and_no_more() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(tokens(&nested(MAX_DEPTH)).is_ok());
        assert!(tokens(&nested(MAX_DEPTH + 1)).unwrap_err().starts_with("Document nesting depth (1001) exceeds"));
    }
}
