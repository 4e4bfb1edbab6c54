//! Redrive policies: which queue takes what could not be handled, and who may name a queue so.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use fractus_aws::Arn;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// RedrivePolicy, as written by the caller and as understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedrivePolicy {
    pub text: String,
    pub dead_letter_target_arn: String,
    /// A message that was received this often goes to the dead-letter queue on the next receive.
    pub max_receive_count: u32,
}

impl RedrivePolicy {
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid_value(text, "RedrivePolicy", reason);
        let value: Value =
            serde_json::from_str(text).map_err(|_| invalid("Redrive policy is not a valid JSON map."))?;
        let map = value.as_object().ok_or_else(|| invalid("Redrive policy is not a valid JSON map."))?;
        let target = map
            .get("deadLetterTargetArn")
            .ok_or_else(|| invalid("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
        let count = map
            .get("maxReceiveCount")
            .ok_or_else(|| invalid("Redrive policy does not contain mandatory attribute: maxReceiveCount."))?;
        let target = target.as_str().filter(|arn| arn.parse::<Arn>().is_ok_and(|arn| arn.service == "sqs"));
        let target = target.ok_or_else(|| invalid("Invalid value for deadLetterTargetArn."))?;
        let count_number = count.as_u64().or_else(|| count.as_str().and_then(|text| text.trim().parse().ok()));
        let max_receive_count = count_number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..=1000).contains(number))
            .ok_or_else(|| {
                let shown = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
                invalid(&format!(
                    "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive."
                ))
            })?;
        Ok(RedrivePolicy { text: text.to_owned(), dead_letter_target_arn: target.to_owned(), max_receive_count })
    }

    /// The dead-letter queue's name.
    pub fn target_name(&self) -> &str {
        self.dead_letter_target_arn.rsplit(':').next().unwrap_or_default()
    }
}

/// RedriveAllowPolicy: which queues may name this one as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedriveAllowPolicy {
    pub text: String,
    pub permission: RedrivePermission,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RedrivePermission {
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

impl RedriveAllowPolicy {
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid_value(text, "RedriveAllowPolicy", reason);
        let value: Value =
            serde_json::from_str(text).map_err(|_| invalid("Redrive allow policy is not a valid JSON map."))?;
        let map = value.as_object().ok_or_else(|| invalid("Redrive allow policy is not a valid JSON map."))?;
        let arns = map.get("sourceQueueArns").map(|value| {
            let arns: Option<Vec<String>> =
                value.as_array().and_then(|list| list.iter().map(|arn| arn.as_str().map(str::to_owned)).collect());
            arns.ok_or_else(|| invalid("Invalid value for sourceQueueArns."))
        });
        let arns = arns.transpose()?;
        let permission = match (map.get("redrivePermission").and_then(Value::as_str), arns) {
            (Some("allowAll"), None) => RedrivePermission::AllowAll,
            (Some("denyAll"), None) => RedrivePermission::DenyAll,
            (Some("byQueue"), Some(arns)) if (1..=10).contains(&arns.len()) => RedrivePermission::ByQueue(arns),
            (Some("byQueue"), _) => {
                return Err(invalid("byQueue needs from 1 to 10 sourceQueueArns."));
            }
            (Some("allowAll" | "denyAll"), Some(_)) => {
                return Err(invalid("sourceQueueArns can be specified only with redrivePermission byQueue."));
            }
            _ => return Err(invalid("Invalid value for redrivePermission.")),
        };
        Ok(RedriveAllowPolicy { text: text.to_owned(), permission })
    }

    pub fn allows(&self, source_arn: &str) -> bool {
        match &self.permission {
            RedrivePermission::AllowAll => true,
            RedrivePermission::DenyAll => false,
            RedrivePermission::ByQueue(arns) => arns.iter().any(|arn| arn == source_arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_takes_a_number_or_its_text() {
        for count in ["3", "\"3\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:d","maxReceiveCount":{count}}}"#);
            let policy = RedrivePolicy::parse(&text).unwrap();
            assert_eq!((policy.max_receive_count, policy.target_name()), (3, "d"));
            assert_eq!(policy.text, text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| RedrivePolicy::parse(text).unwrap_err().to_string();
        assert!(said("[]").ends_with("Redrive policy is not a valid JSON map."));
        assert!(said("{}").ends_with("mandatory attribute: deadLetterTargetArn."));
        assert!(
            said(r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:d"}"#)
                .ends_with("mandatory attribute: maxReceiveCount.")
        );
        let zero = said(r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:d","maxReceiveCount":0}"#);
        assert!(
            zero.ends_with("Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive.")
        );
    }

    #[test]
    fn allow_policies_decide_by_source() {
        let by_queue = RedriveAllowPolicy::parse(r#"{"redrivePermission":"byQueue","sourceQueueArns":["a"]}"#).unwrap();
        assert!(by_queue.allows("a") && !by_queue.allows("b"));
        assert!(!RedriveAllowPolicy::parse(r#"{"redrivePermission":"denyAll"}"#).unwrap().allows("a"));
        assert!(RedriveAllowPolicy::parse(r#"{"redrivePermission":"byQueue"}"#).is_err());
        assert!(RedriveAllowPolicy::parse(r#"{"redrivePermission":"denyAll","sourceQueueArns":["a"]}"#).is_err());
    }
}
