//! Values as DynamoDB JSON: `{"S": "text"}`. The one place where values come from and go to a self-describing form;
//! exports, imports and the payloads of stream consumers use it, and tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as JsonMap, Value as Json};

use crate::check::{self, ValueError};
use crate::value::{Item, Map, Value};

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn text_of(json: Json) -> Result<String, ValueError> {
    match json {
        Json::String(text) => Ok(text),
        _ => Err(ValueError::NoType),
    }
}

fn bytes_of(json: Json) -> Result<Vec<u8>, ValueError> {
    STANDARD.decode(text_of(json)?).map_err(|_| ValueError::NoType)
}

fn elements<T>(json: Json, read: impl FnMut(Json) -> Result<T, ValueError>) -> Result<Vec<T>, ValueError> {
    match json {
        Json::Array(elements) => elements.into_iter().map(read).collect(),
        _ => Err(ValueError::NoType),
    }
}

/// Reads a value. Its depth is bounded by the reader of the JSON text (`serde_json` stops at 128 levels).
pub fn value_from_json(json: Json) -> Result<Value, ValueError> {
    let Json::Object(members) = json else { return Err(ValueError::NoType) };
    let mut members = members.into_iter();
    let (kind, content) = members.next().ok_or(ValueError::NoType)?;
    if members.next().is_some() {
        return Err(ValueError::SeveralTypes);
    }
    match kind.as_str() {
        "S" => text_of(content).map(Value::S),
        "N" => check::number(&text_of(content)?),
        "B" => bytes_of(content).map(Value::B),
        "SS" => check::string_set(elements(content, text_of)?),
        "NS" => check::number_set(&elements(content, text_of)?),
        "BS" => check::binary_set(elements(content, bytes_of)?),
        "M" => match content {
            Json::Object(members) => map_from_json(members).map(Value::M),
            _ => Err(ValueError::NoType),
        },
        "L" => elements(content, value_from_json).map(Value::L),
        "BOOL" => content.as_bool().map(Value::Bool).ok_or(ValueError::NoType),
        "NULL" => check::null(content.as_bool().ok_or(ValueError::NoType)?),
        _ => Err(ValueError::NoType),
    }
}

fn map_from_json(members: JsonMap<String, Json>) -> Result<Map, ValueError> {
    members.into_iter().map(|(name, value)| Ok((name, value_from_json(value)?))).collect()
}

pub fn item_from_json(json: Json) -> Result<Item, ValueError> {
    match json {
        Json::Object(members) => map_from_json(members),
        _ => Err(ValueError::NoType),
    }
}

fn map_to_json(map: &Map) -> Json {
    Json::Object(map.iter().map(|(name, value)| (name.to_owned(), value_to_json(value))).collect())
}

pub fn value_to_json(value: &Value) -> Json {
    let content = match value {
        Value::S(text) => Json::String(text.clone()),
        Value::N(number) => Json::String(number.to_string()),
        Value::B(bytes) => Json::String(base64(bytes)),
        Value::SS(set) => set.iter().cloned().collect(),
        Value::NS(set) => set.iter().map(ToString::to_string).collect(),
        Value::BS(set) => set.iter().map(|bytes| base64(bytes)).collect(),
        Value::M(map) => map_to_json(map),
        Value::L(list) => list.iter().map(value_to_json).collect(),
        Value::Bool(value) => Json::Bool(*value),
        Value::Null => Json::Bool(true),
    };
    Json::Object([(value.kind().as_str().to_owned(), content)].into_iter().collect())
}

pub fn item_to_json(item: &Item) -> Json {
    map_to_json(item)
}
