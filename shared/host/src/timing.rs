//! How long a request takes: since its head was read, and since its body had come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fractus_clock::{Clock, Stopwatch};

/// The times of one request. They run by the speed of the lane's clock: under a frozen one nothing takes any time.
#[derive(Debug)]
pub struct Timing {
    started: Stopwatch,
    /// Microseconds from the start until the body had come; 0 where nobody has said so, and for a request without one.
    body_micros: AtomicU64,
}

impl Timing {
    pub(crate) fn start() -> Timing {
        Timing { started: Stopwatch::start(), body_micros: AtomicU64::new(0) }
    }

    /// Notes that the last byte of the request has come.
    pub fn body_has_come(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.body_micros.store(micros, Ordering::Relaxed);
    }

    /// Since the head was read.
    pub fn total(&self, clock: &Clock) -> Duration {
        clock.span(self.started.elapsed())
    }

    /// Since the last byte of the request had come.
    pub fn since_body(&self, clock: &Clock) -> Duration {
        let body = Duration::from_micros(self.body_micros.load(Ordering::Relaxed));
        clock.span(self.started.elapsed().saturating_sub(body))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The same request's, for what goes on after its context has gone.
impl Clone for Timing {
    fn clone(&self) -> Timing {
        Timing { started: self.started, body_micros: AtomicU64::new(self.body_micros.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_body_is_not_counted_to_what_follows_it() {
        let clock = Clock::real();
        let timing = Timing::start();
        assert!(timing.since_body(&clock) <= timing.total(&clock));
        timing.body_micros.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(timing.since_body(&clock), Duration::ZERO);
        timing.body_has_come();
        assert!(timing.body_micros.load(Ordering::Relaxed) < u64::MAX);
        clock.freeze();
        assert_eq!(timing.clone().total(&clock), Duration::ZERO);
    }
}
