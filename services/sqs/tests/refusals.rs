//! What SQS refuses, as it stands on the wire: types, codes and statuses of both protocols, quotas, and deliveries that a
//! queue's policy does not allow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Delivery, Source};
use fractus_host::config::AuthMode;
use fractus_sqs::error::Error;
use fractus_sqs::{Config, Sqs, events};
use fractus_sqs_api as api;
use fractus_testkit::Stack;
use http::Request;
use serde_json::json;

async fn stack(config: Config) -> Stack {
    Stack::new()
        .with("sqs", move |host| fractus_sqs::start(config.clone(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await
}

/// Status, `__type` and `x-amzn-query-error` of a JSON answer.
async fn said(stack: &Stack, action: &str, body: serde_json::Value) -> (u16, String, String) {
    let client = stack.client("sqs");
    let request = Request::post(client.url())
        .header("x-amz-target", format!("AmazonSQS.{action}"))
        .header("content-type", "application/x-amz-json-1.0")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let response = client.send(request).await;
    let older = response.headers().get("x-amzn-query-error").map_or("", |value| value.to_str().unwrap()).to_owned();
    let answer: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    (response.status().as_u16(), answer["__type"].as_str().unwrap_or_default().to_owned(), older)
}

/// Status and body of a Query answer.
async fn said_in_query(stack: &Stack, form: &str) -> (u16, String) {
    let client = stack.client("sqs");
    let request = Request::post(client.url())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(format!("Version=2012-11-05&{form}")))
        .unwrap();
    let response = client.send(request).await;
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

fn three(status: u16, code: &str, older: &str) -> (u16, String, String) {
    (status, code.to_owned(), older.to_owned())
}

#[tokio::test]
async fn json_errors_have_their_namespace_and_both_protocols_their_status() {
    let stack = stack(Config::default()).await;
    let url = "http://localhost/000000000000/q";
    assert_eq!(
        said(&stack, "GetQueueUrl", json!({"QueueName": "q"})).await,
        three(400, "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender")
    );
    said(&stack, "CreateQueue", json!({"QueueName": "q"})).await;
    for (expected, purged) in [(200, ""), (400, "com.amazonaws.sqs#PurgeQueueInProgress")] {
        let (status, code, _) = said(&stack, "PurgeQueue", json!({"QueueUrl": url})).await;
        assert_eq!((status, code.as_str()), (expected, purged));
    }
    let (status, body) = said_in_query(&stack, &format!("Action=PurgeQueue&QueueUrl={url}")).await;
    assert_eq!(status, 403);
    assert!(body.contains("<Code>AWS.SimpleQueueService.PurgeQueueInProgress</Code>"), "{body}");
    assert_eq!(
        said(&stack, "DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": "nonsense"})).await,
        three(400, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid;Sender")
    );
    let (status, body) =
        said_in_query(&stack, &format!("Action=DeleteMessage&QueueUrl={url}&ReceiptHandle=nonsense")).await;
    assert_eq!(status, 404);
    assert!(body.contains("<Code>ReceiptHandleIsInvalid</Code>"), "{body}");
    let (status, code, older) =
        said(&stack, "ReceiveMessage", json!({"QueueUrl": url, "MaxNumberOfMessages": 11})).await;
    assert_eq!((status, older.as_str()), (400, "InvalidParameterValue;Sender"));
    assert!(code.ends_with("#InvalidParameterValue"), "{code}");
}

#[tokio::test]
async fn the_quota_of_a_fifo_queue_can_be_had() {
    for (fifo_quota, expected) in [(true, 300), (false, 320)] {
        let stack = stack(Config { fifo_quota, ..Config::default() }).await;
        let attributes = json!({"FifoQueue": "true"});
        said(&stack, "CreateQueue", json!({"QueueName": "q.fifo", "Attributes": attributes})).await;
        let url = "http://localhost/000000000000/q.fifo";
        let mut accepted = 0;
        for number in 0..320 {
            let message = json!({
                "QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": number.to_string(),
            });
            match said(&stack, "SendMessage", message).await {
                (200, ..) => accepted += 1,
                refused => {
                    assert_eq!(refused, three(400, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled;Sender"));
                }
            }
        }
        assert_eq!(accepted, expected);
    }
}

#[tokio::test]
async fn a_delivery_that_the_policy_does_not_allow_is_refused() {
    let stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(Config::default(), host))
        .auth(AuthMode::Enforced)
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await;
    let client = stack.client("sqs").api(&api::MODEL);
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::bucket"}},
    }]});
    let attributes = |policy: Option<&serde_json::Value>| {
        policy.map(|policy| [("Policy".to_owned(), policy.to_string())].into_iter().collect())
    };
    for (name, policy) in [("open", Some(&policy)), ("closed", None)] {
        let input =
            api::CreateQueueInput { queue_name: name.into(), attributes: attributes(policy), ..Default::default() };
        client.call(api::CreateQueue, input).await.unwrap();
    }
    let sqs = Sqs::new(stack.host("sqs"), Config::default());
    let deliver = async |queue: &str, bucket: &str| {
        let source = Source {
            principal: "s3.amazonaws.com".into(),
            arn: Some(format!("arn:aws:s3:::{bucket}").parse().unwrap()),
            account: AccountId::new("000000000000").unwrap(),
            role: None,
        };
        let target = format!("arn:aws:sqs:us-east-1:000000000000:{queue}").parse().unwrap();
        let id = format!("{queue}-{bucket}");
        events::deliver(&sqs, Delivery::new(id, Lane::main(), target, "event".into(), source, stack.clock().now()))
            .await
    };
    deliver("open", "bucket").await.unwrap();
    for (queue, bucket) in [("open", "other"), ("closed", "bucket")] {
        let refused = deliver(queue, bucket).await.unwrap_err();
        assert!(matches!(&refused, Error::AccessDenied { .. }), "{refused}");
    }
    let counted = |name: &str| {
        client.call(
            api::GetQueueAttributes,
            api::GetQueueAttributesInput {
                queue_url: format!("http://localhost/000000000000/{name}"),
                attribute_names: Some(vec!["ApproximateNumberOfMessages".into()]),
            },
        )
    };
    for (name, expected) in [("open", "1"), ("closed", "0")] {
        let attributes = counted(name).await.unwrap().attributes.unwrap();
        assert_eq!(attributes["ApproximateNumberOfMessages"], expected, "{name}");
    }
}

/// What a clock's jump sets off elsewhere may be here before the jump is: it must not be a message of before the jump.
#[tokio::test]
async fn a_delivery_of_after_a_jump_outlives_the_jump() {
    let stack = stack(Config::default()).await;
    let client = stack.client("sqs").api(&api::MODEL);
    let queue = api::CreateQueueInput { queue_name: "q".into(), ..Default::default() };
    client.call(api::CreateQueue, queue).await.unwrap();
    let sqs = Sqs::new(stack.host("sqs"), Config::default());
    let year = Duration::from_secs(365 * 86_400);
    let account = AccountId::default_account();
    let source = Source { principal: "scheduler.amazonaws.com".into(), arn: None, account, role: None };
    let target = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
    let ahead = stack.clock().now().plus(year);
    let delivery = Delivery::new("1", Lane::main(), target, "after".into(), source, ahead);
    let jump = async {
        tokio::task::yield_now().await;
        stack.clock().advance(year);
    };
    let (delivered, ()) = tokio::join!(events::deliver(&sqs, delivery), jump);
    delivered.unwrap();
    let url = "http://localhost/000000000000/q".to_owned();
    let input = api::ReceiveMessageInput { queue_url: url, ..Default::default() };
    let received = client.call(api::ReceiveMessage, input).await.unwrap();
    assert_eq!(received.messages.unwrap()[0].body.as_deref(), Some("after"));
}
