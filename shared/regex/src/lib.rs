//! What NATS's client uses of the crate `regex`, by the engine that programs have anyway: it reads a server's version with one
//! expression, for which the crate itself would bring a tenth of a megabyte of automata and tables to every program.
//!
//! The workspace puts it in that crate's place (`[patch.crates-io]`). What is missing here and used by a newer client does not
//! compile.

use std::fmt;
use std::ops::Range;

use fractus_expressions::{Expression, Unreadable};

/// An expression that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Unreadable);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

#[derive(Clone, Debug)]
pub struct Regex(Expression);

impl Regex {
    pub fn new(expression: &str) -> Result<Self, Error> {
        Expression::new(expression).map(Regex).map_err(Error)
    }

    /// Whether the expression matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.find(text).is_some()
    }

    /// The groups of the first match.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.0.find(text).map(|groups| Captures { text, groups })
    }
}

#[derive(Clone, Debug)]
pub struct Captures<'t> {
    text: &'t str,
    groups: Vec<Option<Range<usize>>>,
}

impl<'t> Captures<'t> {
    /// A group's match; the whole one's is the first.
    pub fn get(&self, group: usize) -> Option<Match<'t>> {
        let range = self.groups.get(group)?.clone()?;
        self.text.get(range).map(Match)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Match<'t>(&'t str);

impl<'t> Match<'t> {
    pub fn as_str(&self) -> &'t str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_of_servers_are_read() {
        let version = Regex::new(r"\Av?([0-9]+)\.?([0-9]+)?\.?([0-9]+)?").unwrap();
        let read = |text| {
            let captures = version.captures(text)?;
            Some([1, 2, 3].map(|group| captures.get(group).map(|found| found.as_str().to_owned())))
        };
        let numbers = |one: &str, two: &str, three: &str| Some([one, two, three].map(|text| Some(text.to_owned())));
        assert_eq!(read("2.10.26"), numbers("2", "10", "26"));
        assert_eq!(read("v2.11.0-RC.1"), numbers("2", "11", "0"));
        assert_eq!(read("2"), Some([Some("2".to_owned()), None, None]));
        assert_eq!(read("nightly"), None);
    }

    #[test]
    fn names_and_versions_of_services_are_told_apart() {
        let name = Regex::new(r"^[A-Za-z0-9\-_]+$").unwrap();
        assert!(name.is_match("a-b_9") && !name.is_match("a b"));
        // Not where clippy sees it, which knows the crate of this name.
        let unclosed = String::from("(");
        assert!(Regex::new(&unclosed).is_err());
    }
}
