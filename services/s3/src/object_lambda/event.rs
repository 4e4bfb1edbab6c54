//! What a function is told.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-event-context.html>

use std::time::Duration;

use fractus_bus::contracts::CredentialKind;
use fractus_host::{Caller, CallerKind, Context};
use fractus_sigv4::{KeyCache, Payload, Scheme, Signer, uri_encode};
use fractus_wire::Failure;
use http::Method;
use serde_json::{Map, Value, json};

use crate::control::routing::{InHost, Through};
use crate::error::{Error, Result};
use crate::object_lambda::call::Asked;

/// How long the URL of the original holds; a function has a minute.
const URL_LASTS: Duration = Duration::from_secs(61);

/// The event of an operation; `context` is what it is told besides, under the operation's own name.
pub fn event(cx: &Context, asked: &Asked<'_>, context: (&str, Value)) -> Value {
    let mut event = json!({
        "xAmzRequestId": cx.request_id,
        "configuration": {
            "accessPointArn": asked.point.arn(cx.world.partition).to_string(),
            "supportingAccessPointArn": asked.through.arn,
            "payload": asked.transformation.payload.as_deref().unwrap_or_default(),
        },
        "userRequest": { "url": asked_url(cx), "headers": asked_headers(cx) },
        "userIdentity": identity(&cx.caller),
        "protocolVersion": "1.00",
    });
    event[context.0] = context.1;
    event
}

/// The query as it was asked for, without what belongs to its signature.
pub fn asked_query(cx: &Context) -> String {
    let signs = |name: &str| {
        name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
            || matches!(name, "AWSAccessKeyId" | "Signature" | "Expires")
    };
    let kept = cx.original_uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let kept: Vec<&str> = kept.filter(|pair| !signs(pair.split('=').next().unwrap_or_default())).collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

/// The URL as it was asked for, without what belongs to its signature.
fn asked_url(cx: &Context) -> String {
    let path = percent_encoding::percent_decode_str(cx.original_uri().path()).decode_utf8_lossy().into_owned();
    format!("{}{path}{}", cx.endpoint(), asked_query(cx))
}

/// The headers but those of the signature, in the spelling that clients use.
fn asked_headers(cx: &Context) -> Map<String, Value> {
    let mut headers = Map::new();
    for name in cx.headers().keys() {
        if matches!(name.as_str(), "authorization" | "x-amz-security-token" | "x-fractus-lane") {
            continue;
        }
        let values: Vec<_> = cx.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        headers.insert(spelled(name.as_str()), Value::String(values.join(",")));
    }
    headers
}

/// `accept-encoding` as `Accept-Encoding`.
fn spelled(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join("-")
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
fn identity(caller: &Caller) -> Value {
    let kind = match caller.kind {
        CallerKind::Known(CredentialKind::User | CredentialKind::Session) => "IAMUser",
        CallerKind::Known(CredentialKind::AssumedRole) => "AssumedRole",
        CallerKind::Known(CredentialKind::FederatedUser) => "FederatedUser",
        CallerKind::Known(CredentialKind::Root) | CallerKind::Root => "Root",
        CallerKind::Service => "AWSService",
        CallerKind::Anonymous => "AWSAccount",
    };
    let mut identity = json!({
        "type": kind,
        "principalId": caller.principal_id,
        "arn": caller.arn,
        "accountId": caller.account.as_str(),
        "accessKeyId": caller.access_key_id,
    });
    if kind == "IAMUser"
        && let Some((_, name)) = caller.arn.rsplit_once('/')
    {
        identity["userName"] = json!(name);
    }
    if let Some(role) = caller.credential.as_deref().and_then(|credential| credential.role.as_ref()) {
        let name = role.resource.rsplit('/').next().unwrap_or_default();
        let id = caller.principal_id.split(':').next().unwrap_or_default();
        identity["sessionContext"] = json!({
            "attributes": { "mfaAuthenticated": "false" },
            "sessionIssuer": {
                "type": "Role",
                "principalId": id,
                "arn": role.to_string(),
                "accountId": role.account,
                "userName": name,
            },
        });
    }
    identity
}

/// What of the original an operation is about, and how its URL asks for it.
pub struct Original {
    pub method: Method,
    /// Behind the access point: `/KEY`, or nothing.
    pub path: String,
    /// With its `?`, or nothing.
    pub query: String,
}

impl Original {
    pub fn object(method: Method, key: &str, version_id: Option<&str>) -> Original {
        let names: Vec<String> = key.split('/').map(uri_encode).collect();
        let query = version_id.map(|id| format!("?versionId={}", uri_encode(id))).unwrap_or_default();
        Original { method, path: format!("/{}", names.join("/")), query }
    }

    /// A listing, with everything that it was asked for with.
    pub fn listing(cx: &Context) -> Original {
        Original { method: Method::GET, path: String::new(), query: asked_query(cx) }
    }
}

/// A URL of the original by the supporting access point, signed as the caller itself would: the caller's permissions hold for it.
pub fn input_url(cx: &Context, through: &Through, original: &Original) -> Result<String> {
    let Original { method, path, query } = original;
    let uri = format!("{}://{}/{}{path}{query}", cx.scheme(), bare_authority(cx), through.label);
    let request = http::Request::builder().method(method).uri(uri).body(()).map_err(cannot_sign)?;
    let (mut parts, ()) = request.into_parts();
    let credential = cx.caller.credential.as_deref();
    let root_secret = || cx.host().config().root_secret.as_deref().unwrap_or("test");
    let lane = cx.world.lane.as_str();
    let key_id = match lane {
        "main" => cx.caller.access_key_id.clone(),
        lane => format!("{}@{lane}", cx.caller.access_key_id),
    };
    let signer = Signer {
        access_key: &key_id,
        secret: credential.map_or_else(root_secret, |credential| &credential.secret_access_key),
        token: credential.and_then(|credential| credential.session_token.as_deref()),
        service: "s3",
        region: cx.region.as_str(),
        time: cx.now(),
        scheme: Scheme::V4,
    };
    let keys = KeyCache::with_capacity(1);
    signer.presign(&mut parts, &Payload::Unsigned, URL_LASTS, &keys).map_err(cannot_sign)?;
    Ok(parts.uri.to_string())
}

fn cannot_sign(error: impl std::error::Error) -> Error {
    tracing::error!(error = %error, "the URL of an original could not be signed");
    Error::Other(Box::new(Failure::internal("We encountered an internal error. Please try again.")))
}

/// The host without the point that it may begin with.
fn bare_authority(cx: &Context) -> &str {
    let authority = cx.authority();
    if cx.extensions().get::<InHost>().is_none() {
        return authority;
    }
    authority.split_once('.').map_or(authority, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_spelled_as_clients_do() {
        assert_eq!(spelled("accept-encoding"), "Accept-Encoding");
        assert_eq!(spelled("range"), "Range");
        assert_eq!(spelled("x-amz-date"), "X-Amz-Date");
    }
}
