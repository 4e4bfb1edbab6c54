//! A subscription's attributes: what may be set, what it may be, and what is shown.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html>

use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_patterns::{Dialect, Pattern};
use indexmap::IndexMap;
use serde_json::Value;

use crate::model::delivery_policy::{self, TopicPolicy};
use crate::store::{Attributes, Place, Subscription, Topic};

/// What can be set.
pub const SETTABLE: [&str; 7] = [
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
];

/// The scope of a filter policy.
pub fn dialect(attributes: &Attributes) -> Dialect {
    match attributes.get("FilterPolicyScope").map(String::as_str) {
        Some("MessageBody") => Dialect::SnsBody,
        _ => Dialect::SnsAttributes,
    }
}

/// The filter policy, compiled; none where everything is wanted.
pub fn filter(attributes: &Attributes) -> Result<Option<Pattern>, String> {
    let text = attributes.get("FilterPolicy").map(|text| text.trim()).unwrap_or_default();
    if text.is_empty() || is_empty_object(text) {
        return Ok(None);
    }
    Pattern::parse(text, dialect(attributes)).map(Some).map_err(|error| error.sns_reason())
}

fn is_empty_object(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty))
}

/// The queue for what cannot be delivered.
pub fn dead_letter_queue(policy: &str, place: &Place, fifo: bool) -> Result<Option<Arn>, String> {
    let wrong = || "RedrivePolicy: failed to parse JSON.".to_owned();
    let value: Value = serde_json::from_str(policy).map_err(|_| wrong())?;
    let members = value.as_object().ok_or_else(wrong)?;
    if let Some(unknown) = members.keys().find(|name| *name != "deadLetterTargetArn") {
        return Err(format!("RedrivePolicy: invalid JSON. Attribute {unknown} is unknown."));
    }
    let Some(target) = members.get("deadLetterTargetArn") else { return Ok(None) };
    let target = target.as_str().unwrap_or_default();
    let arn: Option<Arn> = target.parse().ok().filter(|arn: &Arn| arn.service == "sqs");
    let Some(arn) = arn else { return Err("RedrivePolicy: deadLetterTargetArn is an invalid arn".to_owned()) };
    if arn.region != place.region.as_str() {
        return Err("RedrivePolicy: deadLetterTargetArn must be in the same region as the subscription".to_owned());
    }
    if arn.resource.ends_with(".fifo") && !fifo {
        return Err(
            "RedrivePolicy: deadLetterTargetArn of a standard topic's subscription must be a standard queue".to_owned()
        );
    }
    Ok(Some(arn))
}

/// What part of an archive is to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

/// Reads a replay policy; none ends a replay.
/// <https://docs.aws.amazon.com/sns/latest/dg/message-archiving-and-replay-subscriber.html>
pub fn replay_window(policy: &str) -> Result<Option<ReplayWindow>, String> {
    let wrong = || "ReplayPolicy: failed to parse JSON.".to_owned();
    let value: Value = serde_json::from_str(policy).map_err(|_| wrong())?;
    let members = value.as_object().ok_or_else(wrong)?;
    if members.is_empty() {
        return Ok(None);
    }
    if let Some(unknown) =
        members.keys().find(|name| !["PointType", "StartingPoint", "EndingPoint"].contains(&name.as_str()))
    {
        return Err(format!("ReplayPolicy: invalid JSON. Attribute {unknown} is unknown."));
    }
    if members.get("PointType").and_then(Value::as_str) != Some("Timestamp") {
        return Err("ReplayPolicy: PointType must be Timestamp".to_owned());
    }
    let point = |name: &str| match members.get(name).and_then(Value::as_str) {
        Some(text) => Timestamp::parse_date_time(text)
            .map(Some)
            .map_err(|_| format!("ReplayPolicy: {name} must be an ISO 8601 timestamp")),
        None => Ok(None),
    };
    let start = point("StartingPoint")?.ok_or("ReplayPolicy: StartingPoint must be specified")?;
    let end = point("EndingPoint")?;
    if end.is_some_and(|end| end < start) {
        return Err("ReplayPolicy: EndingPoint must not be before StartingPoint".to_owned());
    }
    Ok(Some(ReplayWindow { start, end }))
}

fn is_boolean(value: &str) -> bool {
    ["true", "false"].iter().any(|known| known.eq_ignore_ascii_case(value))
}

/// Checks one attribute beside all the others; the reason as AWS words it.
pub fn check_attribute(name: &str, value: &str, protocol: &str, place: &Place, topic: &Topic) -> Result<(), String> {
    match name {
        "RawMessageDelivery" if !is_boolean(value) => {
            Err(format!("RawMessageDelivery: Invalid value [{value}]. Must be true or false."))
        }
        "RawMessageDelivery"
            if value.eq_ignore_ascii_case("true") && !["sqs", "http", "https", "firehose"].contains(&protocol) =>
        {
            Err(format!("RawMessageDelivery: Delivery protocol [{protocol}] does not support raw message delivery."))
        }
        "FilterPolicyScope" if !["MessageAttributes", "MessageBody"].contains(&value) => Err(format!(
            "FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
        )),
        "DeliveryPolicy" if value.is_empty() => Ok(()),
        "DeliveryPolicy" => {
            delivery_policy::check_subscription_policy(value).map_err(|reason| format!("DeliveryPolicy: {reason}"))
        }
        "RedrivePolicy" if value.is_empty() => Ok(()),
        "RedrivePolicy" => dead_letter_queue(value, place, topic.fifo).map(drop),
        "ReplayPolicy" if value.is_empty() => Ok(()),
        "ReplayPolicy" => match replay_window(value)? {
            None => Ok(()),
            Some(_) if !topic.fifo => {
                Err("ReplayPolicy: The replay policy is only supported by FIFO topics".to_owned())
            }
            Some(window) => match topic.archived_since {
                None => Err("ReplayPolicy: The topic has no archive policy".to_owned()),
                Some(since) if window.end.is_some_and(|end| end < since) => {
                    Err("ReplayPolicy: EndingPoint is before the beginning of the archive".to_owned())
                }
                Some(_) => Ok(()),
            },
        },
        "SubscriptionRoleArn" if value.starts_with("arn:") && value.contains(":role/") => Ok(()),
        "SubscriptionRoleArn" => Err("SubscriptionRoleArn: Invalid role ARN".to_owned()),
        _ => Ok(()),
    }
}

/// Sets an attribute that was checked; an empty value is as good as none.
pub fn set(attributes: &mut Attributes, name: &str, value: &str) {
    if value.is_empty() {
        attributes.remove(name);
    } else {
        attributes.insert(name.to_owned(), value.to_owned());
    }
}

/// Whether what Subscribe is given differs from the subscription that is there already.
pub fn differs(subscription: &Subscription, given: &Attributes) -> bool {
    let is_same = |name: &str, one: &str, other: &str| match name {
        "RawMessageDelivery" => one.eq_ignore_ascii_case(other),
        _ => match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
    };
    given.iter().any(|(name, value)| {
        let default = match name.as_str() {
            "RawMessageDelivery" => "false",
            "FilterPolicyScope" => "MessageAttributes",
            _ => "",
        };
        !is_same(name, subscription.attribute(name).unwrap_or(default), value)
    })
}

/// What GetSubscriptionAttributes shows.
pub fn shown(
    subscription: &Subscription,
    place: &Place,
    topic: &Topic,
    replay: Option<&str>,
) -> IndexMap<String, String> {
    let mut shown = IndexMap::new();
    let mut show = |name: &str, value: String| {
        shown.insert(name.to_owned(), value);
    };
    show("SubscriptionArn", place.subscription_arn(&subscription.id));
    show("TopicArn", place.arn().to_string());
    show("Owner", subscription.owner.to_string());
    show("Protocol", subscription.protocol.clone());
    show("Endpoint", subscription.endpoint.clone());
    show("RawMessageDelivery", subscription.is_raw().to_string());
    show("PendingConfirmation", subscription.pending.to_string());
    show("ConfirmationWasAuthenticated", subscription.confirmed_by_signature.to_string());
    show("SubscriptionPrincipal", subscription.principal.clone());
    if subscription.attribute("FilterPolicy").is_some() {
        show("FilterPolicyScope", "MessageAttributes".to_owned());
    }
    if matches!(subscription.protocol.as_str(), "http" | "https") {
        let policy =
            topic.attribute("DeliveryPolicy").and_then(|text| TopicPolicy::parse(text).ok()).unwrap_or_default();
        show("EffectiveDeliveryPolicy", policy.for_subscription(subscription.attribute("DeliveryPolicy")).text());
    }
    if let Some(status) = replay {
        show("ReplayStatus", status.to_owned());
    }
    for (name, value) in subscription.attributes.iter().filter(|(name, _)| *name != "RawMessageDelivery") {
        shown.insert(name.clone(), value.clone());
    }
    // A scope without a policy means nothing.
    if subscription.attribute("FilterPolicy").is_none() {
        shown.shift_remove("FilterPolicyScope");
    }
    shown
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;

    fn place() -> Place {
        Place { world: World::default_world(), region: Region::us_east_1(), name: "t".into() }
    }

    #[test]
    fn dead_letter_queues_are_queues_of_the_region() {
        let queue = |policy: &str| dead_letter_queue(policy, &place(), false);
        let arn = r#"{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:d"}"#;
        assert_eq!(queue(arn).unwrap().unwrap().resource, "d");
        assert_eq!(queue("{}").unwrap(), None);
        assert_eq!(
            queue(r#"{"maxReceiveCount": 5}"#).unwrap_err(),
            "RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown."
        );
        assert_eq!(
            queue(r#"{"deadLetterTargetArn": "x"}"#).unwrap_err(),
            "RedrivePolicy: deadLetterTargetArn is an invalid arn"
        );
        queue(&arn.replace("us-east-1", "eu-west-1")).unwrap_err();
        queue(&arn.replace(":d\"", ":d.fifo\"")).unwrap_err();
    }

    #[test]
    fn replay_windows() {
        let window = replay_window(r#"{"PointType": "Timestamp", "StartingPoint": "2026-01-01T00:00:00.000Z"}"#);
        assert_eq!(window.unwrap().unwrap().end, None);
        assert_eq!(replay_window("{}").unwrap(), None);
        for wrong in [
            r#"{"PointType": "Sequence", "StartingPoint": "2026-01-01T00:00:00Z"}"#,
            r#"{"PointType": "Timestamp"}"#,
            r#"{"PointType": "Timestamp", "StartingPoint": "now"}"#,
            r#"{"PointType": "Timestamp", "StartingPoint": "2026-01-02T00:00:00Z", "EndingPoint": "2026-01-01T00:00:00Z"}"#,
            "x",
        ] {
            assert!(replay_window(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters_follow_their_scope() {
        let mut attributes = Attributes::new();
        assert_eq!(filter(&attributes).unwrap(), None);
        attributes.insert("FilterPolicy".into(), r#"{"a": {"b": ["c"]}}"#.into());
        assert!(filter(&attributes).unwrap_err().contains("does not support nested filter policy"));
        attributes.insert("FilterPolicyScope".into(), "MessageBody".into());
        assert!(filter(&attributes).unwrap().is_some());
    }
}
