//! A stack of EventBridge and SQS, and what every test does with it.

use fractus_events_api as api;
use fractus_sqs_api as sqs;
use fractus_testkit::{Client, Stack, StackBuilder, wait_for};
use serde_json::Value;

pub const SOURCE: &str = "my.app";

pub fn builder() -> StackBuilder {
    Stack::new()
        .with("events", |host| fractus_events::start(fractus_events::Config::default(), host))
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
}

/// EventBridge alone, without a bus: for what ends at the API.
pub async fn alone() -> Stack {
    Stack::new()
        .with("events", |host| fractus_events::start(fractus_events::Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await
}

pub async fn stack() -> Stack {
    builder().with_nats().start().await
}

/// A queue, and a rule that sends what matches `pattern` on `bus` to it.
pub struct Wired {
    pub queue: Queue,
    pub rule_arn: String,
}

#[derive(Clone)]
pub struct Queue {
    client: Client,
    pub url: String,
    pub arn: String,
}

pub async fn queue(stack: &Stack, name: &str) -> Queue {
    let client = stack.client("sqs");
    let input = sqs::CreateQueueInput { queue_name: name.into(), ..Default::default() };
    let url = client.call(sqs::CreateQueue, input).await.unwrap().queue_url.unwrap();
    Queue { client, url, arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}") }
}

impl Queue {
    /// The same queue, of an SQS that was started anew.
    pub fn at(stack: &Stack, queue: &Queue) -> Queue {
        let name = queue.url.rsplit('/').next().unwrap();
        let url = format!("{}/000000000000/{name}", stack.url("sqs"));
        Queue { client: stack.client("sqs"), url, arn: queue.arn.clone() }
    }

    pub async fn receive(&self) -> Vec<sqs::Message> {
        let input = sqs::ReceiveMessageInput {
            queue_url: self.url.clone(),
            max_number_of_messages: Some(10),
            message_attribute_names: Some(vec!["All".into()]),
            message_system_attribute_names: Some(vec![sqs::MessageSystemAttributeName::All]),
            ..Default::default()
        };
        let messages = self.client.call(sqs::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default();
        for message in &messages {
            let input = sqs::DeleteMessageInput {
                queue_url: self.url.clone(),
                receipt_handle: message.receipt_handle.clone().unwrap(),
            };
            self.client.call(sqs::DeleteMessage, input).await.unwrap();
        }
        messages
    }

    /// Waits for so many messages, in the order in which they came.
    pub async fn messages(&self, count: usize) -> Vec<sqs::Message> {
        let mut got = Vec::new();
        loop {
            let more = wait_for("messages arrive", async || Some(self.receive().await).filter(|more| !more.is_empty()));
            got.extend(more.await);
            if got.len() >= count {
                assert_eq!(got.len(), count, "{got:?}");
                return got;
            }
        }
    }

    pub async fn bodies(&self, count: usize) -> Vec<Value> {
        let messages = self.messages(count).await;
        messages.iter().map(|message| serde_json::from_str(message.body.as_ref().unwrap()).unwrap()).collect()
    }

    pub async fn body(&self) -> Value {
        self.bodies(1).await.remove(0)
    }
}

pub async fn put_rule(client: &Client, bus: Option<&str>, name: &str, pattern: &str) -> String {
    let input = api::PutRuleInput {
        name: name.into(),
        event_pattern: Some(pattern.into()),
        event_bus_name: bus.map(str::to_owned),
        ..Default::default()
    };
    client.call(api::PutRule, input).await.unwrap().rule_arn.unwrap()
}

pub fn target(id: &str, arn: &str) -> api::Target {
    api::Target { id: id.into(), arn: arn.into(), ..Default::default() }
}

pub async fn put_targets(client: &Client, bus: Option<&str>, rule: &str, targets: Vec<api::Target>) {
    let input = api::PutTargetsInput { rule: rule.into(), event_bus_name: bus.map(str::to_owned), targets };
    let output = client.call(api::PutTargets, input).await.unwrap();
    assert_eq!(output.failed_entry_count, Some(0));
}

/// A rule on `bus` for all events of [`SOURCE`], with a queue of its name.
pub async fn wired(stack: &Stack, bus: Option<&str>, name: &str) -> Wired {
    let client = stack.client("events");
    let queue = queue(stack, name).await;
    let rule_arn = put_rule(&client, bus, name, r#"{"source":["my.app"]}"#).await;
    put_targets(&client, bus, name, vec![target("q", &queue.arn)]).await;
    Wired { queue, rule_arn }
}

pub fn entry(detail: &str) -> api::PutEventsRequestEntry {
    api::PutEventsRequestEntry {
        source: Some(SOURCE.into()),
        detail_type: Some("happened".into()),
        detail: Some(detail.into()),
        ..Default::default()
    }
}

pub async fn put(client: &Client, entries: Vec<api::PutEventsRequestEntry>) -> Vec<api::PutEventsResultEntry> {
    let input = api::PutEventsInput { entries, endpoint_id: None };
    client.call(api::PutEvents, input).await.unwrap().entries.unwrap()
}

pub async fn create_bus(client: &Client, name: &str) -> String {
    let input = api::CreateEventBusInput { name: name.into(), ..Default::default() };
    client.call(api::CreateEventBus, input).await.unwrap().event_bus_arn.unwrap()
}
