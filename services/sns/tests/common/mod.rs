//! A stack of SNS and SQS, and an HTTP endpoint that remembers what it was sent.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use fractus_sns_api as api;
use fractus_sqs_api as sqs;
use fractus_testkit::{Client, Stack, StackBuilder, wait_for};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub const ACCOUNT: &str = "000000000000";

pub fn builder() -> StackBuilder {
    Stack::new()
        .with("sns", |host| fractus_sns::start(fractus_sns::Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
}

/// SNS alone, without a bus.
pub async fn alone() -> Stack {
    builder().start().await
}

/// SNS and SQS over NATS.
pub async fn with_queues() -> Stack {
    builder().with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host)).with_nats().start().await
}

pub fn client(stack: &Stack) -> Client {
    stack.client("sns").api(&api::MODEL)
}

pub async fn topic(client: &Client, name: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = api::CreateTopicInput { name: name.into(), attributes: Some(attributes), ..Default::default() };
    client.call(api::CreateTopic, input).await.unwrap().topic_arn.unwrap()
}

/// A queue's URL and ARN.
pub async fn queue(stack: &Stack, name: &str) -> (String, String) {
    let client = stack.client("sqs").api(&sqs::MODEL);
    let fifo = name.ends_with(".fifo").then(|| ("FifoQueue".to_owned(), "true".to_owned()));
    let input = sqs::CreateQueueInput {
        queue_name: name.into(),
        attributes: Some(fifo.into_iter().collect()),
        ..Default::default()
    };
    let url = client.call(sqs::CreateQueue, input).await.unwrap().queue_url.unwrap();
    (url, format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"))
}

pub async fn subscribe(
    client: &Client,
    topic: &str,
    protocol: &str,
    endpoint: &str,
    attributes: &[(&str, &str)],
) -> String {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = api::SubscribeInput {
        topic_arn: topic.into(),
        protocol: protocol.into(),
        endpoint: Some(endpoint.into()),
        attributes: Some(attributes),
        return_subscription_arn: Some(true),
    };
    client.call(api::Subscribe, input).await.unwrap().subscription_arn.unwrap()
}

pub fn message(topic: &str, text: &str) -> api::PublishInput {
    api::PublishInput { topic_arn: Some(topic.into()), message: text.into(), ..Default::default() }
}

pub async fn publish(client: &Client, input: api::PublishInput) -> api::PublishOutput {
    client.call(api::Publish, input).await.unwrap()
}

pub fn text_attribute(name: &str, value: &str) -> (String, api::MessageAttributeValue) {
    let value =
        api::MessageAttributeValue { data_type: "String".into(), string_value: Some(value.into()), binary_value: None };
    (name.to_owned(), value)
}

/// Receives and deletes so many messages, in the order in which they come.
pub async fn receive(stack: &Stack, url: &str, count: usize) -> Vec<sqs::Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let more = wait_for("a message arrives", || async {
            let more = try_receive(stack, url).await;
            (!more.is_empty()).then_some(more)
        });
        messages.extend(more.await);
    }
    messages
}

/// Receives and deletes what a queue has now, ten at most.
pub async fn try_receive(stack: &Stack, url: &str) -> Vec<sqs::Message> {
    let client = stack.client("sqs").api(&sqs::MODEL);
    let input = sqs::ReceiveMessageInput {
        queue_url: url.into(),
        max_number_of_messages: Some(10),
        message_attribute_names: Some(vec!["All".into()]),
        message_system_attribute_names: Some(vec![sqs::MessageSystemAttributeName::All]),
        ..Default::default()
    };
    let messages = client.call(sqs::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default();
    for message in &messages {
        let input =
            sqs::DeleteMessageInput { queue_url: url.into(), receipt_handle: message.receipt_handle.clone().unwrap() };
        client.call(sqs::DeleteMessage, input).await.unwrap();
    }
    messages
}

pub fn body(message: &sqs::Message) -> Value {
    serde_json::from_str(message.body.as_deref().unwrap()).unwrap()
}

/// A request as the endpoint got it.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP endpoint: answers with the statuses it was given, and 200 when there are no more.
#[derive(Clone)]
pub struct Endpoint {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

impl Endpoint {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            requests: Arc::default(),
            statuses: Arc::default(),
        };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    let status = serving.statuses.lock().unwrap().pop_front().unwrap_or(200);
                    serving.requests.lock().unwrap().push(request);
                    let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        endpoint
    }

    pub fn will_answer(&self, statuses: &[u16]) {
        self.statuses.lock().unwrap().extend(statuses);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub async fn wait(&self, count: usize) -> Vec<Request> {
        wait_for("requests come", || async { Some(self.requests()).filter(|requests| requests.len() >= count) }).await
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = Request { head: head.to_owned(), body: body.to_owned() };
            let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(request);
            }
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}
