//! The engines: each gives ordered bytes, snapshots and atomic, serialisable commits, and nothing else. Types, scopes,
//! time-to-live and all that is built of them are written once, above.

pub(crate) mod bulk;
pub(crate) mod disk;
pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod synced;

use std::borrow::Cow;

use crate::error::StoreError;
use crate::range::Order;
use crate::scope::RawKey;

/// The `expires_at` of a record that never expires, in microseconds.
pub(crate) const NEVER: i64 = i64::MAX;

/// A record as an engine gives it.
pub(crate) struct RawRecord<'a> {
    pub(crate) value: Cow<'a, [u8]>,
    /// Microseconds, or [`NEVER`].
    pub(crate) expires_at: i64,
}

/// A record of a scan, with the tuple part of its key.
pub(crate) struct RawItem<'a> {
    pub(crate) tuple: Cow<'a, [u8]>,
    pub(crate) record: RawRecord<'a>,
}

/// A record with its whole key, as lane-wide work sees it.
pub(crate) struct RawEntry {
    pub(crate) key: RawKey,
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at: i64,
}

/// The bounds of a scan inside one space, over encoded tuples: `lower <= tuple < upper`.
pub(crate) struct RawRange<'r> {
    /// The space; its tuple part is empty.
    pub(crate) space: &'r RawKey,
    pub(crate) lower: &'r [u8],
    pub(crate) upper: Option<&'r [u8]>,
    pub(crate) order: Order,
}

/// Where a transaction or snapshot reads, and a transaction writes.
pub(crate) enum Source<'a> {
    MemorySnapshot(memory::Root),
    MemoryTransaction(memory::MemoryTransaction<'a>),
    DiskSnapshot(disk::DiskSnapshot<'a>),
    DiskTransaction(disk::DiskTransaction<'a>),
    Synced(synced::SyncedTransaction<'a>),
    Postgres(postgres::PostgresTransaction<'a>),
}

/// A scan under way. It reads as it is asked, never ahead of need by more than an engine's page.
pub(crate) enum RawScan<'s> {
    Empty,
    Memory(memory::MemoryScan<'s>),
    Disk(disk::DiskScan<'s>),
    Merged(synced::MergedScan<'s>),
    Postgres(postgres::PostgresScan<'s>),
}

impl<'s> Iterator for RawScan<'s> {
    type Item = Result<RawItem<'s>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            RawScan::Empty => None,
            RawScan::Memory(scan) => scan.next().map(Ok),
            RawScan::Disk(scan) => scan.next(),
            RawScan::Merged(scan) => scan.next(),
            RawScan::Postgres(scan) => scan.next(),
        }
    }
}

impl<'a> Source<'a> {
    pub(crate) fn into_postgres(self) -> Option<postgres::PostgresTransaction<'a>> {
        match self {
            Source::Postgres(transaction) => Some(transaction),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &RawKey) -> Result<Option<RawRecord<'_>>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.get(key)),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().get(key)),
            Source::DiskSnapshot(snapshot) => snapshot.reader().get(key),
            Source::DiskTransaction(transaction) => transaction.reader().get(key),
            Source::Synced(transaction) => transaction.get(key),
            Source::Postgres(transaction) => transaction.get(key),
        }
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> Result<RawScan<'_>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.scan(range)),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().scan(range)),
            Source::DiskSnapshot(snapshot) => snapshot.reader().scan(range),
            Source::DiskTransaction(transaction) => transaction.reader().scan(range),
            Source::Synced(transaction) => transaction.scan(range),
            Source::Postgres(transaction) => Ok(transaction.scan(range)),
        }
    }

    /// Writes a record.
    pub(crate) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) -> Result<(), StoreError> {
        match self {
            Source::MemoryTransaction(transaction) => transaction.put(key, value, expires_at),
            Source::DiskTransaction(transaction) => transaction.put(key, value, expires_at)?,
            Source::Synced(transaction) => transaction.put(key, value, expires_at),
            Source::Postgres(transaction) => transaction.put(key, value, expires_at)?,
            Source::MemorySnapshot(_) | Source::DiskSnapshot(_) => return Err(read_only()),
        }
        Ok(())
    }

    /// Removes a record; whether one was there (expired or not) is not told.
    pub(crate) fn delete(&mut self, key: &RawKey) -> Result<(), StoreError> {
        match self {
            Source::MemoryTransaction(transaction) => transaction.delete(key),
            Source::DiskTransaction(transaction) => transaction.delete(key)?,
            Source::Synced(transaction) => transaction.delete(key),
            Source::Postgres(transaction) => transaction.delete(key)?,
            Source::MemorySnapshot(_) | Source::DiskSnapshot(_) => return Err(read_only()),
        }
        Ok(())
    }

    /// The names of the lanes that hold anything, snapshots of lanes included.
    pub(crate) fn lanes(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.lanes()),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().lanes()),
            Source::DiskSnapshot(snapshot) => snapshot.reader().lanes(),
            Source::DiskTransaction(transaction) => transaction.reader().lanes(),
            Source::Synced(transaction) => transaction.reader().lanes(),
            Source::Postgres(transaction) => transaction.lanes(),
        }
    }

    /// Every space that holds anything, in order; the tuple part of each is empty.
    pub(crate) fn spaces(&self) -> Result<Vec<RawKey>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.spaces()),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().spaces()),
            Source::DiskSnapshot(snapshot) => snapshot.reader().spaces(),
            Source::DiskTransaction(transaction) => transaction.reader().spaces(),
            Source::Synced(transaction) => transaction.reader().spaces(),
            Source::Postgres(transaction) => transaction.spaces(),
        }
    }

    /// Up to `limit` records of `lane` that expire at or before `until`, soonest first, with the moment of each.
    pub(crate) fn expiring(&self, lane: &str, until: i64, limit: usize) -> Result<Vec<(i64, RawKey)>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.expiring(lane, until, limit)),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().expiring(lane, until, limit)),
            Source::DiskSnapshot(snapshot) => snapshot.reader().expiring(lane, until, limit),
            Source::DiskTransaction(transaction) => transaction.reader().expiring(lane, until, limit),
            Source::Synced(transaction) => transaction.reader().expiring(lane, until, limit),
            Source::Postgres(transaction) => transaction.expiring(lane, until, limit),
        }
    }

    /// Up to `limit` records whose whole key is greater than `after` (or the first ones), in key order.
    pub(crate) fn entries_after(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        match self {
            Source::MemorySnapshot(root) => Ok(root.entries_after(after, limit)),
            Source::MemoryTransaction(transaction) => Ok(transaction.root().entries_after(after, limit)),
            Source::DiskSnapshot(snapshot) => snapshot.reader().entries_after(after, limit),
            Source::DiskTransaction(transaction) => transaction.reader().entries_after(after, limit),
            Source::Synced(transaction) => transaction.reader().entries_after(after, limit),
            Source::Postgres(transaction) => transaction.entries_after(after, limit),
        }
    }
}

fn read_only() -> StoreError {
    StoreError::engine("store", "a snapshot cannot be written")
}
