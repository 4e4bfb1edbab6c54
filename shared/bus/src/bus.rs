//! The handle.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use fractus_aws::Lane;
use fractus_clock::{Clock, Clocks};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Live};
use crate::warnings::Warnings;
use crate::{BusConfig, BusError, BusState};

/// A process's place on the bus; clones share it. When the last clone is gone, so is the connection; a consumption, an
/// announcement, a directory and an outbox hold one each.
#[derive(Clone)]
pub struct Bus {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub config: BusConfig,
    pub connection: Connection,
    pub warnings: Warnings,
    /// The epoch of the connection over which the delivery queue was seen; 0 is none.
    pub queue_seen: AtomicU64,
    /// Cancelled when consumers and servers are to take nothing new and finish what they have.
    pub drain: CancellationToken,
    /// The replicas announced here (service and replica id), to say goodbye for.
    pub announced: Mutex<Vec<(String, String)>>,
    /// Cancelled when nothing more is to be announced.
    pub goodbye: CancellationToken,
    /// Everything that works in the background on this bus.
    pub tasks: TaskTracker,
    /// The lanes' clocks, by which deliveries are tried again that keep their place in an order.
    clocks: OnceLock<Clocks>,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.drain.cancel();
        self.goodbye.cancel();
        self.stop.cancel();
    }
}

impl Bus {
    /// Takes part in the bus. Never fails and never waits: the connection is made in the background and made again
    /// whenever it is lost; see [`Bus::state`]. Call it inside a tokio runtime.
    pub fn connect(config: BusConfig) -> Self {
        let stop = CancellationToken::new();
        let connection = Connection::start(&config, stop.clone());
        let inner = Inner {
            config,
            connection,
            warnings: Warnings::default(),
            queue_seen: AtomicU64::new(0),
            drain: CancellationToken::new(),
            announced: Mutex::default(),
            goodbye: CancellationToken::new(),
            tasks: TaskTracker::new(),
            clocks: OnceLock::new(),
            stop,
        };
        Bus { inner: Arc::new(inner) }
    }

    /// A bus that is never there, for a service that runs alone.
    pub fn off(service: impl Into<String>) -> Self {
        Bus::connect(BusConfig::new(None, service, "alone"))
    }

    /// Whether NATS is there, now and at every change.
    pub fn state(&self) -> watch::Receiver<BusState> {
        self.inner.connection.state()
    }

    pub fn service(&self) -> &str {
        &self.inner.config.service
    }

    pub fn instance(&self) -> &str {
        &self.inner.config.instance
    }

    /// These are the lanes' clocks. Without them a lane's time is real time. The first ones hold.
    pub fn follow(&self, clocks: Clocks) {
        let _ = self.inner.clocks.set(clocks);
    }

    pub(crate) fn clock_of(&self, lane: &Lane) -> Clock {
        self.inner.clocks.get().map_or_else(Clock::real, |clocks| clocks.lane(lane.as_str()))
    }

    /// Waits until NATS is there; for ever when the bus is off.
    pub async fn connected(&self) {
        self.inner.connection.live().await;
    }

    /// Takes nothing new, lets running handlers finish and acknowledge, says goodbye, and closes. The caller bounds the
    /// wait; what is cut off is delivered again to another replica.
    pub async fn shutdown(&self) {
        self.inner.drain.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.goodbye.cancel();
        let announced = std::mem::take(&mut *self.inner.announced.lock());
        for (service, replica) in announced {
            self.say_goodbye_for(&service, &replica);
        }
        if let Ok(live) = self.inner.connection.now() {
            let _ = live.settle().await;
        }
        self.inner.stop.cancel();
    }

    pub(crate) fn live(&self) -> Result<Live, BusError> {
        self.inner.connection.now()
    }
}
