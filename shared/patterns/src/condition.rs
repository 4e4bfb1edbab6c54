//! What a pattern asks of one field.

use crate::address::Address;
use crate::number::Millionths;
use crate::value::{Literal, Value, View};
use crate::wildcard::Wildcard;

/// One of the alternatives that a pattern lists for a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    Text(Box<str>),
    /// Matches by value; by text where either number is beyond comparison (account ids, for example).
    Number {
        text: Box<str>,
        value: Option<Millionths>,
    },
    Literal(Literal),
    /// A text that is an IP address matches every writing of it.
    Address(Address),
    /// First and last address, both included and of one family.
    Block(Address, Address),
    /// First and last number, both included; empty if they are in the wrong order.
    Range(Millionths, Millionths),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// These three hold their text without its case.
    EqualIgnoringCase(Box<str>),
    PrefixIgnoringCase(Box<str>),
    SuffixIgnoringCase(Box<str>),
    Wildcard(Wildcard),
    Exists,
    /// Holds if the event has no value here at all; no value satisfies it.
    Absent,
    /// Holds for every value, of any type, that satisfies none of these.
    AnythingBut(Box<[Condition]>),
}

impl Condition {
    pub(crate) fn accepts(&self, view: &View<'_>) -> bool {
        match self {
            Condition::Text(expected) => view.as_text() == Some(&**expected),
            Condition::Number { text: expected, value: expected_value } => match view.value() {
                Value::Number { text, value } => **expected == **text || (value.is_some() && value == expected_value),
                _ => false,
            },
            Condition::Literal(expected) => *view.value() == Value::Literal(*expected),
            Condition::Address(expected) => view.as_address() == Some(*expected),
            Condition::Block(first, last) => view.as_address().is_some_and(|address| {
                // Families are ordered one after the other, so a block never spans two.
                *first <= address && address <= *last
            }),
            Condition::Range(first, last) => view.as_number().is_some_and(|number| *first <= number && number <= *last),
            Condition::Prefix(prefix) => view.as_text().is_some_and(|text| text.starts_with(&**prefix)),
            Condition::Suffix(suffix) => view.as_text().is_some_and(|text| text.ends_with(&**suffix)),
            Condition::EqualIgnoringCase(expected) => view.as_folded() == Some(&**expected),
            Condition::PrefixIgnoringCase(prefix) => view.as_folded().is_some_and(|text| text.starts_with(&**prefix)),
            Condition::SuffixIgnoringCase(suffix) => view.as_folded().is_some_and(|text| text.ends_with(&**suffix)),
            Condition::Wildcard(wildcard) => view.as_text().is_some_and(|text| wildcard.accepts(text)),
            Condition::Exists => true,
            Condition::Absent => false,
            Condition::AnythingBut(excluded) => !excluded.iter().any(|condition| condition.accepts(view)),
        }
    }

    /// How few values satisfy such a condition, roughly: the index asks small ones first.
    pub(crate) fn breadth(&self) -> u8 {
        match self {
            Condition::Text(_) | Condition::Number { .. } | Condition::Address(_) | Condition::EqualIgnoringCase(_) => {
                0
            }
            Condition::Literal(_) => 2,
            Condition::Range(first, last) => u8::from(first < last),
            Condition::Block(..)
            | Condition::Prefix(_)
            | Condition::Suffix(_)
            | Condition::PrefixIgnoringCase(_)
            | Condition::SuffixIgnoringCase(_)
            | Condition::Wildcard(_) => 1,
            Condition::Exists => 2,
            Condition::AnythingBut(_) => 3,
            Condition::Absent => 4,
        }
    }
}
