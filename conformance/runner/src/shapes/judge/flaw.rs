//! What can be wrong with an answer.

use std::fmt;

use serde::Serialize;

/// The kinds, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Another status than the model's.
    WrongStatus,
    WrongContentType,
    MissingRequestId,
    MissingHeader,
    /// The body is not of the protocol's format.
    UnreadableBody,
    /// The body's outermost form: root element, wrapper, namespace.
    WrongForm,
    MissingMember,
    UnknownMember,
    WrongType,
    WrongTimestamp,
    UnknownValue,
    /// An error that the operation does not have.
    UnknownError,
    WrongErrorStatus,
    WrongErrorForm,
    /// A request that is right was refused.
    RefusedValid,
    /// A request that is wrong was not refused.
    SwallowedValidation,
    /// A request that is wrong was refused, but not as the service refuses it.
    WrongRefusal,
    /// Nothing came back.
    NoAnswer,
}

impl Flaw {
    /// The answer has the right form, and yet is the wrong answer.
    pub fn is_of_behaviour(self) -> bool {
        matches!(self, Flaw::RefusedValid | Flaw::SwallowedValidation | Flaw::WrongRefusal)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).unwrap_or_default();
        f.write_str(name.as_str().unwrap_or("flaw"))
    }
}

/// One flaw, where it is and what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub flaw: Flaw,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { String::new() } else { format!(" at {}", self.at) };
        write!(f, "{}{at}: {}", self.flaw, self.detail)
    }
}

/// Findings as they come, and the place in the answer that is being looked at.
#[derive(Debug, Default)]
pub struct Findings {
    pub found: Vec<Finding>,
    path: Vec<String>,
}

/// An answer that is wrong everywhere says no more by saying it more often.
const MAX_FINDINGS: usize = 20;

impl Findings {
    pub fn add(&mut self, flaw: Flaw, detail: impl Into<String>) {
        let finding = Finding { flaw, at: self.path.join("."), detail: detail.into() };
        if self.found.len() < MAX_FINDINGS && !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// Looks at what is inside of a member.
    pub fn inside<T>(&mut self, name: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let looked = look(self);
        self.path.pop();
        looked
    }
}
