//! The attempts of a call.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fractus_wire::protocol::{ResponseError, read_response, streams_output};
use fractus_wire::{BodyError, ByteStream, OperationSchema, ServiceSchema, Shape};
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};

use crate::request::Prepared;
use crate::retry::is_worth_retrying;
use crate::{CallError, Calls};

/// A request's body as the HTTP client takes it.
pub(crate) enum OutgoingBody {
    Whole(Full<Bytes>),
    Flowing(http_body_util::combinators::UnsyncBoxBody<Bytes, BodyError>),
}

impl From<ByteStream> for OutgoingBody {
    fn from(body: ByteStream) -> Self {
        match body {
            ByteStream::Whole(bytes) => OutgoingBody::Whole(Full::new(bytes)),
            ByteStream::Streaming { body, .. } => OutgoingBody::Flowing(body),
        }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            OutgoingBody::Whole(whole) => Pin::new(whole).poll_frame(context).map_err(|never| match never {}),
            // The reason crosses threads as text: a body's error may hold a shape, which does not.
            OutgoingBody::Flowing(body) => Pin::new(body).poll_frame(context).map_err(|error| error.to_string().into()),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutgoingBody::Whole(whole) => whole.is_end_stream(),
            OutgoingBody::Flowing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutgoingBody::Whole(whole) => whole.size_hint(),
            OutgoingBody::Flowing(body) => body.size_hint(),
        }
    }
}

/// Sends until an answer counts, and reads it into `output`.
pub(crate) async fn exchange(calls: &Calls, mut prepared: Prepared, output: &mut dyn Shape) -> Result<(), CallError> {
    let inner = &calls.client.inner;
    let rules = inner.retry;
    let mut attempt = 1;
    loop {
        let error = match once(calls, &mut prepared, output).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let worth = match &error {
            CallError::Failure(failure) => is_worth_retrying(failure),
            CallError::Unreachable { .. } => true,
            _ => false,
        };
        if !worth || attempt >= rules.attempts || !prepared.is_repeatable() {
            return Err(error);
        }
        tracing::debug!(operation = prepared.operation.name, attempt, %error, "calling again");
        inner.clock.sleep(rules.wait(attempt, inner.random.unit())).await;
        attempt += 1;
    }
}

async fn once(calls: &Calls, prepared: &mut Prepared, output: &mut dyn Shape) -> Result<(), CallError> {
    let request = prepared.attempt(calls)?;
    let response = send(calls, prepared.service, prepared.operation, &prepared.endpoint, request).await?;
    let read = read_response(prepared.protocol, prepared.service, prepared.operation, response, output);
    read.map_err(|error| match error {
        ResponseError::Failure(failure) => CallError::Failure(failure),
        ResponseError::Unreadable(error) => CallError::Unreadable(error.to_string()),
    })
}

/// Takes the parts of what was prepared, not the whole: a body that flows may not be looked at from two threads, and a
/// call must be able to move between them.
async fn send(
    calls: &Calls,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    endpoint: &Uri,
    request: Request<ByteStream>,
) -> Result<Response<ByteStream>, CallError> {
    let inner = &calls.client.inner;
    let limits = inner.limits;
    let service = service.service_id;
    let unreachable = |cause: Box<dyn std::error::Error + Send + Sync>| CallError::Unreachable {
        service,
        endpoint: endpoint.to_string(),
        cause,
    };
    let answer = tokio::time::timeout(limits.answer_within, inner.http.request(request.map(OutgoingBody::from))).await;
    let timed_out = |_| CallError::TimedOut { service, secs: limits.answer_within.as_secs() };
    let (head, body) = answer.map_err(timed_out)?.map_err(|error| unreachable(Box::new(error)))?.into_parts();
    let length_bytes = body.size_hint().exact();
    let body = ByteStream::from_body(body.map_err(|error| BodyError::Aborted(Box::new(error))), length_bytes);
    if head.status.is_success() && streams_output(operation) {
        return Ok(Response::from_parts(head, body));
    }
    let whole = tokio::time::timeout(limits.answer_within, body.collect(limits.answer_bytes)).await;
    let whole = whole.map_err(timed_out)?.map_err(|error| match error {
        BodyError::Aborted(cause) => unreachable(cause),
        other => CallError::Unreadable(other.to_string()),
    })?;
    Ok(Response::from_parts(head, ByteStream::Whole(whole)))
}
