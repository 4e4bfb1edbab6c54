//! A message as it is sent: what is allowed in it, how big it is, and the digests that SDKs verify.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use indexmap::IndexMap;
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::store::AttributeValue;

/// The most message attributes a message may carry.
const MAX_ATTRIBUTES: usize = 10;

pub fn hex_md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// The digest over message attributes: sorted by name, each name, type and value with its length before it.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>
pub fn md5_of_attributes<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a AttributeValue)>) -> Option<String> {
    let mut sorted: Vec<_> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_by_key(|(name, _)| *name);
    let mut digest = Md5::new();
    for (name, value) in sorted {
        put_with_length(&mut digest, name.as_bytes());
        put_with_length(&mut digest, value.data_type.as_bytes());
        match (&value.string, &value.binary) {
            (Some(text), _) => {
                digest.update([1u8]);
                put_with_length(&mut digest, text.as_bytes());
            }
            (None, binary) => {
                digest.update([2u8]);
                put_with_length(&mut digest, binary.as_deref().unwrap_or_default());
            }
        }
    }
    Some(hex::encode(digest.finalize()))
}

fn put_with_length(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

/// What counts against the size limit: the body, and each attribute's name, type and value.
pub fn size_bytes(body: &str, attributes: &IndexMap<String, AttributeValue>) -> usize {
    let of_attributes: usize = attributes
        .iter()
        .map(|(name, value)| {
            let content = value.string.as_ref().map_or(0, String::len) + value.binary.as_ref().map_or(0, |b| b.len());
            name.len() + value.data_type.len() + content
        })
        .sum();
    body.len() + of_attributes
}

/// Checks a body's characters and presence.
pub fn check_body(body: &str) -> Result<()> {
    if body.is_empty() {
        return Err(Error::MissingParameter { name: "MessageBody".into() });
    }
    // Bytes from 0x20 up are always fine but for the two noncharacters; only those need a closer look.
    let suspicious = body.bytes().any(|byte| byte < 0x20 && !matches!(byte, 9 | 10 | 13));
    if suspicious || body.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Err(Error::InvalidMessageContents {
            message: "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF".into(),
        });
    }
    Ok(())
}

pub fn check_size(size_bytes: usize, max_message_bytes: u32) -> Result<()> {
    if size_bytes > max_message_bytes as usize {
        return Err(Error::invalid_parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {max_message_bytes} bytes."
        )));
    }
    Ok(())
}

pub fn check_attributes(attributes: &IndexMap<String, AttributeValue>) -> Result<()> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Error::invalid_parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            attributes.len()
        )));
    }
    attributes.iter().try_for_each(|(name, value)| {
        check_attribute_name(name)?;
        check_attribute_value(name, value)
    })
}

fn check_attribute_name(name: &str) -> Result<()> {
    let lower = name.get(..7).unwrap_or(name).to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    let characters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || name.len() > 256 || !characters || dots {
        return Err(Error::invalid_parameter(format!(
            "Message (user) attribute name '{name}' is invalid: it can contain A-Z, a-z, 0-9, underscore, hyphen and period, must not start or end with a period or hold two in a row, and can be up to 256 characters long."
        )));
    }
    if reserved {
        return Err(Error::invalid_parameter(format!(
            "Message (user) attribute name '{name}' is invalid: it must not start with AWS-reserved prefixes such as AWS. or Amazon."
        )));
    }
    Ok(())
}

fn check_attribute_value(name: &str, value: &AttributeValue) -> Result<()> {
    let data_type = value.data_type.as_str();
    if data_type.is_empty() {
        return Err(Error::invalid_parameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    let base = data_type.split('.').next().unwrap_or_default();
    if !matches!(base, "String" | "Number" | "Binary") || data_type.len() > 256 {
        return Err(Error::invalid_parameter(format!(
            "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String."
        )));
    }
    let (present, other, field) = if base == "Binary" {
        (value.binary.as_ref().is_some_and(|bytes| !bytes.is_empty()), value.string.is_some(), "Binary")
    } else {
        (value.string.as_ref().is_some_and(|text| !text.is_empty()), value.binary.is_some(), "String")
    };
    if other {
        return Err(Error::invalid_parameter(format!(
            "The message attribute '{name}' with type '{data_type}' must use field '{field}'."
        )));
    }
    if !present {
        return Err(Error::invalid_parameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{base}'."
        )));
    }
    let text = value.string.as_deref().unwrap_or_default();
    if base == "Number" && !is_number(text) {
        return Err(Error::invalid_parameter(format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
    if base == "String" {
        check_body(text)?;
    }
    Ok(())
}

/// A decimal number, with sign, fraction and exponent allowed.
fn is_number(text: &str) -> bool {
    let starts_well =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.'));
    starts_well && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Checks a group id or deduplication id of a FIFO send.
pub fn check_fifo_id(parameter: &str, id: &str) -> Result<()> {
    let valid = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if valid {
        return Ok(());
    }
    let reason = format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(Error::invalid_value(id, parameter, &reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data_type: &str, value: &str) -> AttributeValue {
        AttributeValue { data_type: data_type.into(), string: Some(value.into()), binary: None }
    }

    #[test]
    fn the_attribute_digest_is_the_one_sdks_compute() {
        // The example that AWS's SDKs test their own calculation with.
        let attributes = [
            (
                "test_attr2".to_owned(),
                AttributeValue {
                    data_type: "Binary".into(),
                    string: None,
                    binary: Some("bytes".as_bytes().to_vec().into()),
                },
            ),
            ("test_attr1".to_owned(), text("String", "value")),
        ];
        let pairs = || attributes.iter().map(|(name, value)| (name.as_str(), value));
        let forward = md5_of_attributes(pairs());
        assert_eq!(forward, md5_of_attributes(pairs().rev()));
        let mut expected = Vec::new();
        for (name, kind, tag, value) in [("test_attr1", "String", 1u8, "value"), ("test_attr2", "Binary", 2, "bytes")] {
            for part in [name, kind] {
                expected.extend_from_slice(&(part.len() as u32).to_be_bytes());
                expected.extend_from_slice(part.as_bytes());
            }
            expected.push(tag);
            expected.extend_from_slice(&(value.len() as u32).to_be_bytes());
            expected.extend_from_slice(value.as_bytes());
        }
        assert_eq!(forward, Some(hex_md5(&expected)));
        assert_eq!(md5_of_attributes([]), None);
    }

    #[test]
    fn bodies_hold_only_xml_characters() {
        assert!(check_body("a\tb\r\n\u{1F600}").is_ok());
        assert!(matches!(check_body("a\u{0}"), Err(Error::InvalidMessageContents { .. })));
        assert!(matches!(check_body("\u{FFFF}"), Err(Error::InvalidMessageContents { .. })));
        assert!(matches!(check_body(""), Err(Error::MissingParameter { .. })));
    }

    #[test]
    fn attributes_are_checked() {
        let check = |name: &str, value: AttributeValue| check_attributes(&IndexMap::from([(name.to_owned(), value)]));
        assert!(check("a.b-c_1", text("String.custom", "x")).is_ok());
        assert!(check("n", text("Number", "-1.5e3")).is_ok());
        for (name, value) in [
            ("AWS.x", text("String", "x")),
            ("amazon.x", text("String", "x")),
            (".a", text("String", "x")),
            ("a..b", text("String", "x")),
            ("n", text("Number", "x")),
            ("n", text("Number", "inf")),
            ("s", text("String", "")),
            ("s", text("Strang", "x")),
            ("b", text("Binary", "x")),
        ] {
            assert!(check(name, value.clone()).is_err(), "{name} {value:?}");
        }
        let eleven = (0..11).map(|index| (format!("a{index}"), text("String", "x"))).collect();
        assert_eq!(
            check_attributes(&eleven).unwrap_err().to_string(),
            "Number of message attributes [11] exceeds the allowed maximum [10]."
        );
    }

    #[test]
    fn size_counts_names_types_and_values() {
        let attributes = IndexMap::from([("ab".to_owned(), text("String", "xyz"))]);
        assert_eq!(size_bytes("body", &attributes), 4 + 2 + 6 + 3);
    }
}
