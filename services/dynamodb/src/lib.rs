//! DynamoDB: tables, items, indexes.
//!
//! In reading order: [`store`] says what is kept, the rules crate (`rules/`) what everything means, [`values`] and
//! [`forms`] bring requests to it, [`writes`] changes an item with its indexes, [`operations`] are the API's handlers, [`background`]
//! clears what deleted tables leave, [`service`] is the operation table.
//!
//! Not there yet: PartiQL in batches and transactions, streams, time to live, updating tables,
//! back-ups, global tables. Their operations answer that they are not built.

pub mod background;
pub mod config;
pub mod error;
pub mod forms;
pub mod operations;
pub mod service;
pub mod store;
pub mod values;
pub mod writes;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use service::{DynamoDb, operations};

/// Starts DynamoDB in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let dynamodb = Arc::new(DynamoDb::new(&host, config));
    background::start(&dynamodb);
    Ok(App::new(dynamodb, service::operations()))
}
