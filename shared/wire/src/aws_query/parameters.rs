//! The parameters of a form, decoded once and sorted so that every prefix is one range.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::shape::{ReadError, ReadErrorKind};

/// Bounds on a form.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    pub parameters: usize,
    /// Nesting of structures, lists and maps.
    pub depth: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { parameters: 100_000, depth: 64 }
    }
}

#[derive(Debug)]
pub(crate) struct Parameter<'a> {
    pub key: Cow<'a, str>,
    pub value: Cow<'a, str>,
}

/// Decoded parameters in the order of their paths: all of `A`, then `A.x`, `A.x.y`, `A.z`, then `AB`.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    pub(crate) sorted: Vec<Parameter<'a>>,
}

impl<'a> Parameters<'a> {
    /// Reads one or two encoded forms (a query string, a body).
    pub fn parse(forms: &[&'a [u8]], limits: &QueryLimits) -> Result<Self, ReadError> {
        let mut sorted = Vec::with_capacity(16);
        for form in forms {
            for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                if sorted.len() >= limits.parameters {
                    return Err(ReadError::new(ReadErrorKind::TooLarge, "the request has too many parameters"));
                }
                let split = memchr::memchr(b'=', pair);
                let (key, value) = split.map_or((pair, &pair[pair.len()..]), |at| (&pair[..at], &pair[at + 1..]));
                sorted.push(Parameter { key: decode(key)?, value: decode(value)? });
            }
        }
        // Stable: of two parameters with one name the first stays first, and it is the one that counts.
        sorted.sort_by(|one, other| by_path(&one.key, &other.key));
        Ok(Parameters { sorted })
    }

    /// The value of the parameter with exactly this name.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.sorted.partition_point(|parameter| by_path(&parameter.key, key) == Ordering::Less);
        self.sorted.get(at).filter(|parameter| parameter.key == key).map(|parameter| &*parameter.value)
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

/// Byte order with the dot before everything else, which keeps each prefix together.
fn by_path(one: &str, other: &str) -> Ordering {
    let rank = |byte: &u8| if *byte == b'.' { 0 } else { u16::from(*byte) + 1 };
    one.as_bytes().iter().map(rank).cmp(other.as_bytes().iter().map(rank))
}

/// `application/x-www-form-urlencoded`: a plus is a blank, a percent sign begins a byte in hexadecimal.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    let malformed = || ReadError::malformed("the query string contains a syntax error");
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| malformed());
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next().and_then(hex), rest.next().and_then(hex));
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or_else(malformed)?
            }
            other => *other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| malformed())
}

fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
