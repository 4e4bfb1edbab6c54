//! Delivery status logs: what became of a message at an endpoint, as a line in CloudWatch Logs, where the topic (or, for
//! devices, the platform application) names a role for it.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/topics-attrib.html>, <https://docs.aws.amazon.com/sns/latest/dg/sns-msg-status.html>
//!
//! What queues, functions and streams made of a delivery comes back over the bus, only where a log is wanted; the note that
//! goes with it says what the line tells of the message.

use fractus_aws::Arn;
use fractus_bus::contracts::{Body, Delivery, Fate, Source};
use fractus_clock::{Random, Timestamp};
use fractus_host::{Attempted, Verdict};
use fractus_store::{StoreError, Transaction};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::service::Sns;
use crate::store::{Attributes, Message, Place, TOPICS};

/// What a topic or an application wants of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    pub success: Option<&'a str>,
    pub failure: Option<&'a str>,
    /// Percent of the successes.
    rate: u64,
}

/// The attributes that say it: the role for successes, the one for failures, the rate. Publishing asks for each subscription,
/// so their names are not put together.
fn names(protocol: &str) -> Option<[&'static str; 3]> {
    Some(match protocol {
        "sqs" => ["SQSSuccessFeedbackRoleArn", "SQSFailureFeedbackRoleArn", "SQSSuccessFeedbackSampleRate"],
        "lambda" => ["LambdaSuccessFeedbackRoleArn", "LambdaFailureFeedbackRoleArn", "LambdaSuccessFeedbackSampleRate"],
        "firehose" => {
            ["FirehoseSuccessFeedbackRoleArn", "FirehoseFailureFeedbackRoleArn", "FirehoseSuccessFeedbackSampleRate"]
        }
        "application" => [
            "ApplicationSuccessFeedbackRoleArn",
            "ApplicationFailureFeedbackRoleArn",
            "ApplicationSuccessFeedbackSampleRate",
        ],
        "http" | "https" => {
            ["HTTPSuccessFeedbackRoleArn", "HTTPFailureFeedbackRoleArn", "HTTPSuccessFeedbackSampleRate"]
        }
        _ => return None,
    })
}

const OF_APPLICATIONS: [&str; 3] = ["SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", "SuccessFeedbackSampleRate"];

impl<'a> Wish<'a> {
    /// A topic's, of a protocol.
    pub fn of(attributes: &'a Attributes, protocol: &str) -> Self {
        match names(protocol) {
            Some(names) if !attributes.is_empty() => Wish::named(attributes, names),
            _ => Wish { success: None, failure: None, rate: 0 },
        }
    }

    /// A platform application's own.
    pub fn of_application(attributes: &'a Attributes) -> Self {
        Wish::named(attributes, OF_APPLICATIONS)
    }

    fn named(attributes: &'a Attributes, [success, failure, rate]: [&str; 3]) -> Self {
        let text = |name: &str| attributes.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let rate = text(rate).and_then(|rate| rate.parse().ok()).unwrap_or(0);
        Wish { success: text(success), failure: text(failure), rate }
    }

    pub fn is_any(&self) -> bool {
        self.success.is_some() || self.failure.is_some()
    }

    /// Whether a success is one of those that are told.
    pub fn is_sampled(&self, random: &Random) -> bool {
        self.rate >= 100 || self.rate > 0 && random.below(100) < self.rate
    }

    /// The role that writes the line of an outcome; none where it is not told.
    pub fn role(&self, succeeded: bool, random: &Random) -> Option<&'a str> {
        if succeeded { self.success.filter(|_| self.is_sampled(random)) } else { self.failure }
    }
}

/// What comes back with a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub protocol: String,
    pub message_id: String,
    pub md5: String,
    pub published_at: Timestamp,
}

impl Note {
    pub fn of(message: &Message, protocol: &str) -> Self {
        Note {
            protocol: protocol.to_owned(),
            message_id: message.id.clone(),
            md5: hex::encode(Md5::digest(message.text_for(protocol).as_bytes())),
            published_at: message.published_at,
        }
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The line of a delivery that has come back and is settled, where one is wanted.
pub fn of_delivery(sns: &Sns, tx: &Transaction<'_>, attempted: &Attempted<'_>) -> Result<Vec<Delivery>, StoreError> {
    let Attempted { delivery, fate, verdict, now } = attempted;
    let note = delivery.returns.as_ref().map(|returns| returns.note.clone()).unwrap_or_default();
    let (Ok(note), Some(topic_arn)) = (serde_json::from_value::<Note>(note), &delivery.source.arn) else {
        return Ok(Vec::new());
    };
    let succeeded = match verdict {
        Verdict::Arrived => true,
        Verdict::GivenUp(_) => false,
        Verdict::Again(_) => return Ok(Vec::new()),
    };
    let Some(place) = place_of(delivery, topic_arn) else { return Ok(Vec::new()) };
    let Some(topic) = tx.get_shared(&TOPICS, &place.scope(), &(place.name.as_str(),))? else { return Ok(Vec::new()) };
    let wish = Wish::of(&topic.attributes, &note.protocol);
    // What arrived was sampled when it was sent.
    let Some(role) = (if succeeded { wish.success } else { wish.failure }) else { return Ok(Vec::new()) };
    let (status, response) = answer(&note.protocol, fate, sns.host.random());
    let entry = Entry {
        place: &place,
        log: place.name.as_str(),
        role,
        message_id: &note.message_id,
        md5: Some(&note.md5),
        published_at: note.published_at,
        destination: &delivery.target.to_string(),
        response,
        attempts: delivery.attempt,
        status: Some(status),
        succeeded,
        now: *now,
    };
    Ok(vec![entry.delivery(sns.host.random())])
}

/// Where the topic lies that sent a delivery.
fn place_of(delivery: &Delivery, topic: &Arn) -> Option<Place> {
    let world = fractus_aws::World {
        lane: delivery.lane.clone(),
        partition: fractus_aws::Partition::parse(&topic.partition)?,
        account: fractus_aws::AccountId::new(&topic.account).ok()?,
    };
    Some(Place { world, region: fractus_aws::Region::new(&topic.region).ok()?, name: topic.resource.clone() })
}

/// The status and the `providerResponse` of what a service of AWS's answered.
fn answer(protocol: &str, fate: &Fate, random: &Random) -> (u16, String) {
    let request_id = format!("{protocol}RequestId");
    match fate {
        Fate::Done { answer } => {
            let mut response = json!({ request_id: random.uuid() });
            let id = |name: &str| answer.get(name).cloned();
            match protocol {
                "sqs" => response["sqsMessageId"] = id("MessageId").unwrap_or_default(),
                "firehose" => response["firehoseRecordId"] = id("RecordId").unwrap_or_default(),
                _ => {}
            }
            (if protocol == "lambda" { 202 } else { 200 }, response.to_string())
        }
        failed => {
            let (code, message) = failed.reason().unwrap_or_default();
            let status = match failed {
                Fate::Refused { .. } if code.contains("Access") || code.contains("Authoriz") => 403,
                Fate::Refused { .. } => 400,
                _ => 500,
            };
            let response = json!({ "ErrorCode": code, "ErrorMessage": message, request_id: "Unrecoverable" });
            (status, response.to_string())
        }
    }
}

/// A line of a log.
pub struct Entry<'a> {
    /// The topic, or a place of the application's account and region.
    pub place: &'a Place,
    /// What the log group is called after account and region: a topic's name, `app/GCM/name`.
    pub log: &'a str,
    pub role: &'a str,
    pub message_id: &'a str,
    pub md5: Option<&'a str>,
    pub published_at: Timestamp,
    pub destination: &'a str,
    pub response: String,
    pub attempts: u32,
    pub status: Option<u16>,
    pub succeeded: bool,
    pub now: Timestamp,
}

impl Entry<'_> {
    fn json(&self, delivery_id: &str) -> Value {
        let mut notification = json!({
            "messageId": self.message_id,
            // `2026-01-01 00:00:00.000`
            "timestamp": self.published_at.date_time_millis().replace('T', " ").trim_end_matches('Z'),
        });
        if let Some(md5) = self.md5 {
            notification["messageMD5Sum"] = json!(md5);
        }
        if !self.log.starts_with("app/") {
            notification["topicArn"] = json!(self.place.arn().to_string());
        }
        let dwell = u64::try_from(self.now.since(self.published_at).as_millis()).unwrap_or(u64::MAX);
        let mut delivery = json!({
            "deliveryId": delivery_id,
            "destination": self.destination,
            "providerResponse": self.response,
            "dwellTimeMs": dwell,
            "attempts": self.attempts,
        });
        if let Some(status) = self.status {
            delivery["statusCode"] = json!(status);
        }
        json!({
            "notification": notification,
            "delivery": delivery,
            "status": if self.succeeded { "SUCCESS" } else { "FAILURE" },
        })
    }

    fn log_group(&self) -> Arn {
        let (region, account) = (self.place.region.as_str(), self.place.world.account.as_str());
        let ending = if self.succeeded { "" } else { "/Failure" };
        let name = format!("log-group:sns/{region}/{account}/{}{ending}", self.log);
        Arn::new(self.place.world.partition, "logs", region, account, name)
    }

    /// The delivery of the line to CloudWatch Logs.
    pub fn delivery(&self, random: &Random) -> Delivery {
        let source = Source {
            principal: "sns.amazonaws.com".to_owned(),
            arn: (!self.log.starts_with("app/")).then(|| self.place.arn()),
            account: self.place.world.account.clone(),
            role: self.role.parse().ok(),
        };
        let body = Body::text(self.json(&random.uuid()).to_string());
        let lane = self.place.world.lane.clone();
        let group = self.log_group();
        let name = group.resource.trim_start_matches("log-group:").to_owned();
        let mut delivery = Delivery::new(random.uuid(), lane, group, body, source, self.now);
        delivery.action = "logs:PutLogEvents".to_owned();
        delivery.parameters = json!({ "logGroupName": name });
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_aws_s_form() {
        let place = Place {
            world: fractus_aws::World::default_world(),
            region: fractus_aws::Region::us_east_1(),
            name: "t".into(),
        };
        let message = Message { text: "hello".into(), ..Message::default() };
        let note = Note::of(&message, "sqs");
        let fate = Fate::Refused { code: "AccessDenied".into(), message: "no".into() };
        let (status, response) = answer("sqs", &fate, &Random::seeded(1));
        let entry = Entry {
            place: &place,
            log: "t",
            role: "arn:aws:iam::000000000000:role/logs",
            message_id: "m",
            md5: Some(&note.md5),
            published_at: Timestamp::from_secs(1_767_225_600),
            destination: "arn:aws:sqs:us-east-1:000000000000:q",
            response,
            attempts: 3,
            status: Some(status),
            succeeded: false,
            now: Timestamp::from_secs(1_767_225_602),
        };
        assert_eq!(
            entry.json("d"),
            json!({
                "notification": {
                    "messageMD5Sum": "5d41402abc4b2a76b9719d911017c592",
                    "messageId": "m",
                    "topicArn": "arn:aws:sns:us-east-1:000000000000:t",
                    "timestamp": "2026-01-01 00:00:00.000",
                },
                "delivery": {
                    "deliveryId": "d",
                    "destination": "arn:aws:sqs:us-east-1:000000000000:q",
                    "providerResponse": r#"{"ErrorCode":"AccessDenied","ErrorMessage":"no","sqsRequestId":"Unrecoverable"}"#,
                    "dwellTimeMs": 2_000,
                    "attempts": 3,
                    "statusCode": 403,
                },
                "status": "FAILURE",
            })
        );
        assert_eq!(entry.log_group().resource, "log-group:sns/us-east-1/000000000000/t/Failure");
    }

    #[test]
    fn a_topic_says_for_each_protocol_what_it_wants() {
        let attributes: Attributes = [
            ("SQSSuccessFeedbackRoleArn", "r"),
            ("SQSSuccessFeedbackSampleRate", "100"),
            ("LambdaFailureFeedbackRoleArn", "f"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let random = Random::seeded(1);
        assert_eq!(Wish::of(&attributes, "sqs").role(true, &random), Some("r"));
        assert_eq!(Wish::of(&attributes, "sqs").role(false, &random), None);
        assert_eq!(Wish::of(&attributes, "lambda").role(false, &random), Some("f"));
        assert!(!Wish::of(&attributes, "https").is_any());
    }
}
