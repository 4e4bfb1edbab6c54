//! Schedules that fire, on a clock that only the test moves, over a bus of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::{
    ROLE, bodies, create, get, group, messages, nothing_more, queue, queue_arn, received, schedule, target, to_queue,
    update, with_bus,
};
use fractus_clock::Timestamp;
use fractus_scheduler_api as api;
use fractus_sqs_api as sqs_api;
use fractus_testkit::{Stack, wait_for};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_cron_fires_at_its_minute_and_not_before() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    let input = "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>";
    let mut berlin = schedule("s", "cron(30 14 * * ? *)", to_queue("q", input));
    berlin.schedule_expression_timezone = Some("Europe/Berlin".to_owned());
    create(&client, berlin).await;
    stack.clock().advance(Duration::from_secs(90 * 60 - 1));
    nothing_more(&stack, &url).await;
    stack.clock().advance(Duration::from_secs(1));
    let expected = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s 2026-11-23T13:30:00Z 1";
    assert_eq!(bodies(&stack, &url, 1).await, [expected]);
    stack.clock().advance(DAY);
    let next = bodies(&stack, &url, 1).await;
    assert!(next[0].contains("2026-11-24T13:30:00Z"), "{next:?}");
}

#[tokio::test]
async fn a_year_is_jumped_over() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let (daily, often) = (queue(&stack, "daily", &[]).await, queue(&stack, "often", &[]).await);
    create(&client, schedule("daily", "cron(0 12 * * ? *)", to_queue("daily", "<aws.scheduler.scheduled-time>"))).await;
    create(&client, schedule("often", "rate(1 minute)", to_queue("often", "<aws.scheduler.scheduled-time>"))).await;
    // Noon it is, and a rate begins at once.
    assert_eq!(bodies(&stack, &often, 1).await, [common::START]);
    assert_eq!(bodies(&stack, &daily, 1).await, [common::START]);
    stack.clock().advance(DAY * 365);
    let mut days = bodies(&stack, &daily, 365).await;
    days.sort();
    assert_eq!((days[0].as_str(), days[364].as_str()), ("2026-11-24T12:00:00Z", "2027-11-23T12:00:00Z"));
    assert_eq!(days.len(), 365);
    days.dedup();
    assert_eq!(days.len(), 365);
    // Of more than a thousand the latest thousand.
    let mut minutes = bodies(&stack, &often, 1_000).await;
    minutes.sort();
    minutes.dedup();
    assert_eq!((minutes.len(), minutes[0].as_str()), (1_000, "2027-11-22T19:21:00Z"));
    assert_eq!(minutes[999], "2027-11-23T12:00:00Z");
    nothing_more(&stack, &often).await;
    stack.clock().advance(MINUTE);
    assert_eq!(bodies(&stack, &often, 1).await, ["2027-11-23T12:01:00Z"]);
}

#[tokio::test]
async fn a_one_time_schedule_is_deleted_when_it_is_completed() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    for (name, completion) in
        [("goes", api::ActionAfterCompletion::Delete), ("stays", api::ActionAfterCompletion::None)]
    {
        let mut once = schedule(name, "at(2026-11-23T13:00:00)", to_queue("q", name));
        once.action_after_completion = Some(completion);
        create(&client, once).await;
    }
    stack.clock().advance(DAY);
    let mut came = bodies(&stack, &url, 2).await;
    came.sort();
    assert_eq!(came, ["goes", "stays"]);
    assert_eq!(get(&client, "default", "goes").await.unwrap_err().status, 404);
    assert_eq!(get(&client, "default", "stays").await.unwrap().state, Some(api::ScheduleState::Enabled));
    stack.clock().advance(DAY);
    nothing_more(&stack, &url).await;
}

#[tokio::test]
async fn dates_state_and_updates_decide_what_fires() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    let start = Timestamp::parse_date_time(common::START).unwrap();
    let mut bounded = schedule("s", "rate(1 hour)", to_queue("q", "<aws.scheduler.scheduled-time>"));
    bounded.start_date = Some(start.plus(MINUTE * 30));
    bounded.end_date = Some(start.plus(MINUTE * 150));
    create(&client, bounded.clone()).await;
    stack.clock().advance(MINUTE * 30);
    assert_eq!(bodies(&stack, &url, 1).await, ["2026-11-23T12:30:00Z"]);
    bounded.state = Some(api::ScheduleState::Disabled);
    // A start in the past is no longer to be given.
    bounded.start_date = None;
    client.call(api::UpdateSchedule, update(bounded.clone())).await.unwrap();
    stack.clock().advance(MINUTE * 60);
    nothing_more(&stack, &url).await;
    bounded.state = None;
    client.call(api::UpdateSchedule, update(bounded)).await.unwrap();
    // It counts from the update that took its start away: 12:30, so 13:30 is now.
    assert_eq!(bodies(&stack, &url, 1).await, ["2026-11-23T13:30:00Z"]);
    stack.clock().advance(DAY);
    // 14:30 is its end.
    assert_eq!(bodies(&stack, &url, 1).await, ["2026-11-23T14:30:00Z"]);
    nothing_more(&stack, &url).await;
}

#[tokio::test]
async fn a_flexible_window_is_kept_and_a_deleted_group_is_silent() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    for index in 0..20 {
        let mut input =
            schedule(&format!("s{index}"), "at(2026-11-23T13:00:00)", to_queue("q", "<aws.scheduler.scheduled-time>"));
        input.flexible_time_window = api::FlexibleTimeWindow {
            mode: api::FlexibleTimeWindowMode::Flexible,
            maximum_window_in_minutes: Some(10),
        };
        create(&client, input).await;
    }
    group(&client, "g").await;
    let silent = api::CreateScheduleInput {
        group_name: Some("g".to_owned()),
        ..schedule("s", "at(2026-11-23T13:00:00)", to_queue("q", "silent"))
    };
    create(&client, silent).await;
    let delete = api::DeleteScheduleGroupInput { name: "g".to_owned(), client_token: None };
    client.call(api::DeleteScheduleGroup, delete).await.unwrap();
    stack.clock().advance(MINUTE * 65);
    let half = bodies(&stack, &url, 1).await;
    // All of the first half are there once something that is sent after them is.
    create(&client, schedule("marker", "at(2026-11-23T13:05:00)", to_queue("q", "marker"))).await;
    let mut early = half;
    while !early.contains(&"marker".to_owned()) {
        early.extend(bodies(&stack, &url, 1).await);
    }
    let early = early.len() - 1;
    assert!((3..18).contains(&early), "{early} of 20 in the first half");
    stack.clock().advance(MINUTE * 5);
    let late = bodies(&stack, &url, 20 - early).await;
    assert!(late.iter().all(|time| time == "2026-11-23T13:00:00Z"), "{late:?}");
    nothing_more(&stack, &url).await;
}

#[tokio::test]
async fn a_fifo_queue_gets_its_group_and_a_schedule_without_input_a_notification() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let fifo = queue(&stack, "q.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]).await;
    let mut grouped = to_queue("q.fifo", "one");
    grouped.sqs_parameters = Some(api::SqsParameters { message_group_id: Some("g1".to_owned()) });
    create(&client, schedule("fifo", "rate(1 day)", grouped)).await;
    let message = messages(&stack, &fifo, 1).await.remove(0);
    assert_eq!(message.attributes.unwrap()["MessageGroupId"], "g1");

    let plain = queue(&stack, "q", &[]).await;
    let arn = create(&client, schedule("plain", "rate(1 day)", target(&queue_arn("q")))).await;
    let body: Value = serde_json::from_str(&bodies(&stack, &plain, 1).await[0]).unwrap();
    assert_eq!((&body["source"], &body["detail-type"]), (&json!("aws.scheduler"), &json!("Scheduled Event")));
    assert_eq!((&body["resources"], &body["time"]), (&json!([arn]), &json!(common::START)));
}

#[tokio::test]
async fn a_universal_target_is_called() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    let input = json!({"QueueUrl": url, "MessageBody": "at <aws.scheduler.scheduled-time>",
        "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "universal"}}});
    let send = api::Target { input: Some(input.to_string()), ..target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage") };
    create(&client, schedule("send", "rate(1 day)", send)).await;
    let message = messages(&stack, &url, 1).await.remove(0);
    assert_eq!(message.body, Some(format!("at {}", common::START)));
    assert_eq!(message.message_attributes.unwrap()["kind"].string_value.as_deref(), Some("universal"));
    // Another operation that changes something: it makes the queue it is asked for.
    let make = api::Target {
        input: Some(json!({"QueueName": "made", "Attributes": {"DelaySeconds": "7"}}).to_string()),
        ..target("arn:aws:scheduler:::aws-sdk:sqs:createQueue")
    };
    create(&client, schedule("make", "at(2026-11-23T12:30:00)", make)).await;
    stack.clock().advance(MINUTE * 30);
    let sqs = stack.client("sqs");
    wait_for("the queue", async || {
        let input = sqs_api::GetQueueUrlInput { queue_name: "made".to_owned(), queue_owner_aws_account_id: None };
        sqs.call(sqs_api::GetQueueUrl, input).await.ok()
    })
    .await;
}

/// The attributes of a letter, as texts.
fn attributes(message: &sqs_api::Message) -> std::collections::BTreeMap<String, String> {
    let attributes = message.message_attributes.clone().unwrap_or_default();
    attributes.into_iter().map(|(name, value)| (name, value.string_value.unwrap_or_default())).collect()
}

fn with_letters(mut target: api::Target, retries: i32) -> api::Target {
    target.dead_letter_config = Some(api::DeadLetterConfig { arn: Some(queue_arn("dead")) });
    target.retry_policy =
        Some(api::RetryPolicy { maximum_retry_attempts: Some(retries), maximum_event_age_in_seconds: Some(3_600) });
    target
}

#[tokio::test]
async fn what_cannot_be_delivered_goes_to_the_dead_letter_queue() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let dead = queue(&stack, "dead", &[]).await;
    let arn = create(&client, schedule("s", "rate(1 day)", with_letters(to_queue("nowhere", "lost"), 3))).await;
    let letter = messages(&stack, &dead, 1).await.remove(0);
    assert_eq!(letter.body.as_deref(), Some("lost"));
    let told = attributes(&letter);
    assert_eq!(told["ERROR_CODE"], "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(told["ERROR_MESSAGE"], "The specified queue does not exist.");
    assert_eq!(
        (told["SCHEDULE_ARN"].as_str(), told["TARGET_ARN"].as_str()),
        (arn.as_str(), queue_arn("nowhere").as_str())
    );
    assert_eq!((told["SCHEDULED_TIME"].as_str(), told["RETRY_ATTEMPTS"].as_str()), (common::START, "0"));
    assert_eq!((told["IS_PAYLOAD_TRUNCATED"].as_str(), told["EXECUTION_ID"].len()), ("false", 16));
    assert!(!told.contains_key("EXHAUSTED_RETRY_CONDITION"), "what is refused is not tried again");
}

fn down() -> Option<Value> {
    Some(json!({"code": "ServiceUnavailable", "status": 503, "message": "not now"}))
}

/// Moves the clock on a second at a time until a queue has got something; how long that took.
async fn wait_by_the_clock(stack: &Stack, url: &str) -> (Vec<sqs_api::Message>, Duration) {
    let mut passed = Duration::ZERO;
    loop {
        assert!(passed < MINUTE * 20, "nothing comes");
        stack.clock().advance(Duration::from_secs(1));
        passed += Duration::from_secs(1);
        fractus_clock::Clock::real().sleep(Duration::from_millis(100)).await;
        let came = received(stack, url).await;
        if !came.is_empty() {
            return (came, passed);
        }
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_by_the_lanes_clock() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let dead = queue(&stack, "dead", &[]).await;
    stack.fail("sqs", "SendMessage", down()).await;
    let url = queue(&stack, "q", &[]).await;
    let input = json!({"QueueUrl": url, "MessageBody": "late"}).to_string();
    let universal = api::Target { input: Some(input), ..target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage") };
    for (name, busy) in [("universal", universal), ("templated", to_queue("q", "late"))] {
        create(&client, schedule(name, "rate(1 day)", with_letters(busy, 2))).await;
        // After the first attempt a second, after the second one two: on a clock that stands still there is no other.
        nothing_more(&stack, &dead).await;
        let (letters, passed) = wait_by_the_clock(&stack, &dead).await;
        assert!(passed >= Duration::from_secs(3));
        let told = attributes(&letters[0]);
        assert_eq!(told["RETRY_ATTEMPTS"], "2");
        assert_eq!(told["EXHAUSTED_RETRY_CONDITION"], "MaximumRetryAttempts");
        assert_eq!((told["ERROR_CODE"].as_str(), told["ERROR_MESSAGE"].as_str()), ("ServiceUnavailable", "not now"));
        assert_eq!(ROLE, get(&client, "default", name).await.unwrap().target.unwrap().role_arn);
    }
}

#[tokio::test]
async fn a_target_that_is_down_is_invoked_when_it_is_back_or_its_time_is_over() {
    let stack = with_bus().await;
    let client = stack.client("scheduler");
    let (url, dead) = (queue(&stack, "q", &[]).await, queue(&stack, "dead", &[]).await);
    stack.fail("sqs", "SendMessage", down()).await;
    create(&client, schedule("patient", "at(2026-11-23T12:00:01)", to_queue("q", "kept"))).await;
    let mut hasty = with_letters(to_queue("q", "lost"), 185);
    if let Some(policy) = &mut hasty.retry_policy {
        policy.maximum_event_age_in_seconds = Some(60);
    }
    create(&client, schedule("hasty", "at(2026-11-23T12:00:01)", hasty)).await;
    let (letters, passed) = wait_by_the_clock(&stack, &dead).await;
    let told = attributes(&letters[0]);
    assert_eq!(letters[0].body.as_deref(), Some("lost"));
    assert_eq!(told["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds");
    assert!(passed <= MINUTE + Duration::from_secs(2), "{passed:?}");
    stack.clock().advance(MINUTE);
    assert!(received(&stack, &url).await.is_empty());
    stack.fail("sqs", "SendMessage", None).await;
    let (came, _) = wait_by_the_clock(&stack, &url).await;
    assert_eq!(came[0].body.as_deref(), Some("kept"));
}

#[tokio::test]
async fn what_is_due_survives_a_restart() {
    let mut stack = common::builder(fractus_scheduler::Config::default()).with_nats().on_disk().start().await;
    let url = queue(&stack, "q", &[]).await;
    create(&stack.client("scheduler"), schedule("s", "at(2026-11-23T13:00:00)", to_queue("q", "late"))).await;
    stack.stop("scheduler").await;
    stack.clock().advance(DAY);
    stack.restart("scheduler").await;
    assert_eq!(bodies(&stack, &url, 1).await, ["late"]);
    stack.restart("scheduler").await;
    nothing_more(&stack, &url).await;
}

/// The index of what is due is the lane's; what a reset of one account leaves in it holds nobody up.
#[tokio::test]
async fn a_reset_account_fires_nothing_and_the_others_go_on() {
    let stack = with_bus().await;
    let url = queue(&stack, "q", &[]).await;
    let (one, other) = (stack.client("scheduler"), stack.client("scheduler").as_account("111111111111"));
    create(&other, schedule("s", "at(2026-11-23T12:59:59)", to_queue("q", "reset"))).await;
    create(&one, schedule("s", "at(2026-11-23T13:00:00)", to_queue("q", "kept"))).await;
    let scope = r#"{"lane": "main", "account": "111111111111"}"#;
    let reset = http::Request::post("/_fractus/reset").body(scope.into()).unwrap();
    assert!(one.send(reset).await.status().is_success());
    assert_eq!(get(&other, "default", "s").await.unwrap_err().status, 404);
    stack.clock().advance(DAY);
    assert_eq!(bodies(&stack, &url, 1).await, ["kept"]);
    nothing_more(&stack, &url).await;
}
