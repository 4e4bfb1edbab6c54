//! Checks an input against the model's constraints: required, length, range, pattern, enum, at any depth.
//!
//! A valid input costs one walk over its members and no allocation. All violations are gathered, in the form in which
//! AWS tells them; a service that answers in other words reads the structured form and makes its own.
//!
//! Left out: constraints that the model does not have (they are the services' own), and what a reader refuses before
//! (types, ranges of integers).

mod message;
mod pattern;
mod printer;
#[cfg(test)]
mod tests;
mod walk;

pub use message::message;
pub use pattern::{compiles, matches};

use crate::reading::Missing;
use crate::shape::Shape;

/// One value that breaks one constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// `entries.1.member.id`.
    pub path: String,
    /// The member's name in the model; for an element of a list, the list's.
    pub member: &'static str,
    pub value: Shown,
    pub constraint: Constraint,
}

/// A value as an answer may show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Null,
    Text(String),
    /// A sensitive value is not shown.
    Hidden,
}

/// What a value must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    Required,
    LengthAtMost(u64),
    LengthAtLeast(u64),
    ValueAtMost(f64),
    ValueAtLeast(f64),
    Pattern(&'static str),
    Enum(&'static [&'static str]),
    /// Every element of the list, all constraints that elements have.
    Elements(Vec<Constraint>),
    /// Every key of the map.
    Keys(Vec<Constraint>),
    /// Every value of the map.
    Values(Vec<Constraint>),
}

/// All violations of `input`: first the members that the reader found missing, then the others in model order.
pub fn validate(input: &dyn Shape, missing: &[Missing]) -> Vec<Violation> {
    let mut violations = walk::walk(input);
    if missing.is_empty() {
        return violations;
    }
    // What stands in a missing member's place is a default, of which nothing is to be said.
    violations.retain(|violation| !missing.iter().any(|missing| is_within(&violation.path, &missing.path)));
    let required = missing.iter().map(|missing| Violation {
        path: missing.path.clone(),
        member: missing.member,
        value: Shown::Null,
        constraint: Constraint::Required,
    });
    required.chain(violations).collect()
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
