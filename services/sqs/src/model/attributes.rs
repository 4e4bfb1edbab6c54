//! Queue attributes: their defaults, limits, and how they are set and shown.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::redrive::{RedriveAllowPolicy, RedrivePolicy};

/// The largest message, and the default of MaximumMessageSize.
pub const MAX_MESSAGE_BYTES: u32 = 1_048_576;

/// Where a deduplication id is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeduplicationScope {
    Queue,
    MessageGroup,
}

/// What the throughput quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThroughputLimit {
    PerQueue,
    PerMessageGroupId,
}

/// Everything about a queue that its owner can set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    pub fifo: bool,
    pub visibility_timeout_secs: u32,
    pub delay_secs: u32,
    pub max_message_bytes: u32,
    pub retention_secs: u32,
    pub receive_wait_secs: u32,
    #[serde(default)]
    pub policy: Option<String>,
    #[serde(default)]
    pub redrive_policy: Option<RedrivePolicy>,
    #[serde(default)]
    pub redrive_allow_policy: Option<RedriveAllowPolicy>,
    #[serde(default)]
    pub content_based_deduplication: bool,
    pub deduplication_scope: DeduplicationScope,
    pub throughput_limit: ThroughputLimit,
    #[serde(default)]
    pub kms_key_id: Option<String>,
    pub kms_reuse_secs: u32,
    /// SSE-SQS; on unless a KMS key is named or the owner turned it off.
    pub managed_sse: bool,
}

impl Attributes {
    pub fn defaults(fifo: bool) -> Self {
        Attributes {
            fifo,
            visibility_timeout_secs: 30,
            delay_secs: 0,
            max_message_bytes: MAX_MESSAGE_BYTES,
            retention_secs: 345_600,
            receive_wait_secs: 0,
            policy: None,
            redrive_policy: None,
            redrive_allow_policy: None,
            content_based_deduplication: false,
            deduplication_scope: DeduplicationScope::Queue,
            throughput_limit: ThroughputLimit::PerQueue,
            kms_key_id: None,
            kms_reuse_secs: 300,
            managed_sse: true,
        }
    }

    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_secs))
    }

    /// These attributes with `changes` put in; all or nothing.
    pub fn changed<'a>(&self, changes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Attributes> {
        let mut changed = self.clone();
        let mut sse_asked = false;
        let mut kms_asked = false;
        for (name, value) in changes {
            changed.set(name, value)?;
            sse_asked |= name == "SqsManagedSseEnabled" && changed.managed_sse;
            kms_asked |= name == "KmsMasterKeyId" && changed.kms_key_id.is_some();
        }
        if sse_asked && kms_asked {
            return Err(Error::InvalidAttributeValue {
                name: "SqsManagedSseEnabled".into(),
                reason: " Reason: You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.".into(),
            });
        }
        // Asking for one kind of encryption turns the other off.
        if kms_asked {
            changed.managed_sse = false;
        } else if sse_asked {
            changed.kms_key_id = None;
        }
        if changed.throughput_limit == ThroughputLimit::PerMessageGroupId
            && changed.deduplication_scope != DeduplicationScope::MessageGroup
        {
            return Err(Error::InvalidAttributeValue {
                name: "FifoThroughputLimit".into(),
                reason: " Reason: The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.".into(),
            });
        }
        Ok(changed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let text = (!value.is_empty()).then(|| value.to_owned());
        match name {
            "VisibilityTimeout" => self.visibility_timeout_secs = number(name, value, 0, 43_200)?,
            "DelaySeconds" => self.delay_secs = number(name, value, 0, 900)?,
            "MaximumMessageSize" => self.max_message_bytes = number(name, value, 1_024, MAX_MESSAGE_BYTES)?,
            "MessageRetentionPeriod" => self.retention_secs = number(name, value, 60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait_secs = number(name, value, 0, 20)?,
            "KmsDataKeyReusePeriodSeconds" => self.kms_reuse_secs = number(name, value, 60, 86_400)?,
            "Policy" => self.policy = text.map(|text| checked_policy(name, text)).transpose()?,
            "RedrivePolicy" => {
                self.redrive_policy = text.as_deref().map(RedrivePolicy::parse).transpose()?;
            }
            "RedriveAllowPolicy" => {
                self.redrive_allow_policy = text.as_deref().map(RedriveAllowPolicy::parse).transpose()?;
            }
            "KmsMasterKeyId" => self.kms_key_id = text,
            "SqsManagedSseEnabled" => self.managed_sse = boolean(name, value)?,
            "FifoQueue" if boolean(name, value)? == self.fifo && self.fifo => {}
            "FifoQueue" if !self.fifo && value == "false" => {
                return Err(Error::InvalidAttributeName { name: name.into() });
            }
            "FifoQueue" => {
                return Err(Error::InvalidAttributeValue {
                    name: name.into(),
                    reason: " Reason: Modifying queue type is not supported.".into(),
                });
            }
            "ContentBasedDeduplication" if self.fifo => self.content_based_deduplication = boolean(name, value)?,
            "DeduplicationScope" if self.fifo => {
                self.deduplication_scope = match value {
                    "queue" => DeduplicationScope::Queue,
                    "messageGroup" => DeduplicationScope::MessageGroup,
                    _ => return Err(Error::invalid_attribute(name)),
                };
            }
            "FifoThroughputLimit" if self.fifo => {
                self.throughput_limit = match value {
                    "perQueue" => ThroughputLimit::PerQueue,
                    "perMessageGroupId" => ThroughputLimit::PerMessageGroupId,
                    _ => return Err(Error::invalid_attribute(name)),
                };
            }
            _ => return Err(Error::InvalidAttributeName { name: name.into() }),
        }
        Ok(())
    }

    /// The settable attributes as they are shown; what is unset is not shown.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let mut shown = vec![
            ("VisibilityTimeout", self.visibility_timeout_secs.to_string()),
            ("MaximumMessageSize", self.max_message_bytes.to_string()),
            ("MessageRetentionPeriod", self.retention_secs.to_string()),
            ("DelaySeconds", self.delay_secs.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.receive_wait_secs.to_string()),
            ("SqsManagedSseEnabled", self.managed_sse.to_string()),
        ];
        if let Some(policy) = &self.policy {
            shown.push(("Policy", policy.clone()));
        }
        if let Some(redrive) = &self.redrive_policy {
            shown.push(("RedrivePolicy", redrive.text.clone()));
        }
        if let Some(allow) = &self.redrive_allow_policy {
            shown.push(("RedriveAllowPolicy", allow.text.clone()));
        }
        if let Some(key) = &self.kms_key_id {
            shown.push(("KmsMasterKeyId", key.clone()));
            shown.push(("KmsDataKeyReusePeriodSeconds", self.kms_reuse_secs.to_string()));
        }
        if self.fifo {
            shown.push(("FifoQueue", "true".into()));
            shown.push(("ContentBasedDeduplication", self.content_based_deduplication.to_string()));
            let scope = match self.deduplication_scope {
                DeduplicationScope::Queue => "queue",
                DeduplicationScope::MessageGroup => "messageGroup",
            };
            shown.push(("DeduplicationScope", scope.into()));
            let limit = match self.throughput_limit {
                ThroughputLimit::PerQueue => "perQueue",
                ThroughputLimit::PerMessageGroupId => "perMessageGroupId",
            };
            shown.push(("FifoThroughputLimit", limit.into()));
        }
        shown
    }

    /// The first attribute of `wanted` in which these attributes differ from what it asks: what makes a second
    /// CreateQueue a conflict instead of a repetition.
    pub fn first_difference(&self, wanted: &Attributes, names: &[&str]) -> Option<String> {
        let (own, other) = (self.shown(), wanted.shown());
        let value = |list: &[(&'static str, String)], name: &str| {
            list.iter().find(|(shown, _)| *shown == name).map(|(_, value)| value.clone())
        };
        names.iter().find(|name| value(&own, name) != value(&other, name)).map(|name| (*name).to_owned())
    }
}

fn number(name: &str, value: &str, least: u32, greatest: u32) -> Result<u32> {
    let parsed: Option<u32> = value.trim().parse().ok();
    parsed.filter(|number| (least..=greatest).contains(number)).ok_or_else(|| Error::invalid_attribute(name))
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Error::invalid_attribute(name)),
    }
}

fn checked_policy(name: &str, text: String) -> Result<String> {
    match is_policy_document(&text) {
        true => Ok(text),
        false => Err(Error::invalid_attribute(name)),
    }
}

/// Whether the text is a policy document at all.
fn is_policy_document(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.get("Statement").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fifo: bool, changes: &[(&str, &str)]) -> Result<Attributes> {
        Attributes::defaults(fifo).changed(changes.iter().copied())
    }

    #[test]
    fn limits_hold() {
        assert_eq!(set(false, &[("VisibilityTimeout", "43200")]).unwrap().visibility_timeout_secs, 43_200);
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("DelaySeconds", "901"),
            ("MaximumMessageSize", "1023"),
            ("MaximumMessageSize", "1048577"),
            ("MessageRetentionPeriod", "59"),
            ("ReceiveMessageWaitTimeSeconds", "-1"),
            ("Policy", "{"),
        ] {
            let refused = set(false, &[(name, value)]).unwrap_err();
            assert_eq!(refused.to_string(), format!("Invalid value for the parameter {name}."));
        }
        assert_eq!(set(false, &[("Nonsense", "1")]).unwrap_err().to_string(), "Unknown Attribute Nonsense.");
    }

    #[test]
    fn fifo_attributes_are_unknown_to_standard_queues() {
        assert!(matches!(
            set(false, &[("ContentBasedDeduplication", "true")]),
            Err(Error::InvalidAttributeName { .. })
        ));
        assert!(set(true, &[("ContentBasedDeduplication", "true"), ("FifoQueue", "true")]).is_ok());
        assert!(set(true, &[("FifoThroughputLimit", "perMessageGroupId")]).is_err());
        assert!(
            set(true, &[("FifoThroughputLimit", "perMessageGroupId"), ("DeduplicationScope", "messageGroup")]).is_ok()
        );
    }

    #[test]
    fn one_kind_of_encryption_at_a_time() {
        let kms = set(false, &[("KmsMasterKeyId", "alias/aws/sqs")]).unwrap();
        assert!(!kms.managed_sse);
        let back = kms.changed([("SqsManagedSseEnabled", "true")]).unwrap();
        assert!(back.managed_sse && back.kms_key_id.is_none());
        assert!(set(false, &[("KmsMasterKeyId", "k"), ("SqsManagedSseEnabled", "true")]).is_err());
    }

    #[test]
    fn an_empty_text_removes() {
        let policy = r#"{"Statement":[]}"#;
        let with = set(false, &[("Policy", policy)]).unwrap();
        assert!(with.shown().contains(&("Policy", policy.to_owned())));
        assert_eq!(with.changed([("Policy", "")]).unwrap(), Attributes::defaults(false));
    }
}
