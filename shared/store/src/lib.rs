//! The transactional, ordered store behind every service, and its blobs.

mod blob_index;
mod blobs;
mod collection;
mod config;
mod engine;
mod error;
mod expiry;
mod inspect;
mod key;
mod lanes;
mod range;
mod scope;
mod store;
mod transaction;
mod transfer;

pub use blobs::{BlobRef, BlobStream, BlobWriter, Blobs, INLINE_BYTES, Piece};
pub use collection::{Collection, MAX_KEY_BYTES};
pub use config::{Durability, StoreConfig};
pub use error::StoreError;
pub use inspect::{CollectionInfo, RecordInfo};
pub use key::{Key, KeyBytes, KeyOf, OpenPart, OpenPrefixOf, PrefixOf};
pub use lanes::ResetScope;
pub use range::{Order, Range};
pub use scope::Scope;
pub use store::Store;
pub use transaction::{Keys, Scan, Snapshot, Transaction};
