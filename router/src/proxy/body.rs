//! The one body type of the proxy, both ways.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::endpoint::Lease;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that is passed on, or one that the router makes itself. Nothing of it is collected.
pub enum RouterBody {
    Full(Option<Bytes>),
    Incoming(Incoming),
    /// A body whose beginning was looked at.
    Peeked(Option<Bytes>, Incoming),
    /// An upstream's answer; its connection goes back to the pool after the last frame.
    Leased(Incoming, Option<Lease>),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl RouterBody {
    pub fn empty() -> Self {
        RouterBody::Full(None)
    }

    pub fn full(bytes: impl Into<Bytes>) -> Self {
        RouterBody::Full(Some(bytes.into()))
    }

    pub fn boxed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        use http_body_util::BodyExt;
        RouterBody::Boxed(body.map_err(Into::into).boxed_unsync())
    }
}

impl std::fmt::Debug for RouterBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouterBody").field("size", &self.size_hint()).finish()
    }
}

impl Body for RouterBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            RouterBody::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            RouterBody::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            RouterBody::Peeked(first, rest) => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Pin::new(rest).poll_frame(cx).map_err(Into::into),
            },
            RouterBody::Leased(body, lease) => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                match &frame {
                    // A connection that broke is not used again.
                    Some(Err(_)) => drop(lease.take()),
                    Some(Ok(_)) if !body.is_end_stream() => {}
                    Some(Ok(_)) | None => {
                        if let Some(lease) = lease.take() {
                            lease.give_back();
                        }
                    }
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            RouterBody::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RouterBody::Full(bytes) => bytes.is_none(),
            RouterBody::Incoming(body) => body.is_end_stream(),
            RouterBody::Leased(body, lease) => lease.is_none() && body.is_end_stream(),
            RouterBody::Peeked(first, rest) => first.is_none() && rest.is_end_stream(),
            RouterBody::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RouterBody::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            RouterBody::Incoming(body) | RouterBody::Leased(body, _) => body.size_hint(),
            RouterBody::Peeked(first, rest) => {
                let first = first.as_ref().map_or(0, |bytes| bytes.len() as u64);
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(first));
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
                    hint.set_upper(upper);
                }
                hint
            }
            RouterBody::Boxed(body) => body.size_hint(),
        }
    }
}
