//! One call: its request by the model, signed, sent; its answer as the model's members.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::{Clock, Random, Stopwatch};
use fractus_sigv4::{ChunkSigning, ChunkedEncoder, KeyCache, Payload, Scheme, Signer};
use fractus_wire::document_io::{DocumentReader, to_document};
use fractus_wire::protocol::{ResponseError, read_response, streams_input, write_request};
use fractus_wire::tokens::fill_idempotency_token;
use fractus_wire::{ByteStream, DynamicShape, Failure, Shape};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest, Response};
use md5::{Digest, Md5};
use serde_json::{Map, Value as Json, json};

use super::scenario::{Call, Chunked, Request, Wire};
use super::template::Scope;
use super::value;
use super::yaml::{Mistake, Node};
use crate::endpoint::{Answer, Caller, Endpoint, Outgoing, SendError};

/// Bodies of answers beyond this are not shown as text beside the model's members.
const MAX_SHOWN_BODY_BYTES: usize = 64 << 10;

/// Why a call has no answer that could be judged.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Mistake(#[from] Mistake),
    #[error("the request cannot be made: {0}")]
    Unmakeable(String),
    #[error("no answer: {0}")]
    Unsent(String),
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        CallError::Unsent(format!("{error}{cause}"))
    }
}

fn unmakeable(error: impl std::fmt::Display) -> CallError {
    CallError::Unmakeable(error.to_string())
}

/// Sends the calls of one scenario: all of its requests are of one world.
pub struct Sender<'a> {
    pub endpoint: &'a Endpoint,
    pub lane: Option<String>,
    pub keys: &'a KeyCache,
    pub random: &'a Random,
}

impl Sender<'_> {
    /// An answer with an error is an answer: `$error` in it says which.
    pub async fn call(&self, call: &Call, input: &Json, scope: &Scope) -> Result<Json, CallError> {
        let mut shape = DynamicShape::new(call.operation.input);
        DocumentReader::new(&value::to_document(input)).read_shape(&mut shape).map_err(|error| {
            CallError::Mistake(Mistake::at(call.line, format!("{}: {}", error.path, error.message)))
        })?;
        fill_idempotency_token(&mut shape, || self.random.uuid()).map_err(unmakeable)?;
        let outgoing = write_request(call.protocol, call.service, call.operation, &mut shape).map_err(unmakeable)?;
        let (mut head, body) = outgoing.request.into_parts();
        let ByteStream::Whole(body) = body else { return Err(unmakeable("the body has no known end")) };
        let mut host_prefix = outgoing.host_prefix;
        if call.wire.virtual_host {
            host_prefix = Some(move_bucket_to_host(&mut head)?);
        }
        self.dress(&mut head, call, input, &body, scope)?;
        let host = format!("{}{}", host_prefix.as_deref().unwrap_or(""), self.endpoint.authority());
        head.headers.insert(HOST, HeaderValue::from_str(&host).map_err(unmakeable)?);
        let body = self.sign(&mut head, call, body, scope)?;
        let outgoing = Outgoing {
            method: head.method,
            target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            headers: head.headers,
            body,
            signing_name: None,
            unsigned_payload: false,
            host_prefix,
        };
        let watch = Stopwatch::start();
        let answer = self.endpoint.send(&Caller::default(), outgoing).await?;
        let seen = Seen { took: watch.elapsed(), answer };
        seen.of_operation(call).await
    }

    /// A request that is no operation.
    pub async fn http(&self, request: &Request, scope: &Scope) -> Result<Json, CallError> {
        let url = scope.value(&request.url)?;
        let url = url.as_str().ok_or_else(|| Mistake::at(request.url.line, "a URL must be text"))?;
        let target = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => url,
        };
        let mut headers = self.lane_header();
        extend(&mut headers, request.headers.as_ref(), scope)?;
        let body = request.body.as_ref().map(|body| scope.value(body)).transpose()?;
        let body = body.and_then(|body| value::bytes_of(&body)).unwrap_or_default();
        let outgoing = Outgoing {
            method: request.method.parse().map_err(unmakeable)?,
            target: target.to_owned(),
            headers,
            body: Bytes::from(body),
            signing_name: None,
            unsigned_payload: false,
            host_prefix: None,
        };
        let watch = Stopwatch::start();
        let answer = self.endpoint.send(&Caller::default(), outgoing).await?;
        Ok(Json::Object(Seen { took: watch.elapsed(), answer }.plain()))
    }

    fn lane_header(&self) -> HeaderMap {
        let lane = self.lane.as_deref().and_then(|lane| HeaderValue::from_str(lane).ok());
        lane.map(|lane| (HeaderName::from_static("x-fractus-lane"), lane)).into_iter().collect()
    }

    /// The headers and parameters that a scenario adds, and the digest that some operations demand.
    fn dress(&self, head: &mut Parts, call: &Call, input: &Json, body: &Bytes, scope: &Scope) -> Result<(), CallError> {
        // The protocol's default would become the object's own: most clients send none.
        if streams_input(call.operation) && input.get("ContentType").is_none() {
            head.headers.remove(CONTENT_TYPE);
        }
        let has_checksum = head.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
        if call.operation.checksum_required && !has_checksum {
            let digest = STANDARD.encode(Md5::digest(body));
            head.headers.insert("content-md5", HeaderValue::from_str(&digest).map_err(unmakeable)?);
        }
        head.headers.extend(self.lane_header());
        extend(&mut head.headers, call.wire.headers.as_ref(), scope)?;
        let Some(query) = &call.wire.query else { return Ok(()) };
        let mut target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        for (name, text) in texts(query, scope)? {
            let separator = if target.contains('?') { '&' } else { '?' };
            target.push_str(&format!("{separator}{}={}", name, fractus_sigv4::uri_encode(&text)));
        }
        head.uri = target.parse().map_err(unmakeable)?;
        Ok(())
    }

    /// Signs as the scenario says; gives the body, which is another one where it comes in chunks.
    fn sign(&self, head: &mut Parts, call: &Call, body: Bytes, scope: &Scope) -> Result<Bytes, CallError> {
        let caller = caller_of(call.caller.as_ref(), scope)?;
        let signer = Signer {
            access_key: &caller.access_key,
            secret: &caller.secret,
            token: caller.session_token.as_deref(),
            service: call.service.signing_name,
            region: &caller.region,
            // Signers follow real time, as every client does, whatever the clock of the world says.
            time: Clock::real().now(),
            scheme: Scheme::V4,
        };
        if let Some(chunked) = &call.wire.chunked {
            return self.sign_chunked(head, &signer, chunked, &body, scope);
        }
        if call.wire.unsigned || call.operation.unsigned {
            return Ok(body);
        }
        if let Some(secs) = &call.wire.presign {
            let secs = value::number(&scope.value(secs)?).unwrap_or(0.0);
            let expires = Duration::try_from_secs_f64(secs).map_err(unmakeable)?;
            // A browser sends no headers of its own with such a URL.
            head.headers.remove(CONTENT_TYPE);
            signer.presign(head, &Payload::Unsigned, expires, self.keys).map_err(unmakeable)?;
            return Ok(body);
        }
        let payload = if call.operation.unsigned_payload { Payload::Unsigned } else { Payload::of(&body) };
        signer.sign(head, &payload, self.keys).map_err(unmakeable)?;
        Ok(body)
    }

    fn sign_chunked(
        &self,
        head: &mut Parts,
        signer: &Signer<'_>,
        chunked: &Chunked,
        body: &Bytes,
        scope: &Scope,
    ) -> Result<Bytes, CallError> {
        let trailers = chunked.trailers.as_ref().map_or(Ok(Vec::new()), |trailers| texts(trailers, scope))?;
        let signing = if chunked.signed { ChunkSigning::Hmac } else { ChunkSigning::Unsigned };
        let payload = Payload::Streaming { signing, trailer: !trailers.is_empty() || !chunked.signed };
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
        head.headers.insert("x-amz-decoded-content-length", HeaderValue::from(body.len()));
        if !trailers.is_empty() {
            let names = trailers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
            head.headers.insert("x-amz-trailer", HeaderValue::from_str(&names).map_err(unmakeable)?);
        }
        let signed = signer.sign(head, &payload, self.keys).map_err(unmakeable)?;
        let has_trailer = matches!(payload, Payload::Streaming { trailer: true, .. });
        let mut encoder = ChunkedEncoder::new(chunked.signed.then_some(signed.chunk_seed), has_trailer);
        let mut written = Vec::with_capacity(body.len() + 256);
        for chunk in body.chunks(chunked.chunk_bytes) {
            written.extend(encoder.chunk(chunk));
        }
        written.extend(encoder.finish(&trailers));
        Ok(Bytes::from(written))
    }
}

/// `/bucket/key` becomes `/key`, and the bucket goes before the host's name.
fn move_bucket_to_host(head: &mut Parts) -> Result<String, CallError> {
    let path = head.uri.path().trim_start_matches('/');
    let (bucket, rest) = path.split_once('/').unwrap_or((path, ""));
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let prefix = format!("{bucket}.s3.");
    head.uri = format!("/{rest}{query}").parse().map_err(unmakeable)?;
    Ok(prefix)
}

fn texts(node: &Node, scope: &Scope) -> Result<Vec<(String, String)>, Mistake> {
    let wrong = || Mistake::at(node.line, "must be a map of texts");
    let Json::Object(map) = scope.value(node)? else { return Err(wrong()) };
    let text = |value: Json| match value {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(wrong()),
    };
    map.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect()
}

fn extend(headers: &mut HeaderMap, node: Option<&Node>, scope: &Scope) -> Result<(), CallError> {
    let Some(node) = node else { return Ok(()) };
    for (name, text) in texts(node, scope)? {
        let name = HeaderName::try_from(name).map_err(unmakeable)?;
        headers.insert(name, HeaderValue::from_str(&text).map_err(unmakeable)?);
    }
    Ok(())
}

/// `as: {account}`, `{credentials}` (as STS answers them), or `{access_key_id, secret, session_token}`; and a region.
fn caller_of(node: Option<&Node>, scope: &Scope) -> Result<Caller, CallError> {
    let mut caller = Caller::default();
    if let Some(Json::String(region)) = scope.variables.get("region") {
        caller.region.clone_from(region);
    }
    let variable = |name: &str| scope.variables.get(name).and_then(Json::as_str).map(str::to_owned);
    caller.access_key = variable("access_key_id").unwrap_or(caller.access_key);
    caller.secret = variable("secret").unwrap_or(caller.secret);
    let Some(node) = node else { return Ok(caller) };
    let given = scope.value(node)?;
    let text = |from: &Json, name: &str| from.get(name).and_then(Json::as_str).map(str::to_owned);
    if let Some(account) = text(&given, "account") {
        caller.access_key = account;
    }
    if let Some(credentials) = given.get("credentials") {
        let missing = || Mistake::at(node.line, "credentials are what STS answers");
        caller.access_key = text(credentials, "AccessKeyId").ok_or_else(missing)?;
        caller.secret = text(credentials, "SecretAccessKey").ok_or_else(missing)?;
        caller.session_token = text(credentials, "SessionToken");
    }
    caller.access_key = text(&given, "access_key_id").unwrap_or(caller.access_key);
    caller.secret = text(&given, "secret").unwrap_or(caller.secret);
    caller.session_token = text(&given, "session_token").or(caller.session_token);
    caller.region = text(&given, "region").unwrap_or(caller.region);
    Ok(caller)
}

/// What came back, and when.
struct Seen {
    took: Duration,
    answer: Answer,
}

impl Seen {
    /// What every answer has.
    fn plain(&self) -> Map<String, Json> {
        let mut headers = Map::new();
        for (name, text) in &self.answer.headers {
            headers.insert(name.as_str().to_owned(), json!(String::from_utf8_lossy(text.as_bytes())));
        }
        let mut seen = Map::new();
        seen.insert("$status".to_owned(), json!(self.answer.status.as_u16()));
        seen.insert("$headers".to_owned(), Json::Object(headers));
        seen.insert("$ms".to_owned(), json!(self.took.as_secs_f64() * 1000.0));
        if self.answer.body.len() <= MAX_SHOWN_BODY_BYTES {
            seen.insert("$body".to_owned(), value::of_bytes(&self.answer.body));
        }
        seen
    }

    /// With the members of the operation's output, or of its error.
    async fn of_operation(self, call: &Call) -> Result<Json, CallError> {
        let mut seen = self.plain();
        let mut response = Response::new(ByteStream::Whole(self.answer.body.clone()));
        *response.status_mut() = self.answer.status;
        *response.headers_mut() = self.answer.headers.clone();
        let mut output = DynamicShape::new(call.operation.output);
        match read_response(call.protocol, call.service, call.operation, response, &mut output) {
            Ok(()) => {
                let payload = output.take_payload();
                let members = to_document(&output).map_err(|error| CallError::Unreadable(error.to_string()))?;
                if let Json::Object(members) = value::of_document(&members) {
                    seen.extend(members);
                }
                // What has not changed is no success: clients raise it as an error without a code.
                if !self.answer.status.is_success() {
                    let status = self.answer.status.as_u16();
                    seen.insert(
                        "$error".to_owned(),
                        json!({"code": "", "message": "", "status": status, "members": {}}),
                    );
                }
                let flows = call.operation.output.members.into_iter().find(|member| member.target.streaming);
                if let (Some(member), fractus_wire::Payload::Bytes(bytes)) = (flows, payload) {
                    let whole = bytes.collect(u64::MAX).await;
                    let whole = whole.map_err(|error| CallError::Unreadable(error.to_string()))?;
                    seen.insert(member.name.to_owned(), value::of_bytes(&whole));
                }
            }
            Err(ResponseError::Failure(failure)) => {
                seen.insert("$error".to_owned(), error_of(&failure)?);
            }
            Err(ResponseError::Unreadable(error)) => return Err(CallError::Unreadable(error.to_string())),
        }
        Ok(Json::Object(seen))
    }
}

fn error_of(failure: &Failure) -> Result<Json, CallError> {
    let members = match &failure.shape {
        Some(shape) => {
            let members = to_document(shape.as_ref()).map_err(|error| CallError::Unreadable(error.to_string()))?;
            value::of_document(&members)
        }
        None => json!({}),
    };
    Ok(json!({
        "code": failure.code, "message": failure.message, "status": failure.status, "members": members,
    }))
}

/// Kept for the message of a failed call: the request as a person would write it.
pub fn told(call: &Call, input: &Json) -> String {
    let Wire { presign, unsigned, .. } = &call.wire;
    let how = match (presign.is_some(), unsigned) {
        (true, _) => " (presigned)",
        (_, true) => " (unsigned)",
        _ => "",
    };
    format!("{}.{}{how} {}", call.service.api, call.operation.name, value::shown(input))
}

/// The admin path that moves a world's clock.
pub fn clock_request(change: &Json) -> Result<Outgoing, CallError> {
    let request = HttpRequest::post("/_fractus/clock")
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(change.to_string()))
        .map_err(unmakeable)?;
    Ok(admin(request))
}

fn admin(request: HttpRequest<Bytes>) -> Outgoing {
    let (head, body) = request.into_parts();
    Outgoing {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body,
        signing_name: None,
        unsigned_payload: false,
        host_prefix: None,
    }
}
