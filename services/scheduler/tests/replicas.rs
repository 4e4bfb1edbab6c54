//! Two replicas on one store: nothing fires twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::{create, queue, schedule, to_queue};
use fractus_bus::{Bus, BusConfig};
use fractus_clock::{Clock, Clocks, Random, Timestamp};
use fractus_host::{Host, HostConfig, HostParts, Running, launch};
use fractus_store::Store;
use fractus_testkit::{Client, Stack};

async fn replica(store: &Store, clocks: &Clocks, nats: &str, seed: u64) -> Running {
    let config = HostConfig { log_requests: false, nats_url: Some(nats.to_owned()), ..HostConfig::default() };
    let bus = Bus::connect(BusConfig::new(Some(nats.to_owned()), "scheduler", Random::system().uuid()));
    let parts = HostParts {
        name: "scheduler",
        version: "0",
        config,
        clocks: clocks.clone(),
        random: Random::seeded(seed),
        store: store.clone(),
        bus,
    };
    let host = Host::new(parts);
    let app = fractus_scheduler::start(fractus_scheduler::Config::default(), host.clone()).await.unwrap();
    let running = launch(&host, app).await.unwrap();
    running.ready().await;
    running
}

/// Both look at what is due whenever the clock moves, and neither holds a lease: the transaction alone decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_fires_twice() {
    let mut stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .frozen_at(common::START)
        .start()
        .await;
    let nats = stack.nats().url.clone();
    let clocks = Clocks::default();
    let clock = Clock::frozen_at(Timestamp::parse_date_time(common::START).unwrap());
    clocks.insert("main", clock.clone());
    let store = Store::memory(clocks.clone());
    let (one, two) = (replica(&store, &clocks, &nats, 1).await, replica(&store, &clocks, &nats, 2).await);
    let url = queue(&stack, "q", &[]).await;
    for index in 0..10 {
        // Made at either replica.
        let client = Client::new(if index % 2 == 0 { &one.url } else { &two.url });
        let input = format!("{index} <aws.scheduler.scheduled-time>");
        create(&client, schedule(&format!("s{index}"), "cron(* * * * ? *)", to_queue("q", &input))).await;
    }
    for _ in 0..20 {
        clock.advance(Duration::from_secs(120));
        tokio::task::yield_now().await;
    }
    // One at 12:00 and forty minutes after it.
    let mut came = common::bodies(&stack, &url, 410).await;
    common::nothing_more(&stack, &url).await;
    assert_eq!(came.len(), 410);
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 410);
    one.stop().await;
    two.stop().await;
}
