//! What every connection shares.

use fractus_clock::Random;

use crate::certificates::Certificates;
use crate::proxy::targets::Targets;

/// The router itself: where requests go, and what it needs to answer by itself.
pub struct Router {
    pub targets: Targets,
    pub certificates: Certificates,
    random: Random,
}

impl Router {
    pub fn new(certificates: Certificates) -> Self {
        Router { targets: Targets::default(), certificates, random: Random::system() }
    }

    pub fn request_id(&self) -> String {
        self.random.uuid()
    }
}
