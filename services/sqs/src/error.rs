//! The conditions SQS can meet, and their one mapping to AWS's errors.
//!
//! SQS answers JSON callers with the shape's name and Query callers (and the `x-amzn-query-error` header) with its
//! older codes, most of them under `AWS.SimpleQueueService`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>

use fractus_store::StoreError;
use fractus_wire::Failure;

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
    #[error("Access to the resource {resource} is denied.")]
    AccessDenied { resource: String },
    #[error("{message}")]
    InvalidAddress { message: String },
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// JSON code, Query code and status of one condition.
struct Codes {
    json: &'static str,
    query: &'static str,
    status: u16,
}

impl Codes {
    const fn same(code: &'static str) -> Self {
        Codes { json: code, query: code, status: 400 }
    }

    const fn older(json: &'static str, query: &'static str) -> Self {
        Codes { json, query, status: 400 }
    }
}

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

    fn codes(&self) -> Codes {
        use Error::*;
        match self {
            QueueDoesNotExist => Codes::older("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            QueueNameExists { .. } => Codes::older("QueueNameExists", "QueueAlreadyExists"),
            QueueDeletedRecently => Codes::older("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"),
            PurgeQueueInProgress { .. } => Codes {
                json: "PurgeQueueInProgress",
                query: "AWS.SimpleQueueService.PurgeQueueInProgress",
                status: 403,
            },
            InvalidAttributeName { .. } => Codes::same("InvalidAttributeName"),
            InvalidAttributeValue { .. } => Codes::same("InvalidAttributeValue"),
            InvalidParameterValue { .. } | ReceiptHandleExpired { .. } | MessageNotAvailable { .. } => {
                Codes::same("InvalidParameterValue")
            }
            MissingParameter { .. } => Codes::same("MissingParameter"),
            ReceiptHandleIsInvalid { .. } => {
                Codes { json: "ReceiptHandleIsInvalid", query: "ReceiptHandleIsInvalid", status: 404 }
            }
            MessageNotInflight => Codes::older("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
            InvalidMessageContents { .. } => Codes::same("InvalidMessageContents"),
            TooManyEntriesInBatchRequest { .. } => {
                Codes::older("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
            }
            EmptyBatchRequest { .. } => Codes::older("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
            BatchEntryIdsNotDistinct { .. } => {
                Codes::older("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
            }
            InvalidBatchEntryId => Codes::older("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
            BatchRequestTooLong { .. } => {
                Codes::older("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            UnsupportedOperation { .. } => {
                Codes::older("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation")
            }
            OverLimit { .. } => Codes { json: "OverLimit", query: "OverLimit", status: 403 },
            ResourceNotFound { .. } => {
                Codes { json: "ResourceNotFoundException", query: "ResourceNotFoundException", status: 404 }
            }
            AccessDenied { .. } => Codes { json: "AccessDeniedException", query: "AccessDenied", status: 403 },
            InvalidAddress { .. } => Codes { json: "InvalidAddress", query: "InvalidAddress", status: 404 },
            Store(_) => Codes { json: "InternalFailure", query: "InternalFailure", status: 500 },
        }
    }

    /// The code a failed batch entry carries: the Query code without its prefix for JSON callers is the shape's name.
    pub fn batch_entry_code(&self) -> &'static str {
        self.codes().json
    }

    /// Whether the caller is to blame, as a failed batch entry says.
    pub fn is_sender_fault(&self) -> bool {
        self.codes().status < 500
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let codes = error.codes();
        let message = match &error {
            Error::Store(source) => {
                tracing::error!(error = source as &dyn std::error::Error, "the store failed");
                "The request processing has failed because of an unknown error, exception or failure.".to_owned()
            }
            other => other.to_string(),
        };
        let failure = Failure::new(codes.json, codes.status, message);
        if codes.query == codes.json { failure } else { failure.with_query_code(codes.query) }
    }
}

/// A store transaction's closure fails with [`Error`]; everything else in the crate does too.
pub type Result<T, E = Error> = std::result::Result<T, E>;
