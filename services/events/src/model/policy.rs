//! Policies of event buses: their statements by id, and whether they let another account in.
//!
//! Between accounts a bus's policy always decides, whatever `auth` says: that is what the policy is for. What a caller may
//! do in its own account is the host's to judge.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html>

use fractus_aws::AccountId;
use fractus_bus::contracts::{CredentialKind, Source};
use fractus_clock::Timestamp;
use fractus_host::{Caller, CallerKind};
use fractus_policy::{Attached, Context, Policies, Policy, Principal, Request, ResourcePolicy, Verdict};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub const MAX_POLICY_BYTES: usize = 10_240;

/// One permission as PutPermission says it.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    pub statement_id: &'a str,
    pub action: &'a str,
    /// An account, or `*`.
    pub principal: &'a str,
    /// Operator, key, value.
    pub condition: Option<(&'a str, &'a str, &'a str)>,
}

/// A policy with one more statement, in place of the one of the same id.
pub fn with_statement(
    policy: Option<&str>,
    permission: &Permission<'_>,
    bus_arn: &str,
    partition: &str,
) -> Result<String> {
    let mut statements = policy.map(statements).unwrap_or_default();
    statements.retain(|statement| statement["Sid"] != permission.statement_id);
    let principal = match permission.principal {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:{partition}:iam::{account}:root")}),
    };
    let mut statement = json!({
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": permission.action,
        "Resource": bus_arn,
    });
    if let Some((operator, key, value)) = permission.condition {
        statement["Condition"] = json!({operator: {key: value}});
    }
    statements.push(statement);
    checked(&json!({"Version": "2012-10-17", "Statement": statements}).to_string())
}

/// A policy without a statement; none when it was the last one.
pub fn without_statement(policy: Option<&str>, statement_id: &str) -> Result<Option<String>> {
    let before = policy.map(statements).unwrap_or_default();
    let left: Vec<&Value> = before.iter().filter(|statement| statement["Sid"] != statement_id).collect();
    if left.len() == before.len() {
        return Err(Error::NotFound("Statement with the provided id does not exist.".to_owned()));
    }
    Ok((!left.is_empty()).then(|| json!({"Version": "2012-10-17", "Statement": left}).to_string()))
}

fn statements(policy: &str) -> Vec<Value> {
    match serde_json::from_str::<Value>(policy).ok().and_then(|mut policy| Some(policy.get_mut("Statement")?.take())) {
        Some(Value::Array(list)) => list,
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// A whole policy as it may be put on a bus.
pub fn checked(policy: &str) -> Result<String> {
    if policy.len() > MAX_POLICY_BYTES {
        return Err(Error::PolicyLengthExceeded(format!(
            "Policy length exceeded the maximum of {MAX_POLICY_BYTES} characters."
        )));
    }
    let parsed = Policy::parse(policy).map_err(|error| Error::parameter("Policy", error))?;
    if parsed.statements().iter().any(|statement| statement.principal().is_none()) {
        return Err(Error::parameter("Policy", "Every statement must name a principal."));
    }
    Ok(policy.to_owned())
}

/// Who reaches for a bus of another account.
pub fn principal_of_caller(caller: &Caller) -> Principal {
    let (arn, account) = (caller.arn.as_str(), caller.account.as_str());
    let role = caller.credential.as_deref().and_then(|credential| credential.role.as_ref()).map(ToString::to_string);
    match caller.kind {
        CallerKind::Anonymous => Principal::anonymous(),
        CallerKind::Known(CredentialKind::User | CredentialKind::Session) => Principal::user(arn, account),
        CallerKind::Known(CredentialKind::AssumedRole) => {
            Principal::role_session(arn, role.unwrap_or_default(), account)
        }
        _ => Principal::root(arn, account),
    }
}

/// A rule that sends from another account acts by its role, or as its account.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html>
pub fn principal_of_rule(source: &Source, partition: &str) -> Principal {
    let account = source.account.as_str();
    match &source.role {
        Some(role) => {
            let name = role.resource.rsplit('/').next().unwrap_or_default();
            let session = format!("arn:{partition}:sts::{account}:assumed-role/{name}/events");
            Principal::role_session(session, role.to_string(), account)
        }
        None => Principal::root(format!("arn:{partition}:iam::{account}:root"), account),
    }
}

/// Another account's reach for a bus.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    pub principal: &'a Principal,
    /// `events:PutEvents`.
    pub action: &'a str,
    /// The bus, or a rule on it.
    pub resource: &'a str,
    pub owner: &'a AccountId,
    pub policy: Option<&'a str>,
    /// Condition keys of the event: `events:source`, `events:detail-type`.
    pub conditions: &'a [(&'a str, &'a str)],
    pub now: Timestamp,
}

/// Refuses what the bus's policy does not allow.
pub fn check_reach(reach: &Reach<'_>) -> Result<()> {
    let mut context = Context::new();
    reach.principal.describe(&mut context);
    context.insert("aws:CurrentTime", reach.now.to_secs_precision().date_time());
    context.insert("aws:EpochTime", reach.now.secs().to_string());
    context.insert("aws:SecureTransport", "true");
    for (key, value) in reach.conditions {
        context.insert(key, *value);
    }
    let request = Request {
        principal: reach.principal,
        action: reach.action,
        resource: reach.resource,
        resource_account: Some(reach.owner.as_str()),
        context: &context,
    };
    let policy = reach.policy.map(Policy::parse).transpose();
    let policy = policy.map_err(|error| Error::AccessDenied(format!("The policy cannot be read: {error}")))?;
    let resource = policy.as_ref().map(|policy| Attached::new(reach.resource, policy));
    let resource = resource.map_or(ResourcePolicy::None, ResourcePolicy::Policy);
    let verdict = Policies { resource, ..Policies::default() }.evaluate(&request);
    match verdict {
        // The caller's own account is asked by the host.
        Verdict::NotAllowed(fractus_policy::Layer::Identity) => Ok(()),
        verdict => verdict.message(&request).map_or(Ok(()), |message| Err(Error::AccessDenied(message))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/b";

    fn permission(id: &'static str, principal: &'static str) -> Permission<'static> {
        Permission { statement_id: id, action: "events:PutEvents", principal, condition: None }
    }

    #[test]
    fn statements_come_and_go_by_their_id() {
        let one = with_statement(None, &permission("a", "111122223333"), BUS, "aws").unwrap();
        let expected = json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "a", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "events:PutEvents", "Resource": BUS,
        }]});
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), expected);
        let condition =
            Permission { condition: Some(("StringEquals", "aws:PrincipalOrgID", "o-1")), ..permission("b", "*") };
        let two = with_statement(Some(&one), &condition, BUS, "aws").unwrap();
        let replaced = with_statement(Some(&two), &permission("a", "*"), BUS, "aws").unwrap();
        assert_eq!(statements(&replaced).len(), 2);
        let left = without_statement(Some(&two), "b").unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&left).unwrap(), expected);
        assert_eq!(without_statement(Some(&left), "a").unwrap(), None);
        assert!(matches!(without_statement(Some(&left), "x"), Err(Error::NotFound(_))));
    }

    #[test]
    fn policies_are_checked() {
        assert!(matches!(checked(&" ".repeat(MAX_POLICY_BYTES + 1)), Err(Error::PolicyLengthExceeded(_))));
        assert!(matches!(checked("{"), Err(Error::Validation(_))));
        let no_principal =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        assert!(checked(&no_principal.to_string()).is_err());
    }

    fn reach(policy: Option<&str>, account: &str) -> Result<()> {
        let principal = Principal::root(format!("arn:aws:iam::{account}:root"), account);
        check_reach(&Reach {
            principal: &principal,
            action: "events:PutEvents",
            resource: BUS,
            owner: &AccountId::default_account(),
            policy,
            conditions: &[("events:source", "my.app")],
            now: Timestamp::EPOCH,
        })
    }

    #[test]
    fn another_account_needs_the_bus_s_policy() {
        let allowed = with_statement(None, &permission("a", "111122223333"), BUS, "aws").unwrap();
        reach(Some(&allowed), "111122223333").unwrap();
        for (policy, account) in [(None, "111122223333"), (Some(allowed.as_str()), "444455556666")] {
            let error = reach(policy, account).unwrap_err();
            assert!(matches!(error, Error::AccessDenied(_)));
            assert!(
                error.to_string().contains("because no resource-based policy allows the events:PutEvents action"),
                "{error}"
            );
        }
    }
}
