//! What buses log, as CloudWatch Logs gets it.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::contracts::Delivery;
use fractus_bus::{Bus, BusConfig, ConsumeConfig, Outcome};
use fractus_events_api as api;
use fractus_testkit::{Client, Stack, wait_for};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::*;

/// CloudWatch Logs, as far as it takes what others deliver.
#[derive(Clone, Default)]
struct Logs {
    taken: Arc<Mutex<Vec<Delivery>>>,
}

impl Logs {
    async fn start(stack: &mut Stack) -> (Self, Bus, Box<dyn std::any::Any>) {
        let bus = Bus::connect(BusConfig::new(Some(stack.nats().url.clone()), "logs", "test"));
        let logs = Logs::default();
        let taking = logs.clone();
        let consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
            taking.taken.lock().push(delivery);
            async { Outcome::Done }
        });
        bus.connected().await;
        (logs, bus, Box::new(consumption))
    }

    fn records(&self) -> Vec<(String, Value)> {
        let taken = self.taken.lock();
        let lines = taken.iter().flat_map(|delivery| {
            let kind = delivery.parameters["logType"].as_str().unwrap().to_owned();
            let lines: Vec<&str> = delivery.body.as_text().unwrap().lines().collect();
            lines.into_iter().map(move |line| (kind.clone(), serde_json::from_str(line).unwrap())).collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// Waits until all of these were told; what was told, by its type.
    async fn wait_for(&self, steps: &[&str]) -> Vec<(String, Value)> {
        wait_for("the records", async || {
            let records = self.records();
            let has = |step: &&str| records.iter().any(|(_, record)| record["message_type"] == **step);
            steps.iter().all(has).then_some(records)
        })
        .await
    }

    fn clear(&self) {
        self.taken.lock().clear();
    }
}

async fn log(client: &Client, level: &str, detail: &str) {
    let input = api::UpdateEventBusInput {
        name: Some("default".into()),
        log_config: Some(api::LogConfig { level: Some(level.into()), include_detail: Some(detail.into()) }),
        ..Default::default()
    };
    client.call(api::UpdateEventBus, input).await.unwrap();
}

fn steps(records: &[(String, Value)]) -> Vec<&str> {
    let mut steps: Vec<&str> = records.iter().filter_map(|(_, record)| record["message_type"].as_str()).collect();
    steps.sort_unstable();
    steps
}

#[tokio::test]
async fn each_level_logs_its_steps() {
    let mut stack = stack().await;
    let client = stack.client("events");
    let (logs, _bus, _consumption) = Logs::start(&mut stack).await;
    let wired = wired(&stack, None, "q").await;
    put(&client, vec![entry("{}")]).await;
    wired.queue.messages(1).await;
    log(&client, "TRACE", "FULL").await;
    let id = put(&client, vec![entry(r#"{"n":1}"#)]).await[0].event_id.clone().unwrap();
    let all = [
        "EVENT_INGEST_SUCCESS",
        "EVENT_RECEIPT",
        "INVOCATION_ATTEMPT_START",
        "INVOCATION_ATTEMPT_SUCCESS",
        "INVOCATION_START",
        "INVOCATION_SUCCESS",
        "RULE_MATCH",
        "RULE_MATCH_START",
    ];
    let records = logs.wait_for(&all).await;
    assert_eq!(steps(&records), all, "each once, and nothing of what came before");
    for (kind, record) in &records {
        assert_eq!(*kind, format!("{}_LOGS", record["log_level"].as_str().unwrap()));
        assert_eq!(
            (record["event_id"].as_str(), record["message_timestamp_ms"].as_i64()),
            (Some(id.as_str()), Some(1_767_225_600_000))
        );
        assert_eq!(record["resource_arn"], "arn:aws:events:us-east-1:000000000000:event-bus/default");
    }
    let of = |step: &str| records.iter().find(|(_, record)| record["message_type"] == step).unwrap().1.clone();
    assert_eq!(of("EVENT_INGEST_SUCCESS")["details"]["event_detail"], r#"{"n":1}"#);
    let matched = of("RULE_MATCH")["details"].clone();
    assert_eq!((&matched["rule_arn"], &matched["target_arns"]), (&json!(wired.rule_arn), &json!([wired.queue.arn])));
    let ended = of("INVOCATION_SUCCESS");
    assert_eq!(ended["invocation_id"], matched["invocation_ids"][0]);
    assert_eq!(
        (&ended["details"]["total_attempts"], &ended["details"]["final_invocation_status"]),
        (&json!(1), &json!("SUCCESS"))
    );
    assert!(ended["details"]["target_response_body"].as_str().unwrap().contains("MessageId"), "{ended}");

    log(&client, "INFO", "NONE").await;
    logs.clear();
    put(&client, vec![api::PutEventsRequestEntry { source: Some("other".into()), ..entry("{}") }]).await;
    let records = logs.wait_for(&["NO_STANDARD_RULES_MATCHED"]).await;
    assert_eq!(steps(&records), ["EVENT_INGEST_SUCCESS", "NO_STANDARD_RULES_MATCHED"]);
    assert_eq!(records[0].1["details"].get("event_detail"), None);

    log(&client, "OFF", "NONE").await;
    logs.clear();
    put(&client, vec![entry("{}")]).await;
    wired.queue.messages(2).await;
    assert_eq!(logs.records(), []);
}

#[tokio::test]
async fn errors_are_logged_at_every_level() {
    let mut stack = stack().await;
    let client = stack.client("events");
    let (logs, _bus, _consumption) = Logs::start(&mut stack).await;
    let dead = queue(&stack, "dead").await;
    let queue = queue(&stack, "q").await;
    put_rule(&client, None, "r", r#"{"source":["my.app"]}"#).await;
    let to_queue = api::Target {
        retry_policy: Some(api::RetryPolicy { maximum_retry_attempts: Some(1), ..Default::default() }),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("q", &queue.arn)
    };
    put_targets(&client, None, "r", vec![to_queue]).await;
    log(&client, "ERROR", "NONE").await;
    put(&client, vec![entry("{}")]).await;
    queue.messages(1).await;
    let down = json!({"code": "ServiceUnavailable", "status": 503, "message": "not now"});
    stack.fail("sqs", "SendMessage", Some(down)).await;
    put(&client, vec![entry("{}")]).await;
    let records = logs.wait_for(&["INVOCATION_ATTEMPT_RETRYABLE_FAILURE"]).await;
    assert_eq!(records.len(), 1, "of what went well nothing is told: {records:?}");
    assert_eq!(records[0].1["error"], json!({"error_message": "not now", "aws_service": "sqs"}));
    stack.clock().advance(Duration::from_secs(60));
    let records = logs.wait_for(&["INVOCATION_DLQ"]).await;
    assert_eq!(
        steps(&records),
        [
            "INVOCATION_ATTEMPT_RETRYABLE_FAILURE",
            "INVOCATION_ATTEMPT_RETRYABLE_FAILURE",
            "INVOCATION_DLQ",
            "INVOCATION_FAILURE",
        ]
    );
    let failed = records.iter().find(|(_, record)| record["message_type"] == "INVOCATION_FAILURE").unwrap();
    assert_eq!((&failed.1["details"]["total_attempts"], failed.0.as_str()), (&json!(2), "ERROR_LOGS"));
    let letter = records.iter().find(|(_, record)| record["message_type"] == "INVOCATION_DLQ").unwrap();
    assert_eq!(letter.1["details"]["target_arn"], json!(dead.arn));
}
