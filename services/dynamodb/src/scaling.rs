//! Auto-scaling: throughput that follows what is consumed, by target tracking and the lane's clock.
//!
//! What a table, or an index, consumes is gathered by the minute. Throughput goes up when two minutes, one after the other, were above the
//! target, and down when fifteen were well below it: as the alarms that Application Auto Scaling makes for DynamoDB. A minute in
//! which nothing was consumed is no measure, so that throughput does not go down where nothing happens at all.
//! What is gathered is the process's own, and is gone with it.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/AutoScaling.html>

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fractus_aws::Lane;
use fractus_clock::Timestamp;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::operations::update_billing::note_change;
use crate::places::places;
use crate::service::DynamoDb;
use crate::store::{TABLES, Table};
use crate::throttle::Kind;

/// Tables whose throughput is scaled, by name.
pub const SCALED: Collection<(String,), u64> = Collection::new("scaled-tables");

const MINUTE_SECS: i64 = 60;
/// Minutes above the target before throughput goes up.
const HIGH_MINUTES: i64 = 2;
/// Minutes below before it goes down.
const LOW_MINUTES: i64 = 15;
/// So many points below the target is well below it.
const LOW_MARGIN: f64 = 20.0;
/// What is gathered of more than so many tables and indexes is forgotten.
const MAX_METERS: usize = 10_000;

/// What is scaled, as a table's record has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaled {
    pub index: Option<String>,
    pub of_writes: bool,
    pub minimum: i64,
    pub maximum: i64,
    /// Percent of what is provisioned.
    pub target: f64,
    pub only_out: bool,
    pub out_cooldown_secs: u64,
    pub in_cooldown_secs: u64,
    #[serde(default)]
    pub last_out_at: Option<Timestamp>,
    #[serde(default)]
    pub last_in_at: Option<Timestamp>,
}

/// Targets are percents with fractions; a number that is none is not stored.
impl Eq for Scaled {}

impl Scaled {
    pub fn is_of(&self, index: Option<&str>, of_writes: bool) -> bool {
        self.index.as_deref() == index && self.of_writes == of_writes
    }
}

/// Units consumed in the minutes that were any, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    minutes: VecDeque<(i64, f64)>,
}

fn minute_of(at: Timestamp) -> i64 {
    at.secs().div_euclid(MINUTE_SECS)
}

impl Meter {
    fn add(&mut self, units: f64, now: Timestamp) {
        let minute = minute_of(now);
        match self.minutes.back_mut() {
            Some((last, sum)) if *last == minute => *sum += units,
            _ => self.minutes.push_back((minute, units)),
        }
        while self.minutes.front().is_some_and(|(first, _)| *first < minute - LOW_MINUTES - 1) {
            self.minutes.pop_front();
        }
    }

    /// Units a second in each of the last complete minutes, the latest first; nothing for one without any.
    fn rates(&self, now: Timestamp, count: i64) -> Vec<Option<f64>> {
        let last = minute_of(now) - 1;
        let of =
            |minute| self.minutes.iter().find(|(own, _)| *own == minute).map(|(_, units)| units / MINUTE_SECS as f64);
        (0..count).map(|back| of(last - back)).collect()
    }
}

/// The units that are to be provisioned; nothing if they stay.
pub fn wanted(scaled: &Scaled, provisioned: i64, meter: &Meter, now: Timestamp) -> Option<i64> {
    let cools =
        |last: Option<Timestamp>, secs: u64| last.is_some_and(|last| last.plus(Duration::from_secs(secs)) > now);
    let held = provisioned.clamp(scaled.minimum, scaled.maximum);
    if held != provisioned {
        return Some(held);
    }
    let used = |percent: f64| provisioned as f64 * percent / 100.0;
    let needed = |rate: f64| (rate * 100.0 / scaled.target).ceil() as i64;
    let high: Option<Vec<f64>> = meter.rates(now, HIGH_MINUTES).into_iter().collect();
    if let Some(rates) = high.filter(|rates| rates.iter().all(|rate| *rate > used(scaled.target))) {
        let to = needed(rates.iter().copied().fold(0.0, f64::max)).clamp(scaled.minimum, scaled.maximum);
        return Some(to).filter(|to| *to > provisioned && !cools(scaled.last_out_at, scaled.out_cooldown_secs));
    }
    let low = meter.rates(now, LOW_MINUTES).into_iter().collect::<Option<Vec<f64>>>().filter(|_| !scaled.only_out)?;
    if low.iter().any(|rate| *rate >= used(scaled.target - LOW_MARGIN)) {
        return None;
    }
    let to = needed(low.iter().copied().fold(0.0, f64::max)).clamp(scaled.minimum, scaled.maximum);
    let is_cooling =
        cools(scaled.last_in_at, scaled.in_cooldown_secs) || cools(scaled.last_out_at, scaled.in_cooldown_secs);
    Some(to).filter(|to| *to < provisioned && !is_cooling)
}

/// A table, the number of its index or the table itself, and the kind of units.
type Metered = (u64, Option<u64>, Kind);

/// What is consumed of everything that is scaled.
#[derive(Debug, Default)]
pub struct Meters {
    meters: Mutex<HashMap<Metered, Meter>>,
}

impl Meters {
    pub fn add(&self, table: u64, index: Option<u64>, kind: Kind, units: f64, now: Timestamp) {
        let mut meters = self.meters.lock();
        if meters.len() > MAX_METERS {
            meters.clear();
        }
        meters.entry((table, index, kind)).or_default().add(units, now);
    }

    fn of(&self, metered: Metered) -> Meter {
        self.meters.lock().get(&metered).cloned().unwrap_or_default()
    }
}

/// Puts what is scaled into a table's record, or takes it out.
pub fn set(tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table, scaled: Scaled, is_on: bool) -> Result<()> {
    let all = &mut table.features.scaled;
    let before = all.iter().find(|own| own.is_of(scaled.index.as_deref(), scaled.of_writes)).cloned();
    all.retain(|own| !own.is_of(scaled.index.as_deref(), scaled.of_writes));
    if is_on {
        let (last_out_at, last_in_at) = before.map_or((None, None), |before| (before.last_out_at, before.last_in_at));
        all.push(Scaled { last_out_at, last_in_at, ..scaled });
    }
    Ok(tx.put(&SCALED, scope, &(table.name.as_str(),), &table.id)?)
}

/// Scales a table as it is to be now; says whether it is scaled at all.
fn scale(tx: &mut Transaction<'_>, scope: &Scope, dynamodb: &DynamoDb, name: &str) -> Result<bool> {
    let now = tx.now(scope);
    let found = tx.get(&TABLES, scope, &(name,))?.filter(|table| table.state(now).is_some());
    let Some(mut table) = found.filter(|table| !table.features.scaled.is_empty()) else {
        tx.delete(&SCALED, scope, &(name,))?;
        return Ok(false);
    };
    if table.on_demand || table.active_at > now || table.updated_at.is_some_and(|at| at > now) {
        return Ok(true);
    }
    let (id, mut has_changed) = (table.id, false);
    let done_at = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let mut all = std::mem::take(&mut table.features.scaled);
    for scaled in &mut all {
        let kind = if scaled.of_writes { Kind::Write } else { Kind::Read };
        let (number, units, changes) = match &scaled.index {
            None => (None, &mut table.throughput, &mut table.throughput_changes),
            Some(name) => match table.indexes.iter_mut().find(|index| index.name == *name) {
                Some(index) => (Some(index.number), &mut index.throughput, &mut index.throughput_changes),
                None => continue,
            },
        };
        let before = *units;
        let own = if scaled.of_writes { &mut units.1 } else { &mut units.0 };
        let provisioned = *own;
        let meter = dynamodb.throttle.meters.of((id, number, kind));
        let Some(to) = wanted(scaled, provisioned, &meter, now) else { continue };
        *own = to;
        if to > provisioned {
            scaled.last_out_at = Some(now)
        } else {
            scaled.last_in_at = Some(now)
        }
        note_change(changes, before, *units, now);
        has_changed = true;
    }
    table.features.scaled = all;
    if has_changed {
        table.updated_at = Some(done_at);
        tx.put(&TABLES, scope, &(name,), &table)?;
    }
    Ok(true)
}

/// Starts the task that scales.
pub fn start(dynamodb: &Arc<DynamoDb>) {
    let service = Arc::clone(dynamodb);
    let waker = dynamodb.host.background("auto scaling", move |lane| {
        let dynamodb = Arc::clone(&service);
        async move {
            round(&dynamodb, &lane).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "scaling is tried again");
                None
            })
        }
    });
    dynamodb.throttle.wake_by(waker);
}

/// Scales all tables of a lane that are scaled; where there are any, it does so again in the next minute of the lane's clock.
async fn round(dynamodb: &DynamoDb, lane: &Lane) -> Result<Option<Timestamp>> {
    let mut has_any = false;
    for place in places(dynamodb, lane, SCALED.name()).await? {
        let scope = place.scope();
        let names = dynamodb.store.read(|snapshot| {
            let keys = snapshot.keys(&SCALED, &scope, Range::all(), Order::Ascending)?;
            keys.map(|key| Ok::<_, Error>(key?.0)).collect::<Result<Vec<String>>>()
        });
        for name in names.await? {
            has_any |= dynamodb.store.write(|tx| scale(tx, &scope, dynamodb, &name)).await?;
        }
    }
    let now = dynamodb.host.clocks().lane(lane.as_str()).now();
    Ok(has_any.then(|| Timestamp::from_secs((minute_of(now) + 1) * MINUTE_SECS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn scaled() -> Scaled {
        Scaled {
            index: None,
            of_writes: true,
            minimum: 5,
            maximum: 40,
            target: 70.0,
            only_out: false,
            out_cooldown_secs: 0,
            in_cooldown_secs: 0,
            last_out_at: None,
            last_in_at: None,
        }
    }

    fn metered(per_minute: impl IntoIterator<Item = f64>) -> (Meter, Timestamp) {
        let (mut meter, mut now) = (Meter::default(), Timestamp::from_secs(6_000));
        for units in per_minute {
            if units > 0.0 {
                meter.add(units, now);
            }
            now = now.plus(MINUTE);
        }
        (meter, now)
    }

    #[test]
    fn two_minutes_above_the_target_raise_it_up_to_the_maximum() {
        // Five provisioned: 70 percent of them in a minute are 210.
        let (meter, now) = metered([211.0, 840.0]);
        assert_eq!(wanted(&scaled(), 5, &meter, now), Some(20));
        let (meter, now) = metered([200.0, 840.0]);
        assert_eq!(wanted(&scaled(), 5, &meter, now), None);
        let (meter, now) = metered([6_000.0, 6_000.0]);
        assert_eq!(wanted(&scaled(), 5, &meter, now), Some(40));
        let cooling = Scaled { last_out_at: Some(now), out_cooldown_secs: 60, ..scaled() };
        assert_eq!(wanted(&cooling, 5, &meter, now), None);
    }

    #[test]
    fn a_quarter_of_an_hour_well_below_lowers_it_down_to_the_minimum() {
        let (meter, now) = metered([60.0; 15]);
        assert_eq!(wanted(&scaled(), 40, &meter, now), Some(5));
        assert_eq!(wanted(&Scaled { only_out: true, ..scaled() }, 40, &meter, now), None);
        let (meter, now) = metered([600.0; 15]);
        assert_eq!(wanted(&scaled(), 40, &meter, now), Some(15));
        let (meter, now) = metered([1_260.0; 15]);
        assert_eq!(wanted(&scaled(), 40, &meter, now), None, "between the two");
        let (meter, now) = metered([60.0; 14]);
        assert_eq!(wanted(&scaled(), 40, &meter, now), None);
        let (meter, now) = metered((0..15).map(|n| if n == 7 { 0.0 } else { 60.0 }));
        assert_eq!(wanted(&scaled(), 40, &meter, now), None, "a minute without any is no measure");
    }

    #[test]
    fn what_is_out_of_its_bounds_comes_into_them() {
        let (meter, now) = metered([]);
        assert_eq!(wanted(&scaled(), 2, &meter, now), Some(5));
        assert_eq!(wanted(&scaled(), 80, &meter, now), Some(40));
        assert_eq!(wanted(&scaled(), 7, &meter, now), None);
    }
}
