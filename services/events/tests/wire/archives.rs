//! Archives and replays.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_testkit::{Client, wait_for};
use serde_json::json;

use crate::support::*;

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";

async fn archive(client: &Client, pattern: Option<&str>, days: i32) -> String {
    let input = api::CreateArchiveInput {
        archive_name: "a".into(),
        event_source_arn: BUS.into(),
        event_pattern: pattern.map(str::to_owned),
        retention_days: Some(days),
        ..Default::default()
    };
    client.call(api::CreateArchive, input).await.unwrap().archive_arn.unwrap()
}

async fn described(client: &Client) -> api::DescribeArchiveOutput {
    client.call(api::DescribeArchive, api::DescribeArchiveInput { archive_name: "a".into() }).await.unwrap()
}

fn replay(name: &str, archive: &str, from: Timestamp, to: Timestamp) -> api::StartReplayInput {
    api::StartReplayInput {
        replay_name: name.into(),
        event_source_arn: archive.into(),
        event_start_time: from,
        event_end_time: to,
        destination: api::ReplayDestination { arn: BUS.into(), filter_arns: None },
        ..Default::default()
    }
}

async fn ended(client: &Client, name: &str) -> api::DescribeReplayOutput {
    wait_for("the replay ends", async || {
        let input = api::DescribeReplayInput { replay_name: name.into() };
        let replay = client.call(api::DescribeReplay, input).await.unwrap();
        let is_over = !matches!(replay.state, Some(api::ReplayState::Starting | api::ReplayState::Running));
        is_over.then_some(replay)
    })
    .await
}

#[tokio::test]
async fn an_archive_keeps_what_matches_for_its_days() {
    let stack = alone().await;
    let client = stack.client("events");
    archive(&client, Some(r#"{"detail":{"keep":[true]}}"#), 2).await;
    put(&client, vec![entry(r#"{"keep":true}"#), entry(r#"{"keep":false}"#)]).await;
    let now = described(&client).await;
    assert_eq!((now.event_count, now.state), (Some(1), Some(api::ArchiveState::Enabled)));
    assert!(now.size_bytes.unwrap() > 100);
    stack.clock().advance(Duration::from_secs(86_400));
    put(&client, vec![entry(r#"{"keep":true}"#)]).await;
    assert_eq!(described(&client).await.event_count, Some(2));
    stack.clock().advance(Duration::from_secs(2 * 86_400));
    assert_eq!(described(&client).await.event_count, Some(1));
    let rule = api::DescribeRuleInput { name: "Events-Archive-a".into(), ..Default::default() };
    let rule = client.call(api::DescribeRule, rule).await.unwrap();
    assert_eq!(rule.managed_by.as_deref(), Some("prod.vhs.events.aws.internal"));
    let disable = api::DisableRuleInput { name: "Events-Archive-a".into(), ..Default::default() };
    assert_eq!(client.call(api::DisableRule, disable).await.unwrap_err().code, "ManagedRuleException");
    client.call(api::DeleteArchive, api::DeleteArchiveInput { archive_name: "a".into() }).await.unwrap();
    let gone = client.call(api::DescribeArchive, api::DescribeArchiveInput { archive_name: "a".into() }).await;
    assert_eq!(gone.unwrap_err().message, "Archive a does not exist.");
}

#[tokio::test]
async fn a_replay_brings_the_events_of_its_window_again() {
    let stack = stack().await;
    let client = stack.client("events");
    let wired = wired(&stack, None, "q").await;
    let other = wired2(&stack).await;
    let archive = archive(&client, None, 0).await;
    for n in 0..250 {
        put(&client, vec![entry(&format!("{{\"n\":{n}}}"))]).await;
        stack.clock().advance(Duration::from_secs(1));
    }
    wired.queue.messages(250).await;
    other.messages(250).await;
    let start = Timestamp::parse_date_time("2026-01-01T00:00:00Z").unwrap();
    let input = api::StartReplayInput {
        destination: api::ReplayDestination { arn: BUS.into(), filter_arns: Some(vec![wired.rule_arn.clone()]) },
        ..replay("one", &archive, start.plus(Duration::from_secs(100)), start.plus(Duration::from_secs(219)))
    };
    let started = client.call(api::StartReplay, input).await.unwrap();
    assert_eq!(started.state, Some(api::ReplayState::Starting));
    let ended = ended(&client, "one").await;
    assert_eq!(ended.state, Some(api::ReplayState::Completed));
    assert_eq!(ended.event_last_replayed_time, Some(start.plus(Duration::from_secs(219))));
    let bodies = wired.queue.bodies(120).await;
    let mut numbers: Vec<i64> = bodies.iter().map(|body| body["detail"]["n"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (100..220).collect::<Vec<_>>());
    assert!(bodies.iter().all(|body| body["replay-name"] == json!("one")));
    // What is replayed is not archived again, and the other rule was not asked.
    assert_eq!(described(&client).await.event_count, Some(250));
    assert!(other.receive().await.is_empty());
}

async fn wired2(stack: &fractus_testkit::Stack) -> Queue {
    wired(stack, None, "other").await.queue
}

#[tokio::test]
async fn replays_are_checked_and_end() {
    let stack = alone().await;
    let client = stack.client("events");
    let arn = archive(&client, None, 0).await;
    let (from, to) = (Timestamp::from_secs(1_000), Timestamp::from_secs(2_000));
    let call = async |input: api::StartReplayInput| client.call(api::StartReplay, input).await;
    let backwards = call(replay("r", &arn, to, from)).await.unwrap_err();
    assert_eq!(
        backwards.message,
        "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
    );
    let unknown = call(replay("r", &arn.replace("/a", "/x"), from, to)).await.unwrap_err();
    assert_eq!(unknown.message, "Parameter EventSourceArn is not valid. Reason: Archive x does not exist.");
    call(replay("r", &arn, from, to)).await.unwrap();
    assert_eq!(call(replay("r", &arn, from, to)).await.unwrap_err().code, "ResourceAlreadyExistsException");
    assert_eq!(ended(&client, "r").await.state, Some(api::ReplayState::Completed));
    let cancel = client.call(api::CancelReplay, api::CancelReplayInput { replay_name: "r".into() }).await.unwrap_err();
    assert_eq!(
        (cancel.code.as_ref(), cancel.message.as_str()),
        ("IllegalStatusException", "Replay r is not in a valid state for this operation.")
    );
}
