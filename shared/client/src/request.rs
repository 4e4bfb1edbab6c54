//! A request, ready to be signed and sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_sigv4::Payload;
use fractus_wire::protocol::write_request;
use fractus_wire::tokens::fill_idempotency_token;
use fractus_wire::{ByteStream, OperationSchema, Protocol, ServiceSchema, Shape};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{Request, Uri};
use md5::{Digest, Md5};

use crate::{CallError, Calls};

const LANE: HeaderName = HeaderName::from_static("x-fractus-lane");
/// The digest of a body as HTTP has always had it.
pub const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// What stands before the version in the `User-Agent` of every call.
pub const AGENT: &str = "fractus-client/";
const USER_AGENT_VALUE: HeaderValue = HeaderValue::from_static(concat!("fractus-client/", env!("CARGO_PKG_VERSION")));

/// What goes out on each attempt: everything but the signature, which carries the time.
pub(crate) struct Prepared {
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
    pub protocol: Protocol,
    pub endpoint: Uri,
    pub head: Parts,
    pub body: Body,
    pub payload: Payload,
}

/// A body in memory can be sent again; one that flows cannot.
pub(crate) enum Body {
    Whole(Bytes),
    Flowing(Option<ByteStream>),
}

pub(crate) fn prepare(
    calls: &Calls,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    input: &mut dyn Shape,
) -> Result<Prepared, CallError> {
    let endpoint = calls.client.inner.resolver.resolve(service, &calls.region);
    let endpoint = endpoint.ok_or(CallError::NoEndpoint(service.service_id))?;
    let protocol = *service.protocols.first().ok_or(CallError::NoEndpoint(service.service_id))?;
    fill_idempotency_token(input, || calls.client.inner.random.uuid()).map_err(CallError::Input)?;
    let outgoing = write_request(protocol, service, operation, input)?;
    let (mut head, body) = outgoing.request.into_parts();
    let (uri, host) = target(&endpoint, &head.uri, outgoing.host_prefix.as_deref())?;
    head.uri = uri;
    set_headers(calls, &mut head.headers, host);
    let body = match body {
        ByteStream::Whole(bytes) => Body::Whole(bytes),
        flowing @ ByteStream::Streaming { .. } => Body::Flowing(Some(flowing)),
    };
    describe_body(&mut head.headers, operation, &body);
    let payload = match &body {
        Body::Whole(bytes) if !operation.unsigned_payload => Payload::of(bytes),
        _ => Payload::Unsigned,
    };
    Ok(Prepared { service, operation, protocol, endpoint, head, body, payload })
}

/// The URL to connect to, and the host to name where a host prefix makes it another one: `data-localhost` has no
/// address, so that the connection goes to the endpoint and the header alone carries the prefix.
fn target(endpoint: &Uri, path_and_query: &Uri, prefix: Option<&str>) -> Result<(Uri, Option<String>), CallError> {
    let base = endpoint.path().trim_end_matches('/');
    let own = path_and_query.path_and_query().map_or("/", |own| own.as_str());
    let authority = endpoint.authority().map_or("", |authority| authority.as_str());
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query(format!("{base}{own}")).build()?;
    Ok((uri, prefix.map(|prefix| format!("{prefix}{authority}"))))
}

fn set_headers(calls: &Calls, headers: &mut HeaderMap, host: Option<String>) {
    headers.insert(USER_AGENT, USER_AGENT_VALUE);
    if let Ok(lane) = HeaderValue::from_str(calls.world.lane.as_str()) {
        headers.insert(LANE, lane);
    }
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(&host).ok()) {
        headers.insert(HOST, host);
    }
    headers.extend(calls.headers.iter().cloned());
}

/// The length, and the checksum where the operation asks for one and the caller gave none.
fn describe_body(headers: &mut HeaderMap, operation: &OperationSchema, body: &Body) {
    let length_bytes = match body {
        Body::Whole(bytes) => Some(bytes.len() as u64),
        Body::Flowing(stream) => stream.as_ref().and_then(ByteStream::length_bytes),
    };
    if let Some(length_bytes) = length_bytes {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length_bytes));
    }
    if let Body::Whole(bytes) = body
        && let Some(digest) = demanded_digest(operation, headers, bytes)
    {
        headers.insert(CONTENT_MD5, digest);
    }
}

/// The `Content-MD5` of a body whose operation demands a digest, where the caller gave none.
pub fn demanded_digest(operation: &OperationSchema, headers: &HeaderMap, body: &[u8]) -> Option<HeaderValue> {
    let has_checksum = || headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
    if !operation.checksum_required || headers.contains_key(CONTENT_MD5) || has_checksum() {
        return None;
    }
    HeaderValue::from_str(&STANDARD.encode(Md5::digest(body))).ok()
}

impl Prepared {
    /// Whether the request can go out once more.
    pub fn is_repeatable(&self) -> bool {
        matches!(self.body, Body::Whole(_))
    }

    /// Signs and gives the request of one attempt.
    pub fn attempt(&mut self, calls: &Calls) -> Result<Request<ByteStream>, CallError> {
        let inner = &calls.client.inner;
        let mut head = self.head.clone();
        if !self.operation.unsigned {
            let region = calls.region.as_str();
            let signer = fractus_sigv4::Signer {
                access_key: &calls.credentials.access_key_id,
                secret: &calls.credentials.secret,
                token: calls.credentials.session_token.as_deref(),
                service: self.service.signing_name,
                region,
                time: inner.clock.now(),
                scheme: fractus_sigv4::Scheme::V4,
            };
            signer.sign(&mut head, &self.payload, &inner.keys)?;
        }
        let body = match &mut self.body {
            Body::Whole(bytes) => ByteStream::Whole(bytes.clone()),
            Body::Flowing(stream) => stream.take().unwrap_or_default(),
        };
        Ok(Request::from_parts(head, body))
    }
}
