//! The clocks of a program that nobody's launcher has started: who moves one at its admin endpoint moves it for all that are on
//! the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use common::{bodies, create, get, queue, schedule, to_queue};
use fractus_scheduler_api as api;
use fractus_testkit::{Program, Stack, wait_for};
use serde_json::json;

const SCHEDULER: &str = env!("CARGO_BIN_EXE_fractus-scheduler");

#[tokio::test]
async fn a_lone_program_fires_by_its_own_clock_and_takes_the_others_along() {
    let mut stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .start()
        .await;
    let nats = stack.nats().url.clone();
    let program = Program::start(SCHEDULER, &["--nats-url", &nats]).await;
    let client = program.client();
    program.clock(&json!({"action": "freeze", "to": common::START})).await;
    wait_for("SQS has heard of it", async || (stack.clock().now().date_time() == common::START).then_some(())).await;
    let url = queue(&stack, "q", &[]).await;
    let once = api::CreateScheduleInput {
        action_after_completion: Some(api::ActionAfterCompletion::Delete),
        ..schedule("s", "at(2026-11-23T13:00:00)", to_queue("q", "<aws.scheduler.scheduled-time>"))
    };
    create(&client, once).await;
    let made = get(&client, "default", "s").await.unwrap().creation_date.unwrap();
    assert_eq!(made.date_time(), common::START);
    program.clock(&json!({"action": "advance", "seconds": 3_599})).await;
    get(&client, "default", "s").await.unwrap();
    program.clock(&json!({"action": "advance", "seconds": 1})).await;
    assert_eq!(bodies(&stack, &url, 1).await, ["2026-11-23T13:00:00Z"]);
    wait_for("it is completed", async || get(&client, "default", "s").await.err()).await;
}

/// Without a bus nothing is invoked, and what the clock alone decides happens all the same.
#[tokio::test]
async fn a_program_without_a_bus_keeps_time_too() {
    let program = Program::start(SCHEDULER, &[]).await;
    let client = program.client();
    program.clock(&json!({"action": "freeze", "to": common::START})).await;
    common::group(&client, "g").await;
    let delete = api::DeleteScheduleGroupInput { name: "g".to_owned(), client_token: None };
    client.call(api::DeleteScheduleGroup, delete).await.unwrap();
    let found = || {
        let input = api::GetScheduleGroupInput { name: "g".to_owned() };
        client.call(api::GetScheduleGroup, input)
    };
    assert_eq!(found().await.unwrap().state, Some(api::ScheduleGroupState::Deleting));
    program.clock(&json!({"action": "advance", "seconds": 60})).await;
    let gone = wait_for("the group is gone", async || found().await.err()).await;
    assert_eq!(gone.status, 404);
}
