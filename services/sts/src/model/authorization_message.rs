//! Encoded authorization messages: the details of a denial, for whoever may decode them.
//!
//! On AWS they are encrypted. Here they are packed: the bytes are `F`, `A`, the version 1, eight bytes of SHA-256 over
//! the packed document, and the JSON document by DEFLATE; written in base64url without padding. A service that denies
//! appends `Encoded authorization failure message: <text>` to its own, as EC2 does.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const HEADER: [u8; 3] = [b'F', b'A', 1];
const CHECK_BYTES: usize = 8;
/// No document of ours is longer; a longer one is a bomb.
const MAX_DOCUMENT_BYTES: u64 = 256 * 1024;

/// Packs the document that `fractus_policy::Explanation::authorization_message` makes.
pub fn encode(document: &Value) -> Result<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = encoder
        .write_all(document.to_string().as_bytes())
        .and_then(|()| encoder.finish())
        .map_err(|error| Error::Internal(error.to_string()))?;
    let bytes = [&HEADER[..], &check(&packed), &packed].concat();
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The document of an encoded message.
pub fn decode(message: &str) -> Result<String> {
    let invalid = |why: &str| Error::InvalidAuthorizationMessage(why.to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(message).map_err(|_| invalid("it holds characters that it must not"))?;
    let rest = bytes.strip_prefix(&HEADER).ok_or_else(|| invalid("it was not made here"))?;
    let (expected, packed) = rest.split_at_checked(CHECK_BYTES).ok_or_else(|| invalid("it is cut off"))?;
    if check(packed) != expected {
        return Err(invalid("it is damaged"));
    }
    let mut document = String::new();
    DeflateDecoder::new(packed)
        .take(MAX_DOCUMENT_BYTES)
        .read_to_string(&mut document)
        .map_err(|_| invalid("it is damaged"))?;
    // Only a whole document is one.
    serde_json::from_str::<Value>(&document).map_err(|_| invalid("it is damaged"))?;
    Ok(document)
}

fn check(packed: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Sha256::digest(packed)[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back() {
        let document = serde_json::json!({ "allowed": false, "context": { "action": "ec2:RunInstances" } });
        let message = encode(&document).unwrap();
        assert_eq!(decode(&message).unwrap(), document.to_string());
    }

    #[test]
    fn a_bomb_is_refused() {
        let document = serde_json::json!({ "x": "y".repeat(1 << 20) });
        assert!(decode(&encode(&document).unwrap()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_changed_message_is_refused(at in 0usize..80, with in "[A-Za-z0-9_-]") {
            let document = serde_json::json!({ "allowed": false, "explicitDeny": true, "context": { "action": "a:b" } });
            let message = encode(&document).unwrap();
            let mut changed = message.clone();
            let at = at % message.len();
            changed.replace_range(at..=at, &with);
            proptest::prop_assert_eq!(decode(&changed).is_ok(), changed == message);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = decode(&text);
        }
    }
}
