//! EventBridge: events on buses, rules that match them, and targets that get them.
//!
//! In reading order: [`store`] says what is kept; [`model`] holds the rules as plain functions; [`index`] is what a bus's
//! rules make of an event, compiled; [`route`] what an event on a bus leads to, and the transaction that keeps it;
//! [`operations`] are the API's handlers; [`consume`] what other services deliver and tell; [`background`] rules on
//! schedules, replays, authorizations and what is cleared away; [`invoke`] how API destinations are called;
//! [`service`] the operation table.
//!
//! Left out on purpose: schemas and their discovery, pipes and Scheduler, which are services of their own.

pub mod background;
pub mod config;
pub mod consume;
pub mod error;
pub mod health;
pub mod index;
pub mod invoke;
pub mod keys;
pub mod logs;
pub mod model;
pub mod operations;
pub mod pages;
pub mod route;
pub mod service;
pub mod store;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use service::{Events, operations};

/// Starts EventBridge in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let events = Arc::new(Events::new(&host, config));
    consume::start(&events);
    background::start(&events);
    Ok(App::new(events, operations()))
}
