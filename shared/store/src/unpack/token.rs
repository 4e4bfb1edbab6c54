//! Values' beginnings, read without knowing any type.

use std::fmt;

use serde::de::{self, Unexpected};

/// What a record holds is not what its type needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackError(Box<What>);

/// In a box, so that a result is one word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct What(String);

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for UnpackError {}

impl de::Error for UnpackError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        UnpackError(Box::new(What(what.to_string())))
    }
}

#[cold]
pub(super) fn broken(what: &str) -> UnpackError {
    UnpackError(Box::new(What(what.to_owned())))
}

/// A value's beginning: a whole number or text, or how much follows.
#[derive(Clone, Copy)]
pub(super) enum Token<'de> {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    List(u32),
    Map(u32),
}

pub(super) struct Unpacker<'de> {
    pub rest: &'de [u8],
    pub depth_left: u16,
}

impl<'de> Unpacker<'de> {
    fn take(&mut self, length: usize) -> Result<&'de [u8], UnpackError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| broken("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| broken("it ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length in so many bytes.
    fn take_length(&mut self, width: u8) -> Result<u32, UnpackError> {
        Ok(match width {
            1 => self.take_array().map(u8::from_be_bytes)?.into(),
            2 => self.take_array().map(u16::from_be_bytes)?.into(),
            _ => self.take_array().map(u32::from_be_bytes)?,
        })
    }

    fn take_text(&mut self, length: u32) -> Result<Token<'de>, UnpackError> {
        let text = self.take(length as usize)?;
        std::str::from_utf8(text).map(Token::Text).map_err(|_| broken("a text is no UTF-8"))
    }

    #[inline(never)]
    pub fn token(&mut self) -> Result<Token<'de>, UnpackError> {
        let [marker] = self.take_array()?;
        Ok(match marker {
            0x00..=0x7f => Token::Unsigned(marker.into()),
            0x80..=0x8f => Token::Map((marker & 0x0f).into()),
            0x90..=0x9f => Token::List((marker & 0x0f).into()),
            0xa0..=0xbf => self.take_text((marker & 0x1f).into())?,
            0xc0 => Token::Nil,
            0xc2 => Token::Boolean(false),
            0xc3 => Token::Boolean(true),
            0xc4..=0xc6 => {
                let length = self.take_length(1 << (marker - 0xc4))?;
                Token::Bytes(self.take(length as usize)?)
            }
            0xca => Token::Float(self.take_array().map(f32::from_be_bytes)?.into()),
            0xcb => Token::Float(self.take_array().map(f64::from_be_bytes)?),
            0xcc => Token::Unsigned(self.take_array().map(u8::from_be_bytes)?.into()),
            0xcd => Token::Unsigned(self.take_array().map(u16::from_be_bytes)?.into()),
            0xce => Token::Unsigned(self.take_array().map(u32::from_be_bytes)?.into()),
            0xcf => Token::Unsigned(self.take_array().map(u64::from_be_bytes)?),
            0xd0 => Token::Signed(self.take_array().map(i8::from_be_bytes)?.into()),
            0xd1 => Token::Signed(self.take_array().map(i16::from_be_bytes)?.into()),
            0xd2 => Token::Signed(self.take_array().map(i32::from_be_bytes)?.into()),
            0xd3 => Token::Signed(self.take_array().map(i64::from_be_bytes)?),
            0xd9..=0xdb => {
                let length = self.take_length(1 << (marker - 0xd9))?;
                self.take_text(length)?
            }
            0xdc | 0xdd => Token::List(self.take_length(2 << (marker - 0xdc))?),
            0xde | 0xdf => Token::Map(self.take_length(2 << (marker - 0xde))?),
            0xe0..=0xff => Token::Signed(i8::from_be_bytes([marker]).into()),
            // Extensions and the one that is never used: no record has them.
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(broken("a value of no known form")),
        })
    }

    /// The name of a field or of a variant, where one stands next. It is only compared with the names that a type knows, so
    /// it may be any bytes: asking whether they are UTF-8 is what a small record's reading would spend its time on.
    pub fn name(&mut self) -> Result<Option<&'de [u8]>, UnpackError> {
        let (length, rest) = match self.rest {
            [marker @ 0xa0..=0xbf, rest @ ..] => (marker & 0x1f, rest),
            [0xd9, length, rest @ ..] => (*length, rest),
            _ => return Ok(None),
        };
        self.rest = rest;
        self.take(length.into()).map(Some)
    }

    pub fn is_nil(&self) -> bool {
        self.rest.first() == Some(&0xc0)
    }

    /// Passes a whole value over, however deep, without recursion.
    pub fn skip(&mut self) -> Result<(), UnpackError> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            left += match self.token()? {
                Token::List(length) => length.into(),
                Token::Map(length) => u64::from(length) * 2,
                _ => 0,
            };
        }
        Ok(())
    }
}

/// Something else than what was asked for.
#[cold]
pub(super) fn unexpected(found: Token<'_>, wanted: &dyn de::Expected) -> UnpackError {
    de::Error::invalid_type(
        match found {
            Token::Nil => Unexpected::Unit,
            Token::Boolean(value) => Unexpected::Bool(value),
            Token::Unsigned(value) => Unexpected::Unsigned(value),
            Token::Signed(value) => Unexpected::Signed(value),
            Token::Float(value) => Unexpected::Float(value),
            Token::Text(text) => Unexpected::Str(text),
            Token::Bytes(bytes) => Unexpected::Bytes(bytes),
            Token::List(_) => Unexpected::Seq,
            Token::Map(_) => Unexpected::Map,
        },
        wanted,
    )
}
