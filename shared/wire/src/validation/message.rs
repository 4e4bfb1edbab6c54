//! Violations in AWS's words.

use std::fmt::{self, Write as _};

use crate::validation::{Constraint, Shown, Violation};

/// `2 validation errors detected: Value null at 'queueName' failed to satisfy constraint: Member must not be null; ...`.
pub fn message(violations: &[Violation]) -> String {
    let plural = if violations.len() == 1 { "error" } else { "errors" };
    let mut text = format!("{} validation {plural} detected: ", violations.len());
    for (index, violation) in violations.iter().enumerate() {
        if index > 0 {
            text.push_str("; ");
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{violation}");
    }
    text
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Shown::Null => f.write_str("Value null at ")?,
            Shown::Text(text) => write!(f, "Value '{text}' at ")?,
            Shown::Hidden => f.write_str("Value at ")?,
        }
        write!(f, "'{}' failed to satisfy constraint: {}", self.path, self.constraint)
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::Required => f.write_str("Member must not be null"),
            Constraint::LengthAtMost(length) => write!(f, "Member must have length less than or equal to {length}"),
            Constraint::LengthAtLeast(length) => write!(f, "Member must have length greater than or equal to {length}"),
            Constraint::ValueAtMost(value) => write!(f, "Member must have value less than or equal to {value}"),
            Constraint::ValueAtLeast(value) => write!(f, "Member must have value greater than or equal to {value}"),
            Constraint::Pattern(pattern) => write!(f, "Member must satisfy regular expression pattern: {pattern}"),
            Constraint::Enum(values) => {
                f.write_str("Member must satisfy enum value set: ")?;
                list(f, values)
            }
            Constraint::Elements(all) => {
                f.write_str("Member must satisfy constraint: ")?;
                list(f, all)
            }
            Constraint::Keys(all) => {
                f.write_str("Map keys must satisfy constraint: ")?;
                list(f, all)
            }
            Constraint::Values(all) => {
                f.write_str("Map value must satisfy constraint: ")?;
                list(f, all)
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    f.write_char('[')?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    f.write_char(']')
}
