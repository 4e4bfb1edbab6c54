//! An event, taken apart into its scalars.
//!
//! Each scalar has a path: the names of the members it lies in, joined by dots. Arrays leave no trace in the path, so
//! `{"a": [{"b": 1}, {"b": 2}]}` has `a.b` twice, and a member called `a.b` is the same as `b` in `a`. Which elements
//! of which arrays a scalar lies in is remembered beside it: a pattern matches only with scalars that do not lie in
//! different elements of one array.

use std::borrow::Cow;

use crate::error::Located;
use crate::json::{Token, Tokens};
use crate::value::{Literal, Value};

/// Paths beyond this many bytes are not matched; no pattern has such a path.
pub const MAX_PATH_BYTES: usize = 4_096;

/// Nothing: the parent of what stands at the top.
pub(crate) const NONE: u32 = u32::MAX;

/// An event ready to be matched against any number of patterns and indexes.
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    names: Vec<Name<'a>>,
    entries: Vec<Entry<'a>>,
    elements: Vec<Element>,
    arrays: Vec<Array>,
}

/// A member's name in the tree of names: a path without a string of its own.
#[derive(Clone, Debug)]
struct Name<'a> {
    parent: u32,
    text: Cow<'a, str>,
    hash: u64,
    path_bytes: usize,
}

/// A scalar.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    name: u32,
    pub value: Value<'a>,
    /// The innermost element of an array that the scalar lies in, or [`NONE`].
    pub element: u32,
}

/// An element, itself an object or an array, of an array.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub parent: u32,
    pub array: u32,
    /// The first entry in it; entries in it are consecutive.
    pub first: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    /// One behind the last entry in it.
    pub end: u32,
    /// Whether a scalar stands in it by itself, which is in none of its elements.
    pub has_scalars: bool,
}

/// An attribute of a message, as SNS's filter policies of scope `MessageAttributes` see it. Binary ones they do not see.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    Text(&'a str),
    Number(&'a str),
    /// `String.Array`: a JSON array of strings, numbers, booleans and nulls.
    Array(&'a str),
}

/// Why a text is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    NotJson(#[from] Located),
    #[error("Event must be a JSON object")]
    NotAnObject,
}

impl<'a> Event<'a> {
    /// Takes a JSON object apart. Without recursion, and linear in the text.
    pub fn parse(json: &'a str) -> Result<Self, EventError> {
        let mut tokens = Tokens::new(json);
        if tokens.next()? != Token::StartObject {
            return Err(EventError::NotAnObject);
        }
        let mut event = Event::default();
        event.read(&mut tokens, Place { name: NONE, element: NONE, array: NONE })?;
        Ok(event)
    }

    /// The attributes of a message. An array that is not JSON has no values.
    pub fn from_attributes(attributes: impl IntoIterator<Item = (&'a str, Attribute<'a>)>) -> Self {
        let mut event = Event::default();
        for (name, attribute) in attributes {
            let name = event.name(NONE, name.into());
            match attribute {
                Attribute::Text(text) => event.add(name, NONE, Value::text(text)),
                Attribute::Number(text) => event.add(name, NONE, Value::number(text)),
                Attribute::Array(json) => {
                    let mut tokens = Tokens::new(json);
                    if matches!(tokens.next(), Ok(Token::StartArray)) {
                        let array = event.begin_array();
                        let _ = event.read(&mut tokens, Place { name, element: NONE, array });
                    }
                }
            }
        }
        event
    }

    /// Reads to the end of the container whose bracket has just been read.
    fn read(&mut self, tokens: &mut Tokens<'a>, top: Place) -> Result<(), Located> {
        let mut open = vec![top];
        while let Some(mut place) = open.last().copied() {
            let mut token = tokens.next()?;
            if token == Token::Name {
                place.name = self.name(place.name, tokens.name().clone());
                token = tokens.next()?;
            }
            if is_scalar(token)
                && let Some(array) = self.arrays.get_mut(place.array as usize)
            {
                array.has_scalars = true;
            }
            match token {
                Token::EndObject | Token::EndArray | Token::End => {
                    open.pop();
                    let end = self.position();
                    if let Some(array) = self.arrays.get_mut(place.array as usize) {
                        array.end = end;
                    }
                }
                Token::StartObject => open.push(Place { array: NONE, ..self.enter(place) }),
                Token::StartArray => open.push(Place { array: self.begin_array(), ..self.enter(place) }),
                Token::Text => {
                    let text = tokens.text()?;
                    self.add(place.name, place.element, Value::Text(text));
                }
                Token::Number => self.add(place.name, place.element, Value::number(tokens.number())),
                Token::True => self.add(place.name, place.element, Value::Literal(Literal::True)),
                Token::False => self.add(place.name, place.element, Value::Literal(Literal::False)),
                Token::Null => self.add(place.name, place.element, Value::Literal(Literal::Null)),
                // The tokenizer gives a name only before a value.
                Token::Name => {}
            }
        }
        Ok(())
    }

    /// Where the contents of a container lie that stands at `place`: in an element of its own, if that is an array.
    fn enter(&mut self, place: Place) -> Place {
        if place.array == NONE {
            return place;
        }
        let element = self.elements.len() as u32;
        self.elements.push(Element { parent: place.element, array: place.array, first: self.position() });
        Place { element, ..place }
    }

    fn begin_array(&mut self) -> u32 {
        self.arrays.push(Array::default());
        (self.arrays.len() - 1) as u32
    }

    fn position(&self) -> u32 {
        self.entries.len() as u32
    }

    fn name(&mut self, parent: u32, text: Cow<'a, str>) -> u32 {
        let (start, path_bytes) = match self.names.get(parent as usize) {
            Some(parent) => (extend(parent.hash, b"."), parent.path_bytes + 1 + text.len()),
            None => (HASH_START, text.len()),
        };
        let hash = extend(start, text.as_bytes());
        self.names.push(Name { parent, text, hash, path_bytes });
        (self.names.len() - 1) as u32
    }

    fn add(&mut self, name: u32, element: u32, value: Value<'a>) {
        if self.names.get(name as usize).is_some_and(|name| name.path_bytes <= MAX_PATH_BYTES) {
            self.entries.push(Entry { name, value, element });
        }
    }

    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    pub(crate) fn element(&self, element: u32) -> Option<&Element> {
        self.elements.get(element as usize)
    }

    pub(crate) fn array(&self, array: u32) -> Option<&Array> {
        self.arrays.get(array as usize)
    }

    pub(crate) fn path_hash(&self, entry: &Entry<'a>) -> u64 {
        self.names.get(entry.name as usize).map_or(HASH_START, |name| name.hash)
    }

    /// Whether the entry's path is this one.
    pub(crate) fn is_at(&self, entry: &Entry<'a>, path: &str) -> bool {
        let mut rest = path.as_bytes();
        let mut at = entry.name;
        while let Some(name) = self.names.get(at as usize) {
            let Some(before) = rest.strip_suffix(name.text.as_bytes()) else { return false };
            at = name.parent;
            if at == NONE {
                return before.is_empty();
            }
            let Some(before) = before.strip_suffix(b".") else { return false };
            rest = before;
        }
        false
    }
}

fn is_scalar(token: Token) -> bool {
    matches!(token, Token::Text | Token::Number | Token::True | Token::False | Token::Null)
}

/// Where the reader stands.
#[derive(Clone, Copy)]
struct Place {
    name: u32,
    element: u32,
    /// The array whose elements are read, or [`NONE`] in an object.
    array: u32,
}

const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, because it goes on where the parent's path ended.
fn extend(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The hash of a path as [`Event::path_hash`] gives it.
pub(crate) fn path_hash(path: &str) -> u64 {
    extend(HASH_START, path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'e>(event: &'e Event<'_>, path: &str) -> Vec<&'e Value<'e>> {
        let found = event.entries().iter().filter(|entry| event.is_at(entry, path));
        found
            .map(|entry| {
                assert_eq!(event.path_hash(entry), path_hash(path));
                &entry.value
            })
            .collect()
    }

    #[test]
    fn paths_go_through_arrays_and_dots() {
        let event = Event::parse(r#"{"a": [{"b": 1}, [{"b": "two"}], null], "a.b": true, "c": {"": []}}"#).unwrap();
        let expected = [&Value::number("1"), &Value::text("two"), &Value::Literal(Literal::True)];
        assert_eq!(at(&event, "a.b"), expected);
        assert_eq!(at(&event, "a"), [&Value::Literal(Literal::Null)]);
        assert!(at(&event, "b").is_empty());
        assert!(at(&event, "c.").is_empty());
    }

    #[test]
    fn elements_and_arrays_know_their_extent() {
        let event = Event::parse(r#"{"x": 0, "a": [{"b": 1, "c": [{"d": 2}]}, 3, {"b": 4}], "y": 5}"#).unwrap();
        let elements: Vec<(u32, u32, u32)> =
            event.elements.iter().map(|element| (element.parent, element.array, element.first)).collect();
        assert_eq!(elements, [(NONE, 0, 1), (0, 1, 2), (NONE, 0, 4)]);
        let arrays: Vec<(u32, bool)> = event.arrays.iter().map(|array| (array.end, array.has_scalars)).collect();
        assert_eq!(arrays, [(5, true), (3, false)]);
        let inside: Vec<u32> = event.entries().iter().map(|entry| entry.element).collect();
        assert_eq!(inside, [NONE, 0, 1, NONE, 2, NONE]);
    }

    #[test]
    fn attributes_are_flat() {
        let attributes = [
            ("s", Attribute::Text("x")),
            ("n", Attribute::Number("1.50")),
            ("l", Attribute::Array(r#"["a", 2, null]"#)),
        ];
        let event = Event::from_attributes(attributes);
        assert_eq!(at(&event, "s"), [&Value::text("x")]);
        assert_eq!(at(&event, "n"), [&Value::number("1.50")]);
        assert_eq!(at(&event, "l"), [&Value::text("a"), &Value::number("2"), &Value::Literal(Literal::Null)]);
        assert!(Event::from_attributes([("l", Attribute::Array("nonsense"))]).entries().is_empty());
    }

    #[test]
    fn what_is_no_object_is_no_event() {
        assert_eq!(Event::parse("[]").unwrap_err(), EventError::NotAnObject);
        assert!(matches!(Event::parse("{").unwrap_err(), EventError::NotJson(_)));
        let deep = format!("{}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
        assert!(matches!(Event::parse(&deep).unwrap_err(), EventError::NotJson(_)));
    }

    #[test]
    fn long_paths_are_left_out() {
        let name = "n".repeat(MAX_PATH_BYTES);
        let json = format!("{{\"{name}\": 1, \"a\": {{\"{name}\": 2}}}}");
        assert_eq!(Event::parse(&json).unwrap().entries().len(), 1);
    }
}
