//! The disk engine: LMDB through `heed`, its map written directly (`WRITE_MAP`).
//!
//! Two tables: `records` (whole key: eight bytes of expiry, then the value) and `expiries` (lane, moment, rest of the
//! key: nothing). A commit changes pages that no reader sees and then one root page, all in the shared mapping, which
//! is the kernel's: ending the process at any instruction loses nothing that was acknowledged.
//!
//! The map starts small and grows when it is full. LMDB cannot do that under open transactions, so each transaction
//! holds the gate for reading and growing holds it for writing.
//!
//! Every page of the map has its room on the disk before it is written to: a page that finds none when it is first
//! touched ends the process (SIGBUS), while asking for the room ahead fails like any other call.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoRange, RoRevRange, RoTxn, RwTxn};
use parking_lot::{RwLock, RwLockReadGuard};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{NEVER, RawEntry, RawItem, RawRange, RawRecord, RawScan};
use crate::config::Durability;
use crate::error::StoreError;
use crate::key::{KeyBytes, sortable_i64, take_eight};
use crate::range::{Order, successor};
use crate::scope::RawKey;

/// The size of a new map, and the least that a map grows by.
const FIRST_MAP_BYTES: usize = 1 << 20;
/// The most that a map grows by: up to it, a map doubles.
const MAX_GROWTH_BYTES: usize = 128 << 20;
/// Room for the table of readers, more than `MAX_READERS` take.
const LOCK_FILE_BYTES: u64 = 128 << 10;
const MAX_READERS: u32 = 1024;

type Table = Database<'static, Bytes, Bytes>;

fn failed(error: heed::Error) -> StoreError {
    match error {
        heed::Error::Io(error) => error.into(),
        other => StoreError::engine("disk", other),
    }
}

fn broken(why: &str) -> StoreError {
    StoreError::engine("disk", why)
}

pub(crate) struct Disk {
    env: Env,
    folder: PathBuf,
    tables: Tables,
    gate: RwLock<()>,
}

#[derive(Clone, Copy)]
struct Tables {
    records: Table,
    expiries: Table,
}

impl Disk {
    pub(crate) fn open(folder: &Path, durability: Durability) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder)?;
        let env = open_env(folder, durability)?;
        reserve(&folder.join(DATA_FILE), env.info().map_size as u64)?;
        let transaction = env.write_txn().map_err(failed)?;
        let (records, expiries) = env
            .create_databases_and_commit(transaction, |opener, transaction| {
                let records = opener.create_database::<Bytes, Bytes>(transaction, Some("records"))?;
                let expiries = opener.create_database::<Bytes, Bytes>(transaction, Some("expiries"))?;
                Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit((records, expiries)))
            })
            .map_err(failed)?
            .unwrap_commit();
        Ok(Disk { env, folder: folder.to_owned(), tables: Tables { records, expiries }, gate: RwLock::new(()) })
    }

    pub(crate) fn snapshot(&self) -> Result<DiskSnapshot<'_>, StoreError> {
        let gate = self.gate.read();
        let transaction = self.env.read_txn().map_err(failed)?;
        Ok(DiskSnapshot { transaction, tables: self.tables, _gate: gate })
    }

    pub(crate) fn begin(&self) -> Result<DiskTransaction<'_>, StoreError> {
        let gate = self.gate.read();
        let transaction = self.env.write_txn().map_err(failed)?;
        Ok(DiskTransaction { transaction, tables: self.tables, full: false, scratch: Vec::new(), _gate: gate })
    }

    /// How many commits there have been.
    #[cfg(test)]
    pub(crate) fn commits(&self) -> usize {
        self.env.info().last_txn_id
    }

    /// Makes the map larger, when no transaction is open. Fails with [`StoreError::NoRoom`] where the disk has none.
    #[allow(unsafe_code)]
    pub(crate) fn grow(&self) -> Result<(), StoreError> {
        let _gate = self.gate.write();
        let present = self.env.info().map_size;
        let file = self.folder.join(DATA_FILE);
        let mut larger = present.saturating_add(present.min(MAX_GROWTH_BYTES));
        if let Err(error) = reserve(&file, larger as u64) {
            // A little may be left where much is not.
            larger = present.saturating_add(FIRST_MAP_BYTES);
            reserve(&file, larger as u64).map_err(|_| error)?;
        }
        tracing::debug!(bytes = larger, "the disk store's map grows");
        // Safety: LMDB asks that no transaction of this process is open. Every one holds the gate for reading while
        // it lives, and the gate is held for writing here.
        unsafe { self.env.resize(larger) }.map_err(failed)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // After an orderly end nothing is left to the kernel's good time.
        if let Err(error) = self.env.force_sync() {
            tracing::warn!(%error, "the disk store could not be synced at its end");
        }
    }
}

const DATA_FILE: &str = "data.mdb";
const LOCK_FILE: &str = "lock.mdb";

/// Gives the file's first `bytes` their room on the disk. Where the file system has no such call, room is found as pages
/// are written.
fn reserve(path: &Path, bytes: u64) -> Result<(), StoreError> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

#[allow(unsafe_code)]
fn open_env(folder: &Path, durability: Durability) -> Result<Env, StoreError> {
    let flags = match durability {
        Durability::Process => EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC,
        Durability::Full => EnvFlags::WRITE_MAP,
    };
    // Before LMDB opens it: closing a file gives up the locks that its process has on it.
    reserve(&folder.join(LOCK_FILE), LOCK_FILE_BYTES)?;
    let present = std::fs::metadata(folder.join(DATA_FILE)).map_or(0, |data| data.len());
    let size = usize::try_from(present).unwrap_or(0).max(FIRST_MAP_BYTES).next_multiple_of(FIRST_MAP_BYTES);
    let mut options = EnvOpenOptions::new();
    options.map_size(size).max_dbs(4).max_readers(MAX_READERS);
    // Safety: LMDB asks that nobody else writes the mapped file but through LMDB: it lies in a folder of this store's
    // own. NO_SYNC gives up what a power loss may take, which is what `Durability::Process` says.
    let env = unsafe { options.flags(flags).open(folder) }.map_err(failed)?;
    env.clear_stale_readers().map_err(failed)?;
    Ok(env)
}

/// A record as it is stored: eight bytes of expiry, then the value.
pub(crate) fn split(stored: &[u8]) -> Result<RawRecord<'_>, StoreError> {
    let (expiry, value) = stored.split_first_chunk::<8>().ok_or_else(|| broken("a record cut short"))?;
    Ok(RawRecord { value: Cow::Borrowed(value), expires_at: i64::from_le_bytes(*expiry) })
}

fn expiry_key(key: &RawKey, moment: i64) -> KeyBytes {
    let mut bytes = KeyBytes::from_slice(key.lane());
    bytes.extend_from_slice(&sortable_i64(moment));
    bytes.extend_from_slice(key.after_lane());
    bytes
}

/// Reading, the same in a snapshot and in a transaction.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'t> {
    transaction: &'t RoTxn<'t>,
    tables: Tables,
}

impl<'t> Reader<'t> {
    pub(crate) fn get(self, key: &RawKey) -> Result<Option<RawRecord<'t>>, StoreError> {
        self.tables.records.get(self.transaction, &key.bytes).map_err(failed)?.map(split).transpose()
    }

    pub(crate) fn scan(self, range: &RawRange<'_>) -> Result<RawScan<'t>, StoreError> {
        self.disk_scan(range).map(RawScan::Disk)
    }

    pub(crate) fn disk_scan(self, range: &RawRange<'_>) -> Result<DiskScan<'t>, StoreError> {
        let lower = range.space.with_tuple(range.lower);
        let upper = match range.upper {
            Some(upper) => Some(range.space.with_tuple(upper)),
            None => successor(range.space.bytes.clone()),
        };
        let upper = upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = (Bound::Included(&lower[..]), upper);
        let skip = range.space.bytes.len();
        let records = self.tables.records;
        Ok(match range.order {
            Order::Ascending => DiskScan::Up(records.range(self.transaction, &bounds).map_err(failed)?, skip),
            Order::Descending => DiskScan::Down(records.rev_range(self.transaction, &bounds).map_err(failed)?, skip),
        })
    }

    /// The first key at or after `lower`.
    fn first_key(self, lower: &[u8]) -> Result<Option<&'t [u8]>, StoreError> {
        // LMDB knows no empty key, not even as a bound.
        let lower = if lower.is_empty() { Bound::Unbounded } else { Bound::Included(lower) };
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (lower, Bound::Unbounded);
        let mut range = self.tables.records.range(self.transaction, &bounds).map_err(failed)?;
        Ok(range.next().transpose().map_err(failed)?.map(|(key, _)| key))
    }

    /// Goes from the first key over the first key after each part that `front` names, and so on.
    fn skipping(self, front: impl Fn(&RawKey) -> KeyBytes) -> Result<Vec<RawKey>, StoreError> {
        let mut found = Vec::new();
        let mut lower = Some(KeyBytes::new());
        while let Some(from) = lower {
            let Some(key) = self.first_key(&from)?.and_then(RawKey::parse) else { break };
            lower = successor(front(&key));
            found.push(key);
        }
        Ok(found)
    }

    pub(crate) fn spaces(self) -> Result<Vec<RawKey>, StoreError> {
        let firsts = self.skipping(|key| key.with_tuple(&[]))?;
        Ok(firsts.iter().filter_map(|key| RawKey::parse(&key.with_tuple(&[]))).collect())
    }

    pub(crate) fn lanes(self) -> Result<Vec<String>, StoreError> {
        let firsts = self.skipping(|key| KeyBytes::from_slice(key.lane()))?;
        Ok(firsts.iter().map(|key| key.lane_name().to_owned()).collect())
    }

    pub(crate) fn expiring(self, lane: &str, until: i64, limit: usize) -> Result<Vec<(i64, RawKey)>, StoreError> {
        let mut lane_bytes = KeyBytes::from_slice(lane.as_bytes());
        lane_bytes.push(0);
        let mut upper = lane_bytes.clone();
        upper.extend_from_slice(&sortable_i64(until.saturating_add(1)));
        let bounds = (Bound::Included(&lane_bytes[..]), Bound::Excluded(&upper[..]));
        let range = self.tables.expiries.range(self.transaction, &bounds).map_err(failed)?;
        let mut due = Vec::new();
        for entry in range.take(limit) {
            let (key, _) = entry.map_err(failed)?;
            let mut rest = &key[lane_bytes.len()..];
            let moment = crate::key::from_sortable_i64(
                take_eight(&mut rest).map_err(|error| StoreError::engine("disk", error))?,
            );
            let mut whole = lane_bytes.clone();
            whole.extend_from_slice(rest);
            due.extend(RawKey::parse(&whole).map(|key| (moment, key)));
        }
        Ok(due)
    }

    pub(crate) fn entries_after(self, after: Option<&[u8]>, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (lower, Bound::Unbounded);
        let range = self.tables.records.range(self.transaction, &bounds).map_err(failed)?;
        let mut entries = Vec::new();
        for entry in range.take(limit) {
            let (key, stored) = entry.map_err(failed)?;
            let record = split(stored)?;
            let key = RawKey::parse(key).ok_or_else(|| broken("a key of no known form"))?;
            entries.push(RawEntry { key, value: record.value.into_owned(), expires_at: record.expires_at });
        }
        Ok(entries)
    }
}

pub(crate) struct DiskSnapshot<'a> {
    transaction: RoTxn<'a, heed::WithTls>,
    tables: Tables,
    // After the transaction, so that it is given back after it.
    _gate: RwLockReadGuard<'a, ()>,
}

impl DiskSnapshot<'_> {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { transaction: &self.transaction, tables: self.tables }
    }
}

/// A write transaction: LMDB's own, one at a time. Dropping it undoes it.
pub(crate) struct DiskTransaction<'a> {
    transaction: RwTxn<'a>,
    tables: Tables,
    /// The map was too small for a write: the map is to grow and the closure to run again, whatever it answered.
    full: bool,
    scratch: Vec<u8>,
    _gate: RwLockReadGuard<'a, ()>,
}

impl DiskTransaction<'_> {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { transaction: &self.transaction, tables: self.tables }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) -> Result<(), StoreError> {
        self.forget_expiry(key, expires_at)?;
        if expires_at != NEVER {
            let result = self.tables.expiries.put(&mut self.transaction, &expiry_key(key, expires_at), &[]);
            self.checked(result)?;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&expires_at.to_le_bytes());
        self.scratch.extend_from_slice(value);
        let result = self.tables.records.put(&mut self.transaction, &key.bytes, &self.scratch);
        self.checked(result)
    }

    pub(crate) fn delete(&mut self, key: &RawKey) -> Result<(), StoreError> {
        self.forget_expiry(key, NEVER)?;
        let result = self.tables.records.delete(&mut self.transaction, &key.bytes);
        self.checked(result).map(|_| ())
    }

    /// Takes out the moment that the present record would expire at, unless it is `unless`.
    fn forget_expiry(&mut self, key: &RawKey, unless: i64) -> Result<(), StoreError> {
        let moment = self.reader().get(key)?.map_or(NEVER, |record| record.expires_at);
        if moment != NEVER && moment != unless {
            let result = self.tables.expiries.delete(&mut self.transaction, &expiry_key(key, moment));
            self.checked(result)?;
        }
        Ok(())
    }

    fn checked<T>(&mut self, result: heed::Result<T>) -> Result<T, StoreError> {
        if let Err(heed::Error::Mdb(MdbError::MapFull)) = &result {
            self.full = true;
        }
        result.map_err(failed)
    }

    /// Commits; `false` if the map must grow and all run again.
    pub(crate) fn commit(self) -> Result<bool, StoreError> {
        match self.transaction.commit() {
            Ok(()) => Ok(true),
            Err(heed::Error::Mdb(MdbError::MapFull)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A scan, and how many bytes of each key stand before the tuple.
pub(crate) enum DiskScan<'s> {
    Up(RoRange<'s, Bytes, Bytes>, usize),
    Down(RoRevRange<'s, Bytes, Bytes>, usize),
}

impl<'s> Iterator for DiskScan<'s> {
    type Item = Result<RawItem<'s>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (item, skip) = match self {
            DiskScan::Up(range, skip) => (range.next()?, *skip),
            DiskScan::Down(range, skip) => (range.next()?, *skip),
        };
        Some(item.map_err(failed).and_then(|(key, stored)| {
            let tuple = key.get(skip..).ok_or_else(|| broken("a key cut short"))?;
            Ok(RawItem { tuple: Cow::Borrowed(tuple), record: split(stored)? })
        }))
    }
}
