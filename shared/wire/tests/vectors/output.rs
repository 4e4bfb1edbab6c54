//! Output vectors: an answer and the values it means.

use bytes::Bytes;
use fractus_wire::protocol::{Answer, ResponseError, read_response, write_failure, write_response};
use fractus_wire::{ByteStream, Document, DynamicShape, Failure, Protocol, Shape};
use http::{HeaderMap, Response};
use indexmap::IndexMap;

use crate::compare::{expected_bytes, same_body};
use crate::suite::Vector;
use crate::values::{Json, contents, members, same_members, shape};

fn protocol(vector: &Vector) -> Protocol {
    vector.service.protocols[0]
}

fn response(vector: &Vector) -> Response<ByteStream> {
    let expected = vector.case.get("response").unwrap();
    let status = match expected.get("status_code") {
        Some(Json::Integer(status)) => *status as u16,
        _ => 200,
    };
    let mut response = Response::builder().status(status);
    for (name, value) in expected.entries("headers") {
        response = response.header(name, value);
    }
    let body = expected_bytes(protocol(vector), expected.text("body").unwrap_or(""));
    response.body(ByteStream::Whole(Bytes::from(body))).unwrap()
}

pub fn client(vector: &Vector) -> Result<(), String> {
    read(vector, response(vector))
}

/// Reads an answer and compares it with the vector's result or error.
fn read(vector: &Vector, response: Response<ByteStream>) -> Result<(), String> {
    let mut output = shape(vector.operation.output, &Json::Null);
    let outcome = read_response(protocol(vector), vector.service, vector.operation, response, &mut output);
    match (outcome, vector.case.get("error")) {
        (Ok(()), None) => {
            let expected = contents(shape(vector.operation.output, vector.case.get("result").unwrap()));
            same_contents(&contents(output), &expected)
        }
        (Err(ResponseError::Failure(failure)), Some(error)) => same_failure(vector, &failure, error),
        (Ok(()), Some(_)) => Err("an error was expected".to_owned()),
        (Err(error), _) => Err(format!("{error:?}")),
    }
}

fn same_contents(actual: &IndexMap<String, Document>, expected: &IndexMap<String, Document>) -> Result<(), String> {
    if same_members(actual, expected) { Ok(()) } else { Err(format!("read {actual:?}, expected {expected:?}")) }
}

fn same_failure(vector: &Vector, failure: &Failure, error: &Json) -> Result<(), String> {
    let code = vector.case.text("errorCode").unwrap_or("");
    let known = failure.query_code.as_deref().unwrap_or(&failure.code);
    if known != code && failure.code != code {
        return Err(format!("code {}, expected {code}", failure.code));
    }
    if vector.case.text("errorMessage").is_some_and(|message| message != failure.message) {
        return Err(format!("message {:?}", failure.message));
    }
    let Some(shape) = &failure.shape else {
        return if error_members(error).is_empty() { Ok(()) } else { Err("no members".to_owned()) };
    };
    let mut read = DynamicShape::new(shape.schema());
    copy(shape.as_ref(), &mut read);
    let expected = Json::Map(error_members(error));
    same_contents(&read.members, &members(shape.schema(), &expected))
}

/// The vectors say the error's members, and for some protocols code and message again.
fn error_members(error: &Json) -> IndexMap<String, Json> {
    match error {
        Json::Map(map) => {
            map.iter().filter(|(name, _)| *name != "Error").map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        _ => IndexMap::new(),
    }
}

fn copy(from: &dyn Shape, to: &mut DynamicShape) {
    if let Document::Map(map) = fractus_wire::document_io::to_document(from).unwrap() {
        to.members = map;
    }
}

pub fn server(vector: &Vector) -> Result<(), String> {
    // The vectors' answers carry no request id, and some shapes take every header there is.
    let error_namespace = namespace(vector).map(|namespace| &*Box::leak(namespace.into_boxed_str()));
    let answer = Answer { error_namespace, ..Answer::default() };
    let written = match vector.case.get("error") {
        None => {
            let mut output = shape(vector.operation.output, vector.case.get("result").unwrap());
            write_response(protocol(vector), vector.service, vector.operation, &mut output, &answer)
                .map_err(|error| error.to_string())?
        }
        Some(error) => {
            let failure = failure(vector, error);
            write_failure(protocol(vector), vector.service, Some(vector.operation), &failure, &answer)
        }
    };
    let (parts, body) = written.into_parts();
    let ByteStream::Whole(body) = body else { return Err("a body that streams".to_owned()) };
    let again = Response::from_parts(parts.clone(), ByteStream::Whole(body.clone()));
    read(vector, again).map_err(|why| format!("read again: {why}"))?;

    let expected = response(vector);
    if parts.status != expected.status() {
        return Err(format!("status {}, expected {}", parts.status, expected.status()));
    }
    let expected_body = match expected.body() {
        ByteStream::Whole(bytes) => bytes.clone(),
        ByteStream::Streaming { .. } => Bytes::new(),
    };
    same_headers(&parts.headers, expected.headers())?;
    same_body(protocol(vector), &without_request_id(vector, &body), &without_request_id(vector, &expected_body))
}

/// The namespace that the vector's service puts before an error's name.
fn namespace(vector: &Vector) -> Option<String> {
    let body = vector.case.get("response").unwrap().text("body")?;
    let bytes = expected_bytes(protocol(vector), body);
    let text = String::from_utf8_lossy(&bytes);
    let (before, _) = text.split_once('#').filter(|_| text.contains("__type"))?;
    let start = before.rfind(|character: char| !character.is_ascii_alphanumeric() && character != '.')?;
    // In CBOR the length stands before the text; it may look like a letter.
    let namespace = &before[start + 1..];
    let start = namespace.find("aws.").or_else(|| namespace.find("smithy."))?;
    Some(namespace[start..].to_owned())
}

fn failure(vector: &Vector, error: &Json) -> Failure {
    let code = vector.case.text("errorCode").unwrap_or("").to_owned();
    let schemas = vector.operation.errors;
    let by_code = |schema: &&&'static fractus_wire::Schema| {
        schema.error.is_some_and(|error| error.code == code) || schema.name == code
    };
    // A query-compatible vector names the older code; its operation has one error.
    let schema = schemas.iter().find(by_code).or(schemas.first()).copied();
    let message = vector.case.text("errorMessage").unwrap_or("").to_owned();
    let status = response(vector).status().as_u16();
    let name = schema.map_or(code.clone(), |schema| schema.name.to_owned());
    let mut failure = if vector.service.query_compatible {
        Failure::new(name, status, message).with_query_code(code)
    } else {
        Failure::new(code, status, message)
    };
    if let Some(schema) = schema {
        let members = members(schema, &Json::Map(error_members(error)));
        failure = failure.with_shape(DynamicShape::from_members(schema, members));
    }
    failure
}

/// All headers of the vector, but for those that say nothing of the values.
fn same_headers(actual: &HeaderMap, expected: &HeaderMap) -> Result<(), String> {
    for (name, value) in expected {
        if matches!(name.as_str(), "content-type" | "x-amzn-requestid" | "content-length" | "x-amz-target") {
            continue;
        }
        let found = actual.get(name).map(|value| value.to_str().unwrap().replace(", ", ","));
        if found.as_deref() != Some(value.to_str().unwrap().replace(", ", ",").as_str()) {
            return Err(format!("header {name}: {found:?}, expected {value:?}"));
        }
    }
    Ok(())
}

/// Answers in XML carry the request's id, which the vectors make up.
fn without_request_id(vector: &Vector, body: &[u8]) -> Vec<u8> {
    if !matches!(protocol(vector), Protocol::AwsQuery | Protocol::Ec2Query | Protocol::RestXml) {
        return body.to_vec();
    }
    let mut text = String::from_utf8(body.to_vec()).unwrap();
    for (open, close) in [
        ("<ResponseMetadata>", "</ResponseMetadata>"),
        ("<RequestId>", "</RequestId>"),
        ("<requestId>", "</requestId>"),
        ("<RequestID>", "</RequestID>"),
    ] {
        if let (Some(start), Some(end)) = (text.find(open), text.find(close)) {
            text.replace_range(start..end + close.len(), "");
        }
    }
    text.into_bytes()
}
