//! Group commit: the disk engine with `durability = "full"`.
//!
//! A sync of the disk takes milliseconds, so transactions do not each wait for their own. A closure reads the disk's
//! newest state with what waits on top, and what it writes joins what waits. One thread takes all that has gathered,
//! commits it as one LMDB transaction with its sync, and then answers everyone who was in it. No lock is held
//! meanwhile: the next closures run and gather. Readers' snapshots see the disk, which has all that was answered.

use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;
use std::thread::JoinHandle;

use imbl::OrdMap;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::disk::{Disk, DiskScan, DiskSnapshot, Reader, split};
use super::{RawItem, RawRange, RawRecord, RawScan};
use crate::error::StoreError;
use crate::key::KeyBytes;
use crate::range::{Order, successor};
use crate::scope::RawKey;

/// A write that is not on the disk yet; `None` deletes.
#[derive(Clone)]
struct Waiting {
    sequence: u64,
    stored: Option<Arc<[u8]>>,
}

type Answer = Result<(), Failed>;
/// Where the answer of a commit comes.
pub(crate) type Receiver = oneshot::Receiver<Answer>;

/// Why a commit failed, for everyone who was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    NoRoom,
    Other(Arc<str>),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoRoom => Failed::NoRoom,
            other => Failed::Other(other.to_string().into()),
        }
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NoRoom => StoreError::NoRoom,
            Failed::Other(reason) => broken(reason),
        }
    }
}

#[derive(Default)]
struct State {
    /// The newest waiting write of each key: gathering or being committed.
    waiting: OrdMap<KeyBytes, Waiting>,
    batch: Vec<(KeyBytes, Waiting)>,
    askers: Vec<oneshot::Sender<Answer>>,
    sequence: u64,
    committing: bool,
    stop: bool,
    /// How many commits found no room. What was read before one may build on what it did not keep.
    failures: u64,
    /// A commit failed, and not for want of room: what the disk holds is not known, and nothing more is taken.
    failed: Option<Failed>,
}

impl State {
    /// Forgets all that waits, since what came after the failed commit may build on it; gives those who wait for it.
    fn give_up(&mut self, failed: &Failed) -> Vec<oneshot::Sender<Answer>> {
        self.waiting.clear();
        self.batch.clear();
        self.failures += 1;
        if let Failed::Other(_) = failed {
            self.failed = Some(failed.clone());
        }
        std::mem::take(&mut self.askers)
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct Synced {
    disk: Arc<Disk>,
    shared: Arc<Shared>,
    /// Held while a closure runs: they run one after the other.
    serial: Mutex<()>,
    committer: Option<JoinHandle<()>>,
}

fn broken(reason: impl std::fmt::Display) -> StoreError {
    StoreError::engine("disk", reason)
}

impl Synced {
    pub(crate) fn new(disk: Disk) -> Result<Self, StoreError> {
        let (disk, shared) = (Arc::new(disk), Arc::new(Shared::default()));
        let work = {
            let (disk, shared) = (disk.clone(), shared.clone());
            move || commit_all(&disk, &shared)
        };
        let committer = std::thread::Builder::new().name("store-commits".to_owned()).spawn(work)?;
        Ok(Synced { disk, shared, serial: Mutex::new(()), committer: Some(committer) })
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) fn begin(&self) -> Result<SyncedTransaction<'_>, StoreError> {
        let serial = self.serial.lock();
        let mut state = self.shared.state.lock();
        if let Some(failed) = &state.failed {
            return Err(failed.clone().into());
        }
        state.sequence += 1;
        let failures = state.failures;
        // Taken together: what leaves the waiting is on the disk that is read.
        let (waiting, sequence, snapshot) = (state.waiting.clone(), state.sequence, self.disk.snapshot()?);
        drop(state);
        Ok(SyncedTransaction {
            snapshot,
            waiting,
            sequence,
            failures,
            written: Vec::new(),
            shared: &self.shared,
            _serial: serial,
        })
    }

    /// Keeps closures out and waits until nothing waits: for work that uses the disk's own transactions.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        let serial = self.serial.lock();
        let mut state = self.shared.state.lock();
        self.shared.changed.wait_while(&mut state, |state| state.committing || !state.batch.is_empty());
        serial
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the thread that commits has panicked");
        }
    }
}

fn commit_all(disk: &Disk, shared: &Shared) {
    loop {
        let mut state = shared.state.lock();
        shared.changed.wait_while(&mut state, |state| state.batch.is_empty() && !state.stop);
        if state.batch.is_empty() {
            return;
        }
        let (batch, mut askers) = (std::mem::take(&mut state.batch), std::mem::take(&mut state.askers));
        state.committing = true;
        drop(state);
        let answer = commit(disk, &batch).map_err(Failed::from);
        let mut state = shared.state.lock();
        for (key, write) in &batch {
            if state.waiting.get(&key[..]).is_some_and(|newest| newest.sequence == write.sequence) {
                state.waiting.remove(&key[..]);
            }
        }
        if let Err(failed) = &answer {
            askers.append(&mut state.give_up(failed));
        }
        state.committing = false;
        drop(state);
        shared.changed.notify_all();
        for asker in askers {
            // Whoever no longer waits for the answer has lost nothing but the answer.
            let _ = asker.send(answer.clone());
        }
    }
}

/// Commits a batch with its sync, growing the map where it must.
fn commit(disk: &Disk, batch: &[(KeyBytes, Waiting)]) -> Result<(), StoreError> {
    loop {
        let mut transaction = disk.begin()?;
        let written = batch.iter().try_for_each(|(key, write)| {
            let key = RawKey::parse(key).ok_or_else(|| broken("a key of no known form"))?;
            match &write.stored {
                Some(stored) => {
                    let record = split(stored)?;
                    transaction.put(&key, &record.value, record.expires_at)
                }
                None => transaction.delete(&key),
            }
        });
        if !transaction.is_full() {
            written?;
            if transaction.commit()? {
                return Ok(());
            }
        } else {
            drop(transaction);
        }
        disk.grow()?;
    }
}

/// A write transaction that reads the disk and what waits, and gathers its own writes on a copy of that.
pub(crate) struct SyncedTransaction<'a> {
    snapshot: DiskSnapshot<'a>,
    waiting: OrdMap<KeyBytes, Waiting>,
    sequence: u64,
    failures: u64,
    written: Vec<KeyBytes>,
    shared: &'a Shared,
    _serial: MutexGuard<'a, ()>,
}

impl SyncedTransaction<'_> {
    /// The disk alone, without what waits: for lists of what is due or present, which are looked at again.
    pub(crate) fn reader(&self) -> Reader<'_> {
        self.snapshot.reader()
    }

    pub(crate) fn get(&self, key: &RawKey) -> Result<Option<RawRecord<'_>>, StoreError> {
        match self.waiting.get(&key.bytes[..]) {
            Some(Waiting { stored, .. }) => stored.as_deref().map(split).transpose(),
            None => self.reader().get(key),
        }
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> Result<RawScan<'_>, StoreError> {
        let disk = self.reader().disk_scan(range)?;
        let lower = range.space.with_tuple(range.lower);
        let upper = match range.upper {
            Some(upper) => Some(range.space.with_tuple(upper)),
            None => successor(range.space.bytes.clone()),
        };
        let upper = upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let waiting = self.waiting.range::<_, [u8]>((Bound::Included(&lower[..]), upper));
        let waiting: Box<dyn Iterator<Item = _>> = match range.order {
            Order::Ascending => Box::new(waiting),
            Order::Descending => Box::new(waiting.rev()),
        };
        let skip = range.space.bytes.len();
        Ok(RawScan::Merged(MergedScan { disk: disk.peekable(), waiting: waiting.peekable(), order: range.order, skip }))
    }

    pub(crate) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) {
        let stored = [&expires_at.to_le_bytes(), value].concat().into();
        self.change(key, Some(stored));
    }

    pub(crate) fn delete(&mut self, key: &RawKey) {
        self.change(key, None);
    }

    fn change(&mut self, key: &RawKey, stored: Option<Arc<[u8]>>) {
        self.waiting.insert(key.bytes.clone(), Waiting { sequence: self.sequence, stored });
        self.written.push(key.bytes.clone());
    }

    /// Joins what waits. The answer comes when it is on the disk; `None` if there is nothing to wait for.
    pub(crate) fn queue(self) -> Option<Receiver> {
        let SyncedTransaction { snapshot, waiting, written, shared, failures, _serial, .. } = self;
        drop(snapshot);
        if written.is_empty() {
            return None;
        }
        let (asker, answer) = oneshot::channel();
        let mut state = shared.state.lock();
        if state.failures != failures {
            let failed = state.failed.clone().unwrap_or(Failed::NoRoom);
            // The receiver is here, so it cannot be gone.
            let _ = asker.send(Err(failed));
            return Some(answer);
        }
        for key in written {
            if let Some(write) = waiting.get(&key[..]) {
                state.waiting.insert(key.clone(), write.clone());
                state.batch.push((key, write.clone()));
            }
        }
        state.askers.push(asker);
        drop(state);
        shared.changed.notify_all();
        Some(answer)
    }
}

/// Waits for the answer of [`SyncedTransaction::queue`].
pub(crate) async fn answered(answer: Receiver) -> Result<(), StoreError> {
    Ok(answer.await.map_err(broken)??)
}

type WaitingScan<'s> = Box<dyn Iterator<Item = (&'s KeyBytes, &'s Waiting)> + 's>;

/// The disk's records and the waiting ones in one order; of the same key the waiting one counts.
pub(crate) struct MergedScan<'s> {
    disk: Peekable<DiskScan<'s>>,
    waiting: Peekable<WaitingScan<'s>>,
    order: Order,
    skip: usize,
}

impl<'s> Iterator for MergedScan<'s> {
    type Item = Result<RawItem<'s>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let waiting = self.waiting.peek().map(|(key, _)| &key[self.skip..]);
            let first = match (self.disk.peek(), waiting) {
                (None | Some(Err(_)), None) | (Some(Err(_)), Some(_)) => return self.disk.next(),
                (Some(Ok(_)), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(Ok(item)), Some(waiting)) => match self.order {
                    Order::Ascending => item.tuple[..].cmp(waiting),
                    Order::Descending => waiting.cmp(&item.tuple[..]),
                },
            };
            if first.is_lt() {
                return self.disk.next();
            }
            if first.is_eq() {
                self.disk.next();
            }
            let (key, write) = self.waiting.next()?;
            if let Some(stored) = &write.stored {
                let tuple = std::borrow::Cow::Borrowed(&key[self.skip..]);
                return Some(split(stored).map(|record| RawItem { tuple, record }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;
    use crate::engine::NEVER;
    use crate::scope::Scope;

    /// Fifty transactions that come while the disk is busy are two commits at most, not fifty.
    #[test]
    fn what_gathers_while_the_disk_is_busy_is_committed_together() {
        let folder = tempfile::tempdir().unwrap();
        let synced = Synced::new(Disk::open(folder.path(), Durability::Full).unwrap()).unwrap();
        let mut space = Scope::raw("main", "aws", "", "").space("values");
        space.bytes.push(b'k');
        let before = synced.disk.commits();
        // LMDB has one writer: while this transaction is open, no commit can begin.
        let busy = synced.disk.begin().unwrap();
        let mut answers = Vec::new();
        for n in 0..50u8 {
            let mut transaction = synced.begin().unwrap();
            let last = transaction.get(&space).unwrap().map(|record| record.value.to_vec());
            assert_eq!(last, n.checked_sub(1).map(|last| vec![last]), "the one before is seen at once");
            transaction.put(&space, &[n], NEVER);
            answers.extend(transaction.queue());
        }
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "nobody is answered before the sync");
        drop(busy);
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap(), Ok(()));
        }
        assert!((1..=2).contains(&(synced.disk.commits() - before)));
        let stored = synced.disk.snapshot().unwrap();
        assert_eq!(stored.reader().get(&space).unwrap().unwrap().value[..], [49]);
    }

    /// What came after a commit that found no room may build on it, so it is refused with it; later ones begin anew.
    #[test]
    fn a_commit_without_room_takes_with_it_what_came_after() {
        let folder = tempfile::tempdir().unwrap();
        let synced = Synced::new(Disk::open(folder.path(), Durability::Full).unwrap()).unwrap();
        let mut space = Scope::raw("main", "aws", "", "").space("values");
        space.bytes.push(b'k');
        let busy = synced.disk.begin().unwrap();
        let mut first = synced.begin().unwrap();
        first.put(&space, &[1], NEVER);
        let mut answer = first.queue().unwrap();
        let mut after = synced.begin().unwrap();
        after.put(&space, &[2], NEVER);
        for asker in synced.shared.state.lock().give_up(&Failed::NoRoom) {
            asker.send(Err(Failed::NoRoom)).unwrap();
        }
        // The first may have been taken by the thread that commits already; then its answer comes from there.
        assert!(matches!(answer.try_recv(), Ok(Err(Failed::NoRoom)) | Err(oneshot::error::TryRecvError::Empty)));
        assert_eq!(after.queue().unwrap().blocking_recv().unwrap(), Err(Failed::NoRoom));
        drop(busy);
        let mut later = synced.begin().unwrap();
        later.put(&space, &[3], NEVER);
        assert_eq!(later.queue().unwrap().blocking_recv().unwrap(), Ok(()));
        let stored = synced.disk.snapshot().unwrap();
        assert_eq!(stored.reader().get(&space).unwrap().unwrap().value[..], [3]);
    }
}
