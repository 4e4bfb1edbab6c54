//! What every connection shares.

use fractus_clock::Random;

use std::sync::OnceLock;

use fractus_bus::{Bus, Serving};

use crate::admin::control::Control;
use crate::certificates::Certificates;
use crate::proxy::credentials::Credentials;
use crate::proxy::hybrid::Hybrid;
use crate::proxy::targets::Targets;

/// The router itself: where requests go, and what it needs to answer by itself.
pub struct Router {
    pub targets: Targets,
    pub certificates: Certificates,
    pub control: Control,
    pub hybrid: Hybrid,
    pub credentials: Credentials,
    bus: OnceLock<Bus>,
    telling_clocks: OnceLock<Serving>,
    random: Random,
}

impl Router {
    pub fn new(certificates: Certificates, hybrid: Hybrid, credentials: Credentials) -> Self {
        Router {
            targets: Targets::default(),
            certificates,
            control: Control::default(),
            hybrid,
            credentials,
            bus: OnceLock::new(),
            telling_clocks: OnceLock::new(),
            random: Random::system(),
        }
    }

    /// Takes part in NATS from now on.
    pub fn set_bus(&self, bus: Bus) {
        // It is set once; a second one would be warned of below.
        let _ = self.telling_clocks.set(self.control.tell_clocks(&bus));
        if self.bus.set(bus).is_err() {
            tracing::warn!("the bus is set already");
        }
    }

    pub fn bus(&self) -> Option<&Bus> {
        self.bus.get()
    }

    pub fn request_id(&self) -> String {
        self.random.uuid()
    }
}
