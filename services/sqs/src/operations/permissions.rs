//! AddPermission and RemovePermission: statements of the queue's policy by label.

use fractus_host::Context;
use fractus_sqs_api as api;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::service::{Sqs, Target};
use crate::store::QUEUES;

/// The actions that can be shared this way.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html>
const SHAREABLE: [&str; 8] = [
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
];
/// The most actions of one statement, and statements of one policy.
const MAX_ACTIONS: usize = 7;
const MAX_STATEMENTS: usize = 20;

fn check_label(label: &str) -> Result<()> {
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if label.is_empty() || label.len() > 80 || !plain {
        return Err(Error::invalid_value(
            label,
            "Label",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
        ));
    }
    Ok(())
}

fn statement(target: &Target, cx: &Context, input: &api::AddPermissionInput) -> Result<Value> {
    if input.aws_account_ids.is_empty() {
        return Err(Error::MissingParameter { name: "AWSAccountIds".into() });
    }
    if input.actions.is_empty() {
        return Err(Error::MissingParameter { name: "Actions".into() });
    }
    if input.actions.len() > MAX_ACTIONS {
        return Err(Error::OverLimit {
            message: format!("{} Actions were found, maximum allowed is {MAX_ACTIONS}.", input.actions.len()),
        });
    }
    if let Some(action) = input.actions.iter().find(|action| !SHAREABLE.contains(&action.as_str())) {
        return Err(Error::invalid_value(
            format!("SQS:{action}"),
            "ActionName",
            "Only the queue owner is allowed to invoke this action.",
        ));
    }
    let account_is_valid = |id: &String| fractus_aws::AccountId::new(id).is_ok();
    if let Some(account) = input.aws_account_ids.iter().find(|id| !account_is_valid(id)) {
        return Err(Error::invalid_value(format!("[{account}]"), "PrincipalId", "Unable to verify."));
    }
    let partition = target.world.partition;
    let principals: Vec<String> =
        input.aws_account_ids.iter().map(|id| format!("arn:{partition}:iam::{id}:root")).collect();
    let actions: Vec<String> = input.actions.iter().map(|action| format!("SQS:{action}")).collect();
    Ok(json!({
        "Sid": input.label,
        "Effect": "Allow",
        "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions),
        "Resource": target.arn(cx),
    }))
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

pub async fn add(sqs: &Sqs, cx: &Context, input: api::AddPermissionInput) -> Result<api::AddPermissionOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    check_label(&input.label)?;
    let statement = statement(&target, cx, &input)?;
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            let mut policy = match &queue.attributes.policy {
                Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!({})),
                None => json!({ "Version": "2008-10-17", "Id": format!("{}/SQSDefaultPolicy", target.arn(cx)) }),
            };
            let mut statements = take_statements(&mut policy);
            if statements.iter().any(|statement| has_label(statement, &input.label)) {
                return Err(Error::invalid_value(&input.label, "Label", "Already exists."));
            }
            if statements.len() >= MAX_STATEMENTS {
                return Err(Error::OverLimit {
                    message: format!("{MAX_STATEMENTS} statements are the most a queue policy can have."),
                });
            }
            statements.push(statement.clone());
            policy["Statement"] = statements.into();
            queue.attributes.policy = Some(policy.to_string());
            queue.modified_at = now;
            Ok(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await?;
    Ok(api::AddPermissionOutput::default())
}

pub async fn remove(sqs: &Sqs, cx: &Context, input: api::RemovePermissionInput) -> Result<api::RemovePermissionOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    check_label(&input.label)?;
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            let missing = || Error::invalid_value(&input.label, "Label", "can't find label.");
            let text = queue.attributes.policy.as_deref().ok_or_else(missing)?;
            let mut policy: Value = serde_json::from_str(text).map_err(|_| missing())?;
            let mut statements = take_statements(&mut policy);
            let before = statements.len();
            statements.retain(|statement| !has_label(statement, &input.label));
            if statements.len() == before {
                return Err(missing());
            }
            queue.attributes.policy = if statements.is_empty() {
                None
            } else {
                policy["Statement"] = statements.into();
                Some(policy.to_string())
            };
            queue.modified_at = now;
            Ok(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await?;
    Ok(api::RemovePermissionOutput::default())
}
