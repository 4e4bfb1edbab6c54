//! Holding a request while its service comes back.
//!
//! A service that was there a moment ago and now takes no connection is being started again, by the launcher or by a
//! container engine. A request of which nothing was sent can wait for that: its body is still with the client, so what
//! is held costs little. Time and number are bounded; beyond them the caller gets an error that SDKs retry.

use std::time::Duration;

use fractus_clock::Stopwatch;
use tokio::sync::SemaphorePermit;

use super::targets::{Target, Targets};

/// A request is held so long at most.
pub const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// Requests held at once, of all services.
pub const MOST_HELD: usize = 4096;
/// A replica may be back at its old address without anybody saying so.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One request's waiting; its place is free again when it is dropped.
pub struct Hold<'a> {
    targets: &'a Targets,
    since: Stopwatch,
    place: Option<SemaphorePermit<'a>>,
}

impl<'a> Hold<'a> {
    pub fn new(targets: &'a Targets) -> Self {
        Hold { targets, since: Stopwatch::start(), place: None }
    }

    /// Waits until another try is worth it; false when there is no time left, or no place.
    pub async fn wait(&mut self, target: &Target) -> bool {
        if self.place.is_none() {
            self.place = self.targets.place_to_wait();
        }
        let left = LONGEST_HOLD.saturating_sub(self.since.elapsed());
        if self.place.is_none() || left.is_zero() {
            return false;
        }
        // Whether something changed or the time is over: the caller looks.
        let _ = tokio::time::timeout(left.min(LOOK_AGAIN), target.changed()).await;
        true
    }
}
