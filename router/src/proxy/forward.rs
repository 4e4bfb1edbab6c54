//! One request, passed on.

use std::sync::Arc;

use fractus_handoff::{is_upgrade, join_upgrades, strip_hop_headers};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};

use super::body::RouterBody;
use super::endpoint::{Endpoint, SendError};
use super::targets::Target;

/// Replicas that are tried before the caller hears of it.
const MAX_ATTEMPTS: usize = 3;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("no replica can be reached")]
    Unreachable(#[source] Option<std::io::Error>),
    #[error("the replica broke off")]
    Broken(#[source] hyper::Error),
}

/// Sends `request` to a replica of `target`: to another when the first cannot be reached, never twice when it may have
/// been acted on. Upgrades are joined.
pub async fn forward(
    target: &Target,
    mut request: Request<RouterBody>,
    tls: bool,
) -> Result<Response<RouterBody>, ForwardError> {
    let upgrade = if is_upgrade(request.headers()) {
        request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>()
    } else {
        None
    };
    to_origin_form(&mut request);
    if tls {
        request.headers_mut().insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    let mut response = send_to_any(target, request).await?;
    if let Some(upgrade) = upgrade {
        let mut caller = Request::new(());
        caller.extensions_mut().insert(upgrade);
        join_upgrades(&mut caller, &mut response);
    }
    strip_hop_headers(response.headers_mut());
    Ok(response)
}

async fn send_to_any(target: &Target, mut request: Request<RouterBody>) -> Result<Response<RouterBody>, ForwardError> {
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
            Err(SendError::Broken(error)) => return Err(ForwardError::Broken(error)),
        }
    }
    Err(ForwardError::Unreachable(last))
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
