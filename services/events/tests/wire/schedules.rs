//! Rules on schedules, by the lane's clock.

use std::time::Duration;

use fractus_events_api as api;
use fractus_testkit::Client;
use serde_json::json;

use crate::support::*;

async fn schedule(client: &Client, name: &str, expression: &str) -> String {
    let input =
        api::PutRuleInput { name: name.into(), schedule_expression: Some(expression.into()), ..Default::default() };
    client.call(api::PutRule, input).await.unwrap().rule_arn.unwrap()
}

#[tokio::test]
async fn a_rate_fires_after_each_period() {
    let stack = stack().await;
    let client = stack.client("events");
    let queue = queue(&stack, "q").await;
    let rule = schedule(&client, "every-minute", "rate(1 minute)").await;
    put_targets(&client, None, "every-minute", vec![target("q", &queue.arn)]).await;
    stack.clock().advance(Duration::from_secs(60));
    let event = queue.body().await;
    assert_eq!(
        (&event["source"], &event["detail-type"], &event["detail"], &event["resources"], &event["time"]),
        (&json!("aws.events"), &json!("Scheduled Event"), &json!({}), &json!([rule]), &json!("2026-01-01T00:01:00Z"))
    );
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(queue.body().await["time"], json!("2026-01-01T00:02:00Z"));
}

#[tokio::test]
async fn a_jump_fires_what_was_due_and_not_for_ever() {
    let stack = stack().await;
    let client = stack.client("events");
    let queue = queue(&stack, "q").await;
    schedule(&client, "every-minute", "rate(1 minute)").await;
    put_targets(&client, None, "every-minute", vec![target("q", &queue.arn)]).await;
    stack.clock().advance(Duration::from_secs(5 * 60));
    let mut times: Vec<String> =
        queue.bodies(5).await.iter().map(|event| event["time"].as_str().unwrap().to_owned()).collect();
    times.sort();
    assert_eq!((times[0].as_str(), times[4].as_str()), ("2026-01-01T00:01:00Z", "2026-01-01T00:05:00Z"));
    // A year's worth is bounded, and goes on from now.
    stack.clock().advance(Duration::from_secs(365 * 86_400));
    queue.bodies(100).await;
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(queue.body().await["time"], json!("2027-01-01T00:06:00Z"));
}

#[tokio::test]
async fn cron_and_states() {
    let stack = stack().await;
    let client = stack.client("events");
    let queue = queue(&stack, "q").await;
    schedule(&client, "noon", "cron(0 12 * * ? *)").await;
    put_targets(&client, None, "noon", vec![target("q", &queue.arn)]).await;
    stack.clock().advance(Duration::from_secs(12 * 3_600));
    assert_eq!(queue.body().await["time"], json!("2026-01-01T12:00:00Z"));
    let disable = api::DisableRuleInput { name: "noon".into(), ..Default::default() };
    client.call(api::DisableRule, disable).await.unwrap();
    stack.clock().advance(Duration::from_secs(24 * 3_600));
    let enable = api::EnableRuleInput { name: "noon".into(), ..Default::default() };
    client.call(api::EnableRule, enable).await.unwrap();
    stack.clock().advance(Duration::from_secs(24 * 3_600));
    assert_eq!(queue.body().await["time"], json!("2026-01-03T12:00:00Z"));
}
