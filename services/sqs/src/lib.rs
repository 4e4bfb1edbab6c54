//! SQS: queues of messages, standard and FIFO.
//!
//! In reading order: [`store`] says what is kept, [`model`] holds the rules as plain functions inside a transaction,
//! [`operations`] are the API's handlers, [`waiters`] the long polls, [`events`] what other services deliver,
//! [`background`] what nobody waits for, [`service`] the operation table.
//!
//! Left out on purpose: nothing of the API.

pub mod background;
pub mod config;
pub mod error;
pub mod events;
pub mod keys;
pub mod model;
pub mod operations;
pub mod service;
pub mod store;
pub mod waiters;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use service::{Sqs, operations};

/// Starts SQS in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let sqs = Arc::new(Sqs::new(&host, config));
    events::start(&sqs);
    background::start(&sqs);
    Ok(App::new(sqs, operations()))
}
