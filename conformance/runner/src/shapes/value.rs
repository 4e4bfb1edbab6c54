//! A value of any shape: what is sent, and what was read.

use fractus_clock::Timestamp;

/// A value by its own kind. Where it stands in the place of another kind, it was put there to be refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Blob(Vec<u8>),
    Time(Timestamp),
    List(Vec<Value>),
    /// The entries of a map or the members of a structure, by the model's names, in the order they are written.
    Members(Vec<(String, Value)>),
    Document(serde_json::Value),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    pub fn empty() -> Self {
        Value::Members(Vec::new())
    }

    /// A member or entry by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Members(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// `Messages.0.ReceiptHandle`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self, |value, step| match value {
            Value::List(elements) => step.parse::<usize>().ok().and_then(|index| elements.get(index)),
            other => other.get(step),
        })
    }

    /// A single value as the text that a header, a query or a name needs.
    pub fn plain(&self) -> Option<String> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            Value::Time(time) => Some(time.date_time()),
            Value::Blob(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Value::Blob(bytes) => Some(bytes.clone()),
            other => other.plain().map(String::into_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_through_members_and_elements() {
        let handle = Value::Members(vec![("Handle".into(), Value::text("h"))]);
        let value = Value::Members(vec![("Messages".into(), Value::List(vec![handle]))]);
        assert_eq!(value.at("Messages.0.Handle"), Some(&Value::text("h")));
        assert_eq!(value.at("Messages.1.Handle"), None);
        assert_eq!(value.at("Nothing"), None);
    }
}
