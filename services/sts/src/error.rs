//! The conditions STS can meet, and their one mapping to AWS's errors.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>, and for SAML
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html>

use fractus_host::Context;
use fractus_policy::MalformedPolicy;
use fractus_store::StoreError;
use fractus_sts_api as api;
use fractus_wire::Failure;

/// Why STS refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("{0}")]
    AccessDenied(String),
    #[error("{0}")]
    MalformedPolicyDocument(#[from] MalformedPolicy),
    #[error("Packed policy consumes {percent}% of allotted space, please use smaller policy.")]
    PackedPolicyTooLarge { percent: u32 },
    #[error("{0}")]
    ExpiredToken(String),
    #[error("{0}")]
    InvalidIdentityToken(String),
    #[error("{0}")]
    IdpRejectedClaim(String),
    #[error("{0}")]
    IdpCommunication(String),
    #[error("The message is not valid: {0}")]
    InvalidAuthorizationMessage(String),
    #[error("{0}")]
    ExpiredTradeInToken(String),
    #[error("Outbound web identity federation is disabled for this account.")]
    OutboundWebIdentityFederationDisabled,
    #[error("The requested token payload size exceeds the maximum allowed size.")]
    JwtPayloadSizeExceeded,
    #[error("The requested token duration would extend the session beyond its original expiration time.")]
    SessionDurationEscalation,
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Internal(String),
}

/// Everything in this crate fails with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A constraint that the model does not have, in the words of those that it has.
    pub fn constraint(value: impl std::fmt::Display, member: &str, constraint: &str) -> Self {
        Error::Validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    /// `User: ... is not authorized to perform: sts:AssumeRole on resource: ...`.
    pub fn not_authorized(cx: &Context, action: &str, resource: &str) -> Self {
        let caller = &cx.caller.arn;
        Error::AccessDenied(format!("User: {caller} is not authorized to perform: {action} on resource: {resource}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.to_string();
        match error {
            Error::Validation(_) => Failure::new("ValidationError", 400, message),
            Error::InvalidParameterValue(_) => Failure::new("InvalidParameterValue", 400, message),
            Error::AccessDenied(_) => Failure::new("AccessDenied", 403, message),
            Error::MalformedPolicyDocument(_) => api::MalformedPolicyDocumentException::new(message).into(),
            Error::PackedPolicyTooLarge { .. } => api::PackedPolicyTooLargeException::new(message).into(),
            Error::ExpiredToken(_) => api::ExpiredTokenException::new(message).into(),
            Error::InvalidIdentityToken(_) => api::InvalidIdentityTokenException::new(message).into(),
            Error::IdpRejectedClaim(_) => api::IDPRejectedClaimException::new(message).into(),
            Error::IdpCommunication(_) => api::IDPCommunicationErrorException::new(message).into(),
            Error::InvalidAuthorizationMessage(_) => api::InvalidAuthorizationMessageException::new(message).into(),
            Error::ExpiredTradeInToken(_) => api::ExpiredTradeInTokenException::new(message).into(),
            Error::OutboundWebIdentityFederationDisabled => {
                api::OutboundWebIdentityFederationDisabledException::new(message).into()
            }
            Error::JwtPayloadSizeExceeded => api::JWTPayloadSizeExceededException::new(message).into(),
            Error::SessionDurationEscalation => api::SessionDurationEscalationException::new(message).into(),
            Error::Store(source) => {
                tracing::error!(error = &source as &dyn std::error::Error, "the store failed");
                Failure::internal(source.told(INTERNAL))
            }
            Error::Internal(why) => {
                tracing::error!(why, "STS failed");
                Failure::internal(INTERNAL)
            }
        }
    }
}

const INTERNAL: &str = "The request processing has failed because of an unknown error, exception or failure.";
