//! XML bodies.

use fractus_models::facts::XmlNamespace;
use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};

use super::text::text;
use crate::shapes::facts;
use crate::shapes::value::Value;

/// A document with one root element.
pub fn document(
    api: &Api,
    root: &str,
    namespace: Option<&XmlNamespace>,
    value: &Value,
    member: &MemberFacts,
) -> Vec<u8> {
    let mut xml = Xml { api, out: String::new() };
    let attributes = namespace.map(attribute).unwrap_or_default();
    xml.element(root, &attributes, value, member);
    xml.out.into_bytes()
}

fn attribute(namespace: &XmlNamespace) -> String {
    match namespace.prefix() {
        Some(prefix) => format!(" xmlns:{prefix}=\"{}\"", escape(namespace.uri())),
        None => format!(" xmlns=\"{}\"", escape(namespace.uri())),
    }
}

struct Xml<'a> {
    api: &'a Api,
    out: String,
}

impl Xml<'_> {
    fn element(&mut self, name: &str, attributes: &str, value: &Value, member: &MemberFacts) {
        let shape = facts::shape(self.api, &member.shape);
        let own = member.xml_namespace.as_ref().or(shape.xml_namespace.as_ref()).map(attribute).unwrap_or_default();
        let own = if attributes.is_empty() { own.as_str() } else { "" };
        let bare = name.split(' ').next().unwrap_or(name);
        self.out.push_str(&format!("<{name}{attributes}{own}{}>", self.member_attributes(value, shape)));
        match value {
            Value::Members(members) if shape.kind == ShapeType::Map => self.entries(members, shape, |_| {}),
            Value::Members(members) => self.members(members, shape),
            Value::List(elements) => {
                if let Some(element) = &shape.member {
                    let name = element.location_name.as_deref().unwrap_or("member");
                    elements.iter().for_each(|value| self.element(name, "", value, element));
                }
            }
            single => self.out.push_str(&escape(&text(self.api, single, member, "iso8601"))),
        }
        self.out.push_str(&format!("</{bare}>"));
    }

    /// Members that are attributes of their structure's element.
    fn member_attributes(&self, value: &Value, shape: &ShapeFacts) -> String {
        let Value::Members(members) = value else { return String::new() };
        let attributes = members.iter().filter_map(|(name, value)| {
            let member = shape.members.get(name).filter(|member| member.xml_attribute)?;
            let value = text(self.api, value, member, "iso8601");
            Some(format!(" {}=\"{}\"", facts::wire_name(name, member), escape(&value)))
        });
        attributes.collect()
    }

    fn members(&mut self, members: &[(String, Value)], shape: &ShapeFacts) {
        for (name, value) in members {
            let Some(member) = shape.members.get(name) else { continue };
            if member.xml_attribute || !facts::is_in_body(member) {
                continue;
            }
            self.member(facts::wire_name(name, member), value, member);
        }
    }

    fn member(&mut self, name: &str, value: &Value, member: &MemberFacts) {
        let shape = facts::shape(self.api, &member.shape);
        let is_flat = shape.flattened || member.flattened;
        match value {
            Value::List(elements) if is_flat => {
                let Some(element) = &shape.member else { return };
                let name = element.location_name.as_deref().unwrap_or(name);
                elements.iter().for_each(|value| self.element(name, "", value, element));
            }
            Value::Members(entries) if is_flat && shape.kind == ShapeType::Map => {
                let name = name.to_owned();
                self.flat_entries(&name, entries, shape);
            }
            other => self.element(name, "", other, member),
        }
    }

    fn flat_entries(&mut self, name: &str, entries: &[(String, Value)], shape: &ShapeFacts) {
        for entry in entries {
            self.out.push_str(&format!("<{name}>"));
            self.entry(entry, shape);
            self.out.push_str(&format!("</{name}>"));
        }
    }

    fn entries(&mut self, entries: &[(String, Value)], shape: &ShapeFacts, _: impl Fn(&str)) {
        self.flat_entries("entry", entries, shape);
    }

    fn entry(&mut self, (key, value): &(String, Value), shape: &ShapeFacts) {
        let (Some(key_facts), Some(value_facts)) = (&shape.key, &shape.value) else { return };
        let key_name = key_facts.location_name.as_deref().unwrap_or("key");
        self.out.push_str(&format!("<{key_name}>{}</{key_name}>", escape(key)));
        self.element(value_facts.location_name.as_deref().unwrap_or("value"), "", value, value_facts);
    }
}

pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' => out.push_str("&#xA;"),
            other => out.push(other),
        }
    }
    out
}
