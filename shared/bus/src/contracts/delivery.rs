//! Deliveries: bring this payload to this ARN.

use std::collections::BTreeMap;

use bytes::Bytes;
use fractus_aws::{AccountId, Arn, Lane, Region};
use fractus_clock::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Cause, RetryPolicy, Returned, Returns};

/// At-least-once work: bring a payload to an ARN, as the target's public operation would have brought it.
///
/// Make one with [`Delivery::new`] and set what else it needs. The consumer acts on `action`, or on what its kind of
/// resource usually takes where that is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Unique; the work queue drops a second delivery with the same id within two minutes.
    pub id: String,
    pub lane: Lane,
    /// The resource it is for.
    pub target: Arn,
    /// The service that consumes it, by its directory name (which is not always the ARN's service part).
    pub service: String,
    /// The target's account and region; its ARN leaves them out for global resources.
    pub account: AccountId,
    pub region: Region,
    /// The operation that this stands for, as IAM writes it (`service:Operation`); empty: the target's usual one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The message, event or input itself.
    pub body: Body,
    /// Message attributes, for targets that know them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// System attributes such as `AWSTraceHeader`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system_attributes: BTreeMap<String, Attribute>,
    /// The message group. Deliveries to one target with one group arrive in the order in which they were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplication_id: Option<String>,
    /// What a target of this kind needs beside the body: a partition key, a task definition, an input's name. The
    /// members are those of the target's public operation.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub parameters: serde_json::Value,
    pub source: Source,
    /// Where it goes when it cannot be delivered; none: it is dropped with a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Whether it comes back to its sender, which then decides about further attempts and dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
    /// It has come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Returned>,
    #[serde(default)]
    pub cause: Cause,
    /// 1 for the first attempt. A sender that tries again by a clock of its own says which one it sends; the bus adds its own
    /// on arrival.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// When the sender made it, by the lane's clock.
    pub created_at: Timestamp,
}

fn first_attempt() -> u32 {
    1
}

/// On whose behalf a delivery is made: what the target's resource policy is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The service principal, such as `s3.amazonaws.com`.
    pub principal: String,
    /// The resource that sends, for `aws:SourceArn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<Arn>,
    /// The resource's account, for `aws:SourceAccount`.
    pub account: AccountId,
    /// The role to act as, where the target names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arn>,
}

/// A message attribute, as the messaging services write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number`, `Binary`, each with an optional `.custom` label.
    pub data_type: String,
    pub value: Body,
}

impl Attribute {
    pub fn string(value: impl Into<String>) -> Self {
        Attribute { data_type: "String".to_owned(), value: Body::text(value) }
    }

    pub fn number(value: impl ToString) -> Self {
        Attribute { data_type: "Number".to_owned(), value: Body::text(value.to_string()) }
    }

    pub fn binary(value: impl Into<Bytes>) -> Self {
        Attribute { data_type: "Binary".to_owned(), value: Body::from(value.into()) }
    }

    /// Of the members that the messaging services have: a text or bytes.
    pub fn of_members(data_type: impl Into<String>, text: Option<&str>, bytes: Option<&Bytes>) -> Self {
        let value = match (text, bytes) {
            (Some(text), _) => Body::text(text),
            (None, Some(bytes)) => Body::from(bytes.clone()),
            (None, None) => Body::default(),
        };
        Attribute { data_type: data_type.into(), value }
    }

    /// Data type, text and bytes, one of the two: bytes where the type says so, and where they are no text.
    pub fn into_members(self) -> (String, Option<String>, Option<Bytes>) {
        let bytes = self.value.into_bytes();
        if self.data_type.starts_with("Binary") {
            return (self.data_type, None, Some(bytes));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => (self.data_type, Some(text.to_owned()), None),
            Err(_) => (self.data_type, None, Some(bytes)),
        }
    }
}

/// Where a delivery goes that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub target: Arn,
    /// The consuming service, as in [`Delivery::service`].
    pub service: String,
    #[serde(default)]
    pub form: DeadLetterForm,
    /// Attributes that the sender wants on it whatever the reason (`RULE_ARN`, `RequestID` ...).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
}

/// Which attributes tell the reason; they differ by sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterForm {
    /// The message as it was, with its own attributes only (topics).
    #[default]
    Plain,
    /// `ERROR_CODE`, `ERROR_MESSAGE`, `EXHAUSTED_RETRY_CONDITION`, `RETRY_ATTEMPTS`, `TARGET_ARN`:
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
    Events,
    /// `ErrorCode`, `ErrorMessage`: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
    Invocation,
}

impl Delivery {
    /// A delivery to `target`, to its own service, account and region as its ARN says them; where the ARN leaves the
    /// account or the region out, the source's account and `us-east-1` stand in until the caller sets them.
    pub fn new(
        id: impl Into<String>,
        lane: Lane,
        target: Arn,
        body: Body,
        source: Source,
        created_at: Timestamp,
    ) -> Self {
        let account = AccountId::new(&target.account).unwrap_or_else(|_| source.account.clone());
        let region = Region::new(&target.region).unwrap_or_else(|_| Region::us_east_1());
        Delivery {
            id: id.into(),
            lane,
            service: target.service.clone(),
            target,
            account,
            region,
            action: String::new(),
            body,
            attributes: BTreeMap::new(),
            system_attributes: BTreeMap::new(),
            group_id: None,
            deduplication_id: None,
            parameters: serde_json::Value::Null,
            source,
            dead_letter: None,
            retry: RetryPolicy::default(),
            returns: None,
            returned: None,
            cause: Cause::default(),
            attempt: 1,
            created_at,
        }
    }

    /// Deliveries with equal ordering keys are handled one after the other, in the order of sending; those without one
    /// in any order, side by side.
    pub fn ordering_key(&self) -> Option<String> {
        self.group_id.as_ref().map(|group| format!("{}/{}/{group}", self.lane, self.target))
    }
}

/// Bytes that are written as JSON text where they are UTF-8, and as `{"base64": "..."}` where they are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Body(Bytes);

impl Body {
    pub fn text(text: impl Into<String>) -> Self {
        Body(Bytes::from(text.into()))
    }

    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::text(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Body::text(text)
    }
}

#[derive(Serialize, Deserialize)]
struct Binary {
    base64: String,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_text() {
            Some(text) => serializer.serialize_str(text),
            None => {
                use base64::Engine;
                Binary { base64: base64::engine::general_purpose::STANDARD.encode(&self.0) }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Binary(Binary),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Body::text(text)),
            Form::Binary(Binary { base64 }) => {
                use base64::Engine;
                let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
                bytes.map(|bytes| Body(Bytes::from(bytes))).map_err(serde::de::Error::custom)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Fate;
    use super::*;

    fn delivery(body: Body) -> Delivery {
        let source = Source {
            principal: "s3.amazonaws.com".to_owned(),
            arn: Some("arn:aws:s3:::bucket".parse().unwrap()),
            account: AccountId::default_account(),
            role: None,
        };
        let target = "arn:aws:sqs:eu-west-1:123456789012:jobs".parse().unwrap();
        Delivery::new("d-1", Lane::main(), target, body, source, Timestamp::from_secs(1))
    }

    #[test]
    fn the_targets_arn_says_service_account_and_region() {
        let delivery = delivery("x".into());
        assert_eq!(delivery.service, "sqs");
        assert_eq!(delivery.account.as_str(), "123456789012");
        assert_eq!(delivery.region.as_str(), "eu-west-1");
        assert_eq!(delivery.ordering_key(), None);
    }

    #[test]
    fn a_delivery_comes_back_as_it_was_sent() {
        let sent = Delivery { returns: Some(Returns::failures("sns")), ..delivery("x".into()) };
        let back = sent.back(Fate::Refused { code: "c".into(), message: "m".into() }).unwrap();
        assert_eq!((back.id.as_str(), back.service.as_str()), ("d-1/returned", "sns"));
        let read: Delivery = serde_json::from_slice(&serde_json::to_vec(&back).unwrap()).unwrap();
        let (original, fate) = read.into_returned().unwrap();
        assert_eq!(original, sent);
        assert_eq!(fate.reason(), Some(("c", "m")));
        let next = original.next_attempt().next_attempt();
        assert_eq!((next.id.as_str(), next.attempt), ("d-1~3", 3));
        assert_eq!(delivery("x".into()).back(Fate::Done { answer: serde_json::Value::Null }), None);
    }

    #[test]
    fn a_delivery_written_by_hand_needs_no_more_than_the_essentials() {
        let text = r#"{"id":"1","lane":"main","target":"arn:aws:sqs:us-east-1:000000000000:q","service":"sqs",
            "account":"000000000000","region":"us-east-1","body":"hello","created_at":0,"unknown":true,
            "source":{"principal":"me","account":"000000000000"}}"#;
        let delivery: Delivery = serde_json::from_str(text).unwrap();
        assert_eq!(delivery.body.as_text(), Some("hello"));
        assert_eq!(delivery.attempt, 1);
        assert_eq!(delivery.retry, RetryPolicy::default());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>, group: Option<String>) {
            let mut sent = delivery(Body::from(Bytes::from(bytes.clone())));
            sent.attributes.insert("blob".to_owned(), Attribute::binary(bytes));
            sent.group_id = group;
            let read: Delivery = serde_json::from_slice(&serde_json::to_vec(&sent).unwrap()).unwrap();
            prop_assert_eq!(read, sent);
        }
    }
}
