//! The operations, a file a family.

pub mod attributes;
pub mod buckets;
pub mod checksums;
pub mod copy;
pub mod delete;
pub mod form;
pub mod get;
pub mod list;
pub mod multipart;
pub mod notifications;
pub mod parts;
pub mod put;
pub mod tagging;
pub mod uploads;
