//! Shapes as JSON and back, by the model's names: how a target is kept and sent on.

use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, ReadError, Shape, WriteError};
use serde_json::{Number, Value};

/// A shape as JSON.
pub fn to_json(shape: &dyn Shape) -> Result<Value, WriteError> {
    to_document(shape).map(json)
}

/// The shape that [`to_json`] made JSON of.
pub fn from_json<T: Shape + Default>(value: &Value) -> Result<T, ReadError> {
    from_document(&document(value))
}

/// JSON as a document.
pub fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Document::Integer(integer),
            None => Document::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Document::String(text.clone()),
        Value::Array(list) => Document::List(list.iter().map(document).collect()),
        Value::Object(map) => Document::Map(map.iter().map(|(key, value)| (key.clone(), document(value))).collect()),
    }
}

/// A document as JSON. Targets hold no bytes and no times.
fn json(document: Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Boolean(value) => Value::Bool(value),
        Document::Integer(value) => Value::Number(value.into()),
        Document::Double(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        Document::String(text) => Value::String(text),
        Document::Blob(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        Document::Timestamp(time) => Value::String(time.date_time()),
        Document::List(list) => Value::Array(list.into_iter().map(json).collect()),
        Document::Map(map) => Value::Object(map.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}
