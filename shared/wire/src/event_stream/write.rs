//! An event as a message.

use std::borrow::Cow;

use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::document::Document;
use crate::failure::Failure;
use crate::schema::{Kind, Member, Protocol, Schema};
use crate::shape::{Shape, WriteError, Writer};

use super::codec;
use super::frame::{Header, HeaderValue, Message};

/// The message of one event: `union` is the stream's union with one variant set.
pub fn message_of_event(protocol: Protocol, union: &dyn Shape) -> Result<Message, WriteError> {
    let mut writer = VariantWriter { protocol, message: None };
    union.write_members(&mut writer)?;
    writer.message.ok_or_else(|| WriteError::new(union.schema().name.to_owned(), "no event is set"))
}

/// The message that ends a stream with an error: a modelled exception of the union, or an error without a shape.
pub fn message_of_failure(protocol: Protocol, union: Option<&'static Schema>, failure: &Failure) -> Message {
    if let Some(member) = union.and_then(|union| exception_of(union, failure)) {
        let mut message = Message::default()
            .with_header(":message-type", "exception")
            .with_header(":exception-type", member.wire_name)
            .with_header(":content-type", codec::content_type(protocol));
        let written = match &failure.shape {
            Some(shape) => codec::write_members(protocol, member, &mut |writer| shape.write_members(writer)),
            None => codec::write_members(protocol, member, &mut |writer| write_text(writer, &failure.message)),
        };
        if let Ok(payload) = written {
            message.payload = Bytes::from(payload);
            return message;
        }
    }
    Message::default()
        .with_header(":message-type", "error")
        .with_header(":error-code", failure.code.clone())
        .with_header(":error-message", bounded(&failure.message))
}

/// The body of an error without members of its own.
fn write_text(writer: &mut dyn Writer, message: &str) -> Result<(), WriteError> {
    static STRING: Schema = Schema::new("String", Kind::String);
    static MESSAGE: Member = Member::new("message", 0, &STRING);
    writer.write_string(&MESSAGE, message)
}

/// A header holds no more than 32,767 bytes.
fn bounded(message: &str) -> String {
    message.char_indices().take_while(|(at, character)| at + character.len_utf8() <= 32_767).map(|(_, c)| c).collect()
}

fn exception_of(union: &'static Schema, failure: &Failure) -> Option<&'static Member> {
    let by_code = |member: &&'static Member| {
        member.target.error.is_some_and(|error| member.target.name == failure.code || error.code == failure.code)
    };
    union.members.as_slice().iter().find(by_code)
}

/// Takes the one variant that the union writes.
struct VariantWriter {
    protocol: Protocol,
    message: Option<Message>,
}

impl VariantWriter {
    fn refuse(&self, member: &Member) -> WriteError {
        WriteError::new(member.name.to_owned(), "an event is a structure")
    }
}

/// Parts of one event: headers and the payload are kept, other members go to the body's writer.
struct EventWriter<'w> {
    protocol: Protocol,
    parts: &'w mut Parts,
    body: Option<&'w mut dyn Writer>,
}

#[derive(Default)]
struct Parts {
    headers: Vec<Header>,
    payload: Option<(&'static str, Vec<u8>)>,
}

impl EventWriter<'_> {
    fn header(&mut self, member: &'static Member, value: HeaderValue) -> Result<(), WriteError> {
        self.parts.headers.push(Header { name: Cow::Borrowed(member.wire_name), value });
        Ok(())
    }

    fn payload(&mut self, content_type: &'static str, bytes: Vec<u8>) -> Result<(), WriteError> {
        self.parts.payload = Some((content_type, bytes));
        Ok(())
    }

    /// The writer of the body, for a member that is neither header nor payload.
    fn body(&mut self, member: &'static Member) -> Result<&mut dyn Writer, WriteError> {
        match &mut self.body {
            Some(body) if !member.event_header && !member.event_payload => Ok(&mut **body),
            _ => Err(WriteError::new(member.name.to_owned(), "an event has no place for it")),
        }
    }
}

impl VariantWriter {
    fn write_event(&mut self, member: &'static Member, event: &dyn Shape) -> Result<(), WriteError> {
        let is_exception = member.target.error.is_some();
        let (message_type, type_header) =
            if is_exception { ("exception", ":exception-type") } else { ("event", ":event-type") };
        let mut message =
            Message::default().with_header(":message-type", message_type).with_header(type_header, member.wire_name);
        let mut parts = Parts::default();
        let protocol = self.protocol;
        if member.target.members.iter().any(|part| !part.event_header && !part.event_payload) {
            let body = codec::write_members(protocol, member, &mut |body| {
                parts = Parts::default();
                event.write_members(&mut EventWriter { protocol, parts: &mut parts, body: Some(body) })
            })?;
            parts.payload = Some((codec::content_type(protocol), body));
        } else {
            event.write_members(&mut EventWriter { protocol, parts: &mut parts, body: None })?;
        }
        message.headers.append(&mut parts.headers);
        if let Some((content_type, payload)) = parts.payload {
            message = message.with_header(":content-type", content_type);
            message.payload = Bytes::from(payload);
        }
        self.message = Some(message);
        Ok(())
    }
}

/// The bodies of a writer's methods that only say no.
macro_rules! refused {
    ($($name:ident($value:ty);)*) => {
        $(fn $name(&mut self, member: &'static Member, _value: $value) -> Result<(), WriteError> {
            Err(self.refuse(member))
        })*
    };
}

impl Writer for VariantWriter {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.write_event(member, shape)
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        _elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        Err(self.refuse(member))
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        _entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        Err(self.refuse(member))
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        Err(WriteError::new(key.to_owned(), "a key stands outside a map"))
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        Err(self.refuse(member))
    }

    refused! {
        write_string(&str);
        write_blob(&[u8]);
        write_boolean(bool);
        write_integer(i32);
        write_long(i64);
        write_float(f32);
        write_double(f64);
        write_timestamp(Timestamp);
        write_document(&Document);
    }
}

impl Writer for EventWriter<'_> {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        if member.event_payload {
            let bytes = codec::write_members(self.protocol, member, &mut |writer| shape.write_members(writer))?;
            return self.payload(codec::content_type(self.protocol), bytes);
        }
        self.body(member)?.write_structure(member, shape)
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.body(member)?.write_list(member, length, elements)
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.body(member)?.write_map(member, length, entries)
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        Err(WriteError::new(key.to_owned(), "a key stands outside a map"))
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.body(member)?.write_null(member)
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::String(Cow::Owned(value.to_owned())));
        }
        if member.event_payload {
            return self.payload("text/plain", value.as_bytes().to_vec());
        }
        self.body(member)?.write_string(member, value)
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::Bytes(Bytes::copy_from_slice(value)));
        }
        if member.event_payload {
            return self.payload("application/octet-stream", value.to_vec());
        }
        self.body(member)?.write_blob(member, value)
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::Boolean(value));
        }
        self.body(member)?.write_boolean(member, value)
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::Integer(value));
        }
        self.body(member)?.write_integer(member, value)
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::Long(value));
        }
        self.body(member)?.write_long(member, value)
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.body(member)?.write_float(member, value)
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.body(member)?.write_double(member, value)
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        if member.event_header {
            return self.header(member, HeaderValue::Timestamp(value));
        }
        self.body(member)?.write_timestamp(member, value)
    }

    fn write_document(&mut self, member: &'static Member, value: &Document) -> Result<(), WriteError> {
        self.body(member)?.write_document(member, value)
    }
}
