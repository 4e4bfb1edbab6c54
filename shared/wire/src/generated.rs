//! What generated code stands on: how a value of each Rust type is read and written, so that a generated member is one
//! call, and how a modelled error becomes a [`Failure`] and is found in one again.

use std::fmt;

pub use bytes::Bytes;
pub use fractus_clock::Timestamp;
pub use indexmap::IndexMap;

pub use crate::body::{ByteStream, EventStream, Payload};
pub use crate::document::Document;
pub use crate::failure::Failure;
pub use crate::operation::Operation;
pub use crate::schema::{
    Constraints, ErrorTrait, HttpTrait, Kind, Location, Member, OperationSchema, Protocol, Schema, ServiceSchema,
    TimestampFormat, XmlNamespace,
};
pub use crate::shape::{ReadError, Reader, Shape, WriteError, Writer};

use crate::document_io::{DocumentReader, to_document};

pub type Read = Result<(), ReadError>;
pub type Write = Result<(), WriteError>;

/// The schema of operations without input or output.
pub static UNIT: Schema = Schema::new("Unit", Kind::Structure);

/// A value of a member, an element or an entry.
pub trait Value: Sized {
    fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError>;

    /// Reads a member again: the last value counts, and collections are appended to.
    fn read_into(&mut self, member: &'static Member, reader: &mut dyn Reader) -> Read {
        *self = Self::read_value(member, reader)?;
        Ok(())
    }

    fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write;

    /// As an element of a collection, where an absent value is written as null.
    fn write_element(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        self.write_value(member, writer)
    }

    /// What a null in a collection stands for; a dense collection leaves it out.
    fn null() -> Option<Self> {
        None
    }
}

pub fn get<T: Value>(slot: &mut T, member: &'static Member, reader: &mut dyn Reader) -> Read {
    slot.read_into(member, reader)
}

pub fn put<T: Value>(value: &T, member: &'static Member, writer: &mut dyn Writer) -> Write {
    value.write_value(member, writer)
}

impl<T: Shape + Default> Value for T {
    fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError> {
        let mut shape = T::default();
        reader.read_structure(member, &mut shape)?;
        Ok(shape)
    }

    fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        writer.write_structure(member, self)
    }
}

impl<T: Value> Value for Option<T> {
    fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError> {
        T::read_value(member, reader).map(Some)
    }

    fn read_into(&mut self, member: &'static Member, reader: &mut dyn Reader) -> Read {
        match self {
            Some(value) => value.read_into(member, reader),
            None => {
                *self = Some(T::read_value(member, reader)?);
                Ok(())
            }
        }
    }

    fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        self.as_ref().map_or(Ok(()), |value| value.write_value(member, writer))
    }

    fn write_element(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        match self {
            Some(value) => value.write_element(member, writer),
            None => writer.write_null(member),
        }
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}

fn element_to_read(member: &'static Member) -> Result<&'static Member, ReadError> {
    member.target.element().ok_or_else(|| ReadError::malformed(format!("{} has no element", member.target.name)))
}

fn element_to_write(member: &'static Member) -> Result<&'static Member, WriteError> {
    let no_element = || WriteError::new(member.name.to_owned(), "its shape has no element");
    member.target.element().ok_or_else(no_element)
}

impl<T: Value> Value for Vec<T> {
    fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError> {
        let mut list = Vec::new();
        list.read_into(member, reader)?;
        Ok(list)
    }

    fn read_into(&mut self, member: &'static Member, reader: &mut dyn Reader) -> Read {
        let element = element_to_read(member)?;
        if !reader.collections_come_in_pieces() {
            self.clear();
        }
        reader.read_list(member, &mut |reader| {
            if reader.read_null() {
                self.extend(T::null());
            } else {
                self.push(T::read_value(element, reader)?);
            }
            Ok(())
        })
    }

    fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        let element = element_to_write(member)?;
        writer.write_list(member, self.len(), &mut |writer| {
            self.iter().try_for_each(|value| value.write_element(element, writer))
        })
    }
}

impl<T: Value> Value for IndexMap<String, T> {
    fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError> {
        let mut map = IndexMap::new();
        map.read_into(member, reader)?;
        Ok(map)
    }

    fn read_into(&mut self, member: &'static Member, reader: &mut dyn Reader) -> Read {
        let element = element_to_read(member)?;
        if !reader.collections_come_in_pieces() {
            self.clear();
        }
        reader.read_map(member, &mut |key, reader| {
            if reader.read_null() {
                self.extend(T::null().map(|value| (key, value)));
            } else {
                self.insert(key, T::read_value(element, reader)?);
            }
            Ok(())
        })
    }

    fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
        let element = element_to_write(member)?;
        writer.write_map(member, self.len(), &mut |writer| {
            self.iter().try_for_each(|(key, value)| {
                writer.write_key(key)?;
                value.write_element(element, writer)
            })
        })
    }
}

macro_rules! plain_value {
    ($type:ty, $read:ident, $write:ident, |$value:ident| $given:expr) => {
        impl Value for $type {
            fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Self, ReadError> {
                reader.$read(member)
            }

            fn write_value(&self, member: &'static Member, writer: &mut dyn Writer) -> Write {
                let $value = self;
                writer.$write(member, $given)
            }
        }
    };
}

plain_value!(String, read_string, write_string, |value| value);
plain_value!(Bytes, read_blob, write_blob, |value| value);
plain_value!(bool, read_boolean, write_boolean, |value| *value);
plain_value!(i32, read_integer, write_integer, |value| *value);
plain_value!(i64, read_long, write_long, |value| *value);
plain_value!(f32, read_float, write_float, |value| *value);
plain_value!(f64, read_double, write_double, |value| *value);
plain_value!(Timestamp, read_timestamp, write_timestamp, |value| *value);
plain_value!(Document, read_document, write_document, |value| value);

/// A member that would make its shape hold itself. Boxes cannot be values: the compiler must allow that another crate
/// makes a box a shape.
pub fn get_boxed<T: Shape + Default>(slot: &mut Box<T>, member: &'static Member, reader: &mut dyn Reader) -> Read {
    reader.read_structure(member, slot.as_mut())
}

pub fn get_boxed_option<T: Shape + Default>(
    slot: &mut Option<Box<T>>,
    member: &'static Member,
    reader: &mut dyn Reader,
) -> Read {
    reader.read_structure(member, slot.get_or_insert_default().as_mut())
}

pub fn put_boxed<T: Shape>(value: &T, member: &'static Member, writer: &mut dyn Writer) -> Write {
    writer.write_structure(member, value)
}

pub fn put_boxed_option<T: Shape>(value: &Option<Box<T>>, member: &'static Member, writer: &mut dyn Writer) -> Write {
    value.as_ref().map_or(Ok(()), |value| writer.write_structure(member, value.as_ref()))
}

/// A second member of a union that has one already.
pub fn union_has_more(schema: &'static Schema) -> ReadError {
    ReadError::wrong_type(format!("{} is a union: it takes exactly one member", schema.name))
}

/// Prints a shape as its members stand in the model, without what is sensitive.
pub fn print(shape: &dyn Shape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    crate::print::print(shape, f)
}

/// A modelled error as it leaves a service.
///
/// The answers of query-compatible services carry the shape's name, and beside it the older code.
pub fn failure_of<T: Shape>(schema: &'static Schema, query_compatible: bool, message: String, shape: T) -> Failure {
    let error = schema.error;
    let modelled = error.map_or(schema.name, |error| error.code);
    let status = status_of(schema);
    let code = if query_compatible { schema.name } else { modelled };
    let failure = Failure::new(code, status, message).with_shape(shape);
    if query_compatible && modelled != code { failure.with_query_code(modelled) } else { failure }
}

/// A failure says no more than the modelled error can hold: it was read from an answer as that error, or it has the
/// error's own status and nothing beside.
pub fn fits(failure: &Failure, schema: &'static Schema) -> bool {
    let plain = failure.details.is_empty() && failure.headers.is_empty() && failure.status == status_of(schema);
    failure.shape.as_ref().map_or(plain, |shape| shape.schema().name == schema.name)
}

fn status_of(schema: &'static Schema) -> u16 {
    let error = schema.error;
    let fault = if error.is_none_or(|error| error.sender_fault) { 400 } else { 500 };
    error.and_then(|error| error.status).unwrap_or(fault)
}

/// The typed members of a failure that was read from an answer, as far as they are there.
pub fn shape_of<T: Shape + Default>(failure: &Failure) -> T {
    let mut typed = T::default();
    if let Some(shape) = &failure.shape
        && let Ok(document) = to_document(shape.as_ref())
    {
        // What does not fit stays unset: the code and the message have been understood.
        let _ = DocumentReader::new(&document).read_shape(&mut typed);
    }
    typed
}

/// The impls that every generated enum of strings has alike.
#[macro_export]
macro_rules! string_enum {
    ($name:ident) => {
        impl ::core::convert::From<::std::string::String> for $name {
            fn from(text: ::std::string::String) -> Self {
                Self::known(&text).unwrap_or(Self::Unknown(text))
            }
        }
        impl ::core::convert::From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Unknown(text.to_owned()))
            }
        }
        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self::Unknown(::std::string::String::new())
            }
        }
        impl ::core::cmp::PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }
        impl $crate::generated::Value for $name {
            fn read_value(
                member: &'static $crate::Member,
                reader: &mut dyn $crate::Reader,
            ) -> ::core::result::Result<Self, $crate::ReadError> {
                reader.read_string(member).map(Self::from)
            }
            fn write_value(
                &self,
                member: &'static $crate::Member,
                writer: &mut dyn $crate::Writer,
            ) -> $crate::generated::Write {
                writer.write_string(member, self.as_str())
            }
        }
    };
}
