//! `fractus up`: NATS, the router and services as processes on this machine.
//!
//! A service's process starts when something first wants it: a request at the router, a delivery or a call on NATS. So
//! an idle service costs nothing. A process that ends unasked is started again, after a growing pause.
//!
//! Read in this order: [`settings`], [`guard`] (no process outlives the launcher), [`nats`], [`service`] (one service's
//! life), [`up`] (all of it), [`shell`] (what a user's
//! shell is told), [`init`] (being process 1 of a container).

pub mod guard;
pub mod init;
pub mod nats;
pub mod service;
pub mod settings;
pub mod shell;
pub mod up;

pub use service::{Launcher, ServiceStatus};
pub use settings::LaunchSettings;
