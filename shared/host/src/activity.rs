//! What a connection is doing, so that a silent one can be told from one that waits for us.
//!
//! hyper can time the reading of heads, at the price of a timer for every request. Here a connection counts, and its
//! one slow timer looks at the counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one connection.
#[derive(Default)]
pub(crate) struct Activity {
    /// Requests and bodies that wait for the service, not for the peer.
    busy: AtomicU64,
    /// Grows with everything that happens.
    progress: AtomicU64,
}

/// Something that the service is still working on.
pub(crate) struct Busy {
    activity: Arc<Activity>,
    counted: bool,
}

impl Activity {
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.progress.fetch_add(1, Ordering::Relaxed);
        Busy { activity: self.clone(), counted: true }
    }

    /// `None` while the service works; otherwise a number that stays the same as long as nothing happens.
    pub fn silent_since(&self) -> Option<u64> {
        (self.busy.load(Ordering::Relaxed) == 0).then(|| self.progress.load(Ordering::Relaxed))
    }
}

impl Busy {
    /// Whether it is the service that makes the peer wait, or the other way round.
    pub fn waits_for_service(&mut self, waits: bool) {
        self.activity.progress.fetch_add(1, Ordering::Relaxed);
        if waits == self.counted {
            return;
        }
        self.counted = waits;
        if waits {
            self.activity.busy.fetch_add(1, Ordering::Relaxed);
        } else {
            self.activity.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.progress.fetch_add(1, Ordering::Relaxed);
        if self.counted {
            self.activity.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_silent_while_nothing_is_worked_on_and_nothing_happens() {
        let activity = Arc::new(Activity::default());
        let first = activity.silent_since().unwrap();
        let mut busy = activity.begin();
        assert_eq!(activity.silent_since(), None);
        busy.waits_for_service(false);
        let second = activity.silent_since().unwrap();
        assert_ne!(first, second);
        assert_eq!(activity.silent_since(), Some(second));
        busy.waits_for_service(true);
        assert_eq!(activity.silent_since(), None);
        drop(busy);
        assert!(activity.silent_since().is_some());
    }
}
