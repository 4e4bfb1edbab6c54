//! The clocks of a program that nobody's launcher has started: each lane has its own, moved by the admin endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use fractus_sqs_api as api;
use fractus_testkit::{Client, Program};
use serde_json::json;

const SQS: &str = env!("CARGO_BIN_EXE_fractus-sqs");

async fn queue(client: &Client) -> String {
    let input = api::CreateQueueInput { queue_name: "q".into(), ..Default::default() };
    client.call(api::CreateQueue, input).await.unwrap().queue_url.unwrap()
}

async fn received(client: &Client, url: &str) -> usize {
    let input = api::ReceiveMessageInput { queue_url: url.into(), ..Default::default() };
    client.call(api::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default().len()
}

#[tokio::test]
async fn each_lane_of_a_lone_program_has_a_clock_of_its_own() {
    let program = Program::start(SQS, &[]).await;
    let (main, blue) = (program.client(), program.client().in_lane("blue"));
    let mut urls = Vec::new();
    for (lane, client) in [("main", &main), ("blue", &blue)] {
        program.clock(&json!({"lane": lane, "action": "freeze", "to": "2030-01-01T00:00:00Z"})).await;
        let url = queue(client).await;
        let input = api::SendMessageInput {
            queue_url: url.clone(),
            message_body: "late".into(),
            delay_seconds: Some(900),
            ..Default::default()
        };
        client.call(api::SendMessage, input).await.unwrap();
        urls.push(url);
    }
    let moved = program.clock(&json!({"lane": "blue", "action": "advance", "seconds": 899})).await;
    assert_eq!((moved["now"].as_str(), moved["frozen"].as_bool()), (Some("2030-01-01T00:14:59.000Z"), Some(true)));
    assert_eq!(received(&blue, &urls[1]).await, 0);
    program.clock(&json!({"lane": "blue", "action": "advance", "seconds": 1})).await;
    assert_eq!(received(&blue, &urls[1]).await, 1, "its own clock brings it");
    assert_eq!(received(&main, &urls[0]).await, 0, "another lane's does not");
    program.clock(&json!({"lane": "main", "action": "advance", "seconds": 900})).await;
    assert_eq!(received(&main, &urls[0]).await, 1);
}
