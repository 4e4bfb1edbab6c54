//! Why a call gave no output.

use fractus_wire::{Failure, ReadError, WriteError};

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service answered with an error.
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("nothing is known of where {0} is; set its endpoint, or start it")]
    NoEndpoint(&'static str),
    #[error("there is no API called {0}")]
    UnknownApi(String),
    #[error("{api} has no operation {operation}")]
    UnknownOperation { api: String, operation: String },
    /// The input does not fit the model.
    #[error("{0}")]
    Input(ReadError),
    #[error(transparent)]
    Unwritable(#[from] WriteError),
    #[error("the request cannot be signed")]
    Unsigned(#[from] fractus_sigv4::SignError),
    #[error("the request cannot be made: {0}")]
    Malformed(#[from] http::Error),
    /// Nobody listens, or the connection broke.
    #[error("{service} cannot be reached at {endpoint}")]
    Unreachable {
        service: &'static str,
        endpoint: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{service} did not answer within {secs} seconds")]
    TimedOut { service: &'static str, secs: u64 },
    /// The answer is not what the model says.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

/// What a caller that passes errors on has to say.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let (code, status) = match error {
            CallError::Failure(failure) => return failure,
            CallError::UnknownApi(_) | CallError::UnknownOperation { .. } => ("UnknownOperationException", 404),
            CallError::Input(_) => ("ValidationException", 400),
            CallError::NoEndpoint(_) | CallError::Unreachable { .. } => ("ServiceUnavailable", 503),
            CallError::TimedOut { .. } => ("RequestTimeout", 504),
            CallError::Unwritable(_) | CallError::Unsigned(_) | CallError::Malformed(_) | CallError::Unreadable(_) => {
                ("InternalFailure", 500)
            }
        };
        Failure::new(code, status, error.to_string())
    }
}
