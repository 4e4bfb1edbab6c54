//! The words in which S3 Control refuses.

use fractus_wire::Failure;

use crate::error::Error;

pub fn refused(code: &'static str, status: u16, message: impl Into<String>) -> Error {
    Error::Other(Box::new(Failure::new(code, status, message)))
}

pub fn invalid(message: impl Into<String>) -> Error {
    refused("InvalidRequest", 400, message)
}

pub fn no_access_point(name: &str) -> Error {
    let failure = Failure::new("NoSuchAccessPoint", 404, "The specified accesspoint does not exist");
    Error::Other(Box::new(failure.with_detail("AccessPointName", name)))
}

pub fn no_access_point_policy(name: &str) -> Error {
    let failure = Failure::new("NoSuchAccessPointPolicy", 404, "The specified accesspoint policy does not exist");
    Error::Other(Box::new(failure.with_detail("AccessPointName", name)))
}
