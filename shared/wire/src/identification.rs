//! Which protocol and operation a request means, from its method, path and headers.
//!
//! A service answers every protocol its model lists. They are told apart in this order, which is also AWS's: the
//! `smithy-protocol` header, `X-Amz-Target`, an `Action` parameter, and last the REST routes.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use percent_encoding::percent_decode_str;

use crate::failure::Failure;
use crate::gzip::{self, InflateLimits};
use crate::http_binding::{Labels, route};
use crate::protocol::Identified;
use crate::schema::{OperationSchema, Protocol, ServiceSchema};

static TARGET: HeaderName = HeaderName::from_static("x-amz-target");
static SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// Whether the operation's name can only stand in the (form) body: give that body to [`identify`].
pub fn action_is_in_body(service: &'static ServiceSchema, parts: &Parts) -> bool {
    speaks_query(service).is_some()
        && parts.method == Method::POST
        && !parts.headers.contains_key(&TARGET)
        && !parts.headers.contains_key(&SMITHY_PROTOCOL)
        && !is_json(&parts.headers)
        && query_action(parts.uri.query()).is_none()
}

/// Finds the operation. `form` is the body of a Query request, where the host has it.
///
/// The failure of an unknown operation is the one AWS answers in that protocol; `Failure` goes with the protocol it is
/// to be written in.
pub fn identify(
    service: &'static ServiceSchema,
    parts: &Parts,
    form: Option<&[u8]>,
) -> Result<Identified, (Protocol, Failure)> {
    let headers = &parts.headers;
    if speaks(service, Protocol::RpcV2Cbor) && text(headers, &SMITHY_PROTOCOL) == Some("rpc-v2-cbor") {
        return identify_cbor(service, parts);
    }
    if let Some(protocol) = speaks_json(service)
        && let Some(target) = text(headers, &TARGET)
    {
        return identify_json(service, protocol_of_content_type(headers).unwrap_or(protocol), target);
    }
    if let Some(protocol) = speaks_query(service) {
        let unpacked =
            form.filter(|_| gzip::is_packed(headers)).map(|form| gzip::inflate(form, &InflateLimits::default()));
        let form = match &unpacked {
            Some(Ok(unpacked)) => Some(unpacked.as_ref()),
            Some(Err(_)) => None,
            None => form,
        };
        let form = form.and_then(|form| std::str::from_utf8(form).ok());
        if let Some(action) = query_action(parts.uri.query()).or_else(|| query_action(form)) {
            return identify_query(service, protocol, &action);
        }
    }
    if let Some(protocol) = speaks_rest(service) {
        let found = route(service, &parts.method, parts.uri.path(), parts.uri.query(), headers);
        return found
            .map(|(operation, labels)| Identified { protocol, operation, labels })
            .ok_or_else(|| (protocol, unknown_route(protocol, parts)));
    }
    Err(nothing_named(service, headers))
}

fn speaks(service: &ServiceSchema, protocol: Protocol) -> bool {
    service.protocols.contains(&protocol)
}

fn first_of(service: &ServiceSchema, wanted: &[Protocol]) -> Option<Protocol> {
    service.protocols.iter().copied().find(|protocol| wanted.contains(protocol))
}

fn speaks_json(service: &ServiceSchema) -> Option<Protocol> {
    first_of(service, &[Protocol::AwsJson10, Protocol::AwsJson11])
}

fn speaks_query(service: &ServiceSchema) -> Option<Protocol> {
    first_of(service, &[Protocol::AwsQuery, Protocol::Ec2Query])
}

fn speaks_rest(service: &ServiceSchema) -> Option<Protocol> {
    first_of(service, &[Protocol::RestJson1, Protocol::RestXml])
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_json(headers: &HeaderMap) -> bool {
    protocol_of_content_type(headers).is_some()
}

/// The version of awsJson that the request says it is written in.
fn protocol_of_content_type(headers: &HeaderMap) -> Option<Protocol> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let version = value.trim_start().strip_prefix("application/x-amz-json-1.")?;
    match version.as_bytes().first()? {
        b'0' => Some(Protocol::AwsJson10),
        b'1' => Some(Protocol::AwsJson11),
        _ => None,
    }
}

fn found(protocol: Protocol, operation: &'static OperationSchema) -> Identified {
    Identified { protocol, operation, labels: Labels::default() }
}

/// `AmazonSQS.SendMessage`. AWS compares the part before the dot too.
fn identify_json(
    service: &'static ServiceSchema,
    protocol: Protocol,
    target: &str,
) -> Result<Identified, (Protocol, Failure)> {
    let operation = match target.rsplit_once('.') {
        Some((prefix, name)) if service.target_prefix.is_none_or(|known| known == prefix) => service.operation(name),
        _ => None,
    };
    operation
        .map(|operation| found(protocol, operation))
        .ok_or_else(|| (protocol, Failure::new("UnknownOperationException", 400, "")))
}

/// `/service/{ServiceName}/operation/{OperationName}`, under any prefix, as the protocol has it.
fn identify_cbor(service: &'static ServiceSchema, parts: &Parts) -> Result<Identified, (Protocol, Failure)> {
    let mut segments = parts.uri.path().rsplit('/');
    let operation = match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(name), Some("operation"), Some(_), Some("service")) if parts.method == Method::POST => {
            service.operation(name)
        }
        _ => None,
    };
    operation
        .map(|operation| found(Protocol::RpcV2Cbor, operation))
        .ok_or_else(|| (Protocol::RpcV2Cbor, Failure::new("UnknownOperationException", 404, "")))
}

fn identify_query(
    service: &'static ServiceSchema,
    protocol: Protocol,
    action: &str,
) -> Result<Identified, (Protocol, Failure)> {
    service.operation(action).map(|operation| found(protocol, operation)).ok_or_else(|| {
        let version = service.api_version;
        let message = format!("Could not find operation {action} for version {version}");
        (protocol, Failure::new("InvalidAction", 400, message))
    })
}

/// The value of `Action` in a query string or form.
fn query_action(form: Option<&str>) -> Option<Cow<'_, str>> {
    let pair = form?.split('&').find_map(|pair| pair.strip_prefix("Action="))?;
    percent_decode_str(pair).decode_utf8().ok().filter(|action| !action.is_empty())
}

fn unknown_route(protocol: Protocol, parts: &Parts) -> Failure {
    if protocol == Protocol::RestXml {
        let message = "The specified method is not allowed against this resource.";
        return Failure::new("MethodNotAllowed", 405, message).with_detail("Method", parts.method.as_str());
    }
    Failure::new("UnknownOperationException", 404, "")
}

fn nothing_named(service: &'static ServiceSchema, headers: &HeaderMap) -> (Protocol, Failure) {
    if let Some(protocol) = speaks_json(service)
        && (is_json(headers) || speaks_query(service).is_none())
    {
        let protocol = protocol_of_content_type(headers).unwrap_or(protocol);
        return (protocol, Failure::new("UnknownOperationException", 400, ""));
    }
    if let Some(protocol) = speaks_query(service) {
        return (protocol, Failure::new("MissingAction", 400, "Missing Action"));
    }
    (Protocol::RpcV2Cbor, Failure::new("UnknownOperationException", 404, ""))
}
