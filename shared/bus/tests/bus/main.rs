//! The bus over a real nats-server: each test starts its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Tests fail by panicking; helpers too.

mod away;
mod calls;
mod deliveries;
mod discovery;
mod events;
mod failures;
mod ordered;
mod outbox;
mod support;
mod wake;
