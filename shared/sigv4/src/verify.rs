//! Verifying a signature that [`RequestSignature::parse`] has read.

use std::borrow::Cow;
use std::time::Duration;

use fractus_clock::Timestamp;

use crate::canonical::{PathStyle, Reading, RequestView, canonical_request, header_names};
use crate::chunk_key::{ChunkKey, ChunkSeed};
use crate::credential::{Place, Scheme, query_value};
use crate::crypto::{EMPTY_SHA256, same, sha256, sha256_hex};
use crate::error::{Mismatch, SignatureError};
use crate::key::KeyCache;
use crate::payload::{Body, ChunkSigning, Payload};
use crate::signature::RequestSignature;
use crate::{sigv2, sigv4a};

/// How far a request's time may be from the service's.
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// What the endpoint demands of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The signing names that are accepted; messages name the first.
    pub services: &'a [&'a str],
    /// The endpoint's region; `None` accepts any.
    pub region: Option<&'a str>,
    pub now: Timestamp,
    /// Mostly [`MAX_SKEW`].
    pub skew: Duration,
    /// The bucket that the host names, where it does: SigV2 signs it as part of the path.
    pub host_bucket: Option<&'a str>,
}

impl<'a> Expectation<'a> {
    /// Any region, AWS's skew.
    pub fn new(services: &'a [&'a str], now: Timestamp) -> Self {
        Expectation { services, region: None, now, skew: MAX_SKEW, host_bucket: None }
    }

    /// The same for one region.
    #[must_use]
    pub fn in_region(self, region: &'a str) -> Self {
        Expectation { region: Some(region), ..self }
    }
}

/// A signature that holds.
#[derive(Clone, Debug)]
pub struct Verified {
    pub signed_at: Timestamp,
    /// What is still to be done with the body: compare its hash, decode its chunks, or nothing.
    pub payload: Payload,
    /// What the first chunk's signature builds upon; only there if the chunks are signed.
    pub chunks: Option<ChunkSeed>,
}

impl RequestSignature<'_> {
    /// Verifies against the secret of [`Self::access_key`], which the caller has looked up. Whether the session token
    /// belongs to that key is the caller's to say.
    pub fn verify(
        &self,
        request: &RequestView<'_>,
        body: Body<'_>,
        secret: &str,
        expected: &Expectation<'_>,
        keys: &KeyCache,
    ) -> Result<Verified, SignatureError> {
        if self.credential.scheme == Scheme::V2 {
            return sigv2::verify(self, request, secret, expected);
        }
        self.check_scope(expected)?;
        self.check_time(expected)?;
        let style = PathStyle::of(self.credential.service);
        self.check_headers(request, style)?;
        let (payload, payload_text) = self.payload(request, body, style)?;
        let check = Check { signature: self, request, style, payload_text: &payload_text, secret, keys };
        check.run()?;
        let chunks = match payload {
            Payload::Streaming { signing: ChunkSigning::Hmac | ChunkSigning::Ecdsa, .. } => Some(check.chunk_seed()),
            _ => None,
        };
        Ok(Verified { signed_at: self.signed_at, payload, chunks })
    }

    fn check_scope(&self, expected: &Expectation<'_>) -> Result<(), SignatureError> {
        let scope = &self.credential;
        let place = scope.place;
        let given = str::to_owned;
        if scope.terminator != "aws4_request" {
            return Err(SignatureError::WrongTerminator { place, given: given(scope.terminator) });
        }
        if scope.date.len() != 8 || !scope.date.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::InvalidScopeDate { place, given: given(scope.date) });
        }
        if self.date.get(..8) != Some(scope.date) {
            let request_date = self.date.to_string();
            return Err(SignatureError::ScopeDateMismatch { place, scope_date: given(scope.date), request_date });
        }
        if let Some(region) = expected.region
            && !self.covers(region)
        {
            let named =
                if scope.scheme == Scheme::V4a { self.region_set.as_deref().unwrap_or("") } else { scope.region };
            return Err(SignatureError::WrongRegion { place, given: given(named), expected: given(region) });
        }
        if !expected.services.contains(&scope.service) {
            let expected = expected.services.first().copied().unwrap_or_default();
            return Err(SignatureError::WrongService { place, given: given(scope.service), expected: given(expected) });
        }
        Ok(())
    }

    fn covers(&self, region: &str) -> bool {
        match self.credential.scheme {
            Scheme::V4a => self
                .region_set
                .as_deref()
                .is_some_and(|set| set.split(',').any(|pattern| sigv4a::region_matches(pattern.trim(), region))),
            _ => self.credential.region == region,
        }
    }

    pub(crate) fn check_time(&self, expected: &Expectation<'_>) -> Result<(), SignatureError> {
        let (signed_at, now, skew) = (self.signed_at, expected.now, expected.skew);
        match self.expires {
            Some(_) if signed_at.since(now) > skew => Err(SignatureError::NotYetValid { signed_at, now, skew }),
            Some(expires) if now > signed_at.plus(expires) => {
                Err(SignatureError::RequestExpired { expires_at: signed_at.plus(expires), expires, now })
            }
            None if signed_at.since(now) > skew || now.since(signed_at) > skew => {
                Err(SignatureError::RequestTimeTooSkewed { signed_at, now, skew })
            }
            _ => Ok(()),
        }
    }

    /// The host must be signed; S3 demands the same of every `x-amz-` header.
    fn check_headers(&self, request: &RequestView<'_>, style: PathStyle) -> Result<(), SignatureError> {
        let signed = |name: &str| header_names(&self.signed_headers).any(|signed| signed == name);
        if !signed("host") && !signed(":authority") {
            return Err(SignatureError::HostNotSigned);
        }
        if style == PathStyle::S3 {
            let names = request.headers.keys().map(http::HeaderName::as_str);
            let unsigned: Vec<String> =
                names.filter(|name| name.starts_with("x-amz-") && !signed(name)).map(str::to_owned).collect();
            if !unsigned.is_empty() {
                return Err(SignatureError::HeadersNotSigned(unsigned));
            }
        }
        Ok(())
    }

    /// What the signature says of the body, and the text that stands for it in the canonical request.
    fn payload<'r>(
        &self,
        request: &RequestView<'r>,
        body: Body<'_>,
        style: PathStyle,
    ) -> Result<(Payload, Cow<'r, str>), SignatureError> {
        let presigned = self.credential.place == Place::Query;
        let declared = query_value(request.query, "X-Amz-Content-Sha256")
            .filter(|_| presigned)
            .or_else(|| request.header("x-amz-content-sha256"));
        let Some(declared) = declared else {
            return match (style, presigned) {
                (PathStyle::S3, true) => Ok((Payload::Unsigned, Cow::Borrowed(Payload::UNSIGNED))),
                (PathStyle::S3, false) => Err(SignatureError::MissingPayloadHash),
                (PathStyle::Standard, _) => undeclared(body),
            };
        };
        let payload = Payload::parse(declared)
            .ok_or_else(|| SignatureError::InvalidPayloadHash { given: declared.to_owned() })?;
        if let (Payload::Sha256(digest), Some(computed)) = (payload, digest_of(body))
            && digest != computed
        {
            let (declared, computed) = (declared.to_owned(), hex::encode(computed));
            return Err(SignatureError::PayloadHashMismatch { declared, computed });
        }
        Ok((payload, Cow::Borrowed(declared)))
    }
}

fn digest_of(body: Body<'_>) -> Option<[u8; 32]> {
    match body {
        Body::Bytes(bytes) => Some(sha256(bytes)),
        Body::Digest(digest) => Some(digest),
        Body::Unread => None,
    }
}

fn undeclared<'r>(body: Body<'_>) -> Result<(Payload, Cow<'r, str>), SignatureError> {
    if let Body::Bytes([]) = body {
        let payload = Payload::parse(EMPTY_SHA256).ok_or(SignatureError::MissingPayloadHash)?;
        return Ok((payload, Cow::Borrowed(EMPTY_SHA256)));
    }
    let digest = digest_of(body).ok_or(SignatureError::MissingPayloadHash)?;
    Ok((Payload::Sha256(digest), Cow::Owned(hex::encode(digest))))
}

/// The comparison itself: once for the plain reading of the request, and again only where the request can be read
/// otherwise and the plain reading did not match.
struct Check<'a, 'r> {
    signature: &'a RequestSignature<'a>,
    request: &'a RequestView<'r>,
    style: PathStyle,
    payload_text: &'a str,
    secret: &'a str,
    keys: &'a KeyCache,
}

impl Check<'_, '_> {
    fn run(&self) -> Result<(), SignatureError> {
        if self.matches(Reading::PLAIN) {
            return Ok(());
        }
        let readings = Reading::all(self.request, self.style);
        if readings.into_iter().skip(1).any(|reading| self.matches(reading)) { Ok(()) } else { Err(self.mismatch()) }
    }

    fn canonical_request(&self, reading: Reading) -> Vec<u8> {
        let signed_headers = &self.signature.signed_headers;
        canonical_request(self.request, self.style, reading, signed_headers, self.payload_text)
    }

    fn string_to_sign(&self, canonical_request: &[u8]) -> String {
        let RequestSignature { credential, date, .. } = self.signature;
        string_to_sign(credential.scheme, date, &credential.scope_text(), canonical_request)
    }

    fn matches(&self, reading: Reading) -> bool {
        let RequestSignature { credential, signature, .. } = self.signature;
        let string_to_sign = self.string_to_sign(&self.canonical_request(reading));
        match credential.scheme {
            Scheme::V4a => self
                .keys
                .verifying_key(&credential.access_key, self.secret)
                .is_some_and(|key| sigv4a::verify(&key, string_to_sign.as_bytes(), signature)),
            _ => {
                let key = self.keys.get(self.secret, credential.date, credential.region, credential.service);
                same(&key.sign(string_to_sign.as_bytes()), signature.as_bytes())
            }
        }
    }

    fn mismatch(&self) -> SignatureError {
        let canonical_request = self.canonical_request(Reading::PLAIN);
        SignatureError::SignatureDoesNotMatch(Box::new(Mismatch {
            access_key: self.signature.access_key().to_owned(),
            string_to_sign: self.string_to_sign(&canonical_request),
            canonical_request: String::from_utf8_lossy(&canonical_request).into_owned(),
            signature_provided: self.signature.signature.to_string(),
        }))
    }

    fn chunk_seed(&self) -> ChunkSeed {
        let RequestSignature { credential, signature, date, .. } = self.signature;
        let key = match credential.scheme {
            Scheme::V4a => self.keys.verifying_key(&credential.access_key, self.secret).map(ChunkKey::Verify),
            _ => {
                let key = self.keys.get(self.secret, credential.date, credential.region, credential.service);
                Some(ChunkKey::Hmac(key))
            }
        };
        ChunkSeed::new(key, date, credential.scope_text(), signature)
    }
}

/// The second of SigV4's texts, the one that is signed.
pub(crate) fn string_to_sign(scheme: Scheme, date: &str, scope: &str, canonical_request: &[u8]) -> String {
    [scheme.algorithm(), date, scope, &sha256_hex(canonical_request)].join("\n")
}
