//! What may be published, and the parts of a message.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html> and
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>

use std::collections::BTreeMap;

use fractus_sns_api as api;
use indexmap::IndexMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::{AttributeValue, Message, Topic};

/// The most bytes of a message, its attributes included; of a batch all messages together.
pub const MAX_BYTES: usize = 262_144;
const MAX_SUBJECT_CHARS: usize = 100;
const MAX_FIFO_ID_CHARS: usize = 128;

/// A message's parts as they come over the wire or with a delivery.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub message: String,
    pub subject: Option<String>,
    pub structure: Option<String>,
    pub attributes: IndexMap<String, AttributeValue>,
    pub group_id: Option<String>,
    pub deduplication_id: Option<String>,
}

/// Checks what needs no topic; gives the message without id and time, and its size in bytes.
pub fn checked(parts: Parts) -> Result<(Message, usize)> {
    if parts.message.is_empty() {
        return Err(Error::invalid("Empty message"));
    }
    if let Some(subject) = &parts.subject {
        check_subject(subject)?;
    }
    check_attributes(&parts.attributes)?;
    let size = parts.message.len() + attributes_bytes(&parts.attributes);
    if size > MAX_BYTES {
        return Err(Error::invalid("Message too long"));
    }
    for (name, id) in [("MessageGroupId", &parts.group_id), ("MessageDeduplicationId", &parts.deduplication_id)] {
        if let Some(id) = id {
            check_fifo_id(name, id)?;
        }
    }
    let (text, texts) = match parts.structure.as_deref() {
        None | Some("") => (parts.message, BTreeMap::new()),
        Some("json") => texts_of(&parts.message)?,
        Some(_) => return Err(Error::invalid("MessageStructure")),
    };
    let message = Message {
        text,
        texts,
        subject: parts.subject,
        attributes: parts.attributes,
        group_id: parts.group_id,
        deduplication_id: parts.deduplication_id,
        ..Message::default()
    };
    Ok((message, size))
}

/// The same for a device: of a structured message it gets the text of its platform, or the default.
pub fn checked_for_device(mut parts: Parts, platform: &str) -> Result<(Message, usize)> {
    if parts.structure.as_deref() == Some("json") {
        let wrong = || Error::invalid("Message Structure - JSON message body failed to parse");
        let value: Value = serde_json::from_str(&parts.message).map_err(|_| wrong())?;
        let members = value.as_object().ok_or_else(wrong)?;
        let text = [platform, "default"].iter().find_map(|name| members.get(*name)?.as_str());
        let Some(text) = text else {
            return Err(Error::invalid(format!("JSON must contain an entry for 'default' or '{platform}'.")));
        };
        parts.message = text.to_owned();
        parts.structure = None;
    }
    checked(parts)
}

/// The texts of a structured message: members that are no texts are ignored, `default` has to be there.
fn texts_of(message: &str) -> Result<(String, BTreeMap<String, String>)> {
    let wrong = || Error::invalid("Message Structure - JSON message body failed to parse");
    let value: Value = serde_json::from_str(message).map_err(|_| wrong())?;
    let Value::Object(members) = value else { return Err(wrong()) };
    let texts = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    let mut texts: BTreeMap<String, String> = texts.collect();
    let Some(default) = texts.remove("default") else {
        return Err(Error::invalid("Message Structure - No default entry in JSON message body"));
    };
    Ok((default, texts))
}

/// Up to 100 characters on one line, without control characters.
fn check_subject(subject: &str) -> Result<()> {
    let count = subject.chars().count();
    let good = (1..=MAX_SUBJECT_CHARS).contains(&count) && !subject.chars().any(char::is_control);
    if good && !subject.starts_with(' ') { Ok(()) } else { Err(Error::invalid("Subject")) }
}

/// Up to 128 letters, digits and marks.
fn check_fifo_id(name: &str, id: &str) -> Result<()> {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    if id.is_empty() || id.len() > MAX_FIFO_ID_CHARS || !plain {
        return Err(Error::invalid_because(
            name,
            format!(
                "{name} can only include alphanumeric and punctuation characters. 1 to {MAX_FIFO_ID_CHARS} in length"
            ),
        ));
    }
    Ok(())
}

fn check_attributes(attributes: &IndexMap<String, AttributeValue>) -> Result<()> {
    for (name, value) in attributes {
        check_attribute_name(name)?;
        let wrong = |reason: String| Error::InvalidParameterValue(format!("The message attribute '{name}' {reason}"));
        let data_type = value.data_type.as_str();
        let kind = data_type.split('.').next().unwrap_or_default();
        if data_type.is_empty() {
            return Err(wrong("must contain non-empty message attribute type.".to_owned()));
        }
        if !matches!(kind, "Binary" | "Number" | "String") || data_type.len() > 256 {
            return Err(wrong(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.".to_owned(),
            ));
        }
        let is_empty = match kind {
            "Binary" => value.binary.as_ref().is_none_or(bytes::Bytes::is_empty),
            _ => value.string.as_deref().is_none_or(str::is_empty),
        };
        if is_empty {
            return Err(wrong(format!(
                "must contain non-empty message attribute value for message attribute type '{data_type}'."
            )));
        }
        if kind == "Number" && value.string.as_deref().is_none_or(|text| !is_number(text)) {
            return Err(Error::InvalidParameterValue(format!(
                "Could not cast message attribute '{name}' value to number."
            )));
        }
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    plain && text.parse::<f64>().is_ok()
}

fn check_attribute_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let lower = name.to_ascii_lowercase();
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || name.len() > 256 || !plain || dots {
        return Err(Error::InvalidParameterValue(format!(
            "Invalid message attribute name: '{name}'. It can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.), must not start or end with a period, and must not have successive periods."
        )));
    }
    // SMS and push have attributes of AWS's own: AWS.SNS.SMS.SenderID, AWS.SNS.MOBILE.APNS.PUSH_TYPE ...
    let is_ours = lower.starts_with("aws.sns.") || lower.starts_with("aws.mm.");
    if !is_ours && (lower.starts_with("aws.") || lower.starts_with("amazon.")) {
        return Err(Error::InvalidParameterValue(format!(
            "The message attribute name '{name}' uses a reserved prefix."
        )));
    }
    Ok(())
}

fn attributes_bytes(attributes: &IndexMap<String, AttributeValue>) -> usize {
    let value_bytes = |value: &AttributeValue| {
        value.string.as_ref().map_or(0, String::len) + value.binary.as_ref().map_or(0, bytes::Bytes::len)
    };
    attributes.iter().map(|(name, value)| name.len() + value.data_type.len() + value_bytes(value)).sum()
}

/// The attributes as they come over the wire; the value of the other kind is left out.
pub fn attributes(given: Option<IndexMap<String, api::MessageAttributeValue>>) -> IndexMap<String, AttributeValue> {
    let converted = given.unwrap_or_default().into_iter().map(|(name, value)| {
        let binary = value.data_type.starts_with("Binary");
        let value = AttributeValue {
            string: value.string_value.filter(|_| !binary),
            binary: value.binary_value.filter(|_| binary),
            data_type: value.data_type,
        };
        (name, value)
    });
    converted.collect()
}

/// Gives a message the ids that a topic's kind asks for.
pub fn check_for_topic(message: &mut Message, topic: &Topic) -> Result<()> {
    if !topic.fifo {
        // A group id on a standard topic is for fair queues behind it.
        return match message.deduplication_id {
            Some(_) => Err(Error::invalid_because(
                "MessageDeduplicationId",
                "The request includes MessageDeduplicationId parameter that is not valid for this topic type",
            )),
            None => Ok(()),
        };
    }
    if message.group_id.is_none() {
        return Err(Error::invalid("The MessageGroupId parameter is required for FIFO topics"));
    }
    if message.deduplication_id.is_none() {
        if !topic.is_true("ContentBasedDeduplication") {
            return Err(Error::invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            ));
        }
        message.deduplication_id = Some(content_deduplication_id(message));
    }
    Ok(())
}

/// SHA-256 of the body alone, not of the attributes.
fn content_deduplication_id(message: &Message) -> String {
    let mut digest = Sha256::new();
    digest.update(message.text.as_bytes());
    for (protocol, text) in &message.texts {
        digest.update(protocol.as_bytes());
        digest.update(text.as_bytes());
    }
    hex::encode(digest.finalize())
}

/// The 20-digit number that tells the order of a topic's messages.
pub fn sequence_number(number: u64) -> String {
    /// AWS's numbers begin here and leave gaps.
    const BASE: u128 = 10_000_000_000_000_000_000;
    (BASE + u128::from(number) * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(parts: Parts) -> String {
        checked(parts).unwrap_err().to_string()
    }

    fn text(message: &str) -> Parts {
        Parts { message: message.into(), ..Parts::default() }
    }

    fn with_attribute(name: &str, data_type: &str, value: &str) -> Parts {
        let value = AttributeValue { data_type: data_type.into(), string: Some(value.into()), binary: None };
        Parts { attributes: [(name.to_owned(), value)].into_iter().collect(), ..text("m") }
    }

    #[test]
    fn messages_have_bounds() {
        assert_eq!(refused(text("")), "Invalid parameter: Empty message");
        checked(text(&"x".repeat(MAX_BYTES))).unwrap();
        assert_eq!(refused(text(&"x".repeat(MAX_BYTES + 1))), "Invalid parameter: Message too long");
        let mut large = with_attribute("name", "String", "value");
        large.message = "x".repeat(MAX_BYTES - 14);
        assert_eq!(refused(large), "Invalid parameter: Message too long");
        for subject in ["", " x", "a\nb", &"s".repeat(101)] {
            let parts = Parts { subject: Some(subject.to_owned()), ..text("m") };
            assert_eq!(refused(parts), "Invalid parameter: Subject");
        }
        checked(Parts { subject: Some("Grüße".into()), ..text("m") }).unwrap();
    }

    #[test]
    fn a_structure_has_a_text_for_each_protocol() {
        let structured = |message: &str| checked(Parts { structure: Some("json".into()), ..text(message) });
        let (message, _) = structured(r#"{"default": "d", "sqs": "q", "http": 1}"#).unwrap();
        assert_eq!([message.text_for("sqs"), message.text_for("http"), message.text_for("email")], ["q", "d", "d"]);
        let refused = |message: &str| structured(message).unwrap_err().to_string();
        assert_eq!(refused("[]"), "Invalid parameter: Message Structure - JSON message body failed to parse");
        assert_eq!(
            refused(r#"{"default": 1}"#),
            "Invalid parameter: Message Structure - No default entry in JSON message body"
        );
    }

    #[test]
    fn attributes_have_types() {
        for (data_type, value) in [("String", "x"), ("String.Array", "[]"), ("Number", "-1.5e3"), ("Number.int", "1")] {
            checked(with_attribute("a.b-c_d", data_type, value)).unwrap();
        }
        for (name, data_type, value) in [
            ("", "String", "x"),
            (".a", "String", "x"),
            ("a..b", "String", "x"),
            ("AWS.x", "String", "x"),
            ("a", "", "x"),
            ("a", "Strings", "x"),
            ("a", "String", ""),
            ("a", "Number", "one"),
            ("a", "Binary", "x"),
        ] {
            let error = checked(with_attribute(name, data_type, value)).unwrap_err();
            assert_eq!(error.code(), "ParameterValueInvalid", "{name} {data_type} {value}");
        }
    }

    #[test]
    fn sequence_numbers_rise_and_have_twenty_digits() {
        assert_eq!(sequence_number(3), "10000000000000003000");
        assert_eq!(sequence_number(u64::MAX / 2_000).len(), 20);
    }
}
