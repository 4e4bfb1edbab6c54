//! The conditions the scheduler can meet, and their one mapping to AWS's errors.
//!
//! Where AWS's own words were not at hand, the words here are the project's; those known from AWS are marked in the tests.

use fractus_datakeys::Refusal;
use fractus_scheduler_api as api;
use fractus_schedules::{InvalidDates, InvalidExpression, UnknownTimeZone};
use fractus_store::StoreError;
use fractus_wire::Failure;

/// Why the scheduler refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Expression(#[from] InvalidExpression),
    #[error("{0}")]
    TimeZone(#[from] UnknownTimeZone),
    #[error("{0}")]
    Dates(#[from] InvalidDates),
    #[error("Schedule {0} does not exist.")]
    NoSchedule(String),
    #[error("Schedule group {0} does not exist.")]
    NoGroup(String),
    #[error("Schedule {0} already exists.")]
    ScheduleExists(String),
    #[error("Schedule group {0} already exists.")]
    GroupExists(String),
    #[error("Schedule group {0} is being deleted.")]
    GroupDeleting(String),
    #[error("The client token {0} was used with other parameters.")]
    TokenUsed(String),
    #[error("The number of {what} exceeds the quota of {quota}.")]
    Quota { what: &'static str, quota: u64 },
    /// KMS gives or opens no data key, in its own words.
    #[error("{1}")]
    Kms(Refusal, String),
    /// The role is none, or does not trust the scheduler: AWS's words.
    #[error("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")]
    RoleNotAssumed,
    #[error("Unexpected error encountered while processing the request.")]
    Unanswered,
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Everything in this crate fails with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn validation(message: impl Into<String>) -> Self {
        Error::Validation(message.into())
    }

    pub fn kms(error: fractus_datakeys::Error) -> Self {
        let (refusal, message) = error.into_refusal();
        Error::Kms(refusal, message)
    }

    /// As the API answers it.
    pub fn to_failure(&self) -> Failure {
        let message = self.to_string();
        match self {
            Error::Validation(_) | Error::Expression(_) | Error::TimeZone(_) | Error::Dates(_) => {
                api::ValidationException::new(message).into()
            }
            Error::NoSchedule(_) | Error::NoGroup(_) => api::ResourceNotFoundException::new(message).into(),
            Error::ScheduleExists(_) | Error::GroupExists(_) | Error::GroupDeleting(_) | Error::TokenUsed(_) => {
                api::ConflictException::new(message).into()
            }
            Error::Quota { .. } => api::ServiceQuotaExceededException::new(message).into(),
            Error::RoleNotAssumed => api::ValidationException::new(message).into(),
            Error::Kms(Refusal::AccessDenied, _) => Failure::new("AccessDeniedException", 403, message),
            Error::Kms(Refusal::Throttled, _) => api::ThrottlingException::new(message).into(),
            Error::Kms(Refusal::Unavailable, _) | Error::Unanswered => {
                api::InternalServerException::new(message).into()
            }
            Error::Kms(..) => api::ValidationException::new(message).into(),
            Error::Store(_) => {
                let said = "Unexpected error encountered while processing the request.";
                api::InternalServerException::new(said).into()
            }
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
