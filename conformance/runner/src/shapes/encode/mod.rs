//! Requests from inputs, in every protocol.
//!
//! Nothing is checked on the way: what a client would refuse to send is sent, since the service has to refuse it.

mod cbor;
mod form;
mod json;
mod rest;
mod text;
mod xml;

use bytes::Bytes;
use fractus_models::{Api, OperationFacts};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

use super::protocol::Protocol;
use super::value::Value;
use crate::endpoint::Outgoing;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
const CBOR: HeaderValue = HeaderValue::from_static("application/cbor");

/// The request of an operation.
pub fn request(api: &Api, name: &str, operation: &OperationFacts, protocol: Protocol, input: &Value) -> Outgoing {
    let mut outgoing = match protocol {
        Protocol::RestJson | Protocol::RestXml => rest::request(api, operation, protocol, input),
        _ => called_by_name(api, name, protocol, body(api, name, operation, protocol, input)),
    };
    sign_as(api, &mut outgoing, operation);
    outgoing.host_prefix = operation.host_prefix().map(|prefix| host_prefix(prefix, input));
    outgoing
}

fn body(api: &Api, name: &str, operation: &OperationFacts, protocol: Protocol, input: &Value) -> Vec<u8> {
    let reference = operation.input.as_ref();
    match protocol {
        Protocol::Query | Protocol::Ec2 => form::body(api, name, reference, protocol, input),
        Protocol::Cbor => cbor::body(api, reference, input),
        _ => json::body(api, reference, input),
    }
}

/// A request of a protocol in which the operation is named beside the body.
pub fn called_by_name(api: &Api, name: &str, protocol: Protocol, body: Vec<u8>) -> Outgoing {
    let metadata = &api.metadata;
    let mut headers = HeaderMap::new();
    let mut target = "/".to_owned();
    match protocol {
        Protocol::Json => {
            let version = metadata.json_version.as_deref().unwrap_or("1.0");
            insert(&mut headers, CONTENT_TYPE, &format!("application/x-amz-json-{version}"));
            insert(&mut headers, TARGET, &format!("{}.{name}", metadata.target_prefix.as_deref().unwrap_or("")));
        }
        Protocol::Cbor => {
            let prefix = metadata.target_prefix.as_deref().unwrap_or("");
            target = format!("/service/{prefix}/operation/{name}");
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
            headers.insert(http::header::ACCEPT, CBOR);
            if !body.is_empty() {
                headers.insert(CONTENT_TYPE, CBOR);
            }
        }
        _ => {
            headers.insert(CONTENT_TYPE, FORM);
        }
    }
    Outgoing {
        method: Method::POST,
        target,
        headers,
        body: Bytes::from(body),
        signing_name: Some(metadata.signing().to_owned()),
        unsigned_payload: false,
        host_prefix: None,
    }
}

/// The minimal request with a body that cannot be read.
pub fn malformed(protocol: Protocol, mut outgoing: Outgoing) -> Outgoing {
    outgoing.body = Bytes::from_static(match protocol {
        Protocol::RestXml => b"<Unclosed><Element>",
        // A map of two entries that has one, which is cut off.
        Protocol::Cbor => b"\xa2\x61",
        _ => b"{\"Unclosed\": ",
    });
    outgoing
}

/// A request for an operation that there is not.
pub fn unknown_operation(api: &Api, name: &str, protocol: Protocol) -> Outgoing {
    match protocol {
        Protocol::RestJson | Protocol::RestXml => {
            let mut outgoing = called_by_name(api, name, Protocol::Json, Vec::new());
            outgoing.headers.clear();
            outgoing.method = Method::PATCH;
            outgoing.target = format!("{}/{name}/of/no/service/at/all", common_root(api));
            outgoing
        }
        Protocol::Query | Protocol::Ec2 => {
            called_by_name(api, name, protocol, form::body(api, name, None, protocol, &Value::empty()))
        }
        Protocol::Cbor => called_by_name(api, name, protocol, b"\xa0".to_vec()),
        Protocol::Json => called_by_name(api, name, protocol, b"{}".to_vec()),
    }
}

/// The version that all paths of an API begin with, such as `/v20180820` or `/2015-03-31`, or nothing.
fn common_root(api: &Api) -> String {
    let first = |uri: &str| uri.split(['/', '?']).nth(1).unwrap_or_default().to_owned();
    let mut roots = api.operations.values().map(|operation| first(&operation.http.request_uri));
    let root = roots.next().unwrap_or_default();
    let is_version = root.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    if is_version && roots.all(|other| other == root) { format!("/{root}") } else { String::new() }
}

/// The operation in a protocol that the service does not speak.
pub fn foreign(api: &Api, name: &str, operation: &OperationFacts, input: &Value) -> Outgoing {
    let spoken = Protocol::of(api);
    let foreign = [Protocol::Cbor, Protocol::Query, Protocol::Json].into_iter().find(|one| !spoken.contains(one));
    let foreign = foreign.unwrap_or(Protocol::Ec2);
    let mut outgoing = called_by_name(api, name, foreign, body(api, name, operation, foreign, input));
    sign_as(api, &mut outgoing, operation);
    outgoing
}

fn sign_as(api: &Api, outgoing: &mut Outgoing, operation: &OperationFacts) {
    outgoing.signing_name = (!operation.unsigned()).then(|| api.metadata.signing().to_owned());
    outgoing.unsigned_payload = operation.unsigned_payload();
    if operation.checksum_required()
        && !outgoing.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"))
    {
        use base64::Engine;
        use md5::Digest;
        let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&outgoing.body));
        if !outgoing.headers.contains_key("content-md5") {
            insert(&mut outgoing.headers, HeaderName::from_static("content-md5"), &digest);
        }
    }
}

/// `{RequestRoute}.`: members stand in the host.
fn host_prefix(prefix: &str, input: &Value) -> String {
    let mut out = String::new();
    let mut rest = prefix;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((label, after)) = after.split_once('}') else { break };
        out.push_str(before);
        let label = input.get(label).and_then(Value::plain).unwrap_or_default();
        out.extend(label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '.'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Header values carry what a text's bytes are; a text that cannot be in a header is not sent.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}
