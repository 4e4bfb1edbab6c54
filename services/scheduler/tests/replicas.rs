//! Two replicas on one store: nothing fires twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::{create, queue, schedule, to_queue};
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_testkit::{Client, SharedStore, Stack, replica};

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
    for (number, store) in SharedStore::each(&clocks, "replicas").iter().enumerate() {
        clock.set(Timestamp::parse_date_time(common::START).unwrap());
        let start = |host| fractus_scheduler::start(fractus_scheduler::Config::default(), host);
        // Ids that were had before would be taken for what comes twice.
        let seed = 2 * number as u64;
        let one = replica("scheduler", store, &clocks, &nats, seed + 1, start).await;
        let two = replica("scheduler", store, &clocks, &nats, seed + 2, start).await;
        let url = queue(&stack, &format!("q{number}"), &[]).await;
        fires_once(&stack, &clock, [&one.url, &two.url], &url, &format!("q{number}")).await;
        one.stop().await;
        two.stop().await;
    }
}

async fn fires_once(stack: &Stack, clock: &Clock, replicas: [&str; 2], url: &str, name: &str) {
    for index in 0..10 {
        // Made at either replica.
        let client = Client::new(replicas[index % 2]);
        let input = format!("{index} <aws.scheduler.scheduled-time>");
        create(&client, schedule(&format!("s{index}"), "cron(* * * * ? *)", to_queue(name, &input))).await;
    }
    for _ in 0..20 {
        clock.advance(Duration::from_secs(120));
        tokio::task::yield_now().await;
    }
    // One at 12:00 and forty minutes after it.
    let mut came = common::bodies(stack, url, 410).await;
    common::nothing_more(stack, url).await;
    assert_eq!(came.len(), 410);
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 410);
}
