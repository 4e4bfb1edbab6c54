//! Values as scenarios see them: JSON, with bytes that are no text as `{"$base64": ...}` and times as RFC 3339 text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_wire::Document;
use serde_json::{Map, Value, json};

const BASE64: &str = "$base64";
/// Greater numbers are milliseconds: in seconds they would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

pub fn of_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ BASE64: STANDARD.encode(bytes) }),
    }
}

/// The bytes of text, of a number as it is written, or of what is no text.
pub fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Object(map) if map.len() == 1 => STANDARD.decode(map.get(BASE64)?.as_str()?).ok(),
        _ => None,
    }
}

/// Of text or bytes in bytes, of a list or map in entries.
pub fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(list) => Some(list.len()),
        Value::Object(map) if !map.contains_key(BASE64) => Some(map.len()),
        other => bytes_of(other).map(|bytes| bytes.len()),
    }
}

/// A number, also one that is written as text: SQS answers all attributes so.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A time: RFC 3339 or HTTP's form, or seconds or milliseconds since the epoch.
pub fn time(value: &Value) -> Option<Timestamp> {
    if let Some(number) = number(value) {
        let seconds = if number.abs() >= MILLISECONDS_FROM { number / 1000.0 } else { number };
        return Some(Timestamp::from_secs_f64(seconds));
    }
    let text = value.as_str()?;
    Timestamp::parse_date_time(text).or_else(|_| Timestamp::parse_http_date(text)).ok()
}

pub fn to_document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Document::Integer(integer),
            None => Document::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Document::String(text.clone()),
        Value::Array(list) => Document::List(list.iter().map(to_document).collect()),
        Value::Object(map) => match bytes_of(value) {
            Some(bytes) => Document::Blob(Bytes::from(bytes)),
            None => Document::Map(map.iter().map(|(name, value)| (name.clone(), to_document(value))).collect()),
        },
    }
}

pub fn of_document(document: &Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Boolean(value) => json!(value),
        Document::Integer(value) => json!(value),
        Document::Double(value) => json!(value),
        Document::String(text) => json!(text),
        Document::Blob(bytes) => of_bytes(bytes),
        Document::Timestamp(time) => json!(time.date_time_millis()),
        Document::List(list) => list.iter().map(of_document).collect(),
        Document::Map(map) => {
            let members = map.iter().map(|(name, value)| (name.clone(), of_document(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// A value in a message for people: whole where it is short.
pub fn shown(value: &Value) -> String {
    const MOST: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        None => text,
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for bytes in [&b"text"[..], &[0xff, 0x00, 0x80], b""] {
            assert_eq!(bytes_of(&of_bytes(bytes)).unwrap(), bytes);
            assert_eq!(length(&of_bytes(bytes)), Some(bytes.len()));
        }
        assert_eq!(to_document(&of_bytes(&[0xff])), Document::Blob(Bytes::from_static(&[0xff])));
    }

    #[test]
    fn times_are_read_in_every_form() {
        let at = Timestamp::parse_date_time("2026-01-02T03:04:05Z").unwrap();
        for form in [
            json!("2026-01-02T03:04:05Z"),
            json!("Fri, 02 Jan 2026 03:04:05 GMT"),
            json!(1_767_323_045),
            json!("1767323045000"),
        ] {
            assert_eq!(time(&form), Some(at), "{form}");
        }
        assert_eq!(time(&json!("soon")), None);
    }
}
