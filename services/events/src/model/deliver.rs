//! A rule's targets made ready, and the deliveries that an event becomes.

use std::collections::BTreeMap;

use fractus_aws::{Arn, Lane};
use fractus_bus::contracts::{
    Attribute, Body, Cause, DeadLetter, DeadLetterForm, Delivery, RetryPolicy, Returns, Source,
};
use fractus_clock::Timestamp;
use fractus_events_api as api;
use serde_json::Value;

use super::json;
use super::names::BusRef;
use super::path::{self, Path};
use super::target::{self, Kind};
use super::transform::{Input, Reserved};
use crate::store::{Rule, Target};

/// This service's name on the bus.
const SERVICE: &str = "events";

/// A rule with all that an event needs of it.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    pub name: String,
    pub arn: Arn,
    arn_text: String,
    /// Whether it sees read-only management calls too.
    pub sees_read_only: bool,
    /// Whether a service made it for its own use.
    pub is_managed: bool,
    pub targets: Vec<CompiledTarget>,
}

#[derive(Clone, Debug)]
pub struct CompiledTarget {
    pub id: String,
    pub kind: Kind,
    arn: Arn,
    service: String,
    action: &'static str,
    input: Input,
    group: Option<String>,
    partition_key: Option<Path>,
    parameters: Value,
    has_paths: bool,
    retry: RetryPolicy,
    dead_letter: Option<DeadLetter>,
    source: Source,
}

/// An event on its way to targets.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    pub lane: &'a Lane,
    /// JSON without space between its tokens.
    pub event: &'a str,
    /// Of this passage over this bus alone; deliveries are numbered behind it.
    pub id: &'a str,
    pub trace_header: Option<&'a str>,
    /// When it came.
    pub at: Timestamp,
    pub cause: &'a Cause,
}

impl CompiledRule {
    pub fn new(bus: &BusRef, rule: &Rule) -> Self {
        let arn = bus.rule_arn(&rule.name);
        let targets = rule.targets.iter().filter_map(|target| CompiledTarget::new(bus, rule, &arn, target)).collect();
        CompiledRule {
            name: rule.name.clone(),
            arn_text: arn.to_string(),
            arn,
            is_managed: rule.managed_by.is_some(),
            sees_read_only: rule.state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
            targets,
        }
    }

    pub fn arn_text(&self) -> &str {
        &self.arn_text
    }

    /// The delivery of an event to one of the targets.
    pub fn delivery(&self, target: &CompiledTarget, number: usize, passing: &Passing<'_>) -> Delivery {
        let reserved = Reserved { rule_arn: &self.arn_text, rule_name: &self.name, ingested_at: passing.at };
        let body = target.input.apply(passing.event, &reserved);
        let mut delivery = Delivery::new(
            format!("{}/{number}", passing.id),
            passing.lane.clone(),
            target.arn.clone(),
            Body::text(body),
            target.source.clone(),
            passing.at,
        );
        delivery.service.clone_from(&target.service);
        delivery.action = target.action.to_owned();
        delivery.retry = target.retry;
        // What a target does not take is tried again by the lane's clock.
        delivery.returns = Some(Returns::failures(SERVICE));
        delivery.dead_letter.clone_from(&target.dead_letter);
        delivery.cause = passing.cause.clone();
        delivery.group_id = target.group.as_ref().map(|group| resolved_text(group, passing.event));
        delivery.parameters = match &target.parameters {
            Value::Null => Value::Null,
            parameters if target.has_paths => resolved(parameters, passing.event),
            parameters => parameters.clone(),
        };
        if target.kind == Kind::Stream {
            let found = target.partition_key.as_ref().and_then(|path| path.find(passing.event));
            // Without a path AWS takes the event's id.
            let key = found.map_or_else(|| id_of(passing.event), |json| path::plain(&json).into_owned());
            delivery.parameters["PartitionKey"] = Value::String(key);
        }
        if let Some(header) = passing.trace_header {
            delivery.system_attributes.insert("AWSTraceHeader".to_owned(), Attribute::string(header));
        }
        delivery
    }
}

/// The event's own id.
pub fn id_of(event: &str) -> String {
    let path = Path::parse("$.id");
    let found = path.as_ref().and_then(|path| path.find(event));
    found.map(|json| path::plain(&json).into_owned()).unwrap_or_default()
}

impl CompiledTarget {
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    pub fn role(&self) -> Option<&Arn> {
        self.source.role.as_ref()
    }

    fn new(bus: &BusRef, rule: &Rule, rule_arn: &Arn, stored: &Target) -> Option<Self> {
        let given: api::Target = json::to_shape(&stored.json);
        let archive = stored.arn.ends_with(":::");
        let arn: Arn = if archive { bus.arn() } else { stored.arn.parse().ok()? };
        let kind = if archive { Kind::Archive } else { Kind::of(&arn) };
        let (service, action) = kind.service_and_action(&arn);
        let role = given.role_arn.as_deref().or(rule.role_arn.as_deref()).and_then(|role| role.parse().ok());
        let parameters = target::parameters(kind, &arn, &stored.json);
        let partition_key =
            given.kinesis_parameters.as_ref().and_then(|kinesis| Path::parse(&kinesis.partition_key_path));
        Some(CompiledTarget {
            id: stored.id.clone(),
            kind,
            input: target::input(&given).unwrap_or(Input::Whole),
            group: given.sqs_parameters.and_then(|sqs| sqs.message_group_id).filter(|group| !group.is_empty()),
            partition_key,
            has_paths: has_paths(&parameters),
            parameters,
            retry: retry(given.retry_policy.as_ref()),
            dead_letter: given.dead_letter_config.and_then(|config| dead_letter(&config.arn?, rule_arn)),
            source: Source {
                principal: "events.amazonaws.com".to_owned(),
                arn: Some(rule_arn.clone()),
                account: bus.place.world.account.clone(),
                role,
            },
            arn,
            service,
            action,
        })
    }
}

fn retry(given: Option<&api::RetryPolicy>) -> RetryPolicy {
    let usual = RetryPolicy::default();
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    RetryPolicy {
        maximum_retries: given
            .and_then(|policy| number(policy.maximum_retry_attempts))
            .unwrap_or(usual.maximum_retries),
        maximum_age_secs: given
            .and_then(|policy| number(policy.maximum_event_age_in_seconds))
            .map_or(usual.maximum_age_secs, u64::from),
        ..usual
    }
}

fn dead_letter(queue: &str, rule_arn: &Arn) -> Option<DeadLetter> {
    Some(DeadLetter {
        target: queue.parse().ok()?,
        service: "sqs".to_owned(),
        form: DeadLetterForm::Events,
        attributes: BTreeMap::from([("RULE_ARN".to_owned(), Attribute::string(rule_arn.to_string()))]),
    })
}

/// Whether any text in it is a path into the event.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html#dynamic-path-parameters>
fn has_paths(parameters: &Value) -> bool {
    match parameters {
        Value::String(text) => text.starts_with("$.") || text.starts_with("$["),
        Value::Array(list) => list.iter().any(has_paths),
        Value::Object(map) => map.values().any(has_paths),
        _ => false,
    }
}

fn resolved(parameters: &Value, event: &str) -> Value {
    match parameters {
        Value::String(text) => Value::String(resolved_text(text, event)),
        Value::Array(list) => Value::Array(list.iter().map(|value| resolved(value, event)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), resolved(value, event))).collect())
        }
        other => other.clone(),
    }
}

fn resolved_text(text: &str, event: &str) -> String {
    if !text.starts_with('$') {
        return text.to_owned();
    }
    match Path::parse(text) {
        Some(path) => path.find(event).map(|json| path::plain(&json).into_owned()).unwrap_or_default(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};
    use serde_json::json;

    use super::*;
    use crate::model::names::Place;

    const EVENT: &str = r#"{"id":"7bf7","detail":{"who":"ann","n":7,"where":"eu"}}"#;

    fn delivery(target: Value) -> Delivery {
        let bus = BusRef { place: Place::new(World::default_world(), Region::us_east_1()), name: "default".into() };
        let target = Target { id: "t".into(), arn: target["Arn"].as_str().unwrap().into(), json: target };
        let rule = Rule { name: "r".into(), targets: vec![target], ..Rule::default() };
        let rule = CompiledRule::new(&bus, &rule);
        let cause = Cause::default();
        let passing = Passing {
            lane: &Lane::main(),
            event: EVENT,
            id: "p",
            trace_header: Some("Root=1"),
            at: Timestamp::EPOCH,
            cause: &cause,
        };
        rule.delivery(&rule.targets[0], 3, &passing)
    }

    #[test]
    fn a_queue_gets_the_event_its_group_and_its_policies() {
        let made = delivery(json!({
            "Id": "t", "Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo", "SqsParameters": {"MessageGroupId": "$.detail.who"},
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"},
        }));
        assert_eq!((made.id.as_str(), made.service.as_str(), made.action.as_str()), ("p/3", "sqs", "sqs:SendMessage"));
        assert_eq!(made.body.as_text(), Some(EVENT));
        assert_eq!(made.group_id.as_deref(), Some("ann"));
        assert_eq!(made.retry, RetryPolicy { maximum_retries: 2, maximum_age_secs: 60, ..RetryPolicy::default() });
        assert_eq!(made.system_attributes["AWSTraceHeader"], Attribute::string("Root=1"));
        let letter = made.dead_letter.unwrap();
        assert_eq!(letter.attributes["RULE_ARN"], Attribute::string("arn:aws:events:us-east-1:000000000000:rule/r"));
        assert_eq!(made.source.arn.unwrap().to_string(), "arn:aws:events:us-east-1:000000000000:rule/r");
    }

    #[test]
    fn parameters_look_into_the_event() {
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
        let keyed =
            delivery(json!({"Id": "t", "Arn": stream, "KinesisParameters": {"PartitionKeyPath": "$.detail.n"}}));
        assert_eq!(keyed.parameters, json!({"StreamARN": stream, "PartitionKey": "7"}));
        assert_eq!(delivery(json!({"Id": "t", "Arn": stream})).parameters["PartitionKey"], json!("7bf7"));
        let http = delivery(json!({
            "Id": "t", "Arn": "arn:aws:execute-api:us-east-1:000000000000:a/s/POST/p/*", "InputPath": "$.detail.who",
            "HttpParameters": {"PathParameterValues": ["$.detail.where"], "HeaderParameters": {"X": "$.detail.nobody", "Y": "y"}},
        }));
        assert_eq!(http.body.as_text(), Some("\"ann\""));
        assert_eq!(http.parameters, json!({"PathParameterValues": ["eu"], "HeaderParameters": {"X": "", "Y": "y"}}));
    }
}
