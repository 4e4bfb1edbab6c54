//! The stored form of an item: compact, self-contained, read in one pass.
//!
//! A version byte, the number of attributes, then names and values; a value is its type's byte and its content, lengths
//! as base-128 numbers. A newer form takes another version byte and reads this one.

use thiserror::Error;

use crate::number::Number;
use crate::size::{DOCUMENT_BYTES, ELEMENT_BYTES, MAX_DEPTH};
use crate::value::{Item, Map, Value};

const VERSION: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodecError {
    #[error("the stored item is of a form this program does not know")]
    Version,
    #[error("the stored item is damaged")]
    Damaged,
}

fn put_length(mut length: u128, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

fn put_number(number: Number, out: &mut Vec<u8>) {
    let (negative, exponent, whole) = number.to_parts();
    out.push(u8::from(negative));
    out.extend_from_slice(&exponent.to_be_bytes());
    put_length(whole, out);
}

fn put_map(map: &Map, out: &mut Vec<u8>) {
    put_length(map.len() as u128, out);
    for (name, value) in map.iter() {
        put_bytes(name.as_bytes(), out);
        put_value(value, out);
    }
}

fn put_all<T>(elements: &[T], out: &mut Vec<u8>, mut put: impl FnMut(&T, &mut Vec<u8>)) {
    put_length(elements.len() as u128, out);
    for element in elements {
        put(element, out);
    }
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::S(text) => {
            out.push(b's');
            put_bytes(text.as_bytes(), out);
        }
        Value::N(number) => {
            out.push(b'n');
            put_number(*number, out);
        }
        Value::B(bytes) => {
            out.push(b'b');
            put_bytes(bytes, out);
        }
        Value::SS(set) => {
            out.push(b'S');
            put_all(set, out, |text, out| put_bytes(text.as_bytes(), out));
        }
        Value::NS(set) => {
            out.push(b'N');
            put_all(set, out, |number, out| put_number(*number, out));
        }
        Value::BS(set) => {
            out.push(b'B');
            put_all(set, out, |bytes, out| put_bytes(bytes, out));
        }
        Value::M(map) => {
            out.push(b'm');
            put_map(map, out);
        }
        Value::L(list) => {
            out.push(b'l');
            put_all(list, out, put_value);
        }
        Value::Bool(false) => out.push(b'f'),
        Value::Bool(true) => out.push(b't'),
        Value::Null => out.push(b'0'),
    }
}

pub fn encode(item: &Item, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_map(item, out);
}

/// Encodes a part of an item, which is read as an item again; its entries come sorted by name.
pub fn encode_entries<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)> + Clone, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_length(entries.clone().count() as u128, out);
    for (name, value) in entries {
        put_bytes(name.as_bytes(), out);
        put_value(value, out);
    }
}

type Read<T> = Result<T, CodecError>;

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Read<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count).ok_or(CodecError::Damaged)?;
    *bytes = rest;
    Ok(front)
}

fn take_byte(bytes: &mut &[u8]) -> Read<u8> {
    take(bytes, 1).map(|byte| byte[0])
}

fn take_whole(bytes: &mut &[u8]) -> Read<u128> {
    // Nearly all are a byte or two.
    if let Some((first @ ..0x80, rest)) = bytes.split_first() {
        *bytes = rest;
        return Ok(u128::from(*first));
    }
    let mut whole = 0_u128;
    for shift in (0..u128::BITS).step_by(7) {
        let byte = take_byte(bytes)?;
        whole |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(whole);
        }
    }
    Err(CodecError::Damaged)
}

/// A length, which what is left must be able to hold: so nothing is set aside for what is not there.
fn take_length(bytes: &mut &[u8]) -> Read<usize> {
    let length = usize::try_from(take_whole(bytes)?).map_err(|_| CodecError::Damaged)?;
    if length > bytes.len() { Err(CodecError::Damaged) } else { Ok(length) }
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Read<&'a [u8]> {
    let length = take_length(bytes)?;
    take(bytes, length)
}

fn take_text(bytes: &mut &[u8]) -> Read<String> {
    let text = std::str::from_utf8(take_bytes(bytes)?).map_err(|_| CodecError::Damaged)?;
    Ok(text.to_owned())
}

fn take_number(bytes: &mut &[u8]) -> Read<Number> {
    let negative = take_byte(bytes)? == 1;
    let exponent = take(bytes, 2)?;
    let exponent = i16::from_be_bytes([exponent[0], exponent[1]]);
    Number::from_parts(negative, exponent, take_whole(bytes)?).ok_or(CodecError::Damaged)
}

fn take_all<T>(bytes: &mut &[u8], mut read: impl FnMut(&mut &[u8]) -> Read<T>) -> Read<Vec<T>> {
    let count = take_length(bytes)?;
    (0..count).map(|_| read(bytes)).collect()
}

fn take_map(bytes: &mut &[u8], depth: usize) -> Read<Map> {
    let entries = take_all(bytes, |bytes| Ok((take_text(bytes)?, take_value(bytes, depth)?)))?;
    Ok(entries.into_iter().collect())
}

fn take_value(bytes: &mut &[u8], depth: usize) -> Read<Value> {
    if depth > MAX_DEPTH {
        return Err(CodecError::Damaged);
    }
    Ok(match take_byte(bytes)? {
        b's' => Value::S(take_text(bytes)?),
        b'n' => Value::N(take_number(bytes)?),
        b'b' => Value::B(take_bytes(bytes)?.to_vec()),
        b'S' => Value::SS(take_all(bytes, take_text)?),
        b'N' => Value::NS(take_all(bytes, take_number)?),
        b'B' => Value::BS(take_all(bytes, |bytes| take_bytes(bytes).map(<[u8]>::to_vec))?),
        b'm' => Value::M(take_map(bytes, depth + 1)?),
        b'l' => Value::L(take_all(bytes, |bytes| take_value(bytes, depth + 1))?),
        b'f' => Value::Bool(false),
        b't' => Value::Bool(true),
        b'0' => Value::Null,
        _ => return Err(CodecError::Damaged),
    })
}

/// What the content of a stored value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// A text.
    S,
    /// A number.
    N,
    /// Bytes.
    B,
    /// A count, and so many texts.
    SS,
    /// A count, and so many numbers.
    NS,
    /// A count, and so many bytes.
    BS,
    /// A count, and so many names, each with its value.
    M,
    /// A count, and so many values.
    L,
    /// Nothing more.
    Bool(bool),
    /// Nothing more.
    Null,
}

/// Reads a stored item part by part, for those who need none of its values on their own: what is asked for must be what
/// comes next.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// At the count of an item's attributes.
    pub fn new(item: &'a [u8]) -> Result<Self, CodecError> {
        match item.split_first() {
            Some((&VERSION, rest)) => Ok(Cursor(rest)),
            _ => Err(CodecError::Version),
        }
    }

    /// At a place of an item where another one was left, so many bytes before its end.
    #[inline]
    pub fn with_left(item: &'a [u8], left: usize) -> Self {
        Cursor(item.get(item.len().saturating_sub(left)..).unwrap_or_default())
    }

    /// How many bytes are left.
    #[inline]
    pub const fn left(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn count(&mut self) -> Result<usize, CodecError> {
        take_length(&mut self.0)
    }

    #[inline]
    pub fn tag(&mut self) -> Result<Tag, CodecError> {
        Ok(match take_byte(&mut self.0)? {
            b's' => Tag::S,
            b'n' => Tag::N,
            b'b' => Tag::B,
            b'S' => Tag::SS,
            b'N' => Tag::NS,
            b'B' => Tag::BS,
            b'm' => Tag::M,
            b'l' => Tag::L,
            b'f' => Tag::Bool(false),
            b't' => Tag::Bool(true),
            b'0' => Tag::Null,
            _ => return Err(CodecError::Damaged),
        })
    }

    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        take_bytes(&mut self.0)
    }

    #[inline]
    pub fn text(&mut self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| CodecError::Damaged)
    }

    pub fn number(&mut self) -> Result<Number, CodecError> {
        take_number(&mut self.0)
    }

    /// Goes past a value and gives its size, as [`value_bytes`](crate::size::value_bytes) counts it.
    fn skip_value(&mut self, depth: usize) -> Result<usize, CodecError> {
        if depth > MAX_DEPTH {
            return Err(CodecError::Damaged);
        }
        let tag = self.tag()?;
        Ok(match tag {
            Tag::S | Tag::B => self.bytes()?.len(),
            Tag::N => self.number()?.size_bytes(),
            Tag::Bool(_) | Tag::Null => 1,
            Tag::SS | Tag::BS => self.sum(|cursor| Ok(cursor.bytes()?.len()))?,
            Tag::NS => self.sum(|cursor| Ok(cursor.number()?.size_bytes()))?,
            Tag::L => DOCUMENT_BYTES + self.sum(|cursor| Ok(cursor.skip_value(depth + 1)? + ELEMENT_BYTES))?,
            Tag::M => {
                let entry =
                    |cursor: &mut Self| Ok(cursor.bytes()?.len() + cursor.skip_value(depth + 1)? + ELEMENT_BYTES);
                DOCUMENT_BYTES + self.sum(entry)?
            }
        })
    }

    fn sum(&mut self, mut one: impl FnMut(&mut Self) -> Read<usize>) -> Read<usize> {
        let count = self.count()?;
        (0..count).try_fold(0, |sum, _| Ok(sum + one(self)?))
    }
}

/// The size of a stored item, as [`item_bytes`](crate::size::item_bytes) counts it.
pub fn stored_item_bytes(item: &[u8]) -> Result<usize, CodecError> {
    Cursor::new(item)?.sum(|cursor| Ok(cursor.bytes()?.len() + cursor.skip_value(1)?))
}

pub fn decode(mut bytes: &[u8]) -> Result<Item, CodecError> {
    if take_byte(&mut bytes)? != VERSION {
        return Err(CodecError::Version);
    }
    let item = take_map(&mut bytes, 1)?;
    if bytes.is_empty() { Ok(item) } else { Err(CodecError::Damaged) }
}
