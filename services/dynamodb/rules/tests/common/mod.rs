//! Items from DynamoDB JSON, and expressions from their text in one step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use std::sync::Arc;

use fractus_dynamodb_rules::expression::{
    Attributes, Bound, Condition, Expression, ExpressionKind, Projection, Update, Used,
};
use fractus_dynamodb_rules::json::{item_from_json, item_to_json, value_from_json};
use fractus_dynamodb_rules::{Item, Value};
use serde_json::Value as Json;

#[allow(unused_imports)]
pub use serde_json::json;

pub fn item(json: Json) -> Item {
    item_from_json(json).unwrap()
}

pub fn value(json: Json) -> Value {
    value_from_json(json).unwrap()
}

pub fn shown(item: &Item) -> Json {
    item_to_json(item)
}

/// Names and values in one object, told apart by their first character.
pub fn attributes(json: Json) -> Attributes {
    let Json::Object(members) = json else { panic!("an object") };
    let (names, values): (Vec<_>, Vec<_>) = members.into_iter().partition(|(key, _)| key.starts_with('#'));
    let names: Vec<_> = names.into_iter().map(|(key, name)| (key, name.as_str().unwrap().to_owned())).collect();
    let values: Vec<_> = values.into_iter().map(|(key, json)| (key, value(json))).collect();
    Attributes::new((!names.is_empty()).then_some(names), (!values.is_empty()).then_some(values)).unwrap()
}

pub fn bind_condition(kind: ExpressionKind, text: &str, attributes: &Attributes) -> Result<Bound<Condition>, String> {
    let form = Expression::condition(kind, text).map_err(|error| error.to_string())?;
    Bound::new(&Arc::new(form), attributes, &mut Used::default()).map_err(|error| error.to_string())
}

pub fn condition_error(text: &str, given: Json) -> String {
    bind_condition(ExpressionKind::Condition, text, &attributes(given)).expect_err(text)
}

pub fn holds(text: &str, given: Json, of: &Item) -> bool {
    let attributes = attributes(given);
    bind_condition(ExpressionKind::Condition, text, &attributes).unwrap().holds(&attributes, of)
}

pub fn bind_update(text: &str, attributes: &Attributes) -> Result<Bound<Update>, String> {
    let form = Expression::update(text).map_err(|error| error.to_string())?;
    Bound::new(&Arc::new(form), attributes, &mut Used::default()).map_err(|error| error.to_string())
}

pub fn bind_projection(text: &str, attributes: &Attributes) -> Result<Bound<Projection>, String> {
    let form = Expression::projection(text).map_err(|error| error.to_string())?;
    Bound::new(&Arc::new(form), attributes, &mut Used::default()).map_err(|error| error.to_string())
}

pub fn projected(text: &str, given: Json, of: Json) -> Json {
    let attributes = attributes(given);
    shown(&bind_projection(text, &attributes).unwrap().apply(&attributes, &item(of)))
}
