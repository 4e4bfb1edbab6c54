//! The model's shapes as JSON by the model's names: how records keep what is only given back.

use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, Shape};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// A shape as JSON. Shapes with binary members are none of those that are kept so.
pub fn of_shape(shape: &dyn Shape) -> Result<Value> {
    let document = to_document(shape).map_err(|error| Error::validation(error.to_string()))?;
    Ok(value(document))
}

/// The shape that [`of_shape`] made this of. A record of an older form gives what it has.
pub fn to_shape<T: Shape + Default>(value: &Value) -> T {
    from_document(&document(value)).unwrap_or_default()
}

fn value(document: Document) -> Value {
    match document {
        Document::Null | Document::Blob(_) => Value::Null,
        Document::Boolean(value) => Value::Bool(value),
        Document::Integer(number) => Value::Number(number.into()),
        Document::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Document::String(text) => Value::String(text),
        Document::Timestamp(at) => Value::Number(at.secs().into()),
        Document::List(list) => Value::Array(list.into_iter().map(value).collect()),
        Document::Map(map) => Value::Object(map.into_iter().map(|(key, document)| (key, value(document))).collect()),
    }
}

fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Document::Integer(integer),
            None => Document::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Document::String(text.clone()),
        Value::Array(list) => Document::List(list.iter().map(document).collect()),
        Value::Object(map) => {
            let present = map.iter().filter(|(_, value)| !value.is_null());
            Document::Map(present.map(|(key, value)| (key.clone(), document(value))).collect())
        }
    }
}

/// Puts what `changes` has over what `base` has, member by member, into any depth.
pub fn merge(base: &mut Value, changes: &Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(base.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        (_, Value::Null) => {}
        (base, change) => *base = change.clone(),
    }
}

/// The text at a path of member names.
pub fn text_at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}

/// A text as a JSON string, quotes included.
pub fn push_string(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        if escape.is_empty() {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// An object of those members that have a value.
pub fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use fractus_events_api as api;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_come_back() {
        let target = api::Target {
            id: "1".into(),
            arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
            input_path: Some("$.detail".into()),
            retry_policy: Some(api::RetryPolicy {
                maximum_retry_attempts: Some(3),
                maximum_event_age_in_seconds: None,
            }),
            ..Default::default()
        };
        let json = of_shape(&target).unwrap();
        assert_eq!(json["RetryPolicy"], json!({"MaximumRetryAttempts": 3}));
        assert_eq!(to_shape::<api::Target>(&json), target);
    }

    #[test]
    fn changes_go_over_what_is_there() {
        let mut base = json!({"a": {"b": 1, "c": [1]}, "d": "x"});
        merge(&mut base, &json!({"a": {"c": [2, 3]}, "e": true}));
        assert_eq!(base, json!({"a": {"b": 1, "c": [2, 3]}, "d": "x", "e": true}));
    }

    proptest! {
        #[test]
        fn strings_are_written_as_json(text in any::<String>()) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
