//! The conditions SQS can meet, and their one mapping to AWS's errors.
//!
//! The API's own errors know their names, the older codes of the Query protocol and these codes' statuses. What the model
//! does not name has one code for both protocols.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>

use fractus_datakeys::{Kept, Refusal};
use fractus_sqs_api as api;
use fractus_store::StoreError;
use fractus_wire::{Failure, Protocol};

use crate::keys::Need;

/// Why SQS refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error("A queue already exists with the same name and a different value for attribute {attribute}")]
    QueueNameExists { attribute: String },
    #[error("You must wait 60 seconds after deleting a queue before you can create another with the same name.")]
    QueueDeletedRecently,
    #[error("Only one PurgeQueue operation on {queue_name} is allowed every 60 seconds.")]
    PurgeQueueInProgress { queue_name: String },
    #[error("Unknown Attribute {name}.")]
    InvalidAttributeName { name: String },
    #[error("Invalid value for the parameter {name}.{reason}")]
    InvalidAttributeValue { name: String, reason: String },
    #[error("{message}")]
    InvalidParameterValue { message: String },
    #[error("The request must contain the parameter {name}.")]
    MissingParameter { name: String },
    #[error("The input receipt handle \"{handle}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid { handle: String },
    #[error("Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")]
    ReceiptHandleExpired { handle: String },
    #[error(
        "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."
    )]
    MessageNotAvailable { handle: String },
    #[error("Message not in flight.")]
    MessageNotInflight,
    #[error("{message}")]
    InvalidMessageContents { message: String },
    #[error("Maximum number of entries per request are 10. You have sent {count}.")]
    TooManyEntriesInBatchRequest { count: usize },
    #[error("There should be at least one {entry} in the request.")]
    EmptyBatchRequest { entry: &'static str },
    #[error("Id {id} repeated.")]
    BatchEntryIdsNotDistinct { id: String },
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {bytes} bytes.")]
    BatchRequestTooLong { bytes: usize },
    #[error("{message}")]
    UnsupportedOperation { message: String },
    #[error("{message}")]
    OverLimit { message: String },
    #[error("{message}")]
    ResourceNotFound { message: String },
    #[error("{message}")]
    AccessDenied { message: String },
    #[error("{message}")]
    InvalidAddress { message: String },
    #[error("Rate exceeded")]
    RequestThrottled,
    /// KMS gives or opens no data key, in its own words.
    #[error("{1}")]
    Kms(Refusal, String),
    /// KMS has to be asked for a data key; then the transaction begins again.
    #[error("a data key is needed")]
    NeedsDataKey(Need),
    /// KMS has to open these; then the transaction begins again.
    #[error("a data key has to be opened")]
    NeedsOpening { closed: Vec<Kept>, reuse_secs: u32 },
    #[error("the store failed")]
    Store(#[from] StoreError),
}

const INTERNAL: &str = "The request processing has failed because of an unknown error, exception or failure.";

impl Error {
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Error::InvalidParameterValue { message: message.into() }
    }

    /// `Value X for parameter Y is invalid. Reason: Z`, SQS's most common refusal.
    pub fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Error::invalid_parameter(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    pub fn invalid_attribute(name: impl Into<String>) -> Self {
        Error::InvalidAttributeValue { name: name.into(), reason: String::new() }
    }

    pub fn kms(error: fractus_datakeys::Error) -> Self {
        let (refusal, message) = error.into_refusal();
        Error::Kms(refusal, message)
    }

    /// As the API answers it.
    pub fn to_failure(&self) -> Failure {
        use Error::*;
        let message = self.to_string();
        match self {
            QueueDoesNotExist => api::QueueDoesNotExist::new(message).into(),
            QueueNameExists { .. } => api::QueueNameExists::new(message).into(),
            QueueDeletedRecently => api::QueueDeletedRecently::new(message).into(),
            PurgeQueueInProgress { .. } => api::PurgeQueueInProgress::new(message).into(),
            InvalidAttributeName { .. } => api::InvalidAttributeName::new(message).into(),
            InvalidAttributeValue { .. } => api::InvalidAttributeValue::new(message).into(),
            InvalidParameterValue { .. } | ReceiptHandleExpired { .. } | MessageNotAvailable { .. } => {
                Failure::new("InvalidParameterValue", 400, message)
            }
            MissingParameter { .. } => Failure::new("MissingParameter", 400, message),
            ReceiptHandleIsInvalid { .. } => api::ReceiptHandleIsInvalid::new(message).into(),
            MessageNotInflight => api::MessageNotInflight::new(message).into(),
            InvalidMessageContents { .. } => api::InvalidMessageContents::new(message).into(),
            TooManyEntriesInBatchRequest { .. } => api::TooManyEntriesInBatchRequest::new(message).into(),
            EmptyBatchRequest { .. } => api::EmptyBatchRequest::new(message).into(),
            BatchEntryIdsNotDistinct { .. } => api::BatchEntryIdsNotDistinct::new(message).into(),
            InvalidBatchEntryId => api::InvalidBatchEntryId::new(message).into(),
            BatchRequestTooLong { .. } => api::BatchRequestTooLong::new(message).into(),
            UnsupportedOperation { .. } => api::UnsupportedOperation::new(message).into(),
            OverLimit { .. } => api::OverLimit::new(message).into(),
            ResourceNotFound { .. } => api::ResourceNotFoundException::new(message).into(),
            InvalidAddress { .. } => api::InvalidAddress::new(message).into(),
            RequestThrottled => api::RequestThrottled::new(message).into(),
            AccessDenied { .. } => Failure::new("AccessDenied", 403, message),
            Kms(refusal, _) => match refusal {
                Refusal::AccessDenied => api::KmsAccessDenied::new(message).into(),
                Refusal::Disabled => api::KmsDisabled::new(message).into(),
                Refusal::InvalidState => api::KmsInvalidState::new(message).into(),
                Refusal::InvalidKeyUsage => api::KmsInvalidKeyUsage::new(message).into(),
                Refusal::NotFound => api::KmsNotFound::new(message).into(),
                Refusal::OptInRequired => api::KmsOptInRequired::new(message).into(),
                Refusal::Throttled => api::KmsThrottled::new(message).into(),
                Refusal::Unavailable => Failure::new("ServiceUnavailable", 503, message),
            },
            Store(source) => Failure::new("InternalFailure", 500, source.told(INTERNAL)),
            NeedsDataKey(_) | NeedsOpening { .. } => Failure::new("InternalFailure", 500, INTERNAL),
        }
    }

    /// The code that a failed batch entry carries: the name as JSON callers know it.
    pub fn code(&self) -> String {
        self.to_failure().code.into_owned()
    }

    /// Whether the caller is to blame, as a failed batch entry says.
    pub fn is_sender_fault(&self) -> bool {
        !matches!(self, Error::Store(_) | Error::Kms(Refusal::Unavailable, _))
    }
}

/// A failure as the caller's protocol has it. Over JSON every refusal has the status 400; the statuses that the older
/// protocol had (403 for what is too much, 404 for an invalid handle) stay with it. Denials are called by their older name in
/// the header that SDKs look at.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html#API_PurgeQueue_Errors>
pub fn in_protocol(protocol: Option<Protocol>, failure: Failure) -> Failure {
    if protocol == Some(Protocol::AwsQuery) || !(400..500).contains(&failure.status) {
        return failure;
    }
    let denied = failure.code == "AccessDeniedException" && failure.query_code.is_none();
    let failure = Failure { status: 400, ..failure };
    if denied { failure.with_query_code("AccessDenied") } else { failure }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        if let Error::Store(source) = &error {
            tracing::error!(error = source as &dyn std::error::Error, "the store failed");
        }
        error.to_failure()
    }
}

/// A store transaction's closure fails with [`Error`]; everything else in the crate does too.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, older code, older status.
    #[test]
    fn errors_have_both_protocols_codes() {
        let codes = |error: Error| {
            let failure = error.to_failure();
            let older = failure.query_code.clone().unwrap_or(failure.code.clone()).into_owned();
            (failure.code.into_owned(), older, failure.status)
        };
        let expected = |name: &str, older: &str, status| (name.to_owned(), older.to_owned(), status);
        let in_progress = Error::PurgeQueueInProgress { queue_name: "q".into() };
        assert_eq!(
            codes(in_progress),
            expected("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403)
        );
        assert_eq!(
            codes(Error::QueueDoesNotExist),
            expected("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400)
        );
        assert_eq!(codes(Error::OverLimit { message: String::new() }), expected("OverLimit", "OverLimit", 403));
        let handle = Error::ReceiptHandleIsInvalid { handle: "h".into() };
        assert_eq!(codes(handle), expected("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404));
        assert_eq!(
            codes(Error::MessageNotInflight),
            expected("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400)
        );
        let refused = Error::Kms(Refusal::Disabled, String::new());
        assert_eq!(codes(refused), expected("KmsDisabled", "KMS.DisabledException", 400));
        assert_eq!(codes(Error::RequestThrottled), expected("RequestThrottled", "RequestThrottled", 403));
        let existing = Error::QueueNameExists { attribute: "a".into() };
        assert_eq!(codes(existing), expected("QueueNameExists", "QueueAlreadyExists", 400));
    }

    #[test]
    fn over_json_refusals_are_400_and_faults_stay_what_they_are() {
        let status = |protocol, failure| in_protocol(Some(protocol), failure).status;
        let over_limit = || Error::OverLimit { message: String::new() }.to_failure();
        assert_eq!(status(Protocol::AwsJson10, over_limit()), 400);
        assert_eq!(status(Protocol::AwsQuery, over_limit()), 403);
        assert_eq!(status(Protocol::AwsJson10, Failure::new("InternalFailure", 500, "")), 500);
        let denied = in_protocol(Some(Protocol::AwsJson10), Failure::new("AccessDeniedException", 400, "no"));
        assert_eq!(denied.query_code.as_deref(), Some("AccessDenied"));
    }
}
