//! What two replicas on one PostgreSQL do together while many write the same records. The numbers stand in README.md. Run with
//! `cargo run --release -p fractus-store --features testing --example contention_benchmark -- [clients] [milliseconds]`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{Region, World};
use fractus_clock::{Clocks, Random, Stopwatch};
use fractus_store::{Collection, Scope, Store, StoreConfig, StoreError, Transaction};

const ACCOUNTS: Collection<(u64,), i64> = Collection::new("accounts");
const HEADS: Collection<(u64,), u64> = Collection::new("heads");
const RECORDS: Collection<(u64, u64), Bytes> = Collection::new("records");

/// What one write does, given a random number.
type Case = fn(&mut Transaction<'_>, &Scope, u64) -> Result<(), StoreError>;

fn add(tx: &mut Transaction<'_>, scope: &Scope, account: u64, amount: i64) -> Result<(), StoreError> {
    let balance = tx.get(&ACCOUNTS, scope, &(account,))?.unwrap_or(0);
    tx.put(&ACCOUNTS, scope, &(account,), &(balance + amount))
}

/// A record of a log, whose next place all writers share.
fn append(tx: &mut Transaction<'_>, scope: &Scope) -> Result<(), StoreError> {
    let place = tx.get(&HEADS, scope, &(1,))?.unwrap_or(0);
    tx.put(&RECORDS, scope, &(1, place), &Bytes::from(vec![b'x'; 200]))?;
    tx.put(&HEADS, scope, &(1,), &(place + 1))
}

fn transfer(tx: &mut Transaction<'_>, scope: &Scope, random: u64) -> Result<(), StoreError> {
    add(tx, scope, random % 100, -1)?;
    add(tx, scope, (random / 100) % 100, 1)
}

const CASES: [(&str, Case); 5] = [
    ("a counter of each client's own", |tx, scope, random| add(tx, scope, random, 1)),
    ("one counter", |tx, scope, _| add(tx, scope, 0, 1)),
    ("transfers between 100 accounts", transfer),
    ("the same, and a record of a log", |tx, scope, random| {
        transfer(tx, scope, random)?;
        append(tx, scope)
    }),
    ("a record of a log", |tx, scope, _| append(tx, scope)),
];

async fn open(url: &str, service: &str) -> Store {
    let config = StoreConfig { store: Some(url.to_owned()), ..StoreConfig::default() };
    Store::open(config, service, Clocks::default()).await.unwrap()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap());
    let clients = arguments.next().unwrap_or(64);
    let time = Duration::from_millis(arguments.next().unwrap_or(3_000));
    let url = fractus_store::testing::postgres_url().unwrap();
    let scope = Scope::regional(&World::default_world(), &Region::new("us-east-1").unwrap());
    for (number, (name, case)) in CASES.into_iter().enumerate() {
        let stores = [open(url, &format!("b{number}")).await, open(url, &format!("b{number}")).await];
        let (done, runs, refused) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let watch = Stopwatch::start();
        let tasks = (0..clients).map(|client| {
            let (store, scope) = (stores[client as usize % 2].clone(), scope.clone());
            let (done, runs, refused) = (done.clone(), runs.clone(), refused.clone());
            tokio::spawn(async move {
                let random = Random::system();
                while watch.elapsed() < time {
                    let chosen = if number == 0 { 1_000_000 + client } else { random.below(10_000) };
                    let work = |tx: &mut Transaction<'_>| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        case(tx, &scope, chosen)
                    };
                    match store.write(work).await {
                        Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                        Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                    };
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let (done, runs, refused) = [done, runs, refused].map(|count| count.load(Ordering::Relaxed)).into();
        let rate = done as f64 / watch.elapsed().as_secs_f64();
        println!("{name}: {rate:.0} a second, {:.2} runs each, {refused} refused", runs as f64 / done.max(1) as f64);
    }
}
