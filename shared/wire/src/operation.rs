//! Typed markers of operations, which the generated api crates provide.

use crate::failure::Failure;
use crate::schema::{OperationSchema, ServiceSchema};
use crate::shape::Shape;

/// One operation of an API: a unit type such as `sqs_api::CreateQueue`.
pub trait Operation: Send + Sync + 'static {
    type Input: Shape + Default;
    type Output: Shape + Default;
    /// The API's typed error enum: every modelled error, the common ones, and any other.
    type Error: Into<Failure> + From<Failure> + Send;

    const SCHEMA: &'static OperationSchema;

    /// The API that the operation belongs to; its list of operations may be empty, since a call needs none but its own.
    const SERVICE: &'static ServiceSchema;
}
