//! The clock that can be moved.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::Timestamp;

/// How virtual time follows real time: `virtual = virtual_base + (real - real_base) × scale`.
///
/// A frozen clock has scale 0. This is also the form in which a clock travels between services, so that all
/// replicas and services of a lane agree on the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockSettings {
    /// Virtual time at `real_base`.
    pub virtual_base: Timestamp,
    /// The real moment at which these settings began to hold.
    pub real_base: Timestamp,
    /// Virtual seconds in one real second; 0 is frozen, never negative.
    pub scale: f64,
}

impl ClockSettings {
    /// Virtual time is real time.
    pub const REAL: ClockSettings =
        ClockSettings { virtual_base: Timestamp::EPOCH, real_base: Timestamp::EPOCH, scale: 1.0 };

    /// Whether virtual time is real time: always so, or again since a reset.
    pub fn is_real(&self) -> bool {
        self.scale == 1.0 && self.virtual_base == self.real_base
    }

    /// The virtual time at the real moment `real`.
    pub fn at(&self, real: Timestamp) -> Timestamp {
        if self.is_real() {
            return real;
        }
        let elapsed_micros = real.micros().saturating_sub(self.real_base.micros());
        let moved = if self.scale == 1.0 { elapsed_micros } else { (elapsed_micros as f64 * self.scale) as i64 };
        Timestamp::from_micros(self.virtual_base.micros().saturating_add(moved))
    }
}

/// A handle to one lane's clock; clones share it.
#[derive(Clone)]
pub struct Clock {
    settings: Arc<watch::Sender<ClockSettings>>,
}

impl Clock {
    /// A clock that follows real time until it is told otherwise.
    pub fn real() -> Self {
        Clock { settings: Arc::new(watch::Sender::new(ClockSettings::REAL)) }
    }

    /// A frozen clock for tests; it moves only by [`Clock::advance`] and [`Clock::set`].
    pub fn frozen_at(now: Timestamp) -> Self {
        let settings = ClockSettings { virtual_base: now, real_base: real_now(), scale: 0.0 };
        Clock { settings: Arc::new(watch::Sender::new(settings)) }
    }

    /// The virtual time now.
    pub fn now(&self) -> Timestamp {
        self.settings.borrow().at(real_now())
    }

    pub fn settings(&self) -> ClockSettings {
        *self.settings.borrow()
    }

    /// How much virtual time goes by in a span of real time, at the clock's present speed; none while it is frozen. For
    /// how long something took: a clock that was set meanwhile does not lengthen it.
    pub fn span(&self, real: Duration) -> Duration {
        let scale = self.settings.borrow().scale;
        if scale == 1.0 {
            real
        } else {
            Duration::try_from_secs_f64(real.as_secs_f64() * scale).unwrap_or(Duration::MAX)
        }
    }

    /// Takes over settings made elsewhere (another service or replica), whatever holds; wakes every sleeper.
    pub fn apply(&self, settings: ClockSettings) {
        self.settings.send_replace(settings);
    }

    /// The same of settings that were told some time ago, unless newer ones hold already. A process that moves its clock
    /// twice hears of the first move after the second one, and must not go back to it.
    pub fn apply_if_newer(&self, settings: ClockSettings) {
        self.settings.send_if_modified(|current| {
            let is_newer = settings.real_base > current.real_base;
            if is_newer {
                *current = settings;
            }
            is_newer
        });
    }

    /// Stops the clock where it is.
    pub fn freeze(&self) {
        self.change(|now, _| (now, 0.0));
    }

    /// Lets a frozen or scaled clock run at real speed, from where it is.
    pub fn resume(&self) {
        self.change(|now, _| (now, 1.0));
    }

    /// Sets the virtual time; speed stays.
    pub fn set(&self, to: Timestamp) {
        self.change(|_, scale| (to, scale));
    }

    /// Moves the virtual time forward; speed stays.
    pub fn advance(&self, by: Duration) {
        self.change(|now, scale| (now.plus(by), scale));
    }

    /// Virtual seconds per real second from now on; a negative or non-finite scale freezes.
    pub fn scale(&self, scale: f64) {
        let scale = if scale.is_finite() && scale > 0.0 { scale } else { 0.0 };
        self.change(|now, _| (now, scale));
    }

    /// Back to real time.
    pub fn reset(&self) {
        // Begins now, so that whoever hears of it late knows what came first.
        let real = real_now();
        self.apply(ClockSettings { virtual_base: real, real_base: real, scale: 1.0 });
    }

    fn change(&self, decide: impl Fn(Timestamp, f64) -> (Timestamp, f64)) {
        self.settings.send_modify(|settings| {
            let real = real_now();
            let (virtual_base, scale) = decide(settings.at(real), settings.scale);
            *settings = ClockSettings { virtual_base, real_base: real, scale };
        });
    }

    /// Completes when virtual time reaches `deadline`, however the clock is moved meanwhile.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let mut changes = self.settings.subscribe();
        loop {
            let settings = *changes.borrow_and_update();
            let remaining = deadline.since(settings.at(real_now()));
            if remaining.is_zero() {
                return;
            }
            // A year at a time bounds the timer; a scale of 0 waits for a change alone.
            let real_wait = (settings.scale > 0.0)
                .then(|| Duration::from_secs_f64((remaining.as_secs_f64() / settings.scale).min(31_536_000.0)));
            let changed = async {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            match real_wait {
                Some(wait) => {
                    // Rounded up, so that the deadline has really passed when the timer ends.
                    #[allow(clippy::disallowed_methods)]
                    let timer = tokio::time::sleep(wait + Duration::from_micros(500));
                    tokio::select! { () = timer => {}, () = changed => {} }
                }
                None => changed.await,
            }
        }
    }

    /// Completes after `duration` of virtual time.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        // The deadline counts from the call, not from the first poll.
        let deadline = self.now().plus(duration);
        let clock = self.clone();
        async move { clock.sleep_until(deadline).await }
    }

    /// A receiver that is marked changed whenever the clock is moved or its speed changes.
    pub fn changes(&self) -> watch::Receiver<ClockSettings> {
        self.settings.subscribe()
    }
}

/// The clocks of all lanes. A lane without one of its own follows `main`'s creation default: real time.
#[derive(Clone, Default)]
pub struct Clocks {
    lanes: Arc<RwLock<HashMap<String, Clock>>>,
    /// Serialises creation so that two callers never get different clocks for a lane.
    creating: Arc<Mutex<()>>,
}

impl Clocks {
    /// The clock of `lane`, made on first use.
    pub fn lane(&self, lane: &str) -> Clock {
        if let Some(clock) = self.lanes.read().get(lane) {
            return clock.clone();
        }
        let _creating = self.creating.lock();
        self.lanes.write().entry(lane.to_owned()).or_insert_with(Clock::real).clone()
    }

    /// Puts `clock` in place for `lane` (tests).
    pub fn insert(&self, lane: &str, clock: Clock) {
        self.lanes.write().insert(lane.to_owned(), clock);
    }

    /// The lanes that have a clock.
    pub fn lanes(&self) -> Vec<String> {
        self.lanes.read().keys().cloned().collect()
    }
}

/// Measures real elapsed time: for logs and metrics only, never for a rule.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Stopwatch(std::time::Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[allow(clippy::disallowed_methods)]
fn real_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus(since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_on_a_frozen_clock_wakes_when_the_clock_is_moved_past_it() {
        let clock = Clock::frozen_at(Timestamp::from_secs(1_000));
        let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(900)));
        clock.advance(Duration::from_secs(899));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_secs(1_900));
    }

    #[test]
    fn a_span_follows_the_speed_and_not_the_hands_of_a_clock() {
        let clock = Clock::frozen_at(Timestamp::from_secs(1_000));
        let second = Duration::from_secs(1);
        assert_eq!(clock.span(second), Duration::ZERO);
        clock.scale(60.0);
        clock.advance(Duration::from_secs(900));
        assert_eq!(clock.span(second), Duration::from_secs(60));
        clock.resume();
        assert_eq!(clock.span(second), second);
        clock.scale(f64::MAX);
        assert_eq!(clock.span(second), Duration::MAX);
    }

    #[test]
    fn settings_scale_time_from_their_base() {
        let base = Timestamp::from_secs(100);
        let settings = ClockSettings { virtual_base: Timestamp::from_secs(5_000), real_base: base, scale: 60.0 };
        assert_eq!(settings.at(Timestamp::from_secs(110)), Timestamp::from_secs(5_600));
        assert_eq!(ClockSettings::REAL.at(base), base);
    }

    #[test]
    fn what_is_heard_late_does_not_turn_a_clock_back() {
        let clock = Clock::frozen_at(Timestamp::from_secs(1_000));
        let pause = || std::thread::sleep(Duration::from_micros(10));
        let mut told = Vec::new();
        for _ in 0..3 {
            pause();
            clock.advance(Duration::from_secs(60));
            told.push(clock.settings());
        }
        pause();
        clock.reset();
        let reset = clock.settings();
        assert!(reset.is_real());
        told.iter().for_each(|settings| clock.apply_if_newer(*settings));
        assert_eq!(clock.settings(), reset);
        let other = Clock::real();
        [told[2], told[0], reset, told[1]].iter().for_each(|settings| other.apply_if_newer(*settings));
        assert_eq!(other.settings(), reset);
        clock.apply(told[1]);
        assert_eq!(clock.now(), Timestamp::from_secs(1_120));
    }

    #[test]
    fn lanes_keep_their_own_clocks() {
        let clocks = Clocks::default();
        clocks.lane("a").set(Timestamp::from_secs(1));
        clocks.lane("a").freeze();
        assert!(clocks.lane("a").now() < clocks.lane("b").now());
    }
}
