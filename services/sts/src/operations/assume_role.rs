//! AssumeRole.

use fractus_bus::contracts::{Credential, CredentialKind};
use fractus_host::{Access, CallerKind, Context};
use fractus_sts_api::{AssumeRoleInput, AssumeRoleOutput, AssumedRoleUser};

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::names::{RoleArn, check_session_name};
use crate::model::policies::SessionPolicies;
use crate::model::tags::{SessionTags, same_key};
use crate::model::tokens::role_duration;
use crate::roles::{Wish, principal_of_caller};
use crate::service::Sts;

const ACTION: &str = "sts:AssumeRole";
/// The condition key under which a session carries its source identity.
pub const SOURCE_IDENTITY: &str = "aws:SourceIdentity";

/// The role, and what else the request asks to be allowed.
pub fn access(_: &Context, input: &AssumeRoleInput) -> Result<Vec<Access>> {
    let role = RoleArn::parse(&input.role_arn)?;
    let on_role = |action: &str| {
        conditions(input)
            .into_iter()
            .fold(Access::to(&role.arn).by(action), |access, (key, values)| access.when(key, values))
    };
    let mut wanted = vec![on_role(ACTION)];
    if input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        wanted.push(on_role("sts:TagSession"));
    }
    if input.source_identity.is_some() {
        wanted.push(on_role("sts:SetSourceIdentity"));
    }
    Ok(wanted)
}

/// The condition keys of the request:
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html>.
fn conditions(input: &AssumeRoleInput) -> Vec<(String, Vec<String>)> {
    let mut conditions = vec![("sts:RoleSessionName".to_owned(), vec![input.role_session_name.clone()])];
    let single = [("sts:ExternalId", &input.external_id), ("sts:SourceIdentity", &input.source_identity)];
    conditions.extend(single.into_iter().filter_map(|(key, value)| Some((key.to_owned(), vec![value.clone()?]))));
    let tags = input.tags.as_deref().unwrap_or_default();
    conditions.extend(tags.iter().map(|tag| (format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()])));
    if !tags.is_empty() {
        conditions.push(("aws:TagKeys".to_owned(), tags.iter().map(|tag| tag.key.clone()).collect()));
    }
    if let Some(keys) = &input.transitive_tag_keys {
        conditions.push(("sts:TransitiveTagKeys".to_owned(), keys.clone()));
    }
    conditions
}

pub async fn assume(sts: &Sts, cx: &Context, input: AssumeRoleInput) -> Result<AssumeRoleOutput> {
    let role = RoleArn::parse(&input.role_arn)?;
    check_session_name(&input.role_session_name, "roleSessionName")?;
    check_mfa(input.serial_number.as_deref(), input.token_code.as_deref(), cx)?;
    check_contexts(&input)?;
    let wish_conditions = conditions(&input);
    let root = matches!(cx.caller.kind, CallerKind::Root | CallerKind::Known(CredentialKind::Root));
    if root && cx.evaluates_policies() {
        return Err(Error::AccessDenied("Roles may not be assumed by root accounts.".to_owned()));
    }
    let chain = Chain::of(sts, cx).await?;
    let source_identity = chain.source_identity(cx, input.source_identity, &role)?;
    let policies = SessionPolicies::checked(input.policy, input.policy_arns)?;
    let tags = SessionTags::checked(input.tags, input.transitive_tag_keys, chain.inherited_tags)?;
    let wish = Wish { action: ACTION, role: &role, principal: principal_of_caller(cx), conditions: wish_conditions };
    let assumable = sts.admit(cx, &wish).await?;
    let duration = role_duration(input.duration_seconds, assumable.max_duration, chain.chained)?;
    let mut context = Vec::new();
    context.extend(source_identity.clone().map(|identity| (SOURCE_IDENTITY.to_owned(), identity)));
    let mfa = input.serial_number.is_some();
    context.push(("aws:MultiFactorAuthPresent".to_owned(), mfa.to_string()));
    let principal_id = format!("{}:{}", assumable.role_id, input.role_session_name);
    let principal = role.session_arn(&input.role_session_name);
    let grant = Grant {
        kind: CredentialKind::AssumedRole,
        account: role.account.clone(),
        principal: principal.clone(),
        principal_id: principal_id.clone(),
        issuer: Some(role.arn),
        duration,
        policies,
        tags,
        context,
        minimum_token_size: input.minimum_session_token_size,
    };
    let Issued { credentials, packed_policy_size, token_size, token_utilization } = sts.issue(cx, grant).await?;
    Ok(AssumeRoleOutput {
        credentials: Some(credentials),
        assumed_role_user: Some(AssumedRoleUser { assumed_role_id: principal_id, arn: principal.to_string() }),
        packed_policy_size,
        source_identity,
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}

/// A serial number and a code belong together. Devices are IAM's; where policies are evaluated and IAM knows none, no
/// code is right.
pub fn check_mfa(serial_number: Option<&str>, code: Option<&str>, cx: &Context) -> Result<()> {
    match (serial_number, code) {
        (None, None) => Ok(()),
        (Some(_), Some(code)) if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Error::constraint(code, "tokenCode", "Member must satisfy regular expression pattern: [\\d]*"))
        }
        (Some(_), Some(_)) if cx.evaluates_policies() => Err(Error::AccessDenied(
            "MultiFactorAuthentication failed with invalid MFA one time pass code. ".to_owned(),
        )),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(Error::AccessDenied(
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ".to_owned(),
        )),
    }
}

/// Context assertions are signed and encrypted by STS itself for trusted services, so none can have been made here.
fn check_contexts(input: &AssumeRoleInput) -> Result<()> {
    match input.provided_contexts.as_deref() {
        None | Some([]) => Ok(()),
        Some([..]) => {
            Err(Error::InvalidParameterValue("ProvidedContexts contains an invalid context assertion.".into()))
        }
    }
}

/// What a role session hands on to the next.
#[derive(Debug, Default)]
struct Chain {
    chained: bool,
    source_identity: Option<String>,
    inherited_tags: Vec<(String, String)>,
}

impl Chain {
    async fn of(sts: &Sts, cx: &Context) -> Result<Self> {
        let Some(credential) = cx.caller.credential.as_deref() else { return Ok(Chain::default()) };
        if credential.session_token.is_none() {
            return Ok(Chain::default());
        }
        let session = sts.find_session(&cx.world.lane, &credential.access_key_id).await?;
        let transitive = session.map(|session| session.transitive_tag_keys).unwrap_or_default();
        let Credential { session_tags, session_context, kind, .. } = credential;
        let is_transitive = |(key, _): &&(String, String)| transitive.iter().any(|known| same_key(known, key));
        Ok(Chain {
            chained: *kind == CredentialKind::AssumedRole,
            source_identity: session_context
                .iter()
                .find(|(key, _)| key == SOURCE_IDENTITY)
                .map(|(_, value)| value.clone()),
            inherited_tags: session_tags.iter().filter(is_transitive).cloned().collect(),
        })
    }

    /// Once set, it stays as it is.
    fn source_identity(&self, cx: &Context, asked: Option<String>, role: &RoleArn) -> Result<Option<String>> {
        if let Some(asked) = &asked {
            check_session_name(asked, "sourceIdentity")?;
        }
        match (&self.source_identity, asked) {
            (Some(inherited), Some(asked)) if *inherited != asked => {
                Err(Error::not_authorized(cx, "sts:SetSourceIdentity", &role.arn.to_string()))
            }
            (Some(inherited), _) => Ok(Some(inherited.clone())),
            (None, asked) => Ok(asked),
        }
    }
}
