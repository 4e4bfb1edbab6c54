//! The conditions SNS can meet, and their one mapping to AWS's errors.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors> and the pages of the other operations.

use fractus_datakeys::Refusal;
use fractus_sns_api as api;
use fractus_store::StoreError;
use fractus_wire::Failure;

/// Why SNS refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `InvalidParameter`; the message already begins with `Invalid parameter: ` where AWS's does.
    #[error("{0}")]
    InvalidParameter(String),
    /// `ParameterValueInvalid`: message attributes.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// `ValidationException`, which Publish knows beside `InvalidParameter`.
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    ValidationError(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Authorization(String),
    #[error("Resource does not exist")]
    ResourceNotFound,
    #[error("Could not complete request: tag quota of per resource exceeded")]
    TagLimitExceeded,
    #[error("{0}")]
    TopicLimitExceeded(String),
    #[error("{0}")]
    SubscriptionLimitExceeded(String),
    #[error("{0}")]
    FilterPolicyLimitExceeded(String),
    #[error("{0}")]
    ReplayLimitExceeded(String),
    #[error("{0}")]
    InvalidState(String),
    #[error("Endpoint is disabled")]
    EndpointDisabled,
    #[error("Platform application is disabled")]
    PlatformApplicationDisabled,
    #[error("The batch request doesn't contain any entries.")]
    EmptyBatch,
    #[error("The batch request contains more entries than permissible.")]
    TooManyEntries,
    #[error("Two or more batch entries in the request have the same Id.")]
    IdsNotDistinct,
    #[error("The Id of a batch entry in a batch request doesn't abide by the specification.")]
    InvalidBatchId,
    #[error("The length of all the batch messages put together is more than the limit.")]
    BatchTooLong,
    #[error("Phone number is opted out")]
    OptedOut,
    #[error("{0}")]
    UserError(String),
    #[error("{message}")]
    Verification { message: String, status: String },
    /// KMS gives no data key for a topic, in its own words.
    #[error("{1}")]
    Kms(Refusal, String),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Internal(String),
}

/// A store transaction's closure fails with [`Error`]; everything else in the crate does too.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `Invalid parameter: X`.
    pub fn invalid(what: impl std::fmt::Display) -> Self {
        Error::InvalidParameter(format!("Invalid parameter: {what}"))
    }

    /// `Invalid parameter: X Reason: Y`.
    pub fn invalid_because(what: &str, reason: impl std::fmt::Display) -> Self {
        Error::InvalidParameter(format!("Invalid parameter: {what} Reason: {reason}"))
    }

    pub fn topic_not_found() -> Self {
        Error::NotFound("Topic does not exist".to_owned())
    }

    pub fn subscription_not_found() -> Self {
        Error::NotFound("Subscription does not exist".to_owned())
    }

    pub fn kms(error: fractus_datakeys::Error) -> Self {
        let (refusal, message) = error.into_refusal();
        Error::Kms(refusal, message)
    }

    /// As the API answers it.
    pub fn to_failure(&self) -> Failure {
        let message = self.to_string();
        match self {
            Error::InvalidParameter(_) => api::InvalidParameterException::new(message).into(),
            Error::InvalidParameterValue(_) => api::InvalidParameterValueException::new(message).into(),
            Error::Validation(_) => api::ValidationException::new(message).into(),
            Error::ValidationError(_) => Failure::new("ValidationError", 400, message),
            Error::NotFound(_) => api::NotFoundException::new(message).into(),
            Error::Authorization(_) => api::AuthorizationErrorException::new(message).into(),
            Error::ResourceNotFound => api::ResourceNotFoundException::new(message).into(),
            Error::TagLimitExceeded => api::TagLimitExceededException::new(message).into(),
            Error::TopicLimitExceeded(_) => api::TopicLimitExceededException::new(message).into(),
            Error::SubscriptionLimitExceeded(_) => api::SubscriptionLimitExceededException::new(message).into(),
            Error::FilterPolicyLimitExceeded(_) => api::FilterPolicyLimitExceededException::new(message).into(),
            Error::ReplayLimitExceeded(_) => api::ReplayLimitExceededException::new(message).into(),
            Error::InvalidState(_) => api::InvalidStateException::new(message).into(),
            Error::EndpointDisabled => api::EndpointDisabledException::new(message).into(),
            Error::PlatformApplicationDisabled => api::PlatformApplicationDisabledException::new(message).into(),
            Error::EmptyBatch => api::EmptyBatchRequestException::new(message).into(),
            Error::TooManyEntries => api::TooManyEntriesInBatchRequestException::new(message).into(),
            Error::IdsNotDistinct => api::BatchEntryIdsNotDistinctException::new(message).into(),
            Error::InvalidBatchId => api::InvalidBatchEntryIdException::new(message).into(),
            Error::BatchTooLong => api::BatchRequestTooLongException::new(message).into(),
            Error::OptedOut => api::OptedOutException::new(message).into(),
            Error::UserError(_) => api::UserErrorException::new(message).into(),
            Error::Verification { status, .. } => {
                let mut error = api::VerificationException::new(message);
                error.status = status.clone();
                error.into()
            }
            Error::Kms(refusal, _) => match refusal {
                Refusal::AccessDenied => api::KMSAccessDeniedException::new(message).into(),
                Refusal::Disabled => api::KMSDisabledException::new(message).into(),
                Refusal::InvalidState | Refusal::InvalidKeyUsage => api::KMSInvalidStateException::new(message).into(),
                Refusal::NotFound => api::KMSNotFoundException::new(message).into(),
                Refusal::OptInRequired => api::KMSOptInRequired::new(message).into(),
                Refusal::Throttled => api::KMSThrottlingException::new(message).into(),
                Refusal::Unavailable => api::InternalErrorException::new("Internal Error").into(),
            },
            Error::Store(source) => api::InternalErrorException::new(source.told("Internal Error")).into(),
            Error::Internal(_) => api::InternalErrorException::new("Internal Error").into(),
        }
    }

    /// The code that a failed batch entry carries.
    pub fn code(&self) -> String {
        let failure = self.to_failure();
        let modelled = failure.shape.as_ref().and_then(|shape| shape.schema().error).map(|error| error.code.to_owned());
        modelled.unwrap_or_else(|| failure.code.into_owned())
    }

    /// Whether the caller is to blame, as a failed batch entry says.
    pub fn is_sender_fault(&self) -> bool {
        !matches!(self, Error::Store(_) | Error::Internal(_) | Error::Kms(Refusal::Unavailable, _))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match &error {
            Error::Store(source) => tracing::error!(error = source as &dyn std::error::Error, "the store failed"),
            Error::Internal(reason) => tracing::error!(reason, "a request failed"),
            _ => {}
        }
        error.to_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_query_protocol() {
        assert_eq!(Error::invalid("TopicArn").code(), "InvalidParameter");
        assert_eq!(Error::InvalidParameterValue(String::new()).code(), "ParameterValueInvalid");
        assert_eq!(Error::EmptyBatch.code(), "EmptyBatchRequest");
        assert_eq!(Error::topic_not_found().to_failure().status, 404);
        let refused = |refusal| Error::Kms(refusal, String::new());
        assert_eq!(refused(Refusal::AccessDenied).code(), "KMSAccessDenied");
        assert_eq!(refused(Refusal::InvalidState).code(), "KMSInvalidState");
        assert_eq!(refused(Refusal::OptInRequired).to_failure().status, 403);
        assert_eq!(refused(Refusal::Unavailable).to_failure().status, 500);
        assert_eq!(Error::invalid_because("Name", "no").to_string(), "Invalid parameter: Name Reason: no");
    }
}
