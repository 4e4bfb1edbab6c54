//! Shapes as text for people: `SendMessageRequest { QueueUrl: "...", MessageBody: *** }`, sensitive values hidden.

use std::fmt;

use fractus_clock::Timestamp;

use crate::document::Document;
use crate::schema::Member;
use crate::shape::{Shape, WriteError, Writer};

pub(crate) fn print(shape: &dyn Shape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if shape.schema().sensitive {
        return write!(f, "{} {{ *** }}", shape.schema().name);
    }
    write!(f, "{} {{", shape.schema().name)?;
    let mut printer = Printer { f, inside: Inside::Structure, first: true };
    shape.write_members(&mut printer).map_err(|_| fmt::Error)?;
    f.write_str(" }")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Structure,
    List,
    Map,
}

struct Printer<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    inside: Inside,
    first: bool,
}

fn failed(_: fmt::Error) -> WriteError {
    WriteError::new("text", "the formatter takes no more")
}

impl Printer<'_, '_> {
    /// What stands before a value: a comma, and a member's name.
    fn begin(&mut self, member: &'static Member) -> fmt::Result {
        match self.inside {
            Inside::Structure => {
                self.f.write_str(if self.first { " " } else { ", " })?;
                self.f.write_str(member.name)?;
                self.f.write_str(": ")?;
            }
            Inside::List if !self.first => self.f.write_str(", ")?,
            Inside::List | Inside::Map => {}
        }
        self.first = false;
        Ok(())
    }

    fn value(&mut self, member: &'static Member, value: fmt::Arguments<'_>) -> Result<(), WriteError> {
        self.begin(member).map_err(failed)?;
        if member.target.sensitive { self.f.write_str("***") } else { self.f.write_fmt(value) }.map_err(failed)
    }

    fn collection(
        &mut self,
        member: &'static Member,
        inside: Inside,
        items: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if member.target.sensitive {
            return self.value(member, format_args!(""));
        }
        let (open, close) = if inside == Inside::List { ("[", "]") } else { ("{", "}") };
        self.value(member, format_args!("{open}"))?;
        let outside = std::mem::replace(&mut self.inside, inside);
        self.first = true;
        items(self)?;
        self.inside = outside;
        self.first = false;
        self.f.write_str(close).map_err(failed)
    }
}

impl Writer for Printer<'_, '_> {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.begin(member).map_err(failed)?;
        print(shape, self.f).map_err(failed)
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.collection(member, Inside::List, elements)
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.collection(member, Inside::Map, entries)
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        let comma = if self.first { "" } else { ", " };
        self.first = false;
        write!(self.f, "{comma}{key:?}: ").map_err(failed)
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.value(member, format_args!("null"))
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.value(member, format_args!("{value:?}"))
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.value(member, format_args!("({} bytes)", value.len()))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.value(member, format_args!("{value}"))
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        self.value(member, format_args!("{value:?}"))
    }
}
