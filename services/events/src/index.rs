//! What a bus and its rules make of an event: compiled once for each state of the rules, kept in memory.
//!
//! The stamp of a bus is another number after each change of its rules, and is read from the store with each event. So an
//! index is never stale, whichever replica changed a rule, and whatever a reset, a fork or a rollback of a lane did.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_aws::Arn;
use fractus_clock::Random;
use fractus_patterns::{Dialect, Event, Index, Pattern};
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};
use parking_lot::Mutex;

use crate::error::Result;
use crate::model::deliver::CompiledRule;
use crate::model::log::Wish;
use crate::model::names::BusRef;
use crate::store::{BUSES, RULES, STAMPS};

/// Buses whose index is kept; beyond it all are dropped, and those in use come back by themselves.
const MAX_KEPT: usize = 1_024;

/// What a bus itself wants of its events.
#[derive(Clone, Debug, Default)]
pub struct BusSettings {
    /// The key of KMS that they are kept under.
    pub kms_key: Option<String>,
    /// The queue for what cannot be kept so.
    pub dead_letter: Option<Arn>,
    pub log: Option<Wish>,
}

impl BusSettings {
    pub fn read(snapshot: &Snapshot<'_>, bus: &BusRef) -> Result<Self> {
        let Some(record) = snapshot.get_shared(&BUSES, &bus.place.scope, &(bus.name.as_str(),))? else {
            return Ok(BusSettings::default());
        };
        Ok(BusSettings {
            kms_key: record.kms_key.clone(),
            dead_letter: record.dead_letter_arn.as_ref().and_then(|arn| arn.parse().ok()),
            log: Wish::of(record.log_config.as_ref()),
        })
    }
}

/// The rules of a bus, made ready.
pub struct BusIndex {
    stamp: u64,
    pub settings: BusSettings,
    patterns: Index<u32>,
    rules: Vec<CompiledRule>,
}

impl BusIndex {
    /// The rules that an event matches, in the order of their names.
    pub fn matches(&self, event: &Event<'_>) -> Vec<&CompiledRule> {
        let mut found: Vec<u32> = self.patterns.matches(event).into_iter().copied().collect();
        found.sort_unstable();
        found.into_iter().filter_map(|at| self.rules.get(at as usize)).collect()
    }

    fn build(snapshot: &Snapshot<'_>, bus: &BusRef, stamp: u64) -> Result<Self> {
        let settings = BusSettings::read(snapshot, bus)?;
        let mut index = BusIndex { stamp, settings, patterns: Index::new(), rules: Vec::new() };
        let range = Range::prefix(&(bus.name.as_str(),));
        for record in snapshot.range(&RULES, &bus.place.scope, range, Order::Ascending)? {
            let (_, rule) = record?;
            if !rule.is_enabled() {
                continue;
            }
            let Some(text) = &rule.pattern else { continue };
            match Pattern::parse(text, Dialect::EventBridge) {
                Ok(pattern) => {
                    index.patterns.insert(index.rules.len() as u32, &pattern);
                    index.rules.push(CompiledRule::new(bus, &rule));
                }
                Err(error) => tracing::error!(rule = rule.name, %error, "a stored pattern cannot be read"),
            }
        }
        Ok(index)
    }
}

/// The indexes in use.
#[derive(Default)]
pub struct Indexes {
    kept: Mutex<HashMap<Scope, HashMap<String, Arc<BusIndex>>>>,
}

impl Indexes {
    /// The index of a bus as the store has it now; none where the bus has no rules, or is none.
    pub fn of(&self, snapshot: &Snapshot<'_>, bus: &BusRef) -> Result<Option<Arc<BusIndex>>> {
        let Some(stamp) = snapshot.get(&STAMPS, &bus.place.scope, &(bus.name.as_str(),))? else { return Ok(None) };
        let scope = &bus.place.scope;
        let known = self.kept.lock().get(scope).and_then(|buses| buses.get(&bus.name)).cloned();
        if let Some(index) = known.filter(|index| index.stamp == stamp) {
            return Ok(Some(index));
        }
        let index = Arc::new(BusIndex::build(snapshot, bus, stamp)?);
        let mut kept = self.kept.lock();
        if kept.values().map(HashMap::len).sum::<usize>() >= MAX_KEPT {
            kept.clear();
        }
        kept.entry(scope.clone()).or_default().insert(bus.name.clone(), Arc::clone(&index));
        Ok(Some(index))
    }

    pub fn forget_all(&self) {
        self.kept.lock().clear();
    }
}

/// Says that a bus or its rules have changed; belongs to every change of them.
pub fn touch(tx: &mut Transaction<'_>, bus: &BusRef, random: &Random) -> Result<()> {
    Ok(tx.put(&STAMPS, &bus.place.scope, &(bus.name.as_str(),), &random.u64())?)
}
