//! The process that every service lives in.
//!
//! A service brings its state and a table of operations; the host brings everything else that a server is: settings,
//! logs, store, bus, listeners, requests read and answered in every protocol of the model, identity, authorisation,
//! background tasks, health, metrics, administration, a clean end. A service's `main` is one call of [`run`], and its
//! `start` is the same function that tests call.
//!
//! In reading order: [`operations`] (the table), [`service`] (hooks), [`context`] (what a handler knows), [`Host`]
//! (what a service is given), [`config`], then the life of a request and of the process, which are private.
//!
//! Left out on purpose: what any one service means. The host knows no service by name but the two that issue
//! credentials.

extern crate self as fractus_host;

pub mod access_key;
pub mod config;
pub mod context;
pub mod operations;
pub mod service;
pub mod taken;

mod access;
mod activity;
mod admin;
mod auth;
mod background;
mod body;
mod consuming;
mod control;
mod credentials;
mod deliveries;
mod faults;
mod healthcheck;
mod host;
mod identity;
mod janitor;
mod launch;
mod metrics;
mod parent;
mod permissions;
mod readiness;
mod reading;
mod requests;
mod resending;
mod roles;
mod rope;
mod run;
mod serve;
mod server;
mod socket;
mod tasks;
mod timing;

#[doc(hidden)]
pub use serde;

pub use access::{Access, ResourceFacts};
pub use background::Waker;
pub use config::{HostConfig, NoSettings, Settings};
pub use context::{CalledOperation, Caller, CallerKind, Context};
pub use deliveries::Destination;
pub use faults::{FaultError, FaultRule};
pub use host::{Host, HostParts};
pub use identity::LANE_HEADER;
pub use launch::{LaunchError, Running, launch};
pub use operations::{Fidelity, Handler, OperationRow, Operations};
pub use permissions::{LookUpPolicies, NamedPolicy, PrincipalPolicies, SERVICE_ROLE};
pub use readiness::Hold;
pub use resending::{Attempted, Resending, Verdict};
pub use roles::{AssumeServiceRole, NoSession};
pub use run::{Program, run};
pub use serve::FIDELITY_HEADER;
pub use server::ListenError;
pub use service::{App, Prepared, RequestUuid, Service, invalid};
pub use timing::Timing;
