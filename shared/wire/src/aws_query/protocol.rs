//! awsQuery as the door to all protocols sees it.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};

use crate::aws_json::append_request_id;
use crate::body::ByteStream;
use crate::failure::Failure;
use crate::protocol::{Answer, Call, Codec, IncomingRequest, Read, ResponseError};
use crate::reading::Progress;
use crate::schema::{OperationSchema, Protocol, ServiceSchema};
use crate::shape::{ReadError, ReadErrorKind, Shape, WriteError};
use crate::xml;

pub(crate) struct AwsQuery;

pub(crate) static AWS_QUERY: AwsQuery = AwsQuery;

impl Codec for AwsQuery {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure> {
        read_form(request, body, |query, body| super::read_request(query, body, input))
    }

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError> {
        let body = super::write_response(call.service, call.operation, output, answer.request_id)?;
        Ok(xml_response(StatusCode::OK, "text/xml", body, answer))
    }

    fn write_failure(
        &self,
        _protocol: Protocol,
        service: &'static ServiceSchema,
        _operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream> {
        let body = super::write_failure(service, failure, answer.request_id);
        xml_response(status_of(failure), "text/xml", body, answer)
    }

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
        super::write_request(call.service, call.operation, input).map(form_request)
    }

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError> {
        read_xml_response(call, response, |body| super::read_response(call.operation, body, output))
    }
}

/// Reads the input from the query string and the collected body.
pub(crate) fn read_form(
    request: &IncomingRequest<'_>,
    body: ByteStream,
    read: impl FnOnce(&[u8], &[u8]) -> Result<Progress, ReadError>,
) -> Result<Read, Failure> {
    let ByteStream::Whole(body) = body else {
        return Err(Failure::internal("the form was not collected"));
    };
    let query = request.parts.uri.query().unwrap_or("");
    let progress = read(query.as_bytes(), &body).map_err(|error| refusal(&error))?;
    Ok(Read { missing: progress.missing })
}

/// What Query services answer to parameters that are none of the expected type.
fn refusal(error: &ReadError) -> Failure {
    let code = match error.kind {
        ReadErrorKind::Malformed => "MalformedQueryString",
        _ => "MalformedInput",
    };
    Failure::new(code, 400, error.message.clone())
}

pub(crate) fn status_of(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn xml_response(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    answer: &Answer<'_>,
) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::Whole(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(4);
    append_request_id(headers, answer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn form_request(form: Vec<u8>) -> Request<ByteStream> {
    let mut request = Request::new(ByteStream::Whole(Bytes::from(form)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/");
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    request.headers_mut().insert(CONTENT_TYPE, form_type);
    request
}

/// Reads a success by `read`, an error in any of XML's forms.
pub(crate) fn read_xml_response(
    call: &Call,
    response: Response<ByteStream>,
    read: impl FnOnce(&[u8]) -> Result<Progress, ReadError>,
) -> Result<(), ResponseError> {
    let (parts, body) = response.into_parts();
    let ByteStream::Whole(body) = body else {
        return Err(ReadError::malformed("the answer was not collected").into());
    };
    if parts.status.is_success() {
        read(&body)?;
        return Ok(());
    }
    let status = parts.status.as_u16();
    let failure = xml::read_failure(&body, status, call.operation.errors);
    Err(failure.unwrap_or_else(|| Failure::new(status.to_string(), status, String::from_utf8_lossy(&body))).into())
}
