//! Replicas of one service that share a store, as several processes do.

use std::fmt::Debug;

use fractus_bus::{Bus, BusConfig};
use fractus_clock::{Clocks, Random};
use fractus_host::{App, Host, HostConfig, HostParts, Running, launch};
use fractus_store::{Store, StoreConfig};

/// Where the replicas of a test keep their state: each call of [`SharedStore::open`] is another process's.
pub enum SharedStore {
    Memory(Store),
    Postgres { url: String, table: String },
}

impl SharedStore {
    /// A store in memory, and one in PostgreSQL where this machine has it. `table` is the test's own.
    pub fn each(clocks: &Clocks, table: &str) -> Vec<Self> {
        let mut stores = vec![SharedStore::Memory(Store::memory(clocks.clone()))];
        let table = format!("{table}{}", std::process::id());
        stores.extend(
            fractus_store::testing::postgres_url().map(|url| SharedStore::Postgres { url: url.to_owned(), table }),
        );
        stores
    }

    pub async fn open(&self, clocks: &Clocks) -> Store {
        match self {
            SharedStore::Memory(store) => store.clone(),
            SharedStore::Postgres { url, table } => {
                let config = StoreConfig { store: Some(url.clone()), ..StoreConfig::default() };
                Store::open(config, table, clocks.clone()).await.unwrap()
            }
        }
    }
}

/// Starts a replica that holds no lease: whatever is done once is done once by transactions alone.
///
/// # Panics
/// When it does not start.
pub async fn replica<F, Fut, E>(
    name: &'static str,
    store: &SharedStore,
    clocks: &Clocks,
    nats: &str,
    seed: u64,
    start: F,
) -> Running
where
    F: FnOnce(Host) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Debug,
{
    let config = HostConfig { log_requests: false, nats_url: Some(nats.to_owned()), ..HostConfig::default() };
    let bus = Bus::connect(BusConfig::new(Some(nats.to_owned()), name, Random::system().uuid()));
    let parts = HostParts {
        name,
        version: "0",
        config,
        clocks: clocks.clone(),
        random: Random::seeded(seed),
        store: store.open(clocks).await,
        bus,
    };
    let host = Host::new(parts);
    let app = start(host.clone()).await.unwrap();
    let running = launch(&host, app).await.unwrap();
    running.ready().await;
    running
}
