//! A handler that is broken on purpose is caught by a named scenario of the tree.
//!
//! The server is a queue in a few lines, right as far as the scenarios look; each fault is one line of it left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use fractus_clock::{Clock, Random, Timestamp};
use fractus_conformance::effects::run::{Failed, Runner};
use fractus_conformance::effects::{matcher, scenario};
use fractus_conformance::endpoint::Endpoint;
use fractus_sigv4::KeyCache;
use http::StatusCode;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// DelaySeconds is taken and forgotten.
    IgnoredParameter,
    /// A number of messages out of bounds is taken for the nearest one.
    SwallowedValidation,
    /// The answer to a receive has no MD5OfBody.
    MissingMember,
    /// A refusal is answered 500.
    WrongStatus,
    /// A received message stays visible.
    ForgottenVisibility,
}

struct Message {
    id: String,
    body: String,
    visible_at: Timestamp,
    was_received: bool,
}

struct Queue {
    fault: Fault,
    clock: Clock,
    messages: Mutex<Vec<Message>>,
}

async fn serve(fault: Fault) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let queue = Arc::new(Queue { fault, clock: Clock::real(), messages: Mutex::default() });
    let router = Router::new().fallback(answer).with_state(queue);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn answer(State(queue): State<Arc<Queue>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let operation = head.headers.get("x-amz-target").map(|target| target.to_str().unwrap().rsplit('.').next().unwrap());
    let (status, output) = match operation {
        None => (StatusCode::OK, queue.admin(&input)),
        Some(operation) => match queue.operation(operation, &input) {
            Ok(output) => (StatusCode::OK, output),
            Err(code) => (
                if queue.fault == Fault::WrongStatus {
                    StatusCode::INTERNAL_SERVER_ERROR
                } else {
                    StatusCode::BAD_REQUEST
                },
                json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "refused"}),
            ),
        },
    };
    (status, [("content-type", "application/x-amz-json-1.0")], output.to_string()).into_response()
}

impl Queue {
    fn admin(&self, input: &Value) -> Value {
        match input["action"].as_str() {
            Some("freeze") => self.clock.freeze(),
            Some("advance") => self.clock.advance(Duration::from_secs_f64(input["seconds"].as_f64().unwrap())),
            _ => {}
        }
        json!({"now": self.clock.now().date_time_millis(), "frozen": true})
    }

    fn operation(&self, name: &str, input: &Value) -> Result<Value, &'static str> {
        Ok(match name {
            "CreateQueue" => json!({"QueueUrl": format!("http://here/{}", input["QueueName"].as_str().unwrap())}),
            "SendMessage" => self.send(input),
            "SendMessageBatch" => {
                let entries = input["Entries"].as_array().unwrap();
                let sent = entries.iter().map(|entry| {
                    let mut sent = self.send(entry);
                    sent["Id"] = entry["Id"].clone();
                    sent
                });
                json!({"Successful": sent.collect::<Vec<_>>()})
            }
            "ReceiveMessage" => return self.receive(input),
            "GetQueueAttributes" => self.counts(),
            other => panic!("the scenarios of this test do not call {other}"),
        })
    }

    fn send(&self, input: &Value) -> Value {
        let delay = if self.fault == Fault::IgnoredParameter { 0 } else { input["DelaySeconds"].as_u64().unwrap_or(0) };
        let body = input["MessageBody"].as_str().unwrap().to_owned();
        let mut messages = self.messages.lock();
        let id = format!("message-{}", messages.len());
        let answer = json!({"MessageId": id, "MD5OfMessageBody": hex::encode(Md5::digest(&body))});
        let visible_at = self.clock.now().plus(Duration::from_secs(delay));
        messages.push(Message { id, body, visible_at, was_received: false });
        answer
    }

    fn receive(&self, input: &Value) -> Result<Value, &'static str> {
        let most = input["MaxNumberOfMessages"].as_i64().unwrap_or(1);
        if self.fault != Fault::SwallowedValidation && !(1..=10).contains(&most) {
            return Err("InvalidParameterValue");
        }
        let now = self.clock.now();
        let mut messages = self.messages.lock();
        let due = messages.iter_mut().filter(|message| message.visible_at <= now);
        let mut received = Vec::new();
        for message in due.take(most.clamp(1, 10) as usize) {
            message.was_received = true;
            if self.fault != Fault::ForgottenVisibility {
                message.visible_at = now.plus(Duration::from_secs(30));
            }
            let mut shown = json!({"MessageId": message.id, "ReceiptHandle": "handle", "Body": message.body});
            if self.fault != Fault::MissingMember {
                shown["MD5OfBody"] = json!(hex::encode(Md5::digest(&message.body)));
            }
            received.push(shown);
        }
        Ok(if received.is_empty() { json!({}) } else { json!({ "Messages": received }) })
    }

    fn counts(&self) -> Value {
        let now = self.clock.now();
        let messages = self.messages.lock();
        let waiting = messages.iter().filter(|message| message.visible_at <= now).count();
        let delayed = messages.iter().filter(|message| message.visible_at > now && !message.was_received).count();
        json!({"Attributes": {
            "ApproximateNumberOfMessages": waiting.to_string(),
            "ApproximateNumberOfMessagesDelayed": delayed.to_string(),
        }})
    }
}

const SENT: &str = "sqs/a-sent-message-is-received";
const DELAYED: &str = "sqs/a-delayed-message-appears-when-its-delay-is-over";
const BOUNDED: &str = "sqs/no-more-than-asked-for-are-received";
const OWN_TIMEOUT: &str = "sqs/a-message-is-taken-by-one-receive";

/// A scenario of this test's own beside those of the tree.
const OWN: &str = "
scenarios:
  - name: a-message-is-taken-by-one-receive
    shows: [ReceiveMessage]
    steps:
      - {call: CreateQueue, with: {QueueName: q}, save: {queue: QueueUrl}}
      - {call: SendMessage, with: {QueueUrl: '${queue}', MessageBody: once}}
      - {call: ReceiveMessage, with: {QueueUrl: '${queue}'}, expect: {'Messages[*].Body': [once]}}
      - {call: ReceiveMessage, with: {QueueUrl: '${queue}'}, expect: {Messages: {length: 0}}}
";

async fn run(name: &str, fault: Fault) -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../effects");
    let mut scenarios = scenario::load(&folder).unwrap();
    scenarios.extend(scenario::parse_file("sqs", Path::new("own.yaml"), OWN).unwrap());
    let scenario = scenarios.iter().find(|scenario| scenario.name == name).expect("the scenario is in the tree");
    let url = serve(fault).await;
    let runner = Runner {
        endpoint: Endpoint::new(&url, Duration::from_secs(10)).unwrap(),
        url,
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        uses_lanes: true,
        random: Random::seeded(1),
        keys: KeyCache::default(),
        is_impatient: true,
    };
    runner.run(scenario, None).await
}

#[tokio::test]
async fn a_right_handler_passes() {
    for name in [SENT, DELAYED, BOUNDED, OWN_TIMEOUT] {
        run(name, Fault::None).await.unwrap_or_else(|failed| panic!("{name}: {}", failed.why));
    }
}

#[tokio::test]
async fn each_kind_of_fault_is_caught_by_a_named_scenario() {
    let caught = [
        (Fault::IgnoredParameter, DELAYED, "Messages"),
        (Fault::SwallowedValidation, BOUNDED, "an error was expected"),
        (Fault::MissingMember, SENT, "MD5OfBody"),
        (Fault::WrongStatus, BOUNDED, "status"),
        (Fault::ForgottenVisibility, OWN_TIMEOUT, "Messages"),
    ];
    for (fault, name, told) in caught {
        let failed = run(name, fault).await.expect_err("the fault is seen");
        assert!(failed.why.contains(told), "{fault:?}: {}", failed.why);
    }
}

/// A mistake in an expectation would be an assertion that is never made.
#[test]
fn an_expectation_is_read_strictly() {
    let node = fractus_conformance::effects::yaml::parse("Messages: {lenght: 1}").unwrap();
    assert!(matcher::parse_expectations(&node).is_err());
}
