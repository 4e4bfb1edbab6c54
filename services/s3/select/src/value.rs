//! Values of queries: what documents hold, with members in their order, and `MISSING` for what is not there.

use std::cmp::Ordering;
use std::fmt;

use fractus_clock::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(Timestamp),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Missing | Value::Null)
    }

    /// The number that it is, or that its text says: fields of CSV are texts.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    pub fn whole(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// As CSV writes it: nothing for what is absent.
    pub fn plain(&self) -> String {
        match self {
            Value::Missing | Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            Value::Time(time) => time.date_time(),
            other => other.json(),
        }
    }

    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    pub fn write_json(&self, out: &mut String) {
        match self {
            Value::Missing | Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                out.push_str(&format!("{number:.1}"));
            }
            Value::Float(number) => out.push_str(&number.to_string()),
            Value::Text(text) => write_text(text, out),
            Value::Time(time) => write_text(&time.date_time(), out),
            Value::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Object(members) => write_members(members.iter().map(|(name, value)| (name.as_str(), value)), out),
        }
    }
}

/// An object; what is missing is left out.
pub fn write_members<'v>(members: impl Iterator<Item = (&'v str, &'v Value)>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in members.filter(|(_, value)| **value != Value::Missing).enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn write_text(text: &str, out: &mut String) {
    match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        // A text can always be written.
        Err(_) => out.push_str("\"\""),
    }
}

/// How two values compare; `None` where they cannot be, or either is absent.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Text(right)) => Some(left.cmp(&super::times::parse(right)?)),
        (Value::Text(left), Value::Time(right)) => Some(super::times::parse(left)?.cmp(right)),
        (Value::Bool(left), Value::Text(right)) => Some(left.cmp(&boolean(right)?)),
        (Value::Text(left), Value::Bool(right)) => Some(boolean(left)?.cmp(right)),
        (Value::List(_) | Value::Object(_), _) => (left == right).then_some(Ordering::Equal),
        _ => left.number()?.partial_cmp(&right.number()?),
    }
}

pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

struct Reads;

impl<'de> Visitor<'de> for Reads {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Value::Object(members))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_numbers_their_kind() {
        let text = r#"{"b":1,"a":[1.5,null,"x\n"],"c":{}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.json(), text);
    }

    #[test]
    fn texts_compare_as_numbers_with_numbers() {
        assert_eq!(compare(&Value::Text("10".into()), &Value::Int(9)), Some(Ordering::Greater));
        assert_eq!(compare(&Value::Text("10".into()), &Value::Text("9".into())), Some(Ordering::Less));
        assert_eq!(compare(&Value::Text("x".into()), &Value::Int(9)), None);
        assert_eq!(compare(&Value::Null, &Value::Null), None);
    }
}
