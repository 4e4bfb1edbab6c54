//! Attributes of a start tag.

use std::borrow::Cow;

use bytes::Bytes;
use fractus_clock::Timestamp;
use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use crate::document::Document;
use crate::schema::{Member, TimestampFormat};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};

use super::scalar;

/// Refuses a start tag whose attributes are broken or too many. Doubles are not looked for: that search is quadratic,
/// and the first of two is taken.
pub fn check(start: &BytesStart<'_>, limit: usize) -> Result<(), ReadError> {
    if start.attributes_raw().is_empty() {
        return Ok(());
    }
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    for (count, attribute) in attributes.enumerate() {
        if count >= limit {
            return Err(ReadError::new(ReadErrorKind::TooLarge, "an element has too many attributes"));
        }
        attribute.map_err(|error| ReadError::malformed(format!("not well-formed: {error}")))?;
    }
    Ok(())
}

/// The value of the attribute called `name`, by its whole name or by its local name.
pub fn value<'e>(start: &'e BytesStart<'_>, name: &str) -> Result<Option<Cow<'e, str>>, ReadError> {
    let local_name = name.rsplit(':').next().unwrap_or(name);
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    for attribute in attributes.flatten() {
        let key: &str = attribute.key.into_inner();
        if key == name || (key.contains(':') && attribute.key.local_name().into_inner() == local_name) {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return value.map(Some).map_err(|error| ReadError::malformed(format!("not well-formed: {error}")));
        }
    }
    Ok(None)
}

/// Reads a scalar from a text: an attribute's value, a payload that is text.
pub struct TextReader<'t>(pub &'t str);

impl Reader for TextReader<'_> {
    fn read_structure(&mut self, member: &'static Member, _shape: &mut dyn Shape) -> Result<(), ReadError> {
        Err(no_scalar(member))
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(no_scalar(member))
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(no_scalar(member))
    }

    fn read_string(&mut self, _member: &'static Member) -> Result<String, ReadError> {
        Ok(self.0.to_owned())
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        scalar::parse_blob(self.0)
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        scalar::parse_boolean(self.0)
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        scalar::parse_integer(self.0)
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        scalar::parse_long(self.0)
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        scalar::parse_float(self.0)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        scalar::parse_double(self.0)
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        scalar::parse_timestamp(self.0, member.timestamp_format_or(TimestampFormat::DateTime))
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        Ok(Document::String(self.0.to_owned()))
    }
}

fn no_scalar(member: &Member) -> ReadError {
    ReadError::wrong_type(format!("{} is not a scalar", member.name))
}
