//! DynamoDB: tables, items, indexes.
//!
//! In reading order: [`store`] and [`table`] say what is kept, the rules crate (`rules/`) what everything means, [`values`] and
//! [`forms`] bring requests to it, [`writes`] changes an item with its indexes, [`streams`] what a stream is told of it, [`operations`]
//! are the API's handlers, [`throttle`] and [`access`] what may be refused before, [`fillings`], [`expiries`] and [`background`] what
//! goes on without a request, [`service`] is the operation table.

pub mod access;
pub mod background;
pub mod config;
pub mod error;
pub mod expiries;
pub mod fillings;
pub mod forms;
pub mod operations;
pub mod service;
pub mod store;
pub mod streams;
pub mod table;
pub mod throttle;
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
