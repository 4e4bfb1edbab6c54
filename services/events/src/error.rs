//! The conditions EventBridge can meet, and their one mapping to AWS's errors.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html>

use fractus_datakeys::Refusal;
use fractus_events_api as api;
use fractus_store::StoreError;
use fractus_wire::Failure;

/// Why EventBridge refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    AlreadyExists(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("{0}")]
    InvalidPattern(String),
    #[error("{0}")]
    ManagedRule(String),
    #[error("{0}")]
    IllegalStatus(String),
    #[error("{0}")]
    InvalidState(String),
    #[error("{0}")]
    PolicyLengthExceeded(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    AccessDenied(String),
    /// The change was overtaken by another one.
    #[error("{0}")]
    ConcurrentModification(String),
    /// KMS gives or opens no data key, in its own words.
    #[error("{1}")]
    Kms(Refusal, String),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Error {
    pub fn validation(message: impl Into<String>) -> Self {
        Error::Validation(message.into())
    }

    /// `Parameter X is not valid. Reason: Y`, EventBridge's most common refusal.
    pub fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Error::Validation(format!("Parameter {name} is not valid. Reason: {reason}"))
    }

    pub fn kms(error: fractus_datakeys::Error) -> Self {
        let (refusal, message) = error.into_refusal();
        Error::Kms(refusal, message)
    }

    pub fn no_bus(name: &str) -> Self {
        Error::NotFound(format!("Event bus {name} does not exist."))
    }

    pub fn no_rule(name: &str, bus: &str) -> Self {
        Error::NotFound(format!("Rule {name} does not exist on EventBus {bus}."))
    }

    pub fn limit() -> Self {
        Error::LimitExceeded("The requested resource exceeds the maximum number allowed.".to_owned())
    }

    /// As the API answers it.
    pub fn to_failure(&self) -> Failure {
        let message = self.to_string();
        match self {
            Error::NotFound(_) => api::ResourceNotFoundException::new(message).into(),
            Error::AlreadyExists(_) => api::ResourceAlreadyExistsException::new(message).into(),
            Error::LimitExceeded(_) => api::LimitExceededException::new(message).into(),
            Error::InvalidPattern(_) => api::InvalidEventPatternException::new(message).into(),
            Error::ManagedRule(_) => api::ManagedRuleException::new(message).into(),
            Error::IllegalStatus(_) => api::IllegalStatusException::new(message).into(),
            Error::InvalidState(_) => api::InvalidStateException::new(message).into(),
            Error::PolicyLengthExceeded(_) => api::PolicyLengthExceededException::new(message).into(),
            Error::ConcurrentModification(_) => api::ConcurrentModificationException::new(message).into(),
            Error::Validation(_) => Failure::new("ValidationException", 400, message),
            Error::AccessDenied(_) => Failure::new("AccessDeniedException", 400, message),
            Error::Kms(Refusal::AccessDenied | Refusal::OptInRequired, _) => {
                Failure::new("AccessDeniedException", 400, message)
            }
            Error::Kms(Refusal::NotFound, _) => api::ResourceNotFoundException::new(message).into(),
            Error::Kms(Refusal::Throttled, _) => Failure::new("ThrottlingException", 400, message),
            Error::Kms(Refusal::Unavailable, _) => api::InternalException::new(message).into(),
            Error::Kms(..) => Failure::new("ValidationException", 400, message),
            Error::Store(source) => Failure::internal(source.told("An internal error occurred.")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        if let Error::Store(source) = &error {
            tracing::error!(error = source as &dyn std::error::Error, "the store failed");
        }
        error.to_failure()
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
