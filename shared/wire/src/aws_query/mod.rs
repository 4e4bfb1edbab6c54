//! awsQuery: parameters of a form in, XML out. (ec2 is [`crate::ec2_query`], which shares the parameters' reader.)
//!
//! A request is `Action=...&Version=...` and a parameter for each scalar, named by its path:
//! `Entries.member.1.Id=a`. The answer is `<XResponse><XResult>...</XResult><ResponseMetadata>`.

mod client;
mod parameters;
mod protocol;
mod reader;
mod server;
mod writer;

pub(crate) use client::write_parameters;
pub use client::{read_response, write_request};
pub use parameters::{Parameters, QueryLimits};
pub(crate) use protocol::{AWS_QUERY, form_request, read_form, read_xml_response, status_of, xml_response};
pub use reader::QueryReader;
pub(crate) use server::read_parameters;
pub use server::{parameter, read_request, write_failure, write_response};
pub use writer::QueryWriter;

#[cfg(test)]
mod tests;
