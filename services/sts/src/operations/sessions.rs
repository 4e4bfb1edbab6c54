//! GetSessionToken and GetFederationToken: sessions of the caller's own.

use fractus_aws::Arn;
use fractus_bus::contracts::CredentialKind;
use fractus_host::{Access, CallerKind, Context};
use fractus_sts_api::{
    FederatedUser, GetFederationTokenInput, GetFederationTokenOutput, GetSessionTokenInput, GetSessionTokenOutput,
};

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::names::is_session_name;
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::model::tokens::{DurationRule, root_duration};
use crate::operations::assume_role::check_mfa;
use crate::service::Sts;

/// A federated user for whom no policy is passed may do nothing but what resources allow it.
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn is_root(cx: &Context) -> bool {
    !matches!(cx.caller.kind, CallerKind::Known(kind) if kind != CredentialKind::Root)
}

/// Both are for long-term credentials.
fn refuse_sessions(cx: &Context, operation: &str) -> Result<()> {
    let is_session = cx.caller.credential.as_deref().is_some_and(|credential| credential.session_token.is_some());
    if is_session {
        return Err(Error::AccessDenied(format!("Cannot call {operation} with session credentials")));
    }
    Ok(())
}

fn caller_arn(cx: &Context) -> Result<Arn> {
    cx.caller.arn.parse().map_err(|error| Error::Internal(format!("the caller's ARN: {error}")))
}

pub async fn session_token(sts: &Sts, cx: &Context, input: GetSessionTokenInput) -> Result<GetSessionTokenOutput> {
    refuse_sessions(cx, "GetSessionToken")?;
    check_mfa(input.serial_number.as_deref(), input.token_code.as_deref(), cx)?;
    let duration = DurationRule::USER.apply(input.duration_seconds)?;
    let root = is_root(cx);
    let mfa = input.serial_number.is_some();
    let grant = Grant {
        kind: if root { CredentialKind::Root } else { CredentialKind::Session },
        account: cx.caller.account.clone(),
        principal: caller_arn(cx)?,
        principal_id: cx.caller.principal_id.clone(),
        issuer: None,
        duration: if root { root_duration(duration) } else { duration },
        policies: SessionPolicies::default(),
        tags: SessionTags::default(),
        context: vec![("aws:MultiFactorAuthPresent".to_owned(), mfa.to_string())],
        minimum_token_size: input.minimum_session_token_size,
    };
    let Issued { credentials, token_size, token_utilization, .. } = sts.issue(cx, grant).await?;
    Ok(GetSessionTokenOutput {
        credentials: Some(credentials),
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}

fn federated_user_arn(cx: &Context, name: &str) -> Arn {
    let resource = format!("federated-user/{name}");
    Arn::new(cx.world.partition.as_str(), "sts", "", cx.caller.account.as_str(), resource)
}

pub fn federation_access(cx: &Context, input: &GetFederationTokenInput) -> Result<Vec<Access>> {
    let user = federated_user_arn(cx, &input.name);
    let mut wanted = vec![Access::to(&user)];
    if input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        wanted.push(Access::to(&user).by("sts:TagSession"));
    }
    Ok(wanted)
}

pub async fn federation_token(
    sts: &Sts,
    cx: &Context,
    input: GetFederationTokenInput,
) -> Result<GetFederationTokenOutput> {
    refuse_sessions(cx, "GetFederationToken")?;
    if !is_session_name(&input.name) || input.name.len() > 32 {
        let constraint = "Member must satisfy regular expression pattern: [\\w+=,.@-]* and have 2 to 32 characters";
        return Err(Error::constraint(&input.name, "name", constraint));
    }
    let duration = DurationRule::USER.apply(input.duration_seconds)?;
    let policies = SessionPolicies::checked(input.policy, input.policy_arns)?;
    let tags = SessionTags::checked(input.tags, None, Vec::new())?;
    let packed_policy_size = policies.packed_size(&tags)?;
    let policies = if policies.is_empty() {
        SessionPolicies { inline: Some(NOTHING.to_owned()), managed: Vec::new() }
    } else {
        policies
    };
    let user = federated_user_arn(cx, &input.name);
    let user_id = format!("{}:{}", cx.caller.account, input.name);
    let grant = Grant {
        kind: CredentialKind::FederatedUser,
        account: cx.caller.account.clone(),
        principal: user.clone(),
        principal_id: user_id.clone(),
        issuer: Some(caller_arn(cx)?),
        duration: if is_root(cx) { root_duration(duration) } else { duration },
        policies,
        tags,
        context: Vec::new(),
        minimum_token_size: input.minimum_session_token_size,
    };
    let Issued { credentials, token_size, token_utilization, .. } = sts.issue(cx, grant).await?;
    Ok(GetFederationTokenOutput {
        credentials: Some(credentials),
        federated_user: Some(FederatedUser { federated_user_id: user_id, arn: user.to_string() }),
        packed_policy_size,
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}
