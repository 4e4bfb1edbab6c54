//! Reads shapes from XML events.

use std::borrow::Cow;

use bytes::Bytes;
use fractus_clock::Timestamp;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::document::Document;
use crate::reading::{Progress, Seen, Step};
use crate::schema::{Kind, Member, Schema, TimestampFormat};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};

use super::attributes::{self, TextReader};
use super::names::{self, Names};
use super::scalar;

/// Bounds on a document.
#[derive(Clone, Copy, Debug)]
pub struct XmlLimits {
    pub depth: usize,
    /// Elements in the whole document.
    pub elements: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for XmlLimits {
    fn default() -> Self {
        XmlLimits { depth: 64, elements: 2_000_000, attributes: 64 }
    }
}

/// Reads one document. It stands at an element: its start tag is consumed, its content is not.
pub struct XmlReader<'a> {
    events: quick_xml::Reader<&'a [u8]>,
    /// The start tag of the element the reader stands at, until its content is begun.
    start: Option<BytesStart<'a>>,
    depth: usize,
    elements: usize,
    limits: XmlLimits,
    names: Names,
    progress: Progress,
    /// Which of its repeated elements a flattened list stands at.
    occurrence: u32,
}

impl<'a> XmlReader<'a> {
    /// Opens a document and stands at its root. The text must be UTF-8 and free of the control characters XML forbids.
    pub fn open(body: &'a [u8], names: Names, limits: XmlLimits) -> Result<Self, ReadError> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| ReadError::malformed("the document is not UTF-8"))?;
        if text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) {
            return Err(ReadError::malformed("a control character stands in the document"));
        }
        let mut events = quick_xml::Reader::from_str(text);
        events.config_mut().expand_empty_elements = true;
        let mut reader = XmlReader {
            events,
            start: None,
            depth: 0,
            elements: 0,
            limits,
            names,
            progress: Progress::default(),
            occurrence: 0,
        };
        match reader.next_child()? {
            Some(root) => reader.start = Some(root),
            None => return Err(ReadError::malformed("the document has no root element")),
        }
        Ok(reader)
    }

    /// The local name of the element the reader stands at.
    pub fn name(&self) -> &str {
        self.start.as_ref().map_or("", |start| local(start))
    }

    /// What was missed so far, to go on with in another part of the message.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Reads the content of the element the reader stands at into the body members of `shape`.
    pub fn read_members(&mut self, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let mut seen = Seen::default();
        self.read_into(shape, &mut seen)?;
        self.progress.note_missing(shape.schema(), &seen);
        Ok(())
    }

    /// The same for a shape whose other members come from elsewhere: what is missing is for the caller to note.
    pub fn read_into(&mut self, shape: &mut dyn Shape, seen: &mut Seen) -> Result<(), ReadError> {
        let schema = shape.schema();
        self.read_attributes(schema, shape, seen)?;
        let (mut hint, mut last, mut occurrence) = (0, usize::MAX, 0);
        while let Some(child) = self.next_child()? {
            let found = names::find(schema, local(&child), self.names, hint);
            self.start = Some(child);
            let Some((index, member)) = found else {
                self.skip()?;
                continue;
            };
            seen.note(member.index);
            occurrence = if index == last { occurrence + 1 } else { 0 };
            (last, self.occurrence) = (index, occurrence);
            // The next element is most often the next member, or the same again.
            hint = if names::is_flattened(member) { index } else { index + 1 };
            self.progress.path.enter(Step::Member(member.name))?;
            shape.read_member(index, self).map_err(|error| self.progress.locate(error))?;
            self.progress.path.leave();
        }
        Ok(())
    }

    /// Reads the element the reader stands at as `member` of the whole.
    pub fn read_under(
        &mut self,
        member: &'static Member,
        read: impl FnOnce(&mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.progress.path.enter(Step::Member(member.name))?;
        read(self).map_err(|error| self.progress.locate(error))?;
        self.progress.path.leave();
        Ok(())
    }

    /// Descends to the first child called `name`, skipping others; false when the element ends before.
    pub fn enter(&mut self, name: &str) -> Result<bool, ReadError> {
        while let Some(child) = self.next_child()? {
            let fits = local(&child) == name;
            self.start = Some(child);
            if fits {
                return Ok(true);
            }
            self.skip()?;
        }
        Ok(false)
    }

    /// Stands at the next child of the open element and gives its local name; `None` at the element's end.
    pub fn next_element(&mut self) -> Result<Option<String>, ReadError> {
        Ok(self.next_child()?.map(|child| {
            let name = local(&child).to_owned();
            self.start = Some(child);
            name
        }))
    }

    /// Reads the rest of a document whose root is consumed: nothing but white space and comments may follow.
    pub fn finish(&mut self) -> Result<(), ReadError> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if is_blank(&text) => {}
                _ => return Err(ReadError::malformed("something follows the root element")),
            }
        }
    }

    /// Consumes the element the reader stands at, whatever it holds.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.start = None;
        let outer = self.depth;
        while self.depth >= outer {
            match self.event()? {
                Event::Start(start) => self.begin(&start)?,
                Event::End(_) => self.depth -= 1,
                Event::Eof => return Err(ended_early()),
                Event::GeneralRef(reference) => {
                    resolve(&reference)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The text of the element the reader stands at: character data, CDATA and references, no elements.
    pub fn text(&mut self) -> Result<Cow<'a, str>, ReadError> {
        self.start = None;
        let mut text: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match self.event()? {
                Event::Text(piece) => append(&mut text, lines(piece.into_inner())),
                Event::CData(piece) => append(&mut text, lines(piece.into_inner())),
                Event::GeneralRef(reference) => text.to_mut().push(resolve(&reference)?),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(text);
                }
                Event::Start(start) => {
                    let name = local(&start);
                    return Err(ReadError::wrong_type(format!("an element '{name}' stands where text is expected")));
                }
                Event::Eof => return Err(ended_early()),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, ReadError> {
        match self.events.read_event() {
            Ok(Event::DocType(_)) => Err(ReadError::malformed("a document type is not allowed")),
            Ok(event) => Ok(event),
            Err(error) => Err(ReadError::malformed(format!("not well-formed: {error}"))),
        }
    }

    /// The start tag of the next child, or `None` when the element ends, which consumes its end.
    fn next_child(&mut self) -> Result<Option<BytesStart<'a>>, ReadError> {
        self.start = None;
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.begin(&start)?;
                    return Ok(Some(start));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(ended_early()),
                Event::Text(text) if self.depth == 0 && !is_blank(&text) => {
                    return Err(ReadError::malformed("text stands before the root element"));
                }
                Event::GeneralRef(reference) => {
                    resolve(&reference)?;
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), ReadError> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.limits.depth {
            return Err(ReadError::new(ReadErrorKind::TooDeep, "elements are nested too deeply"));
        }
        if self.elements > self.limits.elements {
            return Err(ReadError::new(ReadErrorKind::TooLarge, "the document has too many elements"));
        }
        if local(start).is_empty() {
            return Err(ReadError::malformed("an element has no name"));
        }
        attributes::check(start, self.limits.attributes)
    }

    fn read_attributes(
        &mut self,
        schema: &'static Schema,
        shape: &mut dyn Shape,
        seen: &mut Seen,
    ) -> Result<(), ReadError> {
        let Some(start) = self.start.take() else { return Ok(()) };
        if start.attributes_raw().trim_ascii().is_empty() {
            return Ok(());
        }
        for member in schema.members.iter().filter(|member| member.xml_attribute) {
            if let Some(value) = attributes::value(&start, member.wire_name)? {
                seen.note(member.index);
                shape.read_member(usize::from(member.index), &mut TextReader(&value))?;
            }
        }
        Ok(())
    }

    fn read_entry(
        &mut self,
        map: &'static Schema,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let [key_member, value_member] = &*map.members else {
            return Err(ReadError::malformed(format!("{} is no map", map.name)));
        };
        let (key_name, value_name) =
            (names::element_key(key_member, self.names), names::element_key(value_member, self.names));
        let mut key: Option<String> = None;
        let mut value_seen = false;
        while let Some(child) = self.next_child()? {
            let name = local(&child);
            let (is_key, is_value) = (name == key_name, name == value_name);
            self.start = Some(child);
            if is_key && key.is_none() {
                key = Some(self.text()?.into_owned());
            } else if is_value && !value_seen {
                value_seen = true;
                let key = key.clone().ok_or_else(|| ReadError::malformed("an entry's value stands before its key"))?;
                self.progress.path.enter(Step::Key(key.clone()))?;
                each(key, self).map_err(|error| self.progress.locate(error))?;
                self.progress.path.leave();
            } else {
                self.skip()?;
            }
        }
        Ok(())
    }
}

impl Reader for XmlReader<'_> {
    fn read_structure(&mut self, _member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        self.read_members(shape)
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if names::is_flattened(member) && member.target.kind == Kind::List {
            self.progress.path.enter(Step::Element(self.occurrence))?;
            each(self).map_err(|error| self.progress.locate(error))?;
            self.progress.path.leave();
            return Ok(());
        }
        let mut index = 0;
        while let Some(child) = self.next_child()? {
            // Whatever an element of a list is called: clients differ, and the services take it.
            self.start = Some(child);
            self.progress.path.enter(Step::Element(index))?;
            index += 1;
            each(self).map_err(|error| self.progress.locate(error))?;
            self.progress.path.leave();
        }
        Ok(())
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if names::is_flattened(member) {
            return self.read_entry(member.target, each);
        }
        while let Some(child) = self.next_child()? {
            let is_entry = local(&child) == "entry";
            self.start = Some(child);
            if is_entry { self.read_entry(member.target, each)? } else { self.skip()? }
        }
        Ok(())
    }

    fn read_string(&mut self, _member: &'static Member) -> Result<String, ReadError> {
        Ok(self.text()?.into_owned())
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        scalar::parse_blob(&self.text()?)
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        scalar::parse_boolean(&self.text()?)
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        scalar::parse_integer(&self.text()?)
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        scalar::parse_long(&self.text()?)
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        scalar::parse_float(&self.text()?)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        scalar::parse_double(&self.text()?)
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        scalar::parse_timestamp(&self.text()?, member.timestamp_format_or(TimestampFormat::DateTime))
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        Ok(Document::String(self.text()?.into_owned()))
    }
}

fn local<'e>(start: &'e BytesStart<'_>) -> &'e str {
    start.local_name().into_inner()
}

fn ended_early() -> ReadError {
    ReadError::malformed("the document ends inside an element")
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_whitespace())
}

fn append<'a>(text: &mut Cow<'a, str>, piece: Cow<'a, str>) {
    if text.is_empty() { *text = piece } else { text.to_mut().push_str(&piece) }
}

/// Line ends as XML 1.0 (2.11) has a reader see them: one line feed.
fn lines(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return text;
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The character that a reference stands for: one of the five entities or a number.
fn resolve(reference: &BytesRef<'_>) -> Result<char, ReadError> {
    let unknown = || ReadError::malformed("an entity is not one of XML's own");
    if reference.is_char_ref() {
        let resolved = reference.resolve_char_ref().map_err(|_| unknown())?;
        return resolved.ok_or_else(unknown);
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(unknown()),
    }
}
