//! The service's side: parameters to input, output to XML.

use std::borrow::Cow;

use crate::failure::{Failure, Fault};
use crate::reading::Progress;
use crate::schema::{OperationSchema, ServiceSchema, XmlNamespace};
use crate::shape::{ReadError, Shape, WriteError};
use crate::xml::{Names, XmlWriter};

use super::parameters::{Parameters, QueryLimits};
use super::reader::QueryReader;

/// The value of one parameter of an encoded form, found without decoding the others: `Action` and `Version`, by which
/// a request is recognised before its body is read for good.
pub fn parameter<'a>(form: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let pair = form
        .split(|byte| *byte == b'&')
        .find(|pair| pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')))?;
    super::parameters::decode(&pair[name.len() + 1..]).ok()
}

/// Reads the input from the query string and the body, either of which may hold parameters.
pub fn read_request(query: &[u8], body: &[u8], input: &mut dyn Shape) -> Result<Progress, ReadError> {
    read_parameters(query, body, Names::Query, input)
}

pub(crate) fn read_parameters(
    query: &[u8],
    body: &[u8],
    names: Names,
    input: &mut dyn Shape,
) -> Result<Progress, ReadError> {
    let limits = QueryLimits::default();
    let parameters = Parameters::parse(&[query, body], &limits)?;
    let mut reader = QueryReader::new(&parameters, names, limits);
    reader.read_members(input)?;
    Ok(std::mem::take(reader.progress()))
}

/// `<XResponse xmlns="..."><XResult>...</XResult><ResponseMetadata><RequestId>`.
pub fn write_response(
    service: &ServiceSchema,
    operation: &OperationSchema,
    output: &dyn Shape,
    request_id: &str,
) -> Result<Vec<u8>, WriteError> {
    let mut writer = XmlWriter::new(Names::Query);
    writer.open_parts(&[operation.name, "Response"], namespace(service));
    if let Some(wrapper) = operation.result_wrapper {
        writer.open(wrapper);
        writer.write_body_members(output)?;
        writer.close(wrapper);
    } else if !output.schema().members.is_empty() {
        writer.open_parts(&[operation.name, "Result"], None);
        writer.write_body_members(output)?;
        writer.close_parts(&[operation.name, "Result"]);
    }
    writer.open("ResponseMetadata");
    writer.element("RequestId", request_id);
    writer.close("ResponseMetadata");
    writer.close_parts(&[operation.name, "Response"]);
    Ok(writer.into_bytes())
}

/// `<ErrorResponse><Error><Type>Sender</Type><Code/><Message/></Error><RequestId/></ErrorResponse>`, with the members
/// of a modelled error beside its code.
pub fn write_failure(service: &ServiceSchema, failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut writer = XmlWriter::new(Names::Query);
    writer.open_in("ErrorResponse", namespace(service));
    writer.open("Error");
    writer.element("Type", if failure.fault == Fault::Sender { "Sender" } else { "Receiver" });
    writer.element("Code", query_code(failure));
    writer.element("Message", &failure.message);
    writer.write_failure_members(failure);
    writer.close("Error");
    writer.element("RequestId", request_id);
    writer.close("ErrorResponse");
    writer.into_bytes()
}

/// The code in the Query protocol: the one given, else the model's, which JSON has no place for.
fn query_code(failure: &Failure) -> &str {
    let modelled = || failure.shape.as_ref().and_then(|shape| shape.schema().error).map(|error| error.code);
    failure.query_code.as_deref().or_else(modelled).unwrap_or(&failure.code)
}

fn namespace(service: &ServiceSchema) -> Option<XmlNamespace> {
    service.xml_namespace.map(|uri| XmlNamespace { uri, prefix: None })
}
