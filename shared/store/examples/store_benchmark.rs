//! What a transaction of the store costs, engine by engine, and whether it stays flat as a collection grows. The numbers
//! stand in README.md. Run with
//! `cargo run --release -p fractus-store --example store_benchmark -- [memory|disk|full|blobs] [folder]`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{Region, World};
use fractus_clock::{Clocks, Stopwatch, Timestamp};
use fractus_store::{Blobs, Collection, Durability, Order, Range, Scope, Store, StoreConfig, StoreError};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Message {
    id: String,
    body: String,
    sent_at: Timestamp,
    receives: u32,
    group: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Queue {
    name: String,
    url: String,
    visibility_secs: u32,
    next: u64,
}

const QUEUES: Collection<(String,), Queue> = Collection::new("queues");
const MESSAGES: Collection<(String, Timestamp, u64), Message> = Collection::new("messages");
const RECEIPTS: Collection<(String, u64), Timestamp> = Collection::new("receipts");

fn message(n: u64) -> Message {
    Message {
        id: format!("{n:032x}"),
        body: "a message of a hundred and some bytes, as they are in most tests that anyone has ever written"
            .to_owned(),
        sent_at: Timestamp::from_micros(n as i64),
        receives: 0,
        group: None,
    }
}

fn micros(took: Duration, count: u64) -> f64 {
    took.as_secs_f64() * 1e6 / count as f64
}

/// One get and three puts.
async fn send(store: &Store, scope: &Scope, queue: &str, n: u64) {
    let message = message(n);
    store
        .write(|tx| {
            let Some(mut kept) = tx.get(&QUEUES, scope, &(queue,))? else { return Ok(()) };
            kept.next += 1;
            tx.put(&MESSAGES, scope, &(queue, message.sent_at, n), &message)?;
            tx.put(&RECEIPTS, scope, &(queue, n), &message.sent_at)?;
            tx.put(&QUEUES, scope, &(queue,), &kept)
        })
        .await
        .unwrap();
}

async fn create(store: &Store, scope: &Scope, queue: &str) {
    let value = Queue {
        name: queue.to_owned(),
        url: format!("http://sqs.us-east-1.localhost:4566/000000000000/{queue}"),
        visibility_secs: 30,
        next: 0,
    };
    store.write(|tx| tx.put(&QUEUES, scope, &(queue,), &value)).await.unwrap();
}

async fn first(store: &Store, scope: &Scope, queue: &str) {
    store
        .read(|snap| {
            let found = snap.first(&MESSAGES, scope, Range::prefix(&(queue,)), Order::Ascending)?;
            assert!(found.is_some());
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

/// Takes the first ten and puts them back where they become visible again, as a receive does.
async fn receive(store: &Store, scope: &Scope, queue: &str) {
    store
        .write(|tx| {
            let batch = tx
                .range(&MESSAGES, scope, Range::prefix(&(queue,)), Order::Ascending)?
                .take(10)
                .collect::<Result<Vec<_>, StoreError>>()?;
            for (key, mut value) in batch {
                value.receives += 1;
                tx.delete(&MESSAGES, scope, &key)?;
                tx.put(&MESSAGES, scope, &key, &value)?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

async fn transactions(store: Store, many: u64) {
    let scope = Scope::regional(&World::default_world(), &Region::us_east_1());
    for queue in ["small", "large"] {
        create(&store, &scope, queue).await;
    }
    let watch = Stopwatch::start();
    for n in 0..1_000 {
        send(&store, &scope, "small", n).await;
    }
    println!("send (get and 3 puts) into an empty store: {:.2} us", micros(watch.elapsed(), 1_000));
    let watch = Stopwatch::start();
    for n in 0..many {
        send(&store, &scope, "large", n).await;
    }
    println!("send, on the way to {many}: {:.2} us", micros(watch.elapsed(), many));
    for queue in ["small", "large"] {
        let watch = Stopwatch::start();
        for n in 0..20_000 {
            send(&store, &scope, queue, many + n).await;
        }
        println!("{queue}: send: {:.2} us", micros(watch.elapsed(), 20_000));
        let watch = Stopwatch::start();
        for _ in 0..50_000 {
            first(&store, &scope, queue).await;
        }
        println!("{queue}: snapshot and first of the range: {:.2} us", micros(watch.elapsed(), 50_000));
        let watch = Stopwatch::start();
        for _ in 0..10_000 {
            receive(&store, &scope, queue).await;
        }
        println!("{queue}: receive ten: {:.2} us", micros(watch.elapsed(), 10_000));
    }
    let watch = Stopwatch::start();
    let (main, copy) = (fractus_aws::Lane::main(), fractus_aws::Lane::new("copy").unwrap());
    store.fork(&main, &copy).await.unwrap();
    println!("fork of the lane: {:.1} us", micros(watch.elapsed(), 1));
}

async fn blobs(kind: &str, blobs: Blobs) {
    let chunk = Bytes::from(vec![7u8; 64 * 1024]);
    let count = 50;
    let watch = Stopwatch::start();
    let mut kept = Vec::new();
    for _ in 0..count {
        let mut writer = blobs.writer();
        for _ in 0..128 {
            writer.write(chunk.clone()).await.unwrap();
        }
        kept.push(writer.finish().await.unwrap());
    }
    println!("{kind}: put 8 MiB: {:.0} us", micros(watch.elapsed(), count));
    let watch = Stopwatch::start();
    for blob in &kept {
        let mut stream = blobs.read(blob, 0..u64::MAX);
        while let Some(chunk) = stream.next().await {
            std::hint::black_box(chunk.unwrap().len());
        }
    }
    println!("{kind}: get 8 MiB: {:.0} us", micros(watch.elapsed(), count));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let engine = arguments.next().unwrap_or_else(|| "memory".to_owned());
    let folder = arguments.next().map(std::path::PathBuf::from).unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("fractus-store-benchmark-{}", std::process::id()));
    let open = |durability| {
        let config = StoreConfig { data_dir: Some(folder.clone()), durability, ..StoreConfig::default() };
        Store::open(config, "benchmark", Clocks::default())
    };
    match engine.as_str() {
        "disk" => transactions(open(Durability::Process).await.unwrap(), 1_000_000).await,
        "full" => transactions(open(Durability::Full).await.unwrap(), 1_000).await,
        "blobs" => {
            blobs("memory", Blobs::memory()).await;
            blobs("files", Blobs::files(&folder, Durability::Process).unwrap()).await;
        }
        _ => transactions(Store::memory(Clocks::default()), 1_000_000).await,
    }
    let _ = std::fs::remove_dir_all(&folder);
}
