//! What an event bus logs: a record for each step that an event goes through, at the level that the bus asks for.
//!
//! AWS brings the records where a delivery of CloudWatch Logs says (a log group, a stream of Firehose, a bucket), each level
//! by a delivery source of its own. So they go to that service, which knows of the bus's deliveries.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-logs.html> and
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-logs-schema.html>

use std::hash::{DefaultHasher, Hash, Hasher};

use fractus_bus::contracts::{Body, Cause, Delivery, Fate, Source};
use fractus_clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::names::BusRef;

/// The most bytes of a record.
const MAX_RECORD_BYTES: usize = 1_048_576;
/// What is left out of a record that is larger, the first first, and what stands in one with full detail alone.
const LARGE: [&str; 3] = ["event_detail", "target_input", "target_properties"];

/// How much is logged; each level has what those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    Error,
    Info,
    Trace,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Info => "INFO",
            Level::Trace => "TRACE",
        }
    }
}

/// What a bus wants logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub level: Level,
    /// With the event's detail and what targets are given.
    pub detail: bool,
}

impl Wish {
    /// Of a `LogConfig` by the model's names; OFF is the default.
    pub fn of(config: Option<&Value>) -> Option<Self> {
        let config = config?;
        let level = match config.get("Level").and_then(Value::as_str)? {
            "ERROR" => Level::Error,
            "INFO" => Level::Info,
            "TRACE" => Level::Trace,
            _ => return None,
        };
        Some(Wish { level, detail: config.get("IncludeDetail").and_then(Value::as_str) == Some("FULL") })
    }
}

/// The steps of an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    EventReceipt,
    EventIngestSuccess,
    EventIngestFailure,
    RuleMatchStart,
    RuleMatch,
    NoStandardRulesMatched,
    InvocationStart,
    InvocationAttemptStart,
    InvocationAttemptSuccess,
    InvocationAttemptThrottle,
    InvocationAttemptRetryableFailure,
    InvocationAttemptPermanentFailure,
    InvocationSuccess,
    InvocationFailure,
    InvocationDlq,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::EventReceipt => "EVENT_RECEIPT",
            Step::EventIngestSuccess => "EVENT_INGEST_SUCCESS",
            Step::EventIngestFailure => "EVENT_INGEST_FAILURE",
            Step::RuleMatchStart => "RULE_MATCH_START",
            Step::RuleMatch => "RULE_MATCH",
            Step::NoStandardRulesMatched => "NO_STANDARD_RULES_MATCHED",
            Step::InvocationStart => "INVOCATION_START",
            Step::InvocationAttemptStart => "INVOCATION_ATTEMPT_START",
            Step::InvocationAttemptSuccess => "INVOCATION_ATTEMPT_SUCCESS",
            Step::InvocationAttemptThrottle => "INVOCATION_ATTEMPT_THROTTLE",
            Step::InvocationAttemptRetryableFailure => "INVOCATION_ATTEMPT_RETRYABLE_FAILURE",
            Step::InvocationAttemptPermanentFailure => "INVOCATION_ATTEMPT_PERMANENT_FAILURE",
            Step::InvocationSuccess => "INVOCATION_SUCCESS",
            Step::InvocationFailure => "INVOCATION_FAILURE",
            Step::InvocationDlq => "INVOCATION_DLQ",
        }
    }

    /// The level from which on it is logged: errors always, the major steps with INFO, all others with TRACE.
    fn level(self) -> Level {
        match self {
            Step::EventIngestFailure
            | Step::InvocationAttemptThrottle
            | Step::InvocationAttemptRetryableFailure
            | Step::InvocationAttemptPermanentFailure
            | Step::InvocationFailure
            | Step::InvocationDlq => Level::Error,
            Step::EventIngestSuccess
            | Step::NoStandardRulesMatched
            | Step::RuleMatch
            | Step::InvocationStart
            | Step::InvocationSuccess => Level::Info,
            Step::EventReceipt
            | Step::RuleMatchStart
            | Step::InvocationAttemptStart
            | Step::InvocationAttemptSuccess => Level::Trace,
        }
    }
}

/// What all records of an event on a bus have in common; it goes with the event's deliveries, for what becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    pub wish: Wish,
    pub bus_arn: String,
    pub request_id: String,
    pub event_id: String,
    /// When the event came to the bus.
    pub ingested_at: Timestamp,
}

/// An invocation of a target, as its records tell of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    pub id: String,
    pub rule_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}

/// Records of one moment.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    trail: &'a Trail,
    now: Timestamp,
    lines: Vec<(Level, String)>,
}

impl<'a> Records<'a> {
    pub fn new(trail: &'a Trail, now: Timestamp) -> Self {
        Records { trail, now, lines: Vec::new() }
    }

    /// Whether a step is logged at all: what tells of it need not be made else.
    pub fn has(&self, step: Step) -> bool {
        step.level() <= self.trail.wish.level
    }

    pub fn push(&mut self, step: Step, invocation: Option<&str>, details: Value, error: Option<Value>) {
        if !self.has(step) {
            return;
        }
        let Trail { wish, bus_arn, request_id, event_id, .. } = self.trail;
        let mut record = Map::new();
        record.insert("resource_arn".to_owned(), json!(bus_arn));
        record.insert("request_id".to_owned(), json!(request_id));
        record.insert("event_id".to_owned(), json!(event_id));
        record.extend(invocation.map(|id| ("invocation_id".to_owned(), json!(id))));
        record.insert("message_timestamp_ms".to_owned(), json!(self.now.millis()));
        record.insert("message_type".to_owned(), json!(step.name()));
        record.insert("log_level".to_owned(), json!(step.level().name()));
        record.insert("details".to_owned(), details);
        record.extend(error.map(|error| ("error".to_owned(), error)));
        self.lines.push((step.level(), fitted(Value::Object(record), wish.detail)));
    }

    /// What goes to CloudWatch Logs: a delivery for each level, its records line by line.
    pub fn deliveries(self, bus: &BusRef, id: &str, cause: &Cause) -> Vec<Delivery> {
        let source = Source {
            principal: "delivery.logs.amazonaws.com".to_owned(),
            arn: Some(bus.arn()),
            account: bus.place.world.account.clone(),
            role: None,
        };
        let deliveries = [Level::Error, Level::Info, Level::Trace].into_iter().filter_map(|level| {
            let lines: Vec<&str> =
                self.lines.iter().filter(|(of, _)| *of == level).map(|(_, line)| line.as_str()).collect();
            if lines.is_empty() {
                return None;
            }
            let (name, lane) = (level.name(), bus.place.world.lane.clone());
            let body = Body::text(lines.join("\n"));
            let mut delivery =
                Delivery::new(format!("{id}/log/{name}"), lane, bus.arn(), body, source.clone(), self.now);
            delivery.service = "logs".to_owned();
            delivery.parameters =
                json!({ "resourceArn": bus.arn().to_string(), "service": "events", "logType": format!("{name}_LOGS") });
            delivery.cause = cause.clone();
            Some(delivery)
        });
        deliveries.collect()
    }
}

/// A record within its bound, and without what full detail alone has where that is not wanted.
fn fitted(mut record: Value, detail: bool) -> String {
    let mut dropped = Vec::new();
    if let (false, Some(details)) = (detail, record["details"].as_object_mut()) {
        LARGE.iter().for_each(|name| drop(details.remove(*name)));
    }
    let mut text = record.to_string();
    for name in LARGE {
        if text.len() <= MAX_RECORD_BYTES {
            break;
        }
        if record["details"].as_object_mut().and_then(|details| details.remove(name)).is_some() {
            dropped.push(name);
            record["dropped_fields"] = json!(dropped);
            text = record.to_string();
        }
    }
    text
}

/// What records of an event's coming tell of it.
pub fn of_event(event: &str) -> Value {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let time = event["time"].as_str().and_then(|text| Timestamp::parse_date_time(text).ok());
    json!({
        "caller_account_id": event["account"],
        "source_time_ms": time.map(Timestamp::millis),
        "source": event["source"],
        "detail_type": event["detail-type"],
        "resources": event["resources"],
        "event_detail": event["detail"].to_string(),
    })
}

/// The id of a delivery's invocation: the same for all its attempts.
pub fn invocation_id(delivery_id: &str) -> String {
    let half = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (part, delivery_id).hash(&mut hasher);
        hasher.finish()
    };
    let bits = (u128::from(half(0)) << 64) | u128::from(half(1));
    // Version 8 of RFC 9562: what it is made of is nobody's business.
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    let text = format!("{bits:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

fn with_target(invocation: &Invocation, delivery: &Delivery) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("rule_arn".to_owned(), json!(invocation.rule_arn));
    details.extend(invocation.role_arn.as_ref().map(|role| ("role_arn".to_owned(), json!(role))));
    details.insert("target_arn".to_owned(), json!(delivery.target.to_string()));
    details
}

/// Whole records also tell what the target is given.
fn with_input(mut details: Map<String, Value>, delivery: &Delivery) -> Map<String, Value> {
    details.insert("target_input".to_owned(), json!(delivery.body.as_text()));
    if !delivery.parameters.is_null() {
        details.insert("target_properties".to_owned(), json!(delivery.parameters.to_string()));
    }
    details
}

/// That a target's invocation begins.
pub fn begin(records: &mut Records<'_>, invocation: &Invocation, delivery: &Delivery) {
    if !records.has(Step::InvocationStart) {
        return;
    }
    let mut details = with_input(with_target(invocation, delivery), delivery);
    details.insert("attempt_count".to_owned(), json!(1));
    records.push(Step::InvocationStart, Some(&invocation.id), Value::Object(details.clone()), None);
    records.push(Step::InvocationAttemptStart, Some(&invocation.id), Value::Object(details), None);
}

/// What has become of an attempt, and with `ended` of the invocation.
pub fn attempted(
    records: &mut Records<'_>,
    invocation: &Invocation,
    delivery: &Delivery,
    fate: &Fate,
    ended: bool,
    ingested_at: Timestamp,
) {
    let now = records.now;
    let id = Some(invocation.id.as_str());
    let status = fate.reason().map_or("SUCCESS", |(code, _)| code).to_owned();
    let answer = match fate {
        Fate::Done { answer } if !answer.is_null() => Some(answer.to_string()),
        _ => None,
    };
    if delivery.attempt > 1 {
        let mut details = with_input(with_target(invocation, delivery), delivery);
        details.insert("attempt_count".to_owned(), json!(delivery.attempt));
        records.push(Step::InvocationAttemptStart, id, Value::Object(details), None);
    }
    let error = fate.reason().map(|(_, message)| json!({"error_message": message, "aws_service": delivery.service}));
    let mut details = with_target(invocation, delivery);
    let throttled = status.to_ascii_uppercase().contains("THROTTL");
    let attempt_type = match (delivery.attempt, throttled) {
        (0 | 1, _) => "FIRST",
        (_, true) => "THROTTLE",
        _ => "RETRY",
    };
    details.insert("attempt_type".to_owned(), json!(attempt_type));
    details.insert("attempt_count".to_owned(), json!(delivery.attempt));
    details.insert("invocation_status".to_owned(), json!(status));
    details.extend(answer.as_ref().map(|answer| ("target_response_body".to_owned(), json!(answer))));
    let step = match fate {
        Fate::Done { .. } => Step::InvocationAttemptSuccess,
        Fate::Refused { .. } => Step::InvocationAttemptPermanentFailure,
        Fate::Failed { .. } | Fate::Exhausted { .. } if throttled => Step::InvocationAttemptThrottle,
        Fate::Failed { .. } | Fate::Exhausted { .. } => Step::InvocationAttemptRetryableFailure,
    };
    records.push(step, id, Value::Object(details), error.clone());
    if !ended {
        return;
    }
    let mut details = with_input(with_target(invocation, delivery), delivery);
    details.insert("total_attempts".to_owned(), json!(delivery.attempt));
    details.insert("final_invocation_status".to_owned(), json!(status));
    let passed = i64::try_from(now.since(ingested_at).as_millis()).unwrap_or(i64::MAX);
    if delivery.attempt <= 1 {
        details.insert("ingestion_to_start_latency_ms".to_owned(), json!(passed));
        details.insert("ingestion_to_complete_latency_ms".to_owned(), json!(passed));
    }
    details.extend(answer.map(|answer| ("target_response_body".to_owned(), json!(answer))));
    if error.is_none() {
        details.insert("ingestion_to_success_latency_ms".to_owned(), json!(passed));
        return records.push(Step::InvocationSuccess, id, Value::Object(details), None);
    }
    records.push(Step::InvocationFailure, id, Value::Object(details.clone()), error.clone());
    if let Some(dead_letter) = &delivery.dead_letter {
        details.insert("target_arn".to_owned(), json!(dead_letter.target.to_string()));
        records.push(Step::InvocationDlq, id, Value::Object(details), error);
    }
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;
    use crate::model::names::Place;

    fn trail(level: Level, detail: bool) -> Trail {
        Trail {
            wish: Wish { level, detail },
            bus_arn: "arn:aws:events:us-east-1:000000000000:event-bus/b".into(),
            request_id: "r".into(),
            event_id: "e".into(),
            ingested_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_bus_says_how_much_it_wants() {
        let of = |config: Value| Wish::of(Some(&config));
        assert_eq!(of(json!({"Level": "TRACE"})), Some(Wish { level: Level::Trace, detail: false }));
        assert_eq!(
            of(json!({"Level": "INFO", "IncludeDetail": "FULL"})),
            Some(Wish { level: Level::Info, detail: true })
        );
        assert_eq!((of(json!({"Level": "OFF"})), of(json!({})), Wish::of(None)), (None, None, None));
    }

    #[test]
    fn records_have_aws_s_form_and_go_by_level() {
        let trail = trail(Level::Info, false);
        let mut records = Records::new(&trail, Timestamp::from_millis(1_500));
        let event = r#"{"account":"000000000000","time":"1970-01-01T00:00:01Z","source":"s","detail-type":"d","resources":[],"detail":{"a":1}}"#;
        records.push(Step::EventReceipt, None, of_event(event), None);
        records.push(Step::EventIngestSuccess, None, of_event(event), None);
        records.push(Step::InvocationFailure, Some("i"), json!({}), Some(json!({"error_message": "no"})));
        let place = Place::new(World::default_world(), Region::us_east_1());
        let made = records.deliveries(&BusRef { place, name: "b".into() }, "p", &Cause::default());
        assert_eq!(made.len(), 2, "what is traced is not logged");
        assert_eq!((made[0].id.as_str(), made[0].service.as_str()), ("p/log/ERROR", "logs"));
        assert_eq!(made[0].parameters["logType"], "ERROR_LOGS");
        let line = |at: usize| serde_json::from_str::<Value>(made[at].body.as_text().unwrap()).unwrap();
        assert_eq!(line(0)["error"], json!({"error_message": "no"}));
        assert_eq!(
            line(1),
            json!({
                "resource_arn": "arn:aws:events:us-east-1:000000000000:event-bus/b", "request_id": "r", "event_id": "e",
                "message_timestamp_ms": 1500, "message_type": "EVENT_INGEST_SUCCESS", "log_level": "INFO",
                "details": {
                    "caller_account_id": "000000000000", "source_time_ms": 1000, "source": "s", "detail_type": "d",
                    "resources": [],
                },
            })
        );
    }

    #[test]
    fn a_record_that_is_too_large_says_what_it_lacks() {
        let details = json!({"event_detail": "x".repeat(MAX_RECORD_BYTES), "source": "s"});
        let text = fitted(json!({"details": details}), true);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"details": {"source": "s"}, "dropped_fields": ["event_detail"]})
        );
    }

    #[test]
    fn an_invocation_s_id_is_a_uuid_of_its_own() {
        let (one, other) = (invocation_id("p/0"), invocation_id("p/1"));
        assert_eq!((one.len(), one == other, one == invocation_id("p/0")), (36, false, true));
        assert_eq!(one.as_bytes()[14], b'8');
    }
}
