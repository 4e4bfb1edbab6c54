//! A topic's attributes: what may be set, what it may be, and what is shown.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html> and
//! <https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>

use std::time::Duration;

use fractus_policy::{Policy, PolicyKind};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::delivery_policy::TopicPolicy;
use crate::store::{Attributes, Place, Topic};

/// A topic's policy may have so many bytes.
const MAX_POLICY_BYTES: usize = 30_720;
const MAX_DISPLAY_NAME_CHARS: usize = 100;

/// What a topic's policy may speak of: the actions on topics, each with or without wildcards.
const ACTIONS: [&str; 15] = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
    "Receive",
    "GetDataProtectionPolicy",
    "PutDataProtectionPolicy",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
    "ConfirmSubscription",
];

/// Who may use a topic that has no policy of its own: its account.
pub fn default_policy(place: &Place) -> String {
    let actions = [
        "SNS:GetTopicAttributes",
        "SNS:SetTopicAttributes",
        "SNS:AddPermission",
        "SNS:RemovePermission",
        "SNS:DeleteTopic",
        "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic",
        "SNS:Publish",
    ];
    let actions = serde_json::to_string(&actions).unwrap_or_default();
    let (arn, account) = (place.arn(), &place.world.account);
    format!(
        r#"{{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{{"AWS":"*"}},"Action":{actions},"Resource":"{arn}","Condition":{{"StringEquals":{{"AWS:SourceOwner":"{account}"}}}}}}]}}"#
    )
}

/// Checks a topic's policy as a document about this topic.
pub fn check_policy(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("Policy Error: null".to_owned());
    }
    if text.len() > MAX_POLICY_BYTES {
        return Err(format!("Policy Reason: Policy is larger than {MAX_POLICY_BYTES} bytes"));
    }
    let policy = Policy::parse(text).map_err(|_| "Policy Error: null".to_owned())?;
    policy.validate(PolicyKind::Resource).map_err(|flaw| format!("Policy Error: {flaw}"))?;
    for statement in policy.statements() {
        for action in statement.actions().1 {
            let name =
                action.split_once(':').filter(|(vendor, _)| vendor.eq_ignore_ascii_case("sns")).map(|(_, name)| name);
            let known =
                name.is_some_and(|name| name.contains('*') || ACTIONS.iter().any(|one| one.eq_ignore_ascii_case(name)));
            if !known && action != "*" {
                return Err("Policy statement action out of service scope!".to_owned());
            }
        }
    }
    Ok(())
}

/// Whether it is one of the attributes of delivery status logs, such as `SQSSuccessFeedbackRoleArn`.
fn feedback(name: &str) -> Option<&'static str> {
    let kind = ["HTTP", "Firehose", "Lambda", "Application", "SQS"].iter().find_map(|kind| name.strip_prefix(kind))?;
    ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"]
        .into_iter()
        .find(|known| *known == kind)
}

fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    Err(format!("{name}: Invalid value [{value}]. Must be {}.", allowed.join(" or ")))
}

/// The days for which a FIFO topic archives; none where it does not.
pub fn archive_days(policy: Option<&str>) -> Result<Option<u64>, String> {
    let Some(policy) = policy else { return Ok(None) };
    let wrong = || "ArchivePolicy: failed to parse JSON.".to_owned();
    let value: Value = serde_json::from_str(policy).map_err(|_| wrong())?;
    let members = value.as_object().ok_or_else(wrong)?;
    if members.is_empty() {
        return Ok(None);
    }
    let days = match members.get("MessageRetentionPeriod") {
        Some(Value::String(days)) => days.parse().ok(),
        Some(days) => days.as_u64(),
        None => None,
    };
    match days {
        Some(days) if (1..=365).contains(&days) && members.len() == 1 => Ok(Some(days)),
        _ => Err("ArchivePolicy: MessageRetentionPeriod must be an integer between 1 and 365".to_owned()),
    }
}

/// How long a topic keeps its messages.
pub fn archive_period(topic: &Topic) -> Option<Duration> {
    let days = archive_days(topic.attribute("ArchivePolicy")).ok().flatten()?;
    Some(Duration::from_secs(days * 86_400))
}

/// Checks one attribute; the reason as AWS words it after `Invalid parameter: `. `None`: SNS does not know it.
pub fn check_attribute(name: &str, value: &str, fifo: bool) -> Option<Result<(), String>> {
    let only_fifo =
        || if fifo { Ok(()) } else { Err(format!("{name} Reason: The attribute is not valid for this topic type")) };
    Some(match name {
        "DeliveryPolicy" if value.is_empty() => Ok(()),
        "DeliveryPolicy" => TopicPolicy::parse(value).map(drop).map_err(|reason| format!("DeliveryPolicy: {reason}")),
        "DisplayName" if value.chars().count() > MAX_DISPLAY_NAME_CHARS => {
            Err(format!("DisplayName: must be no longer than {MAX_DISPLAY_NAME_CHARS} characters"))
        }
        "DisplayName" | "KmsMasterKeyId" => Ok(()),
        "Policy" => check_policy(value),
        "TracingConfig" => one_of(name, value, &["PassThrough", "Active"]),
        "SignatureVersion" => one_of(name, value, &["1", "2"]),
        "ContentBasedDeduplication" => only_fifo().and_then(|()| one_of(name, value, &["true", "false"])),
        "FifoThroughputScope" => only_fifo().and_then(|()| one_of(name, value, &["Topic", "MessageGroup"])),
        "ArchivePolicy" if value.is_empty() => only_fifo(),
        "ArchivePolicy" => only_fifo().and_then(|()| archive_days(Some(value)).map(drop)),
        _ => match feedback(name)? {
            "SuccessFeedbackSampleRate" => match value.parse::<u8>() {
                Ok(rate) if rate <= 100 => Ok(()),
                _ if value.is_empty() => Ok(()),
                _ => Err(format!("{name}: must be an integer between 0 and 100")),
            },
            _ if value.is_empty() || value.starts_with("arn:") && value.contains(":role/") => Ok(()),
            _ => Err(format!("{name}: Invalid value [{value}]. Must be a role's ARN.")),
        },
    })
}

/// Sets an attribute that was checked. An empty value is as good as none.
pub fn set(topic: &mut Topic, name: &str, value: &str) {
    match name {
        "Policy" => topic.policy = value.to_owned(),
        _ if value.is_empty() => {
            topic.attributes.remove(name);
        }
        _ => {
            topic.attributes.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Whether what CreateTopic is given differs from the topic that is there already.
pub fn differs(topic: &Topic, given: &Attributes) -> bool {
    given.iter().any(|(name, value)| match name.as_str() {
        "FifoTopic" => topic.fifo != value.eq_ignore_ascii_case("true"),
        "Policy" => !same_json(&topic.policy, value),
        "ContentBasedDeduplication" => topic.is_true(name) != value.eq_ignore_ascii_case("true"),
        "FifoThroughputScope" => topic.attribute(name).unwrap_or("Topic") != value,
        "DeliveryPolicy" | "ArchivePolicy" => !same_json(topic.attribute(name).unwrap_or_default(), value),
        _ => topic.attribute(name).unwrap_or_default() != value,
    })
}

fn same_json(one: &str, other: &str) -> bool {
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// What GetTopicAttributes shows.
pub fn shown(topic: &Topic, place: &Place, pending: u64) -> IndexMap<String, String> {
    let policy = topic.attribute("DeliveryPolicy").and_then(|text| TopicPolicy::parse(text).ok()).unwrap_or_default();
    let mut shown = IndexMap::new();
    let mut show = |name: &str, value: String| {
        shown.insert(name.to_owned(), value);
    };
    show("TopicArn", place.arn().to_string());
    show("Owner", place.world.account.to_string());
    show("Policy", topic.policy.clone());
    show("DisplayName", topic.attribute("DisplayName").unwrap_or_default().to_owned());
    show("SubscriptionsConfirmed", topic.confirmed.to_string());
    show("SubscriptionsPending", pending.to_string());
    show("SubscriptionsDeleted", topic.deleted.to_string());
    show("EffectiveDeliveryPolicy", policy.effective_text());
    if topic.fifo {
        show("FifoTopic", "true".to_owned());
        show("ContentBasedDeduplication", topic.is_true("ContentBasedDeduplication").to_string());
        show("FifoThroughputScope", topic.attribute("FifoThroughputScope").unwrap_or("Topic").to_owned());
    }
    if let Some(since) = topic.archived_since {
        show("BeginningArchiveTime", since.date_time_millis());
    }
    for (name, value) in &topic.attributes {
        if !shown.contains_key(name) {
            shown.insert(name.clone(), value.clone());
        }
    }
    shown
}

/// `arn:aws:iam::123456789012:root` of an account that a permission is given to.
fn principals(place: &Place, accounts: &[String]) -> Value {
    let partition = place.world.partition;
    let arns: Vec<String> = accounts.iter().map(|id| format!("arn:{partition}:iam::{id}:root")).collect();
    one_or_many(arns)
}

/// A list of one is written as the one.
fn one_or_many(mut list: Vec<String>) -> Value {
    if list.len() == 1 { Value::String(list.remove(0)) } else { list.into() }
}

/// The statements of a policy; one that stands alone is a list of one.
fn take_statements(policy: &mut Value) -> Vec<Value> {
    match policy.get_mut("Statement").map(Value::take) {
        Some(Value::Array(list)) => list,
        Some(Value::Null) | None => Vec::new(),
        Some(single) => vec![single],
    }
}

fn has_label(statement: &Value, label: &str) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(label)
}

/// The policy with a statement more: AddPermission.
pub fn add_permission(
    policy: &str,
    place: &Place,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String> {
    let can_be_given = |action: &String| ACTIONS[..9].contains(&action.as_str()) || action == "*";
    if !actions.iter().all(can_be_given) {
        return Err(Error::invalid("Policy statement action out of service scope!"));
    }
    if accounts.iter().any(|account| fractus_aws::AccountId::new(account).is_err()) {
        return Err(Error::invalid("Policy Error: PrincipalNotFound"));
    }
    let mut document: Value = serde_json::from_str(policy).map_err(|_| Error::invalid("Policy Error: null"))?;
    let mut statements = take_statements(&mut document);
    if statements.iter().any(|statement| has_label(statement, label)) {
        return Err(Error::invalid("Statement already exists"));
    }
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": principals(place, accounts) },
        "Action": one_or_many(actions.iter().map(|action| format!("SNS:{action}")).collect()),
        "Resource": place.arn().to_string(),
    }));
    document["Statement"] = statements.into();
    let text = document.to_string();
    check_policy(&text).map_err(Error::invalid)?;
    Ok(text)
}

/// The policy without the statements of a label: RemovePermission. A label that is not there is no error.
pub fn remove_permission(policy: &str, label: &str) -> Result<String> {
    let mut document: Value = serde_json::from_str(policy).map_err(|_| Error::invalid("Policy Error: null"))?;
    let mut statements = take_statements(&mut document);
    statements.retain(|statement| !has_label(statement, label));
    document["Statement"] = statements.into();
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;

    fn place() -> Place {
        Place { world: World::default_world(), region: Region::us_east_1(), name: "t".into() }
    }

    #[test]
    fn policies_speak_of_topics() {
        let policy = default_policy(&place());
        check_policy(&policy).unwrap();
        let more = add_permission(&policy, &place(), "l", &["111122223333".into()], &["Publish".into()]).unwrap();
        assert!(more.contains("arn:aws:iam::111122223333:root"), "{more}");
        add_permission(&more, &place(), "l", &["111122223333".into()], &["Publish".into()]).unwrap_err();
        add_permission(&more, &place(), "m", &["x".into()], &["Publish".into()]).unwrap_err();
        add_permission(&more, &place(), "m", &["111122223333".into()], &["CreateTopic".into()]).unwrap_err();
        let less = remove_permission(&more, "l").unwrap();
        assert!(same_json(&less, &policy));
        assert_eq!(check_policy("").unwrap_err(), "Policy Error: null");
        let foreign = policy.replace("SNS:Publish", "sqs:SendMessage");
        assert_eq!(check_policy(&foreign).unwrap_err(), "Policy statement action out of service scope!");
    }

    #[test]
    fn attributes_are_checked() {
        let check = |name: &str, value: &str, fifo| check_attribute(name, value, fifo);
        assert_eq!(check("DisplayName", "d", false), Some(Ok(())));
        assert_eq!(check("SQSSuccessFeedbackSampleRate", "100", false), Some(Ok(())));
        assert_eq!(check("ArchivePolicy", r#"{"MessageRetentionPeriod": "30"}"#, true), Some(Ok(())));
        assert_eq!(check("Nonsense", "x", false), None);
        assert_eq!(check("FooSuccessFeedbackRoleArn", "x", false), None);
        for (name, value, fifo) in [
            ("SignatureVersion", "3", false),
            ("TracingConfig", "x", false),
            ("ContentBasedDeduplication", "true", false),
            ("FifoThroughputScope", "Queue", true),
            ("ArchivePolicy", r#"{"MessageRetentionPeriod": "400"}"#, true),
            ("HTTPSuccessFeedbackSampleRate", "101", false),
            ("HTTPSuccessFeedbackRoleArn", "x", false),
            ("DeliveryPolicy", "x", false),
        ] {
            assert!(check(name, value, fifo).unwrap().is_err(), "{name}");
        }
    }
}
