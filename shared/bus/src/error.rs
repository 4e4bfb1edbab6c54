//! What can go wrong on the way.

/// Why a message could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    #[error("no message bus is configured")]
    Off,
    #[error("the message bus is away")]
    Away,
    #[error("the message bus did not confirm in time")]
    TimedOut,
    #[error("the message is {size} bytes and the message bus takes {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("the delivery queue is full")]
    QueueFull,
    #[error("too much waits to be sent")]
    Overloaded,
    #[error("{0:?} cannot stand in a subject")]
    InvalidName(String),
    #[error("not written: {0}")]
    Encode(String),
    #[error("the message bus refused: {0}")]
    Refused(String),
}

impl BusError {
    /// Whether the same message may go through later.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, BusError::TooLarge { .. } | BusError::InvalidName(_) | BusError::Encode(_))
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody serves it: the service is not running.
    #[error("{service} is not running")]
    NotRunning { service: String },
    #[error("{service} did not answer in time")]
    TimedOut { service: String },
    /// The service answered with a failure of its own.
    #[error("{code}: {message}")]
    Failed { code: String, message: String },
    #[error("the answer could not be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Bus(#[from] BusError),
}
