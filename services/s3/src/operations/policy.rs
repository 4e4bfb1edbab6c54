//! Bucket policies.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>

use fractus_host::Context;
use fractus_policy::{Policy, PolicyKind, Statement};
use fractus_s3_api as api;
use fractus_wire::Failure;
use serde_json::Value;

use crate::configurations::{self, Kind, Of, of};
use crate::error::{Error, Result};
use crate::model::vocabulary::{self, On};
use crate::notify::bucket_arn;
use crate::operations::missing;
use crate::service::S3;

const MAX_POLICY_BYTES: usize = 20 * 1024;

fn malformed(message: impl Into<String>) -> Error {
    Error::Other(Box::new(Failure::new("MalformedPolicy", 400, message)))
}

/// Reads a policy as S3 takes it for `bucket`; the first flaw in S3's words.
fn checked(text: &str, bucket: &str) -> Result<Policy> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(malformed("Policies must not be larger than 20480 bytes"));
    }
    let policy = Policy::parse(text).map_err(|flaw| malformed(flaw.s3_message()))?;
    policy.validate(PolicyKind::Resource).map_err(|flaw| malformed(flaw.s3_message()))?;
    if policy.statements().is_empty() {
        return Err(malformed("Could not parse the policy: Statement is empty!"));
    }
    check_users(text)?;
    policy.statements().iter().try_for_each(|statement| check_statement(statement, bucket))?;
    Ok(policy)
}

/// Whether a statement has actions and conditions that S3 knows; gives what the actions are on.
pub fn check_words(statement: &Statement) -> Result<Vec<On>> {
    let (not_action, actions) = statement.actions();
    let actions: Vec<&str> = actions.collect();
    let on: Vec<On> = actions.iter().map(|action| vocabulary::on(action)).collect();
    if on.contains(&On::default()) {
        return Err(malformed("Policy has invalid action"));
    }
    for condition in statement.conditions() {
        if !vocabulary::knows_key(condition.key()) {
            return Err(malformed("Policy has an invalid condition key"));
        }
        if !not_action && !vocabulary::bears_on(condition.key(), actions.iter().copied()) {
            return Err(malformed("Conditions do not apply to combination of actions and resources in statement"));
        }
    }
    Ok(on)
}

fn check_statement(statement: &Statement, bucket: &str) -> Result<()> {
    let on = check_words(statement)?;
    let (not_resource, resources) = statement.resources();
    let resources: Vec<&str> = resources.collect();
    if resources.iter().any(|resource| !is_in(resource, bucket)) {
        return Err(malformed("Policy has invalid resource"));
    }
    let applies = |on: &On| resources.iter().any(|resource| applies(*on, resource, bucket));
    if !not_resource && !statement.actions().0 && !on.iter().any(applies) {
        return Err(malformed("Action does not apply to any resource(s) in statement"));
    }
    Ok(())
}

/// What stands behind `arn:PARTITION:s3:::`.
fn resource_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("arn"), Some(_), Some("s3"), Some(""), Some(""), resource) => resource,
        _ => None,
    }
}

/// Whether a resource lies in the bucket: itself, or something below it. Wildcards may stand for the end of its name.
fn is_in(arn: &str, bucket: &str) -> bool {
    let Some(resource) = resource_of(arn) else { return false };
    let name = resource.split('/').next().unwrap_or_default();
    name == bucket || (name.contains(['*', '?', '$']) && may_match(name, bucket))
}

fn may_match(pattern: &str, name: &str) -> bool {
    let fixed = pattern.split(['*', '?', '$']).next().unwrap_or_default();
    name.starts_with(fixed)
}

/// Whether an action on such things may be on what a resource names.
fn applies(on: On, arn: &str, bucket: &str) -> bool {
    let resource = resource_of(arn).unwrap_or_default();
    let names_objects = resource.contains('/') || (resource != bucket && resource.contains(['*', '?', '$']));
    (on.objects && names_objects) || (on.buckets && !resource.contains('/'))
}

/// Whether every user that is named has the form of one.
fn check_users(text: &str) -> Result<()> {
    fn names(value: &Value, found: &mut Vec<String>) {
        let statements = match &value["Statement"] {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        for statement in statements {
            for element in ["Principal", "NotPrincipal"] {
                match &statement[element]["CanonicalUser"] {
                    Value::Array(all) => found.extend(all.iter().filter_map(Value::as_str).map(str::to_owned)),
                    Value::String(one) => found.push(one.clone()),
                    _ => {}
                }
            }
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(text) {
        names(&value, &mut found);
    }
    match found.iter().all(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        true => Ok(()),
        false => Err(malformed("Invalid principal in policy")),
    }
}

pub async fn put(s3: &S3, cx: &Context, input: api::PutBucketPolicyInput) -> Result<api::PutBucketPolicyOutput> {
    let policy = checked(&input.policy, &input.bucket)?;
    let is_public = policy.is_public();
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if is_public && configurations::public_access_block(tx, scope, bucket)?.block_public_policy {
            return Err(blocked(cx, &bucket.name, "s3:PutBucketPolicy", "public policies", "BlockPublicPolicy"));
        }
        configurations::set_text(tx, scope, bucket, Kind::Policy, "", &input.policy)
    })
    .await?;
    Ok(api::PutBucketPolicyOutput::default())
}

/// What block public access says of what it blocks.
pub fn blocked(cx: &Context, bucket: &str, action: &str, what: &str, setting: &str) -> Error {
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: \"{}\" because {what} are prevented by the {setting} setting in S3 Block Public Access.",
        cx.caller.arn,
        bucket_arn(cx, bucket)
    );
    Error::Other(Box::new(Failure::new("AccessDenied", 403, message)))
}

async fn text(s3: &S3, cx: &Context, of: Of<'_>) -> Result<String> {
    let text = configurations::look(s3, cx, of, |snapshot, scope, bucket| {
        configurations::text(snapshot, scope, bucket, Kind::Policy, "")
    })
    .await?;
    text.ok_or_else(|| missing("NoSuchBucketPolicy", "The bucket policy does not exist", of.bucket))
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetBucketPolicyInput) -> Result<api::GetBucketPolicyOutput> {
    Ok(api::GetBucketPolicyOutput { policy: Some(text(s3, cx, of!(input)).await?) })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketPolicyInput,
) -> Result<api::DeleteBucketPolicyOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Policy, "").await?;
    Ok(api::DeleteBucketPolicyOutput::default())
}

pub async fn status(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketPolicyStatusInput,
) -> Result<api::GetBucketPolicyStatusOutput> {
    let text = text(s3, cx, of!(input)).await?;
    let is_public = Policy::parse(&text).is_ok_and(|policy| policy.is_public());
    Ok(api::GetBucketPolicyStatusOutput { policy_status: Some(api::PolicyStatus { is_public: Some(is_public) }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(statement: &str) -> String {
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        checked(&text, "bucket").map_or_else(|error| Failure::from(error).message, |_| "valid".into())
    }

    #[test]
    fn policies_in_s3s_words() {
        let statement = |action: &str, resource: &str| {
            message(&format!(r#"{{"Effect": "Allow", "Principal": "*", "Action": {action}, "Resource": {resource}}}"#))
        };
        let object = r#""arn:aws:s3:::bucket/*""#;
        assert_eq!(statement(r#""s3:GetObject""#, object), "valid");
        assert_eq!(statement(r#""s3:*""#, r#"["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]"#), "valid");
        assert_eq!(statement(r#""s3:ListBucket""#, r#""arn:aws:s3:::bucket""#), "valid");
        let nowhere = "Action does not apply to any resource(s) in statement";
        assert_eq!(statement(r#""s3:ListBucket""#, object), nowhere);
        assert_eq!(statement(r#""s3:GetObject""#, r#""arn:aws:s3:::bucket""#), nowhere);
        assert_eq!(statement(r#""s3:ReplicateDelete""#, object), "valid");
        assert_eq!(statement(r#""s3:NoSuchThing""#, object), "Policy has invalid action");
        assert_eq!(statement(r#""sqs:SendMessage""#, object), "Policy has invalid action");
        assert_eq!(statement(r#""s3:GetObject""#, r#""arn:aws:s3:::other/*""#), "Policy has invalid resource");
        assert_eq!(statement(r#""s3:GetObject""#, r#""bucket/*""#), "Policy has invalid resource");
        assert_eq!(message(r#"{"Effect": "Allow", "Action": "s3:GetObject"}"#), "Missing required field Principal");
    }
}
