//! AssumeRoleWithWebIdentity.

use fractus_aws::Arn;
use fractus_bus::contracts::CredentialKind;
use fractus_host::Context;
use fractus_policy::Principal;
use fractus_sts_api::{AssumeRoleWithWebIdentityInput, AssumeRoleWithWebIdentityOutput, AssumedRoleUser, Tag};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::jwt::Jwt;
use crate::model::names::{RoleArn, check_session_name};
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::model::tokens::role_duration;
use crate::operations::assume_role::SOURCE_IDENTITY;
use crate::providers::{bare_issuer, configured};
use crate::roles::Wish;
use crate::service::Sts;

const ACTION: &str = "sts:AssumeRoleWithWebIdentity";
/// Where a token carries session tags:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp>.
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY_CLAIM: &str = "https://aws.amazon.com/source_identity";
/// Providers that are known by name, without an ARN of the account's own.
const PUBLIC_PROVIDERS: [&str; 2] = ["accounts.google.com", "cognito-identity.amazonaws.com"];

/// What a verified token says.
struct Claims {
    issuer: String,
    subject: String,
    audience: String,
    tags: Option<Vec<Tag>>,
    transitive_tag_keys: Option<Vec<String>>,
    source_identity: Option<String>,
    /// `amr`: how the user proved who they are.
    methods: Vec<String>,
}

pub async fn assume(
    sts: &Sts,
    cx: &Context,
    input: AssumeRoleWithWebIdentityInput,
) -> Result<AssumeRoleWithWebIdentityOutput> {
    let role = RoleArn::parse(&input.role_arn)?;
    check_session_name(&input.role_session_name, "roleSessionName")?;
    let policies = SessionPolicies::checked(input.policy, input.policy_arns)?;
    if input.provider_id.is_some() {
        // Access tokens of OAuth 2.0 can only be verified by the company that issued them.
        return Err(Error::InvalidIdentityToken("The access token could not be verified with its provider".into()));
    }
    let claims = verify(sts, cx, &input.web_identity_token).await?;
    let provider = provider_of(&role, &claims.issuer);
    let wish = Wish {
        action: ACTION,
        role: &role,
        principal: Principal::federated(provider.clone()),
        conditions: conditions(&claims, &input.role_session_name),
    };
    let assumable = sts.admit(cx, &wish).await?;
    let duration = role_duration(input.duration_seconds, assumable.max_duration, false)?;
    let tags = SessionTags::checked(claims.tags, claims.transitive_tag_keys, Vec::new())?;
    let principal = role.session_arn(&input.role_session_name);
    let principal_id = format!("{}:{}", assumable.role_id, input.role_session_name);
    let mut context = vec![
        ("aws:FederatedProvider".to_owned(), provider.clone()),
        (format!("{}:aud", bare_issuer(&claims.issuer)), claims.audience.clone()),
        (format!("{}:sub", bare_issuer(&claims.issuer)), claims.subject.clone()),
    ];
    context.extend(claims.source_identity.clone().map(|identity| (SOURCE_IDENTITY.to_owned(), identity)));
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
    Ok(AssumeRoleWithWebIdentityOutput {
        credentials: Some(credentials),
        subject_from_web_identity_token: Some(claims.subject),
        assumed_role_user: Some(AssumedRoleUser { assumed_role_id: principal_id, arn: principal.to_string() }),
        packed_policy_size,
        provider: Some(provider),
        audience: Some(claims.audience),
        source_identity: claims.source_identity,
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}

async fn verify(sts: &Sts, cx: &Context, token: &str) -> Result<Claims> {
    let token = Jwt::parse(token)?;
    let issuer = token.required("iss")?;
    let provider = configured(&sts.config, issuer);
    if provider.is_none() && cx.evaluates_policies() {
        return Err(Error::InvalidIdentityToken(format!(
            "No OpenIDConnect provider found in your account for {issuer}"
        )));
    }
    sts.providers.verify(&sts.config, issuer, &token).await?;
    token.check_times(cx.now())?;
    let subject = token.required("sub")?;
    // For a token of several audiences, the party that it was issued to.
    let audiences = token.audiences();
    let audience = token.text("azp").or(audiences.first().copied());
    let audience = audience.ok_or_else(|| Error::InvalidIdentityToken("Missing a required claim: aud".to_owned()))?;
    let accepted = provider.map_or(&[][..], |provider| &provider.client_ids);
    let is_accepted = |audience: &str| accepted.iter().any(|known| known == audience);
    if !accepted.is_empty() && !is_accepted(audience) && !audiences.iter().any(|audience| is_accepted(audience)) {
        return Err(Error::InvalidIdentityToken("Incorrect token audience".to_owned()));
    }
    let source_identity = token.text(SOURCE_IDENTITY_CLAIM);
    if let Some(identity) = source_identity {
        check_session_name(identity, "sourceIdentity")?;
    }
    let (tags, transitive_tag_keys) = tags_of(&token)?;
    Ok(Claims {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        audience: audience.to_owned(),
        tags,
        transitive_tag_keys,
        source_identity: source_identity.map(str::to_owned),
        methods: texts(token.claims.get("amr")),
    })
}

/// Tags, and the keys of those that are transitive.
type Tags = (Option<Vec<Tag>>, Option<Vec<String>>);

/// `{"principal_tags": {"Project": ["Automation"]}, "transitive_tag_keys": ["Project"]}`.
fn tags_of(token: &Jwt<'_>) -> Result<Tags> {
    let Some(claim) = token.claims.get(TAGS_CLAIM) else { return Ok((None, None)) };
    let Some(written) = claim.get("principal_tags").and_then(Value::as_object) else { return Ok((None, None)) };
    let mut tags = Vec::with_capacity(written.len());
    for (key, values) in written {
        match texts(Some(values)).as_slice() {
            [value] => tags.push(Tag { key: key.clone(), value: value.clone() }),
            _ => {
                let message = format!("The session tag {key} must have exactly one value");
                return Err(Error::InvalidIdentityToken(message));
            }
        }
    }
    Ok((Some(tags), claim.get("transitive_tag_keys").map(|keys| texts(Some(keys)))))
}

/// A text, or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The provider's ARN in the role's account; public providers go by their names.
fn provider_of(role: &RoleArn, issuer: &str) -> String {
    let bare = bare_issuer(issuer);
    if PUBLIC_PROVIDERS.contains(&bare) {
        return bare.to_owned();
    }
    let resource = format!("oidc-provider/{bare}");
    Arn::new(role.partition.as_str(), "iam", "", role.account.as_str(), resource).to_string()
}

fn conditions(claims: &Claims, session_name: &str) -> Vec<(String, Vec<String>)> {
    let issuer = bare_issuer(&claims.issuer);
    let mut conditions = vec![
        ("sts:RoleSessionName".to_owned(), vec![session_name.to_owned()]),
        (format!("{issuer}:aud"), vec![claims.audience.clone()]),
        (format!("{issuer}:sub"), vec![claims.subject.clone()]),
    ];
    if !claims.methods.is_empty() {
        conditions.push((format!("{issuer}:amr"), claims.methods.clone()));
    }
    for tag in claims.tags.iter().flatten() {
        conditions.push((format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()]));
    }
    conditions.extend(claims.source_identity.clone().map(|identity| ("sts:SourceIdentity".to_owned(), vec![identity])));
    conditions
}
