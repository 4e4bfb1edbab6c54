//! When a schedule's target is invoked.

use std::time::Duration;

use fractus_clock::{Random, Timestamp};
use fractus_schedules::{Schedule as Times, Zone, spread};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::Settings;

/// A schedule's entry in the index of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// When the target is invoked: `scheduled_at`, or later within the flexible time window.
    pub at: Timestamp,
    /// The time that the schedule says.
    pub scheduled_at: Timestamp,
    /// Up to here it is settled which occurrences of a jump are made up for.
    pub settled_until: Timestamp,
}

/// What becomes of a schedule whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The time for which the target is invoked; none where a jump of the clock skips it.
    pub fires: Option<Timestamp>,
    pub next: Option<Next>,
}

/// When a schedule is due, ready to be asked.
#[derive(Clone, Debug)]
pub struct Timing {
    times: Times,
    window_minutes: u16,
    /// Two schedules are spread differently, and each one always alike.
    seed: u64,
}

impl Timing {
    pub fn of(settings: &Settings, anchor: Timestamp, arn: &str) -> Result<Timing> {
        let expression = settings.expression.parse()?;
        let zone = Zone::parse(&settings.time_zone)?;
        let times = Times::new(expression, zone, anchor).within(settings.start, settings.end);
        Ok(Timing { times, window_minutes: settings.window_minutes.unwrap_or(0), seed: fnv(arn.as_bytes()) })
    }

    /// The first entry from `now` on, later than the last time for which the target was invoked.
    pub fn first(&self, now: Timestamp, last: Option<Timestamp>) -> Option<Next> {
        let from = last.map_or(now, |last| now.max(last.plus(TICK)));
        self.times.next_from(from).map(|scheduled_at| self.entry(scheduled_at, scheduled_at.minus(TICK)))
    }

    /// What to do about `next`, whose time has come.
    ///
    /// The occurrences that a jump of the clock leaves behind are all made up for, in the order of their times, as long
    /// as they are no more than `limit`; of more the latest `limit`. A bound there must be (a rate of a minute leaves
    /// 525,600 behind in a year), and the latest are what a target would still have been asked for after an outage.
    pub fn turn(&self, next: Next, now: Timestamp, limit: usize) -> Turn {
        let mut settled_until = next.settled_until;
        if next.scheduled_at > settled_until {
            let first = self.times.latest(next.scheduled_at, now, limit.max(1)).unwrap_or(next.scheduled_at);
            settled_until = now.max(next.scheduled_at);
            if first > next.scheduled_at {
                return Turn { fires: None, next: Some(self.entry(first, settled_until)) };
            }
        }
        let following = self.times.next_after(next.scheduled_at);
        let next_entry = following.map(|scheduled_at| self.entry(scheduled_at, settled_until));
        Turn { fires: Some(next.scheduled_at), next: next_entry }
    }

    fn entry(&self, scheduled_at: Timestamp, settled_until: Timestamp) -> Next {
        let at = match self.window_minutes {
            0 => scheduled_at,
            minutes => {
                let seed = self.seed ^ scheduled_at.micros().cast_unsigned();
                spread(scheduled_at, minutes, &Random::seeded(seed))
            }
        };
        Next { at, scheduled_at, settled_until }
    }
}

const TICK: Duration = Duration::from_micros(1);

/// FNV-1a: the same everywhere and always, which the standard library's hashes do not promise.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
