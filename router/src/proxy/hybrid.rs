//! A service that points to AWS itself: requests are signed anew, with the user's own credentials, and sent to the real
//! endpoint.
//!
//! What a local client signs with is made up, so its signature is taken off (header or presigned) and one with real
//! credentials is put on. Bodies are streamed where their hash is known or need not be; only a body without a hash is
//! collected to make it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fractus_clock::Clock;
use fractus_handoff::{RouteFacts, strip_hop_headers};
use fractus_sigv4::{
    ChunkSigning, ChunkedDecoder, CredentialScope, KeyCache, Payload, RequestView, Scheme, Signer, sha256,
};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use parking_lot::Mutex;

use super::body::{BoxError, RouterBody};
use super::credentials::{Credentials, CredentialsError};
use super::endpoint::Endpoint;
use crate::route::tables::{self, Api};

/// Bodies that must be collected to be hashed. No API without payload hashes takes more.
const MAX_COLLECTED_BYTES: usize = 16 << 20;
/// Real hosts that connections are kept for.
const MAX_HOSTS: usize = 256;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
/// Of the old signature.
const SIGNATURE_HEADERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-security-token", "date"];

#[derive(Debug, thiserror::Error)]
pub enum HybridError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the request cannot be signed anew: {0}")]
    Signing(BoxError),
    #[error("the request's body cannot be read: {0}")]
    Body(BoxError),
    #[error("AWS does not answer: {0}")]
    Answer(BoxError),
}

/// The way to AWS.
#[derive(Default)]
pub struct Hybrid {
    /// Service to a URL in place of AWS's own.
    endpoints: HashMap<String, String>,
    hosts: Mutex<HashMap<String, Arc<Endpoint>>>,
    keys: KeyCache,
}

impl Hybrid {
    pub fn new(endpoints: impl IntoIterator<Item = (String, String)>) -> Self {
        Hybrid { endpoints: endpoints.into_iter().collect(), ..Self::default() }
    }

    /// Sends a request for `service` to AWS.
    pub async fn send(
        &self,
        service: &str,
        request: Request<RouterBody>,
        credentials: &Credentials,
    ) -> Result<Response<RouterBody>, HybridError> {
        let (mut parts, body) = request.into_parts();
        let asked = Asked::of(&parts, service, credentials.region());
        let url = self.endpoints.get(service).cloned().unwrap_or_else(|| format!("https://{}", asked.host));
        let endpoint = self.endpoint(&url).map_err(HybridError::Answer)?;
        let (payload, body) = take_payload(&mut parts.headers, body, asked.is_s3()).await?;
        take_signature_off(&mut parts).map_err(HybridError::Signing)?;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host).trim_end_matches('/');
        parts.headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| HybridError::Signing(error.into()))?);
        parts.version = Version::HTTP_11;
        let keys = credentials.keys()?;
        let signer = Signer {
            access_key: &keys.access_key,
            secret: &keys.secret,
            token: keys.token.as_deref(),
            service: &asked.signing_name,
            region: &asked.region,
            // AWS's clock is the real one, whatever a lane's says.
            time: Clock::real().now(),
            scheme: Scheme::V4,
        };
        signer.sign(&mut parts, &payload, &self.keys).map_err(|error| HybridError::Signing(error.into()))?;
        let mut response = endpoint.ask(Request::from_parts(parts, body)).await.map_err(HybridError::Answer)?;
        strip_hop_headers(response.headers_mut());
        Ok(response)
    }

    fn endpoint(&self, url: &str) -> Result<Arc<Endpoint>, BoxError> {
        let mut hosts = self.hosts.lock();
        if let Some(endpoint) = hosts.get(url) {
            return Ok(endpoint.clone());
        }
        if hosts.len() >= MAX_HOSTS {
            hosts.clear();
        }
        let endpoint = Arc::new(Endpoint::new(url, None)?);
        hosts.insert(url.to_owned(), endpoint.clone());
        Ok(endpoint)
    }
}

/// What the request is for, as AWS's own endpoints have it.
struct Asked {
    signing_name: String,
    region: String,
    host: String,
}

impl Asked {
    fn of(parts: &Parts, service: &str, default_region: &str) -> Self {
        let facts = RouteFacts::of_parts(parts);
        let view = RequestView::from(parts);
        let region =
            CredentialScope::of(&view).map(|scope| scope.region.to_owned()).filter(|region| !region.is_empty());
        let region = region.unwrap_or_else(|| default_region.to_owned());
        let api = api_of(&facts, service);
        let signing_name = facts.scope.map(str::to_owned).or_else(|| api.map(|api| api.signing_name.to_owned()));
        let signing_name = signing_name.unwrap_or_else(|| service.to_owned());
        let prefix = api.map_or(service, |api| api.endpoint_prefix);
        let (region, host) = real_host(&facts, prefix, region);
        Asked { signing_name, region, host }
    }

    fn is_s3(&self) -> bool {
        self.signing_name.starts_with("s3")
    }
}

/// The API among those of the service's program: by its target, else the one that signs so.
fn api_of(facts: &RouteFacts<'_>, service: &str) -> Option<&'static Api> {
    let of_service = || tables::apis().iter().filter(|api| api.service == service);
    let by_target = of_service().find(|api| facts.target.is_some() && api.target_prefix == facts.target);
    let by_scope = || of_service().find(|api| Some(api.signing_name) == facts.scope);
    by_target.or_else(by_scope).or_else(|| of_service().next())
}

/// Services with one endpoint for the whole partition, and the region that its signatures name.
const GLOBAL: [&str; 4] = ["iam", "route53", "cloudfront", "waf"];

fn real_host(facts: &RouteFacts<'_>, prefix: &str, region: String) -> (String, String) {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if GLOBAL.contains(&prefix) && suffix == "amazonaws.com" {
        return ("us-east-1".to_owned(), format!("{prefix}.{suffix}"));
    }
    let before = if prefix == "s3" {
        bucket_of(facts.host).map(|bucket| format!("{bucket}.")).unwrap_or_default()
    } else {
        // What the client puts before the host for some operations stays: `sync-localhost` is `sync-states…` there.
        let operation = ["sync-", "streaming-", "stream-"].into_iter().find(|prefix| facts.host.starts_with(prefix));
        operation.unwrap_or_default().to_owned()
    };
    let host = format!("{before}{prefix}.{region}.{suffix}");
    (region, host)
}

/// The bucket of a virtual-hosted request: what stands before `.s3.`, or before `.localhost`.
fn bucket_of(host: &str) -> Option<&str> {
    if let Some(at) = host.find(".s3.").or_else(|| host.find(".s3-")) {
        return Some(&host[..at]);
    }
    host.strip_suffix(".localhost").filter(|bucket| *bucket != "s3" && !bucket.starts_with("s3."))
}

fn take_signature_off(parts: &mut Parts) -> Result<(), BoxError> {
    for name in SIGNATURE_HEADERS {
        parts.headers.remove(name);
    }
    parts.headers.remove(AUTHORIZATION);
    strip_hop_headers(&mut parts.headers);
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or(""));
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_presigning(pair)).collect();
    let target =
        if query.is_empty() || kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    parts.uri = Uri::from(target.parse::<PathAndQuery>()?);
    Ok(())
}

fn is_presigning(pair: &str) -> bool {
    const NAMES: [&str; 7] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    ];
    let name = pair.split('=').next().unwrap_or(pair);
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What the new signature says of the body, and the body as it is sent.
async fn take_payload(
    headers: &mut HeaderMap,
    body: RouterBody,
    is_s3: bool,
) -> Result<(Payload, RouterBody), HybridError> {
    let said = headers.get(CONTENT_SHA256).and_then(|value| Payload::parse(value.to_str().ok()?));
    match said {
        Some(payload @ Payload::Streaming { signing: ChunkSigning::Hmac | ChunkSigning::Ecdsa, .. }) => {
            Ok((Payload::Unsigned, unchunk(headers, body, payload)))
        }
        Some(payload) => Ok((payload, body)),
        None if is_s3 => Ok((Payload::Unsigned, body)),
        None => {
            let collected = Limited::new(body, MAX_COLLECTED_BYTES).collect().await.map_err(HybridError::Body)?;
            let bytes = collected.to_bytes();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Ok((Payload::Sha256(sha256(&bytes)), RouterBody::full(bytes)))
        }
    }
}

/// Chunk signatures hang on the old one, so the body is sent without chunks and, as TLS allows, unsigned. Checksums in
/// trailers are lost with them; those in headers stay.
fn unchunk(headers: &mut HeaderMap, body: RouterBody, payload: Payload) -> RouterBody {
    let length = headers.remove(DECODED_LENGTH);
    if let Some(length) = &length {
        headers.insert(CONTENT_LENGTH, length.clone());
    }
    headers.remove("x-amz-trailer");
    let kept: Option<HeaderValue> = headers.get(CONTENT_ENCODING).and_then(|value| {
        let rest: Vec<&str> =
            value.to_str().ok()?.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
        if rest.is_empty() { None } else { HeaderValue::from_str(&rest.join(", ")).ok() }
    });
    headers.remove(CONTENT_ENCODING);
    if let Some(kept) = kept {
        headers.insert(CONTENT_ENCODING, kept);
    }
    let decoded_length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let Some(mut decoder) = ChunkedDecoder::new(payload, None, decoded_length) else { return body };
    let pieces = body.into_data_stream().map(move |piece| -> Result<Vec<Bytes>, BoxError> {
        let (mut input, mut data) = (piece?, Vec::new());
        while let Some(part) = decoder.decode(&mut input)? {
            data.push(part);
        }
        Ok(data)
    });
    let frames = pieces.flat_map(|parts| {
        let frames: Vec<Result<Frame<Bytes>, BoxError>> = match parts {
            Ok(parts) => parts.into_iter().map(|part| Ok(Frame::data(part))).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(frames)
    });
    RouterBody::boxed(StreamBody::new(frames))
}
