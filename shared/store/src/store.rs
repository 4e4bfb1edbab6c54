//! The store: a handle on one service's state.

use std::sync::Arc;

use fractus_clock::Clocks;

use crate::blobs::Blobs;
use crate::config::{Durability, StoreConfig};
use crate::decoded::Decoded;
use crate::engine::Source;
use crate::engine::disk::Disk;
use crate::engine::memory::Memory;
use crate::engine::postgres::{ATTEMPTS, Mode, Postgres, PostgresTransaction};
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
        match &self.inner.engine {
            Engine::Memory(memory) => self.write_in_memory(memory, &mut work),
            Engine::Disk(disk) => self.write_on_disk(disk, &mut work),
            Engine::Synced(synced) => {
                let (value, answer) = self.write_synced(synced, &mut work)?;
                if let Some(answer) = answer {
                    synced::answered(answer).await?;
                }
                Ok(value)
            }
            Engine::Postgres(postgres) => self.write_in_postgres(postgres, &mut work).await,
        }
    }

    fn write_in_memory<T, E: From<StoreError>>(
        &self,
        memory: &Memory,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = Transaction::new(Source::MemoryTransaction(memory.begin()), &self.inner);
        let value = work(&mut transaction)?;
        if let Source::MemoryTransaction(changed) = transaction.into_source() {
            changed.keep();
        }
        Ok(value)
    }

    fn write_on_disk<T, E: From<StoreError>>(
        &self,
        disk: &Disk,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let mut transaction = Transaction::new(Source::DiskTransaction(disk.begin()?), &self.inner);
            let value = work(&mut transaction);
            if let Source::DiskTransaction(changed) = transaction.into_source() {
                // A full map shows itself as an error inside the closure, or at the end.
                let room = !changed.is_full();
                if room && (value.is_err() || changed.commit()?) {
                    return value;
                }
            }
            disk.grow()?;
        }
    }

    /// Like [`Self::write`], for work that walks spaces and whole keys: it sees everything, what waits for the disk too.
    pub(crate) async fn write_alone<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut Transaction<'_>) -> Result<T, E>,
    {
        match &self.inner.engine {
            Engine::Synced(synced) => {
                let _alone = synced.alone();
                self.write_on_disk(synced.disk(), &mut work)
            }
            _ => self.write(work).await,
        }
    }

    fn write_synced<T, E: From<StoreError>>(
        &self,
        synced: &Synced,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<(T, Option<synced::Receiver>), E> {
        let mut transaction = Transaction::new(Source::Synced(synced.begin()?), &self.inner);
        let value = work(&mut transaction)?;
        match transaction.into_source() {
            Source::Synced(changed) => Ok((value, changed.queue())),
            _ => Ok((value, None)),
        }
    }

    async fn write_in_postgres<T, E: From<StoreError>>(
        &self,
        postgres: &Postgres,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        for attempt in 0..ATTEMPTS {
            let transaction = postgres.begin(Mode::Write).await?;
            let (value, transaction) = self.run(transaction, work);
            if let Some(transaction) = transaction {
                // A conflict shows itself as an error inside the closure, or at the end.
                if transaction.is_in_conflict() {
                    transaction.roll_back().await;
                } else if value.is_err() {
                    transaction.roll_back().await;
                    return value;
                } else if transaction.commit().await? {
                    return value;
                }
            }
            postgres.back_off(attempt).await;
        }
        Err(StoreError::Conflict { attempts: ATTEMPTS }.into())
    }

    fn run<'p, T, E>(
        &'p self,
        transaction: PostgresTransaction<'p>,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> (Result<T, E>, Option<PostgresTransaction<'p>>) {
        let mut transaction = Transaction::new(Source::Postgres(transaction), &self.inner);
        let value = work(&mut transaction);
        (value, transaction.into_source().into_postgres())
    }

    /// Runs `work` on a snapshot: it sees one moment, holds up nobody, and changes nothing.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnOnce(&Snapshot<'_>) -> Result<T, E>,
    {
        match &self.inner.engine {
            Engine::Memory(memory) => work(&Snapshot::new(Source::MemorySnapshot(memory.snapshot()), &self.inner)),
            Engine::Disk(disk) => work(&Snapshot::new(Source::DiskSnapshot(disk.snapshot()?), &self.inner)),
            Engine::Synced(synced) => {
                work(&Snapshot::new(Source::DiskSnapshot(synced.disk().snapshot()?), &self.inner))
            }
            Engine::Postgres(postgres) => {
                let transaction = postgres.begin(Mode::Read).await?;
                let (value, transaction) = self.look(transaction, work);
                if let Some(transaction) = transaction {
                    transaction.roll_back().await;
                }
                value
            }
        }
    }

    fn look<'p, T, E>(
        &'p self,
        transaction: PostgresTransaction<'p>,
        work: impl FnOnce(&Snapshot<'_>) -> Result<T, E>,
    ) -> (Result<T, E>, Option<PostgresTransaction<'p>>) {
        let snapshot = Snapshot::new(Source::Postgres(transaction), &self.inner);
        let value = work(&snapshot);
        (value, snapshot.source.into_postgres())
    }
}
