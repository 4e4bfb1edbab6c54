//! The vectors' values, as documents of their schemas.

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_wire::{ByteStream, Document, DynamicShape, Kind, Member, Payload, Schema, Shape};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// JSON that keeps the order of its keys: forms and XML are written in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Json {
    #[default]
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    String(String),
    List(Vec<Json>),
    Map(IndexMap<String, Json>),
}

impl Json {
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self, key: &str) -> &[Json] {
        match self.get(key) {
            Some(Json::List(list)) => list,
            _ => &[],
        }
    }

    pub fn entries(&self, key: &str) -> Vec<(String, String)> {
        let Some(Json::Map(map)) = self.get(key) else { return Vec::new() };
        map.iter()
            .map(|(key, value)| match value {
                Json::String(text) => (key.clone(), text.clone()),
                other => (key.clone(), serde_json::to_string(other).unwrap()),
            })
            .collect()
    }

    fn to_document(&self) -> Document {
        match self {
            Json::Null => Document::Null,
            Json::Boolean(value) => Document::Boolean(*value),
            Json::Integer(value) => Document::Integer(*value),
            Json::Double(value) => Document::Double(*value),
            Json::String(text) => Document::String(text.clone()),
            Json::List(list) => Document::List(list.iter().map(Json::to_document).collect()),
            Json::Map(map) => {
                Document::Map(map.iter().map(|(key, value)| (key.clone(), value.to_document())).collect())
            }
        }
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The members of a structure; nulls are left out.
pub fn members(schema: &'static Schema, json: &Json) -> IndexMap<String, Document> {
    let Json::Map(map) = json else { return IndexMap::new() };
    map.iter()
        .filter(|(_, value)| **value != Json::Null)
        .map(|(name, value)| {
            let member = schema.members.into_iter().find(|member| member.name == name);
            let member = member.unwrap_or_else(|| panic!("{} has no member {name}", schema.name));
            (name.clone(), value_of(member, value))
        })
        .collect()
}

pub fn value_of(member: &'static Member, json: &Json) -> Document {
    let element = || member.target.element().unwrap();
    match (member.target.kind, json) {
        (_, Json::Null) => Document::Null,
        (Kind::Structure | Kind::Union, json) => Document::Map(members(member.target, json)),
        (Kind::List, Json::List(list)) => Document::List(list.iter().map(|item| value_of(element(), item)).collect()),
        (Kind::Map, Json::Map(map)) => {
            Document::Map(map.iter().map(|(key, item)| (key.clone(), value_of(element(), item))).collect())
        }
        (Kind::Blob, Json::String(text)) => Document::Blob(Bytes::copy_from_slice(text.as_bytes())),
        (Kind::Float | Kind::Double, Json::Integer(value)) => Document::Double(*value as f64),
        (Kind::Float | Kind::Double, Json::String(text)) => Document::Double(float(text).unwrap()),
        (Kind::Timestamp, Json::Integer(secs)) => Document::Timestamp(Timestamp::from_secs(*secs)),
        (Kind::Timestamp, Json::Double(secs)) => Document::Timestamp(Timestamp::from_secs_f64(*secs)),
        (_, json) => json.to_document(),
    }
}

/// A shape with these values; a streamed blob is its payload.
pub fn shape(schema: &'static Schema, json: &Json) -> DynamicShape {
    let mut members = members(schema, json);
    let streamed = schema.members.into_iter().find(|member| member.target.streaming);
    let payload = streamed.and_then(|member| members.shift_remove(member.name));
    let mut shape = DynamicShape::from_members(schema, members);
    if let Some(Document::Blob(bytes)) = payload {
        shape.set_payload(Payload::Bytes(ByteStream::Whole(bytes)));
    }
    shape
}

/// What a shape holds, its payload with it.
pub fn contents(mut shape: DynamicShape) -> IndexMap<String, Document> {
    let streamed = shape.schema().members.into_iter().find(|member| member.target.streaming);
    if let (Some(member), Payload::Bytes(ByteStream::Whole(bytes))) = (streamed, shape.take_payload()) {
        shape.members.insert(member.name.to_owned(), Document::Blob(bytes));
    }
    shape.members
}

/// Values are equal where NaN equals NaN, and a float is what its 32 bits say.
pub fn same(one: &Document, two: &Document) -> bool {
    match (one, two) {
        (Document::Double(one), Document::Double(two)) => {
            one == two || (one.is_nan() && two.is_nan()) || (*one as f32 == *two as f32)
        }
        (Document::Double(one), Document::Integer(two)) | (Document::Integer(two), Document::Double(one)) => {
            *one == *two as f64
        }
        (Document::List(one), Document::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Document::Map(one), Document::Map(two)) => same_members(one, two),
        (one, two) => one == two,
    }
}

pub fn same_members(one: &IndexMap<String, Document>, two: &IndexMap<String, Document>) -> bool {
    one.len() == two.len() && one.iter().all(|(key, one)| two.get(key).is_some_and(|two| same(one, two)))
}
