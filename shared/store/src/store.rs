//! The store: a handle on one service's state.

use std::sync::Arc;

use fractus_clock::Clocks;

use crate::blobs::Blobs;
use crate::config::StoreConfig;
use crate::engine::Source;
use crate::engine::memory::Memory;
use crate::error::StoreError;
use crate::transaction::{Snapshot, Transaction};

pub(crate) enum Engine {
    Memory(Memory),
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) clocks: Clocks,
    pub(crate) blobs: Blobs,
}

/// One service's state. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Store {
    /// A store in memory, gone with the process.
    pub fn memory(clocks: Clocks) -> Self {
        Store { inner: Arc::new(Inner { engine: Engine::Memory(Memory::default()), clocks, blobs: Blobs::memory() }) }
    }

    /// Opens the store of one service as the configuration says; `service_name` keeps services apart.
    pub async fn open(config: StoreConfig, service_name: &str, clocks: Clocks) -> Result<Self, StoreError> {
        match (&config.data_dir, &config.store) {
            (None, None) => Ok(Self::memory(clocks)),
            _ => Err(StoreError::Config(format!("{service_name}: this engine is not built yet"))),
        }
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
        }
    }

    fn write_in_memory<T, E: From<StoreError>>(
        &self,
        memory: &Memory,
        work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = Transaction::new(Source::MemoryTransaction(memory.begin()), &self.inner.clocks);
        let value = work(&mut transaction)?;
        if let Source::MemoryTransaction(changed) = transaction.into_source() {
            changed.keep();
        }
        Ok(value)
    }

    /// Runs `work` on a snapshot: it sees one moment, holds up nobody, and changes nothing.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnOnce(&Snapshot<'_>) -> Result<T, E>,
    {
        match &self.inner.engine {
            Engine::Memory(memory) => {
                work(&Snapshot::new(Source::MemorySnapshot(memory.snapshot()), &self.inner.clocks))
            }
        }
    }
}
