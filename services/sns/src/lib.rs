//! SNS: topics, their subscriptions, and messages on their way to them.
//!
//! In reading order: [`store`] says what is kept, [`model`] holds the rules as plain functions, [`routes`] finds a message's
//! subscriptions, [`signer`] keeps the key that it is signed with, [`sending`] makes what each of them gets, [`publishing`] is the path of a message, [`operations`] are the
//! API's handlers, [`events`] what other services deliver, [`jobs`] the requests and mails
//! that are sent from here, [`background`] what nobody waits for, [`links`] the pages behind the links in messages,
//! [`service`] the operation table.

pub mod background;
pub mod config;
pub mod error;
pub mod events;
pub mod jobs;
pub mod ledger;
pub mod links;
pub mod mail;
pub mod model;
pub mod operations;
pub mod publishing;
pub mod quotas;
pub mod routes;
pub mod sending;
pub mod service;
pub mod signer;
pub mod status_logs;
pub mod store;

use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use error::Error;
pub use service::{Sns, operations};

/// Starts SNS in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Error> {
    let sns = Arc::new(Sns::new(&host, config)?);
    background::start(&sns);
    events::start(&sns);
    Ok(App::new(sns, operations()))
}
