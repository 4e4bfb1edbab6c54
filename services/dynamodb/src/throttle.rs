//! Throughput that runs out, where the setting `throttle` says so: provisioned units, and the maxima of on-demand tables.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html>
//!
//! A table or an index fills by its units each second of the lane's clock and keeps what was not used of the last five minutes
//! (burst capacity). A request goes through while anything is left, and what it consumes is taken then, so that the next ones wait
//! for it.

use std::collections::HashMap;
use std::sync::OnceLock;

use fractus_clock::Timestamp;
use fractus_dynamodb_rules::capacity::Units;
use fractus_host::Waker;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::scaling::Meters;
use crate::table::{OnDemandLimits, Table};
use crate::writes::Cost;

/// Seconds of unused throughput that are kept.
const BURST_SECS: f64 = 300.0;
/// Beyond it everything is forgotten, as if it had not been used.
const MAX_BUCKETS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Read,
    Write,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: f64,
    at: Timestamp,
}

/// A table and its index, or the table itself, and the kind.
type Holder = (u64, Option<u64>, Kind);

/// What an operation took. A transaction that the store runs again gives it back first.
#[derive(Debug, Default)]
pub struct Taken {
    units: Vec<(Holder, f64)>,
    metered: Vec<(Holder, f64, Timestamp)>,
}

impl Taken {
    pub fn add(&mut self, other: Taken) {
        self.units.extend(other.units);
        self.metered.extend(other.metered);
    }
}

#[derive(Default)]
pub struct Throttle {
    is_on: bool,
    /// What is consumed of tables whose throughput is scaled.
    pub meters: Meters,
    scaling: OnceLock<Waker>,
    buckets: Mutex<HashMap<Holder, Bucket>>,
}

/// Units a second, and whether the table is on demand; nothing where there is no bound.
fn rate(on_demand: bool, (read, write): (i64, i64), limits: OnDemandLimits, kind: Kind) -> Option<f64> {
    let (provisioned, limit) = match kind {
        Kind::Read => (read, limits.read),
        Kind::Write => (write, limits.write),
    };
    let units = if on_demand { limit? } else { provisioned };
    Some(units as f64)
}

impl Throttle {
    pub fn new(is_on: bool) -> Self {
        Throttle { is_on, ..Self::default() }
    }

    /// Takes what an operation on a table consumes; an error if there was nothing left before.
    pub fn take(&self, table: &Table, cost: &Cost, kind: Kind, now: Timestamp) -> Result<Taken> {
        if !self.is_on {
            return Ok(Taken { units: Vec::new(), metered: self.meter(table, cost, kind, now) });
        }
        let mut wanted = Vec::with_capacity(1 + cost.indexes.len());
        let mut own = cost.table;
        for (name, _, units) in &cost.indexes {
            match table.index(name).filter(|index| index.is_global) {
                Some(index) => {
                    let rate = rate(table.on_demand, index.throughput, index.limits, kind);
                    wanted.push((Some(index.number), rate, *units));
                }
                // Local indexes use up what is the table's.
                None => own = own + *units,
            }
        }
        if own > Units::ZERO {
            wanted.push((None, rate(table.on_demand, table.throughput, table.limits, kind), own));
        }
        let mut buckets = self.buckets.lock();
        if buckets.len() > MAX_BUCKETS {
            buckets.clear();
        }
        let bounded = wanted.into_iter().filter_map(|(number, rate, units)| Some((number, rate?, units)));
        let (mut taken, mut units_taken) = (Vec::new(), Vec::new());
        for (number, rate, units) in bounded {
            let key = (table.id, number, kind);
            let bucket = buckets.get(&key).copied().unwrap_or(Bucket { units: rate, at: now });
            let filled = bucket.units + rate * now.since(bucket.at).as_secs_f64();
            let left = filled.min(rate * BURST_SECS);
            if left <= 0.0 {
                return Err(if table.on_demand {
                    Error::BeyondMaximum
                } else {
                    Error::Throttled { is_index: number.is_some() }
                });
            }
            taken.push((key, Bucket { units: left - units.as_f64(), at: now }));
            units_taken.push((key, units.as_f64()));
        }
        buckets.extend(taken);
        drop(buckets);
        Ok(Taken { units: units_taken, metered: self.meter(table, cost, kind, now) })
    }

    /// Gives back what was taken by a run that counts for nothing.
    pub fn give_back(&self, taken: Taken) {
        if !taken.units.is_empty() {
            let mut buckets = self.buckets.lock();
            for (holder, units) in taken.units {
                if let Some(bucket) = buckets.get_mut(&holder) {
                    bucket.units += units;
                }
            }
        }
        for ((table, index, kind), units, at) in taken.metered {
            self.meters.add(table, index, kind, -units, at);
        }
    }

    /// Notes what was consumed, where throughput follows it; gives what was noted.
    fn meter(&self, table: &Table, cost: &Cost, kind: Kind, now: Timestamp) -> Vec<(Holder, f64, Timestamp)> {
        let mut metered = Vec::new();
        if table.features.scaled.is_empty() {
            return metered;
        }
        let mut own = cost.table;
        for (name, _, units) in &cost.indexes {
            match table.index(name).filter(|index| index.is_global) {
                Some(index) => metered.push(((table.id, Some(index.number), kind), units.as_f64(), now)),
                None => own = own + *units,
            }
        }
        if own > Units::ZERO {
            metered.push(((table.id, None, kind), own.as_f64(), now));
        }
        for &((table, index, kind), units, at) in &metered {
            self.meters.add(table, index, kind, units, at);
        }
        metered
    }

    pub fn wake_by(&self, waker: Waker) {
        // Set once: a service starts once.
        let _ = self.scaling.set(waker);
    }

    /// What is scaled is another thing now.
    pub fn wake(&self) {
        if let Some(waker) = self.scaling.get() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_used_is_kept_for_five_minutes() {
        let throttle = Throttle::new(true);
        let table = Table { throughput: (1, 2), ..Table::default() };
        let cost = |units| Cost { table: Units::whole(units), ..Cost::default() };
        let mut now = Timestamp::from_secs(1_000);
        let write = |units, now| throttle.take(&table, &cost(units), Kind::Write, now).is_ok();
        assert!(write(1, now) && write(5, now), "as long as anything is left");
        assert!(!write(1, now));
        now = now.plus(Duration::from_secs(2));
        assert!(!write(1, now), "the debt of four is paid");
        now = now.plus(Duration::from_secs(1));
        assert!(write(2, now) && !write(1, now));
        now = now.plus(Duration::from_secs(100_000));
        assert!(write(600, now) && !write(1, now));
    }

    #[test]
    fn what_a_run_for_nothing_took_is_given_back() {
        let throttle = Throttle::new(true);
        let table = Table { throughput: (1, 2), ..Table::default() };
        let cost = Cost { table: Units::whole(2), ..Cost::default() };
        let now = Timestamp::from_secs(1_000);
        for _ in 0..10 {
            let taken = throttle.take(&table, &cost, Kind::Write, now).unwrap();
            throttle.give_back(taken);
        }
        throttle.take(&table, &cost, Kind::Write, now).unwrap();
        assert!(throttle.take(&table, &cost, Kind::Write, now).is_err());
    }

    #[test]
    fn an_on_demand_table_is_bound_by_its_maxima_only() {
        let throttle = Throttle::new(true);
        let mut table = Table { on_demand: true, ..Table::default() };
        let cost = Cost { table: Units::whole(100_000), ..Cost::default() };
        let now = Timestamp::EPOCH;
        assert!((0..3).all(|_| throttle.take(&table, &cost, Kind::Read, now).is_ok()));
        table.limits.read = Some(10);
        throttle.take(&table, &cost, Kind::Read, now).unwrap();
        assert!(matches!(throttle.take(&table, &cost, Kind::Read, now), Err(Error::BeyondMaximum)));
    }
}
