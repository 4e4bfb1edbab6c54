//! restJson1: members in path, query and headers, the rest as a JSON object or one payload.
//!
//! The error's code travels in `x-amzn-ErrorType`, its members in the JSON body.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::aws_json::{append_request_id, error_of_json, refusal, wire_code, write_error_body};
use crate::body::ByteStream;
use crate::failure::Failure;
use crate::http_binding::{self, BodyFormat, Root};
use crate::json::{JsonReader, JsonWriter};
use crate::protocol::{Answer, Call, Codec, IncomingRequest, Read, ResponseError};
use crate::reading::{Progress, Seen};
use crate::schema::{Kind, Member, OperationSchema, Protocol, ServiceSchema};
use crate::shape::{ReadError, Reader, Shape, WriteError, Writer};

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

pub(crate) struct RestJson1;

pub(crate) static REST_JSON1: RestJson1 = RestJson1;

impl BodyFormat for RestJson1 {
    fn protocol(&self) -> Protocol {
        Protocol::RestJson1
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn read_members(
        &self,
        root: &Root,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<Seen, ReadError> {
        let mut reader = JsonReader::new(body);
        let seen = reader.read_body(root.schema, shape)?;
        progress.missing.append(&mut reader.progress.missing);
        Ok(seen)
    }

    fn read_payload(
        &self,
        _root: &Root,
        payload: &'static Member,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<bool, ReadError> {
        let mut reader = JsonReader::new(body);
        let present = !reader.read_null();
        if present {
            reader.read_value(payload, shape)?;
        }
        reader.finish()?;
        progress.missing.append(&mut reader.progress.missing);
        Ok(present)
    }

    fn write_body(
        &self,
        root: &Root,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<bool, WriteError>,
    ) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::with_capacity(256);
        if root.payload.is_some() {
            let written = write(&mut JsonWriter::value(&mut out))?;
            if !written {
                out.extend_from_slice(b"{}");
            }
        } else {
            out.push(b'{');
            write(&mut JsonWriter::members(&mut out))?;
            out.push(b'}');
        }
        Ok(out)
    }

    fn writes_empty_body(&self, root: &Root) -> bool {
        let is_unit = root.schema.name == "Unit" && root.schema.members.is_empty();
        match (root.payload, root.is_request) {
            (Some(payload), true) => payload.target.kind == Kind::Structure,
            (Some(_), false) => false,
            (None, true) => root.has_body(),
            // An answer is an object even where nothing is in it, unless its status says that there is none.
            (None, false) => {
                let in_headers_alone = !root.schema.members.is_empty() && !root.has_body();
                !is_unit && !in_headers_alone && !matches!(root.operation.http.code, 204 | 205 | 304)
            }
        }
    }
}

impl Codec for RestJson1 {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure> {
        http_binding::read_request(self, request, body, input).map_err(|error| refusal(&error))
    }

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError> {
        let mut response = http_binding::write_response(self, call, output)?;
        append_request_id(response.headers_mut(), answer);
        Ok(response)
    }

    fn write_failure(
        &self,
        _protocol: Protocol,
        _service: &'static ServiceSchema,
        _operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream> {
        let mut response = Response::new(ByteStream::default());
        let mut out = Vec::with_capacity(256);
        *response.headers_mut() = write_error_body(&mut out, None, failure);
        *response.body_mut() = ByteStream::Whole(Bytes::from(out));
        *response.status_mut() = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        append_request_id(headers, answer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(code) = HeaderValue::from_str(&wire_code(failure, answer)) {
            headers.insert(ERROR_TYPE, code);
        }
        response
    }

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
        http_binding::write_request(self, call, input)
    }

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError> {
        let (parts, body) = response.into_parts();
        if parts.status.as_u16() < 300 || parts.status == StatusCode::NOT_MODIFIED {
            http_binding::read_response(self, call, parts.status, &parts.headers, body, output)?;
            return Ok(());
        }
        let ByteStream::Whole(bytes) = body else {
            return Err(ReadError::malformed("an error answer is to be collected").into());
        };
        let status = parts.status.as_u16();
        let failure = error_of_json(call.operation, status, &parts.headers, &bytes, |shape| {
            http_binding::read_error(self, call.operation, &parts.headers, &bytes, shape)
        })?;
        Err(failure.into())
    }
}
