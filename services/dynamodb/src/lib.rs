//! DynamoDB: tables, items, indexes.
//!
//! In reading order: [`store`] and [`table`] say what is kept, the rules crate (`rules/`) what everything means, [`values`] and
//! [`inputs`] and [`forms`] bring requests to it, [`answers`] and [`stored_json`] items to answers, [`writes`] changes an item with its indexes ([`vectors`]
//! those of vectors), [`streams`] what a stream is told of it, [`operations`] are the API's handlers, [`throttle`], [`access`] and
//! [`ongoing`] what may be refused before, [`scaling`] and [`contributors`] what follows what is consumed, [`fillings`], [`expiries`] and
//! [`background`] what
//! goes on without a request, [`service`] is the operation table.
//!
//! Around a table: [`features`] is what it has besides its items, [`history`] what they were, [`jobs`] does what takes longer than a
//! request, [`backups`], [`export`], [`import`], [`bulk`] and [`replicas`] are such work, [`kinesis`] tells changes to streams, [`s3`] calls
//! S3, [`catalogue`] is their operations.

pub mod access;
pub mod answers;
pub mod background;
pub mod backups;
pub mod bulk;
pub mod catalogue;
pub mod config;
pub mod contributors;
pub mod error;
pub mod expiries;
pub mod export;
pub mod features;
pub mod fillings;
pub mod forms;
pub mod history;
pub mod import;
pub mod inputs;
pub mod jobs;
pub mod kinesis;
pub mod ongoing;
pub mod operations;
pub mod pages;
pub mod places;
pub mod replicas;
pub mod s3;
pub mod scaling;
pub mod service;
pub mod shapes;
pub mod store;
pub mod stored_json;
pub mod streams;
pub mod table;
pub mod throttle;
pub mod values;
pub mod vectors;
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
    jobs::start(&dynamodb);
    replicas::start(&dynamodb);
    scaling::start(&dynamodb);
    Ok(App::new(dynamodb, service::operations()))
}
