//! The bus over a real nats-server: each test starts its own.

mod deliveries;
mod support;
