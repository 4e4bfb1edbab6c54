//! awsJson 1.0 and 1.1: every operation is a POST to `/` with `X-Amz-Target`, members and answers are one JSON object.
//!
//! The versions differ in their content type alone. A query-compatible service adds the older Query error code in
//! `x-amzn-query-error`.

mod client;
mod errors;
mod server;
#[cfg(test)]
mod tests;

use http::{HeaderValue, Request, Response};

use crate::body::ByteStream;
use crate::failure::Failure;
use crate::protocol::{Answer, Call, Codec, IncomingRequest, Read, ResponseError};
use crate::schema::{OperationSchema, Protocol, ServiceSchema};
use crate::shape::{Shape, WriteError};

pub(crate) use client::QUERY_MODE;
pub(crate) use errors::{error_of_json, refusal, take_query_error, wire_code, write_error_body};
pub(crate) use server::{append_query_error, append_request_id};

/// Both versions.
pub(crate) struct AwsJson;

pub(crate) static AWS_JSON: AwsJson = AwsJson;

fn content_type(protocol: Protocol) -> HeaderValue {
    match protocol {
        Protocol::AwsJson10 => HeaderValue::from_static("application/x-amz-json-1.0"),
        _ => HeaderValue::from_static("application/x-amz-json-1.1"),
    }
}

impl Codec for AwsJson {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure> {
        server::read_request(request, body, input)
    }

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError> {
        server::write_response(call, output, answer)
    }

    fn write_failure(
        &self,
        protocol: Protocol,
        service: &'static ServiceSchema,
        _operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream> {
        server::write_failure(protocol, service, failure, answer)
    }

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError> {
        client::write_request(call, input)
    }

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError> {
        client::read_response(call, response, output)
    }
}
