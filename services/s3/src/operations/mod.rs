//! The operations, a file a family.

pub mod acls;
pub mod annotations;
pub mod append;
pub mod archive;
pub mod attributes;
pub mod buckets;
pub mod checksums;
pub mod complete;
pub mod copy;
pub mod cors;
pub mod delete;
pub mod directory;
pub mod encryption;
pub mod form;
pub mod get;
pub mod legacy;
pub mod lifecycle;
pub mod list;
pub mod locks;
pub mod metadata_tables;
pub mod multipart;
pub mod notifications;
pub mod object_lambda;
pub mod parts;
pub mod policy;
pub mod public_access;
pub mod put;
pub mod select;
pub mod select_parquet;
pub mod series;
pub mod settings;
pub mod tagging;
pub mod uploads;
pub mod version_answer;
pub mod versions;
pub mod website;

use crate::error::Error;

/// The error for something that is not configured on a bucket.
pub fn missing(code: &'static str, message: &'static str, bucket: &str) -> Error {
    Error::Other(Box::new(fractus_wire::Failure::new(code, 404, message).with_detail("BucketName", bucket)))
}
