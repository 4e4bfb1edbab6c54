//! The transactional, ordered store behind every service, and its blobs.
//!
//! A service declares [`Collection`]s (typed records under tuple keys), says whose part of them it means by a
//! [`Scope`] (lane, partition, account, region), and works in closures: [`Store::read`] on a snapshot, [`Store::write`]
//! in an atomic, serialisable transaction that runs again on conflict. Scans are lazy and go both ways; they are the
//! index. Three engines keep the bytes: memory, disk and PostgreSQL. Time-to-live, lanes, resets, export and inspection
//! are written once, above them. Large bytes go to [`Blobs`].
//!
//! ```
//! # use fractus_store::*;
//! # use fractus_aws::{Region, World};
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Queue { delay_secs: u32 }
//!
//! const QUEUES: Collection<(String,), Queue> = Collection::new("queues");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), StoreError> {
//! let store = Store::memory(fractus_clock::Clocks::default());
//! let scope = Scope::regional(&World::default_world(), &Region::us_east_1());
//! store.write(|tx| tx.put(&QUEUES, &scope, &("jobs",), &Queue { delay_secs: 5 })).await?;
//! let names = store
//!     .read(|snap| {
//!         let keys = snap.keys(&QUEUES, &scope, Range::starts_with(&("jo",)), Order::Ascending)?;
//!         keys.collect::<Result<Vec<_>, StoreError>>()
//!     })
//!     .await?;
//! assert_eq!(names, [("jobs".to_owned(),)]);
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: `key` and `range` (the order), `scope` and `collection` (whole keys), `transaction` (what a closure
//! sees), `decoded` (what is kept decoded), `store` (how it runs), `engine` (where bytes are), `expiry`, `lanes`, `transfer`, `inspect`, and `blobs` with
//! `blob_index`.
//!
//! Left out on purpose: secondary indexes (a service keeps its own collections in the same transaction), queries,
//! change feeds (the bus carries events), migrations of records (fields have names; a new one has a default).

mod allocator;
mod blob_index;
mod blobs;
mod collection;
mod config;
mod decoded;
mod engine;
mod error;
mod expiry;
mod inspect;
mod key;
mod lanes;
mod pack;
mod range;
mod scope;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod transfer;
mod unpack;

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
pub use unpack::UnpackError;
