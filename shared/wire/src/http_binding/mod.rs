//! Members in the HTTP message itself, for both REST protocols: labels, query, headers, prefixed headers, the status code.
//!
//! The body is the protocol's own: it hands its reader and writer in. [`route`] finds an operation by method, path and query.

mod message;
mod only_member;
mod read;
mod route;
mod text;
mod uri_pattern;
mod write;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use message::{
    BodyFormat, Root, read_error, read_request, read_response, write_bound, write_request, write_response,
};
pub use route::Labels;
pub(crate) use route::route;
pub(crate) use text::TextReader;

use only_member::OnlyMember;

use crate::failure::Failure;
use crate::schema::{Member, OperationSchema};
use crate::shape::{Shape, WriteError};

/// The headers that an error brings along.
pub(crate) fn append_failure_headers(headers: &mut HeaderMap, failure: &Failure) {
    for (name, value) in &failure.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

/// The operation's host prefix with its labels filled in.
pub(crate) fn host_prefix(
    operation: &'static OperationSchema,
    input: &dyn Shape,
) -> Result<Option<String>, WriteError> {
    let Some(pattern) = operation.host_prefix else { return Ok(None) };
    let mut prefix = pattern.to_owned();
    for member in operation.input.members.into_iter().filter(|member| member.host_label) {
        let label = format!("{{{}}}", member.name);
        if prefix.contains(&label) {
            let value = member_text(input, member)?.ok_or_else(|| {
                WriteError::new(format!("{}'s {}", operation.name, member.name), "the host name needs it")
            })?;
            prefix = prefix.replace(&label, &value);
        }
    }
    Ok(Some(prefix))
}

/// The member's value as it stands in a URI; `None` when it is not set.
pub(crate) fn member_text(shape: &dyn Shape, member: &'static Member) -> Result<Option<String>, WriteError> {
    let mut only = OnlyMember { member, text: None };
    shape.write_members(&mut only)?;
    Ok(only.text)
}
