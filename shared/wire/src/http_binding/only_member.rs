//! Looks one member of a shape up, as text.

use fractus_clock::Timestamp;

use crate::document::Document;
use crate::http_binding::write::TextWriter;
use crate::schema::Member;
use crate::shape::{Shape, WriteError, Writer};

/// Takes the text of one member and lets all others pass.
pub(super) struct OnlyMember {
    pub(super) member: &'static Member,
    pub(super) text: Option<String>,
}

impl OnlyMember {
    fn take(
        &mut self,
        member: &'static Member,
        write: impl FnOnce(&mut TextWriter) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if member.index == self.member.index && member.name == self.member.name {
            let mut writer = TextWriter::new(member);
            write(&mut writer)?;
            self.text = writer.values.pop().map(|(_, text)| text);
        }
        Ok(())
    }
}

impl Writer for OnlyMember {
    fn write_structure(&mut self, _member: &'static Member, _shape: &dyn Shape) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_list(
        &mut self,
        _member: &'static Member,
        _length: usize,
        _elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_map(
        &mut self,
        _member: &'static Member,
        _length: usize,
        _entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_key(&mut self, _key: &str) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_null(&mut self, _member: &'static Member) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_string(member, value))
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_blob(member, value))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_boolean(member, value))
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_integer(member, value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_long(member, value))
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_float(member, value))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_double(member, value))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.take(member, |writer| writer.write_timestamp(member, value))
    }

    fn write_document(&mut self, _member: &'static Member, _value: &Document) -> Result<(), WriteError> {
        Ok(())
    }
}
