//! Values of requests to values of the rules and back: the only place where the two meet.

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::check::{self, ValueError};
use fractus_dynamodb_rules::{Item, Value};
use indexmap::IndexMap;

pub type ApiItem = IndexMap<String, api::AttributeValue>;

/// Deeper values are refused whatever is in them; it bounds the recursion.
const MAX_DEPTH: usize = 64;

fn from_api(value: api::AttributeValue, depth: usize) -> Result<Value, ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::TooDeep);
    }
    Ok(match value {
        api::AttributeValue::S(text) => Value::S(text),
        api::AttributeValue::N(text) => check::number(&text)?,
        api::AttributeValue::B(bytes) => Value::B(bytes.into()),
        api::AttributeValue::Ss(set) => check::string_set(set)?,
        api::AttributeValue::Ns(set) => check::number_set(&set)?,
        api::AttributeValue::Bs(set) => check::binary_set(set.into_iter().map(Into::into).collect())?,
        api::AttributeValue::M(map) => Value::M(
            map.into_iter()
                .map(|(name, value)| Ok((name, from_api(value, depth + 1)?)))
                .collect::<Result<_, ValueError>>()?,
        ),
        api::AttributeValue::L(list) => {
            Value::L(list.into_iter().map(|value| from_api(value, depth + 1)).collect::<Result<_, _>>()?)
        }
        api::AttributeValue::Bool(value) => Value::Bool(value),
        api::AttributeValue::Null(value) => check::null(value)?,
        api::AttributeValue::Unknown => return Err(ValueError::NoType),
    })
}

pub fn value_from_api(value: api::AttributeValue) -> Result<Value, ValueError> {
    let value = from_api(value, 1)?;
    check::depth(&value)?;
    Ok(value)
}

pub fn item_from_api(item: ApiItem) -> Result<Item, ValueError> {
    item.into_iter().map(|(name, value)| Ok((name, value_from_api(value)?))).collect()
}

pub fn value_to_api(value: Value) -> api::AttributeValue {
    match value {
        Value::S(text) => api::AttributeValue::S(text),
        Value::N(number) => api::AttributeValue::N(number.to_string()),
        Value::B(bytes) => api::AttributeValue::B(bytes.into()),
        Value::SS(set) => api::AttributeValue::Ss(set),
        Value::NS(set) => api::AttributeValue::Ns(set.iter().map(ToString::to_string).collect()),
        Value::BS(set) => api::AttributeValue::Bs(set.into_iter().map(Into::into).collect()),
        Value::M(map) => api::AttributeValue::M(item_to_api(map)),
        Value::L(list) => api::AttributeValue::L(list.into_iter().map(value_to_api).collect()),
        Value::Bool(value) => api::AttributeValue::Bool(value),
        Value::Null => api::AttributeValue::Null(true),
    }
}

/// The same as the streams' API has them.
fn value_to_stream_api(value: Value) -> api::streams::AttributeValue {
    use api::streams::AttributeValue;
    match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(number) => AttributeValue::N(number.to_string()),
        Value::B(bytes) => AttributeValue::B(bytes.into()),
        Value::SS(set) => AttributeValue::Ss(set),
        Value::NS(set) => AttributeValue::Ns(set.iter().map(ToString::to_string).collect()),
        Value::BS(set) => AttributeValue::Bs(set.into_iter().map(Into::into).collect()),
        Value::M(map) => AttributeValue::M(item_to_stream_api(map)),
        Value::L(list) => AttributeValue::L(list.into_iter().map(value_to_stream_api).collect()),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Null => AttributeValue::Null(true),
    }
}

pub fn item_to_stream_api(item: Item) -> IndexMap<String, api::streams::AttributeValue> {
    item.into_iter().map(|(name, value)| (name, value_to_stream_api(value))).collect()
}

pub fn item_to_api(item: Item) -> ApiItem {
    item.into_iter().map(|(name, value)| (name, value_to_api(value))).collect()
}
