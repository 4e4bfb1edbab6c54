//! Whether a resource's policy lets another service deliver to it.
//!
//! Calls are judged before their handlers. A delivery has no caller: the service that sends it is the principal, with the
//! resource it sends for as `aws:SourceArn`; or the role that the target is served as. As on AWS, a resource without a policy
//! takes nothing from services.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services>

use std::sync::LazyLock;

use fractus_aws::{AccountId, Arn, Region};
use fractus_bus::contracts::Source;
use fractus_clock::Timestamp;
use fractus_policy::{Attached, Context, Policies, Policy, Principal, Request, ResourcePolicy};

use crate::config::AuthMode;
use crate::host::Host;

/// What something is delivered to.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    pub arn: &'a str,
    pub account: &'a AccountId,
    pub region: &'a Region,
    /// The resource's policy.
    pub policy: Option<&'a str>,
    /// The operation that the delivery stands for, as IAM writes it.
    pub action: &'a str,
}

impl Host {
    /// Refuses a delivery that the destination's policy does not allow, where policies are enforced; the reason is IAM's
    /// message.
    pub fn check_delivery(&self, source: &Source, to: &Destination<'_>, now: Timestamp) -> Result<(), String> {
        if self.config().auth != AuthMode::Enforced {
            return Ok(());
        }
        match check(source, to, now) {
            Err(reason) if self.config().auth_soft => {
                tracing::warn!(to = to.arn, source = source.principal, reason, "a delivery would be denied");
                Ok(())
            }
            checked => checked,
        }
    }
}

fn check(source: &Source, to: &Destination<'_>, now: Timestamp) -> Result<(), String> {
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
        action: to.action,
        resource: to.arn,
        resource_account: Some(to.account.as_str()),
        context: &context,
    };
    let policy = to.policy.map(Policy::parse).transpose();
    let policy = policy.map_err(|error| format!("The policy cannot be read: {error}"))?;
    let resource = policy.as_ref().map(|policy| Attached::new(to.arn, policy));
    let resource = resource.map_or(ResourcePolicy::None, ResourcePolicy::Policy);
    // What a role's own policies say is asked for by whoever assumed it. With them it may do anything in its own account;
    // elsewhere the resource has to let it in besides.
    let of_the_role = [Attached::new("", &ANYTHING)];
    let identity: &[Attached<'_>] = if source.role.is_some() { &of_the_role } else { &[] };
    let verdict = Policies { resource, identity, ..Policies::default() }.evaluate(&request);
    verdict.message(&request).map_or(Ok(()), Err)
}

static ANYTHING: LazyLock<Policy> = LazyLock::new(|| {
    #[allow(clippy::expect_used)]
    // It is this text alone.
    Policy::parse(r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#)
        .expect("a policy that allows everything")
});

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

    fn checked(policy: Option<serde_json::Value>, role: Option<&str>) -> Result<(), String> {
        let account = AccountId::new("000000000000").unwrap();
        let source = Source {
            principal: "a.amazonaws.com".into(),
            arn: Some("arn:aws:a:::b".parse().unwrap()),
            account: account.clone(),
            role: role.map(|role| role.parse().unwrap()),
        };
        let policy = policy.map(|policy| policy.to_string());
        let destination = Destination {
            arn: "arn:aws:x:us-east-1:000000000000:r",
            account: &account,
            region: &Region::us_east_1(),
            policy: policy.as_deref(),
            action: "x:Take",
        };
        check(&source, &destination, Timestamp::EPOCH)
    }

    fn statement(effect: &str, principal: serde_json::Value, source_arn: &str) -> serde_json::Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": effect, "Principal": principal, "Action": "x:Take", "Resource": "*",
            "Condition": {"ArnLike": {"aws:SourceArn": source_arn}, "StringEquals": {"aws:SourceAccount": "000000000000"}},
        }]})
    }

    #[test]
    fn a_service_needs_to_be_named() {
        let sender = json!({"Service": "a.amazonaws.com"});
        checked(Some(statement("Allow", sender.clone(), "arn:aws:a:::b")), None).unwrap();
        for policy in [
            None,
            Some(statement("Allow", sender, "arn:aws:a:::other")),
            Some(statement("Allow", json!({"Service": "other.amazonaws.com"}), "arn:aws:a:::b")),
        ] {
            let refused = checked(policy, None).unwrap_err();
            assert!(refused.contains("no resource-based policy allows the x:Take action"), "{refused}");
        }
    }

    #[test]
    fn what_denies_a_role_holds() {
        let role = "arn:aws:iam::000000000000:role/r";
        checked(None, Some(role)).unwrap();
        let denied = statement("Deny", json!({"AWS": role}), "arn:aws:a:::b");
        assert!(checked(Some(denied), Some(role)).is_err());
    }

    #[test]
    fn a_role_of_another_account_has_to_be_let_in() {
        let role = "arn:aws:iam::111122223333:role/r";
        let refused = checked(None, Some(role)).unwrap_err();
        assert!(refused.contains("no resource-based policy allows"), "{refused}");
        checked(Some(statement("Allow", json!({"AWS": role}), "arn:aws:a:::b")), Some(role)).unwrap();
        let other = statement("Allow", json!({"AWS": "arn:aws:iam::111122223333:role/other"}), "arn:aws:a:::b");
        assert!(checked(Some(other), Some(role)).is_err());
    }
}
