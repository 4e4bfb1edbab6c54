//! One request, passed on.

use std::fmt::Write;
use std::sync::Arc;

use fractus_handoff::{is_upgrade, join_upgrades, strip_hop_headers};
use http::header::{HOST, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper::upgrade::OnUpgrade;

use super::body::RouterBody;
use super::endpoint::{Endpoint, SendError};
use super::targets::Target;
use crate::edge::Caller;

/// Replicas that are tried before the caller hears of it.
const MAX_ATTEMPTS: usize = 3;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// TLS's version and cipher: `TLSv1.3 TLS_AES_128_GCM_SHA256`.
const X_FORWARDED_TLS: HeaderName = HeaderName::from_static("x-forwarded-tls");

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Nothing of it was sent, so it may be sent later.
    #[error("no replica can be reached")]
    Unreachable(Box<Request<RouterBody>>, #[source] Option<std::io::Error>),
    /// It may have been acted on. A request that changes nothing comes back.
    #[error("the replica broke off")]
    Broken(Option<Box<Request<RouterBody>>>, #[source] hyper::Error),
}

/// The caller's side of a change to another protocol, kept while its request is sent.
pub struct Upgrade(Option<OnUpgrade>);

/// Makes the request what is passed on: in origin form, with what the router knows of its caller.
pub fn prepare(request: &mut Request<RouterBody>, caller: Caller) -> Upgrade {
    let upgrade = if is_upgrade(request.headers()) { request.extensions_mut().remove::<OnUpgrade>() } else { None };
    to_origin_form(request);
    say_who_called(request.headers_mut(), caller);
    Upgrade(upgrade)
}

impl Upgrade {
    /// Joins the two sides if the service agreed, and takes off the answer what was of its hop.
    pub fn finish(self, mut response: Response<RouterBody>) -> Response<RouterBody> {
        if let Some(upgrade) = self.0 {
            let mut caller = Request::new(());
            caller.extensions_mut().insert(upgrade);
            join_upgrades(&mut caller, &mut response);
        }
        strip_hop_headers(response.headers_mut());
        response
    }
}

/// Sends `request` to a replica of `target`: to another when the first cannot be reached, never twice when it may have
/// been acted on.
pub async fn send_to_any(
    target: &Target,
    mut request: Request<RouterBody>,
) -> Result<Response<RouterBody>, ForwardError> {
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    let mut last = None;
    while tried.len() < MAX_ATTEMPTS {
        let Some(replica) = target.pick(&tried) else { break };
        match replica.send(request).await {
            Ok(response) => return Ok(response),
            Err(SendError::NotSent(unsent, error)) => {
                tracing::debug!(service = target.service, url = replica.url, %error, "a replica cannot be reached");
                request = *unsent;
                last = Some(error);
                tried.push(replica);
            }
            Err(SendError::Broken(again, error)) => return Err(ForwardError::Broken(again, error)),
        }
    }
    Err(ForwardError::Unreachable(Box::new(request), last))
}

/// Origin form, and the caller's Host as it was: URLs in answers are made from it.
fn to_origin_form(request: &mut Request<RouterBody>) {
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    let path_and_query = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path_and_query);
    *request.version_mut() = Version::HTTP_11;
    strip_hop_headers(request.headers_mut());
}

/// Address, scheme and host of the caller. What a proxy before this one said stays: its list of addresses goes on here,
/// and only it knows whether it took TLS off.
fn say_who_called(headers: &mut HeaderMap, caller: Caller) {
    let before = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut list = before.collect::<Vec<_>>().join(", ");
    let comma = if list.is_empty() { "" } else { ", " };
    // Writing to a string does not fail.
    let _ = write!(list, "{comma}{}", caller.peer.ip());
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(X_FORWARDED_FOR, list);
    }
    if let Some(agreed) = caller.tls {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        if let Ok(value) = HeaderValue::try_from(format!("{} {}", agreed.version, agreed.cipher)) {
            headers.insert(X_FORWARDED_TLS, value);
        }
    } else if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}
