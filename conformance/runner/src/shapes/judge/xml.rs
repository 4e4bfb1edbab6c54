//! An element against a shape.

use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};

use super::element::Element;
use super::flaw::{Findings, Flaw};
use super::typed::{enum_value, of_text};
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;
use crate::shapes::value::Value;

pub struct Xml<'a> {
    pub api: &'a Api,
    pub protocol: Protocol,
}

impl Xml<'_> {
    /// The members of a structure that are children of its element; `ignored` are the protocol's own.
    pub fn members(&self, element: &Element, shape: &ShapeFacts, ignored: &[&str], findings: &mut Findings) -> Value {
        let in_body = || shape.members.iter().filter(|(_, member)| facts::is_in_body(member));
        let mut read = Vec::new();
        let mut known = ignored.to_vec();
        for (name, member) in in_body() {
            let wire = self.child_name(name, member);
            known.push(wire);
            let value = findings.inside(name, |findings| self.member(element, wire, member, findings));
            read.extend(value.map(|value| (name.clone(), value)));
        }
        for child in element.children.iter().filter(|child| !known.contains(&child.name.as_str())) {
            findings.add(Flaw::UnknownMember, child.name.clone());
        }
        for name in &shape.required {
            let is_here = shape.members.get(name).is_some_and(facts::is_in_body);
            if is_here && !read.iter().any(|(known, _)| known == name) && !self.may_be_empty(shape, name) {
                findings.add(Flaw::MissingMember, name.clone());
            }
        }
        if element.children.is_empty() && !element.text.trim().is_empty() {
            findings.add(Flaw::WrongType, format!("the text {:?} where members should be", element.text.trim()));
        }
        if shape.union && read.len() != 1 {
            findings.add(Flaw::WrongType, format!("a union with {} members", read.len()));
        }
        Value::Members(read)
    }

    /// An empty list that is flat has no element at all.
    fn may_be_empty(&self, shape: &ShapeFacts, name: &str) -> bool {
        let Some(member) = shape.members.get(name) else { return true };
        let target = facts::shape(self.api, &member.shape);
        matches!(target.kind, ShapeType::List | ShapeType::Map) && (target.flattened || member.flattened)
    }

    /// What the elements of a member are called: for a flat list what its elements are called.
    fn child_name<'m>(&'m self, name: &'m str, member: &'m MemberFacts) -> &'m str {
        let shape = facts::shape(self.api, &member.shape);
        let own = self.name(member).unwrap_or(name);
        if shape.kind == ShapeType::List && (shape.flattened || member.flattened) {
            return shape.member.as_ref().and_then(|element| self.name(element)).unwrap_or(own);
        }
        own
    }

    fn name<'m>(&self, member: &'m MemberFacts) -> Option<&'m str> {
        let query = member.query_name.as_deref().filter(|_| self.protocol == Protocol::Query);
        query.or(member.location_name.as_deref())
    }

    fn member(&self, parent: &Element, wire: &str, member: &MemberFacts, findings: &mut Findings) -> Option<Value> {
        let shape = facts::shape(self.api, &member.shape);
        if member.xml_attribute {
            let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
            let attribute = parent.attributes.iter().find(|(name, _)| local(name) == local(wire));
            return attribute.map(|(_, value)| Value::text(value));
        }
        let is_flat = shape.flattened || member.flattened;
        let children: Vec<&Element> = parent.children.iter().filter(|child| child.name == wire).collect();
        match shape.kind {
            ShapeType::List if is_flat => (!children.is_empty()).then(|| self.elements(&children, shape, findings)),
            ShapeType::Map if is_flat => (!children.is_empty()).then(|| self.entries(&children, shape, findings)),
            _ => {
                if children.len() > 1 {
                    findings.add(Flaw::WrongType, format!("{} elements where one should be", children.len()));
                }
                children.first().map(|child| self.value(child, member, findings))
            }
        }
    }

    fn elements(&self, children: &[&Element], shape: &ShapeFacts, findings: &mut Findings) -> Value {
        let Some(member) = &shape.member else { return Value::List(Vec::new()) };
        let read = children
            .iter()
            .enumerate()
            .map(|(index, child)| findings.inside(&index.to_string(), |findings| self.value(child, member, findings)));
        Value::List(read.collect())
    }

    fn entries(&self, children: &[&Element], shape: &ShapeFacts, findings: &mut Findings) -> Value {
        let (Some(key), Some(value)) = (&shape.key, &shape.value) else { return Value::empty() };
        let (key_name, value_name) = (self.name(key).unwrap_or("key"), self.name(value).unwrap_or("value"));
        let keys = facts::shape(self.api, &key.shape);
        let mut read = Vec::with_capacity(children.len());
        for child in children {
            let (Some(name), Some(inside)) = (child.text_of(key_name), child.child(value_name)) else {
                findings.add(Flaw::WrongType, format!("an entry without {key_name} and {value_name}"));
                continue;
            };
            if let Err((flaw, detail)) = enum_value(name, keys) {
                findings.add(flaw, detail);
            }
            read.push((name.to_owned(), findings.inside(name, |findings| self.value(inside, value, findings))));
        }
        Value::Members(read)
    }

    pub fn value(&self, element: &Element, member: &MemberFacts, findings: &mut Findings) -> Value {
        let shape = facts::shape(self.api, &member.shape);
        match shape.kind {
            ShapeType::Structure => self.members(element, shape, &[], findings),
            ShapeType::List => {
                let wire = shape.member.as_ref().and_then(|element| self.name(element)).unwrap_or("member");
                self.all_children(element, wire, findings, |children, findings| {
                    self.elements(children, shape, findings)
                })
            }
            ShapeType::Map => self
                .all_children(element, "entry", findings, |children, findings| self.entries(children, shape, findings)),
            _ => {
                if let Some(child) = element.children.first() {
                    findings.add(Flaw::WrongType, format!("the element {} where a text should be", child.name));
                }
                of_text(&element.text, member, shape, "iso8601").unwrap_or_else(|(flaw, detail)| {
                    findings.add(flaw, detail);
                    Value::text("")
                })
            }
        }
    }

    fn all_children(
        &self,
        element: &Element,
        wire: &str,
        findings: &mut Findings,
        read: impl FnOnce(&[&Element], &mut Findings) -> Value,
    ) -> Value {
        let (own, others): (Vec<&Element>, Vec<&Element>) =
            element.children.iter().partition(|child| child.name == wire);
        for other in others {
            findings.add(Flaw::UnknownMember, format!("{} where {wire} should be", other.name));
        }
        read(&own, findings)
    }
}
