//! Saying why: AWS's message for a denial, and for each statement what it matched or where it failed.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>

use std::fmt;

use serde_json::{Value, json};

use crate::document::Effect;
use crate::evaluate::{Attached, Layer, Policies, StatementRef, Verdict};
use crate::matching::{Failure, Request};

impl Layer {
    fn denied_in(self) -> &'static str {
        match self {
            Layer::ServiceControl => "a service control policy",
            Layer::ResourceControl => "a resource control policy",
            Layer::VpcEndpoint => "a VPC endpoint policy",
            Layer::Identity => "an identity-based policy",
            Layer::Resource => "a resource-based policy",
            Layer::RoleTrust => "the role trust policy",
            Layer::Boundary => "a permissions boundary",
            Layer::Session => "a session policy",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Layer::ServiceControl => "service control policy",
            Layer::ResourceControl => "resource control policy",
            Layer::VpcEndpoint => "VPC endpoint policy",
            Layer::Identity => "identity-based policy",
            Layer::Resource => "resource-based policy",
            Layer::RoleTrust => "role trust policy",
            Layer::Boundary => "permissions boundary",
            Layer::Session => "session policy",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Verdict<'_> {
    /// AWS's message for a denial; `None` where the request is allowed.
    pub fn message(&self, request: &Request<'_>) -> Option<String> {
        let reason = match self {
            Verdict::Allowed(_) => return None,
            // A managed policy is named by its ARN; inline ones and those of resources are not named.
            Verdict::ExplicitDeny(StatementRef { layer, policy, .. })
                if policy.starts_with("arn:") && !layer.names_principals() =>
            {
                format!("with an explicit deny in {}: {policy}", layer.denied_in())
            }
            Verdict::ExplicitDeny(statement) => format!("with an explicit deny in {}", statement.layer.denied_in()),
            Verdict::NotAllowed(layer) => format!("because no {layer} allows the {} action", request.action),
        };
        let Request { principal, action, resource, .. } = request;
        Some(format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} {reason}",
            principal.name()
        ))
    }
}

/// How a statement fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Matched,
    /// It is about other principals.
    OtherPrincipal,
    OtherAction,
    OtherResource,
    ConditionFailed {
        operator: &'a str,
        key: &'a str,
        wanted: &'a [String],
        /// What the request has; `None` if it has no such key.
        given: Option<Vec<String>>,
    },
}

/// A statement that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered<'a> {
    pub statement: StatementRef<'a>,
    pub effect: Effect,
    pub outcome: Outcome<'a>,
}

/// The verdict with all that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    pub verdict: Verdict<'a>,
    pub message: Option<String>,
    pub considered: Vec<Considered<'a>>,
}

impl<'a> Policies<'a> {
    /// Evaluates and says of every statement how it fared. Slower than [`Self::evaluate`]: for denials and for tools.
    pub fn explain(&self, request: &Request<'_>) -> Explanation<'a> {
        let verdict = self.evaluate(request);
        let considered = self.each().flat_map(|(layer, attached)| consider(layer, *attached, request)).collect();
        Explanation { message: verdict.message(request), verdict, considered }
    }
}

fn consider<'a>(layer: Layer, attached: Attached<'a>, request: &Request<'_>) -> Vec<Considered<'a>> {
    let Attached { name, policy } = attached;
    let fared = |(index, statement): (usize, &'a crate::document::Statement)| {
        let outcome = match statement.judge(request, layer.names_principals()) {
            Ok(_) => Outcome::Matched,
            Err(Failure::Principal) => Outcome::OtherPrincipal,
            Err(Failure::Action) => Outcome::OtherAction,
            Err(Failure::Resource) => Outcome::OtherResource,
            Err(Failure::Condition(clause)) => {
                let condition = &statement.conditions()[clause];
                Outcome::ConditionFailed {
                    operator: condition.operator(),
                    key: condition.key(),
                    wanted: condition.values(),
                    given: request.context.get(condition.key()).map(<[String]>::to_vec),
                }
            }
        };
        let statement_ref = StatementRef { layer, policy: name, index, sid: statement.sid() };
        Considered { statement: statement_ref, effect: statement.effect(), outcome }
    };
    policy.statements().iter().enumerate().map(fared).collect()
}

impl fmt::Display for Considered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StatementRef { layer, policy, index, sid } = self.statement;
        write!(f, "{layer} {policy}, statement {}", index + 1)?;
        if let Some(sid) = sid {
            write!(f, " ({sid})")?;
        }
        let effect = if self.effect == Effect::Allow { "allows" } else { "denies" };
        match &self.outcome {
            Outcome::Matched => write!(f, " {effect} it"),
            Outcome::OtherPrincipal => f.write_str(" is about other principals"),
            Outcome::OtherAction => f.write_str(" is about other actions"),
            Outcome::OtherResource => f.write_str(" is about other resources"),
            Outcome::ConditionFailed { operator, key, wanted, given } => {
                let given = given.as_ref().map_or_else(|| "absent".to_owned(), |given| format!("{given:?}"));
                write!(f, " {effect} it only if {operator} {key} {wanted:?}, but {key} is {given}")
            }
        }
    }
}

impl Explanation<'_> {
    /// The document that `DecodeAuthorizationMessage` answers.
    ///
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>
    pub fn authorization_message(&self, request: &Request<'_>) -> Value {
        let statement = |found: &StatementRef<'_>, effect: Effect| {
            json!({
                "statementId": found.sid.unwrap_or_default(),
                "effect": if effect == Effect::Deny { "DENY" } else { "ALLOW" },
                "policyType": found.layer.kind(),
                "policy": found.policy,
            })
        };
        let matched: Vec<Value> = self
            .considered
            .iter()
            .filter(|considered| considered.outcome == Outcome::Matched)
            .map(|considered| statement(&considered.statement, considered.effect))
            .collect();
        let conditions: Vec<Value> = request
            .context
            .iter()
            .map(|(key, values)| {
                let values: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
                json!({ "key": key, "values": { "items": values } })
            })
            .collect();
        json!({
            "allowed": self.verdict.is_allowed(),
            "explicitDeny": matches!(self.verdict, Verdict::ExplicitDeny(_)),
            "matchedStatements": { "items": matched },
            "failures": { "items": [] },
            "context": {
                "principal": { "arn": request.principal.name() },
                "action": request.action,
                "resource": request.resource,
                "conditions": { "items": conditions },
            },
        })
    }
}
