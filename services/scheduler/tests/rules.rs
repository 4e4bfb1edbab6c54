//! The index of what is due, against a plain reference that knows no index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fractus_aws::{Lane, Region, World};
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_scheduler::error::{Error, Result};
use fractus_scheduler::model::schedules::{self, Taken};
use fractus_scheduler::store::{DUE, Place, SCHEDULES, Settings, lane_scope};
use fractus_schedules::{Schedule as Times, Zone};
use fractus_store::{Order, Range, Store};
use proptest::prelude::*;

const LIMIT: usize = 7;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const EXPRESSIONS: [&str; 5] =
    ["rate(1 minute)", "rate(7 minutes)", "cron(0/5 * * * ? *)", "cron(0 13 * * ? *)", "at(2026-11-23T12:40:00)"];

#[derive(Clone, Debug)]
enum Act {
    Create { name: usize, expression: usize },
    Disable { name: usize },
    Enable { name: usize },
    Delete { name: usize },
    Advance { secs: u64 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = 0..NAMES.len();
    let act = prop_oneof![
        (name.clone(), 0..EXPRESSIONS.len()).prop_map(|(name, expression)| Act::Create { name, expression }),
        name.clone().prop_map(|name| Act::Disable { name }),
        name.clone().prop_map(|name| Act::Enable { name }),
        name.prop_map(|name| Act::Delete { name }),
        prop_oneof![1..40u64, 60..600u64, Just(86_400 * 20)].prop_map(|secs| Act::Advance { secs }),
    ];
    prop::collection::vec(act, 1..40)
}

fn settings(expression: usize, enabled: bool) -> Settings {
    Settings {
        expression: EXPRESSIONS[expression].to_owned(),
        time_zone: "UTC".to_owned(),
        start: None,
        end: None,
        description: None,
        enabled,
        kms_key: None,
        window_minutes: None,
        delete_when_completed: false,
        target: serde_json::Value::Null,
        data_key: None,
    }
}

/// What the reference knows: when it was made, from where on it may fire.
#[derive(Clone)]
struct Known {
    expression: usize,
    times: Times,
    from: Timestamp,
    enabled: bool,
}

impl Known {
    /// All that is due up to now, the latest of it, one by one.
    fn fire(&mut self, now: Timestamp) -> Vec<Timestamp> {
        if !self.enabled || self.from > now {
            return Vec::new();
        }
        let before = self.from.minus(Duration::from_micros(1));
        let all: Vec<Timestamp> = self.times.occurrences(before, now).collect();
        // Only what has fired is not fired again: a moment at which nothing was due may still be named by an update.
        if let Some(last) = all.last() {
            self.from = last.plus(Duration::from_micros(1));
        }
        all[all.len().saturating_sub(LIMIT)..].to_vec()
    }
}

struct Harness {
    store: Store,
    clock: Clock,
    place: Place,
    known: BTreeMap<usize, Known>,
}

impl Harness {
    fn new() -> Self {
        let clocks = Clocks::default();
        let clock = Clock::frozen_at(Timestamp::parse_date_time("2026-11-23T12:00:10Z").unwrap());
        clocks.insert("main", clock.clone());
        let place = Place::new(&World::default_world(), &Region::us_east_1());
        Harness { store: Store::memory(clocks), clock, place, known: BTreeMap::new() }
    }

    async fn act(&mut self, act: &Act) {
        let now = self.clock.now();
        match *act {
            Act::Create { name, expression } => {
                let key = ("default", NAMES[name]);
                let made = self
                    .store
                    .write(|tx| schedules::create(tx, &self.place, key, settings(expression, true), now, 100))
                    .await;
                assert_eq!(made.is_ok(), !self.known.contains_key(&name));
                let times = Times::new(EXPRESSIONS[expression].parse().unwrap(), Zone::UTC, now);
                self.known.entry(name).or_insert(Known { expression, times, from: now, enabled: true });
            }
            Act::Disable { name } | Act::Enable { name } => {
                let enabled = matches!(act, Act::Enable { .. });
                let Some(known) = self.known.get_mut(&name) else { return };
                let (key, settings) = (("default", NAMES[name]), settings(known.expression, enabled));
                self.store.write(|tx| schedules::update(tx, &self.place, key, settings.clone(), now)).await.unwrap();
                if enabled && !known.enabled {
                    known.from = known.from.max(now);
                }
                known.enabled = enabled;
            }
            Act::Delete { name } => {
                let removed = self
                    .store
                    .write(|tx| {
                        let schedule = schedules::get(tx, &self.place.scope(), "default", NAMES[name])?;
                        schedules::remove(tx, &self.place, "default", NAMES[name], &schedule)
                    })
                    .await;
                assert_eq!(removed.is_ok(), self.known.remove(&name).is_some());
            }
            Act::Advance { secs } => self.clock.advance(Duration::from_secs(secs)),
        }
    }

    /// Takes all that is due, one transaction each, in their order.
    async fn taken(&self) -> Vec<(Timestamp, String)> {
        let (now, lane) = (self.clock.now(), Lane::main());
        let mut fired = Vec::new();
        loop {
            match self.store.write(|tx| schedules::take_due(tx, &lane, now, LIMIT)).await.unwrap() {
                Taken::Nothing(next) => {
                    assert!(next.is_none_or(|next| next > now));
                    return fired;
                }
                Taken::Settled => {}
                Taken::Fires(firing) => fired.push((firing.scheduled_at, firing.name)),
            }
        }
    }

    /// The index has exactly the entries that schedules name.
    async fn check_index(&self) {
        let scope = self.place.scope();
        let (index, named) = self
            .store
            .read(|snapshot| {
                let lane = lane_scope(&Lane::main());
                let index: Result<BTreeSet<_>, _> =
                    snapshot.keys(&DUE, &lane, Range::all(), Order::Ascending)?.collect();
                let all = snapshot.range(&SCHEDULES, &scope, Range::all(), Order::Ascending)?;
                let named: Result<BTreeSet<_>, _> = all
                    .filter_map(|record| match record {
                        Ok(((group, name), schedule)) => {
                            schedule.next.map(|next| Ok((next.at, self.place.key(), group, name)))
                        }
                        Err(error) => Some(Err(error)),
                    })
                    .collect();
                Ok::<_, Error>((index?, named?))
            })
            .await
            .unwrap();
        assert_eq!(index, named);
    }
}

fn run(acts: &[Act]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = Harness::new();
        for act in acts {
            world.act(act).await;
            let now = world.clock.now();
            let mut expected: Vec<(Timestamp, String)> = Vec::new();
            for (name, known) in &mut world.known {
                expected.extend(known.fire(now).into_iter().map(|at| (at, NAMES[*name].to_owned())));
            }
            expected.sort();
            assert_eq!(world.taken().await, expected, "after {act:?}");
            world.check_index().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_taken_is_what_the_expressions_say(acts in acts()) {
        run(&acts);
    }
}
