//! YAML as a tree that knows its lines, so that a mistake in a scenario is told with the place where it stands.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

/// A value and the line (from 1) on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key stands twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub line: usize,
    pub name: String,
}

/// A mistake in a file of scenarios.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Mistake {
    pub line: usize,
    pub what: String,
}

impl Mistake {
    pub fn at(line: usize, what: impl Into<String>) -> Self {
        Mistake { line, what: what.into() }
    }
}

/// Reads the one document of a file.
pub fn parse(text: &str) -> Result<Node, Mistake> {
    let documents =
        MarkedYaml::load_from_str(text).map_err(|error| Mistake::at(error.marker().line(), error.info().to_owned()))?;
    match documents.as_slice() {
        [only] => node(only),
        [] => Err(Mistake::at(1, "the file is empty")),
        [_, second, ..] => Err(Mistake::at(second.span.start.line(), "there is a second document")),
    }
}

fn node(marked: &MarkedYaml<'_>) -> Result<Node, Mistake> {
    let line = marked.span.start.line();
    let value = match &marked.data {
        YamlData::Value(Scalar::Null) => Value::Null,
        YamlData::Value(Scalar::Boolean(value)) => Value::Boolean(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Integer(*value),
        YamlData::Value(Scalar::FloatingPoint(value)) => Value::Float(value.into_inner()),
        YamlData::Value(Scalar::String(text)) => Value::Text(text.clone().into_owned()),
        YamlData::Sequence(list) => Value::List(list.iter().map(node).collect::<Result<_, _>>()?),
        YamlData::Mapping(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map {
                entries.push((self::key(key)?, node(value)?));
            }
            Value::Map(entries)
        }
        _ => return Err(Mistake::at(line, "tags, aliases and bad values are not taken here")),
    };
    Ok(Node { line, value })
}

/// Keys are text; a number is taken as it is written.
fn key(marked: &MarkedYaml<'_>) -> Result<Key, Mistake> {
    let line = marked.span.start.line();
    let name = match &marked.data {
        YamlData::Value(Scalar::String(text)) => text.clone().into_owned(),
        YamlData::Value(Scalar::Integer(number)) => number.to_string(),
        YamlData::Value(Scalar::Boolean(value)) => value.to_string(),
        _ => return Err(Mistake::at(line, "a key must be text")),
    };
    Ok(Key { line, name })
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    pub fn map(&self, what: &str) -> Result<&[(Key, Node)], Mistake> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            Value::Null => Ok(&[]),
            _ => Err(Mistake::at(self.line, format!("{what} must be a map"))),
        }
    }

    pub fn list(&self, what: &str) -> Result<&[Node], Mistake> {
        match &self.value {
            Value::List(list) => Ok(list),
            Value::Null => Ok(&[]),
            _ => Err(Mistake::at(self.line, format!("{what} must be a list"))),
        }
    }

    pub fn text(&self, what: &str) -> Result<&str, Mistake> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(Mistake::at(self.line, format!("{what} must be text"))),
        }
    }

    pub fn boolean(&self, what: &str) -> Result<bool, Mistake> {
        match self.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(Mistake::at(self.line, format!("{what} must be true or false"))),
        }
    }

    pub fn count(&self, what: &str) -> Result<usize, Mistake> {
        match self.value {
            Value::Integer(value) => usize::try_from(value).ok(),
            _ => None,
        }
        .ok_or_else(|| Mistake::at(self.line, format!("{what} must be a number, 0 or more")))
    }

    /// Refuses keys that mean nothing here: a misspelt one would be an assertion that is never made.
    pub fn only(&self, what: &str, known: &[&str]) -> Result<(), Mistake> {
        for (key, _) in self.map(what)? {
            if !known.contains(&key.name.as_str()) {
                let known = known.join(", ");
                return Err(Mistake::at(key.line, format!("{what} knows no {:?}; it knows {known}", key.name)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_lines() {
        let node = parse("a: 1\nb:\n  - x\n  - {c: true}\n").unwrap();
        assert_eq!(node.get("a").unwrap().line, 1);
        let list = node.get("b").unwrap().list("b").unwrap();
        assert_eq!((list[0].line, list[1].line), (3, 4));
        assert!(list[1].get("c").unwrap().boolean("c").unwrap());
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap_err().line, 3);
        assert_eq!(parse("").unwrap_err().line, 1);
        let node = parse("a: 1\nbee: 2\n").unwrap();
        assert_eq!(node.only("it", &["a", "b"]).unwrap_err(), Mistake::at(2, "it knows no \"bee\"; it knows a, b"));
    }
}
