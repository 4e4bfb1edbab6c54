//! The bus over a real nats-server: each test starts its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Tests fail by panicking; helpers too.

mod deliveries;
mod support;
