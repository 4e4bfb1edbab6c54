//! The rules of S3: plain, synchronous, given the time and the state.

pub mod checksum;
pub mod conditions;
pub mod list;
pub mod names;
pub mod notification;
pub mod range;
