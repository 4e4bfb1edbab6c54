//! A store of each engine.

#![allow(dead_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_store::{Durability, Scope, Store, StoreConfig};

/// What a test of the suite is given: a fresh store whose `main` lane has a frozen clock.
pub struct Setting {
    pub store: Store,
    pub clock: Clock,
    pub clocks: Clocks,
    /// Kept for its end: the folder goes with it.
    folder: Option<tempfile::TempDir>,
}

fn clocks() -> (Clocks, Clock) {
    let (clocks, clock) = (Clocks::default(), Clock::frozen_at(Timestamp::from_secs(1_000_000)));
    clocks.insert("main", clock.clone());
    (clocks, clock)
}

pub async fn memory() -> Option<Setting> {
    let (clocks, clock) = clocks();
    Some(Setting { store: Store::memory(clocks.clone()), clock, clocks, folder: None })
}

pub async fn disk() -> Option<Setting> {
    on_disk(Durability::Process).await
}

pub async fn synced_disk() -> Option<Setting> {
    on_disk(Durability::Full).await
}

async fn on_disk(durability: Durability) -> Option<Setting> {
    let (clocks, clock) = clocks();
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { data_dir: Some(folder.path().to_owned()), durability, ..StoreConfig::default() };
    let store = Store::open(config, "suite", clocks.clone()).await.unwrap();
    Some(Setting { store, clock, clocks, folder: Some(folder) })
}

pub async fn postgres() -> Option<Setting> {
    static TABLES: AtomicU32 = AtomicU32::new(0);
    let url = fractus_store::testing::postgres_url()?;
    let (clocks, clock) = clocks();
    let config = StoreConfig { store: Some(url.to_owned()), ..StoreConfig::default() };
    // Tests run in processes or threads of their own, on one server: each has a table of its own.
    let service = format!("t{}_{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
    let store = Store::open(config, &service, clocks.clone()).await.unwrap();
    Some(Setting { store, clock, clocks, folder: None })
}

pub fn world() -> World {
    World::default_world()
}

pub fn lane(name: &str) -> Lane {
    Lane::new(name).unwrap()
}

pub fn in_lane(name: &str) -> Scope {
    scope_of(name, "000000000000", "us-east-1")
}

pub fn scope_of(lane_name: &str, account: &str, region: &str) -> Scope {
    let world = World { lane: lane(lane_name), ..world() }.with_account(AccountId::new(account).unwrap());
    Scope::regional(&world, &Region::new(region).unwrap())
}

pub fn scope() -> Scope {
    in_lane("main")
}

/// Makes one test of each engine out of a function that is given a [`Setting`].
#[macro_export]
macro_rules! on_every_engine {
    ($($name:ident),+ $(,)?) => {
        mod memory { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(setting) = $crate::common::memory().await { super::$name(setting).await; }
            }
        )+ }
        mod disk { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(setting) = $crate::common::disk().await { super::$name(setting).await; }
            }
        )+ }
        mod synced_disk { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(setting) = $crate::common::synced_disk().await { super::$name(setting).await; }
            }
        )+ }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(setting) = $crate::common::postgres().await { super::$name(setting).await; }
            }
        )+ }
    };
}
