//! The store: a handle on one service's state.

use std::sync::Arc;

use fractus_clock::Clocks;

use crate::blobs::Blobs;
use crate::config::{Durability, StoreConfig};
use crate::decoded::Decoded;
use crate::engine::Source;
use crate::engine::disk::Disk;
use crate::engine::memory::Memory;
use crate::engine::postgres::{Attempts, Postgres, PostgresTransaction};
use crate::engine::synced::{self, Synced};
use crate::error::StoreError;
use crate::transaction::{Snapshot, Transaction};

pub(crate) enum Engine {
    Memory(Memory),
    Disk(Disk),
    Synced(Synced),
    Postgres(Postgres),
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) clocks: Clocks,
    pub(crate) blobs: Blobs,
    pub(crate) decoded: Decoded,
}

/// One service's state. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Store {
    /// A store in memory, gone with the process.
    pub fn memory(clocks: Clocks) -> Self {
        Self::of(Engine::Memory(Memory::default()), clocks, Blobs::memory())
    }

    fn of(engine: Engine, clocks: Clocks, blobs: Blobs) -> Self {
        Store { inner: Arc::new(Inner { engine, clocks, blobs, decoded: Decoded::default() }) }
    }

    /// Opens the store of one service as the configuration says; `service_name` keeps services apart.
    pub async fn open(config: StoreConfig, service_name: &str, clocks: Clocks) -> Result<Self, StoreError> {
        let folder = config.data_dir.as_ref().map(|data_dir| data_dir.join(service_name));
        let engine = match (&folder, &config.store) {
            (_, Some(url)) => Engine::Postgres(Postgres::open(url, service_name).await?),
            (Some(folder), None) => {
                let disk = Disk::open(&folder.join("records"), config.durability)?;
                match config.durability {
                    Durability::Process => Engine::Disk(disk),
                    Durability::Full => Engine::Synced(Synced::new(disk)?),
                }
            }
            (None, None) => Engine::Memory(Memory::default()),
        };
        let blobs = match (&config.blobs, folder) {
            (Some(url), _) if url.contains("://") => Blobs::remote(url)?,
            (Some(path), _) => Blobs::files(std::path::Path::new(path).join(service_name), config.durability)?,
            (None, Some(folder)) => Blobs::files(folder.join("blobs"), config.durability)?,
            (None, None) => Blobs::memory(),
        };
        Ok(Self::of(engine, clocks, blobs))
    }

    /// The place of large bytes that belongs to this store.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub fn clocks(&self) -> &Clocks {
        &self.inner.clocks
    }

    /// Runs `work` as one atomic, serialisable transaction: what it wrote is kept if it answers `Ok`, and leaves no
    /// trace if it answers `Err` or panics.
    ///
    /// `work` is plain synchronous code, short, and runs again when the engine finds a conflict: it must not do
    /// anything outside the transaction that may not happen twice.
    pub async fn write<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut Transaction<'_>) -> Result<T, E>,
    {
        let mut outcome = None;
        let mut work = |transaction: &mut Transaction<'_>| {
            let value = work(transaction);
            let keeps = value.is_ok();
            outcome = Some(value);
            keeps
        };
        match self.write_here(&mut work)? {
            Written::Done => {}
            Written::Queued(answer) => synced::answered(answer).await?,
            Written::Elsewhere(postgres) => {
                let mut attempts = Attempts::default();
                loop {
                    let transaction = postgres.begin_writing(&attempts).await?;
                    let (keeps, transaction) = self.run(transaction, &mut work);
                    if postgres.settle(transaction, keeps, &mut attempts).await? {
                        break;
                    }
                }
            }
        }
        outcome.unwrap_or_else(|| Err(not_run().into()))
    }

    /// Like [`Self::write`], for work that walks spaces and whole keys: it sees everything, what waits for the disk too.
    pub(crate) async fn write_alone<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut Transaction<'_>) -> Result<T, E>,
    {
        let Engine::Synced(synced) = &self.inner.engine else { return self.write(work).await };
        let mut outcome = None;
        let mut work = |transaction: &mut Transaction<'_>| {
            let value = work(transaction);
            let keeps = value.is_ok();
            outcome = Some(value);
            keeps
        };
        let _alone = synced.alone();
        self.write_on_disk(synced.disk(), &mut work)?;
        outcome.unwrap_or_else(|| Err(not_run().into()))
    }

    /// Writes as far as that needs no waiting.
    fn write_here(&self, work: &mut Work<'_>) -> Result<Written<'_>, StoreError> {
        match &self.inner.engine {
            Engine::Memory(memory) => self.write_in_memory(memory, work),
            Engine::Disk(disk) => self.write_on_disk(disk, work)?,
            Engine::Synced(synced) => return self.write_synced(synced, work),
            Engine::Postgres(postgres) => return Ok(Written::Elsewhere(postgres)),
        }
        Ok(Written::Done)
    }

    fn write_in_memory(&self, memory: &Memory, work: &mut Work<'_>) {
        let mut transaction = Transaction::new(Source::MemoryTransaction(memory.begin()), &self.inner);
        let keeps = work(&mut transaction);
        if let (true, Source::MemoryTransaction(changed)) = (keeps, transaction.into_source()) {
            changed.keep();
        }
    }

    fn write_on_disk(&self, disk: &Disk, work: &mut Work<'_>) -> Result<(), StoreError> {
        loop {
            let mut transaction = Transaction::new(Source::DiskTransaction(disk.begin()?), &self.inner);
            let keeps = work(&mut transaction);
            if let Source::DiskTransaction(changed) = transaction.into_source() {
                // A full map shows itself as an error inside the closure, or at the end.
                let room = !changed.is_full();
                if room && (!keeps || changed.commit()?) {
                    return Ok(());
                }
            }
            disk.grow()?;
        }
    }

    fn write_synced(&self, synced: &Synced, work: &mut Work<'_>) -> Result<Written<'_>, StoreError> {
        let mut transaction = Transaction::new(Source::Synced(synced.begin()?), &self.inner);
        let keeps = work(&mut transaction);
        let answer = match transaction.into_source() {
            Source::Synced(changed) if keeps => changed.queue(),
            _ => None,
        };
        Ok(answer.map_or(Written::Done, Written::Queued))
    }

    fn run<'p>(
        &'p self,
        transaction: PostgresTransaction<'p>,
        work: &mut Work<'_>,
    ) -> (bool, Option<PostgresTransaction<'p>>) {
        let mut transaction = Transaction::new(Source::Postgres(transaction), &self.inner);
        let keeps = work(&mut transaction);
        (keeps, transaction.into_source().into_postgres())
    }

    /// Runs `work` on a snapshot: it sees one moment, holds up nobody, and changes nothing.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnOnce(&Snapshot<'_>) -> Result<T, E>,
    {
        let mut outcome = None;
        let mut work = Some(work);
        let mut look = |snapshot: &Snapshot<'_>| outcome = work.take().map(|work| work(snapshot));
        if let Some(postgres) = self.read_here(&mut look)? {
            let transaction = postgres.begin_reading().await?;
            if let Some(transaction) = self.look(transaction, &mut look) {
                transaction.end().await;
            }
        }
        outcome.unwrap_or_else(|| Err(not_run().into()))
    }

    /// Reads where that needs no waiting; otherwise says where.
    fn read_here(&self, look: &mut Look<'_>) -> Result<Option<&Postgres>, StoreError> {
        let source = match &self.inner.engine {
            Engine::Memory(memory) => Source::MemorySnapshot(memory.snapshot()),
            Engine::Disk(disk) => Source::DiskSnapshot(disk.snapshot()?),
            Engine::Synced(synced) => Source::DiskSnapshot(synced.disk().snapshot()?),
            Engine::Postgres(postgres) => return Ok(Some(postgres)),
        };
        look(&Snapshot::new(source, &self.inner));
        Ok(None)
    }

    fn look<'p>(
        &'p self,
        transaction: PostgresTransaction<'p>,
        look: &mut Look<'_>,
    ) -> Option<PostgresTransaction<'p>> {
        let snapshot = Snapshot::new(Source::Postgres(transaction), &self.inner);
        look(&snapshot);
        snapshot.source.into_postgres()
    }
}

/// A writer's closure without its types, so that what surrounds it is compiled once and not for each of a service's
/// hundreds. It keeps what it came to, and says whether what it wrote is to be kept.
type Work<'w> = dyn FnMut(&mut Transaction<'_>) -> bool + 'w;

/// A reader's closure without its types.
type Look<'w> = dyn FnMut(&Snapshot<'_>) + 'w;

/// How far a write came without waiting.
enum Written<'s> {
    Done,
    /// It is done when this says so.
    Queued(synced::Receiver),
    /// Nothing is done yet.
    Elsewhere(&'s Postgres),
}

fn not_run() -> StoreError {
    StoreError::engine("store", "the transaction was not run")
}
