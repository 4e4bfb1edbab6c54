//! When a schedule is due.

use std::time::Duration;

use fractus_clock::{Random, Timestamp};

use crate::error::InvalidDates;
use crate::expression::Expression;
use crate::zone::Zone;

/// An expression with everything that decides when it is due.
///
/// [Daylight saving time](https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time):
/// a cron time that clocks skip in spring is skipped, and one that they show twice in autumn counts once, the first
/// time; a rate's day is 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    expression: Expression,
    zone: Zone,
    /// What a rate counts from.
    anchor: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

/// What became due in a span of time, as much of it as was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// From the first on.
    pub at: Vec<Timestamp>,
    /// When more than was asked for became due: from where to go on asking.
    pub more_after: Option<Timestamp>,
}

/// How far in the past a schedule may begin when it is made.
const START_GRACE: Duration = Duration::from_secs(5 * 60);

impl Schedule {
    /// A schedule made at `created`. A rate is first due then; a rule, which first waits for one period, asks for what
    /// is due after that moment.
    pub fn new(expression: Expression, zone: Zone, created: Timestamp) -> Self {
        Schedule { expression, zone, anchor: created, start: None, end: None }
    }

    /// Due at `start` at the earliest and at `end` at the latest; a rate counts from the start. One-time schedules
    /// ignore both.
    #[must_use]
    pub fn within(mut self, start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
        self.anchor = start.unwrap_or(self.anchor);
        (self.start, self.end) = (start, end);
        self
    }

    /// Whether the dates of a schedule made now are allowed.
    pub fn check_dates(start: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Result<(), InvalidDates> {
        if start.is_some_and(|start| start < now.minus(START_GRACE)) {
            return Err(InvalidDates::StartTooEarly);
        }
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            return Err(InvalidDates::EndBeforeStart);
        }
        Ok(())
    }

    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The first time it is due that is later than `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if let Expression::At(local) = &self.expression {
            return self.zone.at_or_behind(*local).filter(|at| *at > after);
        }
        // One tick before the start, so that the start itself counts.
        let after = match self.start {
            Some(start) => after.max(start.minus(TICK)),
            None => after,
        };
        let next = match &self.expression {
            Expression::Rate(period) => self.next_of_rate(*period, after),
            Expression::Cron(cron) => {
                let mut local = self.zone.local(after);
                loop {
                    local = cron.next_after(local)?;
                    // None is a time that clocks skip; one that is not later lies in an hour that they show twice.
                    if let Some(at) = self.zone.first_at(local).filter(|at| *at > after) {
                        break Some(at);
                    }
                }
            }
            Expression::At(_) => None,
        };
        next.filter(|next| self.end.is_none_or(|end| *next <= end))
    }

    /// The first time it is due that is not earlier than `from`.
    pub fn next_from(&self, from: Timestamp) -> Option<Timestamp> {
        self.next_after(from.minus(TICK))
    }

    fn next_of_rate(&self, period: Duration, after: Timestamp) -> Option<Timestamp> {
        if after < self.anchor {
            return Some(self.anchor);
        }
        let period = i64::try_from(period.as_micros()).ok().filter(|period| *period > 0)?;
        let passed = after.micros().checked_sub(self.anchor.micros())? / period;
        let next = passed.checked_add(1)?.checked_mul(period)?.checked_add(self.anchor.micros())?;
        Some(Timestamp::from_micros(next))
    }

    /// Every time it is due later than `after` and not later than `until`, one by one.
    pub fn occurrences(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last)).take_while(move |at| *at <= until)
    }

    /// The same, `limit` of them at most: what a clock that has jumped over a year is answered with.
    pub fn due(&self, after: Timestamp, until: Timestamp, limit: usize) -> Due {
        let mut occurrences = self.occurrences(after, until);
        let at: Vec<Timestamp> = occurrences.by_ref().take(limit).collect();
        let more_after = occurrences.next().map(|_| at.last().copied().unwrap_or(after));
        Due { at, more_after }
    }

    /// The first of the last `limit` (one at least) times it is due in `from..=until`, both included; none if it is not
    /// due in that time. So a clock that jumps over a year is caught up with without all of the year's occurrences.
    pub fn latest(&self, from: Timestamp, until: Timestamp, limit: usize) -> Option<Timestamp> {
        let fits = |from: Timestamp| {
            let first = self.next_from(from);
            std::iter::successors(first, |last| self.next_after(*last))
                .take_while(|at| *at <= until)
                .nth(limit)
                .is_none()
        };
        let first = self.next_from(from).filter(|at| *at <= until)?;
        if fits(first) {
            return Some(first);
        }
        // No schedule is due twice within a second, so the search may end at one.
        let (mut too_early, mut enough) = (first, until);
        while enough.since(too_early) > Duration::from_secs(1) {
            let middle = too_early.plus(enough.since(too_early) / 2);
            if fits(middle) {
                enough = middle;
            } else {
                too_early = middle;
            }
        }
        self.next_from(enough).filter(|at| *at <= until)
    }

    /// Whether it is never due again.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.next_after(now).is_none()
    }
}

const TICK: Duration = Duration::from_micros(1);

/// When a target is called that is due at `at` and may be called any time in a [flexible time window] of so many
/// minutes.
///
/// [flexible time window]: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-flexible-time-windows.html
pub fn spread(at: Timestamp, window_minutes: u16, random: &Random) -> Timestamp {
    at.plus(Duration::from_millis(random.below(u64::from(window_minutes) * 60_000)))
}
