//! What can go wrong below a service's own rules.

use std::io::ErrorKind;

/// A failure of the store itself. A service maps it to its internal error; it is never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A stored key does not have the parts its collection says.
    #[error("a key of collection {collection} cannot be read: {reason}")]
    Key { collection: &'static str, reason: &'static str },
    /// A key longer than every engine takes: [`crate::MAX_KEY_BYTES`].
    #[error("a key of collection {collection} has {length} bytes")]
    KeyTooLong { collection: &'static str, length: usize },
    /// A value could not be written as a record.
    #[error("a value of collection {collection} cannot be stored: {source}")]
    Encode { collection: &'static str, source: crate::pack::PackError },
    /// A stored record does not have the fields its type needs.
    #[error("a record of collection {collection} cannot be read: {source}")]
    Decode { collection: &'static str, source: crate::unpack::UnpackError },
    /// The transaction met others again and again and was given up.
    #[error("the transaction was in conflict with others {attempts} times")]
    Conflict { attempts: u32 },
    /// The engine failed: a disk or a database error.
    #[error("the {engine} engine failed: {message}")]
    Engine { engine: &'static str, message: String },
    /// The database found this transaction in conflict; it runs again. A closure passes it on as it is.
    #[error("conflict with another transaction")]
    Retry,
    /// A configured value cannot be used.
    #[error("the store's configuration is wrong: {0}")]
    Config(String),
    /// A stream to be imported is no export, or is damaged.
    #[error("the import cannot be read: {0}")]
    Import(String),
    /// Reading or writing a file failed.
    #[error("the store's files cannot be used: {0}")]
    Io(#[source] std::io::Error),
    /// The disk is full. Nothing of the write was kept; what is stored can be read.
    #[error("no room is left on the disk that holds the state")]
    NoRoom,
    /// The lane snapshot asked for is not there.
    #[error("lane {lane} has no snapshot {name:?}")]
    NoSnapshot { lane: String, name: String },
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoRoom,
            _ => StoreError::Io(error),
        }
    }
}

impl StoreError {
    /// What the caller is told: `usual`, AWS's words for a failure of its own, but for what the caller can mend.
    pub fn told(&self, usual: &str) -> String {
        match self {
            StoreError::NoRoom => format!("{usual} ({self})"),
            _ => usual.to_owned(),
        }
    }

    pub(crate) fn engine(engine: &'static str, error: impl std::fmt::Display) -> Self {
        StoreError::Engine { engine, message: error.to_string() }
    }
}
