//! The first bytes of a connection: TLS, HTTP/2 or the head of an HTTP/1.1 request, read within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fractus_handoff::MAX_READ_AHEAD_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Within this a client must have sent its first head, or the beginning of a TLS handshake.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that a request may have.
pub const MAX_HEADERS: usize = 100;

const FIRST_READ_BYTES: usize = 4 * 1024;
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
const TLS_HANDSHAKE: u8 = 0x16;

/// What a connection opens with, and the bytes read to know it.
#[derive(Debug)]
pub enum Opening {
    Tls(Bytes),
    Http2(Bytes),
    /// A whole head, and perhaps more.
    Http1(BytesMut),
    Refused(Refusal),
}

/// Why a connection's first head is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TooSlow,
    TooLarge,
    Malformed,
}

/// Reads until it is clear what the connection is; `None` when the client has left.
pub async fn read(mut stream: TcpStream) -> Option<(Opening, TcpStream)> {
    let mut read = BytesMut::new();
    let reading = tokio::time::timeout(HEAD_TIMEOUT, read_opening(&mut stream, &mut read));
    let opening = match reading.await {
        Ok(opening) => opening?,
        // Nothing at all was sent: a connection held open for later, not a slow head.
        Err(_) if read.is_empty() => return None,
        Err(_) => Kind::Refused(Refusal::TooSlow),
    };
    let opening = match opening {
        Kind::Tls => Opening::Tls(read.freeze()),
        Kind::Http2 => Opening::Http2(read.freeze()),
        Kind::Http1 => Opening::Http1(read),
        Kind::Refused(why) => Opening::Refused(why),
    };
    Some((opening, stream))
}

enum Kind {
    Tls,
    Http2,
    Http1,
    Refused(Refusal),
}

async fn read_opening(stream: &mut TcpStream, read: &mut BytesMut) -> Option<Kind> {
    loop {
        if read.len() >= MAX_READ_AHEAD_BYTES {
            return Some(Kind::Refused(Refusal::TooLarge));
        }
        read.reserve(FIRST_READ_BYTES.max(read.len()).min(MAX_READ_AHEAD_BYTES - read.len()));
        let seen = read.len();
        // A client that ends before a whole head wants no answer; a broken connection cannot have one.
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
        if read[0] == TLS_HANDSHAKE {
            return Some(Kind::Tls);
        }
        let preface = read.len().min(HTTP2_PREFACE.len());
        if read[..preface] == HTTP2_PREFACE[..preface] {
            if preface == HTTP2_PREFACE.len() {
                return Some(Kind::Http2);
            }
            continue;
        }
        if ends_head(read, seen) {
            return Some(Kind::Http1);
        }
        if !begins_like_a_method(read) {
            return Some(Kind::Refused(Refusal::Malformed));
        }
    }
}

/// Whether an empty line is in `read`; what lay before `seen` was searched before.
fn ends_head(read: &[u8], seen: usize) -> bool {
    let from = seen.saturating_sub(3);
    memchr::memmem::find(&read[from..], b"\r\n\r\n").is_some() || memchr::memmem::find(&read[from..], b"\n\n").is_some()
}

/// A method is a token; empty lines before it are taken (RFC 9112 §2.2).
fn begins_like_a_method(read: &[u8]) -> bool {
    let start = read.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(read.len());
    read[start..]
        .iter()
        .take(16)
        .take_while(|byte| **byte != b' ')
        .all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

/// Says why, in the form of the one error that AWS's front ends give here, and closes.
pub async fn refuse(mut stream: TcpStream, why: Refusal, request_id: &str) {
    let (status, code, message) = match why {
        Refusal::TooSlow => ("400 Bad Request", "RequestTimeout", crate::answer::TOO_SLOW),
        Refusal::TooLarge => (
            "400 Bad Request",
            "RequestHeaderSectionTooLarge",
            "Your request header section exceeds the maximum allowed size.",
        ),
        Refusal::Malformed => ("400 Bad Request", "BadRequest", "An error occurred when parsing the HTTP request."),
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>{request_id}</RequestId></Error>"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let closing = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Bytes left unread would turn the close into a reset, and the client would lose the answer.
        let mut rest = [0; 4096];
        let mut left = 4 * MAX_READ_AHEAD_BYTES;
        while left > 0 {
            let length = stream.read(&mut rest).await?;
            if length == 0 {
                break;
            }
            left = left.saturating_sub(length);
        }
        std::io::Result::Ok(())
    };
    // The client is gone or rude; either way there is nobody to tell.
    let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_end_with_an_empty_line_wherever_the_reads_are_cut() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..head.len() {
            assert!(!ends_head(&head[..cut], 0), "{cut}");
            assert!(ends_head(head, cut), "{cut}");
        }
    }

    #[test]
    fn only_a_token_begins_a_request() {
        assert!(
            begins_like_a_method(b"GET ") && begins_like_a_method(b"\r\nM-SEARCH * ") && begins_like_a_method(b"P")
        );
        assert!(!begins_like_a_method(b"\x00\x01\x02") && !begins_like_a_method(b"SSH2.0\x80"));
    }
}
