//! Bodies: bounded and timed on the way in, flowing on the way out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::Sleep;

use fractus_sigv4::{ChunkedDecoder, Trailers};
use fractus_wire::{BodyError, ByteStream, Failure};

use crate::activity::Busy;
use crate::rope::Rope;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that makes no progress for some time.
fn stalled() -> BodyError {
    let message = "Your socket connection to the server was not read from or written to within the timeout period. \
                   Idle connections will be closed.";
    BodyError::Refused(Box::new(Failure::new("RequestTimeout", 400, message)))
}

/// A request's body that gives up when it is silent for too long. The timer exists only while it waits.
///
/// What the connection has read already comes through at the second look, in the same turn of its task. A timer, whose
/// making and dropping goes through a lock that all connections share, is therefore made at the second look in vain.
pub(crate) struct TimedBody {
    incoming: Incoming,
    silence: Duration,
    has_looked: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub fn new(incoming: Incoming, silence: Duration) -> Self {
        TimedBody { incoming, silence, has_looked: false, timer: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.timer = None;
                self.has_looked = false;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Aborted(Box::new(error)))))
            }
            Poll::Pending if !self.has_looked => {
                self.has_looked = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                let silence = self.silence;
                // Real time: this is about a connection, not about a rule of AWS.
                #[allow(clippy::disallowed_methods)]
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(stalled())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The whole body, no longer than `limit_bytes`. A body that came in one piece is not copied.
pub(crate) async fn collect(incoming: Incoming, limit_bytes: u64, silence: Duration) -> Result<Bytes, BodyError> {
    if incoming.is_end_stream() {
        return Ok(Bytes::new());
    }
    let expected = incoming.size_hint().lower();
    if expected > limit_bytes {
        return Err(BodyError::TooLong { limit_bytes });
    }
    let mut body = TimedBody::new(incoming, silence);
    let first = loop {
        match body.frame().await {
            None => return Ok(Bytes::new()),
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    break data;
                }
            }
        }
    };
    let too_long = |length: usize| length as u64 > limit_bytes;
    if too_long(first.len()) {
        return Err(BodyError::TooLong { limit_bytes });
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    // What the client announces is not yet what it sends: memory is taken as data comes. (No clamp: the first piece may be
    // larger than what is taken beforehand.)
    let mut whole = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).min(64 * 1024).max(first.len()));
    whole.extend_from_slice(&first);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if too_long(whole.len() + data.len()) {
            return Err(BodyError::TooLong { limit_bytes });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// An `aws-chunked` body, decoded as it flows. Its trailers come as the last frame.
pub(crate) struct ChunkedBody {
    inner: TimedBody,
    decoder: Option<ChunkedDecoder>,
    waiting: Bytes,
}

impl ChunkedBody {
    pub fn new(inner: TimedBody, decoder: ChunkedDecoder) -> Self {
        ChunkedBody { inner, decoder: Some(decoder), waiting: Bytes::new() }
    }

    fn finish(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        let trailers = match self.decoder.take()?.finish() {
            Ok(trailers) => trailers,
            Err(error) => return Some(Err(refused(&error))),
        };
        (!trailers.is_empty()).then(|| Ok(Frame::trailers(as_headers(&trailers))))
    }
}

fn refused(error: &fractus_sigv4::ChunkError) -> BodyError {
    BodyError::Refused(Box::new(crate::auth::chunk_failure(error)))
}

fn as_headers(trailers: &Trailers) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in trailers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers
}

impl Body for ChunkedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let Some(decoder) = &mut this.decoder else { return Poll::Ready(None) };
            match decoder.decode(&mut this.waiting) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(error) => {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(refused(&error))));
                }
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                None => return Poll::Ready(this.finish()),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.waiting = data;
                    }
                }
            }
        }
    }
}

/// A body whose SHA-256 the signature covers; it ends with an error where it is another.
pub(crate) struct HashedBody {
    pub inner: TimedBody,
    pub hasher: Option<sha2::Sha256>,
    pub expected: [u8; 32],
}

impl Body for HashedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        use sha2::Digest as _;
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(hasher)) = (frame.data_ref(), &mut self.hasher) {
                    hasher.update(data);
                }
            }
            Some(Err(_)) => {}
            None => {
                if let Some(hasher) = self.hasher.take() {
                    let computed: [u8; 32] = hasher.finalize().into();
                    if computed != self.expected {
                        let failure = crate::auth::payload_hash_failure(&self.expected, &computed);
                        return Poll::Ready(Some(Err(BodyError::Refused(Box::new(failure)))));
                    }
                }
            }
        }
        Poll::Ready(frame)
    }
}

/// An answer's body on its way to hyper.
pub(crate) struct ResponseBody {
    kind: Kind,
    /// Tells the connection whether it waits for us or for its peer.
    busy: Option<Busy>,
}

enum Kind {
    Whole(Bytes),
    Stream(Flow),
    Forwarded(Incoming),
}

impl ResponseBody {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        ResponseBody { kind: Kind::Whole(bytes.into()), busy: None }
    }

    pub fn of(stream: ByteStream, busy: Busy) -> Self {
        match stream {
            ByteStream::Whole(bytes) => Self::whole(bytes),
            ByteStream::Streaming { body, length_bytes } => {
                let flow = Flow { body, left_bytes: length_bytes, waiting: None };
                ResponseBody { kind: Kind::Stream(flow), busy: Some(busy) }
            }
        }
    }

    pub fn forwarded(incoming: Incoming, busy: Busy) -> Self {
        ResponseBody { kind: Kind::Forwarded(incoming), busy: Some(busy) }
    }
}

/// A body that flows, and what came of it behind the pieces that were ready together.
struct Flow {
    body: UnsyncBoxBody<Bytes, BodyError>,
    left_bytes: Option<u64>,
    waiting: Option<Option<Result<Frame<Rope>, BoxError>>>,
}

impl Flow {
    /// The pieces that are there already, as one frame: what lies in memory goes out by a few large writes.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Rope>, BoxError>>> {
        if let Some(waiting) = self.waiting.take() {
            return Poll::Ready(waiting);
        }
        let mut rope = Rope::default();
        while !rope.is_full() && self.left_bytes != Some(0) || !rope.has_remaining() {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending if rope.has_remaining() => break,
                Poll::Pending => return Poll::Pending,
                // Only hyper hears of an error, and closes the connection; it itself cannot be shared between threads.
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(|error| BoxError::from(error.to_string()))),
            };
            let behind = match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    self.left_bytes = self.left_bytes.map(|left| left.saturating_sub(data.len() as u64));
                    rope.push(data);
                    continue;
                }
                Some(Ok(Err(other))) => Some(Ok(other.map_data(Rope::from))),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            };
            if !rope.has_remaining() {
                return Poll::Ready(behind);
            }
            self.waiting = Some(behind);
            break;
        }
        Poll::Ready(Some(Ok(Frame::data(rope))))
    }
}

impl Body for ResponseBody {
    type Data = Rope;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Rope>, BoxError>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Kind::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes).into())))),
            Kind::Stream(flow) => flow.poll(cx),
            Kind::Forwarded(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(Rope::from)).map_err(BoxError::from))),
        };
        if let Some(busy) = &mut this.busy {
            busy.waits_for_service(polled.is_pending());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(flow) => flow.waiting.is_none() && flow.body.is_end_stream(),
            Kind::Forwarded(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(flow) => flow.left_bytes.map_or_else(|| flow.body.size_hint(), SizeHint::with_exact),
            Kind::Forwarded(incoming) => incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::StreamBody;

    use super::*;
    use crate::activity::Activity;

    type Next = Option<Result<Frame<Bytes>, BodyError>>;

    /// What comes of a body that has these ready, one poll each where there is nothing: pieces as their lengths.
    async fn seen(ready: Vec<Next>, length: Option<u64>) -> Vec<Result<usize, String>> {
        let mut ready = std::collections::VecDeque::from(ready);
        let stream = futures::stream::poll_fn(move |cx| match ready.pop_front() {
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(frame) => Poll::Ready(frame),
            None => Poll::Ready(None),
        });
        let body = ByteStream::from_body(StreamBody::new(stream.fuse()), length);
        let mut body = ResponseBody::of(body, std::sync::Arc::<Activity>::default().begin());
        let mut seen = Vec::new();
        while let Some(frame) = body.frame().await {
            seen.push(match frame {
                Ok(frame) => Ok(frame.into_data().map_or(usize::MAX, |data| data.remaining())),
                Err(error) => Err(error.to_string()),
            });
        }
        seen
    }

    fn data(length: usize) -> Next {
        Some(Ok(Frame::data(Bytes::from(vec![0; length]))))
    }

    #[tokio::test]
    async fn what_is_ready_goes_out_together_and_nothing_is_lost_behind_it() {
        assert_eq!(seen(vec![data(3), data(4), None, data(0), data(5)], None).await, [Ok(7), Ok(5)]);
        assert_eq!(seen(vec![data(3), data(4)], Some(7)).await, [Ok(7)]);
        let trailers = Some(Ok(Frame::trailers(HeaderMap::new())));
        assert_eq!(seen(vec![data(3), trailers], None).await, [Ok(3), Ok(usize::MAX)]);
        let failed = Some(Err(BodyError::TooLong { limit_bytes: 1 }));
        let after = seen(vec![data(3), failed], Some(9)).await;
        assert!(after[0] == Ok(3) && after[1].is_err() && after.len() == 2, "{after:?}");
        let much = seen((0..9).map(|_| data(1 << 20)).collect(), None).await;
        assert_eq!(much.iter().flatten().sum::<usize>(), 9 << 20);
        assert!(much.len() > 3, "not all of it at once: {much:?}");
        assert!(seen(vec![], Some(0)).await.is_empty());
    }
}
