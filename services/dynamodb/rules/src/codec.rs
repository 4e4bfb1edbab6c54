//! The stored form of an item: compact, self-contained, read in one pass.
//!
//! A version byte, the number of attributes, then names and values; a value is its type's byte and its content, lengths
//! as base-128 numbers. A newer form takes another version byte and reads this one.

use thiserror::Error;

use crate::number::Number;
use crate::size::MAX_DEPTH;
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

pub fn decode(mut bytes: &[u8]) -> Result<Item, CodecError> {
    if take_byte(&mut bytes)? != VERSION {
        return Err(CodecError::Version);
    }
    let item = take_map(&mut bytes, 1)?;
    if bytes.is_empty() { Ok(item) } else { Err(CodecError::Damaged) }
}
