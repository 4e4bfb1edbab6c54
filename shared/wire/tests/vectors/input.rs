//! Input vectors: values and the request they make.

use bytes::Bytes;
use fractus_wire::protocol::{action_is_in_body, identify, read_request, write_request};
use fractus_wire::{ByteStream, Kind, Location, Protocol, tokens};
use http::{HeaderMap, Request};

use crate::compare::{expected_bytes, pairs, same_body};
use crate::suite::Vector;
use crate::values::{Json, contents, same_members, shape};

const TOKEN: &str = "00000000-0000-4000-8000-000000000000";

fn protocol(vector: &Vector) -> Protocol {
    vector.service.protocols[0]
}

pub fn client(vector: &Vector) -> Result<(), String> {
    let serialized = vector.case.get("serialized").unwrap();
    let mut input = shape(vector.operation.input, vector.case.get("params").unwrap());
    tokens::fill_idempotency_token(&mut input, || TOKEN.to_owned()).map_err(|error| error.to_string())?;
    let outgoing = write_request(protocol(vector), vector.service, vector.operation, &mut input)
        .map_err(|error| error.to_string())?;
    let (parts, body) = outgoing.request.into_parts();

    if serialized.text("method").is_some_and(|method| method != parts.method.as_str()) {
        return Err(format!("method {}", parts.method));
    }
    same_uri(&parts.uri.to_string(), serialized.text("uri").unwrap())?;
    if let (Some(host), Some(endpoint)) = (serialized.text("host"), &vector.client_endpoint) {
        let endpoint = endpoint.trim_start_matches("https://").trim_start_matches("http://");
        let actual = format!("{}{endpoint}", outgoing.host_prefix.unwrap_or_default());
        if actual != host {
            return Err(format!("host {actual}, expected {host}"));
        }
    }
    for (name, expected) in serialized.entries("headers") {
        same_header(&parts.headers, &name, &expected)?;
    }
    for name in serialized.list("forbidHeaders") {
        if let Json::String(name) = name
            && parts.headers.contains_key(name.as_str())
        {
            return Err(format!("header {name} is not to be there"));
        }
    }
    let ByteStream::Whole(body) = body else { return Err("a body that streams".to_owned()) };
    match serialized.text("body") {
        Some(expected) => same_body(protocol(vector), &body, &expected_bytes(protocol(vector), expected)),
        None => Ok(()),
    }
}

fn same_uri(actual: &str, expected: &str) -> Result<(), String> {
    let split = |uri: &str| {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        (path.to_owned(), pairs(query.as_bytes()))
    };
    if split(actual) == split(expected) { Ok(()) } else { Err(format!("URI {actual}, expected {expected}")) }
}

fn same_header(headers: &HeaderMap, name: &str, expected: &str) -> Result<(), String> {
    let Some(actual) = headers.get(name) else { return Err(format!("header {name} is missing")) };
    let actual = actual.to_str().unwrap();
    // `; charset=utf-8` is botocore's own on forms.
    let bare = |text: &str| text.trim_end_matches("; charset=utf-8").replace(", ", ",");
    if bare(actual) == bare(expected) { Ok(()) } else { Err(format!("header {name}: {actual}, expected {expected}")) }
}

pub fn server(vector: &Vector) -> Result<(), String> {
    let serialized = vector.case.get("serialized").unwrap();
    let mut request = Request::builder().method(serialized.text("method").unwrap_or("POST"));
    request = request.uri(serialized.text("uri").unwrap());
    for (name, value) in serialized.entries("headers") {
        request = request.header(name, value);
    }
    let (mut parts, ()) = request.body(()).map_err(|error| error.to_string())?.into_parts();
    let body = match serialized.text("body") {
        Some(body) => expected_bytes(protocol(vector), body),
        // Where the vector has none (it is packed) the client's own is read.
        None => client_body(vector)?,
    };
    if protocol(vector) == Protocol::RpcV2Cbor && !parts.headers.contains_key("smithy-protocol") {
        parts.headers.insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
    }
    // A few vectors leave out what every client of their protocol sends.
    let is_json = matches!(protocol(vector), Protocol::AwsJson10 | Protocol::AwsJson11);
    if is_json && !parts.headers.contains_key("x-amz-target") {
        let target = format!("{}.{}", vector.service.target_prefix.unwrap_or(""), vector.operation.name);
        parts.headers.insert("x-amz-target", target.parse().unwrap());
    }
    let form = action_is_in_body(vector.service, &parts).then_some(body.as_slice());
    let identified = identify(vector.service, &parts, form).map_err(|(_, failure)| failure.to_string())?;
    if identified.operation.name != vector.operation.name || identified.protocol != protocol(vector) {
        return Err(format!("taken for {:?} {}", identified.protocol, identified.operation.name));
    }
    let mut input = shape(vector.operation.input, &Json::Null);
    read_request(&identified, vector.service, &parts, ByteStream::Whole(Bytes::from(body)), &mut input)
        .map_err(|failure| failure.to_string())?;
    let mut given = shape(vector.operation.input, vector.case.get("params").unwrap());
    tokens::fill_idempotency_token(&mut given, || TOKEN.to_owned()).map_err(|error| error.to_string())?;
    let mut expected = contents(given);
    let mut actual = contents(input);
    for members in [&mut expected, &mut actual] {
        leave_out_named_parameters(vector, members);
        leave_out_empties(vector, members);
    }
    if same_members(&actual, &expected) { Ok(()) } else { Err(format!("read {actual:?}, expected {expected:?}")) }
}

fn client_body(vector: &Vector) -> Result<Vec<u8>, String> {
    let mut input = shape(vector.operation.input, vector.case.get("params").unwrap());
    let outgoing = write_request(protocol(vector), vector.service, vector.operation, &mut input)
        .map_err(|error| error.to_string())?;
    match outgoing.request.into_body() {
        ByteStream::Whole(bytes) => Ok(bytes.to_vec()),
        ByteStream::Streaming { .. } => Err("a body that streams".to_owned()),
    }
}

/// A map of query parameters holds those of other members too, which some vectors say and others do not.
fn leave_out_named_parameters(vector: &Vector, members: &mut indexmap::IndexMap<String, fractus_wire::Document>) {
    let schema = vector.operation.input;
    let is_named = |name: &str| {
        schema.members.iter().any(|member| {
            member.location == Location::QueryString && member.target.kind != Kind::Map && member.wire_name == name
        })
    };
    for member in schema.members {
        if member.location == Location::QueryString
            && let Some(fractus_wire::Document::Map(map)) = members.get_mut(member.name)
        {
            map.retain(|name, _| !is_named(name));
        }
    }
}

/// An empty list or map leaves no trace in a query or in headers, and a form has none in its older protocols either; an
/// empty blob as payload is no body.
fn leave_out_empties(vector: &Vector, members: &mut indexmap::IndexMap<String, fractus_wire::Document>) {
    use fractus_wire::Document;
    let is_query = matches!(protocol(vector), Protocol::AwsQuery | Protocol::Ec2Query);
    let schema = vector.operation.input;
    members.retain(|name, value| {
        let member = schema.members.into_iter().find(|member| member.name == name).unwrap();
        let is_empty = match value {
            Document::List(list) => list.is_empty(),
            Document::Map(map) => map.is_empty() && member.target.kind == Kind::Map,
            Document::Blob(bytes) => bytes.is_empty() && member.target.streaming,
            _ => false,
        };
        !(is_empty && (is_query || member.location != Location::Body || member.target.streaming))
    });
}
