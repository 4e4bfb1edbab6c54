//! GetWebIdentityToken: who the caller is, as a JSON Web Token for services outside.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html>

use fractus_bus::contracts::CredentialKind;
use fractus_host::{CallerKind, Context};
use fractus_sts_api::{GetWebIdentityTokenInput, GetWebIdentityTokenOutput};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::issuer::{self, Algorithm, issuer_url};
use crate::model::jwt::{compact, signing_input};
use crate::model::tags::SessionTags;
use crate::model::tokens::DurationRule;
use crate::service::Sts;

/// The claim that holds what AWS adds.
const NAMESPACE: &str = "https://sts.amazonaws.com/";
/// The longest payload; AWS names no number, and a token of this size still fits into a header.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
const MAX_AUDIENCES: usize = 10;

pub async fn get(sts: &Sts, cx: &Context, input: GetWebIdentityTokenInput) -> Result<GetWebIdentityTokenOutput> {
    if !sts.config.outbound_web_identity {
        return Err(Error::OutboundWebIdentityFederationDisabled);
    }
    let algorithm = Algorithm::parse(&input.signing_algorithm).ok_or_else(|| {
        let constraint = "Member must satisfy enum value set: [RS256, ES384]";
        Error::constraint(&input.signing_algorithm, "signingAlgorithm", constraint)
    })?;
    if !(1..=MAX_AUDIENCES).contains(&input.audience.len()) {
        let constraint = "Member must have length between 1 and 10";
        return Err(Error::constraint(format!("{} audiences", input.audience.len()), "audience", constraint));
    }
    let duration = DurationRule::WEB_IDENTITY_TOKEN.apply(input.duration_seconds)?;
    let issued_at = cx.now().to_secs_precision();
    let expiration = issued_at.plus(duration);
    let session_ends = cx.caller.credential.as_deref().and_then(|credential| credential.expiration);
    if session_ends.is_some_and(|ends| expiration > ends) {
        return Err(Error::SessionDurationEscalation);
    }
    let tags = SessionTags::checked(input.tags, None, Vec::new())?;
    let audience = match input.audience.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let claims = json!({
        "iss": issuer_url(cx),
        "aud": audience,
        "sub": subject(cx),
        "iat": issued_at.secs(),
        "exp": expiration.secs(),
        "jti": cx.random().uuid(),
        NAMESPACE: own_claims(cx, &tags),
    });
    if claims.to_string().len() > MAX_PAYLOAD_BYTES {
        return Err(Error::JwtPayloadSizeExceeded);
    }
    let key = sts.signing_key(cx, algorithm).await?;
    let header = json!({ "alg": algorithm.name(), "kid": key.key_id, "typ": "JWT" });
    let input = signing_input(&header, &claims);
    let signature = issuer::sign(algorithm, &key, input.as_bytes())?;
    Ok(GetWebIdentityTokenOutput {
        web_identity_token: Some(compact(&input, &signature)),
        expiration: Some(expiration),
    })
}

/// The identity itself: of a role's session, the role.
fn subject(cx: &Context) -> String {
    let credential = cx.caller.credential.as_deref();
    match (cx.caller.kind, credential.and_then(|credential| credential.role.as_ref())) {
        (CallerKind::Known(CredentialKind::AssumedRole), Some(role)) => role.to_string(),
        _ => cx.caller.arn.clone(),
    }
}

fn own_claims(cx: &Context, tags: &SessionTags) -> Value {
    let object = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
    };
    let mut claims = json!({
        "aws_account": cx.caller.account.as_str(),
        "source_region": cx.region.as_str(),
        "principal_id": cx.caller.arn,
    });
    let session_tags = cx.caller.credential.as_deref().map_or(&[][..], |credential| &credential.session_tags);
    if !session_tags.is_empty() {
        claims["principal_tags"] = object(session_tags).into();
    }
    if !tags.passed.is_empty() {
        claims["request_tags"] = object(&tags.passed).into();
    }
    claims
}
