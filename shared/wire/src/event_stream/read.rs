//! A message as an event.

use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::document::{Document, DynamicShape};
use crate::failure::{Failure, Fault};
use crate::schema::{Kind, Member, Protocol, Schema};
use crate::shape::{ReadError, Reader, Shape};

use super::codec;
use super::frame::{FrameError, HeaderValue, Message};
use super::header_reader::HeaderReader;

/// What a message is to the reader of a stream.
pub(super) enum Incoming {
    /// The union was filled.
    Event,
    /// Nothing for the caller: the message of an RPC protocol that carries the other members, or an unknown event.
    Passed,
    /// A signed frame without content: the client's end of the stream.
    End,
}

/// Reads `message` into `union`, the stream's empty union.
pub(super) fn read_message(
    protocol: Protocol,
    message: Message,
    union: &mut dyn Shape,
    header_limit: usize,
) -> Result<Incoming, Failure> {
    let message = match signed_content(&message, header_limit).map_err(|error| failure_of_frame(&error))? {
        Signed::No => message,
        Signed::Content(inner) => inner,
        Signed::End => return Ok(Incoming::End),
    };
    let schema = union.schema();
    match message.text(":message-type") {
        Some("event") => read_event(protocol, &message, schema, union),
        Some("exception") => Err(read_exception(protocol, &message, schema)),
        Some("error") => {
            let (code, text) = (message.text(":error-code"), message.text(":error-message"));
            Err(Failure::new(code.unwrap_or("InternalFailure").to_owned(), 500, text.unwrap_or_default()))
        }
        _ => Err(broken("a message has no type")),
    }
}

enum Signed {
    No,
    Content(Message),
    End,
}

/// A client's frame: its payload is the message itself, its headers are a date and a signature.
fn signed_content(message: &Message, header_limit: usize) -> Result<Signed, FrameError> {
    if message.header(":chunk-signature").is_none() || message.header(":message-type").is_some() {
        return Ok(Signed::No);
    }
    if message.payload.is_empty() {
        return Ok(Signed::End);
    }
    Message::decode(message.payload.clone(), header_limit).map(Signed::Content)
}

fn read_event(
    protocol: Protocol,
    message: &Message,
    schema: &'static Schema,
    union: &mut dyn Shape,
) -> Result<Incoming, Failure> {
    let Some(event_type) = message.text(":event-type") else { return Err(broken("an event has no type")) };
    if matches!(event_type, "initial-response" | "initial-request") {
        return Ok(Incoming::Passed);
    }
    // Events younger than the model are none of ours.
    let Some(member) = schema.member_by_wire_name(event_type) else { return Ok(Incoming::Passed) };
    let mut reader = EventReader { protocol, message };
    let read = union.read_member(usize::from(member.index), &mut reader);
    read.map_err(|error| broken(&error.message))?;
    Ok(Incoming::Event)
}

fn read_exception(protocol: Protocol, message: &Message, schema: &'static Schema) -> Failure {
    let code = message.text(":exception-type").unwrap_or("InternalFailure");
    let Some(member) = schema.member_by_wire_name(code) else {
        return Failure::new(code.to_owned(), 500, String::from_utf8_lossy(&message.payload));
    };
    let status = member.target.error.and_then(|error| error.status).unwrap_or(400);
    let code = member.target.error.map_or(member.target.name, |error| error.code);
    let mut shape = DynamicShape::new(member.target);
    if !message.payload.is_empty()
        && let Err(error) = codec::read_members(protocol, member, &message.payload, &mut shape)
    {
        return broken(&error.message);
    }
    let text = shape.members.iter().find(|(name, _)| name.eq_ignore_ascii_case("message"));
    let text = text.and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned();
    let mut failure = Failure::new(code, status, text).with_shape(shape);
    if member.target.error.is_some_and(|error| !error.sender_fault) {
        failure.fault = Fault::Receiver;
    }
    failure
}

fn broken(why: &str) -> Failure {
    Failure::new("SerializationException", 400, why)
}

pub(super) fn failure_of_frame(error: &FrameError) -> Failure {
    broken(&error.to_string())
}

/// Reads one event: its headers, its payload, the members in its body.
struct EventReader<'m> {
    protocol: Protocol,
    message: &'m Message,
}

impl EventReader<'_> {
    fn read_payload(&self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let index = usize::from(member.index);
        let payload = &self.message.payload;
        match member.target.kind {
            Kind::Blob | Kind::String | Kind::Enum => {
                let value = match member.target.kind {
                    Kind::Blob => HeaderValue::Bytes(payload.clone()),
                    _ => {
                        let text = std::str::from_utf8(payload);
                        let text = text.map_err(|_| ReadError::malformed("an event's text is not UTF-8"))?;
                        HeaderValue::String(text.to_owned().into())
                    }
                };
                shape.read_member(index, &mut HeaderReader(&value))
            }
            _ if payload.is_empty() => Ok(()),
            _ => codec::read_value(self.protocol, payload, &mut |reader| shape.read_member(index, reader)),
        }
    }
}

impl Reader for EventReader<'_> {
    fn read_structure(&mut self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let parts = member.target.members.as_slice();
        for part in parts.iter().filter(|part| part.event_header) {
            if let Some(value) = self.message.header(part.wire_name) {
                shape.read_member(usize::from(part.index), &mut HeaderReader(value))?;
            }
        }
        if let Some(payload) = parts.iter().find(|part| part.event_payload) {
            return self.read_payload(payload, shape);
        }
        let has_body = parts.iter().any(|part| !part.event_header);
        if has_body && !self.message.payload.is_empty() {
            codec::read_members(self.protocol, member, &self.message.payload, shape)?;
        }
        Ok(())
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(no_event(member))
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        _each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        Err(no_event(member))
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError> {
        Err(no_event(member))
    }

    fn read_blob(&mut self, member: &'static Member) -> Result<Bytes, ReadError> {
        Err(no_event(member))
    }

    fn read_boolean(&mut self, member: &'static Member) -> Result<bool, ReadError> {
        Err(no_event(member))
    }

    fn read_integer(&mut self, member: &'static Member) -> Result<i32, ReadError> {
        Err(no_event(member))
    }

    fn read_long(&mut self, member: &'static Member) -> Result<i64, ReadError> {
        Err(no_event(member))
    }

    fn read_float(&mut self, member: &'static Member) -> Result<f32, ReadError> {
        Err(no_event(member))
    }

    fn read_double(&mut self, member: &'static Member) -> Result<f64, ReadError> {
        Err(no_event(member))
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        Err(no_event(member))
    }

    fn read_document(&mut self, member: &'static Member) -> Result<Document, ReadError> {
        Err(no_event(member))
    }
}

fn no_event(member: &Member) -> ReadError {
    ReadError::wrong_type(format!("{} is not an event", member.name))
}
