//! What can be wrong with a signature, by condition. [`crate::answer`] has the words AWS has for each.

use std::time::Duration;

use fractus_clock::Timestamp;

use crate::credential::Place;

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the request is not signed")]
    MissingToken,
    #[error("the request is signed in more than one place")]
    SeveralMechanisms,
    #[error("unknown signature algorithm {algorithm:?}")]
    UnsupportedAlgorithm { place: Place, algorithm: String },
    #[error("the Authorization header lacks {missing:?}")]
    IncompleteSignature { missing: Vec<&'static str>, authorization: String },
    #[error("{part:?} in the Authorization header is no key=value pair")]
    NotKeyValue { part: String, authorization: String },
    #[error("the query or form lacks {missing:?}")]
    MissingParameters { place: Place, missing: Vec<&'static str> },
    #[error("malformed credential {credential:?}")]
    MalformedCredential { place: Place, credential: String },
    #[error("the credential scope ends in {given:?}")]
    WrongTerminator { place: Place, given: String },
    #[error("the credential scope names the service {given:?} instead of {expected:?}")]
    WrongService { place: Place, given: String, expected: String },
    #[error("the credential scope names the region {given:?} instead of {expected:?}")]
    WrongRegion { place: Place, given: String, expected: String },
    #[error("the credential scope's date {given:?} is no YYYYMMDD")]
    InvalidScopeDate { place: Place, given: String },
    #[error("the credential scope's date {scope_date} is not that of {request_date}")]
    ScopeDateMismatch { place: Place, scope_date: String, request_date: String },
    #[error("the request has no date")]
    MissingDate,
    #[error("{given:?} is no date of a signature")]
    InvalidDate { place: Place, given: String },
    #[error("{given:?} is no time in seconds")]
    ExpiresNotATime { given: String },
    #[error("the expiry is no number")]
    ExpiresNotANumber,
    #[error("the expiry is negative")]
    ExpiresNegative,
    #[error("the expiry is longer than a week")]
    ExpiresTooLong,
    #[error("the request was made at {signed_at}, now is {now}")]
    RequestTimeTooSkewed { signed_at: Timestamp, now: Timestamp, skew: Duration },
    #[error("the presigned request expired at {expires_at}, now is {now}")]
    RequestExpired { expires_at: Timestamp, expires: Duration, now: Timestamp },
    #[error("the presigned request is valid from {signed_at}, now is {now}")]
    NotYetValid { signed_at: Timestamp, now: Timestamp, skew: Duration },
    #[error("host is not among the signed headers")]
    HostNotSigned,
    #[error("headers that must be signed are not: {0:?}")]
    HeadersNotSigned(Vec<String>),
    #[error("the request has no x-amz-content-sha256 header")]
    MissingPayloadHash,
    #[error("x-amz-content-sha256 has the value {given:?}")]
    InvalidPayloadHash { given: String },
    #[error("the body's hash is {computed}, not {declared}")]
    PayloadHashMismatch { declared: String, computed: String },
    #[error("the signature does not match")]
    SignatureDoesNotMatch(Box<Mismatch>),
    #[error("unknown access key {access_key:?}")]
    UnknownAccessKey { access_key: String },
    #[error("the session token is not that of the access key")]
    InvalidToken { token: String },
    #[error("the session token has expired")]
    ExpiredToken { token: String },
}

/// What was compared, for the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    pub access_key: String,
    /// Empty where a scheme has none (SigV2, form uploads).
    pub canonical_request: String,
    pub string_to_sign: String,
    pub signature_provided: String,
}
