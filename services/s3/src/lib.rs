//! S3.

pub mod error;
pub mod model;
pub mod store;
