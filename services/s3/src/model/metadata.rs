//! User metadata: text that travels in headers. Header bytes are Latin-1; what is more than ASCII comes, and goes back, as
//! RFC 2047's encoded words, as mail has them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata>

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use crate::error::Result;
use crate::model::names;

const PREFIX: &str = "x-amz-meta-";
/// What an encoded word of UTF-8 has room for.
const MAX_WORD: usize = 63;

/// The metadata of a request, as it is kept: names in lower case, values decoded.
pub fn given(
    headers: &HeaderMap,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    for (name, value) in metadata {
        kept.insert(name.to_ascii_lowercase(), value);
    }
    names::check_metadata(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    for (name, value) in &mut kept {
        if value.is_ascii() && !value.contains("=?") {
            continue;
        }
        let lines = headers.get_all(format!("{PREFIX}{name}")).into_iter();
        let lines: Vec<String> = lines.map(|line| latin1(line.as_bytes()).trim().to_owned()).collect();
        // A form's fields are no headers.
        let text = if lines.is_empty() { std::mem::take(value) } else { lines.join(",") };
        *value = read(&text);
    }
    Ok(kept)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// With its encoded words decoded. White space between two of them is none of the text's.
fn read(text: &str) -> String {
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        match word(from) {
            Some((value, length)) => {
                if !(after_word && before.trim().is_empty()) {
                    decoded.push_str(before);
                }
                decoded.push_str(&value);
                (rest, after_word) = (&from[length..], true);
            }
            None => {
                decoded.push_str(&rest[..at + 2]);
                (rest, after_word) = (&rest[at + 2..], false);
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The encoded word `=?charset?encoding?text?=` that a text begins with, and how long it is.
fn word(text: &str) -> Option<(String, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let encoded = &rest[..rest.find("?=")?];
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => unquoted(encoded)?,
        _ => return None,
    };
    let value = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" => latin1(&bytes),
        _ => return None,
    };
    // The marks: `=?`, two `?` between, `?=`.
    Some((value, charset.len() + encoding.len() + encoded.len() + 6))
}

fn unquoted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

fn is_plain(letter: char) -> bool {
    matches!(letter, ' '..='~' | '\t')
}

/// As a header's value: plain ASCII as it is, all else in encoded words.
pub fn written(value: String) -> String {
    let plain = value.chars().filter(|letter| is_plain(*letter)).count();
    let all = value.chars().count();
    if plain == all {
        return value;
    }
    let mut words = Vec::new();
    // What is mostly plain stays readable.
    encode(&value, plain > all - plain, &mut words);
    words.join(" ")
}

fn encode(text: &str, readable: bool, words: &mut Vec<String>) {
    let encoded = if readable { quoted(text) } else { STANDARD.encode(text) };
    let letters = text.chars().count();
    if encoded.len() > MAX_WORD && letters > 1 {
        let middle = text.char_indices().nth(letters / 2).map_or(text.len(), |(at, _)| at);
        encode(&text[..middle], readable, words);
        encode(&text[middle..], readable, words);
        return;
    }
    words.push(format!("=?UTF-8?{}?{encoded}?=", if readable { 'Q' } else { 'B' }));
}

fn quoted(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => quoted.push('_'),
            b'!'..=b'~' if !matches!(byte, b'=' | b'_' | b'?') => quoted.push(char::from(byte)),
            other => {
                quoted.push('=');
                quoted.push(char::from(HEX[usize::from(other >> 4)]));
                quoted.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(line: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", http::HeaderValue::from_bytes(line).unwrap());
        let text = String::from_utf8_lossy(line).into_owned();
        given(&headers, [("A".to_owned(), text)]).unwrap().remove("a").unwrap()
    }

    #[test]
    fn bytes_beyond_ascii_are_latin_1() {
        // AWS's own example: the header's bytes were UTF-8.
        assert_eq!(written(kept("ÄMÄZÕÑ S3".as_bytes())), "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=");
        assert_eq!(written(kept(b"AMAZONS3")), "AMAZONS3");
        assert_eq!(kept(b"\xfcber"), "über");
    }

    #[test]
    fn encoded_words_are_decoded() {
        assert_eq!(kept(b"=?UTF-8?B?w7xiZXI=?="), "über");
        assert_eq!(kept(b"a =?utf-8?q?=C3=BC_x?= =?ISO-8859-1?Q?=E4?= b"), "a ü xä b");
        for text in ["=?", "=?UTF-8?B?", "=?UTF-8?X?a?=", "=?UTF-8?B?*?=", "a=?b"] {
            assert_eq!(kept(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_mostly_plain_stays_readable() {
        assert_eq!(written("grün und blau".into()), "=?UTF-8?Q?gr=C3=BCn_und_blau?=");
        assert_eq!(written("übü".into()), "=?UTF-8?B?w7xiw7w=?=");
        assert_eq!(written("a\nb".into()), "=?UTF-8?Q?a=0Ab?=");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "[ -~äöü€😀]{0,200}") {
            prop_assume!(!text.contains("=?") || text.chars().any(|letter| !is_plain(letter)));
            let line = written(text.clone());
            prop_assert!(line.is_ascii());
            prop_assert_eq!(read(&line), text);
        }
    }
}
