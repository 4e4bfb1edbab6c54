//! The canonical request: one text for every way of writing the same HTTP request.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use http::HeaderMap;
use smallvec::SmallVec;

use crate::crypto::{decode_first, is_unreserved, push_encoded};

/// What is signed of a request, but for its body. Borrowed from `http::request::Parts`, or put together by hand.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a str,
    /// The path as it travels: percent-encoded once.
    pub path: &'a str,
    /// The query as it travels, without the question mark.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// The authority of the request target, used where there is no `host` header (HTTP/2's `:authority`).
    pub authority: Option<&'a str>,
}

impl<'a> From<&'a http::request::Parts> for RequestView<'a> {
    fn from(parts: &'a http::request::Parts) -> Self {
        RequestView {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(|authority| authority.as_str()),
        }
    }
}

impl<'a> RequestView<'a> {
    /// The host the request names: its `host` header, else its target's authority.
    pub fn host(&self) -> Option<&'a str> {
        self.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).or(self.authority)
    }

    /// The value of a header, if it is there and visible ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// How a service makes the path canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStyle {
    /// Dot segments and repeated slashes are removed, then the encoded path is encoded a second time.
    Standard,
    /// S3's keys may hold anything, so that the path is taken as it is, encoded once.
    S3,
}

impl PathStyle {
    /// The style of a service, by its signing name.
    pub fn of(service: &str) -> Self {
        match service {
            "s3" | "s3express" | "s3-outposts" | "s3-object-lambda" => PathStyle::S3,
            _ => PathStyle::Standard,
        }
    }
}

/// The ways a sender may have read the same request where AWS's rule leaves room; verification tries them in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// S3: decode the path and encode it anew, for senders that put reserved characters into the target bare.
    pub reencode_path: bool,
    /// A plus in the query stands for a space (as forms write it) and not for itself.
    pub plus_is_space: bool,
}

impl Reading {
    pub const PLAIN: Reading = Reading { reencode_path: false, plus_is_space: false };

    /// All readings that differ for this request; the plain one first, mostly the only one.
    pub fn all(request: &RequestView<'_>, style: PathStyle) -> SmallVec<[Reading; 4]> {
        let mut readings = SmallVec::new();
        let bare = style == PathStyle::S3 && !request.path.bytes().all(|byte| is_unreserved(byte) || byte == b'/');
        let plus = request.query.contains('+');
        for reencode_path in [false, true] {
            for plus_is_space in [false, true] {
                if (!reencode_path || bare) && (!plus_is_space || plus) {
                    readings.push(Reading { reencode_path, plus_is_space });
                }
            }
        }
        readings
    }
}

/// The names in a `SignedHeaders` list, in its order.
pub(crate) fn header_names(signed_headers: &str) -> impl Iterator<Item = &str> {
    signed_headers.split(';').filter(|name| !name.is_empty())
}

/// The canonical request, in bytes: header values need not be UTF-8.
pub(crate) fn canonical_request(
    request: &RequestView<'_>,
    style: PathStyle,
    reading: Reading,
    signed_headers: &str,
    payload_hash: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + request.path.len() + request.query.len());
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    write_path(&mut out, request.path, style, reading);
    out.push(b'\n');
    write_query(&mut out, request.query, reading.plus_is_space);
    out.push(b'\n');
    for name in header_names(signed_headers) {
        write_header(&mut out, request, name);
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_hash.as_bytes());
    out
}

fn write_path(out: &mut Vec<u8>, path: &str, style: PathStyle, reading: Reading) {
    let path = if path.is_empty() { "/" } else { path };
    match style {
        PathStyle::S3 if reading.reencode_path => {
            let mut rest = path.as_bytes();
            while let Some((byte, length)) = decode_first(rest) {
                push_path_byte(out, byte);
                rest = &rest[length..];
            }
        }
        PathStyle::S3 => out.extend_from_slice(path.as_bytes()),
        PathStyle::Standard => write_normalized_path(out, path),
    }
}

fn push_path_byte(out: &mut Vec<u8>, byte: u8) {
    if byte == b'/' { out.push(byte) } else { push_encoded(out, byte) }
}

/// RFC 3986's "remove dot segments", with repeated slashes taken as one, encoded once more.
fn write_normalized_path(out: &mut Vec<u8>, path: &str) {
    let mut segments: SmallVec<[&str; 8]> = SmallVec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    if segments.is_empty() {
        return out.push(b'/');
    }
    for segment in &segments {
        out.push(b'/');
        segment.bytes().for_each(|byte| push_encoded(out, byte));
    }
    if path.ends_with('/') {
        out.push(b'/');
    }
}

/// Names and values decoded and encoded by SigV4's rule, sorted by name and then by value; `X-Amz-Signature` left out.
fn write_query(out: &mut Vec<u8>, query: &str, plus_is_space: bool) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len() + 16);
    let mut pairs: SmallVec<[(usize, usize, usize); 16]> = SmallVec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "X-Amz-Signature" {
            continue;
        }
        let start = encoded.len();
        reencode(&mut encoded, name, plus_is_space);
        let middle = encoded.len();
        reencode(&mut encoded, value, plus_is_space);
        pairs.push((start, middle, encoded.len()));
    }
    let parts = |&(start, middle, end): &(usize, usize, usize)| (&encoded[start..middle], &encoded[middle..end]);
    pairs.sort_by(|left, right| parts(left).cmp(&parts(right)));
    for (index, pair) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        let (name, value) = parts(pair);
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

fn reencode(out: &mut Vec<u8>, text: &str, plus_is_space: bool) {
    let mut rest = text.as_bytes();
    loop {
        // Most of a query needs no encoding: it is copied in runs.
        let run = rest.iter().position(|byte| !is_unreserved(*byte)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..run]);
        rest = &rest[run..];
        let Some((byte, length)) = decode_first(rest) else { return };
        let byte = if byte == b'+' && length == 1 && plus_is_space { b' ' } else { byte };
        push_encoded(out, byte);
        rest = &rest[length..];
    }
}

/// `name:value\n`; several lines of one name are joined by commas, runs of spaces become one.
fn write_header(out: &mut Vec<u8>, request: &RequestView<'_>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut first = true;
    for value in request.headers.get_all(name) {
        if !first {
            out.push(b',');
        }
        first = false;
        write_trimmed(out, value.as_bytes());
    }
    if first && name == "host" {
        write_trimmed(out, request.authority.unwrap_or_default().as_bytes());
    }
    out.push(b'\n');
}

fn write_trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    for word in value.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty()) {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, style: PathStyle, reencode_path: bool) -> String {
        let mut out = Vec::new();
        write_path(&mut out, path, style, Reading { reencode_path, plus_is_space: false });
        String::from_utf8(out).unwrap()
    }

    fn query(query: &str, plus_is_space: bool) -> String {
        let mut out = Vec::new();
        write_query(&mut out, query, plus_is_space);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths() {
        assert_eq!(path("/a//b/../c%20d/", PathStyle::Standard, false), "/a/c%2520d/");
        assert_eq!(path("", PathStyle::Standard, false), "/");
        assert_eq!(path("/..", PathStyle::Standard, false), "/");
        assert_eq!(path("/a//b/../c%20d/", PathStyle::S3, false), "/a//b/../c%20d/");
        assert_eq!(path("/a(1)%2b", PathStyle::S3, true), "/a%281%29%2B");
    }

    #[test]
    fn queries() {
        assert_eq!(query("b=2&a=%7e&a=1&c&X-Amz-Signature=x", false), "a=1&a=~&b=2&c=");
        assert_eq!(query("a=x+y%2B", false), "a=x%2By%2B");
        assert_eq!(query("a=x+y%2B", true), "a=x%20y%2B");
        assert_eq!(query("a=100%", false), "a=100%25");
        // By name first: "a" sorts before "a-b" although '-' sorts before '='.
        assert_eq!(query("a-b=1&a=2", false), "a=2&a-b=1");
    }
}
