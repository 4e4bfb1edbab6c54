//! Settings of the bus.

use std::time::Duration;

/// How a process takes part.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// `nats://127.0.0.1:4222`; several servers are separated by commas, `nats://user:password@host` and `tls://` work.
    /// None: there is no bus, and the service serves its own API alone.
    pub url: Option<String>,
    /// The service's directory name: what it consumes, serves and announces goes by it.
    pub service: String,
    /// Unique for each start of a process.
    pub instance: String,
    /// Where the delivery queue is kept; used by whichever process creates it first.
    pub delivery_storage: DeliveryStorage,
    /// The delivery queue's bound. At it, new deliveries are refused ([`crate::BusError::QueueFull`]) and wait in their
    /// senders' outboxes. Default 1 GiB.
    pub delivery_max_bytes: u64,
    /// How long a delivery waits for a service that nobody runs. Default 14 days, the longest any queue keeps a message.
    pub delivery_max_age: Duration,
    /// How long the queue takes to confirm a delivery before that counts as failed. Default 5 s.
    pub confirm_timeout: Duration,
    /// How often a service says that it is there; after three silent intervals it counts as gone. Default 5 s.
    pub heartbeat: Duration,
}

/// Where deliveries wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryStorage {
    /// They survive the end of nats-server, a kill included.
    #[default]
    File,
    /// A little faster; gone with nats-server.
    Memory,
}

impl BusConfig {
    pub fn new(url: Option<String>, service: impl Into<String>, instance: impl Into<String>) -> Self {
        BusConfig {
            url,
            service: service.into(),
            instance: instance.into(),
            delivery_storage: DeliveryStorage::default(),
            delivery_max_bytes: 1 << 30,
            delivery_max_age: Duration::from_secs(14 * 86_400),
            confirm_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(5),
        }
    }
}
