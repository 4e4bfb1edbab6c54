//! Errors of restXml, in both dialects.

use http::{HeaderMap, StatusCode};

use crate::document::DynamicShape;
use crate::failure::{Failure, Fault};
use crate::http_binding::{self, write_bound};
use crate::protocol::{Answer, Call, error_schema};
use crate::schema::{Kind, Location, OperationSchema, ServiceSchema, XmlNamespace};
use crate::shape::ReadError;
use crate::xml::{self, XmlWriter};

use super::body::XmlBody;

/// What a service answers to a request it cannot read.
pub(super) fn refusal(service: &ServiceSchema, operation: &OperationSchema, error: &ReadError) -> Failure {
    let is_bound = bound_member(operation, error);
    if service.bare_errors {
        return if is_bound {
            Failure::new("InvalidArgument", 400, error.message.clone())
        } else {
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            Failure::new("MalformedXML", 400, message)
        };
    }
    // The services with the other dialect each have an error of their own for it.
    let own = ["InvalidInput", "InvalidArgument"]
        .into_iter()
        .find(|code| operation.errors.iter().any(|error| error.error.is_some_and(|error| error.code == *code)));
    Failure::new(own.unwrap_or("MalformedXML"), 400, error.message.clone())
}

/// Whether what could not be read stands in the path, the query or a header.
fn bound_member(operation: &OperationSchema, error: &ReadError) -> bool {
    let first = error.path.split('.').next().unwrap_or("");
    let named = |name: &str| name.eq_ignore_ascii_case(first);
    operation.input.members.iter().any(|member| member.location != Location::Body && named(member.name))
}

/// The error's document alone, for an answer whose status and headers are sent already.
pub fn write_failure_document(service: &ServiceSchema, failure: &Failure, answer: &Answer<'_>) -> Vec<u8> {
    write_failure(service, failure, answer).1
}

/// The headers that the error's members are bound to, and the document.
pub(super) fn write_failure(service: &ServiceSchema, failure: &Failure, answer: &Answer<'_>) -> (HeaderMap, Vec<u8>) {
    let mut writer = XmlBody::of(service).writer();
    writer.declaration();
    let headers = if service.bare_errors {
        bare(&mut writer, failure, answer)
    } else {
        wrapped(&mut writer, service, failure, answer)
    };
    (headers, writer.into_bytes())
}

fn bare(writer: &mut XmlWriter, failure: &Failure, answer: &Answer<'_>) -> HeaderMap {
    writer.open("Error");
    writer.element("Code", &failure.code);
    writer.element("Message", &failure.message);
    let headers = write_members(writer, failure);
    if let Some(resource) = answer.resource {
        writer.element("Resource", resource);
    }
    writer.element("RequestId", answer.request_id);
    if let Some(host_id) = answer.host_id {
        writer.element("HostId", host_id);
    }
    writer.close("Error");
    headers
}

fn wrapped(writer: &mut XmlWriter, service: &ServiceSchema, failure: &Failure, answer: &Answer<'_>) -> HeaderMap {
    writer.open_in("ErrorResponse", service.xml_namespace.map(|uri| XmlNamespace { uri, prefix: None }));
    writer.open("Error");
    writer.element("Type", if failure.fault == Fault::Sender { "Sender" } else { "Receiver" });
    writer.element("Code", &failure.code);
    writer.element("Message", &failure.message);
    let headers = write_members(writer, failure);
    writer.close("Error");
    writer.element("RequestId", answer.request_id);
    writer.close("ErrorResponse");
    headers
}

fn write_members(writer: &mut XmlWriter, failure: &Failure) -> HeaderMap {
    writer.write_failure_members(failure);
    let bound = failure.shape.as_deref().and_then(|shape| write_bound(shape, &mut XmlWriter::nowhere()).ok());
    bound.map(|bound| bound.headers).unwrap_or_default()
}

/// Whether a success carries an error after all: S3 begins some answers before it knows how they end.
pub(super) fn is_late_failure(operation: &OperationSchema, body: &[u8]) -> bool {
    let is_raw = |payload: u16| {
        let payload = operation.output.members.get(usize::from(payload));
        payload.is_some_and(|payload| !matches!(payload.target.kind, Kind::Structure | Kind::Union))
    };
    if operation.output.payload.is_some_and(is_raw) {
        return false;
    }
    let mut rest = body.trim_ascii_start();
    if let Some(declaration) = rest.strip_prefix(b"<?xml") {
        let end = memchr::memchr(b'>', declaration).map_or(declaration.len(), |at| at + 1);
        rest = declaration[end..].trim_ascii_start();
    }
    rest.starts_with(b"<Error>") || rest.starts_with(b"<Error ")
}

/// Reads an error answer. An empty one (to a HEAD request) has its status for a code.
pub(super) fn read_failure(call: &Call, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let number = status.as_u16();
    let Some(mut failure) = xml::read_failure(body, number, &[]) else {
        let message = status.canonical_reason().unwrap_or_default();
        return Failure::new(number.to_string(), number, message);
    };
    if let Some(schema) = error_schema(call.operation, &failure.code) {
        let mut shape = DynamicShape::new(schema);
        let format = XmlBody::of(call.service);
        // A member that cannot be read is left out: the code and the message say more than it does.
        let _ = http_binding::read_error(&format, call.operation, headers, b"", &mut shape);
        if let Ok(Some(mut reader)) = xml::at_error(body) {
            let _ = reader.read_members(&mut shape);
        }
        failure.shape = Some(Box::new(shape));
    }
    failure
}
