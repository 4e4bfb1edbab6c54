//! Writes the members that stand outside the body, and sends the others to the body's writer.

use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::document::Document;
use crate::http_binding::text::default_timestamp_format;
use crate::schema::{Kind, Location, Member, Schema, TimestampFormat};
use crate::shape::{Shape, WriteError, Writer};

/// What was bound, besides the body.
#[derive(Debug)]
pub(crate) struct Bound {
    pub headers: HeaderMap,
    /// Parameters that members name, and those of a map member, which yield to them.
    pub query: Vec<(String, String)>,
    pub query_map: Vec<(String, String)>,
    pub labels: Vec<(&'static str, String)>,
    pub status: Option<u16>,
    /// A payload that is the body itself: a string or blob.
    pub raw_payload: Option<Vec<u8>>,
    /// The payload or a member of the body was written.
    pub body_written: bool,
}

/// How many headers are made room for at once: more than most answers have, with those that are added to every one.
const HEADERS: usize = 12;

impl Default for Bound {
    fn default() -> Self {
        Bound {
            headers: HeaderMap::with_capacity(HEADERS),
            query: Vec::new(),
            query_map: Vec::new(),
            labels: Vec::new(),
            status: None,
            raw_payload: None,
            body_written: false,
        }
    }
}

/// The writer at the top of a message: each member goes where it is bound.
pub(crate) struct BindingWriter<'a> {
    pub schema: &'static Schema,
    pub bound: Bound,
    pub body: &'a mut dyn Writer,
}

impl BindingWriter<'_> {
    /// The body's writer, when the member travels in it.
    fn body_for(&mut self, member: &'static Member) -> Option<&mut dyn Writer> {
        if member.location != Location::Body {
            return None;
        }
        // Beside a payload there is no body for other members.
        if self.schema.payload.is_some_and(|payload| payload != member.index) {
            return None;
        }
        self.bound.body_written = true;
        Some(&mut *self.body)
    }

    fn is_raw_payload(&self, member: &'static Member) -> bool {
        self.schema.payload == Some(member.index)
            && matches!(member.target.kind, Kind::Blob | Kind::String | Kind::Enum)
    }

    fn bind(
        &mut self,
        member: &'static Member,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if member.location == Location::Body {
            return Ok(());
        }
        let mut texts = TextWriter::new(member);
        write(&mut texts)?;
        let values = texts.values;
        match member.location {
            Location::Body => {}
            Location::Uri => {
                self.bound.labels.extend(values.into_iter().next().map(|(_, text)| (member.wire_name, text)))
            }
            Location::QueryString => self.bind_parameters(member, values),
            Location::Header => self.bind_header(member, values)?,
            Location::Headers => {
                for (key, text) in values {
                    let name = format!("{}{}", member.wire_name, key.unwrap_or_default());
                    self.bound.headers.append(header_name(&name)?, header_value(&name, &text)?);
                }
            }
            Location::StatusCode => self.bound.status = values.first().and_then(|(_, text)| text.parse().ok()),
        }
        Ok(())
    }

    /// Binds the one text of a member to its header.
    fn bind_single(&mut self, member: &'static Member, text: &str) -> Result<(), WriteError> {
        let value = header_value(member.wire_name, text)?;
        self.bound.headers.insert(name_of_header(member)?, value);
        Ok(())
    }

    fn bind_parameters(&mut self, member: &'static Member, values: Vec<(Option<String>, String)>) {
        for (key, text) in values {
            match key {
                Some(key) => self.bound.query_map.push((key, text)),
                None => self.bound.query.push((member.wire_name.to_owned(), text)),
            }
        }
    }

    fn bind_header(
        &mut self,
        member: &'static Member,
        values: Vec<(Option<String>, String)>,
    ) -> Result<(), WriteError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut joined = String::new();
        for (index, (_, text)) in values.iter().enumerate() {
            if index > 0 {
                joined.push_str(", ");
            }
            joined.push_str(text);
        }
        self.bound.headers.insert(name_of_header(member)?, header_value(member.wire_name, &joined)?);
        Ok(())
    }
}

fn header_name(name: &str) -> Result<HeaderName, WriteError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|error| WriteError::new(name.to_owned(), error.to_string()))
}

/// The name of a member's header. Checking and shortening a name takes longer than all else that is done with it, so those that
/// were seen are kept, one by mark: no program writes so many that they meet often.
fn name_of_header(member: &'static Member) -> Result<HeaderName, WriteError> {
    static KNOWN: [OnceLock<(&str, HeaderName)>; 256] = [const { OnceLock::new() }; 256];
    let place = &KNOWN[usize::from(member.mark)];
    let name = member.wire_name;
    match place.get() {
        Some((known, header)) if std::ptr::eq(*known, name) => Ok(header.clone()),
        Some(_) => static_header_name(name),
        None => {
            let header = static_header_name(name)?;
            // Another thread may have been here at the same time.
            let _ = place.set((name, header.clone()));
            Ok(header)
        }
    }
}

/// One in small letters, as most are, is not copied, and the usual others are known.
fn static_header_name(name: &'static str) -> Result<HeaderName, WriteError> {
    match name {
        "Cache-Control" => return Ok(header::CACHE_CONTROL),
        "Content-Length" => return Ok(header::CONTENT_LENGTH),
        "Content-Type" => return Ok(header::CONTENT_TYPE),
        "ETag" => return Ok(header::ETAG),
        "Last-Modified" => return Ok(header::LAST_MODIFIED),
        "accept-ranges" => return Ok(header::ACCEPT_RANGES),
        _ => {}
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_plain) {
        return Ok(HeaderName::from_static(name));
    }
    header_name(name)
}

fn header_value(name: &str, text: &str) -> Result<HeaderValue, WriteError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|error| WriteError::new(format!("header {name}"), error.to_string()))
}

/// Sends a value to the body or binds it.
macro_rules! place {
    ($self:ident, $member:ident, $writer:ident => $write:expr) => {{
        if let Some($writer) = $self.body_for($member) {
            return $write;
        }
        $self.bind($member, &mut |$writer| $write)
    }};
}

impl Writer for BindingWriter<'_> {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_structure(member, shape))
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_list(member, length, &mut *elements))
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_map(member, length, &mut *entries))
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        Err(WriteError::new(key.to_owned(), "a key outside a map"))
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_null(member))
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        if self.is_raw_payload(member) {
            self.bound.raw_payload = Some(value.as_bytes().to_vec());
            return Ok(());
        }
        if member.location == Location::Header && !member.json_value {
            // What most headers are, without the way over a list of texts.
            return self.bind_single(member, value);
        }
        place!(self, member, writer => writer.write_string(member, value))
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        if self.is_raw_payload(member) {
            self.bound.raw_payload = Some(value.to_vec());
            return Ok(());
        }
        place!(self, member, writer => writer.write_blob(member, value))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_boolean(member, value))
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        if member.location == Location::Header {
            return self.bind_single(member, itoa::Buffer::new().format(value));
        }
        place!(self, member, writer => writer.write_integer(member, value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        if member.location == Location::Header {
            return self.bind_single(member, itoa::Buffer::new().format(value));
        }
        place!(self, member, writer => writer.write_long(member, value))
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_float(member, value))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_double(member, value))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        let format = member.timestamp_format_or(default_timestamp_format(member.location));
        if member.location == Location::Header && format == TimestampFormat::HttpDate {
            return self.bind_single(member, &value.http_date());
        }
        place!(self, member, writer => writer.write_timestamp(member, value))
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        place!(self, member, writer => writer.write_document(member, value))
    }
}

/// Gathers a member's values as text, each with its key where the member is a map.
pub(super) struct TextWriter {
    location: Location,
    in_header_list: bool,
    key: Option<String>,
    pub(super) values: Vec<(Option<String>, String)>,
}

impl TextWriter {
    pub(super) fn new(member: &'static Member) -> Self {
        TextWriter { location: member.location, in_header_list: false, key: None, values: Vec::new() }
    }

    fn push(&mut self, text: String) -> Result<(), WriteError> {
        self.values.push((self.key.clone(), text));
        Ok(())
    }

    fn push_fraction(&mut self, value: f64, text: &str) -> Result<(), WriteError> {
        if value.is_nan() {
            self.push("NaN".to_owned())
        } else if value.is_infinite() {
            self.push(if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        } else {
            self.push(text.strip_suffix(".0").unwrap_or(text).to_owned())
        }
    }
}

/// A value of a list header is quoted when a comma or quote would part it.
fn quote(text: &str) -> String {
    if !text.contains([',', '"']) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn no_text(member: &'static Member) -> WriteError {
    WriteError::new(member.name.to_owned(), "has no form as text")
}

impl Writer for TextWriter {
    fn write_structure(&mut self, member: &'static Member, _shape: &dyn Shape) -> Result<(), WriteError> {
        Err(no_text(member))
    }

    fn write_list(
        &mut self,
        _member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.in_header_list = self.location == Location::Header;
        elements(self)
    }

    fn write_map(
        &mut self,
        _member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        entries(self)
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        self.key = Some(key.to_owned());
        Ok(())
    }

    fn write_null(&mut self, _member: &'static Member) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        let text = match (member.json_value, self.in_header_list) {
            (true, _) => STANDARD.encode(value),
            (false, true) => quote(value),
            (false, false) => value.to_owned(),
        };
        self.push(text)
    }

    fn write_blob(&mut self, _member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.push(STANDARD.encode(value))
    }

    fn write_boolean(&mut self, _member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.push(value.to_string())
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.write_long(member, i64::from(value))
    }

    fn write_long(&mut self, _member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.push(itoa::Buffer::new().format(value).to_owned())
    }

    fn write_float(&mut self, _member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.push_fraction(f64::from(value), ryu::Buffer::new().format(value))
    }

    fn write_double(&mut self, _member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.push_fraction(value, ryu::Buffer::new().format(value))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        let text = match member.timestamp_format_or(default_timestamp_format(self.location)) {
            TimestampFormat::DateTime => value.date_time(),
            TimestampFormat::HttpDate => value.http_date(),
            TimestampFormat::EpochSeconds => {
                let mut text = value.secs().to_string();
                let millis = value.millis().rem_euclid(1_000);
                if millis != 0 {
                    // Writing to a string cannot fail.
                    let _ = write!(text, ".{millis:03}");
                }
                text
            }
        };
        self.push(text)
    }

    fn write_document(&mut self, member: &'static Member, _value: &Document) -> Result<(), WriteError> {
        Err(no_text(member))
    }
}
