//! Request bodies with `Content-Encoding: gzip`, which SDKs send to operations that allow request compression.
//!
//! Only whole bodies: no service takes a compressed stream apart. An operation that binds the encoding to a member (S3
//! keeps it with the object) gets the body as it came.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

use crate::failure::Failure;
use crate::schema::{Location, OperationSchema};

/// Clients compress bodies from this size on, unless they are told another.
pub const MIN_COMPRESSED_BYTES: usize = 10_240;

/// Bounds on what a body may become.
#[derive(Clone, Copy, Debug)]
pub struct InflateLimits {
    pub bytes: u64,
    /// So many times its compressed size, beyond [`InflateLimits::free_bytes`].
    pub ratio: u64,
    /// Up to here the ratio does not matter: small bodies of one repeated word shrink a lot.
    pub free_bytes: u64,
}

impl Default for InflateLimits {
    fn default() -> Self {
        InflateLimits { bytes: 64 * 1024 * 1024, ratio: 200, free_bytes: 1024 * 1024 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    #[error("the body is not gzip")]
    Broken(#[source] std::io::Error),
    #[error("the body is longer than {limit_bytes} bytes when it is unpacked")]
    TooLong { limit_bytes: u64 },
}

impl From<InflateError> for Failure {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Broken(_) => Failure::new("SerializationException", 400, error.to_string()),
            InflateError::TooLong { .. } => Failure::new("RequestEntityTooLarge", 413, error.to_string()),
        }
    }
}

/// Whether the request's body is packed: gzip is the outermost (last) of its encodings.
pub fn is_packed(headers: &HeaderMap) -> bool {
    let last = headers.get_all(CONTENT_ENCODING).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|value| value.rsplit(',').next()).map(str::trim);
    last.is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip"))
}

/// Whether the operation's body is unpacked before it is read.
pub fn is_unpacked(operation: &OperationSchema) -> bool {
    let keeps_encoding = |member: &crate::schema::Member| {
        member.location == Location::Header && member.wire_name.eq_ignore_ascii_case("content-encoding")
    };
    operation.request_compression || !operation.input.members.iter().any(keeps_encoding)
}

/// Unpacks a body.
pub fn inflate(body: &[u8], limits: &InflateLimits) -> Result<Bytes, InflateError> {
    let packed_bytes = body.len() as u64;
    let limit_bytes = limits.bytes.min(packed_bytes.saturating_mul(limits.ratio).max(limits.free_bytes));
    let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(1024 * 1024));
    let mut decoder = MultiGzDecoder::new(body).take(limit_bytes + 1);
    decoder.read_to_end(&mut unpacked).map_err(InflateError::Broken)?;
    if unpacked.len() as u64 > limit_bytes {
        return Err(InflateError::TooLong { limit_bytes });
    }
    Ok(Bytes::from(unpacked))
}

/// Takes the outermost encoding off the header, once the body is unpacked.
pub fn take_off(headers: &mut HeaderMap) {
    let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let all = values.collect::<Vec<_>>().join(",");
    let rest = all.rsplit_once(',').and_then(|(rest, _)| HeaderValue::from_str(rest.trim()).ok());
    headers.remove(CONTENT_ENCODING);
    if let Some(rest) = rest {
        headers.insert(CONTENT_ENCODING, rest);
    }
}

/// Packs a client's body, where the operation allows it and it is worth it, and says so in the headers.
pub fn pack(operation: &OperationSchema, headers: &mut HeaderMap, body: Bytes, min_bytes: usize) -> Bytes {
    if !operation.request_compression || body.len() < min_bytes {
        return body;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let packed = encoder.write_all(&body).and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return body };
    let earlier = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = earlier.map_or_else(|| "gzip".to_owned(), |earlier| format!("{earlier}, gzip"));
    if let Ok(encoding) = HeaderValue::from_str(&encoding) {
        headers.insert(CONTENT_ENCODING, encoding);
        return Bytes::from(packed);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_shapes::{EVERYTHING, operation};

    fn packed(body: &[u8]) -> Bytes {
        let mut operation = operation("Put", &EVERYTHING, &EVERYTHING);
        operation.request_compression = true;
        let mut headers = HeaderMap::new();
        let packed = pack(&operation, &mut headers, Bytes::copy_from_slice(body), 0);
        assert!(is_packed(&headers));
        packed
    }

    #[test]
    fn a_body_comes_back() {
        let body = b"Action=PutMetricData&Version=2010-08-01".repeat(100);
        assert_eq!(inflate(&packed(&body), &InflateLimits::default()).unwrap(), body);
        let mut twice = packed(b"one").to_vec();
        twice.extend_from_slice(&packed(b"two"));
        assert_eq!(inflate(&twice, &InflateLimits::default()).unwrap(), &b"onetwo"[..]);
    }

    #[test]
    fn bombs_are_refused_before_they_unfold() {
        let bomb = packed(&vec![0; 32 * 1024 * 1024]);
        assert!(bomb.len() < 256 * 1024);
        let refused = inflate(&bomb, &InflateLimits::default());
        assert!(matches!(refused, Err(InflateError::TooLong { .. })), "{refused:?}");
        let small = InflateLimits { bytes: 10, ..InflateLimits::default() };
        assert!(matches!(inflate(&packed(b"hello, hello"), &small), Err(InflateError::TooLong { limit_bytes: 10 })));
    }

    #[test]
    fn broken_bodies_are_refused() {
        for broken in [&b""[..], b"plain", &packed(b"hello")[..10]] {
            assert!(matches!(inflate(broken, &InflateLimits::default()), Err(InflateError::Broken(_))), "{broken:?}");
        }
        let mut changed = packed(b"hello").to_vec();
        let at = changed.len() - 6;
        changed[at] ^= 1;
        assert!(matches!(inflate(&changed, &InflateLimits::default()), Err(InflateError::Broken(_))));
    }

    #[test]
    fn small_bodies_and_other_operations_stay_as_they_are() {
        let mut headers = HeaderMap::new();
        let mut operation = operation("Put", &EVERYTHING, &EVERYTHING);
        assert_eq!(pack(&operation, &mut headers, Bytes::from_static(b"x"), 0), "x");
        operation.request_compression = true;
        assert_eq!(pack(&operation, &mut headers, Bytes::from_static(b"x"), 2), "x");
        assert!(!is_packed(&headers));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("custom"));
        pack(&operation, &mut headers, Bytes::from_static(b"x"), 0);
        assert_eq!(headers[CONTENT_ENCODING], "custom, gzip");
        assert!(is_packed(&headers) && is_unpacked(&operation));
    }
}
