//! Escaping of text and attribute values.

use std::io::Write;

const PLAIN: u8 = 0;
const ESCAPED: u8 = 1;
/// White space that an attribute's reader would turn into a blank.
const ESCAPED_IN_ATTRIBUTE: u8 = 2;
/// The first byte of U+0085 or U+2028 (line ends to XML 1.1), of U+FFFE or of U+FFFF (no XML characters).
const LEADS_TO_ESCAPED: u8 = 3;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        classes[byte] = ESCAPED;
        byte += 1;
    }
    classes[b'\t' as usize] = ESCAPED_IN_ATTRIBUTE;
    classes[b'\n' as usize] = ESCAPED_IN_ATTRIBUTE;
    classes[b'&' as usize] = ESCAPED;
    classes[b'<' as usize] = ESCAPED;
    classes[b'>' as usize] = ESCAPED;
    classes[b'"' as usize] = ESCAPED;
    classes[0xC2] = LEADS_TO_ESCAPED;
    classes[0xE2] = LEADS_TO_ESCAPED;
    classes[0xEF] = LEADS_TO_ESCAPED;
    classes
}

/// Appends `text` as character data. Quotes are escaped too, as AWS does (`&quot;` around an ETag); control characters
/// become numeric references, which is how S3 lists keys that hold them.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, false);
}

/// Appends `text` as an attribute value between double quotes.
pub fn push_attribute(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, true);
}

fn push_escaped(out: &mut Vec<u8>, text: &str, attribute: bool) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let class = CLASS[usize::from(bytes[at])];
        if class == PLAIN {
            at += 1;
            continue;
        }
        let width = match class {
            ESCAPED => 1,
            ESCAPED_IN_ATTRIBUTE if attribute => 1,
            LEADS_TO_ESCAPED => escaped_width(&bytes[at..]),
            _ => 0,
        };
        if width == 0 {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        push_reference(out, &text[at..at + width]);
        at += width;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn escaped_width(bytes: &[u8]) -> usize {
    match bytes {
        [0xC2, 0x85, ..] => 2,
        [0xE2, 0x80, 0xA8, ..] | [0xEF, 0xBF, 0xBE | 0xBF, ..] => 3,
        _ => 0,
    }
}

fn push_reference(out: &mut Vec<u8>, character: &str) {
    match character {
        "&" => out.extend_from_slice(b"&amp;"),
        "<" => out.extend_from_slice(b"&lt;"),
        ">" => out.extend_from_slice(b"&gt;"),
        "\"" => out.extend_from_slice(b"&quot;"),
        "\r" => out.extend_from_slice(b"&#13;"),
        other => {
            for code in other.chars() {
                // Writing into a Vec cannot fail.
                let _ = write!(out, "&#x{:X};", u32::from(code));
            }
        }
    }
}
