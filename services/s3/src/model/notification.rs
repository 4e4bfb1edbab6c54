//! Event notifications: which configuration an event matches, and what is sent.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use fractus_clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::encoding::form_encode;
use crate::model::lock::{HoldDuration, Retention};

/// Where a configuration sends its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DestinationKind {
    Queue,
    Topic,
    Function,
}

impl DestinationKind {
    /// The service in the destination's ARN.
    pub const fn service(self) -> &'static str {
        match self {
            DestinationKind::Queue => "sqs",
            DestinationKind::Topic => "sns",
            DestinationKind::Function => "lambda",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NotificationConfiguration {
    pub targets: Vec<NotificationTarget>,
    pub event_bridge: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationTarget {
    pub id: String,
    pub kind: DestinationKind,
    pub arn: String,
    /// Event types such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

impl NotificationTarget {
    /// Whether an event of this type (`s3:ObjectCreated:Put`) on this key is sent here.
    pub fn matches(&self, event: &str, key: &str) -> bool {
        self.events.iter().any(|pattern| event_matches(pattern, event))
            && self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_deref().is_none_or(|suffix| key.ends_with(suffix))
    }

    /// Whether some event on some key would be sent by both.
    fn overlaps(&self, other: &NotificationTarget) -> bool {
        let events = self.events.iter().any(|own| other.events.iter().any(|their| events_overlap(own, their)));
        let (own_prefix, their_prefix) = (filter(&self.prefix), filter(&other.prefix));
        let (own_suffix, their_suffix) = (filter(&self.suffix), filter(&other.suffix));
        events
            && (own_prefix.starts_with(their_prefix) || their_prefix.starts_with(own_prefix))
            && (own_suffix.ends_with(their_suffix) || their_suffix.ends_with(own_suffix))
    }
}

fn filter(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn event_matches(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(family) => event.starts_with(family),
        None => pattern == event,
    }
}

fn events_overlap(one: &str, other: &str) -> bool {
    event_matches(one, other) || event_matches(other, one)
}

/// Two configurations must not both send one event: S3 refuses overlapping filters for a shared event type.
pub fn check_no_overlap(targets: &[NotificationTarget]) -> Result<()> {
    let clash = targets.iter().enumerate().any(|(at, one)| targets[at + 1..].iter().any(|other| one.overlaps(other)));
    if clash {
        return Err(Error::invalid_argument(
            "NotificationConfiguration",
            "",
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.",
        ));
    }
    Ok(())
}

/// The version of the records' structure. Since 2.4 all types of events share one.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
const RECORD_VERSION: &str = "2.6";

/// What events of one kind alone tell.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The storage class that a lifecycle rule has moved the object to.
    Class(String),
    /// The archive tier of intelligent tiering that it has come to.
    Tier(String),
    /// A restore that began, of an object of this class.
    Restoring {
        class: String,
    },
    Restored {
        until: Timestamp,
        class: String,
    },
    /// An annotation that was put, with its size and entity tag, or removed.
    Annotation {
        name: String,
        put: Option<(u64, String)>,
    },
    /// Whether a copy has annotations.
    Copied {
        annotated: bool,
    },
    Retained(Retention),
    NotReplicated(FailedReplication),
}

/// A version that a rule did not copy.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedReplication {
    pub rule: String,
    /// The ARN of the bucket it was to go to.
    pub destination: String,
    pub operation: &'static str,
    pub requested_at: Timestamp,
    pub reason: &'static str,
}

impl Detail {
    /// Its member of a record, and what stands there.
    fn member(&self) -> Option<(&'static str, Value)> {
        Some(match self {
            Detail::Class(class) => {
                let moved = json!({ "transitionEventData": { "destinationStorageClass": class } });
                ("lifecycleEventData", moved)
            }
            Detail::Tier(tier) => ("intelligentTieringEventData", json!({ "destinationAccessTier": tier })),
            Detail::Restored { until, class } => {
                let restored = json!({
                    "restoreEventData": {
                        "lifecycleRestorationExpiryTime": until.date_time_millis(),
                        "lifecycleRestoreStorageClass": class,
                    }
                });
                ("glacierEventData", restored)
            }
            Detail::Retained(retention) => ("objectRetentionEventData", retention_data(retention)),
            Detail::NotReplicated(failed) => {
                let data = json!({
                    "replicationRuleId": failed.rule,
                    "destinationBucket": failed.destination,
                    "s3Operation": failed.operation,
                    "requestTime": failed.requested_at.date_time_millis(),
                    "failureReason": failed.reason,
                });
                ("replicationEventData", data)
            }
            Detail::Restoring { .. } | Detail::Annotation { .. } | Detail::Copied { .. } => return None,
        })
    }

    /// What it adds to the record's object.
    fn of_object(&self) -> Option<(&'static str, Value)> {
        match self {
            Detail::Copied { annotated } => Some(("hasObjectAnnotation", (*annotated).into())),
            Detail::Annotation { name, put } => {
                let mut annotation = json!({ "name": name });
                if let Some((size, etag)) = put {
                    annotation["size"] = (*size).into();
                    annotation["eTag"] = etag.trim_matches('"').into();
                }
                Some(("objectAnnotation", annotation))
            }
            _ => None,
        }
    }
}

/// A fixed retention has a mode and a date; one with an event hold tells the hold as well.
fn retention_data(retention: &Retention) -> Value {
    let mut data = json!({ "mode": retention.mode.as_str() });
    if let Some(until) = retention.until {
        data["retainUntilDate"] = until.date_time_millis().into();
    }
    if let Some(hold) = retention.event_hold {
        data["eventHold"] = hold.status().into();
        let (unit, period) = match hold.duration {
            HoldDuration::Days(days) => ("days", days),
            HoldDuration::Years(years) => ("years", years),
        };
        data["eventHoldDuration"] = json!({ unit: period });
    }
    data
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct ObjectEvent<'a> {
    /// Without the leading `s3:`, as records carry it.
    pub name: &'a str,
    pub time: String,
    pub region: &'a str,
    pub bucket: &'a str,
    pub bucket_arn: String,
    pub bucket_owner: &'a str,
    pub key: &'a str,
    /// Absent for removals, as their entity tag is; a delete marker has the tag of what is empty.
    pub size: Option<u64>,
    pub etag: Option<&'a str>,
    pub version_id: Option<&'a str>,
    pub sequencer: u64,
    pub detail: Option<Detail>,
    pub principal_id: &'a str,
    pub source_ip: &'a str,
    /// Whether S3 did it by itself, and no request.
    pub by_itself: bool,
    pub request_id: &'a str,
    pub host_id: &'a str,
}

/// The message for one target: `{"Records": [...]}`.
pub fn event_message(event: &ObjectEvent<'_>, configuration_id: &str) -> String {
    let mut object = serde_json::Map::new();
    object.insert("key".into(), form_encode(event.key).into());
    if let Some(size) = event.size {
        object.insert("size".into(), size.into());
    }
    if let Some(etag) = event.etag {
        object.insert("eTag".into(), etag.trim_matches('"').into());
    }
    if let Some(version_id) = event.version_id {
        object.insert("versionId".into(), version_id.into());
    }
    object.insert("sequencer".into(), format!("{:016X}", event.sequencer).into());
    if let Some((name, value)) = event.detail.as_ref().and_then(Detail::of_object) {
        object.insert(name.into(), value);
    }
    let mut record = json!({
            "eventVersion": RECORD_VERSION,
            "eventSource": "aws:s3",
            "awsRegion": event.region,
            "eventTime": event.time,
            "eventName": event.name,
            "userIdentity": { "principalId": event.principal_id },
            "requestParameters": { "sourceIPAddress": event.source_ip },
            "responseElements": { "x-amz-request-id": event.request_id, "x-amz-id-2": event.host_id },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": configuration_id,
                "bucket": {
                    "name": event.bucket,
                    "ownerIdentity": { "principalId": event.bucket_owner },
                    "arn": event.bucket_arn,
                },
                "object": object,
            },
    });
    if let Some((name, value)) = event.detail.as_ref().and_then(Detail::member) {
        record[name] = value;
    }
    json!({ "Records": [record] }).to_string()
}

/// The message that a destination gets when it is configured.
pub fn test_message(time: &str, bucket: &str, request_id: &str, host_id: &str) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": time,
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": host_id,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(events: &[&str], prefix: &str, suffix: &str) -> NotificationTarget {
        NotificationTarget {
            id: "c".into(),
            kind: DestinationKind::Queue,
            arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
            suffix: (!suffix.is_empty()).then(|| suffix.to_owned()),
        }
    }

    #[test]
    fn events_and_filters_select() {
        let all = target(&["s3:ObjectCreated:*"], "images/", ".jpg");
        assert!(all.matches("s3:ObjectCreated:Put", "images/a.jpg"));
        assert!(!all.matches("s3:ObjectRemoved:Delete", "images/a.jpg"));
        assert!(!all.matches("s3:ObjectCreated:Put", "images/a.png"));
        assert!(!all.matches("s3:ObjectCreated:Put", "a.jpg"));
        assert!(!target(&["s3:ObjectCreated:Put"], "", "").matches("s3:ObjectCreated:Copy", "k"));
    }

    #[test]
    fn overlapping_rules_are_refused() {
        let put = || target(&["s3:ObjectCreated:Put"], "a", ".x");
        let created = || target(&["s3:ObjectCreated:*"], "ab", "");
        assert!(check_no_overlap(&[put(), created()]).is_err());
        assert!(check_no_overlap(&[put(), target(&["s3:ObjectCreated:*"], "b", "")]).is_ok());
        assert!(check_no_overlap(&[put(), target(&["s3:ObjectCreated:*"], "ab", ".y")]).is_ok());
        assert!(check_no_overlap(&[put(), target(&["s3:ObjectRemoved:*"], "a", "")]).is_ok());
    }
}
