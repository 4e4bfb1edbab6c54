//! Answers that flow: who watches is told when the last byte goes out, and of the bytes that really went.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fractus_host::Host;
use fractus_wire::{BodyError, ByteStream};
use futures::future::BoxFuture;
use http_body::{Body, Frame};

use super::Seen;

type Piece = Option<Result<Frame<Bytes>, BodyError>>;

/// A body that is told of when it ends. What is told is there for everybody before the caller has the last byte.
struct Followed {
    body: ByteStream,
    /// How many bytes there will be, where that is known.
    length_bytes: Option<u64>,
    host: Host,
    state: State,
}

enum State {
    Flowing(Box<Seen>),
    /// The last piece waits until all have been told.
    Telling(BoxFuture<'static, ()>, Piece),
    /// Everything has been told, and the body may have trailers.
    Rest,
    Ended,
}

pub(super) fn follow(body: ByteStream, seen: Seen) -> ByteStream {
    let length_bytes = body.length_bytes();
    let host = seen.s3.host.clone();
    let followed = Followed { body, length_bytes, host, state: State::Flowing(Box::new(seen)) };
    ByteStream::from_body(followed, length_bytes)
}

impl Body for Followed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = &mut *self;
        if let State::Flowing(seen) = &mut this.state {
            let piece = ready!(Pin::new(&mut this.body).poll_frame(cx));
            if let Some(Ok(frame)) = &piece {
                seen.request.sent_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.length_bytes.is_none_or(|length| seen.request.sent_bytes < length) {
                    return Poll::Ready(piece);
                }
            }
            if let State::Flowing(seen) = std::mem::replace(&mut this.state, State::Ended) {
                this.state = State::Telling(Box::pin(seen.tell()), piece);
            }
        }
        if let State::Telling(telling, piece) = &mut this.state {
            ready!(telling.as_mut().poll(cx));
            let piece = piece.take();
            this.state = if matches!(piece, Some(Ok(_))) { State::Rest } else { State::Ended };
            return Poll::Ready(piece);
        }
        match this.state {
            State::Rest => Pin::new(&mut this.body).poll_frame(cx),
            _ => Poll::Ready(None),
        }
    }
}

/// A caller that went away before the end has had what it had.
impl Drop for Followed {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Flowing(seen) => self.host.spawn("telling of an answer", seen.tell()),
            State::Telling(telling, _) => self.host.spawn("telling of an answer", telling),
            State::Rest | State::Ended => {}
        }
    }
}
