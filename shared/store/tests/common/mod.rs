//! A store of each engine, and a PostgreSQL server of the tests' own.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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
    let url = postgres_url()?;
    let (clocks, clock) = clocks();
    let config = StoreConfig { store: Some(url.to_owned()), ..StoreConfig::default() };
    // Tests run in processes or threads of their own, on one server: each has a table of its own.
    let service = format!("t{}_{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
    let store = Store::open(config, &service, clocks.clone()).await.unwrap();
    Some(Setting { store, clock, clocks, folder: None })
}

/// The server's URL; `None`, with a word, where there is no PostgreSQL on this machine and this is not CI.
fn postgres_url() -> Option<&'static str> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map(|server| server.url.as_str())
}

struct Server {
    url: String,
}

fn binaries() -> Option<PathBuf> {
    if let Ok(folder) = std::env::var("POSTGRES_BIN") {
        return Some(folder.into());
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    versions.into_iter().rev().chain(on_path).find(|folder| folder.join("postgres").exists())
}

impl Server {
    /// Starts a server in a fresh folder on a Unix socket. A small shell outlives this process just long enough to end
    /// the server when this process is gone, however it went.
    fn start() -> Option<Server> {
        if let Ok(url) = std::env::var("FRACTUS_TEST_POSTGRES") {
            return Some(Server { url });
        }
        let Some(binaries) = binaries() else {
            assert!(std::env::var_os("CI").is_none(), "CI must have a PostgreSQL");
            println!("SKIPPED: no PostgreSQL on this machine (looked in /usr/lib/postgresql and PATH)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("fractus-pg").tempdir().unwrap().keep();
        let user = if is_root() { "postgres" } else { "" };
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let folder_text = folder.display();
        let bin = binaries.display();
        let port = 5_432;
        let script = format!(
            "cd {folder_text} && {bin}/initdb -D data -A trust -U fractus --no-sync >log 2>&1 && \
             {{ {bin}/postgres -D data -k {folder_text} -p {port} -c listen_addresses= -c fsync=off \
             -c max_connections=400 >>log 2>&1 & server=$!; read -r _; kill -INT $server; wait $server; cd /; rm -rf {folder_text}; }}"
        );
        let mut command = if user.is_empty() {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script);
            command
        } else {
            let mut command = Command::new("su");
            command.args(["-s", "/bin/sh", user, "-c"]).arg(script);
            command
        };
        // The shell waits for the end of its input: the pipe closes when this process ends, even by a signal.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::mem::forget(child);
        wait_for_server(&binaries, &folder, port);
        Some(Server { url: format!("host={folder_text} port={port} user=fractus dbname=postgres") })
    }
}

fn wait_for_server(binaries: &Path, folder: &Path, port: u16) {
    for _ in 0..600 {
        let ready = Command::new(binaries.join("pg_isready"))
            .args(["-h", &folder.display().to_string(), "-p", &port.to_string(), "-U", "fractus", "-d", "postgres"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ready.is_ok_and(|status| status.success()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    panic!("PostgreSQL did not start: {log}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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
