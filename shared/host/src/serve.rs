//! The way of one request, from its head to its answer.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use fractus_clock::{Clock, Stopwatch};
use fractus_sigv4::{ChunkedDecoder, PathStyle, Payload};
use fractus_wire::protocol::{self, Answer, Identified};
use fractus_wire::{BodyError, ByteStream, Failure, HeaderMarks, Protocol, ServiceSchema, gzip, validation};

use crate::activity::Activity;
use crate::auth::{self, KnownBody};
use crate::body::{self, ChunkedBody, HashedBody, TimedBody};
use crate::config::AuthMode;
use crate::context::{CalledOperation, Context};
use crate::faults::FaultRule;
use crate::host::Host;
use crate::identity::{Identity, LatestIdentity};
use crate::operations::{Entry, Fidelity, Table};
use crate::requests::{RequestRecord, Requests};
use crate::service::{Prepared, Service};
use crate::timing::Timing;

/// Says how faithfully an operation is answered.
pub const FIDELITY_HEADER: &str = "x-fractus-fidelity";

/// A served service.
pub(crate) struct Server {
    pub host: Host,
    pub service: Arc<dyn Service>,
    pub table: Table,
    pub requests: Arc<Requests>,
    pub started: Stopwatch,
    pub connections: AtomicUsize,
    pub body_timeout: Duration,
    pub real_clock: Clock,
}

/// What a request belongs to.
pub(crate) struct Connection {
    pub peer: Option<SocketAddr>,
    pub latest: LatestIdentity,
    pub activity: Arc<Activity>,
}

/// An answer, and what the log says of it.
struct Answered {
    response: Response<ByteStream>,
    error: Option<Box<str>>,
}

/// What a failure is written with.
type Refusal = (Protocol, Failure);

impl Server {
    /// Answers a request to the service's own API.
    pub async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<ByteStream> {
        let timing = Timing::start();
        let (head, incoming) = request.into_parts();
        let id = self.host.next_request_id();
        let (identity, refused) = match connection.latest.resolve(&self.host, &head).await {
            Ok(identity) => (identity, None),
            Err(failure) => (self.default_identity(), Some(failure)),
        };
        let mut cx = Context {
            world: identity.world.clone(),
            region: identity.region.clone(),
            caller: identity.caller.clone(),
            request_id: self.service.request_id(id),
            host: self.host.clone(),
            identity,
            head,
            marks: HeaderMarks::ALL,
            original_uri: None,
            peer: connection.peer,
            operation: None,
            cause: None,
            status: AtomicU16::new(0),
            timing,
        };
        let outcome = {
            // Pinned where it is made: it is large, and would be handed on by copying.
            let answering = std::pin::pin!(async {
                match refused {
                    Some(failure) => Err((self.first_protocol(), failure)),
                    None => self.run(&mut cx, incoming).await,
                }
            });
            // A handler that panics must not take its connection, or other requests on it, along.
            AssertUnwindSafe(answering).catch_unwind().await
        };
        let outcome = outcome.unwrap_or_else(|panic| {
            let what = panic_text(&*panic);
            tracing::error!(request_id = %cx.request_id, operation = operation_name(&cx), what, "a handler panicked");
            let failure = Failure::internal("An internal error occurred.");
            Err((cx.operation.map_or(self.first_protocol(), |operation| operation.protocol), failure))
        });
        let mut answered = match outcome {
            Ok(mut response) => {
                if let Ok(status) = http::StatusCode::from_u16(cx.status.load(Ordering::Relaxed)) {
                    *response.status_mut() = status;
                }
                Answered { response, error: None }
            }
            Err((protocol, failure)) => self.refuse(&cx, protocol, failure),
        };
        self.complete(&cx, &mut answered.response).await;
        self.record(&cx, id, &answered, cx.timing.elapsed());
        answered.response
    }

    async fn run(&self, cx: &mut Context, incoming: Incoming) -> Result<Response<ByteStream>, Refusal> {
        let uri = cx.head.uri.clone();
        let prepared = self.service.prepare(&mut cx.head, &cx.identity.host);
        let mut resolved = Ok(());
        if matches!(prepared, Prepared::Identify)
            && let Some(resolving) = self.service.resolve(&cx.world, &cx.region, &mut cx.head)
        {
            resolved = resolving.await;
        }
        if cx.head.uri != uri {
            cx.original_uri = Some(uri);
        }
        cx.marks = HeaderMarks::of(&cx.head.headers);
        match prepared {
            Prepared::Raw => return Ok(self.run_raw(cx, incoming).await),
            Prepared::Refuse(failure) => return Err((self.first_protocol(), failure)),
            Prepared::Identify => resolved.map_err(|failure| (self.first_protocol(), failure))?,
        }
        let mut body = Body::Incoming(incoming);
        let (api, identified) = self.identify(cx, &mut body).await?;
        let protocol = identified.protocol;
        let refuse = |failure| (protocol, failure);
        let index = self.table.index_of(identified.operation);
        let Some((place, entry)) = index.and_then(|place| Some((place, self.table.entries.get(place)?))) else {
            return Err(refuse(not_implemented(protocol, identified.operation.name)));
        };
        cx.operation = Some(CalledOperation { api, schema: entry.schema, protocol, fidelity: entry.fidelity, place });
        let Some(bound) = &entry.bound else {
            return Err(refuse(not_implemented(protocol, entry.schema.name)));
        };
        if let Some(fault) = self.host.inner.faults.draw(&cx.world.lane, self.host.name(), entry.schema.name) {
            self.suffer(fault).await.map_err(refuse)?;
        }
        let mut body = Some(self.ready_body(cx, entry, body).await.map_err(refuse)?);
        let headers = cx.head.headers.len();
        self.service.verified(&mut cx.head);
        if cx.head.headers.len() != headers {
            cx.marks = HeaderMarks::of(&cx.head.headers);
        }
        let cx = &*cx;
        let call = bound.call(&*self.table.state, cx, &mut |input| {
            let read = protocol::read_request(&identified, api, &cx.head, body.take().unwrap_or_default(), input)?;
            match validation::validate(input, &read.missing) {
                violations if violations.is_empty() => Ok(()),
                violations => self.service.invalid(cx, &violations),
            }
        });
        let call = call.map_err(refuse)?;
        if cx.evaluates_policies() {
            cx.authorize(&call.wanted).await.map_err(refuse)?;
        }
        let mut output = call.answering.await.map_err(refuse)?;
        let answer = Answer {
            request_id: &cx.request_id,
            host_id: self.service.host_id(cx),
            error_namespace: self.service.error_namespace(),
            ..Answer::default()
        };
        protocol::write_response(protocol, api, entry.schema, &mut *output, &answer).map_err(|error| {
            tracing::error!(request_id = %cx.request_id, operation = entry.schema.name, %error, "an answer cannot be written");
            refuse(Failure::internal("An internal error occurred."))
        })
    }

    /// Finds the operation; for a Query request in its form, which is then read at once.
    async fn identify(&self, cx: &Context, body: &mut Body) -> Result<(&'static ServiceSchema, Identified), Refusal> {
        let head = &cx.head;
        if self.table.apis.iter().any(|api| protocol::action_is_in_body(api, head)) {
            let limit = self.table.entries.iter().map(|entry| entry.body_limit_bytes).max().unwrap_or_default();
            body.collect(limit, self.body_timeout)
                .await
                .map_err(|error| (self.first_protocol(), body_failure(error)))?;
        }
        let form = body.whole();
        let mut refused = None;
        for api in self.table.apis.iter().filter(|api| self.service.serves(api, head)) {
            match protocol::identify(api, head, form.map(|form| &form[..])) {
                Ok(identified) => return Ok((api, identified)),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        Err(refused.unwrap_or_else(|| (self.first_protocol(), Failure::new("UnknownOperationException", 404, ""))))
    }

    /// The body as the protocols take it, with its signature verified or the verification on its way.
    async fn ready_body(&self, cx: &mut Context, entry: &Entry, mut body: Body) -> Result<ByteStream, Failure> {
        if entry.streams_input && !signs_unread_body(cx) {
            return match body {
                Body::Whole(bytes) => {
                    auth::verify(cx, &KnownBody::Whole(&bytes))?;
                    Ok(bytes.into())
                }
                Body::Incoming(incoming) => self.flowing_body(cx, incoming),
            };
        }
        body.collect(entry.body_limit_bytes, self.body_timeout).await.map_err(body_failure)?;
        let mut bytes = body.into_whole();
        auth::verify(cx, &KnownBody::Whole(&bytes))?;
        self.service.check_body(cx, &bytes)?;
        if !bytes.is_empty() && gzip::is_packed(&cx.head.headers) && gzip::is_unpacked(entry.schema) {
            let limits = gzip::InflateLimits { bytes: entry.body_limit_bytes, ..gzip::InflateLimits::default() };
            bytes = gzip::inflate(&bytes, &limits)?;
            strip_coding(&mut cx.head, "gzip");
        }
        Ok(bytes.into())
    }

    fn flowing_body(&self, cx: &mut Context, incoming: Incoming) -> Result<ByteStream, Failure> {
        let checks = auth::verify(cx, &KnownBody::Flowing)?;
        let length = hyper::body::Body::size_hint(&incoming).exact();
        let timed = TimedBody::new(incoming, self.body_timeout);
        let declared = cx.header("x-amz-content-sha256").and_then(Payload::parse);
        if let Some(payload @ Payload::Streaming { .. }) = declared {
            let decoded = cx.header("x-amz-decoded-content-length").and_then(|text| text.parse().ok());
            let decoder = ChunkedDecoder::new(payload, checks.chunks, decoded);
            let decoder = decoder.ok_or_else(|| Failure::internal("An internal error occurred."))?;
            // What trails must be what was announced, no more and no less.
            let decoder = decoder.announced(cx.header("x-amz-trailer").unwrap_or_default());
            strip_coding(&mut cx.head, "aws-chunked");
            return Ok(ByteStream::from_body(ChunkedBody::new(timed, decoder), decoded));
        }
        if let Some(expected) = checks.sha256 {
            let hasher = Some(<sha2::Sha256 as sha2::Digest>::new());
            return Ok(ByteStream::from_body(HashedBody { inner: timed, hasher, expected }, length));
        }
        Ok(ByteStream::from_body(timed, length))
    }

    async fn run_raw(&self, cx: &Context, incoming: Incoming) -> Response<ByteStream> {
        let length = hyper::body::Body::size_hint(&incoming).exact();
        let body = ByteStream::from_body(TimedBody::new(incoming, self.body_timeout), length);
        let mut request = Request::new(body);
        *request.method_mut() = cx.head.method.clone();
        *request.uri_mut() = cx.head.uri.clone();
        *request.headers_mut() = cx.head.headers.clone();
        *request.extensions_mut() = cx.head.extensions.clone();
        self.service.raw(cx, request).await
    }

    async fn suffer(&self, fault: FaultRule) -> Result<(), Failure> {
        if fault.latency_ms > 0 {
            // Real time: the caller's own timeouts run on it.
            #[allow(clippy::disallowed_methods)]
            tokio::time::sleep(Duration::from_millis(fault.latency_ms)).await;
        }
        match fault.error {
            Some(error) => Err(Failure::new(error.code, error.status, error.message)),
            None => Ok(()),
        }
    }

    fn refuse(&self, cx: &Context, protocol: Protocol, failure: Failure) -> Answered {
        let failure = self.service.failure(cx, failure);
        if failure.status >= 500 && failure.status != 501 && failure.status != 503 {
            tracing::warn!(request_id = %cx.request_id, operation = operation_name(cx), code = %failure.code, message = %failure.message, "answered with an internal error");
        }
        let resource = self.service.resource(cx);
        let answer = Answer {
            request_id: &cx.request_id,
            host_id: self.service.host_id(cx),
            resource: Some(&resource),
            error_namespace: self.service.error_namespace(),
            ..Answer::default()
        };
        let served = || self.table.apis.iter().find(|api| self.service.serves(api, &cx.head)).copied();
        let api = cx.operation.map_or_else(served, |operation| Some(operation.api));
        let response = match api {
            Some(api) => protocol::write_failure(
                protocol,
                api,
                cx.operation.map(|operation| operation.schema),
                &failure,
                &answer,
            ),
            None => Response::new(ByteStream::default()),
        };
        Answered { response, error: Some(failure.code.as_ref().into()) }
    }

    async fn complete(&self, cx: &Context, response: &mut Response<ByteStream>) {
        let fidelity = cx.operation.map(|operation| operation.fidelity);
        if let Some(fidelity) = fidelity {
            response
                .headers_mut()
                .insert(http::HeaderName::from_static(FIDELITY_HEADER), HeaderValue::from_static(fidelity.as_str()));
        }
        if let Some(finishing) = self.service.finish(cx, response) {
            finishing.await;
        }
    }

    fn record(&self, cx: &Context, id: crate::service::RequestUuid, answered: &Answered, took: Duration) {
        let status = answered.response.status().as_u16();
        let record = RequestRecord {
            at: self.real_clock.now(),
            operation: operation_name(cx),
            status,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            fidelity: cx.operation.map_or("", |operation| operation.fidelity.as_str()),
            id,
            identity: cx.identity.clone(),
            error: answered.error.clone(),
        };
        self.requests.record(cx.operation.map(|operation| operation.place), record);
    }

    fn default_identity(&self) -> Arc<Identity> {
        Arc::new(Identity::unknown(self.host.clocks().lane(fractus_aws::Lane::main().as_str())))
    }

    fn first_protocol(&self) -> Protocol {
        let protocol = self.table.apis.first().and_then(|api| api.protocols.first());
        protocol.copied().unwrap_or(Protocol::AwsJson10)
    }
}

/// A body before anybody has decided how it is read.
enum Body {
    Incoming(Incoming),
    Whole(Bytes),
}

impl Body {
    async fn collect(&mut self, limit_bytes: u64, silence: Duration) -> Result<(), BodyError> {
        *self = match std::mem::replace(self, Body::Whole(Bytes::new())) {
            Body::Whole(bytes) if bytes.len() as u64 > limit_bytes => return Err(BodyError::TooLong { limit_bytes }),
            Body::Whole(bytes) => Body::Whole(bytes),
            Body::Incoming(incoming) => Body::Whole(body::collect(incoming, limit_bytes, silence).await?),
        };
        Ok(())
    }

    fn whole(&self) -> Option<&Bytes> {
        match self {
            Body::Whole(bytes) => Some(bytes),
            Body::Incoming(_) => None,
        }
    }

    fn into_whole(self) -> Bytes {
        match self {
            Body::Whole(bytes) => bytes,
            Body::Incoming(_) => Bytes::new(),
        }
    }
}

/// Whether the signature covers a hash of the body that no header tells, so that the body must be read to verify it.
/// S3's clients always tell; others may not.
fn signs_unread_body(cx: &Context) -> bool {
    let style = cx.operation.map(|operation| PathStyle::of(operation.api.signing_name));
    cx.host.config().auth != AuthMode::Off
        && style == Some(PathStyle::Standard)
        && !cx.head.headers.contains_key("x-amz-content-sha256")
}

fn operation_name(cx: &Context) -> &'static str {
    cx.operation.map_or("-", |operation| operation.schema.name)
}

/// Takes a coding off that said how the body travelled, not what it is.
fn strip_coding(head: &mut Parts, travelled: &str) {
    let Some(value) = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else { return };
    let kept: Vec<&str> =
        value.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case(travelled)).collect();
    let kept = kept.join(",");
    if kept.is_empty() {
        head.headers.remove(CONTENT_ENCODING);
    } else if let Ok(kept) = HeaderValue::try_from(kept) {
        head.headers.insert(CONTENT_ENCODING, kept);
    }
}

fn body_failure(error: BodyError) -> Failure {
    match error {
        BodyError::TooLong { limit_bytes } => {
            let message = format!("The request body is longer than {limit_bytes} bytes.");
            Failure::new("RequestEntityTooLarge", 413, message)
        }
        BodyError::Aborted(_) => Failure::new("IncompleteBody", 400, "The request body terminated unexpectedly"),
        BodyError::Refused(failure) => *failure,
    }
}

/// AWS's code for an operation that it does not know, with HTTP's word for one that we do not.
fn not_implemented(protocol: Protocol, operation: &str) -> Failure {
    let code = match protocol {
        Protocol::AwsQuery | Protocol::Ec2Query => "InvalidAction",
        Protocol::RestXml => "NotImplemented",
        _ => "UnknownOperationException",
    };
    Failure::new(code, 501, format!("{operation} is not implemented yet."))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl Fidelity {
    /// Whether there is a handler.
    pub const fn is_answered(self) -> bool {
        !matches!(self, Fidelity::Missing)
    }
}
