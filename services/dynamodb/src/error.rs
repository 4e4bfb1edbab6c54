//! The conditions DynamoDB can meet, and their one mapping to AWS's errors.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::codec::CodecError;
use fractus_dynamodb_rules::{Item, RuleError};
use fractus_store::StoreError;
use fractus_wire::Failure;

use crate::values::item_to_api;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rule(RuleError),
    /// As PutItem, UpdateItem and DeleteItem tell what is wrong with a request.
    #[error("{}", .0.in_envelope())]
    Enveloped(RuleError),
    #[error("{0}")]
    Validation(String),
    #[error("Requested resource not found")]
    NoResource,
    #[error("Requested resource not found: Table: {0} not found")]
    NoTable(String),
    #[error("Table already exists: {0}")]
    TableExists(String),
    #[error("{0}")]
    InUse(String),
    #[error("The conditional request failed")]
    ConditionFailed(Option<Box<Item>>),
    #[error("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes(.0))]
    Cancelled(Vec<Reason>),
    #[error("Duplicate primary key exists in table")]
    Duplicate,
    #[error("The level of configured provisioned throughput for {}", exceeded(*is_index))]
    Throttled { is_index: bool },
    #[error("Throughput exceeds the maximum OnDemandThroughput configured on table or index")]
    BeyondMaximum,
    #[error("{0}")]
    LimitExceeded(String),
    #[error("Requested resource not found: ResourcArn: {0} not found")]
    NoResourceArn(String),
    #[error("Requested resource not found: Stream: {0} not found")]
    NoStream(String),
    #[error("Requested resource not found: Shard does not exist")]
    NoShard,
    #[error("Iterator expired: the iterator was created more than 15 minutes ago.")]
    IteratorExpired,
    #[error("The operation attempted to read past the oldest stream record in a shard.")]
    Trimmed,
    /// Inside a transaction; the request is refused for it.
    #[error("two actions on one item")]
    TwiceInTransaction,
    #[error("The client request token was used with other parameters")]
    OtherRequest,
    #[error("{CONFLICT}")]
    TransactionConflict,
    #[error("One or more items in this request are being modified by a request in another Region.")]
    ReplicatedWriteConflict,
    #[error("The transaction with the given request token is already in progress")]
    TransactionInProgress,
    /// One of the API's own errors, as it is answered.
    #[error("{0}")]
    Answer(Box<Failure>),
    #[error("a stored item cannot be read")]
    Codec(#[from] CodecError),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

const CONFLICT: &str = "Transaction is ongoing for the item";

const fn exceeded(is_index: bool) -> &'static str {
    if is_index {
        "one or more global secondary indexes of the table was exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with the UpdateTable API"
    } else {
        "the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."
    }
}

/// Why one action of a transaction did not go through; or that it would have.
#[derive(Clone, Debug)]
pub enum Reason {
    None,
    ConditionFailed(Option<Box<Item>>),
    Duplicate,
    /// Another transaction has the item.
    Conflict,
    Invalid(String),
}

impl Reason {
    const fn code(&self) -> &'static str {
        match self {
            Reason::None => "None",
            Reason::ConditionFailed(_) => "ConditionalCheckFailed",
            Reason::Duplicate => "DuplicateItem",
            Reason::Conflict => "TransactionConflict",
            Reason::Invalid(_) => "ValidationError",
        }
    }

    fn into_api(self) -> api::CancellationReason {
        let code = Some(self.code().to_owned());
        match self {
            Reason::None => api::CancellationReason { code, ..Default::default() },
            Reason::ConditionFailed(item) => api::CancellationReason {
                code,
                message: Some("The conditional request failed".to_owned()),
                item: item.map(|item| item_to_api(*item)),
            },
            Reason::Duplicate => {
                let message = Some("Duplicate primary key exists in table".to_owned());
                api::CancellationReason { code, message, item: None }
            }
            Reason::Conflict => api::CancellationReason { code, message: Some(CONFLICT.to_owned()), item: None },
            Reason::Invalid(message) => api::CancellationReason { code, message: Some(message), item: None },
        }
    }
}

fn codes(reasons: &[Reason]) -> String {
    reasons.iter().map(Reason::code).collect::<Vec<_>>().join(", ")
}

macro_rules! rules {
    ($($rule:ty),+ $(,)?) => {$(
        impl From<$rule> for Error {
            fn from(error: $rule) -> Self {
                Error::Rule(error.into())
            }
        }
    )+};
}

rules! {
    RuleError,
    fractus_dynamodb_rules::ValueError,
    fractus_dynamodb_rules::expression::ExpressionError,
    fractus_dynamodb_rules::expression::AttributesError,
    fractus_dynamodb_rules::legacy::LegacyError,
    fractus_dynamodb_rules::key::KeyError,
    fractus_dynamodb_rules::key_condition::KeyConditionError,
    fractus_dynamodb_rules::update::UpdateError,
    fractus_dynamodb_rules::partiql::PartiqlError,
    fractus_dynamodb_rules::vector::VectorError,
    fractus_dynamodb_rules::vector::condition::SearchError,
}

impl Error {
    pub fn validation(message: impl Into<String>) -> Self {
        Error::Validation(message.into())
    }

    /// One of the API's own errors.
    pub fn answer(failure: impl Into<Failure>) -> Self {
        Error::Answer(Box::new(failure.into()))
    }

    /// Of a write of items: what the store gave up on, since others kept changing the same records, is a conflict.
    #[must_use]
    pub fn of_write(self) -> Self {
        match self {
            Error::Store(StoreError::Conflict { .. }) => Error::TransactionConflict,
            other => other,
        }
    }

    /// In the words of the operations that write one item.
    #[must_use]
    pub fn enveloped(self) -> Self {
        match self {
            Error::Rule(error) => Error::Enveloped(error),
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.to_string();
        match error {
            Error::Rule(_) | Error::Enveloped(_) | Error::Validation(_) => {
                Failure::new("ValidationException", 400, message)
            }
            Error::NoResource | Error::NoTable(_) | Error::NoResourceArn(_) | Error::NoStream(_) | Error::NoShard => {
                api::ResourceNotFoundException { message: Some(message) }.into()
            }
            Error::TableExists(_) | Error::InUse(_) => api::ResourceInUseException { message: Some(message) }.into(),
            Error::ConditionFailed(item) => {
                let item = item.map(|item| item_to_api(*item));
                api::ConditionalCheckFailedException { message: Some(message), item }.into()
            }
            Error::Cancelled(reasons) => {
                let reasons = reasons.into_iter().map(Reason::into_api).collect();
                api::TransactionCanceledException { message: Some(message), cancellation_reasons: Some(reasons) }.into()
            }
            Error::Duplicate => api::DuplicateItemException { message: Some(message) }.into(),
            Error::Throttled { .. } => {
                api::ProvisionedThroughputExceededException { message: Some(message), ..Default::default() }.into()
            }
            Error::BeyondMaximum => api::ThrottlingException { message: Some(message), ..Default::default() }.into(),
            Error::LimitExceeded(_) => api::LimitExceededException { message: Some(message) }.into(),
            Error::IteratorExpired => api::streams::ExpiredIteratorException { message: Some(message) }.into(),
            Error::Trimmed => api::streams::TrimmedDataAccessException { message: Some(message) }.into(),
            Error::OtherRequest => api::IdempotentParameterMismatchException { message: Some(message) }.into(),
            Error::TransactionConflict => api::TransactionConflictException { message: Some(message) }.into(),
            Error::ReplicatedWriteConflict => api::ReplicatedWriteConflictException { message: Some(message) }.into(),
            Error::TransactionInProgress => api::TransactionInProgressException { message: Some(message) }.into(),
            Error::TwiceInTransaction => Failure::new("ValidationException", 400, message),
            Error::Answer(failure) => *failure,
            Error::Codec(_) | Error::Store(_) => {
                let usual = "Internal server error";
                let told = if let Error::Store(source) = &error { source.told(usual) } else { usual.to_owned() };
                tracing::error!(error = &error as &dyn std::error::Error, told, "the store failed");
                Failure::new("InternalServerError", 500, told)
            }
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
