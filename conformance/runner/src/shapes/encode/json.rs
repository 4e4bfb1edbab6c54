//! JSON bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};
use serde_json::{Map, Value as Json, json};

use super::text::timestamp;
use crate::shapes::facts;
use crate::shapes::value::Value;

pub fn body(api: &Api, input: Option<&MemberFacts>, value: &Value) -> Vec<u8> {
    let json = input.map_or_else(|| json!({}), |input| to_json(api, value, input, facts::shape(api, &input.shape)));
    json.to_string().into_bytes()
}

pub fn to_json(api: &Api, value: &Value, member: &MemberFacts, shape: &ShapeFacts) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!(STANDARD.encode(bytes)),
        Value::Document(document) => document.clone(),
        Value::Time(time) => match facts::timestamp_format(Some(member), shape, "unixTimestamp") {
            "unixTimestamp" => json!(time.secs()),
            format => json!(timestamp(*time, format)),
        },
        Value::List(elements) => {
            let of = |element| match shape.member.as_ref() {
                Some(member) => to_json(api, element, member, facts::shape(api, &member.shape)),
                None => Json::Null,
            };
            Json::Array(elements.iter().map(of).collect())
        }
        Value::Members(members) => object(api, members, shape, |_| true),
    }
}

/// The members of a structure, or the entries of a map.
pub fn object(
    api: &Api,
    members: &[(String, Value)],
    shape: &ShapeFacts,
    is_taken: impl Fn(&MemberFacts) -> bool,
) -> Json {
    let mut object = Map::new();
    for (name, value) in members {
        let member = if shape.kind == ShapeType::Map { shape.value.as_ref() } else { shape.members.get(name) };
        let Some(member) = member.filter(|member| is_taken(member)) else { continue };
        let wire = if shape.kind == ShapeType::Map { name } else { facts::wire_name(name, member) };
        object.insert(wire.to_owned(), to_json(api, value, member, facts::shape(api, &member.shape)));
    }
    Json::Object(object)
}
