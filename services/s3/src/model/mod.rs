//! The rules of S3: plain, synchronous, given the time and the state.

pub mod acl;
pub mod archive;
pub mod checksum;
pub mod conditions;
pub mod cors;
pub mod crc;
pub mod encoding;
pub mod encryption;
pub mod filter;
pub mod lifecycle;
pub mod list;
pub mod lock;
pub mod metadata;
pub mod names;
pub mod notification;
pub mod range;
pub mod replication;
pub mod vocabulary;
pub mod website;
