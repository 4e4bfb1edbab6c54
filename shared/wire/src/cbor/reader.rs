//! Reads shapes from CBOR.

use std::borrow::Cow;

use bytes::Bytes;
use fractus_clock::Timestamp;
use minicbor::data::{IanaTag, Tag, Type};
use minicbor::decode::{Decoder, Error};

use crate::cbor::document::read_document;
use crate::document::Document;
use crate::json::{epoch_seconds, out_of_range};
use crate::reading::{Progress, Seen, Step};
use crate::schema::{Member, Schema};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};

/// Reads one CBOR item.
pub struct CborReader<'a> {
    pub(super) cbor: Decoder<'a>,
    pub progress: Progress,
}

impl<'a> CborReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        CborReader { cbor: Decoder::new(bytes), progress: Progress::default() }
    }

    /// Reads the whole item as the members of `shape`; required ones that are not there are in `progress.missing`.
    pub fn read_root(&mut self, schema: &'static Schema, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let mut seen = Seen::default();
        self.read_members(schema, shape, &mut seen).map_err(|error| self.progress.locate(error))?;
        self.finish()?;
        self.progress.note_missing(schema, &seen);
        Ok(())
    }

    pub fn finish(&self) -> Result<(), ReadError> {
        if self.cbor.position() == self.cbor.input().len() {
            return Ok(());
        }
        Err(ReadError::malformed("bytes after the item"))
    }

    pub(super) fn kind(&self) -> Result<Type, ReadError> {
        self.cbor.datatype().map_err(|error| malformed(&error))
    }

    /// Whether the collection goes on: `left` of a counted one, else up to the break.
    pub(super) fn goes_on(&mut self, left: &mut Option<u64>) -> Result<bool, ReadError> {
        match left {
            Some(0) => Ok(false),
            Some(count) => {
                *count -= 1;
                Ok(true)
            }
            None if self.kind()? == Type::Break => {
                self.cbor.set_position(self.cbor.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    pub(super) fn open_map(&mut self) -> Result<Option<u64>, ReadError> {
        match self.kind()? {
            Type::Map | Type::MapIndef => self.cbor.map().map_err(|error| malformed(&error)),
            found => Err(unexpected(found, "a map")),
        }
    }

    pub(super) fn open_array(&mut self) -> Result<Option<u64>, ReadError> {
        match self.kind()? {
            Type::Array | Type::ArrayIndef => self.cbor.array().map_err(|error| malformed(&error)),
            found => Err(unexpected(found, "a list")),
        }
    }

    /// A text, borrowed unless it comes in pieces.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, ReadError> {
        match self.kind()? {
            Type::String => self.cbor.str().map(Cow::Borrowed).map_err(|error| malformed(&error)),
            Type::StringIndef => {
                let pieces = self.cbor.str_iter().map_err(|error| malformed(&error))?;
                let text = pieces.collect::<Result<String, Error>>().map_err(|error| malformed(&error))?;
                Ok(Cow::Owned(text))
            }
            found => Err(unexpected(found, "a string")),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.cbor.datatype(), Ok(Type::Null | Type::Undefined))
    }

    pub(super) fn skip(&mut self) -> Result<(), ReadError> {
        self.cbor.skip().map_err(|error| malformed(&error))
    }

    fn read_members(
        &mut self,
        schema: &'static Schema,
        shape: &mut dyn Shape,
        seen: &mut Seen,
    ) -> Result<(), ReadError> {
        let mut left = self.open_map()?;
        while self.goes_on(&mut left)? {
            let key = self.text()?;
            match schema.member_by_wire_name(&key) {
                Some(member) if !self.is_null() => self.read_member(member, shape, seen)?,
                _ => self.skip()?,
            }
        }
        Ok(())
    }

    fn read_member(
        &mut self,
        member: &'static Member,
        shape: &mut dyn Shape,
        seen: &mut Seen,
    ) -> Result<(), ReadError> {
        self.progress.path.enter(Step::Member(member.name))?;
        seen.note(member.index);
        shape.read_member(usize::from(member.index), self).map_err(|error| self.progress.locate(error))?;
        self.progress.path.leave();
        Ok(())
    }

    pub(super) fn whole_number(&mut self, wanted: &str) -> Result<i64, ReadError> {
        match self.kind()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                let value = self.cbor.int().map_err(|error| malformed(&error))?;
                i64::try_from(value).map_err(|_| out_of_range(wanted))
            }
            found => Err(unexpected(found, wanted)),
        }
    }

    pub(super) fn fraction(&mut self, wanted: &str) -> Result<f64, ReadError> {
        match self.kind()? {
            Type::F16 => self.cbor.f16().map(f64::from).map_err(|error| malformed(&error)),
            Type::F32 => self.cbor.f32().map(f64::from).map_err(|error| malformed(&error)),
            Type::F64 => self.cbor.f64().map_err(|error| malformed(&error)),
            // A whole number is a number: encoders write the shortest form.
            _ => self.whole_number(wanted).map(|value| value as f64),
        }
    }

    /// Tag 1: seconds since the epoch.
    pub(super) fn tagged_timestamp(&mut self) -> Result<Timestamp, ReadError> {
        let tag: Tag = self.cbor.tag().map_err(|error| malformed(&error))?;
        if tag != IanaTag::Timestamp.tag() {
            return Err(ReadError::wrong_type(format!("tag {} can not be converted to a timestamp", tag.as_u64())));
        }
        match self.kind()? {
            Type::F16 | Type::F32 | Type::F64 => epoch_seconds(self.fraction("a timestamp")?),
            _ => {
                let seconds = self.whole_number("a timestamp")?;
                epoch_seconds(seconds as f64).map(|_| Timestamp::from_secs(seconds))
            }
        }
    }
}

impl Reader for CborReader<'_> {
    fn read_structure(&mut self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let mut seen = Seen::default();
        self.read_members(member.target, shape, &mut seen)?;
        self.progress.note_missing(member.target, &seen);
        Ok(())
    }

    fn read_list(
        &mut self,
        _member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut left = self.open_array()?;
        let mut index = 0;
        self.progress.path.enter(Step::Element(0))?;
        while self.goes_on(&mut left)? {
            self.progress.path.replace(Step::Element(index));
            each(self)?;
            index += 1;
        }
        self.progress.path.leave();
        Ok(())
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        // The key is needed in the path only where something can be missing below it.
        let keeps_keys = member.target.element().is_some_and(|value| value.target.kind.is_aggregate());
        let mut left = self.open_map()?;
        self.progress.path.enter(Step::Element(0))?;
        while self.goes_on(&mut left)? {
            let key = self.text()?.into_owned();
            if keeps_keys {
                self.progress.path.replace(Step::Key(key.clone()));
            }
            each(key, self)?;
        }
        self.progress.path.leave();
        Ok(())
    }

    fn read_null(&mut self) -> bool {
        self.is_null() && self.cbor.skip().is_ok()
    }

    fn collections_come_in_pieces(&self) -> bool {
        false
    }

    fn read_string(&mut self, _member: &'static Member) -> Result<String, ReadError> {
        self.text().map(Cow::into_owned)
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        match self.kind()? {
            Type::Bytes => self.cbor.bytes().map(Bytes::copy_from_slice).map_err(|error| malformed(&error)),
            Type::BytesIndef => {
                let mut joined = Vec::new();
                for piece in self.cbor.bytes_iter().map_err(|error| malformed(&error))? {
                    joined.extend_from_slice(piece.map_err(|error| malformed(&error))?);
                }
                Ok(Bytes::from(joined))
            }
            found => Err(unexpected(found, "a blob")),
        }
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        match self.kind()? {
            Type::Bool => self.cbor.bool().map_err(|error| malformed(&error)),
            found => Err(unexpected(found, "a Boolean")),
        }
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        i32::try_from(self.whole_number("an Integer")?).map_err(|_| out_of_range("an Integer"))
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        self.whole_number("a Long")
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        self.fraction("a Float").map(|value| value as f32)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        self.fraction("a Double")
    }

    fn read_timestamp(&mut self, _member: &'static Member) -> Result<Timestamp, ReadError> {
        match self.kind()? {
            Type::Tag => self.tagged_timestamp(),
            found => Err(unexpected(found, "a timestamp")),
        }
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        let depth = self.progress.path.depth();
        read_document(self, depth)
    }
}

pub(super) fn malformed(error: &Error) -> ReadError {
    ReadError::new(ReadErrorKind::Malformed, error.to_string())
}

fn unexpected(found: Type, wanted: &str) -> ReadError {
    match found {
        Type::Break | Type::Unknown(_) => ReadError::malformed(format!("{found} where {wanted} was expected")),
        _ => ReadError::wrong_type(format!("{found} can not be converted to {wanted}")),
    }
}
