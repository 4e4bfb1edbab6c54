//! ec2 as the door to all protocols sees it.

use http::{Request, Response, StatusCode};

use crate::aws_query::{form_request, read_form, read_xml_response, status_of, xml_response};
use crate::body::ByteStream;
use crate::failure::Failure;
use crate::protocol::{Answer, Call, Codec, IncomingRequest, Read, ResponseError};
use crate::schema::{OperationSchema, Protocol, ServiceSchema};
use crate::shape::{Shape, WriteError};

pub(crate) struct Ec2Query;

pub(crate) static EC2_QUERY: Ec2Query = Ec2Query;

const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";

impl Codec for Ec2Query {
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
        Ok(xml_response(StatusCode::OK, CONTENT_TYPE, body, answer))
    }

    fn write_failure(
        &self,
        _protocol: Protocol,
        _service: &'static ServiceSchema,
        _operation: Option<&'static OperationSchema>,
        failure: &Failure,
        answer: &Answer<'_>,
    ) -> Response<ByteStream> {
        let body = super::write_failure(failure, answer.request_id);
        xml_response(status_of(failure), CONTENT_TYPE, body, answer)
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
        read_xml_response(call, response, |body| super::read_response(body, output))
    }
}
