//! What the wire tests share.
#![allow(dead_code)] // Each test uses its part.

use std::time::Duration;

use fractus_scheduler_api as api;
use fractus_sqs_api as sqs_api;
use fractus_testkit::{Client, Stack, StackBuilder, wait_for};
use fractus_wire::Failure;

pub const START: &str = "2026-11-23T12:00:00Z";
pub const ROLE: &str = "arn:aws:iam::000000000000:role/scheduler";

pub fn builder(config: fractus_scheduler::Config) -> StackBuilder {
    Stack::new()
        .with("scheduler", move |host| fractus_scheduler::start(config.clone(), host))
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .frozen_at(START)
}

/// The scheduler and SQS on a bus of their own.
pub async fn with_bus() -> Stack {
    builder(fractus_scheduler::Config::default()).with_nats().start().await
}

pub async fn alone() -> Stack {
    builder(fractus_scheduler::Config::default()).start().await
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

pub fn to_queue(name: &str, input: &str) -> api::Target {
    api::Target { input: Some(input.to_owned()), ..target(&queue_arn(name)) }
}

pub fn target(arn: &str) -> api::Target {
    api::Target { arn: arn.to_owned(), role_arn: ROLE.to_owned(), ..Default::default() }
}

pub fn schedule(name: &str, expression: &str, target: api::Target) -> api::CreateScheduleInput {
    api::CreateScheduleInput {
        name: name.to_owned(),
        schedule_expression: expression.to_owned(),
        target,
        flexible_time_window: api::FlexibleTimeWindow {
            mode: api::FlexibleTimeWindowMode::Off,
            maximum_window_in_minutes: None,
        },
        ..Default::default()
    }
}

/// The same as an update.
pub fn update(input: api::CreateScheduleInput) -> api::UpdateScheduleInput {
    api::UpdateScheduleInput {
        name: input.name,
        group_name: input.group_name,
        schedule_expression: input.schedule_expression,
        start_date: input.start_date,
        end_date: input.end_date,
        description: input.description,
        schedule_expression_timezone: input.schedule_expression_timezone,
        state: input.state,
        kms_key_arn: input.kms_key_arn,
        target: input.target,
        flexible_time_window: input.flexible_time_window,
        client_token: input.client_token,
        action_after_completion: input.action_after_completion,
    }
}

pub async fn create(client: &Client, input: api::CreateScheduleInput) -> String {
    client.call(api::CreateSchedule, input).await.unwrap().schedule_arn
}

pub async fn refused(client: &Client, input: api::CreateScheduleInput) -> (String, String) {
    let failure: Failure = client.call(api::CreateSchedule, input).await.unwrap_err();
    (failure.code.into_owned(), failure.message)
}

pub async fn get(client: &Client, group: &str, name: &str) -> Result<api::GetScheduleOutput, Failure> {
    let input = api::GetScheduleInput { name: name.to_owned(), group_name: Some(group.to_owned()) };
    client.call(api::GetSchedule, input).await
}

pub async fn group(client: &Client, name: &str) {
    let input = api::CreateScheduleGroupInput { name: name.to_owned(), ..Default::default() };
    client.call(api::CreateScheduleGroup, input).await.unwrap();
}

pub async fn queue(stack: &Stack, name: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = sqs_api::CreateQueueInput { queue_name: name.to_owned(), attributes: Some(attributes), tags: None };
    stack.client("sqs").call(sqs_api::CreateQueue, input).await.unwrap().queue_url.unwrap()
}

/// Receives and deletes what is in a queue.
pub async fn received(stack: &Stack, url: &str) -> Vec<sqs_api::Message> {
    let client = stack.client("sqs");
    let input = sqs_api::ReceiveMessageInput {
        queue_url: url.to_owned(),
        max_number_of_messages: Some(10),
        message_attribute_names: Some(vec!["All".to_owned()]),
        message_system_attribute_names: Some(vec![sqs_api::MessageSystemAttributeName::All]),
        ..Default::default()
    };
    let messages = client.call(sqs_api::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default();
    for message in &messages {
        let receipt_handle = message.receipt_handle.clone().unwrap();
        let input = sqs_api::DeleteMessageInput { queue_url: url.to_owned(), receipt_handle };
        client.call(sqs_api::DeleteMessage, input).await.unwrap();
    }
    messages
}

/// The bodies of the first `count` messages that come.
pub async fn bodies(stack: &Stack, url: &str, count: usize) -> Vec<String> {
    messages(stack, url, count).await.into_iter().map(|message| message.body.unwrap()).collect()
}

pub async fn messages(stack: &Stack, url: &str, count: usize) -> Vec<sqs_api::Message> {
    let mut messages: Vec<sqs_api::Message> = Vec::new();
    while messages.len() < count {
        let more = wait_for("messages", async || {
            let came = received(stack, url).await;
            (!came.is_empty()).then_some(came)
        });
        messages.extend(more.await);
    }
    messages
}

/// That nothing is in the queue once all that was sent has arrived: a message by another way comes after it.
pub async fn nothing_more(stack: &Stack, url: &str) {
    let clock = fractus_clock::Clock::real();
    clock.sleep(Duration::from_millis(300)).await;
    assert_eq!(received(stack, url).await, []);
}
