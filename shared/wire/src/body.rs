//! Bodies that flow: byte streams and event streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::document_io::{from_document, to_document};
use crate::event_stream::{self, FrameLimits};
use crate::failure::Failure;
use crate::schema::Protocol;
use crate::shape::Shape;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer went away or broke the framing.
    #[error("the body ended early")]
    Aborted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body is longer than its bound.
    #[error("the body is longer than {limit_bytes} bytes")]
    TooLong { limit_bytes: u64 },
    /// The body is not what the request said of it: a checksum, a length, a chunk signature.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<Failure>),
}

/// A body of bytes, whole or still arriving.
pub enum ByteStream {
    Whole(Bytes),
    /// Frames as they arrive; `length_bytes` where it is known beforehand.
    Streaming {
        body: UnsyncBoxBody<Bytes, BodyError>,
        length_bytes: Option<u64>,
    },
}

impl ByteStream {
    pub fn from_body<B>(body: B, length_bytes: Option<u64>) -> Self
    where
        B: Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        ByteStream::Streaming { body: body.boxed_unsync(), length_bytes }
    }

    pub fn length_bytes(&self) -> Option<u64> {
        match self {
            ByteStream::Whole(bytes) => Some(bytes.len() as u64),
            ByteStream::Streaming { length_bytes, .. } => *length_bytes,
        }
    }

    /// The next piece of data; `None` at the end. Trailers are skipped.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        match self {
            ByteStream::Whole(bytes) if bytes.is_empty() => None,
            ByteStream::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            ByteStream::Streaming { body, .. } => loop {
                match body.frame().await {
                    None => return None,
                    Some(Err(error)) => return Some(Err(error)),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Some(Ok(data));
                        }
                    }
                }
            },
        }
    }

    /// The whole body, refused beyond `limit_bytes`.
    pub async fn collect(mut self, limit_bytes: u64) -> Result<Bytes, BodyError> {
        if let ByteStream::Whole(bytes) = self {
            return if bytes.len() as u64 > limit_bytes { Err(BodyError::TooLong { limit_bytes }) } else { Ok(bytes) };
        }
        let mut collected = Vec::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if (collected.len() + piece.len()) as u64 > limit_bytes {
                return Err(BodyError::TooLong { limit_bytes });
            }
            collected.extend_from_slice(&piece);
        }
        Ok(Bytes::from(collected))
    }
}

/// A `ByteStream` is a body as hyper and axum take it.
impl Body for ByteStream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            ByteStream::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ByteStream::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ByteStream::Streaming { body, .. } => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ByteStream::Whole(bytes) => bytes.is_empty(),
            ByteStream::Streaming { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self, self.length_bytes()) {
            (_, Some(length)) => SizeHint::with_exact(length),
            (ByteStream::Streaming { body, .. }, None) => body.size_hint(),
            (ByteStream::Whole(_), None) => SizeHint::default(),
        }
    }
}

impl Default for ByteStream {
    fn default() -> Self {
        ByteStream::Whole(Bytes::new())
    }
}

impl From<Bytes> for ByteStream {
    fn from(bytes: Bytes) -> Self {
        ByteStream::Whole(bytes)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteStream({:?} bytes)", self.length_bytes())
    }
}

/// A stream of events of one union shape.
pub struct EventStream<T>(pub Pin<Box<dyn Stream<Item = Result<T, Failure>> + Send>>);

impl<T> EventStream<T> {
    pub fn new(stream: impl Stream<Item = Result<T, Failure>> + Send + 'static) -> Self {
        EventStream(Box::pin(stream))
    }
}

impl<T: Shape> EventStream<T> {
    /// The stream as the protocols take it.
    pub fn into_payload(self) -> Payload {
        Payload::Events(Box::pin(self.0.map(|event| event.map(|event| Box::new(event) as Box<dyn Shape>))))
    }
}

impl<T: Shape + Default> EventStream<T> {
    /// The stream from what a protocol read: incoming frames, or events that were never written out.
    pub fn from_payload(payload: Payload) -> Self {
        match payload {
            Payload::Events(events) => EventStream::new(events.map(|event| {
                let event = to_document(event?.as_ref()).map_err(|error| Failure::internal(error.to_string()))?;
                from_document(&event).map_err(|error| Failure::internal(error.to_string()))
            })),
            Payload::IncomingEvents(body, protocol) => {
                event_stream::events_of_body(body, protocol, FrameLimits::default())
            }
            // The protocols hand events over as shapes or as frames; bytes or nothing are no events.
            Payload::Bytes(_) | Payload::None => EventStream::default(),
        }
    }
}

impl<T: Send + 'static> Default for EventStream<T> {
    fn default() -> Self {
        EventStream::new(futures::stream::empty())
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

/// Events whose type the protocol need not know.
pub type Events = Pin<Box<dyn Stream<Item = Result<Box<dyn Shape>, Failure>> + Send>>;

/// The streamed part of a message.
#[derive(Default)]
pub enum Payload {
    #[default]
    None,
    Bytes(ByteStream),
    /// Outgoing events.
    Events(Events),
    /// Incoming events, still as frames of bytes; the protocol says how each event's payload is written.
    IncomingEvents(ByteStream, Protocol),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Payload::None => "None",
            Payload::Bytes(_) => "Bytes",
            Payload::Events(_) => "Events",
            Payload::IncomingEvents(..) => "IncomingEvents",
        })
    }
}
