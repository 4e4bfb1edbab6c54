//! Schedule groups inside a transaction.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};
use indexmap::IndexMap;

use super::schedules;
use crate::error::{Error, Result};
use crate::store::{COUNTS, DELETING, GROUPS, Group, Place, SCHEDULES, lane_scope};

/// The group of schedules that name none. It is in every account and cannot be deleted.
pub const DEFAULT: &str = "default";

/// What is counted under [`COUNTS`].
pub const GROUP_COUNT: &str = "groups";
pub const SCHEDULE_COUNT: &str = "schedules";

/// A group. The default group is there whether anybody has looked at it or not.
pub fn get(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<Group> {
    match snapshot.get(&GROUPS, scope, &(name,))? {
        Some(group) => Ok(group),
        None if name == DEFAULT => {
            let now = snapshot.now(scope).to_millis_precision();
            Ok(Group { created_at: now, modified_at: now, ..Group::default() })
        }
        None => Err(Error::NoGroup(name.to_owned())),
    }
}

/// Writes the default group's record, so that it keeps the moment of its making.
pub fn keep_default(tx: &mut Transaction<'_>, scope: &Scope) -> Result<()> {
    if !tx.contains(&GROUPS, scope, &(DEFAULT,))? {
        let group = get(tx, scope, DEFAULT)?;
        tx.put(&GROUPS, scope, &(DEFAULT,), &group)?;
    }
    Ok(())
}

/// A group into which something may be put.
pub fn get_active(tx: &mut Transaction<'_>, scope: &Scope, name: &str) -> Result<Group> {
    if name == DEFAULT {
        keep_default(tx, scope)?;
    }
    let group = get(tx, scope, name)?;
    if group.deleted_at.is_some() {
        return Err(Error::GroupDeleting(name.to_owned()));
    }
    Ok(group)
}

pub fn create(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    name: &str,
    tags: IndexMap<String, String>,
    now: Timestamp,
    quota: u64,
) -> Result<()> {
    if name == DEFAULT || tx.contains(&GROUPS, scope, &(name,))? {
        return Err(Error::GroupExists(name.to_owned()));
    }
    count(tx, scope, GROUP_COUNT, 1, Some(("schedule groups", quota)))?;
    let now = now.to_millis_precision();
    let group = Group { created_at: now, modified_at: now, deleted_at: None, tags };
    Ok(tx.put(&GROUPS, scope, &(name,), &group)?)
}

/// Adds to a count; refuses what goes beyond a quota.
pub fn count(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    what: &str,
    change: i64,
    quota: Option<(&'static str, u64)>,
) -> Result<()> {
    let counted = tx.get(&COUNTS, scope, &(what,))?.unwrap_or(0).saturating_add_signed(change);
    if let Some((what, quota)) = quota
        && counted > quota
    {
        return Err(Error::Quota { what, quota });
    }
    Ok(tx.put(&COUNTS, scope, &(what,), &counted)?)
}

/// Puts a group into the state DELETING. Its schedules invoke nothing from here on and are removed in the background.
pub fn begin_deletion(
    tx: &mut Transaction<'_>,
    place: &Place,
    name: &str,
    now: Timestamp,
    takes: Duration,
) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::validation("The default schedule group cannot be deleted."));
    }
    let scope = place.scope();
    let mut group = get(tx, &scope, name)?;
    if group.deleted_at.is_some() {
        return Err(Error::GroupDeleting(name.to_owned()));
    }
    (group.deleted_at, group.modified_at) = (Some(now), now.to_millis_precision());
    tx.put(&GROUPS, &scope, &(name,), &group)?;
    Ok(tx.put(&DELETING, &lane_scope(&place.world.lane), &(now.plus(takes), place.key(), name), &())?)
}

/// Removes up to `limit` of a deleted group's schedules, and the group itself when none is left; says whether it is gone.
pub fn clear(
    tx: &mut Transaction<'_>,
    place: &Place,
    entry: &(Timestamp, String, String),
    limit: usize,
) -> Result<bool> {
    let (scope, lane, name) = (place.scope(), lane_scope(&place.world.lane), entry.2.as_str());
    let is_deleted = tx.get(&GROUPS, &scope, &(name,))?.is_some_and(|group| group.deleted_at.is_some());
    if !is_deleted {
        // A reset has taken it.
        tx.delete(&DELETING, &lane, entry)?;
        return Ok(true);
    }
    let range = Range::prefix(&(name,));
    let found = tx.range(&SCHEDULES, &scope, range, Order::Ascending)?.take(limit).collect::<Result<Vec<_>, _>>()?;
    for ((_, schedule_name), schedule) in &found {
        schedules::remove(tx, place, name, schedule_name, schedule)?;
    }
    if found.len() == limit {
        return Ok(false);
    }
    tx.delete(&GROUPS, &scope, &(name,))?;
    tx.delete(&DELETING, &lane, entry)?;
    count(tx, &scope, GROUP_COUNT, -1, None)?;
    Ok(true)
}
