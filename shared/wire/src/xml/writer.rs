//! Writes shapes as XML into one buffer.

use fractus_clock::Timestamp;

use crate::document::Document;
use crate::failure::Failure;
use crate::schema::{Kind, Location, Member, Schema, TimestampFormat, XmlNamespace};
use crate::shape::{Shape, WriteError, Writer};

use super::escape;
use super::names::{self, Names};
use super::scalar::{self, Millis};

/// What of a structure is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Into the start tag.
    Attributes,
    /// Everything but attributes.
    Elements,
    /// Elements, but only of the members that travel in the body.
    BodyElements,
    /// The same of an error, whose message is written already.
    ErrorElements,
}

/// The map whose entries are being written.
#[derive(Clone, Copy)]
struct OpenMap {
    /// The element around an entry.
    entry: &'static str,
    namespace: Option<XmlNamespace>,
    key: &'static Member,
    is_entry_open: bool,
}

pub struct XmlWriter {
    out: Vec<u8>,
    names: Names,
    millis: Millis,
    part: Part,
    /// The name and namespace that a flattened list lends to its elements.
    lent: Option<(&'static str, Option<XmlNamespace>)>,
    map: Option<OpenMap>,
}

impl XmlWriter {
    pub fn new(names: Names) -> Self {
        Self::into_buffer(Vec::with_capacity(1024), names)
    }

    /// Writes on behind what `out` already holds.
    pub fn into_buffer(out: Vec<u8>, names: Names) -> Self {
        XmlWriter { out, names, millis: Millis::WhenAny, part: Part::Elements, lent: None, map: None }
    }

    /// For what is written to be thrown away.
    pub(crate) fn nowhere() -> Self {
        Self::into_buffer(Vec::new(), Names::Wire)
    }

    /// Timestamps always with milliseconds.
    #[must_use]
    pub fn with_millis(mut self, millis: Millis) -> Self {
        self.millis = millis;
        self
    }

    /// `<?xml version="1.0" encoding="UTF-8"?>` and a line feed, as S3 begins.
    pub fn declaration(&mut self) {
        self.out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }

    pub fn open(&mut self, name: &str) {
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }

    /// A start tag with a default namespace, where there is one.
    pub fn open_in(&mut self, name: &str, namespace: Option<XmlNamespace>) {
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.declare(namespace);
        self.out.push(b'>');
    }

    /// A start tag whose name is made of parts, such as an operation's name and `Response`.
    pub fn open_parts(&mut self, parts: &[&str], namespace: Option<XmlNamespace>) {
        self.out.push(b'<');
        parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
        self.declare(namespace);
        self.out.push(b'>');
    }

    pub fn close_parts(&mut self, parts: &[&str]) {
        self.out.extend_from_slice(b"</");
        parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
        self.out.push(b'>');
    }

    pub fn close(&mut self, name: &str) {
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }

    pub fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        escape::push_text(&mut self.out, text);
        self.close(name);
    }

    pub fn text(&mut self, text: &str) {
        escape::push_text(&mut self.out, text);
    }

    /// A root element with all members of `shape` that travel in the body.
    pub fn write_root(
        &mut self,
        name: &str,
        namespace: Option<XmlNamespace>,
        shape: &dyn Shape,
    ) -> Result<(), WriteError> {
        self.write_root_with(shape.schema(), name, namespace, &mut |writer| shape.write_members(writer))
    }

    /// A root element for `schema`, whose members `write` writes; it is called a second time for attributes.
    pub fn write_root_with(
        &mut self,
        schema: &'static Schema,
        name: &str,
        namespace: Option<XmlNamespace>,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.declare(namespace);
        if schema.members.iter().any(|member| member.xml_attribute) {
            self.part = Part::Attributes;
            write(self)?;
        }
        self.out.push(b'>');
        self.part = Part::BodyElements;
        write(self)?;
        self.part = Part::Elements;
        self.close(name);
        Ok(())
    }

    /// Lends a name and a namespace to the next value.
    pub fn name_next(&mut self, name: &'static str, namespace: Option<XmlNamespace>) {
        self.lent = Some((name, namespace));
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The members that travel in the body, without an element around them.
    pub fn write_body_members(&mut self, shape: &dyn Shape) -> Result<(), WriteError> {
        self.part = Part::BodyElements;
        let written = shape.write_members(self);
        self.part = Part::Elements;
        written
    }

    /// What an error says beyond code and message: the modelled members, and details that no model has. Members that
    /// cannot be written are left out, for the error is to be told all the same.
    pub fn write_failure_members(&mut self, failure: &Failure) {
        if let Some(shape) = &failure.shape {
            let start = self.out.len();
            self.part = Part::ErrorElements;
            if shape.write_members(self).is_err() {
                self.out.truncate(start);
            }
            (self.part, self.lent, self.map) = (Part::Elements, None, None);
        }
        for (name, value) in &failure.details {
            self.element(name, value);
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn declare(&mut self, namespace: Option<XmlNamespace>) {
        let Some(namespace) = namespace else { return };
        self.out.extend_from_slice(b" xmlns");
        if let Some(prefix) = namespace.prefix {
            self.out.push(b':');
            self.out.extend_from_slice(prefix.as_bytes());
        }
        self.out.extend_from_slice(b"=\"");
        escape::push_attribute(&mut self.out, namespace.uri);
        self.out.push(b'"');
    }

    fn write_attributes(&mut self, shape: &dyn Shape) -> Result<(), WriteError> {
        if !shape.schema().members.iter().any(|member| member.xml_attribute) {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.part, Part::Attributes);
        let written = shape.write_members(self);
        self.part = part;
        written
    }

    /// Whether the part being written has no place for `member`.
    fn passes_over(&self, member: &Member) -> bool {
        match self.part {
            Part::Attributes => !member.xml_attribute,
            Part::Elements => member.xml_attribute,
            Part::BodyElements => member.xml_attribute || member.location != Location::Body,
            Part::ErrorElements => member.location != Location::Body || member.name.eq_ignore_ascii_case("message"),
        }
    }

    /// The element name and namespace for a value of `member` here.
    fn named(&self, member: &'static Member) -> (&'static str, Option<XmlNamespace>) {
        // A shape's own namespace is for where it is a root; its prefixes are needed wherever it stands.
        let prefixed = member.target.xml_namespace.filter(|namespace| namespace.prefix.is_some());
        let own = member.xml_namespace.or(prefixed).copied();
        match self.lent {
            Some((name, namespace)) => (name, own.or(namespace)),
            None => (names::key(member, self.names), own),
        }
    }

    fn start(&mut self, member: &'static Member) -> &'static str {
        let (name, namespace) = self.named(member);
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.declare(namespace);
        name
    }

    /// A scalar: an element, or an attribute while those are written. `push` appends text that needs no escaping.
    fn scalar(&mut self, member: &'static Member, push: impl FnOnce(&mut Vec<u8>)) {
        if self.passes_over(member) {
            return;
        }
        if self.part == Part::Attributes {
            self.start_attribute(member);
            push(&mut self.out);
            self.out.push(b'"');
            return;
        }
        let name = self.start(member);
        self.out.push(b'>');
        push(&mut self.out);
        self.close(name);
    }

    fn start_attribute(&mut self, member: &'static Member) {
        self.out.push(b' ');
        self.out.extend_from_slice(member.wire_name.as_bytes());
        self.out.extend_from_slice(b"=\"");
    }

    /// Runs `write` with a clean state inside an element and restores the state after it.
    fn inside<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, WriteError>) -> Result<T, WriteError> {
        let (part, lent, map) = (self.part, self.lent.take(), self.map.take());
        self.part = Part::Elements;
        let written = write(self);
        (self.part, self.lent, self.map) = (part, lent, map);
        written
    }

    fn close_entry(&mut self) {
        if let Some(map) = &mut self.map
            && map.is_entry_open
        {
            map.is_entry_open = false;
            let entry = map.entry;
            self.close(entry);
        }
    }
}

impl Writer for XmlWriter {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        if self.passes_over(member) {
            return Ok(());
        }
        let name = self.start(member);
        self.inside(|writer| {
            writer.write_attributes(shape)?;
            writer.out.push(b'>');
            shape.write_members(writer)
        })?;
        self.close(name);
        Ok(())
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.passes_over(member) {
            return Ok(());
        }
        if names::is_flattened(member) {
            let lent = self.named(member);
            return self.inside(|writer| {
                writer.lent = Some(lent);
                elements(writer)
            });
        }
        let name = self.start(member);
        self.out.push(b'>');
        self.inside(|writer| elements(writer))?;
        self.close(name);
        Ok(())
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.passes_over(member) {
            return Ok(());
        }
        let [key, _] = &*member.target.members else {
            return Err(WriteError::new(member.name.to_owned(), "not a map"));
        };
        let mut write_entries = |writer: &mut Self, entry, namespace| {
            writer.inside(|writer| {
                writer.map = Some(OpenMap { entry, namespace, key, is_entry_open: false });
                entries(writer)?;
                writer.close_entry();
                Ok(())
            })
        };
        if names::is_flattened(member) {
            let (entry, namespace) = self.named(member);
            return write_entries(self, entry, namespace);
        }
        let name = self.start(member);
        self.out.push(b'>');
        write_entries(self, "entry", None)?;
        self.close(name);
        Ok(())
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        self.close_entry();
        let Some(map) = &mut self.map else {
            return Err(WriteError::new(key.to_owned(), "a key stands outside a map"));
        };
        map.is_entry_open = true;
        let map = *map;
        self.open_in(map.entry, map.namespace);
        let name = names::element_key(map.key, self.names);
        self.open_in(name, map.key.xml_namespace.copied());
        escape::push_text(&mut self.out, key);
        self.close(name);
        Ok(())
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.scalar(member, |_| {});
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        let is_attribute = self.part == Part::Attributes;
        self.scalar(member, |out| {
            if is_attribute { escape::push_attribute(out, value) } else { escape::push_text(out, value) }
        });
        Ok(())
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.scalar(member, |out| scalar::push_blob(out, value));
        Ok(())
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.scalar(member, |out| out.extend_from_slice(if value { b"true" } else { b"false" }));
        Ok(())
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
        let (format, millis) = (member.timestamp_format_or(TimestampFormat::DateTime), self.millis);
        self.scalar(member, |out| scalar::push_timestamp(out, value, format, millis));
        Ok(())
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        match value {
            Document::String(text) => self.write_string(member, text),
            _ if member.target.kind == Kind::Document => {
                Err(WriteError::new(member.name.to_owned(), "XML carries no documents"))
            }
            _ => Err(WriteError::new(member.name.to_owned(), "not a text")),
        }
    }
}
