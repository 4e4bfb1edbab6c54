//! restXml: members in path, query and headers, the rest as an XML document or one payload.
//!
//! Two dialects: Route 53, CloudFront and S3 Control put `ErrorResponse` around an error, S3
//! ([`ServiceSchema::bare_errors`]) does not, and has more to say in it. S3 also answers some requests before it knows
//! how they end: [`late_response`].

mod body;
mod errors;
mod late;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::aws_json::append_request_id;
use crate::body::ByteStream;
use crate::failure::Failure;
use crate::http_binding;
use crate::protocol::{Answer, Call, Codec, IncomingRequest, Read, ResponseError};
use crate::schema::{OperationSchema, Protocol, ServiceSchema};
use crate::shape::{ReadError, Shape, WriteError};

use body::XmlBody;

pub use errors::write_failure_document;
pub use late::{Late, late_response};

#[cfg(test)]
mod tests;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

pub(crate) struct RestXml;

pub(crate) static REST_XML: RestXml = RestXml;

impl Codec for RestXml {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure> {
        let format = XmlBody::of(request.service);
        http_binding::read_request(&format, request, body, input)
            .map_err(|error| errors::refusal(request.service, request.operation, &error))
    }

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError> {
        let mut response = http_binding::write_response(&XmlBody::of(call.service), call, output)?;
        append_ids(response.headers_mut(), call.service, answer);
        Ok(response)
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
        let mut response = Response::new(ByteStream::default());
        *response.status_mut() = status;
        let (headers, document) = errors::write_failure(service, failure, answer);
        *response.headers_mut() = headers;
        append_ids(response.headers_mut(), service, answer);
        // Not Modified and its like have no body.
        if !status.is_redirection()
            || status == StatusCode::MOVED_PERMANENTLY
            || status == StatusCode::TEMPORARY_REDIRECT
        {
            *response.body_mut() = ByteStream::Whole(document.into());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type(service)));
        }
        response
    }

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
        http_binding::write_request(&XmlBody::of(call.service), call, input)
    }

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError> {
        let (parts, body) = response.into_parts();
        let is_success = parts.status.as_u16() < 300 || parts.status == StatusCode::NOT_MODIFIED;
        let body = match body {
            ByteStream::Whole(bytes) if !is_success || errors::is_late_failure(call.operation, &bytes) => {
                let status = if is_success { StatusCode::INTERNAL_SERVER_ERROR } else { parts.status };
                return Err(errors::read_failure(call, status, &parts.headers, &bytes).into());
            }
            ByteStream::Streaming { .. } if !is_success => {
                return Err(ReadError::malformed("an error answer is to be collected").into());
            }
            body => body,
        };
        http_binding::read_response(&XmlBody::of(call.service), call, parts.status, &parts.headers, body, output)?;
        Ok(())
    }
}

fn content_type(service: &ServiceSchema) -> &'static str {
    if service.bare_errors { "application/xml" } else { "text/xml" }
}

fn append_ids(headers: &mut HeaderMap, service: &ServiceSchema, answer: &Answer<'_>) {
    // S3 Control has the ids of S3, in errors of the usual form.
    if !service.bare_errors && answer.host_id.is_none() {
        append_request_id(headers, answer);
        return;
    }
    for (name, id) in [(REQUEST_ID, Some(answer.request_id)), (HOST_ID, answer.host_id)] {
        if let Some(value) = id.filter(|id| !id.is_empty()).and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(name, value);
        }
    }
}
