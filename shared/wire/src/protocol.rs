//! One door to all protocols: which request is this, read it, answer it; make a request, read its answer.
//!
//! # Server, in the order a host calls it
//! 1. [`action_is_in_body`]: a Query request names its action in the form body, so that body is needed first.
//! 2. [`identify`]: the protocol and the operation, from method, path, headers (and the form).
//! 3. [`streams_input`]: whether the body is to be handed on as it arrives, or collected (bounded) first.
//! 4. [`read_request`] into the operation's input; then `validation` with what was missing.
//! 5. [`write_response`] or [`write_failure`].
//!
//! The host gives paths as they arrived: still percent-encoded, a virtual-hosted bucket already put in front.
//!
//! # Client
//! [`write_request`], send it (signed) and, unless [`streams_output`] and the status is a success, collect the body;
//! then [`read_response`].

use http::request::Parts;
use http::{HeaderMap, Request, Response};

use crate::body::ByteStream;
use crate::failure::Failure;
use crate::gzip::{self, InflateLimits};
use crate::reading::{Missing, is_streamed};
use crate::schema::{OperationSchema, Protocol, Schema, ServiceSchema};
use crate::shape::{ReadError, Shape, WriteError};
use crate::{aws_json, aws_query, ec2_query, http_binding, rest_json1, rest_xml, rpc_v2_cbor};

pub use crate::http_binding::Labels;
pub use crate::identification::{action_is_in_body, identify};

/// What a request turned out to be.
#[derive(Clone, Debug)]
pub struct Identified {
    /// How the request is written and the answer must be; for awsJson the version the caller used.
    pub protocol: Protocol,
    pub operation: &'static OperationSchema,
    /// The parts of the path that are members of the input; REST protocols only.
    pub labels: Labels,
}

/// What reading noticed beside the values.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Required members that the request does not have. The input holds defaults in their place: validate before use.
    pub missing: Vec<Missing>,
}

/// What an answer says of itself beside its result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    pub request_id: &'a str,
    /// S3's second id (`x-amz-id-2`, `HostId`).
    pub host_id: Option<&'a str>,
    /// S3's `Resource` of an error.
    pub resource: Option<&'a str>,
    /// The namespace before a modelled error's name in `__type`, for services that give one:
    /// `com.amazonaws.dynamodb.v20120810`. Errors of the framework (`SerializationException`) then get theirs.
    pub error_namespace: Option<&'static str>,
    /// The request came from an older Query client through JSON (`x-amzn-query-mode`): the answer carries
    /// `x-amzn-query-error` for query-compatible services either way, so this is for information.
    pub query_mode: bool,
}

/// Why an answer gave no output.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The service answered with an error.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The answer is not what the model says.
    #[error("unreadable answer: {0}")]
    Unreadable(#[from] ReadError),
}

/// Whether the operation's request body is a stream: then `read_request` takes it as it arrives.
pub fn streams_input(operation: &'static OperationSchema) -> bool {
    operation.input.members.iter().any(is_streamed)
}

/// Whether the operation's answer is a stream.
pub fn streams_output(operation: &'static OperationSchema) -> bool {
    operation.output.members.iter().any(is_streamed)
}

/// Reads the request into `input`, the operation's empty input.
pub fn read_request(
    identified: &Identified,
    service: &'static ServiceSchema,
    parts: &Parts,
    body: ByteStream,
    input: &mut dyn Shape,
) -> Result<Read, Failure> {
    let operation = identified.operation;
    let labels = &identified.labels;
    match body {
        ByteStream::Whole(bytes)
            if !bytes.is_empty() && gzip::is_packed(&parts.headers) && gzip::is_unpacked(operation) =>
        {
            let body = ByteStream::Whole(gzip::inflate(&bytes, &InflateLimits::default())?);
            let mut parts = parts.clone();
            gzip::take_off(&mut parts.headers);
            let request = IncomingRequest { service, operation, labels, parts: &parts };
            codec(identified.protocol).read_request(&request, body, input)
        }
        body => {
            let request = IncomingRequest { service, operation, labels, parts };
            codec(identified.protocol).read_request(&request, body, input)
        }
    }
}

/// Writes a success.
pub fn write_response(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    output: &mut dyn Shape,
    answer: &Answer<'_>,
) -> Result<Response<ByteStream>, WriteError> {
    codec(protocol).write_response(&Call { protocol, service, operation }, output, answer)
}

/// Writes an error. Cannot fail: an error that cannot be written as modelled is written without its members.
pub fn write_failure(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: Option<&'static OperationSchema>,
    failure: &Failure,
    answer: &Answer<'_>,
) -> Response<ByteStream> {
    let mut response = codec(protocol).write_failure(protocol, service, operation, failure, answer);
    http_binding::append_failure_headers(response.headers_mut(), failure);
    response
}

/// A request as it leaves, before it is signed.
#[derive(Debug)]
pub struct OutgoingRequest {
    /// Path and query in the URI, method, headers, body.
    pub request: Request<ByteStream>,
    /// What goes before the endpoint's host name, such as `data-` or `123456789012.`.
    pub host_prefix: Option<String>,
}

/// Writes the request of an operation. Fill idempotency tokens in first ([`crate::tokens::fill_idempotency_token`]).
pub fn write_request(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    input: &mut dyn Shape,
) -> Result<OutgoingRequest, WriteError> {
    let host_prefix = http_binding::host_prefix(operation, input)?;
    let request = codec(protocol).write_request(&Call { protocol, service, operation }, input)?;
    let (mut parts, body) = request.into_parts();
    let body = match body {
        ByteStream::Whole(bytes) => {
            ByteStream::Whole(gzip::pack(operation, &mut parts.headers, bytes, gzip::MIN_COMPRESSED_BYTES))
        }
        body => body,
    };
    let request = Request::from_parts(parts, body);
    Ok(OutgoingRequest { request, host_prefix })
}

/// Reads an answer into `output`, the operation's empty output; an error answer becomes the `Failure` with the modelled
/// error as a [`crate::DynamicShape`] in it.
pub fn read_response(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    response: Response<ByteStream>,
    output: &mut dyn Shape,
) -> Result<(), ResponseError> {
    codec(protocol).read_response(&Call { protocol, service, operation }, response, output)
}

/// One operation in one protocol.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub protocol: Protocol,
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
}

/// A request as the host has it.
#[derive(Clone, Copy)]
pub(crate) struct IncomingRequest<'a> {
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
    pub labels: &'a Labels,
    pub parts: &'a Parts,
}

/// What each protocol does. Its implementors hold no state.
pub(crate) trait Codec: Sync {
    fn read_request(
        &self,
        request: &IncomingRequest<'_>,
        body: ByteStream,
        input: &mut dyn Shape,
    ) -> Result<Read, Failure>;

    fn write_response(
        &self,
        call: &Call,
        output: &mut dyn Shape,
        answer: &Answer<'_>,
    ) -> Result<Response<ByteStream>, WriteError>;

    fn write_failure(
        &self,
        protocol: Protocol,
        service: &'static ServiceSchema,
        operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream>;

    fn write_request(&self, call: &Call, input: &mut dyn Shape) -> Result<Request<ByteStream>, WriteError>;

    fn read_response(
        &self,
        call: &Call,
        response: Response<ByteStream>,
        output: &mut dyn Shape,
    ) -> Result<(), ResponseError>;
}

fn codec(protocol: Protocol) -> &'static dyn Codec {
    match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 => &aws_json::AWS_JSON,
        Protocol::AwsQuery => &aws_query::AWS_QUERY,
        Protocol::Ec2Query => &ec2_query::EC2_QUERY,
        Protocol::RestJson1 => &rest_json1::REST_JSON1,
        Protocol::RestXml => &rest_xml::REST_XML,
        Protocol::RpcV2Cbor => &rpc_v2_cbor::RPC_V2_CBOR,
    }
}

/// The modelled error with this code, among the operation's errors.
pub(crate) fn error_schema(operation: &'static OperationSchema, code: &str) -> Option<&'static Schema> {
    let by_name = |schema: &&&'static Schema| schema.name == code;
    let by_code = |schema: &&&'static Schema| schema.error.is_some_and(|error| error.code == code);
    operation.errors.iter().find(by_name).or_else(|| operation.errors.iter().find(by_code)).copied()
}

/// The request id that an answer carries, whatever the service calls it.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"]
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| value.to_str().ok())
}
