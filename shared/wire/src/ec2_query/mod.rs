//! ec2: Query's older sister. Parameter names begin with a capital, lists are never wrapped, the answer has no result
//! element, and errors stand in a list.

mod protocol;

use crate::aws_query;
use crate::failure::Failure;
use crate::reading::Progress;
use crate::schema::{OperationSchema, ServiceSchema, XmlNamespace};
use crate::shape::{ReadError, Shape, WriteError};
use crate::xml::{Names, XmlLimits, XmlReader, XmlWriter};

pub(crate) use protocol::EC2_QUERY;

pub fn read_request(query: &[u8], body: &[u8], input: &mut dyn Shape) -> Result<Progress, ReadError> {
    aws_query::read_parameters(query, body, Names::Ec2Input, input)
}

/// `<XResponse xmlns="...">...<requestId/></XResponse>`.
pub fn write_response(
    service: &ServiceSchema,
    operation: &OperationSchema,
    output: &dyn Shape,
    request_id: &str,
) -> Result<Vec<u8>, WriteError> {
    let namespace = service.xml_namespace.map(|uri| XmlNamespace { uri, prefix: None });
    let mut writer = XmlWriter::new(Names::Wire);
    writer.open_parts(&[operation.name, "Response"], namespace);
    writer.element("requestId", request_id);
    writer.write_body_members(output)?;
    writer.close_parts(&[operation.name, "Response"]);
    Ok(writer.into_bytes())
}

/// `<Response><Errors><Error><Code/><Message/></Error></Errors><RequestID/></Response>`.
pub fn write_failure(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut writer = XmlWriter::new(Names::Wire);
    writer.declaration();
    writer.open("Response");
    writer.open("Errors");
    writer.open("Error");
    writer.element("Code", &failure.code);
    writer.element("Message", &failure.message);
    writer.write_failure_members(failure);
    writer.close("Error");
    writer.close("Errors");
    writer.element("RequestID", request_id);
    writer.close("Response");
    writer.into_bytes()
}

pub fn write_request(
    service: &ServiceSchema,
    operation: &OperationSchema,
    input: &dyn Shape,
) -> Result<Vec<u8>, WriteError> {
    aws_query::write_parameters(service, operation, Names::Ec2Input, input)
}

pub fn read_response(body: &[u8], output: &mut dyn Shape) -> Result<Progress, ReadError> {
    if output.schema().members.is_empty() {
        return Ok(Progress::default());
    }
    let mut reader = XmlReader::open(body, Names::Wire, XmlLimits::default())?;
    reader.read_members(output)?;
    Ok(std::mem::take(reader.progress()))
}
