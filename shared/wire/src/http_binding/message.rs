//! Whole REST messages: bindings and body together, for the protocol that brings the body's format.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::body::{ByteStream, Payload};
use crate::event_stream;
use crate::http_binding::read::{Bindings, read_bindings};
use crate::http_binding::text::TextReader;
use crate::http_binding::uri_pattern::{Segment, UriPattern};
use crate::http_binding::write::{BindingWriter, Bound};
use crate::protocol::{Call, IncomingRequest, Read};
use crate::reading::{Progress, Seen, is_streamed};
use crate::schema::{Kind, Location, Member, OperationSchema, Protocol, Schema};
use crate::shape::{ReadError, Shape, WriteError, Writer};
use crate::xml::XmlWriter;

/// What the body of a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    pub operation: &'static OperationSchema,
    /// The input or output.
    pub schema: &'static Schema,
    pub is_request: bool,
    /// The member that is the whole body: a structure, union, list, map or document.
    pub payload: Option<&'static Member>,
}

impl Root {
    /// The model has members for the body.
    pub fn has_body(&self) -> bool {
        self.schema.members.iter().any(|member| member.location == Location::Body)
    }
}

/// How a REST protocol writes what is in the body.
pub(crate) trait BodyFormat: Sync {
    fn protocol(&self) -> Protocol;

    /// Of a structured body.
    fn content_type(&self) -> &'static str;

    /// Reads those members of `shape` that travel in the body and says which were there. Required members missing
    /// further down are noted in `progress`.
    fn read_members(
        &self,
        root: &Root,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<Seen, ReadError>;

    /// Reads the whole body as `payload`: stands a reader at it and calls `shape.read_member`. False when it is null.
    fn read_payload(
        &self,
        root: &Root,
        payload: &'static Member,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<bool, ReadError>;

    /// Writes the body: `write` is given the writer that stands inside the root, and says whether anything was written
    /// to it. With `root.payload` the writer's one value is the whole body.
    fn write_body(
        &self,
        root: &Root,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<bool, WriteError>,
    ) -> Result<Vec<u8>, WriteError>;

    /// Whether a body is written though no member of it is set (`{}`).
    fn writes_empty_body(&self, root: &Root) -> bool;
}

fn payload_member(schema: &'static Schema) -> Option<&'static Member> {
    schema.payload.and_then(|index| schema.members.as_slice().get(usize::from(index)))
}

/// The streamed member: the payload, or (event streams of awsJson) one of the body.
fn streamed_member(schema: &'static Schema) -> Option<&'static Member> {
    schema.members.into_iter().find(|member| is_streamed(member))
}

fn root(operation: &'static OperationSchema, schema: &'static Schema, is_request: bool) -> Root {
    Root { operation, schema, is_request, payload: payload_member(schema) }
}

/// Reads a request into `input`.
pub(crate) fn read_request(
    format: &dyn BodyFormat,
    request: &IncomingRequest<'_>,
    body: ByteStream,
    input: &mut dyn Shape,
) -> Result<Read, ReadError> {
    let operation = request.operation;
    let bindings = Bindings {
        headers: &request.parts.headers,
        labels: Some(request.labels),
        query: Some((operation.http.uri, request.parts.uri.query().unwrap_or(""))),
        status: None,
    };
    let progress = read_message(format, &root(operation, operation.input, true), &bindings, body, input)?;
    Ok(Read { missing: progress.missing })
}

/// Reads a success into `output`.
pub(crate) fn read_response(
    format: &dyn BodyFormat,
    call: &Call,
    status: StatusCode,
    headers: &HeaderMap,
    body: ByteStream,
    output: &mut dyn Shape,
) -> Result<(), ReadError> {
    let bindings = Bindings { headers, labels: None, query: None, status: Some(status.as_u16()) };
    let operation = call.operation;
    read_message(format, &root(operation, operation.output, false), &bindings, body, output).map(|_| ())
}

/// Reads an error's members from its headers and body.
pub(crate) fn read_error(
    format: &dyn BodyFormat,
    operation: &'static OperationSchema,
    headers: &HeaderMap,
    body: &[u8],
    shape: &mut dyn Shape,
) -> Result<(), ReadError> {
    let bindings = Bindings { headers, labels: None, query: None, status: None };
    let body = ByteStream::Whole(Bytes::copy_from_slice(body));
    read_message(format, &root(operation, shape.schema(), false), &bindings, body, shape).map(|_| ())
}

fn read_message(
    format: &dyn BodyFormat,
    root: &Root,
    bindings: &Bindings<'_>,
    body: ByteStream,
    shape: &mut dyn Shape,
) -> Result<Progress, ReadError> {
    let mut progress = Progress::default();
    let mut seen = Seen::default();
    read_bindings(bindings, root.schema, shape, &mut progress, &mut seen)?;
    let body_seen = match body {
        ByteStream::Whole(bytes) if streamed_member(root.schema).is_none() => {
            read_whole_body(format, root, bytes, shape, &mut progress)?
        }
        stream => {
            set_stream(format, root.schema, stream, shape);
            Seen::default()
        }
    };
    seen.merge(body_seen);
    progress.note_missing(root.schema, &seen);
    Ok(progress)
}

fn set_stream(format: &dyn BodyFormat, schema: &'static Schema, stream: ByteStream, shape: &mut dyn Shape) {
    let Some(member) = streamed_member(schema) else { return };
    shape.set_payload(if member.target.event_stream {
        Payload::IncomingEvents(stream, format.protocol())
    } else {
        Payload::Bytes(stream)
    });
}

fn read_whole_body(
    format: &dyn BodyFormat,
    root: &Root,
    bytes: Bytes,
    shape: &mut dyn Shape,
    progress: &mut Progress,
) -> Result<Seen, ReadError> {
    let Some(payload) = root.payload else {
        let has_members = root.schema.members.iter().any(|member| member.location == Location::Body);
        if bytes.is_empty() || !has_members {
            return Ok(Seen::default());
        }
        return format.read_members(root, &bytes, shape, progress);
    };
    let mut seen = Seen::default();
    if bytes.is_empty() {
        return Ok(seen);
    }
    let present = match payload.target.kind {
        Kind::Blob | Kind::String | Kind::Enum => {
            shape.read_member(usize::from(payload.index), &mut TextReader::whole(bytes))?;
            true
        }
        _ => format.read_payload(root, payload, &bytes, shape, progress)?,
    };
    if present {
        seen.note(payload.index);
    }
    Ok(seen)
}

/// A message that was written.
pub(crate) struct Written {
    pub bound: Bound,
    pub body: ByteStream,
    /// The body's type, where it has one and no member gave another.
    pub content_type: Option<&'static str>,
}

/// Whether the body's format has anything to write: neither a payload that is the body itself, nor no body at all.
fn has_structured_body(format: &dyn BodyFormat, root: &Root) -> bool {
    match root.payload {
        Some(payload) => {
            !is_streamed(payload) && !matches!(payload.target.kind, Kind::Blob | Kind::String | Kind::Enum)
        }
        None => root.has_body() || format.writes_empty_body(root),
    }
}

fn write_message(format: &dyn BodyFormat, root: &Root, shape: &mut dyn Shape) -> Result<Written, WriteError> {
    let (mut bound, bytes) = if has_structured_body(format, root) {
        let mut bound = None;
        let bytes = format.write_body(root, &mut |body| {
            let written = write_bound(&*shape, body)?;
            let body_written = written.body_written;
            bound = Some(written);
            Ok(body_written)
        })?;
        (bound.unwrap_or_default(), bytes)
    } else {
        (write_bound(shape, &mut XmlWriter::nowhere())?, Vec::new())
    };
    if let Some(stream) = streamed_member(root.schema) {
        let (body, content_type) = stream_out(format, stream, shape.take_payload())?;
        return Ok(Written { bound, body, content_type });
    }
    if let Some(payload) = root.payload
        && matches!(payload.target.kind, Kind::Blob | Kind::String | Kind::Enum)
    {
        let content_type = if payload.target.kind == Kind::Blob { "application/octet-stream" } else { "text/plain" };
        let content_type = bound.raw_payload.is_some().then_some(content_type);
        let body = ByteStream::Whole(Bytes::from(bound.raw_payload.take().unwrap_or_default()));
        return Ok(Written { bound, body, content_type });
    }
    if !bound.body_written && !format.writes_empty_body(root) {
        return Ok(Written { bound, body: ByteStream::default(), content_type: None });
    }
    Ok(Written { bound, body: ByteStream::Whole(Bytes::from(bytes)), content_type: Some(format.content_type()) })
}

fn stream_out(
    format: &dyn BodyFormat,
    member: &'static Member,
    payload: Payload,
) -> Result<(ByteStream, Option<&'static str>), WriteError> {
    match payload {
        Payload::None => Ok((ByteStream::default(), None)),
        Payload::Bytes(stream) => Ok((stream, Some("application/octet-stream"))),
        Payload::Events(events) => {
            let body = event_stream::body_of_events(format.protocol(), Some(member.target), None, events);
            Ok((body, Some(event_stream::CONTENT_TYPE)))
        }
        // Frames that came from elsewhere are sent on as they are.
        Payload::IncomingEvents(body, _) => Ok((body, Some(event_stream::CONTENT_TYPE))),
    }
}

/// Writes a success.
pub(crate) fn write_response(
    format: &dyn BodyFormat,
    call: &Call,
    output: &mut dyn Shape,
) -> Result<Response<ByteStream>, WriteError> {
    let operation = call.operation;
    let written = write_message(format, &root(operation, operation.output, false), output)?;
    let code = written.bound.status.unwrap_or(operation.http.code);
    let mut response = Response::new(written.body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    *response.headers_mut() = written.bound.headers;
    append_content_type(response.headers_mut(), written.content_type);
    Ok(response)
}

/// Writes the members of `shape` to `body`, but for those that are bound elsewhere.
pub(crate) fn write_bound(shape: &dyn Shape, body: &mut dyn Writer) -> Result<Bound, WriteError> {
    let mut writer = BindingWriter { schema: shape.schema(), bound: Bound::default(), body };
    shape.write_members(&mut writer)?;
    Ok(writer.bound)
}

/// Writes a request, but for what the protocol itself adds.
pub(crate) fn write_request(
    format: &dyn BodyFormat,
    call: &Call,
    input: &mut dyn Shape,
) -> Result<Request<ByteStream>, WriteError> {
    let operation = call.operation;
    let written = write_message(format, &root(operation, operation.input, true), input)?;
    let uri = write_uri(operation, &written.bound)?;
    let mut request = Request::new(written.body);
    *request.method_mut() = Method::from_bytes(operation.http.method.as_bytes())
        .map_err(|error| WriteError::new(operation.name.to_owned(), error.to_string()))?;
    *request.uri_mut() = uri;
    *request.headers_mut() = written.bound.headers;
    append_content_type(request.headers_mut(), written.content_type);
    Ok(request)
}

pub(crate) fn append_content_type(headers: &mut HeaderMap, content_type: Option<&'static str>) {
    const TYPE: HeaderName = CONTENT_TYPE;
    if let Some(content_type) = content_type
        && !headers.contains_key(TYPE)
    {
        headers.insert(TYPE, HeaderValue::from_static(content_type));
    }
}

/// All but the characters that never need it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_BUT_SLASH: &AsciiSet = &ENCODED.remove(b'/');

fn write_uri(operation: &'static OperationSchema, bound: &Bound) -> Result<Uri, WriteError> {
    let pattern = UriPattern::parse(operation.http.uri);
    let mut text = String::with_capacity(64);
    for segment in &pattern.segments {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Label(name) => push_label(&mut text, operation, bound, name, ENCODED)?,
            Segment::Greedy(name) => push_label(&mut text, operation, bound, name, ENCODED_BUT_SLASH)?,
        }
    }
    if text.is_empty() || pattern.trailing_slash {
        text.push('/');
    }
    let mut separator = '?';
    let mut push = |text: &mut String, name: &str, value: Option<&str>| {
        text.push(separator);
        separator = '&';
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", utf8_percent_encode(name, ENCODED));
        if let Some(value) = value {
            let _ = write!(text, "={}", utf8_percent_encode(value, ENCODED));
        }
    };
    for (name, value) in &pattern.query {
        push(&mut text, name, *value);
    }
    for (name, value) in &bound.query {
        push(&mut text, name, Some(value));
    }
    for (name, value) in &bound.query_map {
        let is_named =
            bound.query.iter().any(|(named, _)| named == name) || pattern.query.iter().any(|(fixed, _)| fixed == name);
        if !is_named {
            push(&mut text, name, Some(value));
        }
    }
    text.parse().map_err(|_| WriteError::new(operation.name.to_owned(), format!("{text} is no URI")))
}

fn push_label(
    text: &mut String,
    operation: &'static OperationSchema,
    bound: &Bound,
    name: &str,
    encoded: &'static AsciiSet,
) -> Result<(), WriteError> {
    let value = bound.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    match value.filter(|value| !value.is_empty()) {
        Some(value) => {
            let _ = write!(text, "{}", utf8_percent_encode(value, encoded));
            Ok(())
        }
        None => Err(WriteError::new(format!("{}'s {name}", operation.name), "the path needs it, and it is empty")),
    }
}
