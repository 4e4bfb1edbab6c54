//! kill -9 under write load, again and again on one folder: every acknowledged write is there after it, and no
//! transaction is there by half.
//!
//! The writer is this test binary itself, started again with a folder in its environment.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use fractus_clock::{Clocks, Random};
use fractus_store::{Collection, Durability, Order, Range, Store, StoreConfig, StoreError};

const FOLDER: &str = "FRACTUS_CRASH_FOLDER";
const WRITERS: u64 = 4;

const VALUES: Collection<(u64, u64), Bytes> = Collection::new("values");
const MIRROR: Collection<(u64, u64), u64> = Collection::new("mirror");
const LAST: Collection<(u64,), u64> = Collection::new("last");

async fn open(folder: &Path, durability: Durability) -> Store {
    let config = StoreConfig { data_dir: Some(folder.to_owned()), durability, ..StoreConfig::default() };
    Store::open(config, "crash", Clocks::default()).await.unwrap()
}

fn durability_of(name: &str) -> Durability {
    if name == "full" { Durability::Full } else { Durability::Process }
}

/// One transaction: a value, its mirror, the writer's count; the value before the last hundred goes.
async fn write(store: &Store, writer: u64) -> Result<u64, StoreError> {
    let scope = common::scope();
    store
        .write(|tx| {
            let n = tx.get(&LAST, &scope, &(writer,))?.unwrap_or(0) + 1;
            tx.put(&VALUES, &scope, &(writer, n), &Bytes::from(vec![n as u8; 2_000]))?;
            tx.put(&MIRROR, &scope, &(writer, n), &(n * 7))?;
            if n > 5_000 {
                tx.delete(&VALUES, &scope, &(writer, n - 5_000))?;
                tx.delete(&MIRROR, &scope, &(writer, n - 5_000))?;
            }
            tx.put(&LAST, &scope, &(writer,), &n)?;
            Ok(n)
        })
        .await
}

/// The process that is killed: nothing to do when this runs as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let durability = durability_of(&std::env::var("FRACTUS_CRASH_DURABILITY").unwrap());
    let store = open(Path::new(&folder), durability).await;
    for writer in 0..WRITERS {
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                let n = write(&store, writer).await.unwrap();
                // One small write to a pipe is whole or not at all.
                let line = format!("acknowledged {writer} {n}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                // A write that waits for nobody never gives way by itself.
                tokio::task::yield_now().await;
            }
        });
    }
    // Until the kill.
    std::future::pending::<()>().await;
}

/// Runs the writer, kills it after `acknowledgements`, and gives the last acknowledged count of each writer.
fn run_and_kill(folder: &Path, durability: &str, acknowledgements: u64) -> HashMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env("FRACTUS_CRASH_DURABILITY", durability)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut last = HashMap::new();
    let mut note = |line: &str| {
        let mut words = line.trim_end().split(' ');
        assert_eq!(words.next(), Some("acknowledged"), "{line:?}");
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        last.insert(number(), number());
    };
    let mut line = String::new();
    for _ in 0..acknowledgements {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the writer ended by itself");
        note(&line);
    }
    // SIGKILL, by the pid of the child that was started here.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    rest.lines().for_each(&mut note);
    last
}

async fn check(store: &Store, acknowledged: &HashMap<u64, u64>) {
    let scope = common::scope();
    store
        .read(|snap| {
            for writer in 0..WRITERS {
                let last = snap.get(&LAST, &scope, &(writer,))?.unwrap_or(0);
                let promised = acknowledged.get(&writer).copied().unwrap_or(0);
                assert!(last >= promised, "writer {writer}: {promised} was acknowledged, {last} is there");
                let range = || Range::prefix(&(writer,));
                let values = snap.range(&VALUES, &scope, range(), Order::Ascending)?;
                let mut expected = last.saturating_sub(5_000);
                for value in values {
                    let ((_, n), bytes) = value?;
                    expected += 1;
                    assert_eq!(n, expected, "no gap");
                    assert!(bytes.len() == 2_000 && bytes.iter().all(|byte| *byte == n as u8));
                    assert_eq!(snap.get(&MIRROR, &scope, &(writer, n))?, Some(n * 7), "no half transaction");
                }
                assert_eq!(expected, last);
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

async fn rounds(count: u64, durability: &str, most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let random = Random::seeded(20_260);
    let mut acknowledged = HashMap::new();
    for _ in 0..count {
        acknowledged.extend(run_and_kill(folder.path(), durability, 1 + random.below(most)));
        let store = open(folder.path(), durability_of(durability)).await;
        check(&store, &acknowledged).await;
    }
    assert_eq!(acknowledged.len() as u64, WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing() {
    rounds(50, "process", 800).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_between_syncs_lose_nothing() {
    rounds(10, "full", 60).await;
}
