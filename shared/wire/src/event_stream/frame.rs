//! One message of an event stream, and its bytes.
//!
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use fractus_clock::Timestamp;

/// Lengths of the whole and of the headers, and the checksum of the two.
pub const PRELUDE_BYTES: usize = 12;
/// The prelude and the checksum at the end.
pub const FRAMING_BYTES: usize = PRELUDE_BYTES + 4;

/// Bytes that are no frame. A stream cannot go on after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the prelude's checksum does not match")]
    PreludeChecksum,
    #[error("the message's checksum does not match")]
    MessageChecksum,
    #[error("the lengths of a message contradict each other")]
    Lengths,
    #[error("a message is longer than {limit_bytes} bytes")]
    TooLong { limit_bytes: usize },
    #[error("a message has more headers than {limit}")]
    TooManyHeaders { limit: usize },
    #[error("a header is broken")]
    Header,
    #[error("the stream ends inside a message")]
    EndedEarly,
}

/// A header's value: ten types on the wire, of which two are the two booleans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    Boolean(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Bytes(Bytes),
    String(Cow<'static, str>),
    /// To the millisecond.
    Timestamp(Timestamp),
    Uuid([u8; 16]),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Cow<'static, str>,
    pub value: HeaderValue,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub headers: Vec<Header>,
    pub payload: Bytes,
}

impl Message {
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push(Header { name: Cow::Borrowed(name), value: HeaderValue::String(value.into()) });
        self
    }

    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|header| header.name == name).map(|header| &header.value)
    }

    /// The text of a header that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.header(name) {
            Some(HeaderValue::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Appends the message's frame.
    ///
    /// Names and values beyond what their length fields can hold are cut off by refusing the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let start = out.len();
        out.extend_from_slice(&[0; PRELUDE_BYTES]);
        for header in &self.headers {
            encode_header(out, header)?;
        }
        let headers_bytes = out.len() - start - PRELUDE_BYTES;
        out.extend_from_slice(&self.payload);
        let total_bytes = out.len() - start + 4;
        let (Ok(total), Ok(headers)) = (u32::try_from(total_bytes), u32::try_from(headers_bytes)) else {
            return Err(FrameError::Lengths);
        };
        out[start..start + 4].copy_from_slice(&total.to_be_bytes());
        out[start + 4..start + 8].copy_from_slice(&headers.to_be_bytes());
        let prelude = crc32(&out[start..start + 8]);
        out[start + 8..start + 12].copy_from_slice(&prelude.to_be_bytes());
        let whole = crc32(&out[start..]);
        out.extend_from_slice(&whole.to_be_bytes());
        Ok(())
    }

    /// Reads a whole frame: exactly one message.
    pub fn decode(frame: Bytes, header_limit: usize) -> Result<Message, FrameError> {
        let prelude = Prelude::read(&frame)?.ok_or(FrameError::EndedEarly)?;
        if prelude.total_bytes != frame.len() {
            return Err(FrameError::Lengths);
        }
        let (checked, checksum) = frame.split_at(frame.len() - 4);
        if crc32(checked).to_be_bytes() != *checksum {
            return Err(FrameError::MessageChecksum);
        }
        let headers_end = PRELUDE_BYTES + prelude.headers_bytes;
        let mut headers = Vec::new();
        let mut rest = frame.slice(PRELUDE_BYTES..headers_end);
        while !rest.is_empty() {
            if headers.len() >= header_limit {
                return Err(FrameError::TooManyHeaders { limit: header_limit });
            }
            headers.push(decode_header(&mut rest)?);
        }
        Ok(Message { headers, payload: frame.slice(headers_end..frame.len() - 4) })
    }
}

/// The first twelve bytes of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Prelude {
    pub total_bytes: usize,
    pub headers_bytes: usize,
}

impl Prelude {
    /// `None` while there are too few bytes.
    pub fn read(bytes: &[u8]) -> Result<Option<Prelude>, FrameError> {
        let Some((lengths, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
        let Some(checksum) = rest.first_chunk::<4>() else { return Ok(None) };
        if crc32(lengths).to_be_bytes() != *checksum {
            return Err(FrameError::PreludeChecksum);
        }
        let mut lengths = lengths.as_slice();
        let (total_bytes, headers_bytes) = (lengths.get_u32() as usize, lengths.get_u32() as usize);
        if total_bytes < FRAMING_BYTES || headers_bytes > total_bytes - FRAMING_BYTES {
            return Err(FrameError::Lengths);
        }
        Ok(Some(Prelude { total_bytes, headers_bytes }))
    }
}

/// The CRC-32 of gzip, by the crate that gzip uses: a larger one brings the tables of a hundred others along.
fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn encode_header(out: &mut Vec<u8>, header: &Header) -> Result<(), FrameError> {
    let name_bytes = u8::try_from(header.name.len()).map_err(|_| FrameError::Header)?;
    if name_bytes == 0 {
        return Err(FrameError::Header);
    }
    out.push(name_bytes);
    out.extend_from_slice(header.name.as_bytes());
    match &header.value {
        HeaderValue::Boolean(true) => out.push(0),
        HeaderValue::Boolean(false) => out.push(1),
        HeaderValue::Byte(value) => {
            out.push(2);
            out.extend_from_slice(&value.to_be_bytes());
        }
        HeaderValue::Short(value) => {
            out.push(3);
            out.extend_from_slice(&value.to_be_bytes());
        }
        HeaderValue::Integer(value) => {
            out.push(4);
            out.extend_from_slice(&value.to_be_bytes());
        }
        HeaderValue::Long(value) => {
            out.push(5);
            out.extend_from_slice(&value.to_be_bytes());
        }
        HeaderValue::Bytes(value) => {
            out.push(6);
            push_sized(out, value)?;
        }
        HeaderValue::String(value) => {
            out.push(7);
            push_sized(out, value.as_bytes())?;
        }
        HeaderValue::Timestamp(value) => {
            out.push(8);
            out.extend_from_slice(&value.millis().to_be_bytes());
        }
        HeaderValue::Uuid(value) => {
            out.push(9);
            out.extend_from_slice(value);
        }
    }
    Ok(())
}

fn push_sized(out: &mut Vec<u8>, value: &[u8]) -> Result<(), FrameError> {
    let length = u16::try_from(value.len()).map_err(|_| FrameError::Header)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

fn decode_header(rest: &mut Bytes) -> Result<Header, FrameError> {
    let broken = |_| FrameError::Header;
    let name_bytes = usize::from(rest.try_get_u8().map_err(broken)?);
    if name_bytes == 0 {
        return Err(FrameError::Header);
    }
    let name = name_of(&take(rest, name_bytes)?)?;
    let value = match rest.try_get_u8().map_err(broken)? {
        0 => HeaderValue::Boolean(true),
        1 => HeaderValue::Boolean(false),
        2 => HeaderValue::Byte(rest.try_get_i8().map_err(broken)?),
        3 => HeaderValue::Short(rest.try_get_i16().map_err(broken)?),
        4 => HeaderValue::Integer(rest.try_get_i32().map_err(broken)?),
        5 => HeaderValue::Long(rest.try_get_i64().map_err(broken)?),
        6 => HeaderValue::Bytes(take_sized(rest)?),
        7 => HeaderValue::String(Cow::Owned(text_of(&take_sized(rest)?)?.to_owned())),
        8 => HeaderValue::Timestamp(Timestamp::from_millis(rest.try_get_i64().map_err(broken)?)),
        9 => HeaderValue::Uuid(take(rest, 16)?.as_ref().try_into().map_err(|_| FrameError::Header)?),
        _ => return Err(FrameError::Header),
    };
    Ok(Header { name, value })
}

/// The names that nearly all headers have need no copy.
fn name_of(bytes: &[u8]) -> Result<Cow<'static, str>, FrameError> {
    const USUAL: [&str; 8] = [
        ":message-type",
        ":event-type",
        ":content-type",
        ":exception-type",
        ":error-code",
        ":error-message",
        ":chunk-signature",
        ":date",
    ];
    let text = text_of(bytes)?;
    let usual = USUAL.iter().find(|usual| **usual == text);
    Ok(match usual {
        Some(usual) => Cow::Borrowed(*usual),
        None => Cow::Owned(text.to_owned()),
    })
}

fn text_of(bytes: &[u8]) -> Result<&str, FrameError> {
    std::str::from_utf8(bytes).map_err(|_| FrameError::Header)
}

fn take_sized(rest: &mut Bytes) -> Result<Bytes, FrameError> {
    let length = usize::from(rest.try_get_u16().map_err(|_| FrameError::Header)?);
    take(rest, length)
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, FrameError> {
    if rest.len() < length { Err(FrameError::Header) } else { Ok(rest.split_to(length)) }
}
