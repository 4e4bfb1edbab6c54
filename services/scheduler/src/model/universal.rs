//! Universal targets: `arn:aws:scheduler:::aws-sdk:service:apiAction`, any operation that changes something.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html>

use fractus_aws::Arn;
use fractus_wire::Document;
use fractus_wire::schema::{Kind, Schema};
use serde_json::Value;

use super::documents::document;
use super::service_names::{self, Known};
use crate::error::{Error, Result};

/// An operation of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Universal {
    /// The SDK's identifier of the service.
    pub service: String,
    /// The model's name of the operation: `SendMessage`.
    pub operation: String,
    pub known: Known,
}

/// Operations that begin so only read; a schedule cannot call them.
const UNSUPPORTED: [&str; 25] = [
    "get",
    "describe",
    "list",
    "poll",
    "receive",
    "search",
    "scan",
    "query",
    "select",
    "read",
    "lookup",
    "discover",
    "validate",
    "batchGet",
    "batchDescribe",
    "batchRead",
    "transactGet",
    "adminGet",
    "adminList",
    "testMigration",
    "retrieve",
    "testConnection",
    "translateDocument",
    "isAuthorized",
    "invokeModel",
];

impl Universal {
    pub fn parse(arn: &Arn) -> Result<Universal> {
        let malformed = || Error::validation("Provided Arn is not in correct format.");
        let rest = arn.resource.strip_prefix("aws-sdk:").ok_or_else(malformed)?;
        let (service, action) = rest.split_once(':').ok_or_else(malformed)?;
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !arn.region.is_empty() || !arn.account.is_empty() || !is_word(service) || !is_word(action) {
            return Err(malformed());
        }
        let Some(known) = service_names::look_up(service) else {
            return Err(Error::validation(format!("{service} is not a supported service for a target.")));
        };
        let operation = capitalised(action);
        if operation == action || UNSUPPORTED.iter().any(|prefix| begins_with_words(action, prefix)) {
            return Err(unsupported(service, action));
        }
        Ok(Universal { service: service.to_owned(), operation, known })
    }

    /// The action as the ARN has it.
    pub fn action(&self) -> String {
        let mut chars = self.operation.chars();
        chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
    }

    pub fn unsupported(&self) -> Error {
        unsupported(&self.service, &self.action())
    }
}

fn unsupported(service: &str, action: &str) -> Error {
    Error::validation(format!("{action} is not a supported api for the service {service}."))
}

/// Whether the camelCase name begins with these words: `getItem` with `get`, and `getaway` not.
fn begins_with_words(action: &str, prefix: &str) -> bool {
    action.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
}

/// `sendMessage` as the models call it.
fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The Input as the operation's model calls its members. In an Input every member begins with a capital, also where the
/// service's own begin with a small letter; keys of maps are the caller's own. Names that the model does not have stay as
/// they are, for the call to refuse.
pub fn input(value: &Value, schema: &'static Schema) -> Document {
    match (schema.kind, value) {
        (Kind::Structure | Kind::Union, Value::Object(map)) => {
            let renamed = map.iter().map(|(name, value)| {
                let members = schema.members.as_slice();
                match members.iter().find(|member| capitalised(member.name) == *name) {
                    Some(member) => (member.name.to_owned(), input(value, member.target)),
                    None => (name.clone(), document(value)),
                }
            });
            Document::Map(renamed.collect())
        }
        (Kind::List, Value::Array(list)) => match schema.members.first() {
            Some(element) => Document::List(list.iter().map(|value| input(value, element.target)).collect()),
            None => document(value),
        },
        (Kind::Map, Value::Object(map)) => match schema.members.get(1) {
            Some(member) => {
                Document::Map(map.iter().map(|(key, value)| (key.clone(), input(value, member.target))).collect())
            }
            None => document(value),
        },
        _ => document(value),
    }
}

/// What an Input lacks of what its operation requires, as the refusal of the schedule.
pub fn check_input(value: &Value, schema: &'static Schema) -> Result<()> {
    let has = |name: &str| value.get(capitalised(name)).is_some_and(|value| !value.is_null());
    let required = schema.members.iter().filter(|member| member.required && !member.idempotency_token);
    let missing: Vec<String> =
        required.filter(|member| !has(member.name)).map(|member| capitalised(member.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!(
        "Invalid RequestJson provided. Reason Request payload is missing the following field(s): {}.",
        missing.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(resource: &str) -> Result<Universal, String> {
        let arn: Arn = format!("arn:aws:scheduler:::{resource}").parse().unwrap();
        Universal::parse(&arn).map_err(|error| error.to_string())
    }

    #[test]
    fn operations_are_called_as_the_sdks_call_them() {
        let found = parse("aws-sdk:sqs:sendMessage").unwrap();
        assert_eq!((found.operation.as_str(), found.known), ("SendMessage", Known::Modelled("sqs")));
        assert_eq!(found.action(), "sendMessage");
        assert_eq!(
            parse("aws-sdk:cognitoidentityprovider:adminCreateUser").unwrap().known,
            Known::Modelled("cognito-idp")
        );
        assert_eq!(parse("aws-sdk:eks:createCluster").unwrap().known, Known::Unmodelled);
        assert!(parse("aws-sdk:ec2:getaway").is_ok(), "a word that only looks like a prefix");
    }

    #[test]
    fn what_cannot_be_called() {
        for action in [
            "getQueueUrl",
            "listQueues",
            "receiveMessage",
            "SendMessage",
            "batchGetItem",
            "get",
            "isAuthorizedWithToken",
        ] {
            assert_eq!(
                parse(&format!("aws-sdk:sqs:{action}")),
                Err(format!("{action} is not a supported api for the service sqs."))
            );
        }
        assert_eq!(parse("aws-sdk:sqss:sendMessage"), Err("sqss is not a supported service for a target.".to_owned()));
        for malformed in ["aws-sdk:sqs", "aws-sdk", "aws-sdk:sqs:", "schedule/default/x", "aws-sdk:sqs:a:b"] {
            assert_eq!(parse(malformed), Err("Provided Arn is not in correct format.".to_owned()), "{malformed}");
        }
    }
}
