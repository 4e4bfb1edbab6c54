//! Errors as XML says them, in the three forms that AWS has: the Query form and Route 53's
//! (`ErrorResponse/Error/Code`), EC2's (`Response/Errors/Error/Code`) and S3's (`Error/Code`).

use crate::document::DynamicShape;
use crate::failure::{Failure, Fault};
use crate::schema::Schema;
use crate::shape::ReadError;

use super::names::Names;
use super::reader::{XmlLimits, XmlReader};

/// Reads an error answer. `errors` are those that the operation's model names; theirs are read with their members.
/// A body that is no XML error gives `None`.
pub fn read_failure(body: &[u8], status: u16, errors: &[&'static Schema]) -> Option<Failure> {
    let mut reader = at_error(body).ok()??;
    let mut failure = Failure::new("", status, "");
    let mut request_id = None;
    while let Some(name) = reader.next_element().ok()? {
        match name.as_str() {
            "Code" => failure.code = reader.text().ok()?.into_owned().into(),
            "Message" | "message" => failure.message = reader.text().ok()?.into_owned(),
            "Type" => {
                let receiver = &*reader.text().ok()? == "Receiver";
                failure.fault = if receiver { Fault::Receiver } else { Fault::Sender };
            }
            "RequestId" => request_id = Some(reader.text().ok()?.into_owned()),
            _ => reader.skip().ok()?,
        }
    }
    if let Some(request_id) = request_id {
        failure = failure.with_detail("RequestId", request_id);
    }
    let modelled = errors
        .iter()
        .find(|schema| schema.name == failure.code || schema.error.is_some_and(|error| error.code == failure.code));
    if let Some(schema) = modelled {
        let mut shape = DynamicShape::new(schema);
        at_error(body).ok()??.read_members(&mut shape).ok()?;
        failure.shape = Some(Box::new(shape));
    }
    Some(failure)
}

/// A reader that stands at the element which holds the code.
pub(crate) fn at_error(body: &[u8]) -> Result<Option<XmlReader<'_>>, ReadError> {
    let mut reader = XmlReader::open(body, Names::Query, XmlLimits::default())?;
    let found = match reader.name() {
        "Error" => true,
        "ErrorResponse" => reader.enter("Error")?,
        "Response" => reader.enter("Errors")? && reader.enter("Error")?,
        _ => false,
    };
    Ok(found.then_some(reader))
}
