//! Errors in JSON, for awsJson and restJson1.

use std::borrow::Cow;

use http::HeaderMap;

use crate::document::{Document, DynamicShape};
use crate::failure::{Failure, Fault};
use crate::http_binding::{member_text, write_bound};
use crate::json::{JsonReader, JsonWriter};
use crate::protocol::{Answer, error_schema};
use crate::schema::{Kind, Member, OperationSchema, Schema};
use crate::shape::{ReadError, Reader, Shape, WriteError};

/// The namespace of the errors that AWS's server framework makes itself.
const FRAMEWORK_NAMESPACE: &str = "com.amazon.coral.service";

/// What AWS answers to input that is not of the format or types it should be.
pub(crate) fn refusal(error: &ReadError) -> Failure {
    Failure::new("SerializationException", 400, error.message.clone())
}

/// The code with the service's namespace, where it has one.
pub(crate) fn wire_code<'f>(failure: &'f Failure, answer: &Answer<'_>) -> Cow<'f, str> {
    match answer.error_namespace {
        Some(namespace) if !failure.code.contains('#') => {
            let namespace = if failure.shape.is_some() { namespace } else { FRAMEWORK_NAMESPACE };
            Cow::Owned(format!("{namespace}#{}", failure.code))
        }
        _ => Cow::Borrowed(&failure.code),
    }
}

/// Appends the error's object: its type (where the protocol has it in the body), its message, its own members. Members
/// that travel in headers are given back.
pub(crate) fn write_error_body(out: &mut Vec<u8>, type_name: Option<&str>, failure: &Failure) -> HeaderMap {
    let start = out.len();
    if let Some(shape) = failure.shape.as_deref() {
        if let Ok(headers) = write_object(out, type_name, failure, Some(shape)) {
            return headers;
        }
        // The members cannot be written: the code and the message still go out.
        out.truncate(start);
    }
    write_object(out, type_name, failure, None).unwrap_or_default()
}

fn write_object(
    out: &mut Vec<u8>,
    type_name: Option<&str>,
    failure: &Failure,
    shape: Option<&dyn Shape>,
) -> Result<HeaderMap, WriteError> {
    out.push(b'{');
    let mut writer = JsonWriter::members(out);
    if let Some(type_name) = type_name {
        writer.write_extra("__type", type_name);
    }
    let member = shape.and_then(|shape| message_member(shape.schema()));
    let is_set = match (shape, member) {
        (Some(shape), Some(member)) => member_text(shape, member)?.is_some(),
        _ => false,
    };
    if !failure.message.is_empty() && !is_set {
        writer.write_extra(member.map_or(message_name(&failure.code), |member| member.wire_name), &failure.message);
    }
    for (name, value) in &failure.details {
        writer.write_extra(name, value);
    }
    let headers = match shape {
        Some(shape) => write_bound(shape, &mut writer)?.headers,
        None => HeaderMap::new(),
    };
    out.push(b'}');
    Ok(headers)
}

fn message_member(schema: &'static Schema) -> Option<&'static Member> {
    schema
        .members
        .iter()
        .find(|member| member.target.kind == Kind::String && member.name.eq_ignore_ascii_case("message"))
}

/// The framework writes its own errors' messages with a capital letter.
fn message_name(code: &str) -> &'static str {
    match code.rsplit('#').next().unwrap_or(code) {
        "SerializationException" | "UnknownOperationException" | "AccessDeniedException" => "Message",
        _ => "message",
    }
}

/// Takes an error answer apart: the code from the header or body, the modelled error, whose members `read_members` reads.
pub(crate) fn error_of_json(
    operation: &'static OperationSchema,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    read_members: impl FnOnce(&mut dyn Shape) -> Result<(), ReadError>,
) -> Result<Failure, ReadError> {
    let document = read_object(body)?;
    let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let field = |name: &str| document.get(name).and_then(Document::as_str);
    let code_of_number = document.get("code").and_then(|code| match code {
        Document::Integer(number) => Some(number.to_string()),
        _ => None,
    });
    let code = header.or_else(|| field("__type")).or_else(|| field("code")).or(code_of_number.as_deref());
    let code = bare_code(code.unwrap_or("")).to_owned();
    let message = ["message", "Message", "errorMessage"].iter().find_map(|name| field(name)).unwrap_or("").to_owned();
    let schema = error_schema(operation, &code);
    let mut failure = Failure::new(code, status, message);
    take_query_error(&mut failure, headers);
    if let Some(schema) = schema {
        let mut shape = DynamicShape::new(schema);
        read_members(&mut shape)?;
        failure.shape = Some(Box::new(shape));
    }
    Ok(failure)
}

/// `aws.protocoltests.json10#FooError:http://...` is `FooError`.
fn bare_code(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

/// `AWS.SimpleQueueService.NonExistentQueue;Sender`.
pub(crate) fn take_query_error(failure: &mut Failure, headers: &HeaderMap) {
    let Some(value) = headers.get("x-amzn-query-error").and_then(|value| value.to_str().ok()) else { return };
    if let Some((code, fault)) = value.split_once(';')
        && !code.is_empty()
    {
        failure.query_code = Some(Cow::Owned(code.to_owned()));
        failure.fault = if fault == "Sender" { Fault::Sender } else { Fault::Receiver };
    }
}

fn read_object(body: &[u8]) -> Result<Document, ReadError> {
    static DOCUMENT: Schema = Schema::new("Error", Kind::Document);
    static MEMBER: Member = Member::new("Error", 0, &DOCUMENT);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Document::Null);
    }
    let mut reader = JsonReader::new(body);
    let document = reader.read_document(&MEMBER)?;
    reader.finish()?;
    Ok(document)
}
