//! Whether a queue's policy lets another service deliver to it.
//!
//! Calls are judged by the host. A delivery has no caller: the service that sends it is the principal, with the resource it
//! sends for as `aws:SourceArn`. As on AWS, a queue without a policy takes nothing from services.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-creating-custom-policies-access-policy-examples.html>

use fractus_aws::{AccountId, Arn, Region};
use fractus_bus::contracts::Source;
use fractus_clock::Timestamp;
use fractus_policy::{Attached, Context, Layer, Policies, Policy, Principal, Request, ResourcePolicy, Verdict};

use crate::error::{Error, Result};

const ACTION: &str = "sqs:SendMessage";

/// A queue that something is delivered to.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    pub arn: &'a str,
    pub account: &'a AccountId,
    pub region: &'a Region,
    /// The queue's policy.
    pub policy: Option<&'a str>,
}

/// Refuses a delivery that the queue's policy does not allow.
pub fn check_delivery(source: &Source, to: Destination<'_>, now: Timestamp) -> Result<()> {
    let principal = match &source.role {
        None => Principal::service(source.principal.as_str()),
        Some(role) => Principal::role_session(session_of(role, source), role.to_string(), role.account.as_str()),
    };
    let mut context = Context::new();
    principal.describe(&mut context);
    context.insert("aws:CurrentTime", now.to_secs_precision().date_time());
    context.insert("aws:EpochTime", now.secs().to_string());
    context.insert("aws:SecureTransport", "true");
    context.insert("aws:RequestedRegion", to.region.as_str());
    context.insert("aws:SourceAccount", source.account.as_str());
    if let Some(source_arn) = &source.arn {
        context.insert("aws:SourceArn", source_arn.to_string());
    }
    let request = Request {
        principal: &principal,
        action: ACTION,
        resource: to.arn,
        resource_account: Some(to.account.as_str()),
        context: &context,
    };
    let policy = to.policy.map(Policy::parse).transpose();
    let policy =
        policy.map_err(|error| Error::AccessDenied { message: format!("The policy cannot be read: {error}") })?;
    let resource = policy.as_ref().map(|policy| Attached::new(to.arn, policy));
    let resource = resource.map_or(ResourcePolicy::None, ResourcePolicy::Policy);
    let verdict = Policies { resource, ..Policies::default() }.evaluate(&request);
    // What a role's own policies say is asked for by whoever assumed it.
    let by_the_role = source.role.is_some() && verdict == Verdict::NotAllowed(Layer::Identity);
    match verdict.message(&request) {
        Some(message) if !by_the_role => Err(Error::AccessDenied { message }),
        _ => Ok(()),
    }
}

/// The session that a service makes of the role it acts as.
fn session_of(role: &Arn, source: &Source) -> String {
    let name = role.resource.rsplit('/').next().unwrap_or_default();
    let service = source.principal.split('.').next().unwrap_or_default();
    format!("arn:{}:sts::{}:assumed-role/{name}/{service}", role.partition, role.account)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(policy: Option<serde_json::Value>, role: Option<&str>) -> Result<()> {
        let account = AccountId::new("000000000000").unwrap();
        let source = Source {
            principal: "s3.amazonaws.com".into(),
            arn: Some("arn:aws:s3:::b".parse().unwrap()),
            account: account.clone(),
            role: role.map(|role| role.parse().unwrap()),
        };
        let policy = policy.map(|policy| policy.to_string());
        let destination = Destination {
            arn: "arn:aws:sqs:us-east-1:000000000000:q",
            account: &account,
            region: &Region::us_east_1(),
            policy: policy.as_deref(),
        };
        check_delivery(&source, destination, Timestamp::EPOCH)
    }

    fn statement(effect: &str, principal: serde_json::Value, source_arn: &str) -> serde_json::Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": effect, "Principal": principal, "Action": "sqs:SendMessage", "Resource": "*",
            "Condition": {"ArnLike": {"aws:SourceArn": source_arn}, "StringEquals": {"aws:SourceAccount": "000000000000"}},
        }]})
    }

    #[test]
    fn a_service_needs_to_be_named() {
        let s3 = json!({"Service": "s3.amazonaws.com"});
        checked(Some(statement("Allow", s3.clone(), "arn:aws:s3:::b")), None).unwrap();
        for policy in [
            None,
            Some(statement("Allow", s3, "arn:aws:s3:::other")),
            Some(statement("Allow", json!({"Service": "sns.amazonaws.com"}), "arn:aws:s3:::b")),
        ] {
            let refused = checked(policy, None).unwrap_err();
            assert_eq!(refused.code(), "AccessDenied");
            assert!(
                refused.to_string().contains("no resource-based policy allows the sqs:SendMessage action"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_denies_a_role_holds() {
        let role = "arn:aws:iam::000000000000:role/r";
        checked(None, Some(role)).unwrap();
        let denied = statement("Deny", json!({"AWS": role}), "arn:aws:s3:::b");
        assert!(checked(Some(denied), Some(role)).is_err());
    }
}
