//! AssumeRoleWithSAML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_aws::{AccountId, Arn};
use fractus_bus::contracts::CredentialKind;
use fractus_host::Context;
use fractus_policy::Principal;
use fractus_sts_api::{AssumeRoleWithSAMLInput, AssumeRoleWithSAMLOutput, AssumedRoleUser, Tag};
use sha1::{Digest, Sha1};

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::names::{RoleArn, is_session_name};
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::model::tokens::role_duration;
use crate::operations::assume_role::SOURCE_IDENTITY;
use crate::roles::Wish;
use crate::saml::provider::SamlProvider;
use crate::saml::response::{self, SamlAssertion};
use crate::service::Sts;

const ACTION: &str = "sts:AssumeRoleWithSAML";
const ROLE: &str = "https://aws.amazon.com/SAML/Attributes/Role";
const ROLE_SESSION_NAME: &str = "https://aws.amazon.com/SAML/Attributes/RoleSessionName";
const SOURCE_IDENTITY_ATTRIBUTE: &str = "https://aws.amazon.com/SAML/Attributes/SourceIdentity";
const PRINCIPAL_TAG: &str = "https://aws.amazon.com/SAML/Attributes/PrincipalTag:";
const TRANSITIVE_TAG_KEYS: &str = "https://aws.amazon.com/SAML/Attributes/TransitiveTagKeys";

const MAX_METADATA_BYTES: u64 = 10_000_000;

fn invalid(message: &str) -> Error {
    Error::InvalidIdentityToken(message.to_owned())
}

pub async fn assume(sts: &Sts, cx: &Context, input: AssumeRoleWithSAMLInput) -> Result<AssumeRoleWithSAMLOutput> {
    let role = RoleArn::parse(&input.role_arn)?;
    let provider_arn = provider_arn(&input.principal_arn)?;
    let policies = SessionPolicies::checked(input.policy, input.policy_arns)?;
    let response = decode(&input.saml_assertion)?;
    let provider = find_provider(sts, &provider_arn).await?;
    let assertion = response::read(&response, &provider, cx.now())?;
    check_role(&assertion, &role, &provider_arn)?;
    let session_name = session_name(&assertion)?;
    let source_identity = source_identity(&assertion)?;
    let name_qualifier = name_qualifier(&assertion.issuer, &provider_arn);
    let (tags, transitive) = tags(&assertion)?;
    let wish = Wish {
        action: ACTION,
        role: &role,
        principal: Principal::federated(provider_arn.to_string()),
        conditions: conditions(&assertion, &name_qualifier, session_name, tags.as_deref()),
    };
    let assumable = sts.admit(cx, &wish).await?;
    let tags = SessionTags::checked(tags, transitive, Vec::new())?;
    let mut duration = role_duration(input.duration_seconds, assumable.max_duration, false)?;
    if let Some(ends) = assertion.session_not_on_or_after {
        // Whichever is shorter.
        duration = duration.min(ends.since(cx.now()));
    }
    let principal = role.session_arn(session_name);
    let principal_id = format!("{}:{session_name}", assumable.role_id);
    let mut context = vec![("aws:FederatedProvider".to_owned(), provider_arn.to_string())];
    context.extend(saml_keys(&assertion, &name_qualifier));
    context.extend(source_identity.clone().map(|identity| (SOURCE_IDENTITY.to_owned(), identity)));
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
    Ok(AssumeRoleWithSAMLOutput {
        credentials: Some(credentials),
        assumed_role_user: Some(AssumedRoleUser { assumed_role_id: principal_id, arn: principal.to_string() }),
        packed_policy_size,
        subject: Some(assertion.subject),
        subject_type: Some(assertion.subject_type),
        issuer: Some(assertion.issuer),
        audience: Some(assertion.recipient),
        name_qualifier: Some(name_qualifier),
        source_identity,
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}

/// `arn:aws:iam::123456789012:saml-provider/name`.
fn provider_arn(text: &str) -> Result<Arn> {
    let arn: Option<Arn> = text.parse().ok();
    arn.filter(|arn| arn.service == "iam" && arn.resource.starts_with("saml-provider/"))
        .filter(|arn| AccountId::new(&arn.account).is_ok())
        .ok_or_else(|| Error::Validation(format!("{text} is invalid")))
}

fn decode(text: &str) -> Result<String> {
    let packed: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(packed).map_err(|_| invalid("Invalid base64 SAMLResponse"))?;
    String::from_utf8(bytes).map_err(|_| invalid("Invalid base64 SAMLResponse"))
}

async fn find_provider(sts: &Sts, arn: &Arn) -> Result<SamlProvider> {
    let path =
        sts.config.saml_providers.get(&arn.to_string()).ok_or_else(|| invalid("Specified provider doesn't exist."))?;
    let unusable = |why: String| Error::Internal(format!("the metadata of {arn}, {path}: {why}"));
    let size = tokio::fs::metadata(path).await.map_err(|error| unusable(error.to_string()))?.len();
    if size > MAX_METADATA_BYTES {
        return Err(unusable(format!("it has {size} bytes")));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unusable(error.to_string()))?;
    SamlProvider::parse(&text).ok_or_else(|| unusable("it holds no certificate".to_owned()))
}

/// The assertion must name this role together with this provider, in either order.
fn check_role(assertion: &SamlAssertion, role: &RoleArn, provider: &Arn) -> Result<()> {
    let (role, provider) = (role.arn.to_string(), provider.to_string());
    let names_both = |value: &String| {
        value.split_once(',').is_some_and(|(one, other)| {
            let (one, other) = (one.trim(), other.trim());
            (one == role && other == provider) || (one == provider && other == role)
        })
    };
    if assertion.values(ROLE).iter().any(names_both) {
        Ok(())
    } else {
        Err(Error::AccessDenied(format!("Not authorized to perform {ACTION}")))
    }
}

fn session_name(assertion: &SamlAssertion) -> Result<&str> {
    let name = assertion.first(ROLE_SESSION_NAME).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("RoleSessionName is required in AuthnResponse"))?;
    if is_session_name(name) {
        Ok(name)
    } else {
        Err(invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"))
    }
}

fn source_identity(assertion: &SamlAssertion) -> Result<Option<String>> {
    match assertion.first(SOURCE_IDENTITY_ATTRIBUTE) {
        None => Ok(None),
        Some(identity) if is_session_name(identity) && !identity.starts_with("aws:") => Ok(Some(identity.to_owned())),
        Some(_) => Err(invalid("Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with \"aws:\"")),
    }
}

/// `BASE64(SHA1(issuer + account + "/" + name of the provider))`.
fn name_qualifier(issuer: &str, provider: &Arn) -> String {
    let name = provider.resource.rsplit('/').next().unwrap_or_default();
    STANDARD.encode(Sha1::digest(format!("{issuer}{}/{name}", provider.account)))
}

type Tags = (Option<Vec<Tag>>, Option<Vec<String>>);

fn tags(assertion: &SamlAssertion) -> Result<Tags> {
    let mut tags = Vec::new();
    for (key, values) in assertion.starting_with(PRINCIPAL_TAG) {
        match values {
            [value] => tags.push(Tag { key: key.to_owned(), value: value.clone() }),
            _ => return Err(invalid(&format!("The session tag {key} must have exactly one value"))),
        }
    }
    let transitive = assertion.values(TRANSITIVE_TAG_KEYS);
    Ok((Some(tags).filter(|tags| !tags.is_empty()), Some(transitive.to_vec()).filter(|keys| !keys.is_empty())))
}

/// The condition keys that a session keeps:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-saml>.
fn saml_keys(assertion: &SamlAssertion, name_qualifier: &str) -> Vec<(String, String)> {
    vec![
        ("saml:sub".to_owned(), assertion.subject.clone()),
        ("saml:sub_type".to_owned(), assertion.subject_type.clone()),
        ("saml:namequalifier".to_owned(), name_qualifier.to_owned()),
        ("saml:iss".to_owned(), assertion.issuer.clone()),
    ]
}

fn conditions(
    assertion: &SamlAssertion,
    name_qualifier: &str,
    session_name: &str,
    tags: Option<&[Tag]>,
) -> Vec<(String, Vec<String>)> {
    let keys = saml_keys(assertion, name_qualifier).into_iter().map(|(key, value)| (key, vec![value]));
    let mut conditions: Vec<(String, Vec<String>)> = keys.collect();
    conditions.push(("saml:aud".to_owned(), vec![assertion.recipient.clone()]));
    conditions.push(("sts:RoleSessionName".to_owned(), vec![session_name.to_owned()]));
    for tag in tags.unwrap_or_default() {
        conditions.push((format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()]));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's own example, of the API reference.
    #[test]
    fn a_name_qualifier_is_a_hash_of_issuer_account_and_provider() {
        let provider = provider_arn("arn:aws:iam::123456789012:saml-provider/MySAMLIdP").unwrap();
        let expected = STANDARD.encode(Sha1::digest("https://example.com/saml123456789012/MySAMLIdP"));
        assert_eq!(name_qualifier("https://example.com/saml", &provider), expected);
    }
}
