//! Two replicas on one store, neither with a lease: nothing is lost, nothing comes twice.

use std::time::Duration;

use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_events_api as api;
use fractus_testkit::{Client, SharedStore, Stack, replica, wait_for};

use crate::support::*;

const START: &str = "2026-01-01T00:00:00Z";
const EACH: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_deliver_fire_archive_and_replay_once() {
    let mut stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .frozen_at(START)
        .start()
        .await;
    let nats = stack.nats().url.clone();
    let clocks = Clocks::default();
    let clock = Clock::frozen_at(Timestamp::parse_date_time(START).unwrap());
    clocks.insert("main", clock.clone());
    for (number, store) in SharedStore::each(&clocks, "events_replicas").iter().enumerate() {
        clock.set(Timestamp::parse_date_time(START).unwrap());
        let start = |host| fractus_events::start(fractus_events::Config::default(), host);
        // Ids that were had before would be taken for what comes twice.
        let seed = 2 * number as u64;
        let one = replica("events", store, &clocks, &nats, seed + 1, start).await;
        let two = replica("events", store, &clocks, &nats, seed + 2, start).await;
        let clients = [&one.url, &two.url].map(|url| Client::new(url.as_str()));
        let queue = queue(&stack, &format!("q{number}")).await;
        events_and_replays(&clients, &clock, &queue).await;
        schedules(&clients, &clock, &queue).await;
        one.stop().await;
        two.stop().await;
    }
}

async fn events_and_replays(clients: &[Client; 2], clock: &Clock, queue: &Queue) {
    put_rule(&clients[0], None, "r", r#"{"source":["my.app"]}"#).await;
    put_targets(&clients[1], None, "r", vec![target("q", &queue.arn)]).await;
    let archive = api::CreateArchiveInput {
        archive_name: "a".into(),
        event_source_arn: "arn:aws:events:us-east-1:000000000000:event-bus/default".into(),
        ..Default::default()
    };
    let archive = clients[0].call(api::CreateArchive, archive).await.unwrap().archive_arn.unwrap();
    let putting = clients.iter().enumerate().map(|(replica, client)| {
        let client = client.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                put(&client, vec![entry(&format!(r#"{{"n":"{replica}/{number}"}}"#)); 2]).await;
            }
        })
    });
    for one in putting.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let count = 2 * clients.len() * EACH;
    assert_eq!(ids(queue, count).await.len(), count);
    let describe = api::DescribeArchiveInput { archive_name: "a".into() };
    let kept = clients[1].call(api::DescribeArchive, describe).await.unwrap();
    assert_eq!(kept.event_count, i64::try_from(count).ok());
    let from = clock.now();
    clock.advance(Duration::from_secs(60));
    let replay = api::StartReplayInput {
        replay_name: "again".into(),
        event_source_arn: archive,
        event_start_time: from,
        event_end_time: clock.now(),
        destination: api::ReplayDestination {
            arn: "arn:aws:events:us-east-1:000000000000:event-bus/default".into(),
            filter_arns: None,
        },
        ..Default::default()
    };
    clients[1].call(api::StartReplay, replay).await.unwrap();
    assert_eq!(ids(queue, count).await.len(), count);
}

/// The different ids of so many events, and no more than those.
async fn ids(queue: &Queue, count: usize) -> Vec<String> {
    let events = queue.bodies(count).await;
    let mut ids: Vec<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

async fn schedules(clients: &[Client; 2], clock: &Clock, queue: &Queue) {
    for (number, client) in clients.iter().cycle().take(6).enumerate() {
        let name = format!("minute-{number}");
        let input = api::PutRuleInput {
            name: name.clone(),
            schedule_expression: Some("rate(1 minute)".into()),
            ..Default::default()
        };
        client.call(api::PutRule, input).await.unwrap();
        put_targets(client, None, &name, vec![target("q", &queue.arn)]).await;
    }
    for _ in 0..20 {
        clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    // Whatever comes twice would be the last to come.
    let mut came = queue.bodies(6 * 20).await;
    let fired: Vec<String> =
        came.drain(..).map(|event| format!("{} {}", event["resources"][0], event["time"])).collect();
    let mut once = fired.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), fired.len());
    put(&clients[0], vec![entry(r#"{"last":true}"#)]).await;
    let last = wait_for("the last", async || Some(queue.receive().await).filter(|more| !more.is_empty())).await;
    assert!(last.len() == 1 && last[0].body.as_ref().unwrap().contains("last"), "{last:?}");
}
