//! What every reader keeps while it reads: where it stands, which members it has seen, which required ones are missing.

use smallvec::SmallVec;

use crate::schema::{Location, Member, Schema};
use crate::shape::{ReadError, ReadErrorKind};

/// How deep structures, lists, maps and documents may nest before a reader refuses the input.
pub const MAX_DEPTH: usize = 128;

/// One step of a member path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Member(&'static str),
    /// A list element, counted from 0.
    Element(u32),
    Key(String),
}

/// Where in the input a reader stands. Its text is AWS's: `entries.1.member.id`, members with a small first letter,
/// list positions counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    steps: SmallVec<[Step; 8]>,
}

impl Path {
    /// Goes one step down; refused beyond [`MAX_DEPTH`].
    pub fn enter(&mut self, step: Step) -> Result<(), ReadError> {
        if self.steps.len() >= MAX_DEPTH {
            return Err(ReadError::new(ReadErrorKind::TooDeep, "the input nests too deep"));
        }
        self.steps.push(step);
        Ok(())
    }

    pub fn leave(&mut self) {
        self.steps.pop();
    }

    /// Moves on to another sibling of the step the path ends in.
    pub fn replace(&mut self, step: Step) {
        if let Some(last) = self.steps.last_mut() {
            *last = step;
        }
    }

    pub fn depth(&self) -> usize {
        self.steps.len()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            push_step(&mut text, step);
        }
        text
    }

    /// The text of the path to `member` of the structure where the path ends.
    pub fn text_of(&self, member: &'static str) -> String {
        let mut text = self.text();
        push_step(&mut text, &Step::Member(member));
        text
    }
}

fn push_step(text: &mut String, step: &Step) {
    if !text.is_empty() {
        text.push('.');
    }
    match step {
        Step::Member(name) => push_member_name(text, name),
        Step::Element(index) => {
            text.push_str(itoa::Buffer::new().format(u64::from(*index) + 1));
            text.push_str(".member");
        }
        Step::Key(key) => {
            text.push_str(key);
            text.push_str(".member");
        }
    }
}

/// AWS names members by its Java property names: `QueueName` is `queueName`, `DBName` is `dBName`.
fn push_member_name(text: &mut String, name: &str) {
    let mut characters = name.chars();
    if let Some(first) = characters.next() {
        text.push(first.to_ascii_lowercase());
    }
    text.push_str(characters.as_str());
}

/// A required member that the input does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `entries.1.member.id`.
    pub path: String,
    /// The member's name in the model.
    pub member: &'static str,
}

/// The members of one structure that were present and not null.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    low: u128,
    high: SmallVec<[u128; 0]>,
}

impl Seen {
    /// Notes the member; `true` when it was noted before.
    pub fn note(&mut self, index: u16) -> bool {
        let (word, bit) = (usize::from(index) / 128, 1u128 << (index % 128));
        let slot = if word == 0 {
            &mut self.low
        } else {
            if self.high.len() < word {
                self.high.resize(word, 0);
            }
            &mut self.high[word - 1]
        };
        let before = *slot & bit != 0;
        *slot |= bit;
        before
    }

    /// Takes over what `other` has seen.
    pub fn merge(&mut self, other: Seen) {
        self.low |= other.low;
        if self.high.len() < other.high.len() {
            self.high.resize(other.high.len(), 0);
        }
        for (mine, theirs) in self.high.iter_mut().zip(&other.high) {
            *mine |= theirs;
        }
    }

    pub fn has(&self, index: u16) -> bool {
        let (word, bit) = (usize::from(index) / 128, 1u128 << (index % 128));
        let slot = if word == 0 { self.low } else { self.high.get(word - 1).copied().unwrap_or(0) };
        slot & bit != 0
    }
}

/// The path and the missing members of one reading; readers of all protocols hold one.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub path: Path,
    pub missing: Vec<Missing>,
}

/// So many missing members are told of; a list of 10,000 empty entries needs no longer answer.
const MAX_MISSING: usize = 1_000;

impl Progress {
    /// Notes the required members of `schema` that were not seen. A streamed payload is never missing: it may be empty.
    pub fn note_missing(&mut self, schema: &'static Schema, seen: &Seen) {
        for member in &*schema.members {
            if member.required && !seen.has(member.index) && !is_streamed(member) && self.missing.len() < MAX_MISSING {
                self.missing.push(Missing { path: self.path.text_of(member.name), member: member.name });
            }
        }
    }

    /// The error with the path where it was found.
    pub fn locate(&self, mut error: ReadError) -> ReadError {
        if error.path.is_empty() {
            error.path = self.path.text();
        }
        error
    }
}

/// The member is the streamed part of its message.
pub fn is_streamed(member: &Member) -> bool {
    member.target.streaming || member.target.event_stream
}

/// The member of `schema` with this wire name that travels in the body.
pub fn body_member(schema: &'static Schema, wire_name: &str) -> Option<&'static Member> {
    let member = schema.member_by_wire_name(wire_name)?;
    if member.location == Location::Body {
        return Some(member);
    }
    // A header or query parameter may bear the same name as a member of the body.
    schema.members.iter().find(|other| other.location == Location::Body && other.wire_name == wire_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_aws_writes_them() {
        let mut path = Path::default();
        path.enter(Step::Member("Entries")).unwrap();
        path.enter(Step::Element(0)).unwrap();
        assert_eq!(path.text_of("Id"), "entries.1.member.id");
        path.replace(Step::Element(11));
        assert_eq!(path.text_of("DBName"), "entries.12.member.dBName");
    }

    #[test]
    fn depth_is_bounded() {
        let mut path = Path::default();
        for _ in 0..MAX_DEPTH {
            path.enter(Step::Element(0)).unwrap();
        }
        assert_eq!(path.enter(Step::Element(0)).unwrap_err().kind, ReadErrorKind::TooDeep);
    }

    #[test]
    fn seen_holds_more_than_one_word() {
        let mut seen = Seen::default();
        for index in [0, 127, 128, 300] {
            assert!(!seen.has(index));
            assert!(!seen.note(index));
            assert!(seen.note(index));
        }
        assert!(!seen.has(299));
    }
}
