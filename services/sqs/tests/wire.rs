//! SQS as a caller sees it, over the wire, on a clock that only the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::time::Duration;

use fractus_sqs_api as api;
use fractus_testkit::{Client, Stack, wait_for};
use fractus_wire::{Failure, Protocol};

async fn stack() -> Stack {
    Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await
}

async fn queue(client: &Client, name: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = api::CreateQueueInput { queue_name: name.into(), attributes: Some(attributes), tags: None };
    client.call(api::CreateQueue, input).await.unwrap().queue_url.unwrap()
}

async fn send(client: &Client, url: &str, body: &str) -> api::SendMessageOutput {
    let input = api::SendMessageInput { queue_url: url.into(), message_body: body.into(), ..Default::default() };
    client.call(api::SendMessage, input).await.unwrap()
}

async fn send_fifo(client: &Client, url: &str, group: &str, id: &str, body: &str) -> api::SendMessageOutput {
    let input = api::SendMessageInput {
        queue_url: url.into(),
        message_body: body.into(),
        message_group_id: Some(group.into()),
        message_deduplication_id: Some(id.into()),
        ..Default::default()
    };
    client.call(api::SendMessage, input).await.unwrap()
}

async fn receive(client: &Client, url: &str, max: i32, wait_secs: i32) -> Vec<api::Message> {
    let input = api::ReceiveMessageInput {
        queue_url: url.into(),
        max_number_of_messages: Some(max),
        wait_time_seconds: Some(wait_secs),
        message_system_attribute_names: Some(vec![api::MessageSystemAttributeName::All]),
        ..Default::default()
    };
    client.call(api::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default()
}

fn bodies(messages: &[api::Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.body.as_deref()).collect()
}

async fn attribute(client: &Client, url: &str, name: &str) -> String {
    let input = api::GetQueueAttributesInput { queue_url: url.into(), attribute_names: Some(vec![name.into()]) };
    client.call(api::GetQueueAttributes, input).await.unwrap().attributes.unwrap()[name].clone()
}

#[tokio::test]
async fn a_message_goes_through_its_life() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let url = queue(&client, "q", &[("VisibilityTimeout", "900")]).await;
    assert!(url.ends_with("/000000000000/q"), "{url}");
    let sent = send(&client, &url, "hello").await;
    assert_eq!(sent.md5_of_message_body.as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    let received = receive(&client, &url, 10, 0).await;
    assert_eq!(bodies(&received), ["hello"]);
    assert_eq!(received[0].message_id, sent.message_id);
    assert_eq!(receive(&client, &url, 10, 0).await, []);
    assert_eq!(attribute(&client, &url, "ApproximateNumberOfMessagesNotVisible").await, "1");
    stack.clock().advance(Duration::from_secs(900));
    let again = receive(&client, &url, 10, 0).await;
    assert_eq!(again[0].attributes.as_ref().unwrap()["ApproximateReceiveCount"], "2");
    let delete =
        api::DeleteMessageInput { queue_url: url.clone(), receipt_handle: again[0].receipt_handle.clone().unwrap() };
    client.call(api::DeleteMessage, delete).await.unwrap();
    stack.clock().advance(Duration::from_secs(900));
    assert_eq!(receive(&client, &url, 10, 0).await, []);
}

#[tokio::test]
async fn errors_carry_the_codes_of_the_callers_protocol() {
    let stack = stack().await;
    let missing = || api::GetQueueUrlInput { queue_name: "nope".into(), queue_owner_aws_account_id: None };
    let json = stack.client("sqs").api(&api::MODEL).call(api::GetQueueUrl, missing()).await.unwrap_err();
    assert_eq!((json.status, json.message.as_str()), (400, "The specified queue does not exist."));
    assert_eq!(json.query_code.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    let query = stack.client("sqs").api(&api::MODEL).speaking(Protocol::AwsQuery);
    let error: Failure = query.call(api::GetQueueUrl, missing()).await.unwrap_err();
    assert_eq!(error.code, "AWS.SimpleQueueService.NonExistentQueue");
    let url = queue(&query, "q", &[]).await;
    send(&query, &url, "over query").await;
    assert_eq!(bodies(&receive(&query, &url, 1, 0).await), ["over query"]);
}

#[tokio::test]
async fn a_long_poll_wakes_with_a_send_and_with_the_clock() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let url = queue(&client, "q", &[]).await;
    let waiting = tokio::spawn({
        let (client, url) = (stack.client("sqs").api(&api::MODEL), url.clone());
        async move { receive(&client, &url, 1, 20).await }
    });
    // Whether the receiver waits already or comes later, it gets the message.
    send(&client, &url, "now").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["now"]);
    let delayed = api::SendMessageInput {
        queue_url: url.clone(),
        message_body: "later".into(),
        delay_seconds: Some(10),
        ..Default::default()
    };
    client.call(api::SendMessage, delayed).await.unwrap();
    let waiting = tokio::spawn({
        let (client, url) = (stack.client("sqs").api(&api::MODEL), url.clone());
        async move { receive(&client, &url, 1, 20).await }
    });
    stack.clock().advance(Duration::from_secs(10));
    assert_eq!(bodies(&waiting.await.unwrap()), ["later"]);
}

#[tokio::test]
async fn fifo_deduplicates_and_holds_groups() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let url = queue(&client, "q.fifo", &[("FifoQueue", "true")]).await;
    let first = send_fifo(&client, &url, "a", "1", "one").await;
    let replay = send_fifo(&client, &url, "a", "1", "something else").await;
    assert_eq!((replay.message_id, replay.sequence_number), (first.message_id, first.sequence_number));
    send_fifo(&client, &url, "a", "2", "two").await;
    send_fifo(&client, &url, "b", "3", "three").await;
    let got = receive(&client, &url, 2, 0).await;
    assert_eq!(bodies(&got), ["one", "two"]);
    assert_eq!(bodies(&receive(&client, &url, 10, 0).await), ["three"]);
    send_fifo(&client, &url, "a", "4", "four").await;
    assert_eq!(receive(&client, &url, 10, 0).await, []);
    let handle = got[0].receipt_handle.clone().unwrap();
    client
        .call(api::DeleteMessage, api::DeleteMessageInput { queue_url: url.clone(), receipt_handle: handle })
        .await
        .unwrap();
    assert_eq!(receive(&client, &url, 10, 0).await, [], "two is still in flight");
    stack.clock().advance(Duration::from_secs(30));
    assert_eq!(bodies(&receive(&client, &url, 10, 0).await), ["two", "four", "three"]);
    let expired =
        api::DeleteMessageInput { queue_url: url.clone(), receipt_handle: got[1].receipt_handle.clone().unwrap() };
    let refused = client.call(api::DeleteMessage, expired).await.unwrap_err();
    assert!(refused.message.ends_with("Reason: The receipt handle has expired."), "{}", refused.message);
    stack.clock().advance(Duration::from_secs(300));
    assert_ne!(send_fifo(&client, &url, "a", "1", "one").await.message_id, replay_of(&got));
}

fn replay_of(messages: &[api::Message]) -> Option<String> {
    messages[0].message_id.clone()
}

#[tokio::test]
async fn dead_letters_go_and_come_back_by_a_move_task() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let dead = queue(&client, "dead", &[]).await;
    let dead_arn = attribute(&client, &dead, "QueueArn").await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{dead_arn}","maxReceiveCount":"1"}}"#);
    let url = queue(&client, "q", &[("RedrivePolicy", &policy)]).await;
    send(&client, &url, "poison").await;
    let first = receive(&client, &url, 10, 0).await;
    assert_eq!(bodies(&first), ["poison"]);
    stack.clock().advance(Duration::from_secs(30));
    assert_eq!(receive(&client, &url, 10, 0).await, []);
    assert_eq!(attribute(&client, &dead, "ApproximateNumberOfMessages").await, "1");
    let start = api::StartMessageMoveTaskInput { source_arn: dead_arn.clone(), ..Default::default() };
    client.call(api::StartMessageMoveTask, start).await.unwrap();
    let back = wait_for("the message is back", || async {
        Some(receive(&client, &url, 10, 0).await).filter(|messages| !messages.is_empty())
    })
    .await;
    assert_eq!(bodies(&back), ["poison"]);
    assert_ne!(replay_of(&back), replay_of(&first), "what is moved back is a new message");
    let list = api::ListMessageMoveTasksInput { source_arn: dead_arn, max_results: None };
    let status = wait_for("the task has ended", || async {
        let tasks = client.call(api::ListMessageMoveTasks, list.clone()).await.unwrap().results.unwrap();
        tasks[0].status.clone().filter(|status| status != "RUNNING").map(|status| (status, tasks[0].clone()))
    })
    .await;
    assert_eq!((status.0.as_str(), status.1.approximate_number_of_messages_moved), ("COMPLETED", Some(1)));
}

#[tokio::test]
async fn batches_fail_by_entry_and_as_a_whole() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let url = queue(&client, "q", &[]).await;
    let entry = |id: &str, body: &str, delay: Option<i32>| api::SendMessageBatchRequestEntry {
        id: id.into(),
        message_body: body.into(),
        delay_seconds: delay,
        ..Default::default()
    };
    let send = |entries: Vec<api::SendMessageBatchRequestEntry>| {
        client.call(api::SendMessageBatch, api::SendMessageBatchInput { queue_url: url.clone(), entries })
    };
    let mixed = send(vec![entry("a", "x", None), entry("b", "y", Some(901)), entry("c", "\u{1}", None)]).await.unwrap();
    assert_eq!(mixed.successful.len(), 1);
    let failed: Vec<_> = mixed.failed.iter().map(|entry| (entry.id.as_str(), entry.code.as_str())).collect();
    assert_eq!(failed, [("b", "InvalidParameterValue"), ("c", "InvalidMessageContents")]);
    let code = |failure: Failure| failure.query_code.unwrap_or(failure.code).into_owned();
    let twice = send(vec![entry("a", "x", None), entry("a", "y", None)]).await.unwrap_err();
    assert_eq!(code(twice), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
    assert_eq!(code(send(Vec::new()).await.unwrap_err()), "AWS.SimpleQueueService.EmptyBatchRequest");
    let eleven = (0..11).map(|id| entry(&id.to_string(), "x", None)).collect();
    assert_eq!(code(send(eleven).await.unwrap_err()), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest");
    let large = "x".repeat(600_000);
    let too_long = send(vec![entry("a", &large, None), entry("b", &large, None)]).await.unwrap_err();
    assert_eq!(code(too_long), "AWS.SimpleQueueService.BatchRequestTooLong");
}

#[tokio::test]
async fn purge_empties_at_once_and_only_once_a_minute() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    let url = queue(&client, "q", &[]).await;
    send(&client, &url, "one").await;
    let purge = || client.call(api::PurgeQueue, api::PurgeQueueInput { queue_url: url.clone() });
    purge().await.unwrap();
    assert_eq!(receive(&client, &url, 10, 0).await, []);
    let refused = purge().await.unwrap_err();
    assert_eq!(refused.message, "Only one PurgeQueue operation on q is allowed every 60 seconds.");
    stack.clock().advance(Duration::from_secs(60));
    purge().await.unwrap();
}

#[tokio::test]
async fn lanes_accounts_and_regions_are_apart() {
    let stack = stack().await;
    let own = stack.client("sqs").api(&api::MODEL);
    let url = queue(&own, "q", &[]).await;
    send(&own, &url, "mine").await;
    for other in [
        stack.client("sqs").api(&api::MODEL).in_lane("other"),
        stack.client("sqs").api(&api::MODEL).in_region("eu-west-1"),
        stack.client("sqs").api(&api::MODEL).as_account("111111111111"),
    ] {
        let missing = api::GetQueueUrlInput { queue_name: "q".into(), queue_owner_aws_account_id: None };
        assert!(other.call(api::GetQueueUrl, missing).await.is_err());
    }
    // The account in the URL decides whose queue it is.
    let neighbour = stack.client("sqs").api(&api::MODEL).as_account("111111111111");
    assert_eq!(bodies(&receive(&neighbour, &url, 1, 0).await), ["mine"]);
}

#[tokio::test]
async fn listings_page_without_scanning() {
    let stack = stack().await;
    let client = stack.client("sqs").api(&api::MODEL);
    for name in ["a1", "a2", "a3", "b1"] {
        queue(&client, name, &[]).await;
    }
    let list = |token: Option<String>| {
        let input =
            api::ListQueuesInput { queue_name_prefix: Some("a".into()), next_token: token, max_results: Some(2) };
        client.call(api::ListQueues, input)
    };
    let first = list(None).await.unwrap();
    assert_eq!(first.queue_urls.as_ref().unwrap().len(), 2);
    let second = list(first.next_token).await.unwrap();
    assert!(second.queue_urls.unwrap()[0].ends_with("/a3"));
    assert_eq!(second.next_token, None);
}

#[tokio::test]
async fn everything_is_there_after_a_restart_on_disk() {
    let mut stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .on_disk()
        .start()
        .await;
    let url = queue(&stack.client("sqs").api(&api::MODEL), "q", &[("VisibilityTimeout", "60")]).await;
    send(&stack.client("sqs").api(&api::MODEL), &url, "in flight").await;
    send(&stack.client("sqs").api(&api::MODEL), &url, "waiting").await;
    assert_eq!(receive(&stack.client("sqs").api(&api::MODEL), &url, 1, 0).await.len(), 1);
    stack.restart("sqs").await;
    let client = stack.client("sqs").api(&api::MODEL);
    assert_eq!(bodies(&receive(&client, &url, 10, 0).await), ["waiting"]);
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(receive(&client, &url, 10, 0).await.len(), 2);
}
