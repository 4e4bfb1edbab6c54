//! Reads a member from an event's header.

use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::document::Document;
use crate::schema::Member;
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};

use super::frame::HeaderValue;

pub struct HeaderReader<'a>(pub &'a HeaderValue);

impl HeaderReader<'_> {
    fn whole_number(&self, member: &Member) -> Result<i64, ReadError> {
        match self.0 {
            HeaderValue::Byte(value) => Ok(i64::from(*value)),
            HeaderValue::Short(value) => Ok(i64::from(*value)),
            HeaderValue::Integer(value) => Ok(i64::from(*value)),
            HeaderValue::Long(value) => Ok(*value),
            _ => Err(mismatch(member)),
        }
    }
}

fn mismatch(member: &Member) -> ReadError {
    ReadError::wrong_type(format!("the header {} is not a {:?}", member.wire_name, member.target.kind))
}

impl Reader for HeaderReader<'_> {
    fn read_structure(&mut self, member: &'static Member, _shape: &mut dyn Shape) -> Result<(), ReadError> {
        Err(mismatch(member))
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(mismatch(member))
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(mismatch(member))
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError> {
        match self.0 {
            HeaderValue::String(text) => Ok(text.to_string()),
            _ => Err(mismatch(member)),
        }
    }

    fn read_blob(&mut self, member: &'static Member) -> Result<Bytes, ReadError> {
        match self.0 {
            HeaderValue::Bytes(bytes) => Ok(bytes.clone()),
            _ => Err(mismatch(member)),
        }
    }

    fn read_boolean(&mut self, member: &'static Member) -> Result<bool, ReadError> {
        match self.0 {
            HeaderValue::Boolean(value) => Ok(*value),
            _ => Err(mismatch(member)),
        }
    }

    fn read_integer(&mut self, member: &'static Member) -> Result<i32, ReadError> {
        let value = self.whole_number(member)?;
        i32::try_from(value).map_err(|_| {
            ReadError::new(ReadErrorKind::OutOfRange, format!("the header {} is out of range", member.wire_name))
        })
    }

    fn read_long(&mut self, member: &'static Member) -> Result<i64, ReadError> {
        self.whole_number(member)
    }

    fn read_float(&mut self, member: &'static Member) -> Result<f32, ReadError> {
        Err(mismatch(member))
    }

    fn read_double(&mut self, member: &'static Member) -> Result<f64, ReadError> {
        Err(mismatch(member))
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        match self.0 {
            HeaderValue::Timestamp(point) => Ok(*point),
            _ => Err(mismatch(member)),
        }
    }

    fn read_document(&mut self, member: &'static Member) -> Result<Document, ReadError> {
        Err(mismatch(member))
    }
}
