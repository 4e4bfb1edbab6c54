//! Why something happened.

use fractus_clock::Random;
use serde::{Deserialize, Serialize};

/// What led to a delivery, an event or a call. It travels with every message, so that the whole path from one request
/// can be told afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// The same for everything that one request from outside led to; the host takes it from the request's
    /// `X-Amzn-Trace-Id` where there is one.
    pub trace_id: String,
    /// The request id, delivery id or event id that led directly to this; empty at the root.
    #[serde(default)]
    pub parent: String,
    /// Who began the path: a service's name, or the caller's principal.
    #[serde(default)]
    pub origin: String,
}

impl Cause {
    /// The beginning of a path: a request from outside, a timer, a poller.
    pub fn root(trace_id: impl Into<String>, origin: impl Into<String>) -> Self {
        Cause { trace_id: trace_id.into(), parent: String::new(), origin: origin.into() }
    }

    /// A root with a trace id of its own, for what nobody asked for (timers, start-up).
    pub fn spontaneous(origin: impl Into<String>, random: &Random) -> Self {
        Cause::root(random.uuid(), origin)
    }

    /// The cause of what is done because of `parent` (a request, delivery or event id) on the same path.
    #[must_use]
    pub fn child(&self, parent: impl Into<String>) -> Self {
        Cause { trace_id: self.trace_id.clone(), parent: parent.into(), origin: self.origin.clone() }
    }
}
