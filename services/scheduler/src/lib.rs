//! EventBridge Scheduler: schedules in groups, and the calls that they make.
//!
//! In reading order: [`store`] says what is kept, [`model`] holds the rules (when a schedule is due, what its target is,
//! what an invocation brings, when it is tried again), [`operations`] are the API's handlers, [`firing`] does what is due by
//! each lane's clock, [`events`] what comes back over the bus and [`calls`] the universal targets, [`service`] the operation
//! table.
//!
//! Left out on purpose: nothing of the API.

pub mod calls;
pub mod config;
pub mod error;
pub mod events;
pub mod firing;
pub mod model;
pub mod operations;
pub mod service;
pub mod store;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_host::{App, Host};

pub use config::Config;
pub use service::{Scheduler, operations};

/// Starts the scheduler in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let scheduler = Arc::new(Scheduler::new(&host, config));
    events::start(&scheduler);
    firing::start(&scheduler);
    Ok(App::new(scheduler, operations()))
}
