//! The service's side of awsJson.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::aws_json::{content_type, refusal, wire_code, write_error_body};
use crate::body::{ByteStream, Payload};
use crate::event_stream;
use crate::failure::{Failure, Fault};
use crate::json::{JsonReader, JsonWriter};
use crate::protocol::{Answer, Call, IncomingRequest, Read, streams_output};
use crate::schema::{Protocol, ServiceSchema};
use crate::shape::{Shape, WriteError};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// Most answers fit without growing.
const USUAL_ANSWER_BYTES: usize = 256;

pub(super) fn read_request(
    request: &IncomingRequest<'_>,
    body: ByteStream,
    input: &mut dyn Shape,
) -> Result<Read, Failure> {
    let bytes = match body {
        ByteStream::Whole(bytes) => bytes,
        stream @ ByteStream::Streaming { .. } => {
            input.set_payload(Payload::IncomingEvents(stream, Protocol::AwsJson11));
            return Ok(Read::default());
        }
    };
    // AWS reads an empty body as an empty object.
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let mut reader = JsonReader::new(text);
    reader.read_root(request.operation.input, input).map_err(|error| refusal(&error))?;
    Ok(Read { missing: reader.progress.missing })
}

pub(super) fn write_response(
    call: &Call,
    output: &mut dyn Shape,
    answer: &Answer<'_>,
) -> Result<Response<ByteStream>, WriteError> {
    let mut out = Vec::with_capacity(USUAL_ANSWER_BYTES);
    JsonWriter::write_root(&mut out, output)?;
    if streams_output(call.operation) {
        let mut response = response(StatusCode::OK, call.protocol, Vec::new(), answer);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(event_stream::CONTENT_TYPE));
        *response.body_mut() = event_stream::body_of_shape(call.protocol, output, "initial-response", out);
        return Ok(response);
    }
    Ok(response(StatusCode::OK, call.protocol, out, answer))
}

pub(super) fn write_failure(
    protocol: Protocol,
    service: &'static ServiceSchema,
    failure: &Failure,
    answer: &Answer<'_>,
) -> Response<ByteStream> {
    let mut out = Vec::with_capacity(USUAL_ANSWER_BYTES);
    write_error_body(&mut out, Some(&wire_code(failure, answer)), failure);
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, protocol, out, answer);
    if service.query_compatible {
        append_query_error(response.headers_mut(), failure);
    }
    response
}

/// The error's code in the older Query protocol, which SDKs of query-compatible services look for.
pub(crate) fn append_query_error(headers: &mut HeaderMap, failure: &Failure) {
    let code = failure.query_code.as_deref().unwrap_or(&failure.code);
    let code = code.rsplit('#').next().unwrap_or(code);
    let fault = match failure.fault {
        Fault::Sender => "Sender",
        Fault::Receiver => "Receiver",
    };
    if let Ok(value) = HeaderValue::from_str(&format!("{code};{fault}")) {
        headers.insert(QUERY_ERROR, value);
    }
}

pub(crate) fn append_request_id(headers: &mut HeaderMap, answer: &Answer<'_>) {
    if let Ok(value) = HeaderValue::from_str(answer.request_id)
        && !answer.request_id.is_empty()
    {
        headers.insert(REQUEST_ID, value);
    }
}

fn response(status: StatusCode, protocol: Protocol, body: Vec<u8>, answer: &Answer<'_>) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::Whole(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(4);
    append_request_id(headers, answer);
    headers.insert(CONTENT_TYPE, content_type(protocol));
    response
}
