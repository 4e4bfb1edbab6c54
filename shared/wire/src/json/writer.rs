//! Writes shapes as JSON into a byte buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;

use crate::document::Document;
use crate::json::document::write_document;
use crate::schema::{Member, TimestampFormat};
use crate::shape::{Shape, WriteError, Writer};

/// What the next value stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Members, each after its name.
    Structure,
    List,
    /// A value after a key that is written already, or the root: nothing goes before it.
    Value,
}

/// Appends to `out`. It stands inside a structure: the caller has written what goes around.
pub struct JsonWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    scope: Scope,
    /// No value has been written in this scope yet.
    first: bool,
}

impl<'a> JsonWriter<'a> {
    /// For the members of a structure whose braces the caller writes.
    pub fn members(out: &'a mut Vec<u8>) -> Self {
        JsonWriter { out, scope: Scope::Structure, first: true }
    }

    /// For one value without a name.
    pub fn value(out: &'a mut Vec<u8>) -> Self {
        JsonWriter { out, scope: Scope::Value, first: true }
    }

    /// Writes `shape` as a whole object.
    pub fn write_root(out: &'a mut Vec<u8>, shape: &dyn Shape) -> Result<(), WriteError> {
        out.push(b'{');
        shape.write_members(&mut JsonWriter::members(out))?;
        out.push(b'}');
        Ok(())
    }

    /// Another member of the structure whose name the schema does not know.
    pub fn write_extra(&mut self, name: &str, value: &str) {
        self.separate();
        self.push_string(name);
        self.out.push(b':');
        self.push_string(value);
    }

    #[inline]
    fn separate(&mut self) {
        if self.first {
            self.first = false;
        } else {
            self.out.push(b',');
        }
    }

    #[inline]
    fn begin(&mut self, member: &Member) {
        match self.scope {
            Scope::Structure => {
                self.separate();
                self.out.push(b'"');
                self.out.extend_from_slice(member.wire_name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Scope::List => self.separate(),
            Scope::Value => {}
        }
    }

    /// Runs `inside` in a scope of its own.
    fn nest(
        &mut self,
        scope: Scope,
        inside: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let (outer_scope, outer_first) = (self.scope, self.first);
        (self.scope, self.first) = (scope, true);
        inside(self)?;
        (self.scope, self.first) = (outer_scope, outer_first);
        Ok(())
    }

    pub(super) fn push_boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(super) fn push_integer(&mut self, value: i64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn push_double(&mut self, value: f64) {
        if value.is_finite() {
            let mut buffer = ryu::Buffer::new();
            let text = buffer.format_finite(value);
            self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        } else {
            self.push_special(value.is_nan(), value.is_sign_negative());
        }
    }

    fn push_special(&mut self, nan: bool, negative: bool) {
        let text: &[u8] = match (nan, negative) {
            (true, _) => b"\"NaN\"",
            (false, true) => b"\"-Infinity\"",
            (false, false) => b"\"Infinity\"",
        };
        self.out.extend_from_slice(text);
    }

    /// Seconds with as many decimals as the point has, at most six.
    pub(super) fn push_epoch_seconds(&mut self, point: Timestamp) {
        push_epoch_seconds(self.out, point);
    }

    pub(super) fn push_base64(&mut self, bytes: &[u8]) {
        push_base64(self.out, bytes);
    }

    pub(super) fn push_string(&mut self, text: &str) {
        push_string(self.out, text);
    }
}

/// `1700000000`, `1700000000.123`: no binary fraction is made, so none is rounded.
pub(crate) fn push_epoch_seconds(out: &mut Vec<u8>, point: Timestamp) {
    let micros = point.micros();
    if micros < 0 {
        out.push(b'-');
    }
    let magnitude = micros.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(magnitude / 1_000_000).as_bytes());
    let mut fraction = magnitude % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    let used = 6 - digits.iter().rev().take_while(|digit| **digit == b'0').count();
    out.push(b'.');
    out.extend_from_slice(&digits[..used]);
}

/// The escapes of the first 128 characters: 0 none, `u` by number, else the letter after the backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut index = 0;
    while index < 0x20 {
        table[index] = b'u';
        index += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Whether a text stands in JSON as it is. Looked at in pieces without branches, which processors take at once.
fn is_plain(bytes: &[u8]) -> bool {
    let escaped = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    bytes.chunks(16).all(|piece| !piece.iter().fold(false, |any, byte| any | escaped(byte)))
}

/// Appends `bytes` as base64 in quotes.
pub fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    let encoded_length = bytes.len().div_ceil(3) * 4;
    out.resize(start + encoded_length, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// Appends `text` in quotes.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut written = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        out.push(b'\\');
        out.push(escape);
        if escape == b'u' {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

impl Writer for JsonWriter<'_> {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.begin(member);
        self.out.push(b'{');
        self.nest(Scope::Structure, |writer| shape.write_members(writer))?;
        self.out.push(b'}');
        Ok(())
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.begin(member);
        self.out.push(b'[');
        self.nest(Scope::List, |writer| elements(writer))?;
        self.out.push(b']');
        Ok(())
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.begin(member);
        self.out.push(b'{');
        self.nest(Scope::Value, |writer| entries(writer))?;
        self.out.push(b'}');
        Ok(())
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        self.separate();
        self.push_string(key);
        self.out.push(b':');
        Ok(())
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.begin(member);
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.begin(member);
        self.push_string(value);
        Ok(())
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.begin(member);
        self.push_base64(value);
        Ok(())
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.begin(member);
        self.push_boolean(value);
        Ok(())
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.write_long(member, i64::from(value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.begin(member);
        self.push_integer(value);
        Ok(())
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.begin(member);
        if value.is_finite() {
            let mut buffer = ryu::Buffer::new();
            let text = buffer.format_finite(value);
            self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        } else {
            self.push_special(value.is_nan(), value.is_sign_negative());
        }
        Ok(())
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.begin(member);
        self.push_double(value);
        Ok(())
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.begin(member);
        match member.timestamp_format_or(TimestampFormat::EpochSeconds) {
            TimestampFormat::EpochSeconds => self.push_epoch_seconds(value),
            TimestampFormat::DateTime => self.push_string(&value.date_time()),
            TimestampFormat::HttpDate => self.push_string(&value.http_date()),
        }
        Ok(())
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        self.begin(member);
        write_document(self, value)
    }

    fn write_json(
        &mut self,
        member: &'static Member,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        self.begin(member);
        write(self.out)?;
        Ok(true)
    }
}
