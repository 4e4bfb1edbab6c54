//! EventBridge as a caller sees it, over the wire, on a clock that only the test moves, with SQS as the target.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod api_destinations;
mod archives;
mod buses;
mod events;
mod keys;
mod logs;
mod replicas;
mod rules;
mod schedules;
mod support;
mod targets;
