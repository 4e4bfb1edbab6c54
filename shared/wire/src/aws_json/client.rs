//! The caller's side of awsJson.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::aws_json::{content_type, error_of_json};
use crate::body::{ByteStream, Payload};
use crate::event_stream;
use crate::json::{JsonReader, JsonWriter};
use crate::protocol::{Call, ResponseError, streams_input};
use crate::shape::{ReadError, Shape, WriteError};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
pub(crate) const QUERY_MODE: HeaderName = HeaderName::from_static("x-amzn-query-mode");

pub(super) fn write_request(call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
    let mut out = Vec::with_capacity(256);
    JsonWriter::write_root(&mut out, input)?;
    let streams = streams_input(call.operation);
    let body = if streams {
        event_stream::body_of_shape(call.protocol, input, "initial-request", out)
    } else {
        ByteStream::Whole(Bytes::from(out))
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/");
    let target = match call.service.target_prefix {
        Some(prefix) => format!("{prefix}.{}", call.operation.name),
        None => call.operation.name.to_owned(),
    };
    let headers = request.headers_mut();
    let events = HeaderValue::from_static(event_stream::CONTENT_TYPE);
    headers.insert(CONTENT_TYPE, if streams { events } else { content_type(call.protocol) });
    headers.insert(TARGET, HeaderValue::from_str(&target).map_err(|error| unwritable(&target, &error))?);
    if call.service.query_compatible {
        headers.insert(QUERY_MODE, HeaderValue::from_static("true"));
    }
    Ok(request)
}

fn unwritable(what: &str, why: &dyn std::error::Error) -> WriteError {
    WriteError::new(what.to_owned(), why.to_string())
}

pub(super) fn read_response(
    call: &Call,
    response: Response<ByteStream>,
    output: &mut dyn Shape,
) -> Result<(), ResponseError> {
    let (parts, body) = response.into_parts();
    let succeeded = parts.status.as_u16() < 300;
    let bytes = match body {
        ByteStream::Whole(bytes) => bytes,
        stream if succeeded => {
            output.set_payload(Payload::IncomingEvents(stream, call.protocol));
            return Ok(());
        }
        ByteStream::Streaming { .. } => return Err(ReadError::malformed("an error answer is to be collected").into()),
    };
    if !succeeded {
        let status = parts.status.as_u16();
        let failure = error_of_json(call.operation, status, &parts.headers, &bytes, |shape| {
            if bytes.is_empty() {
                return Ok(());
            }
            JsonReader::new(&bytes).read_body(shape.schema(), shape).map(|_| ())
        })?;
        return Err(failure.into());
    }
    if !bytes.is_empty() {
        JsonReader::new(&bytes).read_root(call.operation.output, output)?;
    }
    Ok(())
}
