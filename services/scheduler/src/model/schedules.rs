//! Schedules inside a transaction: their records and what the lane's index says of them.

use fractus_clock::Timestamp;
use fractus_datakeys::Kept;
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};

use super::groups::{self, SCHEDULE_COUNT};
use super::timing::{Next, Timing};
use crate::error::{Error, Result};
use crate::store::{DUE, GROUPS, NAMES, Place, SCHEDULES, Schedule, Settings, lane_scope};

pub fn get(snapshot: &Snapshot<'_>, scope: &Scope, group: &str, name: &str) -> Result<Schedule> {
    snapshot.get(&SCHEDULES, scope, &(group, name))?.ok_or_else(|| Error::NoSchedule(name.to_owned()))
}

/// Makes a schedule; its name must be free in its group.
pub fn create(
    tx: &mut Transaction<'_>,
    place: &Place,
    (group, name): (&str, &str),
    settings: Settings,
    now: Timestamp,
    quota: u64,
) -> Result<()> {
    let scope = place.scope();
    groups::get_active(tx, &scope, group)?;
    if tx.contains(&SCHEDULES, &scope, &(group, name))? {
        return Err(Error::ScheduleExists(name.to_owned()));
    }
    groups::count(tx, &scope, SCHEDULE_COUNT, 1, Some(("schedules", quota)))?;
    let timing = Timing::of(&settings, now, &place.schedule_arn(group, name))?;
    let next = if settings.enabled { timing.first(now, None) } else { None };
    let made = now.to_millis_precision();
    let schedule = Schedule { created_at: made, modified_at: made, settings, anchor: now, last: None, next };
    tx.put(&NAMES, &scope, &(name, group), &())?;
    put(tx, place, (group, name), &schedule, None)
}

/// Replaces what a caller says of a schedule. One whose times stay what they were keeps its next one, so that an
/// occurrence within its flexible window is not lost, and none is had twice.
pub fn update(
    tx: &mut Transaction<'_>,
    place: &Place,
    (group, name): (&str, &str),
    settings: Settings,
    now: Timestamp,
) -> Result<()> {
    let scope = place.scope();
    let old = get(tx, &scope, group, name)?;
    if groups::get(tx, &scope, group)?.deleted_at.is_some() {
        return Err(Error::GroupDeleting(group.to_owned()));
    }
    let was = &old.settings;
    let same_count = was.expression == settings.expression && was.start == settings.start;
    let same_times = same_count
        && was.enabled == settings.enabled
        && was.time_zone == settings.time_zone
        && was.end == settings.end
        && was.window_minutes == settings.window_minutes;
    let anchor = if same_count { old.anchor } else { now };
    let timing = Timing::of(&settings, anchor, &place.schedule_arn(group, name))?;
    let next = match (settings.enabled, same_times) {
        (false, _) => None,
        (true, true) => old.next,
        // A new expression may name a time again that the old one has had.
        (true, false) => timing.first(now, old.last.filter(|_| same_count)),
    };
    let schedule = Schedule { modified_at: now.to_millis_precision(), settings, anchor, next, ..old.clone() };
    put(tx, place, (group, name), &schedule, old.next)
}

/// Writes a schedule, and moves its entry in the index from `was` to where it says.
pub fn put(
    tx: &mut Transaction<'_>,
    place: &Place,
    (group, name): (&str, &str),
    schedule: &Schedule,
    was: Option<Next>,
) -> Result<()> {
    let (lane, key) = (lane_scope(&place.world.lane), place.key());
    if was.map(|next| next.at) != schedule.next.map(|next| next.at) {
        if let Some(was) = was {
            tx.delete(&DUE, &lane, &(was.at, key.as_str(), group, name))?;
        }
        if let Some(next) = schedule.next {
            tx.put(&DUE, &lane, &(next.at, key.as_str(), group, name), &())?;
        }
    }
    Ok(tx.put(&SCHEDULES, &place.scope(), &(group, name), schedule)?)
}

/// Removes a schedule and all that points to it.
pub fn remove(tx: &mut Transaction<'_>, place: &Place, group: &str, name: &str, schedule: &Schedule) -> Result<()> {
    let scope = place.scope();
    if let Some(next) = schedule.next {
        tx.delete(&DUE, &lane_scope(&place.world.lane), &(next.at, place.key(), group, name))?;
    }
    tx.delete(&SCHEDULES, &scope, &(group, name))?;
    tx.delete(&NAMES, &scope, &(name, group))?;
    groups::count(tx, &scope, SCHEDULE_COUNT, -1, None)
}

/// A schedule whose target is to be invoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    pub place: Place,
    pub group: String,
    pub name: String,
    pub scheduled_at: Timestamp,
    pub target: serde_json::Value,
    pub data_key: Option<Kept>,
}

/// What [`take_due`] has found.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// Nothing is due; the first time at which something is.
    Nothing(Option<Timestamp>),
    /// An entry is settled without an invocation: skipped by a jump, or left behind by a reset.
    Settled,
    Fires(Box<Firing>),
}

/// Takes the first due entry of a lane, in the order of their times, and moves its schedule on. Whoever takes it in a
/// transaction that is kept is the only one.
pub fn take_due(tx: &mut Transaction<'_>, lane: &fractus_aws::Lane, now: Timestamp, limit: usize) -> Result<Taken> {
    let lane_scope = lane_scope(lane);
    let first = tx.keys(&DUE, &lane_scope, Range::all(), Order::Ascending)?.next().transpose()?;
    let Some(entry) = first else { return Ok(Taken::Nothing(None)) };
    let (at, key, group, name) = &entry;
    if *at > now {
        return Ok(Taken::Nothing(Some(*at)));
    }
    let place = Place::parse(lane, key);
    let Some((place, schedule, next)) = place.map(|place| current(tx, place, group, name, *at)).transpose()?.flatten()
    else {
        tx.delete(&DUE, &lane_scope, &entry)?;
        return Ok(Taken::Settled);
    };
    let timing = match Timing::of(&schedule.settings, schedule.anchor, &place.schedule_arn(group, name)) {
        Ok(timing) => timing,
        Err(error) => {
            // It was checked when it was made; one that cannot be read any more must not hold up the others.
            tracing::error!(%error, group, name, "a schedule can no longer be read and is not due again");
            tx.delete(&DUE, &lane_scope, &entry)?;
            return Ok(Taken::Settled);
        }
    };
    let turn = timing.turn(next, now, limit);
    let last = turn.fires.or(schedule.last);
    let moved = Schedule { next: turn.next, last, ..schedule };
    put(tx, &place, (group, name), &moved, Some(next))?;
    let Some(scheduled_at) = turn.fires else { return Ok(Taken::Settled) };
    if turn.next.is_none() && moved.settings.delete_when_completed {
        remove(tx, &place, group, name, &moved)?;
    }
    let Settings { target, data_key, .. } = moved.settings;
    let (group, name) = (group.clone(), name.clone());
    Ok(Taken::Fires(Box::new(Firing { place, group, name, scheduled_at, target, data_key })))
}

/// The schedule of an entry, if it is there, names the entry, and its group is not being deleted.
fn current(
    tx: &Transaction<'_>,
    place: Place,
    group: &str,
    name: &str,
    at: Timestamp,
) -> Result<Option<(Place, Schedule, Next)>> {
    let scope = place.scope();
    let Some(schedule) = tx.get(&SCHEDULES, &scope, &(group, name))? else { return Ok(None) };
    let is_going = tx.get_shared(&GROUPS, &scope, &(group,))?.is_some_and(|group| group.deleted_at.is_some());
    let next = schedule.next.filter(|next| next.at == at && !is_going);
    Ok(next.map(|next| (place, schedule, next)))
}
