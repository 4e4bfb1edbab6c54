//! Verifying who signed.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU16;

use bytes::Bytes;

use fractus_aws::Region;
use fractus_clock::{Clock, Timestamp};
use fractus_sigv4::post_policy::{Fields, PostSignature};
use fractus_sigv4::{
    Body, ChunkError, ChunkSeed, Expectation, KeyCache, Payload, Place, RequestSignature, RequestView, SignatureError,
};
use fractus_wire::{Failure, Protocol};

use crate::config::AuthMode;
use crate::context::Context;
use crate::identity;

static SIGNING_KEYS: LazyLock<KeyCache> = LazyLock::new(|| KeyCache::with_capacity(256));

/// What is known of a body when its signature is verified.
pub(crate) enum KnownBody<'a> {
    Whole(&'a Bytes),
    /// It flows, and is verified as it does.
    Flowing,
}

/// What is left to do with a flowing body.
#[derive(Debug, Default)]
pub(crate) struct BodyChecks {
    /// What the chunks' signatures build upon; none: they are not verified.
    pub chunks: Option<ChunkSeed>,
    pub sha256: Option<[u8; 32]>,
}

/// Verifies as much as `auth` asks for. `off` trusts headers, but a presigned URL of a known key must be right, and no
/// credential or URL outlives its expiry.
pub(crate) fn verify(cx: &Context, body: &KnownBody<'_>) -> Result<BodyChecks, Failure> {
    let mode = cx.host.config().auth;
    let known = cx.caller.credential.as_deref();
    // The hot path: an unknown key, and nobody asks for more.
    let query = cx.original_uri().query().unwrap_or_default();
    let may_be_presigned = query.contains("X-Amz-Signature") || query.contains("AWSAccessKeyId");
    if mode == AuthMode::Off && known.is_none() && !may_be_presigned {
        return Ok(BodyChecks::default());
    }
    let outcome = verify_signature(cx, mode, may_be_presigned, body);
    match outcome {
        Ok(checks) => Ok(checks),
        Err(error) if mode != AuthMode::Off && cx.host.config().auth_soft => {
            tracing::warn!(request_id = %cx.request_id, caller = %cx.caller.arn, %error, "would be refused");
            Ok(BodyChecks::default())
        }
        Err(error) => Err(failure(cx, &error)),
    }
}

fn verify_signature(
    cx: &Context,
    mode: AuthMode,
    may_be_presigned: bool,
    body: &KnownBody<'_>,
) -> Result<BodyChecks, SignatureError> {
    let view = view(cx);
    let signature = match RequestSignature::parse(&view) {
        Ok(signature) => signature,
        // Whether an anonymous request is served is for policies to say, and for operations that need no signature.
        Err(SignatureError::MissingToken) if mode == AuthMode::Off || may_be_anonymous(cx) => {
            return Ok(BodyChecks::default());
        }
        Err(_) if mode == AuthMode::Off && !may_be_presigned => return Ok(BodyChecks::default()),
        Err(error) => return Err(error),
    };
    let presigned = signature.credential.place == Place::Query;
    let now = now_of_the_signer(&cx.identity.clock, signature.signed_at);
    check_lifetime(cx, signature.token.as_deref(), mode)?;
    let Some(credential) = cx.caller.credential.as_deref().filter(|credential| credential.active) else {
        if mode != AuthMode::Off {
            return Err(SignatureError::UnknownAccessKey { access_key: cx.caller.access_key_id.clone() });
        }
        return check_expiry(&signature, now).map(|()| BodyChecks::default());
    };
    if mode == AuthMode::Off && !presigned {
        return Ok(BodyChecks::default());
    }
    let names: Vec<&str> = signing_names(cx);
    let expected = Expectation::new(&names, now);
    let body = match body {
        KnownBody::Whole(bytes) => Body::Bytes(bytes),
        KnownBody::Flowing => Body::Unread,
    };
    let verified = signature.verify(&view, body, &credential.secret_access_key, &expected, &SIGNING_KEYS)?;
    let sha256 = match verified.payload {
        Payload::Sha256(digest) => Some(digest),
        _ => None,
    };
    Ok(BodyChecks { chunks: verified.chunks, sha256 })
}

impl Context {
    /// Verifies who signed a raw request that has no body, as it is done for every operation.
    pub fn verify_without_body(&self) -> Result<(), Failure> {
        verify(self, &KnownBody::Whole(&Bytes::new())).map(drop)
    }

    /// The call as that of who signed the form that came with it: a browser's upload carries its signature in fields, and
    /// what is signed is the policy. Nothing for a form that is not signed.
    ///
    /// As with headers, `off` trusts the form of a key that nobody has issued.
    pub async fn signed_by_form(&self, fields: Fields<'_>) -> Result<Option<Context>, Failure> {
        let config = self.host.config();
        match self.verify_form(fields, config.auth).await {
            Ok(signer) => Ok(signer),
            Err((signer, error)) if config.auth != AuthMode::Off && config.auth_soft => {
                tracing::warn!(request_id = %self.request_id, caller = %self.caller.arn, %error, "would be refused");
                Ok(signer)
            }
            Err((_, error)) => Err(from_answer(error.answer(fractus_sigv4::Dialect::S3))),
        }
    }

    async fn verify_form(
        &self,
        fields: Fields<'_>,
        mode: AuthMode,
    ) -> Result<Option<Context>, (Option<Context>, SignatureError)> {
        let signature = match PostSignature::parse(fields) {
            Ok(signature) => signature,
            Err(SignatureError::MissingToken) => return Ok(None),
            Err(error) => return Err((None, error)),
        };
        let signer = self.called_by(&signature.credential.access_key, signature.credential.region).await;
        let verified = check_lifetime(&signer, signature.token, mode).and_then(|()| {
            match signer.caller.credential.as_deref().filter(|credential| credential.active) {
                Some(credential) => {
                    let names = signing_names(&signer);
                    let expected = Expectation::new(&names, signer.now());
                    signature.verify(&credential.secret_access_key, &expected, &SIGNING_KEYS)
                }
                None if mode == AuthMode::Off => Ok(()),
                None => Err(SignatureError::UnknownAccessKey { access_key: signer.caller.access_key_id.clone() }),
            }
        });
        match verified {
            Ok(()) => Ok(Some(signer)),
            Err(error) => Err((Some(signer), error)),
        }
    }

    /// The same call by the owner of this key, whom the head does not tell.
    async fn called_by(&self, access_key: &str, region: &str) -> Context {
        let caller = identity::of_key(&self.host, &self.world, access_key).await;
        let mut world = self.world.clone();
        world.account = caller.account.clone();
        let region = Region::new(region).unwrap_or_else(|_| self.region.clone());
        Context {
            world,
            region,
            caller,
            request_id: self.request_id.clone(),
            host: self.host.clone(),
            identity: self.identity.clone(),
            head: self.head.clone(),
            marks: self.marks,
            original_uri: self.original_uri.clone(),
            peer: self.peer,
            operation: self.operation,
            cause: self.cause.clone(),
            status: AtomicU16::new(0),
            timing: crate::timing::Timing::start(),
        }
    }
}

/// The head as the caller signed it.
fn view(cx: &Context) -> RequestView<'_> {
    let uri = cx.original_uri();
    RequestView {
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        authority: uri.authority().map(http::uri::Authority::as_str),
        ..RequestView::from(&cx.head)
    }
}

fn signing_names(cx: &Context) -> Vec<&'static str> {
    let mut names = match &cx.operation {
        Some(operation) => vec![operation.api.signing_name],
        None => cx.host.signing_names(),
    };
    if let Some(service) = cx.host.service() {
        names.extend(service.other_signing_names());
    }
    names
}

fn may_be_anonymous(cx: &Context) -> bool {
    match &cx.operation {
        Some(operation) => operation.schema.unsigned || cx.host.service().is_some_and(|s| s.takes_anonymous()),
        None => true,
    }
}

/// A temporary key lives as long as its issuer said, and goes with its token.
fn check_lifetime(cx: &Context, token: Option<&str>, mode: AuthMode) -> Result<(), SignatureError> {
    let Some(credential) = cx.caller.credential.as_deref() else { return Ok(()) };
    let is_given = token.is_some();
    let token = token.unwrap_or_default();
    if credential.expiration.is_some_and(|expiration| expiration <= cx.now()) {
        return Err(SignatureError::ExpiredToken { token: token.to_owned() });
    }
    match &credential.session_token {
        // Without its token the key alone is nobody's.
        Some(_) if mode != AuthMode::Off && !is_given => {
            Err(SignatureError::UnknownAccessKey { access_key: cx.caller.access_key_id.clone() })
        }
        Some(expected) if mode != AuthMode::Off && expected != token => {
            Err(SignatureError::InvalidToken { token: token.to_owned() })
        }
        _ => Ok(()),
    }
}

/// An unknown key's URL can only be too old or too young.
fn check_expiry(signature: &RequestSignature<'_>, now: Timestamp) -> Result<(), SignatureError> {
    let signed_at = signature.signed_at;
    match signature.expires {
        Some(expires) if now > signed_at.plus(expires) => {
            Err(SignatureError::RequestExpired { expires_at: signed_at.plus(expires), expires, now })
        }
        _ => Ok(()),
    }
}

/// The lane's time as it passes for somebody who signed at `signed_at`.
///
/// Signers follow real time, lanes need not. A URL that was signed before the clock was moved has aged by the move; one
/// that was signed after it has not.
fn now_of_the_signer(clock: &Clock, signed_at: Timestamp) -> Timestamp {
    let settings = clock.settings();
    if settings.is_real() {
        return clock.now();
    }
    // Signatures carry whole seconds, so the second of the move counts as after it.
    let signed_at_in_lane =
        if signed_at >= settings.real_base.to_secs_precision() { settings.at(signed_at) } else { signed_at };
    signed_at.plus(clock.now().since(signed_at_in_lane))
}

/// The words of this protocol for a refused signature.
fn failure(cx: &Context, error: &SignatureError) -> Failure {
    use fractus_sigv4::Dialect;
    let dialect = match cx.operation.map(|operation| operation.protocol) {
        Some(Protocol::AwsQuery | Protocol::Ec2Query) => Dialect::Query,
        Some(Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor) => Dialect::AwsJson,
        Some(Protocol::RestJson1) => Dialect::RestJson,
        Some(Protocol::RestXml) if cx.host.signing_names().contains(&"s3") => Dialect::S3,
        Some(Protocol::RestXml) => Dialect::Query,
        None => Dialect::S3,
    };
    from_answer(error.answer(dialect))
}

fn from_answer(answer: fractus_sigv4::Answer) -> Failure {
    let mut failure = Failure::new(answer.code, answer.status, answer.message);
    failure.details = answer.details;
    failure
}

pub(crate) fn chunk_failure(error: &ChunkError) -> Failure {
    from_answer(error.answer())
}

pub(crate) fn payload_hash_failure(declared: &[u8; 32], computed: &[u8; 32]) -> Failure {
    let error =
        SignatureError::PayloadHashMismatch { declared: hex::encode(declared), computed: hex::encode(computed) };
    // Only payloads of S3's dialect flow with a hash.
    from_answer(error.answer(fractus_sigv4::Dialect::S3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moved_clock_ages_what_was_signed_before_the_move_only() {
        let clock = Clock::real();
        let before = clock.now().minus(Duration::from_secs(60));
        clock.advance(Duration::from_secs(3_600));
        let after = Clock::real().now();
        let age = |signed_at| now_of_the_signer(&clock, signed_at).since(signed_at).as_secs();
        assert!((3_660..3_670).contains(&age(before)), "{}", age(before));
        assert!(age(after) < 10, "{}", age(after));
    }
}
