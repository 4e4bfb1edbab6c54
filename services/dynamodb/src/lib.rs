//! DynamoDB: tables, items, indexes.
//!
//! In reading order: [`service`] the operation table. The rules are a crate of their own, `rules/`.

pub mod config;
pub mod service;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use service::{DynamoDb, operations};

/// Starts DynamoDB in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let _ = config;
    Ok(App::new(Arc::new(DynamoDb::new(&host)), operations()))
}
