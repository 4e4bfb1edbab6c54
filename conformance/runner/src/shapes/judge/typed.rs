//! A tree against a shape: every member known and of its type, what is required there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};

use super::flaw::{Findings, Flaw};
use super::node::Node;
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;
use crate::shapes::value::Value;

/// Reads a body of JSON or CBOR.
pub struct Typed<'a> {
    pub api: &'a Api,
    pub protocol: Protocol,
}

impl Typed<'_> {
    /// The members of a structure that `is_taken` of; the others stand elsewhere.
    pub fn members(
        &self,
        node: &Node,
        shape: &ShapeFacts,
        findings: &mut Findings,
        is_taken: impl Fn(&MemberFacts) -> bool,
    ) -> Value {
        let Node::Map(entries) = node else {
            findings.add(Flaw::WrongType, format!("{} where an object should be", node.kind()));
            return Value::empty();
        };
        let mut read = Vec::new();
        for (wire, node) in entries.iter().filter(|(_, node)| *node != Node::Null) {
            let member =
                shape.members.iter().find(|(name, member)| is_taken(member) && self.wire_name(name, member) == wire);
            match member {
                Some((name, member)) => {
                    let value = findings.inside(wire, |findings| self.value(node, member, findings));
                    read.push((name.clone(), value));
                }
                // A union may tell its member's name beside it.
                None if shape.union && wire == "__type" => {}
                None => findings.add(Flaw::UnknownMember, wire.clone()),
            }
        }
        for name in &shape.required {
            let is_here = shape.members.get(name).is_some_and(&is_taken);
            if is_here && !read.iter().any(|(known, _)| known == name) {
                findings.add(Flaw::MissingMember, name.clone());
            }
        }
        if shape.union && read.len() != 1 {
            findings.add(Flaw::WrongType, format!("a union with {} members", read.len()));
        }
        Value::Members(read)
    }

    fn wire_name<'m>(&self, name: &'m str, member: &'m MemberFacts) -> &'m str {
        if self.protocol == Protocol::Cbor { name } else { facts::wire_name(name, member) }
    }

    pub fn value(&self, node: &Node, member: &MemberFacts, findings: &mut Findings) -> Value {
        let shape = facts::shape(self.api, &member.shape);
        if shape.document {
            return Value::Document(serde_json::Value::Null);
        }
        match shape.kind {
            ShapeType::Structure => self.members(node, shape, findings, |_| true),
            ShapeType::List => self.list(node, shape, findings),
            ShapeType::Map => self.map(node, shape, findings),
            _ => self.single(node, member, shape).unwrap_or_else(|(flaw, detail)| {
                findings.add(flaw, detail);
                Value::text("")
            }),
        }
    }

    fn list(&self, node: &Node, shape: &ShapeFacts, findings: &mut Findings) -> Value {
        let (Node::List(elements), Some(member)) = (node, &shape.member) else {
            findings.add(Flaw::WrongType, format!("{} where a list should be", node.kind()));
            return Value::List(Vec::new());
        };
        let mut read = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if *element == Node::Null && shape.sparse {
                continue;
            }
            read.push(findings.inside(&index.to_string(), |findings| self.value(element, member, findings)));
        }
        Value::List(read)
    }

    fn map(&self, node: &Node, shape: &ShapeFacts, findings: &mut Findings) -> Value {
        let (Node::Map(entries), Some(key), Some(value)) = (node, &shape.key, &shape.value) else {
            findings.add(Flaw::WrongType, format!("{} where a map should be", node.kind()));
            return Value::empty();
        };
        let keys = facts::shape(self.api, &key.shape);
        let mut read = Vec::with_capacity(entries.len());
        for (name, node) in entries.iter().filter(|(_, node)| *node != Node::Null) {
            if let Err((flaw, detail)) = enum_value(name, keys) {
                findings.add(flaw, detail);
            }
            read.push((name.clone(), findings.inside(name, |findings| self.value(node, value, findings))));
        }
        Value::Members(read)
    }

    fn single(&self, node: &Node, member: &MemberFacts, shape: &ShapeFacts) -> Result<Value, (Flaw, String)> {
        let is_cbor = self.protocol == Protocol::Cbor;
        let wrong = |should: &str| Err((Flaw::WrongType, format!("{} where {should} should be", node.kind())));
        match (shape.kind, node) {
            (ShapeType::Boolean, Node::Bool(value)) => Ok(Value::Bool(*value)),
            (ShapeType::Boolean, _) => wrong("a boolean"),
            (kind, Node::Integer(number)) if facts::is_integer(kind) => integer(*number, kind),
            (kind, _) if facts::is_integer(kind) => wrong("an integer"),
            (kind, Node::Integer(number)) if facts::is_number(kind) => Ok(Value::Float(*number as f64)),
            (kind, Node::Float(number)) if facts::is_number(kind) => Ok(Value::Float(*number)),
            (kind, Node::Text(text)) if facts::is_number(kind) && is_no_number(text) => Ok(Value::Float(f64::NAN)),
            (kind, _) if facts::is_number(kind) => wrong("a number"),
            (ShapeType::Blob, Node::Bytes(bytes)) if is_cbor => Ok(Value::Blob(bytes.clone())),
            (ShapeType::Blob, Node::Text(text)) if !is_cbor => blob(text),
            (ShapeType::Blob, _) => wrong("a blob"),
            (ShapeType::Timestamp, Node::Time(secs)) if is_cbor => Ok(Value::Time(Timestamp::from_secs_f64(*secs))),
            (ShapeType::Timestamp, _) if is_cbor => wrong("a timestamp"),
            (ShapeType::Timestamp, node) => {
                json_time(node, facts::timestamp_format(Some(member), shape, "unixTimestamp"))
            }
            (_, Node::Text(text)) => enum_value(text, shape).map(|()| Value::text(text)),
            _ => wrong("a text"),
        }
    }
}

fn is_no_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

pub fn integer(number: i128, kind: ShapeType) -> Result<Value, (Flaw, String)> {
    let (least, most) = match kind {
        ShapeType::Integer => (i128::from(i32::MIN), i128::from(i32::MAX)),
        ShapeType::Short => (i128::from(i16::MIN), i128::from(i16::MAX)),
        ShapeType::Byte => (i128::from(i8::MIN), i128::from(i8::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    if (least..=most).contains(&number) {
        Ok(Value::Integer(number as i64))
    } else {
        Err((Flaw::WrongType, format!("{number} is no {kind:?}")))
    }
}

fn blob(text: &str) -> Result<Value, (Flaw, String)> {
    STANDARD.decode(text).map(Value::Blob).map_err(|_| (Flaw::WrongType, format!("{text:?} is not base64")))
}

fn json_time(node: &Node, format: &str) -> Result<Value, (Flaw, String)> {
    match (format, node) {
        ("unixTimestamp", Node::Integer(secs)) => Ok(Value::Time(Timestamp::from_secs(*secs as i64))),
        ("unixTimestamp", Node::Float(secs)) => Ok(Value::Time(Timestamp::from_secs_f64(*secs))),
        (format, Node::Text(text)) => time_text(text, format),
        _ => Err((Flaw::WrongTimestamp, format!("{} where a timestamp ({format}) should be", node.kind()))),
    }
}

/// A timestamp as text, in headers, elements, and where a JSON model asks for one.
pub fn time_text(text: &str, format: &str) -> Result<Value, (Flaw, String)> {
    let parsed = match format {
        "rfc822" => Timestamp::parse_http_date(text).ok(),
        "unixTimestamp" => text.parse().ok().map(Timestamp::from_secs_f64),
        _ => text.ends_with('Z').then(|| Timestamp::parse_date_time(text).ok()).flatten(),
    };
    parsed
        .map(Value::Time)
        .ok_or_else(|| (Flaw::WrongTimestamp, format!("{text:?} is no timestamp of the form {format}")))
}

pub fn enum_value(text: &str, shape: &ShapeFacts) -> Result<(), (Flaw, String)> {
    if shape.values.is_empty() || shape.values.iter().any(|known| known == text) {
        Ok(())
    } else {
        Err((Flaw::UnknownValue, format!("{text:?} is none of the enum's values")))
    }
}

/// A single value as text, from a header or an element.
pub fn of_text(
    text: &str,
    member: &MemberFacts,
    shape: &ShapeFacts,
    time_format: &str,
) -> Result<Value, (Flaw, String)> {
    let wrong = |should: &str| (Flaw::WrongType, format!("{text:?} is no {should}"));
    match shape.kind {
        ShapeType::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong("boolean")),
        },
        kind if facts::is_integer(kind) => integer(text.parse().map_err(|_| wrong("integer"))?, kind),
        kind if facts::is_number(kind) => {
            if is_no_number(text) {
                return Ok(Value::Float(f64::NAN));
            }
            text.parse().map(Value::Float).map_err(|_| wrong("number"))
        }
        ShapeType::Timestamp => time_text(text, facts::timestamp_format(Some(member), shape, time_format)),
        ShapeType::Blob => blob(text),
        // An empty element is no value: us-east-1 is the location without a name.
        _ if text.is_empty() => Ok(Value::text("")),
        _ => enum_value(text, shape).map(|()| Value::text(text)),
    }
}
