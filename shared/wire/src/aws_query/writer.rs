//! Writes shapes as parameters of a form.

use fractus_clock::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::document::Document;
use crate::schema::{Member, TimestampFormat};
use crate::shape::{Shape, WriteError, Writer};
use crate::xml::scalar::{self, Millis};
use crate::xml::{Names, names};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the next value belongs to.
#[derive(Clone, Copy)]
enum Place {
    /// A structure's member: its own name is the next segment.
    Member,
    /// A list's element: its number is.
    Element(usize),
    /// A map's value: the number and the value's name are.
    Value(usize, &'static Member),
}

pub struct QueryWriter {
    out: Vec<u8>,
    names: Names,
    /// The name of the parameter that holds what is being written.
    prefix: String,
    place: Place,
}

impl QueryWriter {
    /// Writes on behind the parameters that `out` already holds.
    pub fn into_buffer(out: Vec<u8>, names: Names) -> Self {
        QueryWriter { out, names, prefix: String::new(), place: Place::Member }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Lengthens the prefix by the segment of the next value; gives the length to return to.
    fn enter(&mut self, member: &'static Member) -> usize {
        let length = self.prefix.len();
        match &mut self.place {
            Place::Member => {
                let name = names::key(member, self.names);
                push_segment(&mut self.prefix, name, self.names == Names::Ec2Input);
            }
            Place::Element(count) => {
                *count += 1;
                push_number(&mut self.prefix, *count);
            }
            Place::Value(count, _) => {
                push_number(&mut self.prefix, *count);
                push_segment(&mut self.prefix, names::element_key(member, self.names), false);
            }
        }
        length
    }

    fn scalar(&mut self, member: &'static Member, push: impl FnOnce(&mut Vec<u8>)) {
        let length = self.enter(member);
        self.name();
        let mut text = Vec::with_capacity(32);
        push(&mut text);
        self.value(&text);
        self.prefix.truncate(length);
    }

    fn name(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b'&');
        }
        self.out.extend(percent_encode(self.prefix.as_bytes(), RESERVED).flat_map(str::bytes));
        self.out.push(b'=');
    }

    fn value(&mut self, text: &[u8]) {
        for piece in percent_encode(text, RESERVED) {
            self.out.extend_from_slice(piece.as_bytes());
        }
    }

    /// Writes a collection's content under `wrapper`, where it has one.
    fn inside(
        &mut self,
        place: Place,
        wrapper: Option<&str>,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let outer = std::mem::replace(&mut self.place, place);
        if let Some(wrapper) = wrapper {
            push_segment(&mut self.prefix, wrapper, false);
        }
        write(self)?;
        self.place = outer;
        Ok(())
    }
}

fn push_segment(prefix: &mut String, name: &str, capital: bool) {
    if !prefix.is_empty() {
        prefix.push('.');
    }
    let start = prefix.len();
    prefix.push_str(name);
    if capital && let Some(first) = prefix.get_mut(start..start + 1) {
        first.make_ascii_uppercase();
    }
}

fn push_number(prefix: &mut String, number: usize) {
    prefix.push('.');
    prefix.push_str(itoa::Buffer::new().format(number));
}

impl Writer for QueryWriter {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        let length = self.enter(member);
        let outer = std::mem::replace(&mut self.place, Place::Member);
        shape.write_members(self)?;
        self.place = outer;
        self.prefix.truncate(length);
        Ok(())
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        count: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let length = self.enter(member);
        let is_ec2 = self.names == Names::Ec2Input;
        if count == 0 && !is_ec2 {
            // An empty list is said by an empty parameter; EC2 has no form for one.
            self.name();
        }
        let element = member.target.element();
        let wrapper = element.map_or("member", |element| names::element_key(element, self.names));
        let wrapper = (!is_ec2 && !names::is_flattened(member)).then_some(wrapper);
        self.inside(Place::Element(0), wrapper, elements)?;
        self.prefix.truncate(length);
        Ok(())
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let [key, _] = &*member.target.members else {
            return Err(WriteError::new(member.name.to_owned(), "not a map"));
        };
        let length = self.enter(member);
        let wrapper = (!names::is_flattened(member)).then_some("entry");
        self.inside(Place::Value(0, key), wrapper, entries)?;
        self.prefix.truncate(length);
        Ok(())
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        let Place::Value(count, key_member) = &mut self.place else {
            return Err(WriteError::new(key.to_owned(), "a key stands outside a map"));
        };
        *count += 1;
        let (count, key_member) = (*count, *key_member);
        let length = self.prefix.len();
        push_number(&mut self.prefix, count);
        push_segment(&mut self.prefix, names::element_key(key_member, self.names), false);
        self.name();
        self.value(key.as_bytes());
        self.prefix.truncate(length);
        Ok(())
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.scalar(member, |_| {});
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        let length = self.enter(member);
        self.name();
        self.value(value.as_bytes());
        self.prefix.truncate(length);
        Ok(())
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.scalar(member, |out| scalar::push_blob(out, value));
        Ok(())
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.write_string(member, if value { "true" } else { "false" })
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.write_long(member, i64::from(value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.scalar(member, |out| scalar::push_integer(out, value));
        Ok(())
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.scalar(member, |out| scalar::push_float(out, value));
        Ok(())
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.scalar(member, |out| scalar::push_double(out, value));
        Ok(())
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        let format = member.timestamp_format_or(TimestampFormat::DateTime);
        self.scalar(member, |out| scalar::push_timestamp(out, value, format, Millis::WhenAny));
        Ok(())
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        match value {
            Document::String(text) => self.write_string(member, text),
            _ => Err(WriteError::new(member.name.to_owned(), "parameters carry no documents")),
        }
    }
}
