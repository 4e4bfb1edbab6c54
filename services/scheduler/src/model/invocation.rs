//! One invocation of a schedule's target: what is sent to whom, and the letter that tells of its end in vain.

use fractus_aws::{Arn, Lane};
use fractus_bus::contracts::{Attribute, Body, Delivery, RetryPolicy, Returns, Source};
use fractus_clock::{Random, Timestamp};
use fractus_datakeys::Kept;
use fractus_host::AssumeServiceRole;
use fractus_scheduler_api as api;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::documents;
use super::input::{self, Facts};
use super::target::{self, Kind};
use crate::store::Place;

/// This service, as the bus calls it.
pub const SERVICE: &str = "scheduler";
const PRINCIPAL: &str = "scheduler.amazonaws.com";
/// What sessions of execution roles are called.
const SESSION_NAME: &str = "scheduler";

/// An invocation, with all that a further attempt needs: the schedule may have changed since or be gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    pub id: String,
    /// Whose it is: see [`Place::key`].
    pub place: String,
    pub schedule_arn: String,
    /// The target, its members called as in the model.
    pub target: Value,
    pub scheduled_at: Timestamp,
    /// When it was first made.
    pub begun_at: Timestamp,
    /// The attempt that is made, from 1.
    pub attempt: u32,
    /// Of this attempt.
    pub execution_id: String,
    /// What the target is kept under: it has to be opened as the role before each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<Kept>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub code: String,
    pub message: String,
}

impl Invocation {
    /// The first attempt.
    pub fn new(
        place: &Place,
        schedule_arn: String,
        target: Value,
        scheduled_at: Timestamp,
        now: Timestamp,
        random: &Random,
    ) -> Self {
        Invocation {
            id: random.uuid(),
            place: place.key(),
            schedule_arn,
            target,
            scheduled_at,
            begun_at: now,
            attempt: 1,
            execution_id: execution_id(random),
            data_key: None,
        }
    }

    /// The attempt after this one.
    #[must_use]
    pub fn again(mut self, random: &Random) -> Self {
        self.attempt = self.attempt.saturating_add(1);
        self.execution_id = execution_id(random);
        self
    }

    /// The target as the API has it. None: it was written by a program that knew other members.
    pub fn target(&self) -> Option<api::Target> {
        documents::from_json(&self.target).ok()
    }

    /// What this attempt brings.
    pub fn body(&self, target: &api::Target, place: &Place) -> String {
        let facts = Facts {
            schedule_arn: &self.schedule_arn,
            scheduled_at: self.scheduled_at,
            execution_id: &self.execution_id,
            attempt: self.attempt,
        };
        match &target.input {
            Some(text) => input::with_facts(text, &facts),
            None => input::notification(place, &self.schedule_arn, &self.id, self.scheduled_at),
        }
    }

    /// The first delivery of this attempt: to this service itself where it has to call or to open something, else to the
    /// target. The bus makes one attempt and brings a failure back here, where the lane's clock decides on the next one.
    pub fn delivery(&self, lane: &Lane, now: Timestamp) -> Option<Delivery> {
        let mut delivery = self.to_target(lane, now)?;
        if self.data_key.is_some() && delivery.service != SERVICE {
            let place = Place::parse(lane, &self.place)?;
            delivery.id = format!("{}/sealed", delivery.id);
            delivery.service = SERVICE.to_owned();
            delivery.action = String::new();
            delivery.account = place.world.account;
            delivery.region = place.region;
            delivery.group_id = None;
        }
        Some(delivery)
    }

    /// The delivery to the target; a universal one is called by this service.
    pub fn to_target(&self, lane: &Lane, now: Timestamp) -> Option<Delivery> {
        let place = Place::parse(lane, &self.place)?;
        let target = self.target()?;
        let (arn, kind) = target::kind(&target.arn).ok()?;
        let id = format!("{}/{}", self.id, self.attempt);
        let body = Body::text(self.body(&target, &place));
        let mut delivery = Delivery::new(id, lane.clone(), arn, body, self.source(&place, &target), now);
        match kind {
            Kind::Universal(_) => {
                delivery.service = SERVICE.to_owned();
                delivery.account = place.world.account.clone();
                delivery.region = place.region.clone();
            }
            Kind::Templated(template) => {
                delivery.service = template.service.to_owned();
                delivery.action = template.action.to_owned();
                delivery.group_id = target.sqs_parameters.as_ref().and_then(|sqs| sqs.message_group_id.clone());
                delivery.parameters = parameters(&target, &self.schedule_arn);
                if target.event_bridge_put_raw_events_parameters.is_some() {
                    delivery.action = "events:PutRawEvents".to_owned();
                }
            }
        }
        delivery.retry = RetryPolicy { maximum_retries: 0, ..RetryPolicy::default() };
        let note = serde_json::to_value(self).unwrap_or_default();
        delivery.returns = Some(Returns { note, ..Returns::failures(SERVICE) });
        Some(delivery)
    }

    /// The message for the schedule's dead-letter queue; none where it has no queue.
    ///
    /// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html>
    pub fn letter(
        &self,
        lane: &Lane,
        failed: &Failed,
        exhausted: Option<&'static str>,
        now: Timestamp,
    ) -> Option<Delivery> {
        let place = Place::parse(lane, &self.place)?;
        let target = self.target()?;
        let queue: Arn = target.dead_letter_config.as_ref()?.arn.as_ref()?.parse().ok()?;
        let body = Body::text(self.body(&target, &place));
        let id = format!("{}/dead-letter", self.id);
        let mut letter = Delivery::new(id, lane.clone(), queue, body, self.source(&place, &target), now);
        let mut attributes = vec![
            ("ERROR_CODE", error_code(&failed.code)),
            ("ERROR_MESSAGE", failed.message.clone()),
            ("EXECUTION_ID", self.execution_id.clone()),
            ("IS_PAYLOAD_TRUNCATED", "false".to_owned()),
            ("RETRY_ATTEMPTS", self.attempt.saturating_sub(1).to_string()),
            ("SCHEDULED_TIME", self.scheduled_at.to_secs_precision().date_time()),
            ("SCHEDULE_ARN", self.schedule_arn.clone()),
            ("TARGET_ARN", target.arn.clone()),
        ];
        attributes.extend(exhausted.map(|condition| ("EXHAUSTED_RETRY_CONDITION", condition.to_owned())));
        // A queue takes no empty attribute.
        let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
        letter.attributes = attributes.map(|(name, value)| (name.to_owned(), Attribute::string(value))).collect();
        Some(letter)
    }

    /// The session of the role that it is made with.
    pub fn acts_as(&self, place: &Place, target: &api::Target) -> Option<AssumeServiceRole> {
        acts_as(place, &self.schedule_arn, &target.role_arn)
    }

    /// As which role it is made, and for which group: what a trust policy is asked about.
    ///
    /// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html>
    fn source(&self, place: &Place, target: &api::Target) -> Source {
        let group = self.schedule_arn.split('/').nth(1).unwrap_or_default();
        Source {
            principal: PRINCIPAL.to_owned(),
            arn: place.group_arn(group).parse().ok(),
            account: place.world.account.clone(),
            role: target.role_arn.parse().ok(),
        }
    }
}

/// A session of an execution role, for the group of a schedule.
///
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html>
pub fn acts_as(place: &Place, schedule_arn: &str, role: &str) -> Option<AssumeServiceRole> {
    let group = schedule_arn.split('/').nth(1).unwrap_or_default();
    Some(AssumeServiceRole {
        lane: place.world.lane.clone(),
        partition: place.world.partition,
        region: place.region.clone(),
        role: role.parse().ok()?,
        service: PRINCIPAL.to_owned(),
        session_name: SESSION_NAME.to_owned(),
        source_arn: place.group_arn(group).parse().ok(),
        source_account: place.world.account.clone(),
    })
}

fn execution_id(random: &Random) -> String {
    format!("{:016x}", random.u64())
}

/// SQS's older name for what its callers over JSON call otherwise: the one that letters carry on AWS.
fn error_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        other => other.to_owned(),
    }
}

/// What the target's operation needs beside the body, called as the operation calls it.
fn parameters(target: &api::Target, schedule_arn: &str) -> Value {
    let event = |detail_type: &str, source: &str| json!({ "DetailType": detail_type, "Source": source, "Resources": [schedule_arn] });
    if let Some(events) = &target.event_bridge_parameters {
        return event(&events.detail_type, &events.source);
    }
    if let Some(events) = &target.event_bridge_put_events_v2_parameters {
        return event(&events.detail_type, &events.source);
    }
    if let Some(raw) = &target.event_bridge_put_raw_events_parameters {
        return json!({ "Metadata": raw.metadata });
    }
    if let Some(kinesis) = &target.kinesis_parameters {
        return json!({ "PartitionKey": kinesis.partition_key });
    }
    if let Some(pipeline) = &target.sage_maker_pipeline_parameters {
        let list = pipeline.pipeline_parameter_list.iter().flatten();
        let list: Vec<Value> = list.map(|one| json!({ "Name": one.name, "Value": one.value })).collect();
        return json!({ "PipelineParameters": list });
    }
    target.ecs_parameters.as_ref().map_or(Value::Null, run_task)
}

/// EcsParameters as RunTask's members.
fn run_task(ecs: &api::EcsParameters) -> Value {
    let Ok(Value::Object(members)) = documents::to_json(ecs) else { return Value::Null };
    let mut task: serde_json::Map<String, Value> = members
        .into_iter()
        .map(|(name, value)| match name.as_str() {
            "TaskDefinitionArn" => ("taskDefinition".to_owned(), value),
            "TaskCount" => ("count".to_owned(), value),
            // Maps of the caller's own.
            "Tags" => ("tags".to_owned(), value),
            _ => (small(&name), small_names(value)),
        })
        .collect();
    task.entry("count").or_insert_with(|| json!(1));
    Value::Object(task)
}

fn small_names(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(name, value)| (small(&name), small_names(value))).collect(),
        Value::Array(list) => list.into_iter().map(small_names).collect(),
        other => other,
    }
}

fn small(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;

    fn invocation(target: &api::Target) -> Invocation {
        let place = Place::new(&World::default_world(), &Region::us_east_1());
        let at = Timestamp::from_secs(1_800_000_000);
        let target = documents::to_json(target).unwrap();
        Invocation::new(&place, place.schedule_arn("g", "s"), target, at, at, &Random::seeded(1))
    }

    fn target(arn: &str) -> api::Target {
        let role_arn = "arn:aws:iam::000000000000:role/r".to_owned();
        api::Target { arn: arn.to_owned(), role_arn, ..Default::default() }
    }

    #[test]
    fn a_delivery_says_all_that_its_target_needs() {
        let fifo = api::Target {
            input: Some("hi <aws.scheduler.attempt-number>".into()),
            sqs_parameters: Some(api::SqsParameters { message_group_id: Some("g1".into()) }),
            ..target("arn:aws:sqs:eu-west-1:123456789012:q.fifo")
        };
        let made = invocation(&fifo);
        let delivery = made.delivery(&Lane::main(), made.begun_at).unwrap();
        assert_eq!((delivery.service.as_str(), delivery.action.as_str()), ("sqs", "sqs:SendMessage"));
        assert_eq!((delivery.account.as_str(), delivery.region.as_str()), ("123456789012", "eu-west-1"));
        assert_eq!((delivery.body.as_text(), delivery.group_id.as_deref()), (Some("hi 1"), Some("g1")));
        assert_eq!(delivery.retry.maximum_retries, 0);
        let source = &delivery.source;
        assert_eq!(
            source.arn.as_ref().unwrap().to_string(),
            "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g"
        );
        assert_eq!(source.role.as_ref().unwrap().resource, "role/r");
        // It comes back whole.
        let kept: Invocation = serde_json::from_value(delivery.returns.unwrap().note).unwrap();
        assert_eq!(kept, made);
        let again = kept.again(&Random::seeded(2)).delivery(&Lane::main(), made.begun_at).unwrap();
        assert_eq!(again.body.as_text(), Some("hi 2"));
    }

    #[test]
    fn parameters_are_called_as_the_operation_calls_them() {
        let bus = api::Target {
            event_bridge_parameters: Some(api::EventBridgeParameters { detail_type: "d".into(), source: "s".into() }),
            ..target("arn:aws:events:us-east-1:000000000000:event-bus/b")
        };
        assert_eq!(parameters(&bus, "arn:s"), json!({"DetailType": "d", "Source": "s", "Resources": ["arn:s"]}));
        let network = api::NetworkConfiguration {
            awsvpc_configuration: Some(api::AwsVpcConfiguration { subnets: vec!["n".into()], ..Default::default() }),
        };
        let ecs = api::EcsParameters {
            task_definition_arn: "t".into(),
            launch_type: Some(api::LaunchType::Fargate),
            enable_ecs_managed_tags: Some(true),
            network_configuration: Some(network),
            ..Default::default()
        };
        let cluster = target("arn:aws:ecs:us-east-1:000000000000:cluster/c");
        assert_eq!(
            parameters(&api::Target { ecs_parameters: Some(ecs), ..cluster }, "arn:s"),
            json!({"taskDefinition": "t", "count": 1, "launchType": "FARGATE", "enableECSManagedTags": true,
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["n"]}}})
        );
    }

    #[test]
    fn a_letter_has_the_documented_attributes() {
        let queue = Some(api::DeadLetterConfig { arn: Some("arn:aws:sqs:us-east-1:000000000000:dead".into()) });
        let made = invocation(&api::Target {
            input: Some("{}".into()),
            dead_letter_config: queue,
            ..target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage")
        });
        let failed = Failed { code: "QueueDoesNotExist".into(), message: "gone".into() };
        let letter = made.letter(&Lane::main(), &failed, Some("MaximumRetryAttempts"), made.begun_at).unwrap();
        let text = |name: &str| letter.attributes[name].value.as_text().unwrap();
        assert_eq!(text("ERROR_CODE"), "AWS.SimpleQueueService.NonExistentQueue");
        assert_eq!(text("EXHAUSTED_RETRY_CONDITION"), "MaximumRetryAttempts");
        assert_eq!((text("RETRY_ATTEMPTS"), text("SCHEDULED_TIME")), ("0", "2027-01-15T08:00:00Z"));
        assert_eq!((text("IS_PAYLOAD_TRUNCATED"), text("EXECUTION_ID").len()), ("false", 16));
        assert_eq!(letter.attributes.len(), 9);
        assert_eq!(letter.target.resource, "dead");
    }
}
