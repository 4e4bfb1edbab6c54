//! Answers that are true in shape and nonsense in content.
//!
//! A value that the caller sent comes back where the output has a member of the same name: an echo is what flatters a
//! test most. Everything else is made up.

use bytes::Bytes;
use fractus_clock::{Random, Timestamp};
use fractus_wire::{Document, Kind, Schema};
use indexmap::IndexMap;

/// Recursive shapes end here.
const MAX_DEPTH: usize = 5;
const MAX_ELEMENTS: u64 = 3;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// An output of the schema; `input` is what the caller sent.
pub fn output(schema: &'static Schema, input: &Document, random: &Random) -> Document {
    Maker { input, random }.value(schema, "", 0)
}

struct Maker<'a> {
    input: &'a Document,
    random: &'a Random,
}

impl Maker<'_> {
    fn value(&self, schema: &'static Schema, name: &str, depth: usize) -> Document {
        if let Some(echo) = echo(self.input, name, schema.kind) {
            return echo;
        }
        match schema.kind {
            Kind::Structure => self.structure(schema, depth),
            Kind::Union => self.union(schema, depth),
            Kind::List | Kind::Map if depth >= MAX_DEPTH => empty(schema.kind),
            Kind::List => {
                let element = schema.element().map(|element| element.target);
                let count = self.random.below(MAX_ELEMENTS + 1);
                Document::List(
                    element
                        .into_iter()
                        .flat_map(|element| (0..count).map(|_| self.value(element, "", depth + 1)))
                        .collect(),
                )
            }
            Kind::Map => {
                let value = schema.element().map(|value| value.target);
                let count = self.random.below(MAX_ELEMENTS + 1);
                let entry =
                    |value| (self.text(schema.members.first().map(|key| key.target)), self.value(value, "", depth + 1));
                Document::Map(value.into_iter().flat_map(|value| (0..count).map(move |_| entry(value))).collect())
            }
            Kind::String | Kind::Enum => Document::String(self.text(Some(schema))),
            Kind::Blob => Document::Blob(Bytes::from(self.random.text(12, LETTERS))),
            Kind::Boolean => Document::Boolean(self.random.below(2) == 0),
            Kind::Integer | Kind::Long => Document::Integer(self.number(schema)),
            Kind::Float | Kind::Double => Document::Double(self.number(schema) as f64),
            Kind::Timestamp => Document::Timestamp(Timestamp::from_secs(self.random.below(2_000_000_000) as i64)),
            Kind::Document => Document::Map(IndexMap::new()),
        }
    }

    /// Required members always, others mostly.
    fn structure(&self, schema: &'static Schema, depth: usize) -> Document {
        let wanted = schema
            .members
            .into_iter()
            .filter(|member| member.required || (depth < MAX_DEPTH && self.random.below(4) > 0));
        Document::Map(
            wanted.map(|member| (member.name.to_owned(), self.value(member.target, member.name, depth + 1))).collect(),
        )
    }

    fn union(&self, schema: &'static Schema, depth: usize) -> Document {
        let at = self.random.below(schema.members.len() as u64) as usize;
        let chosen = schema.members.get(at).filter(|_| depth < MAX_DEPTH);
        let member = chosen.map(|member| (member.name.to_owned(), self.value(member.target, member.name, depth + 1)));
        Document::Map(member.into_iter().collect())
    }

    fn text(&self, schema: Option<&'static Schema>) -> String {
        let values = schema.map_or(&[][..], |schema| schema.values);
        if values.is_empty() {
            return self.random.text(12, LETTERS);
        }
        values[self.random.below(values.len() as u64) as usize].to_owned()
    }

    fn number(&self, schema: &'static Schema) -> i64 {
        let least = schema.constraints.min.unwrap_or(0.0) as i64;
        let most =
            schema.constraints.max.map_or(1_000, |most| most as i64).clamp(least, least.saturating_add(1_000_000));
        least + self.random.below((most - least) as u64 + 1) as i64
    }
}

fn empty(kind: Kind) -> Document {
    if kind == Kind::List { Document::List(Vec::new()) } else { Document::Map(IndexMap::new()) }
}

/// The value that the caller sent under this name, at any depth, if it is of the kind.
fn echo(input: &Document, name: &str, kind: Kind) -> Option<Document> {
    if name.is_empty() {
        return None;
    }
    match input {
        Document::Map(map) => match map.get(name) {
            Some(found) if fits(found, kind) => Some(found.clone()),
            _ => map.values().find_map(|inner| echo(inner, name, kind)),
        },
        Document::List(list) => list.iter().find_map(|inner| echo(inner, name, kind)),
        _ => None,
    }
}

fn fits(value: &Document, kind: Kind) -> bool {
    match value {
        Document::String(_) => matches!(kind, Kind::String | Kind::Enum),
        Document::Integer(_) => matches!(kind, Kind::Integer | Kind::Long),
        Document::Double(_) => matches!(kind, Kind::Float | Kind::Double),
        Document::Boolean(_) => kind == Kind::Boolean,
        Document::Blob(_) => kind == Kind::Blob,
        Document::Timestamp(_) => kind == Kind::Timestamp,
        // Nested values are echoed member by member, so that what is not the caller's is made up.
        Document::List(_) | Document::Map(_) | Document::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::apis;

    #[test]
    fn what_was_sent_comes_back_and_the_rest_is_made_up() {
        let (_, operation) = apis::operation("sqs.ListQueueTags").unwrap();
        let random = Random::seeded(7);
        let made = output(operation.output, &Document::Map(IndexMap::new()), &random);
        assert!(matches!(made, Document::Map(_)));
        let (_, operation) = apis::operation("s3.CreateMultipartUpload").unwrap();
        let sent = [("Bucket", "b"), ("Key", "k")];
        let sent = sent.map(|(name, text)| (name.to_owned(), Document::String(text.to_owned())));
        let input = Document::Map(sent.into_iter().collect());
        let mut seen = 0;
        for _ in 0..20 {
            let made = output(operation.output, &input, &random);
            seen += usize::from(made.get("Key").and_then(Document::as_str) == Some("k"));
            assert_ne!(made.get("UploadId").and_then(Document::as_str), Some("k"));
        }
        assert!(seen > 5, "{seen}");
    }
}
