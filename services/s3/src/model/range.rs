//! The Range header, as S3 reads it: one range of bytes; anything else is ignored.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#name-range>

use crate::error::{Error, Result};

/// Bytes `first..=last` of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

impl ByteRange {
    pub fn length(&self) -> u64 {
        self.last - self.first + 1
    }

    /// `bytes 0-9/100`.
    pub fn content_range(&self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.first, self.last)
    }
}

/// The part of an object of `size` bytes that `header` asks for; `None` if it asks for no single byte range, which
/// means the whole object.
pub fn requested(header: &str, size: u64) -> Result<Option<ByteRange>> {
    let Some((unit, spec)) = header.trim().split_once('=') else { return Ok(None) };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Ok(None);
    }
    let Some((first, last)) = spec.split_once('-') else { return Ok(None) };
    let (first, last) = (first.trim(), last.trim());
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let unsatisfiable = || Error::InvalidRange { requested: header.to_owned(), size };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => match number(last) {
            None => Ok(None),
            Some(0) => Err(unsatisfiable()),
            Some(_) if size == 0 => Err(unsatisfiable()),
            Some(suffix) => Ok(Some(ByteRange { first: size.saturating_sub(suffix), last: size - 1 })),
        },
        (false, _) => {
            let Some(first) = number(first) else { return Ok(None) };
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            let Some(last) = last else { return Ok(None) };
            if last < first {
                return Ok(None);
            }
            if first >= size {
                return Err(unsatisfiable());
            }
            Ok(Some(ByteRange { first, last: last.min(size - 1) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(header: &str, size: u64) -> Option<(u64, u64)> {
        requested(header, size).unwrap().map(|range| (range.first, range.last))
    }

    #[test]
    fn each_form() {
        assert_eq!(range("bytes=0-9", 100), Some((0, 9)));
        assert_eq!(range("bytes=90-", 100), Some((90, 99)));
        assert_eq!(range("Bytes=-10", 100), Some((90, 99)));
        assert_eq!(range("bytes=-1000", 100), Some((0, 99)));
        assert_eq!(range("bytes=95-1000", 100), Some((95, 99)));
        for ignored in ["bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=+1-2"] {
            assert_eq!(range(ignored, 100), None, "{ignored}");
        }
        for refused in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert!(requested(refused, 100).is_err(), "{refused}");
        }
        assert!(requested("bytes=0-", 0).is_err());
        assert!(requested("bytes=-1", 0).is_err());
    }
}
