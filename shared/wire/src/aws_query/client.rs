//! The client's side: input to parameters, XML to output. Errors are read by [`crate::xml::read_failure`].

use crate::reading::Progress;
use crate::schema::{OperationSchema, ServiceSchema};
use crate::shape::{ReadError, Shape, WriteError};
use crate::xml::{Names, XmlLimits, XmlReader};

use super::writer::QueryWriter;

/// `Action=X&Version=...` and the input's parameters.
pub fn write_request(
    service: &ServiceSchema,
    operation: &OperationSchema,
    input: &dyn Shape,
) -> Result<Vec<u8>, WriteError> {
    write_parameters(service, operation, Names::Query, input)
}

pub(crate) fn write_parameters(
    service: &ServiceSchema,
    operation: &OperationSchema,
    names: Names,
    input: &dyn Shape,
) -> Result<Vec<u8>, WriteError> {
    let mut form = Vec::with_capacity(256);
    form.extend_from_slice(b"Action=");
    form.extend_from_slice(operation.name.as_bytes());
    form.extend_from_slice(b"&Version=");
    form.extend_from_slice(service.api_version.as_bytes());
    let mut writer = QueryWriter::into_buffer(form, names);
    input.write_members(&mut writer)?;
    Ok(writer.into_bytes())
}

/// Reads the output from the result's element, or from the root where an answer has none.
pub fn read_response(operation: &OperationSchema, body: &[u8], output: &mut dyn Shape) -> Result<Progress, ReadError> {
    if output.schema().members.is_empty() {
        return Ok(Progress::default());
    }
    let made;
    let wrapper = match operation.result_wrapper {
        Some(wrapper) => wrapper,
        None => {
            made = format!("{}Result", operation.name);
            &made
        }
    };
    let open = || XmlReader::open(body, Names::Query, XmlLimits::default());
    let mut reader = open()?;
    if !reader.enter(wrapper)? {
        reader = open()?;
    }
    reader.read_members(output)?;
    Ok(std::mem::take(reader.progress()))
}
