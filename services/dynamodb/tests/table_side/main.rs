//! Tables, their streams and what goes on in them by the clock, as a caller sees it in JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod conflicts;
mod plain;
mod statements;
mod streams;
mod tables;
mod time_to_live;
mod words;

use bytes::Bytes;
use fractus_dynamodb::Config;
use fractus_testkit::Stack;
use http::Request;
use serde_json::{Value, json};

pub async fn stack(config: Config) -> Stack {
    Stack::new()
        .with("dynamodb", move |host| fractus_dynamodb::start(config.clone(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await
}

async fn asked(stack: &Stack, target: String, body: Value) -> (u16, Value) {
    let client = stack.client("dynamodb").api(&fractus_dynamodb_api::MODEL);
    let request = Request::post(client.url())
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let response = client.send(request).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

/// The answer of an operation that goes well.
pub async fn call(stack: &Stack, operation: &str, body: Value) -> Value {
    let (status, answer) = asked(stack, format!("DynamoDB_20120810.{operation}"), body).await;
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

/// The code and the message of one that does not.
pub async fn refused(stack: &Stack, operation: &str, body: Value) -> (String, String) {
    let (status, answer) = asked(stack, format!("DynamoDB_20120810.{operation}"), body).await;
    error(operation, status, &answer)
}

pub async fn call_streams(stack: &Stack, operation: &str, body: Value) -> Value {
    let (status, answer) = asked(stack, format!("DynamoDBStreams_20120810.{operation}"), body).await;
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

pub async fn streams_refused(stack: &Stack, operation: &str, body: Value) -> (String, String) {
    let (status, answer) = asked(stack, format!("DynamoDBStreams_20120810.{operation}"), body).await;
    error(operation, status, &answer)
}

fn error(operation: &str, status: u16, answer: &Value) -> (String, String) {
    assert_eq!(status, 400, "{operation}: {answer}");
    let code = answer["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
    let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
    (code, message.to_owned())
}

/// A table `tunes` with the keys `pk` and `sk`, with what else is given.
pub async fn table(stack: &Stack, more: Value) {
    let mut input = json!({
        "TableName": "tunes",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    call(stack, "CreateTable", input).await;
}

pub async fn put(stack: &Stack, pk: &str, sk: u64, more: Value) {
    let mut item = json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}});
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    call(stack, "PutItem", json!({"TableName": "tunes", "Item": item})).await;
}

pub fn key(pk: &str, sk: u64) -> Value {
    json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}})
}

pub async fn get(stack: &Stack, pk: &str, sk: u64) -> Value {
    call(stack, "GetItem", json!({"TableName": "tunes", "Key": key(pk, sk)})).await["Item"].clone()
}

pub async fn described(stack: &Stack) -> Value {
    call(stack, "DescribeTable", json!({"TableName": "tunes"})).await["Table"].clone()
}
