//! Values as Amazon Ion text, as much of it as DynamoDB writes to S3 and takes from there.
//!
//! A number is a decimal, bytes are a blob, a map is a struct, a list is a list; sets are lists with an annotation that says of
//! what: `$dynamodb_SS`, `$dynamodb_NS`, `$dynamodb_BS`. Symbols, timestamps and s-expressions are no values of items.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.Format.html>,
//! <https://amazon-ion.github.io/ion-docs/docs/spec.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::check::{self, ValueError};
use crate::number::Number;
use crate::size::MAX_DEPTH;
use crate::value::{Map, Value};

const STRINGS: &str = "$dynamodb_SS";
const NUMBERS: &str = "$dynamodb_NS";
const BINARIES: &str = "$dynamodb_BS";
/// The mark of Ion text of this version.
pub const VERSION_MARKER: &str = "$ion_1_0";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IonError {
    #[error("not Ion text at byte {0}")]
    Syntax(usize),
    #[error("{0} is no value of an item")]
    Unsupported(&'static str),
    #[error("nested too deeply")]
    TooDeep,
    #[error(transparent)]
    Value(#[from] ValueError),
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_' || first == b'$');
    let is_number = name.strip_prefix('$').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    begins
        && !is_number
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
        && !matches!(name, "null" | "true" | "false" | "nan")
}

fn put_escaped(text: &str, quote: char, out: &mut String) {
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            own if own == quote => {
                out.push('\\');
                out.push(own);
            }
            control if (control as u32) < 0x20 || control as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", control as u32));
            }
            other => out.push(other),
        }
    }
    out.push(quote);
}

fn put_number(number: Number, out: &mut String) {
    let (negative, exponent, whole) = number.to_parts();
    let text = number.to_string();
    match exponent {
        1.. => out.push_str(&format!("{}{whole}d{exponent}", if negative { "-" } else { "" })),
        0 => {
            out.push_str(&text);
            out.push('.');
        }
        _ => out.push_str(&text),
    }
}

fn put_all<T>(elements: &[T], out: &mut String, mut put: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put(element, out);
    }
    out.push(']');
}

fn put_blob(bytes: &[u8], out: &mut String) {
    out.push_str("{{");
    STANDARD.encode_string(bytes, out);
    out.push_str("}}");
}

fn put_annotated(annotation: &str, out: &mut String) {
    out.push_str(annotation);
    out.push_str("::");
}

/// Writes a map as a struct.
pub fn put_map(map: &Map, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if is_identifier(name) {
            out.push_str(name)
        } else {
            put_escaped(name, '\'', out)
        }
        out.push(':');
        put_value(value, out);
    }
    out.push('}');
}

pub fn put_value(value: &Value, out: &mut String) {
    match value {
        Value::S(text) => put_escaped(text, '"', out),
        Value::N(number) => put_number(*number, out),
        Value::B(bytes) => put_blob(bytes, out),
        Value::SS(set) => {
            put_annotated(STRINGS, out);
            put_all(set, out, |text, out| put_escaped(text, '"', out));
        }
        Value::NS(set) => {
            put_annotated(NUMBERS, out);
            put_all(set, out, |number, out| put_number(*number, out));
        }
        Value::BS(set) => {
            put_annotated(BINARIES, out);
            put_all(set, out, |bytes, out| put_blob(bytes, out));
        }
        Value::M(map) => put_map(map, out),
        Value::L(list) => put_all(list, out, put_value),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Null => out.push_str("null"),
    }
}

/// Reads one value; a version mark before it is passed over. Nothing where there is none.
pub fn read(text: &str) -> Result<Option<Value>, IonError> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space()?;
    while reader.rest().starts_with(VERSION_MARKER) && !reader.rest()[VERSION_MARKER.len()..].starts_with("::") {
        reader.at += VERSION_MARKER.len();
        reader.skip_space()?;
    }
    if reader.rest().is_empty() {
        return Ok(None);
    }
    // What an item is wrapped in does not count as its depth.
    let value = reader.value(0)?;
    reader.skip_space()?;
    if reader.rest().is_empty() { Ok(Some(value)) } else { Err(reader.wrong()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self) -> IonError {
        IonError::Syntax(self.at)
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn take_while(&mut self, is_inside: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|character| !is_inside(character)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_space(&mut self) -> Result<(), IonError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.take("//") {
                self.take_while(|character| character != '\n');
            } else if self.take("/*") {
                let end = self.rest().find("*/").ok_or_else(|| self.wrong())?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, IonError> {
        if depth > MAX_DEPTH + 2 {
            return Err(IonError::TooDeep);
        }
        let mut annotation = None;
        loop {
            self.skip_space()?;
            let start = self.at;
            match self.symbol()? {
                Some(symbol) => {
                    self.skip_space()?;
                    if self.take("::") {
                        annotation = Some(symbol);
                        continue;
                    }
                    return word(&symbol, &self.text[start..self.at]);
                }
                None => break,
            }
        }
        let value = self.plain(depth)?;
        annotated(annotation.as_deref(), value)
    }

    /// A symbol, if one begins here.
    fn symbol(&mut self) -> Result<Option<String>, IonError> {
        let rest = self.rest();
        if rest.starts_with('\'') && !rest.starts_with("'''") {
            self.at += 1;
            return self.quoted("'").map(Some);
        }
        if !rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '$') {
            return Ok(None);
        }
        let inside = |own: char| own.is_ascii_alphanumeric() || matches!(own, '_' | '$' | '.');
        Ok(Some(self.take_while(inside).to_owned()))
    }

    fn plain(&mut self, depth: usize) -> Result<Value, IonError> {
        let rest = self.rest();
        match rest.as_bytes().first() {
            Some(b'"') => {
                self.at += 1;
                self.quoted("\"").map(Value::S)
            }
            Some(b'\'') => self.long_text().map(Value::S),
            Some(b'{') if rest.starts_with("{{") => self.blob(),
            Some(b'{') => self.members(depth),
            Some(b'[') => self.elements(depth),
            Some(b'-' | b'+' | b'0'..=b'9') => self.number(),
            Some(b'(') => Err(IonError::Unsupported("an s-expression")),
            _ => Err(self.wrong()),
        }
    }

    fn number(&mut self) -> Result<Value, IonError> {
        let inside = |own: char| own.is_ascii_alphanumeric() || matches!(own, '-' | '+' | '.' | '_' | ':');
        let text = self.take_while(inside);
        if text.contains(':') || text.contains('T') {
            return Err(IonError::Unsupported("a timestamp"));
        }
        let plain: String = text.chars().filter(|own| *own != '_').collect::<String>().replace(['d', 'D'], "e");
        Ok(check::number(&plain)?)
    }

    /// A text up to its end quote, which is taken too.
    fn quoted(&mut self, quote: &str) -> Result<String, IonError> {
        let mut text = String::new();
        loop {
            if self.take(quote) {
                return Ok(text);
            }
            let next = self.rest().chars().next().ok_or_else(|| self.wrong())?;
            self.at += next.len_utf8();
            if next != '\\' {
                text.push(next);
                continue;
            }
            if let Some(character) = self.escape()? {
                text.push(character);
            }
        }
    }

    /// What a backslash stands for; nothing for an escaped line end.
    fn escape(&mut self) -> Result<Option<char>, IonError> {
        let next = self.rest().chars().next().ok_or_else(|| self.wrong())?;
        self.at += next.len_utf8();
        Ok(Some(match next {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' => '\0',
            '\n' => return Ok(None),
            'x' => self.code(2)?,
            'u' => self.code_unit()?,
            'U' => self.code(8)?,
            own @ ('\\' | '"' | '\'' | '/' | '?') => own,
            _ => return Err(self.wrong()),
        }))
    }

    fn hex(&mut self, digits: usize) -> Result<u32, IonError> {
        let text = self.rest().get(..digits).ok_or_else(|| self.wrong())?;
        let code = u32::from_str_radix(text, 16).map_err(|_| self.wrong())?;
        self.at += digits;
        Ok(code)
    }

    fn code(&mut self, digits: usize) -> Result<char, IonError> {
        let code = self.hex(digits)?;
        char::from_u32(code).ok_or_else(|| self.wrong())
    }

    /// Four digits, which may be the first half of a surrogate pair.
    fn code_unit(&mut self) -> Result<char, IonError> {
        let first = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.wrong());
        }
        if !self.take("\\u") {
            return Err(self.wrong());
        }
        let second = self.hex(4)?.wrapping_sub(0xdc00);
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second).ok_or_else(|| self.wrong())
    }

    /// Long texts side by side are one.
    fn long_text(&mut self) -> Result<String, IonError> {
        let mut text = String::new();
        while self.take("'''") {
            text += &self.quoted("'''")?;
            self.skip_space()?;
        }
        Ok(text)
    }

    fn blob(&mut self) -> Result<Value, IonError> {
        self.at += 2;
        let end = self.rest().find("}}").ok_or_else(|| self.wrong())?;
        let text: String = self.rest()[..end].chars().filter(|own| !own.is_whitespace()).collect();
        if text.starts_with('"') || text.starts_with('\'') {
            return Err(IonError::Unsupported("a clob"));
        }
        let bytes = STANDARD.decode(text).map_err(|_| self.wrong())?;
        self.at += end + 2;
        Ok(Value::B(bytes))
    }

    fn members(&mut self, depth: usize) -> Result<Value, IonError> {
        self.at += 1;
        let mut entries = Vec::new();
        loop {
            self.skip_space()?;
            if self.take("}") {
                return Ok(Value::M(entries.into_iter().collect()));
            }
            let name = match self.rest().starts_with('"') {
                true => {
                    self.at += 1;
                    self.quoted("\"")?
                }
                false => self.symbol()?.ok_or_else(|| self.wrong())?,
            };
            self.skip_space()?;
            if !self.take(":") {
                return Err(self.wrong());
            }
            entries.push((name, self.value(depth + 1)?));
            self.skip_space()?;
            if !self.take(",") && !self.rest().starts_with('}') {
                return Err(self.wrong());
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Value, IonError> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_space()?;
            if self.take("]") {
                return Ok(Value::L(elements));
            }
            elements.push(self.value(depth + 1)?);
            self.skip_space()?;
            if !self.take(",") && !self.rest().starts_with(']') {
                return Err(self.wrong());
            }
        }
    }
}

/// A symbol in the place of a value.
fn word(symbol: &str, written: &str) -> Result<Value, IonError> {
    match symbol {
        _ if written.starts_with('\'') => Err(IonError::Unsupported("a symbol")),
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        "null" => Ok(Value::Null),
        typed if typed.starts_with("null.") => Ok(Value::Null),
        _ => Err(IonError::Unsupported("a symbol")),
    }
}

fn annotated(annotation: Option<&str>, value: Value) -> Result<Value, IonError> {
    let is_set = matches!(annotation, Some(STRINGS | NUMBERS | BINARIES));
    let list = match value {
        Value::L(list) if is_set => list,
        other => return if is_set { Err(ValueError::NoType.into()) } else { Ok(other) },
    };
    match annotation {
        Some(STRINGS) => {
            let texts =
                list.into_iter().map(|own| if let Value::S(text) = own { Ok(text) } else { Err(ValueError::NoType) });
            Ok(check::string_set(texts.collect::<Result<_, _>>()?)?)
        }
        Some(NUMBERS) => {
            let numbers =
                list.into_iter().map(|own| if let Value::N(own) = own { Ok(own) } else { Err(ValueError::NoType) });
            Ok(check::numbers_as_set(numbers.collect::<Result<_, _>>()?)?)
        }
        _ => {
            let all =
                list.into_iter().map(|own| if let Value::B(own) = own { Ok(own) } else { Err(ValueError::NoType) });
            Ok(check::binary_set(all.collect::<Result<_, _>>()?)?)
        }
    }
}
