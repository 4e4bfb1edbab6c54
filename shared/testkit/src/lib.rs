//! Any set of services in one test process: on port 0, in a fresh folder, with clocks that the test moves.
//!
//! ```ignore
//! let stack = Stack::new()
//!     .frozen_at("2026-01-01T00:00:00Z")
//!     .with("sqs", |host| fractus_sqs::start(Config::default(), host))
//!     .start()
//!     .await;
//! let sqs = stack.client("sqs");
//! let queue = sqs.call(CreateQueue, CreateQueueInput { queue_name: "q".into(), ..Default::default() }).await.unwrap();
//! stack.clock().advance(Duration::from_secs(30));
//! wait_for("the message is visible again", async || sqs.call(ReceiveMessage, ..).await.ok()).await;
//! ```
//!
//! In reading order: [`Stack`], [`Client`] (typed and signed calls), [`http`] (whatever a client should not send),
//! [`wait_for`], [`replica`] (several of one service), [`Kms`] (who judges what is kept under keys), [`Program`] (a service as a process of its own), [`Filters`] (snapshots without ids, times and ports);
//! [`operations_come_back`] for the crates of generated types.
//!
//! Left out on purpose: real SDKs and the router; the suites in `conformance/` have them. Here a failure is a panic, as
//! it is in the tests that use this crate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod client;
mod filters;
pub mod http;
mod kms;
mod program;
mod replica;
mod round_trip;
mod stack;
mod wait;

pub use client::Client;
pub use filters::Filters;
pub use kms::{Asked, Kms};
pub use program::Program;
pub use replica::{SharedStore, replica};
pub use round_trip::comes_back;
pub use stack::{Stack, StackBuilder};
pub use wait::wait_for;
