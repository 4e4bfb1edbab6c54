//! A scalar of an event, and what conditions want to know of it.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::address::{self, Address};
use crate::number::{self, Millionths};

/// A scalar of an event. Objects and arrays are taken apart before anything is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number {
        /// As the event writes it.
        text: Cow<'a, str>,
        /// Absent if the number is too large or too precise to be compared by value.
        value: Option<Millionths>,
    },
    Literal(Literal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Literal {
    Null,
    True,
    False,
}

impl<'a> Value<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    pub fn number(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        let value = number::parse(&text).ok();
        Value::Number { text, value }
    }
}

/// A value with what is derived from it, derived at most once and only when a condition asks.
pub(crate) struct View<'v> {
    value: &'v Value<'v>,
    folded: OnceCell<String>,
    address: OnceCell<Option<Address>>,
}

impl<'v> View<'v> {
    pub fn new(value: &'v Value<'v>) -> Self {
        View { value, folded: OnceCell::new(), address: OnceCell::new() }
    }

    pub fn value(&self) -> &'v Value<'v> {
        self.value
    }

    pub fn as_text(&self) -> Option<&'v str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<Millionths> {
        match self.value {
            Value::Number { value, .. } => *value,
            _ => None,
        }
    }

    /// The text without its case.
    pub fn as_folded(&self) -> Option<&str> {
        self.as_text().map(|text| self.folded.get_or_init(|| fold(text)).as_str())
    }

    pub fn as_address(&self) -> Option<Address> {
        self.as_text().and_then(|text| *self.address.get_or_init(|| address::parse(text)))
    }
}

/// A text without its case: each character's lower case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().flat_map(char::to_lowercase).collect() }
}
