//! Endpoints that cannot take a message now, on a clock that only the test moves; and the logs of what became of messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::*;
use fractus_bus::contracts::Delivery;
use fractus_bus::{Bus, BusConfig, ConsumeConfig, Consumption, Outcome};
use fractus_sns_api as api;
use fractus_testkit::{Stack, wait_for};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const DAY: Duration = Duration::from_secs(86_400);

fn down() -> Option<Value> {
    Some(json!({"code": "ServiceUnavailable", "status": 503, "message": "not now"}))
}

async fn wait_until_waiting(stack: &Stack, count: usize) {
    wait_for("deliveries have failed", || async { (stack.count("sns", "retries").await == count).then_some(()) }).await;
}

/// Moves the clock on a second at a time until a queue has got so many messages.
async fn arrive(stack: &Stack, url: &str, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let more = wait_for("messages arrive", || async {
            stack.clock().advance(Duration::from_secs(1));
            let more = try_receive(stack, url).await;
            (!more.is_empty()).then_some(more)
        });
        bodies.extend(more.await.into_iter().filter_map(|message| message.body));
    }
    bodies
}

#[tokio::test]
async fn a_queue_that_is_down_for_a_minute_gets_everything() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, arn) = queue(&stack, "q").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    stack.fail("sqs", "SendMessage", down()).await;
    for number in 0..3 {
        publish(&client, message(&topic, &number.to_string())).await;
    }
    // Three retries come at once; the others wait for the clock, which stands still.
    wait_until_waiting(&stack, 3).await;
    for _ in 0..6 {
        stack.clock().advance(Duration::from_secs(10));
        wait_until_waiting(&stack, 3).await;
    }
    assert!(try_receive(&stack, &url).await.is_empty());
    stack.fail("sqs", "SendMessage", None).await;
    let mut bodies = arrive(&stack, &url, 3).await;
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2"]);
    wait_until_waiting(&stack, 0).await;
}

#[tokio::test]
async fn the_dead_letter_queue_gets_what_was_tried_for_23_days() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (_, arn) = queue(&stack, "q").await;
    let (dead_url, dead) = queue(&stack, "dead").await;
    let policy = format!(r#"{{"deadLetterTargetArn": "{dead}"}}"#);
    subscribe(&client, &topic, "sqs", &arn, &[("RedrivePolicy", &policy), ("RawMessageDelivery", "true")]).await;
    stack.fail("sqs", "SendMessage", down()).await;
    publish(&client, message(&topic, "lost")).await;
    wait_until_waiting(&stack, 1).await;
    stack.clock().advance(DAY * 22);
    wait_until_waiting(&stack, 1).await;
    assert!(try_receive(&stack, &dead_url).await.is_empty());
    stack.clock().advance(DAY * 3);
    assert_eq!(receive(&stack, &dead_url, 1).await[0].body.as_deref(), Some("lost"));
    wait_until_waiting(&stack, 0).await;
}

#[tokio::test]
async fn a_group_of_a_fifo_topic_keeps_its_order_over_failures() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t.fifo", &[("FifoTopic", "true"), ("ContentBasedDeduplication", "true")]).await;
    let (url, arn) = queue(&stack, "q.fifo").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    stack.fail("sqs", "SendMessage", down()).await;
    for number in 0..4 {
        let input = api::PublishInput { message_group_id: Some("g".into()), ..message(&topic, &number.to_string()) };
        publish(&client, input).await;
    }
    stack.clock().advance(Duration::from_secs(60));
    assert!(try_receive(&stack, &url).await.is_empty());
    stack.fail("sqs", "SendMessage", None).await;
    assert_eq!(arrive(&stack, &url, 4).await, ["0", "1", "2", "3"]);
}

/// A service that takes deliveries and tells the test of them.
async fn taker(stack: &mut Stack, service: &str, outcome: Outcome) -> (Consumption, mpsc::UnboundedReceiver<Delivery>) {
    let bus = Bus::connect(BusConfig::new(Some(stack.nats().url.clone()), service, format!("a-{service}")));
    let (taken, deliveries) = mpsc::unbounded_channel();
    let consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        let _ = taken.send(delivery);
        std::future::ready(outcome.clone())
    });
    (consumption, deliveries)
}

async fn line(logs: &mut mpsc::UnboundedReceiver<Delivery>) -> (String, Value) {
    let delivery = tokio::time::timeout(Duration::from_secs(60), logs.recv()).await.unwrap().unwrap();
    assert_eq!(delivery.action, "logs:PutLogEvents");
    (delivery.target.resource.clone(), serde_json::from_str(delivery.body.as_text().unwrap()).unwrap())
}

#[tokio::test]
async fn what_became_of_a_message_is_logged_for_each_protocol() {
    let mut stack = with_queues().await;
    let (_logs, mut logs) = taker(&mut stack, "logs", Outcome::Done).await;
    let refused = Outcome::Refused { code: "ResourceNotFoundException".into(), message: "Function not found".into() };
    let (_functions, mut functions) = taker(&mut stack, "lambda", refused).await;
    let client = client(&stack);
    let role = "arn:aws:iam::000000000000:role/logs";
    let wishes = ["SQS", "Lambda", "Application"].map(|protocol| {
        [
            (format!("{protocol}SuccessFeedbackRoleArn"), role),
            (format!("{protocol}SuccessFeedbackSampleRate"), "100"),
            (format!("{protocol}FailureFeedbackRoleArn"), role),
        ]
    });
    let wishes: Vec<(&str, &str)> = wishes.iter().flatten().map(|(name, value)| (name.as_str(), *value)).collect();
    let topic = topic(&client, "t", &wishes).await;
    let group = format!("log-group:sns/us-east-1/{ACCOUNT}/t");

    // A queue that takes it.
    let (url, arn) = queue(&stack, "q").await;
    let subscription = subscribe(&client, &topic, "sqs", &arn, &[]).await;
    let published = publish(&client, message(&topic, "hello")).await;
    let (name, told) = line(&mut logs).await;
    assert_eq!((name, &told["status"]), (group.clone(), &json!("SUCCESS")));
    assert_eq!(
        told["notification"],
        json!({
            "messageMD5Sum": "5d41402abc4b2a76b9719d911017c592", "messageId": published.message_id, "topicArn": topic,
            "timestamp": "2026-01-01 00:00:00.000",
        })
    );
    let delivery = &told["delivery"];
    assert_eq!((&delivery["destination"], &delivery["statusCode"]), (&json!(arn), &json!(200)));
    assert_eq!((&delivery["attempts"], &delivery["dwellTimeMs"]), (&json!(1), &json!(0)));
    let response: Value = serde_json::from_str(delivery["providerResponse"].as_str().unwrap()).unwrap();
    let got = receive(&stack, &url, 1).await;
    assert_eq!(response["sqsMessageId"], json!(got[0].message_id));

    // One that is gone.
    let gone = api::UnsubscribeInput { subscription_arn: subscription };
    client.call(api::Unsubscribe, gone).await.unwrap();
    let nowhere = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:nowhere");
    let subscription = subscribe(&client, &topic, "sqs", &nowhere, &[]).await;
    publish(&client, message(&topic, "lost")).await;
    let (name, told) = line(&mut logs).await;
    assert_eq!((name, &told["status"]), (format!("{group}/Failure"), &json!("FAILURE")));
    assert_eq!(told["delivery"]["statusCode"], 400);
    let response = told["delivery"]["providerResponse"].as_str().unwrap();
    assert!(response.contains("ErrorCode") && response.contains(r#""sqsRequestId":"Unrecoverable""#), "{response}");
    client.call(api::Unsubscribe, api::UnsubscribeInput { subscription_arn: subscription }).await.unwrap();

    // A function that is not there.
    let function = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:f");
    let subscription = subscribe(&client, &topic, "lambda", &function, &[]).await;
    publish(&client, message(&topic, "run")).await;
    assert_eq!(functions.recv().await.unwrap().action, "lambda:InvokeFunction");
    let (name, told) = line(&mut logs).await;
    assert_eq!((name, &told["delivery"]["destination"]), (format!("{group}/Failure"), &json!(function)));
    let response = told["delivery"]["providerResponse"].as_str().unwrap();
    assert!(response.contains("Function not found") && response.contains("lambdaRequestId"), "{response}");
    client.call(api::Unsubscribe, api::UnsubscribeInput { subscription_arn: subscription }).await.unwrap();

    // A device, of whose messages the topic and the application want to know.
    let attributes =
        [("PlatformCredential", "key"), ("SuccessFeedbackRoleArn", role), ("SuccessFeedbackSampleRate", "100")];
    let input = api::CreatePlatformApplicationInput {
        name: "app".into(),
        platform: "GCM".into(),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
    };
    let application = client.call(api::CreatePlatformApplication, input).await.unwrap();
    let input = api::CreatePlatformEndpointInput {
        platform_application_arn: application.platform_application_arn.unwrap(),
        token: "token".into(),
        ..Default::default()
    };
    let device = client.call(api::CreatePlatformEndpoint, input).await.unwrap().endpoint_arn.unwrap();
    subscribe(&client, &topic, "application", &device, &[]).await;
    publish(&client, message(&topic, "ding")).await;
    let mut told = [line(&mut logs).await, line(&mut logs).await];
    told.sort_by_key(|(name, _)| name.clone());
    let names = told.each_ref().map(|(name, _)| name.as_str());
    assert_eq!(names, [&format!("log-group:sns/us-east-1/{ACCOUNT}/app/GCM/app"), group.as_str()]);
    assert!(told.iter().all(|(_, line)| line["delivery"]["destination"] == json!(device)));
    assert!(told[0].1["notification"].get("topicArn").is_none());
}
