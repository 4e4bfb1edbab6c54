//! rpcv2Cbor: `POST /service/{service}/operation/{operation}`, members and answers are one CBOR map.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use crate::aws_json::{QUERY_MODE, append_query_error, append_request_id, refusal, take_query_error, wire_code};
use crate::body::{ByteStream, Payload};
use crate::cbor::{CborReader, CborWriter};
use crate::document::{Document, DynamicShape};
use crate::event_stream;
use crate::failure::Failure;
use crate::http_binding::member_text;
use crate::protocol::{
    Answer, Call, Codec, IncomingRequest, Read, ResponseError, error_schema, streams_input, streams_output,
};
use crate::schema::{Kind, Member, OperationSchema, Protocol, Schema, ServiceSchema};
use crate::shape::{ReadError, Reader, Shape, WriteError};

const PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");
const PROTOCOL_NAME: HeaderValue = HeaderValue::from_static("rpc-v2-cbor");
const CBOR: HeaderValue = HeaderValue::from_static("application/cbor");
const EVENTS: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

pub(crate) struct RpcV2Cbor;

pub(crate) static RPC_V2_CBOR: RpcV2Cbor = RpcV2Cbor;

/// An operation that the model gives no input or output has no body either.
fn is_unit(schema: &Schema) -> bool {
    schema.name == "Unit" && schema.members.is_empty()
}

impl Codec for RpcV2Cbor {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure> {
        let bytes = match body {
            ByteStream::Whole(bytes) => bytes,
            stream => {
                input.set_payload(Payload::IncomingEvents(stream, Protocol::RpcV2Cbor));
                return Ok(Read::default());
            }
        };
        let item: &[u8] = if bytes.is_empty() { &[0xa0] } else { &bytes };
        let mut reader = CborReader::new(item);
        reader.read_root(request.operation.input, input).map_err(|error| refusal(&error))?;
        Ok(Read { missing: reader.progress.missing })
    }

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError> {
        if is_unit(call.operation.output) {
            let mut response = respond(StatusCode::OK, Vec::new(), answer);
            response.headers_mut().remove(CONTENT_TYPE);
            return Ok(response);
        }
        let mut out = Vec::with_capacity(256);
        CborWriter::write_root(&mut out, output)?;
        if streams_output(call.operation) {
            let mut response = respond(StatusCode::OK, Vec::new(), answer);
            response.headers_mut().insert(CONTENT_TYPE, EVENTS);
            *response.body_mut() = event_stream::body_of_shape(call.protocol, output, "initial-response", out);
            return Ok(response);
        }
        Ok(respond(StatusCode::OK, out, answer))
    }

    fn write_failure(
        &self,
        _protocol: Protocol,
        service: &'static ServiceSchema,
        _operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream> {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond(status, write_error_body(failure, answer), answer);
        if service.query_compatible {
            append_query_error(response.headers_mut(), failure);
        }
        response
    }

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
        let name = call.service.target_prefix.unwrap_or(call.service.service_id);
        let path = format!("/service/{name}/operation/{}", call.operation.name);
        let uri = path.parse().map_err(|_| WriteError::new(path.clone(), "is no path"))?;
        let mut out = Vec::new();
        let has_input = !is_unit(call.operation.input);
        if has_input {
            CborWriter::write_root(&mut out, input)?;
        }
        let streams = streams_input(call.operation);
        let body = if streams {
            event_stream::body_of_shape(call.protocol, input, "initial-request", out)
        } else {
            ByteStream::Whole(Bytes::from(out))
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(PROTOCOL, PROTOCOL_NAME);
        let answers_events = call.operation.output.members.iter().any(|member| member.target.event_stream);
        headers.insert(ACCEPT, if answers_events { EVENTS } else { CBOR });
        if has_input {
            headers.insert(CONTENT_TYPE, if streams { EVENTS } else { CBOR });
        }
        if call.service.query_compatible {
            headers.insert(QUERY_MODE, HeaderValue::from_static("true"));
        }
        Ok(request)
    }

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError> {
        let (parts, body) = response.into_parts();
        let succeeded = parts.status.as_u16() < 300;
        let bytes = match body {
            ByteStream::Whole(bytes) => bytes,
            stream if succeeded => {
                output.set_payload(Payload::IncomingEvents(stream, Protocol::RpcV2Cbor));
                return Ok(());
            }
            ByteStream::Streaming { .. } => {
                return Err(ReadError::malformed("an error answer is to be collected").into());
            }
        };
        if !succeeded {
            let mut failure = read_error(call.operation, parts.status.as_u16(), &bytes)?;
            take_query_error(&mut failure, &parts.headers);
            return Err(failure.into());
        }
        if !bytes.is_empty() {
            CborReader::new(&bytes).read_root(call.operation.output, output)?;
        }
        Ok(())
    }
}

fn respond(status: StatusCode, body: Vec<u8>, answer: &Answer<'_>) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::Whole(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(PROTOCOL, PROTOCOL_NAME);
    append_request_id(headers, answer);
    headers.insert(CONTENT_TYPE, CBOR);
    response
}

/// The type, the message where the modelled error does not say it, the error's own members.
fn write_error_body(failure: &Failure, answer: &Answer<'_>) -> Vec<u8> {
    let code = wire_code(failure, answer);
    let shape = failure.shape.as_deref();
    let member = shape.and_then(|shape| {
        shape.schema().members.into_iter().find(|member| member.name.eq_ignore_ascii_case("message"))
    });
    let is_set = match (shape, member) {
        (Some(shape), Some(member)) => member_text(shape, member).is_ok_and(|text| text.is_some()),
        _ => false,
    };
    let mut extras = vec![("__type", code.as_ref())];
    if !is_set && !failure.message.is_empty() {
        extras.push((member.map_or("message", |member| member.wire_name), &failure.message));
    }
    extras.extend(failure.details.iter().map(|(name, value)| (*name, value.as_str())));
    let mut out = Vec::with_capacity(256);
    if CborWriter::write_root_with(&mut out, &extras, shape).is_err() {
        // The members cannot be written: the code and the message still go out.
        out.clear();
        let written = CborWriter::write_root_with(&mut out, &extras, None);
        debug_assert!(written.is_ok(), "strings can be written");
    }
    out
}

fn read_error(operation: &'static OperationSchema, status: u16, body: &[u8]) -> Result<Failure, ReadError> {
    static DOCUMENT: Schema = Schema::new("Error", Kind::Document);
    static MEMBER: Member = Member::new("Error", 0, &DOCUMENT);
    if body.is_empty() {
        return Ok(Failure::new("", status, ""));
    }
    let document = CborReader::new(body).read_document(&MEMBER)?;
    let field = |name: &str| document.get(name).and_then(Document::as_str);
    let code = field("__type").or_else(|| field("code")).unwrap_or("");
    let code = code.rsplit('#').next().unwrap_or(code).to_owned();
    let message = field("message").or_else(|| field("Message")).unwrap_or("").to_owned();
    let schema = error_schema(operation, &code);
    let mut failure = Failure::new(code, status, message);
    if let Some(schema) = schema {
        let mut shape = DynamicShape::new(schema);
        CborReader::new(body).read_root(schema, &mut shape)?;
        failure.shape = Some(Box::new(shape));
    }
    Ok(failure)
}
