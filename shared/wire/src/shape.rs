//! The traits between shapes and protocols.

use std::any::Any;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::body::Payload;
use crate::document::Document;
use crate::schema::{Member, Schema};

/// A structure or union of an API.
pub trait Shape: Any + Send {
    fn schema(&self) -> &'static Schema;

    /// Reads the member at `index` of the schema from where `reader` stands. A collection that is read twice is appended
    /// to where [`Reader::collections_come_in_pieces`], else replaced.
    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError>;

    /// Writes every member that is set, in model order, except a streamed payload.
    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError>;

    /// Moves out the streamed payload (a streaming blob or an event stream), if the shape has one.
    fn take_payload(&mut self) -> Payload {
        Payload::None
    }

    /// Puts in the streamed payload.
    fn set_payload(&mut self, payload: Payload) {
        drop(payload);
    }
}

/// Where a protocol's request or answer is read from. Every method consumes the value the reader stands at.
///
/// The member is the place the value is read for: it carries names, formats and flags.
pub trait Reader {
    /// Reads a structure or union: calls `shape.read_member` for each member that is present and not null, skips what
    /// the schema does not know, and notes required members that are missing.
    fn read_structure(&mut self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError>;

    /// Calls `each` with the reader standing at each element. A null element of a list reads as `read_null() == true`.
    fn read_list(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError>;

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError>;

    /// Consumes a null and says so; otherwise consumes nothing.
    fn read_null(&mut self) -> bool {
        false
    }

    /// Whether a list or map may come in several pieces, as flattened XML lists do. Elsewhere a collection that comes
    /// again is the member given twice, and the last one counts.
    fn collections_come_in_pieces(&self) -> bool {
        true
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError>;
    fn read_blob(&mut self, member: &'static Member) -> Result<Bytes, ReadError>;
    fn read_boolean(&mut self, member: &'static Member) -> Result<bool, ReadError>;
    fn read_integer(&mut self, member: &'static Member) -> Result<i32, ReadError>;
    fn read_long(&mut self, member: &'static Member) -> Result<i64, ReadError>;
    fn read_float(&mut self, member: &'static Member) -> Result<f32, ReadError>;
    fn read_double(&mut self, member: &'static Member) -> Result<f64, ReadError>;
    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError>;
    fn read_document(&mut self, member: &'static Member) -> Result<Document, ReadError>;
}

/// Where a protocol's request or answer is written to.
pub trait Writer {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError>;

    /// Writes a list of `length` elements; `elements` writes each with the list's element member.
    fn write_list(
        &mut self,
        member: &'static Member,
        length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;

    /// Writes a map of `length` entries; `entries` calls [`Writer::write_key`] before each value.
    fn write_map(
        &mut self,
        member: &'static Member,
        length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;

    /// The key of the entry whose value is written next.
    fn write_key(&mut self, key: &str) -> Result<(), WriteError>;

    /// A null element or value of a sparse collection.
    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError>;

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError>;
    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError>;
    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError>;
    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError>;
    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError>;
    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError>;
    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError>;
    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError>;
    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError>;

    /// Where JSON is written, lets `write` append the text of the member's value and says that it did. For values that are not
    /// in the form of the model's shapes: what is written elsewhere goes by the other methods.
    fn write_json(
        &mut self,
        member: &'static Member,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        let _ = (member, write);
        Ok(false)
    }
}

/// What a reader could not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// The bytes are not of the format at all (bad JSON, bad XML, bad UTF-8, broken base64).
    Malformed,
    /// A well-formed value of another type than the member's.
    WrongType,
    /// A number or timestamp that its type cannot hold.
    OutOfRange,
    /// Nesting beyond the bound.
    TooDeep,
    /// More bytes, entries or parameters than the bound.
    TooLarge,
}

/// In a box, so that a result is one word: every member of every shape passes one on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ReadError(Box<Unreadable>);

/// What there is to say of a [`ReadError`].
#[derive(Clone, Debug)]
pub struct Unreadable {
    pub kind: ReadErrorKind,
    /// For people: what was found, and what was expected.
    pub message: String,
    /// The member path at which it was found, such as `entries.1.messageBody`; empty at the root.
    pub path: String,
}

impl ReadError {
    #[cold]
    pub fn new(kind: ReadErrorKind, message: impl Into<String>) -> Self {
        ReadError(Box::new(Unreadable { kind, message: message.into(), path: String::new() }))
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ReadErrorKind::Malformed, message)
    }

    pub fn wrong_type(message: impl Into<String>) -> Self {
        Self::new(ReadErrorKind::WrongType, message)
    }
}

impl Deref for ReadError {
    type Target = Unreadable;

    fn deref(&self) -> &Unreadable {
        &self.0
    }
}

impl DerefMut for ReadError {
    fn deref_mut(&mut self) -> &mut Unreadable {
        &mut self.0
    }
}

/// A value that the protocol cannot carry: always a defect on our side. In a box, as a [`ReadError`] is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot write {}: {}", .0.what, .0.why)]
pub struct WriteError(Box<Unwritable>);

#[derive(Clone, Debug)]
struct Unwritable {
    what: String,
    why: String,
}

impl WriteError {
    /// What cannot be written, and why.
    #[cold]
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        WriteError(Box::new(Unwritable { what: what.into(), why: why.into() }))
    }
}
