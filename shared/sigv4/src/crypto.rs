//! The primitives: SHA-256, HMAC-SHA256, hexadecimal, constant-time comparison, percent-encoding.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// SHA-256 of nothing, in hexadecimal.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of `bytes`, in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

/// HMAC takes a key of any length, so that building it cannot fail; the fallback keeps the code free of panics.
pub(crate) fn hmac_key(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).unwrap_or_else(|_| HmacSha256::new(&Default::default()))
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = hmac_key(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether two texts are the same, in a time that depends on their lengths alone.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r)) == 0
}

/// RFC 3986's unreserved characters: the only ones that SigV4 leaves as they are.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

pub(crate) fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Percent-encodes as SigV4 demands it: everything but the unreserved characters, hexadecimal in upper case.
pub fn uri_encode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 8);
    text.bytes().for_each(|byte| push_encoded(&mut out, byte));
    String::from_utf8(out).unwrap_or_default()
}

/// The byte that begins `text`, a percent-encoded triple counting as one; and how much of `text` it takes.
pub(crate) fn decode_first(text: &[u8]) -> Option<(u8, usize)> {
    let nibble = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    match text {
        [] => None,
        [b'%', high, low, ..] => match (nibble(high), nibble(low)) {
            (Some(high), Some(low)) => Some((high << 4 | low, 3)),
            _ => Some((b'%', 1)),
        },
        [byte, ..] => Some((*byte, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_and_decodes() {
        assert_eq!(sha256_hex(b""), EMPTY_SHA256);
        assert_eq!(uri_encode("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(decode_first(b"%2fx"), Some((b'/', 3)));
        assert_eq!(decode_first(b"%2"), Some((b'%', 1)));
        assert_eq!(decode_first(b"%zz"), Some((b'%', 1)));
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
