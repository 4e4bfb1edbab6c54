//! Streams of typed events to and from bodies.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::body::{BodyError, ByteStream, EventStream, Events, Payload};
use crate::failure::Failure;
use crate::schema::{Protocol, Schema};
use crate::shape::{Shape, WriteError};

use super::codec;
use super::decoder::{Decoder, FrameLimits};
use super::frame::Message;
use super::read::{Incoming, failure_of_frame, read_message};
use super::write::{message_of_event, message_of_failure};

pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The first message of an RPC protocol's stream, which carries the members beside it: `name` is `initial-response` or
/// `initial-request`, `body` their bytes in the protocol's format.
pub fn initial_message(protocol: Protocol, name: &'static str, body: Vec<u8>) -> Message {
    let mut message = Message::default()
        .with_header(":message-type", "event")
        .with_header(":event-type", name)
        .with_header(":content-type", codec::content_type(protocol));
    message.payload = Bytes::from(body);
    message
}

/// The body that carries `events`, after `initial`. An event that is an error ends the stream with its message;
/// `union` says which errors the stream models.
pub fn body_of_events(
    protocol: Protocol,
    union: Option<&'static Schema>,
    initial: Option<Message>,
    events: Events,
) -> ByteStream {
    let first = stream::iter(initial).map(|message| frame_of(&message));
    let rest = stream::unfold(Some(events), move |events| async move {
        let mut events = events?;
        let (message, rest) = match events.next().await? {
            Ok(event) => match message_of_event(protocol, &*event) {
                Ok(message) => (message, Some(events)),
                Err(error) => (unwritable(protocol, union, &error), None),
            },
            Err(failure) => (message_of_failure(protocol, union, &failure), None),
        };
        Some((frame_of(&message), rest))
    });
    ByteStream::from_body(StreamBody::new(first.chain(rest)), None)
}

fn unwritable(protocol: Protocol, union: Option<&'static Schema>, error: &WriteError) -> Message {
    message_of_failure(protocol, union, &Failure::internal(error.to_string()))
}

fn frame_of(message: &Message) -> Result<Frame<Bytes>, BodyError> {
    let mut frame = Vec::with_capacity(message.payload.len() + 256);
    message.encode(&mut frame).map_err(|error| BodyError::Aborted(Box::new(error)))?;
    Ok(Frame::data(Bytes::from(frame)))
}

/// The body of an RPC protocol's message with events in it: first the message called `initial`, with the members beside
/// the stream in `members`.
pub(crate) fn body_of_shape(
    protocol: Protocol,
    shape: &mut dyn Shape,
    initial: &'static str,
    members: Vec<u8>,
) -> ByteStream {
    let union = shape.schema().members.into_iter().find(|member| member.target.event_stream);
    let events: Events = match shape.take_payload() {
        Payload::IncomingEvents(body, _) => return body,
        Payload::Events(events) => events,
        Payload::Bytes(_) | Payload::None => Box::pin(stream::empty()),
    };
    let initial = initial_message(protocol, initial, members);
    body_of_events(protocol, union.map(|member| member.target), Some(initial), events)
}

/// A stream that is being taken apart.
struct Reading {
    protocol: Protocol,
    body: ByteStream,
    decoder: Decoder,
    limits: FrameLimits,
    is_over: bool,
}

/// The events in a body of frames. Nothing comes after the first error.
pub fn events_of_body<T: Shape + Default>(body: ByteStream, protocol: Protocol, limits: FrameLimits) -> EventStream<T> {
    events_made_by(T::default, body, protocol, limits)
}

/// As [`events_of_body`], with `make` giving the empty event: for shapes that are known by their schema alone.
pub fn events_made_by<T: Shape>(
    make: impl Fn() -> T + Send + 'static,
    body: ByteStream,
    protocol: Protocol,
    limits: FrameLimits,
) -> EventStream<T> {
    let reading = Reading { protocol, body, decoder: Decoder::new(limits), limits, is_over: false };
    EventStream::new(stream::unfold((reading, make), |(mut reading, make)| async move {
        let event = reading.next(make()).await?;
        Some((event, (reading, make)))
    }))
}

impl Reading {
    /// The next event; nothing comes after an error.
    async fn next<T: Shape>(&mut self, event: T) -> Option<Result<T, Failure>> {
        if self.is_over {
            return None;
        }
        match self.next_event(event).await {
            Ok(Some(event)) => Some(Ok(event)),
            Ok(None) => None,
            Err(failure) => {
                self.is_over = true;
                Some(Err(failure))
            }
        }
    }

    async fn next_event<T: Shape>(&mut self, mut event: T) -> Result<Option<T>, Failure> {
        loop {
            while let Some(message) = self.decoder.next_message().map_err(|error| failure_of_frame(&error))? {
                match read_message(self.protocol, message, &mut event, self.limits.headers)? {
                    Incoming::Event => return Ok(Some(event)),
                    Incoming::Passed => {}
                    Incoming::End => {
                        self.is_over = true;
                        return Ok(None);
                    }
                }
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.decoder.push(&piece),
                Some(Err(BodyError::Refused(failure))) => return Err(*failure),
                Some(Err(error)) => return Err(Failure::new("IncompleteBody", 400, error.to_string())),
                None => {
                    self.is_over = true;
                    return self.decoder.finish().map(|()| None).map_err(|error| failure_of_frame(&error));
                }
            }
        }
    }
}
