//! What items were before they were changed, so that a table can be read as it was at any moment since.
//!
//! Each change of a table whose history is kept has a number. For each there is a *version*, by the item's key and the number:
//! what the item was before; and a line of the *journal*, by the moment and the number. A moment is turned into a number
//! once (a *cut*): the table's state at a cut is, for each key, the first version from the cut on, or the item itself where there
//! is none. So a copy in pieces is of one moment, whatever is written meanwhile.
//!
//! History is kept only where point-in-time recovery is on or a copy is being made; it expires by itself.

use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::key::{KeyBytes, successor};
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::features::{Change, encoded};
use crate::store::{ITEMS, Raw, StoredKey, Table};

/// Versions by (table, stored key followed by the change's number in eight bytes).
pub const VERSIONS: Collection<(u64, StoredKey), Version> = Collection::new("history");
/// The stored keys that changes were about, by (table, moment, number).
pub const JOURNAL: Collection<(u64, Timestamp, u64), Bytes> = Collection::new("history-journal");
/// The number of a table's next change.
pub const HEADS: Collection<(u64,), u64> = Collection::new("history-heads");

const DAY: Duration = Duration::from_secs(86_400);
/// How long history is kept that only a copy needs; far longer than a copy takes.
const KEPT_FOR_COPIES_DAYS: u32 = 35;
const NUMBER_BYTES: usize = 8;

/// What an item was before a change; nothing if it was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub at: Timestamp,
    pub was: Option<Bytes>,
}

/// Point-in-time recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Since when there is an unbroken history.
    pub since: Timestamp,
    pub days: u32,
}

impl Recovery {
    pub const DEFAULT_DAYS: u32 = 35;

    /// The first moment that the table can be restored to.
    pub fn earliest(&self, now: Timestamp) -> Timestamp {
        self.since.max(now.minus(DAY * self.days))
    }

    /// The last one: whole seconds, as AWS tells it.
    pub fn latest(&self, now: Timestamp, lag: Duration) -> Timestamp {
        now.minus(lag).to_secs_precision().max(self.since)
    }

    /// With another window. What has already been forgotten does not come back.
    #[must_use]
    pub fn with_days(self, days: u32, now: Timestamp) -> Self {
        Recovery { since: self.earliest(now), days }
    }
}

fn version_key(key: &[u8], number: u64) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

/// The number of the table's next change: a cut at this very moment of the store.
pub fn head(snapshot: &Snapshot<'_>, scope: &Scope, table: u64) -> Result<u64> {
    Ok(snapshot.get(&HEADS, scope, &(table,))?.unwrap_or(1))
}

/// Keeps what an item was before a change.
pub fn record(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, change: Change<'_>) -> Result<()> {
    let (number, now) = (head(tx, scope, table.id)?, tx.now(scope));
    let days = table.features.recovery.map_or(KEPT_FOR_COPIES_DAYS, |recovery| recovery.days);
    let until = now.plus(DAY * days);
    let version = Version { at: now, was: change.before.map(encoded) };
    tx.put_until(&VERSIONS, scope, &(table.id, Raw(&version_key(change.key, number))), &version, until)?;
    let key = Bytes::copy_from_slice(change.key);
    tx.put_until(&JOURNAL, scope, &(table.id, now, number), &key, until)?;
    Ok(tx.put(&HEADS, scope, &(table.id,), &(number + 1))?)
}

/// The cut at a moment: changes until and at the moment are in, later ones are not.
pub fn cut_at(snapshot: &Snapshot<'_>, scope: &Scope, table: u64, moment: Timestamp) -> Result<u64> {
    let later = Range::prefix(&(table,)).after(&(table, moment));
    match snapshot.keys(&JOURNAL, scope, later, Order::Ascending)?.next().transpose()? {
        Some((_, _, number)) => Ok(number),
        None => head(snapshot, scope, table),
    }
}

/// Versions of one key, from a number on.
fn versions_of(table: u64, key: &[u8], from: u64) -> Range<(u64, StoredKey)> {
    let range = Range::prefix(&(table,)).from(&(table, Raw(&version_key(key, from))));
    match successor(key) {
        Some(end) => range.to(&(table, Raw(&end))),
        None => range,
    }
}

/// What an item was at a cut.
pub fn item_at(snapshot: &Snapshot<'_>, scope: &Scope, table: u64, key: &[u8], cut: u64) -> Result<Option<Bytes>> {
    match snapshot.first(&VERSIONS, scope, versions_of(table, key, cut), Order::Ascending)? {
        Some((_, version)) => Ok(version.was),
        None => Ok(snapshot.get(&ITEMS, scope, &(table, Raw(key)))?),
    }
}

/// A piece of a table as it was at a cut.
#[derive(Debug, Default)]
pub struct Piece {
    /// Stored keys and stored items.
    pub items: Vec<(KeyBytes, Bytes)>,
    /// Where the next piece begins; nothing behind the last one.
    pub next: Option<Bytes>,
}

/// The bounds of a piece, so that no transaction is long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub keys: usize,
    pub bytes: usize,
}

/// Whether an item was changed after a cut.
pub fn is_changed_since(snapshot: &Snapshot<'_>, scope: &Scope, (table, cut): (u64, u64), key: &[u8]) -> Result<bool> {
    let range = versions_of(table, key, cut);
    Ok(snapshot.keys(&VERSIONS, scope, range, Order::Ascending)?.next().transpose()?.is_some())
}

/// The first key from `from` on that has a history.
fn next_with_history(snapshot: &Snapshot<'_>, scope: &Scope, table: u64, from: &[u8]) -> Result<Option<KeyBytes>> {
    let range = Range::prefix(&(table,)).from(&(table, Raw(from)));
    let found = snapshot.keys(&VERSIONS, scope, range, Order::Ascending)?.next().transpose()?;
    Ok(found.map(|(_, key)| KeyBytes::from_slice(&key.0[..key.0.len().saturating_sub(NUMBER_BYTES)])))
}

/// The key behind all that begin with this one. No stored key of a table is the beginning of another one.
fn behind(key: &[u8]) -> Option<KeyBytes> {
    successor(key)
}

/// Reads a piece of a table as it was at a cut, from a key on.
pub fn piece(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (table, cut): (u64, u64),
    from: Option<&[u8]>,
    bounds: Bounds,
) -> Result<Piece> {
    let from = from.unwrap_or_default();
    let range = Range::prefix(&(table,)).from(&(table, Raw(from)));
    let mut items = snapshot.range(&ITEMS, scope, range, Order::Ascending)?;
    let mut item = items.next().transpose()?;
    let mut old = next_with_history(snapshot, scope, table, from)?;
    let (mut piece, mut bytes) = (Piece::default(), 0);
    for _ in 0..bounds.keys {
        let current = item.as_ref().map(|((_, key), _)| &key.0);
        let (key, state) = match (current, old.take()) {
            (None, None) => {
                piece.next = None;
                return Ok(piece);
            }
            (Some(key), other) if other.as_ref().is_none_or(|other| key < other) => {
                old = other;
                let next = items.next().transpose()?;
                let Some(((_, key), value)) = std::mem::replace(&mut item, next) else { return Ok(piece) };
                (key.0, Some(value))
            }
            (current, other) => {
                let key = other.unwrap_or_default();
                if current == Some(&key) {
                    item = items.next().transpose()?;
                }
                old = match behind(&key) {
                    Some(from) => next_with_history(snapshot, scope, table, &from)?,
                    None => None,
                };
                let state = item_at(snapshot, scope, table, &key, cut)?;
                (key, state)
            }
        };
        piece.next = behind(&key).map(|key| Bytes::copy_from_slice(&key));
        if let Some(state) = state {
            bytes += state.len();
            piece.items.push((key, state));
        }
        if bytes >= bounds.bytes {
            break;
        }
    }
    Ok(piece)
}

/// Some of the keys that were changed between two cuts.
#[derive(Debug, Default)]
pub struct Changed {
    /// Stored keys, and when each was changed last.
    pub keys: Vec<(KeyBytes, Timestamp)>,
    /// Where the next ones begin; nothing behind the last ones.
    pub next: Option<Bytes>,
}

/// Keys that were changed between two cuts, each once, in order; the same bounds hold as for pieces.
pub fn changed_keys(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (table, from_cut, to_cut): (u64, u64, u64),
    from: Option<&[u8]>,
    at_most: usize,
) -> Result<Changed> {
    let mut next = Some(KeyBytes::from_slice(from.unwrap_or_default()));
    let mut keys = Vec::new();
    for _ in 0..at_most {
        let Some(start) = &next else { break };
        let Some(key) = next_with_history(snapshot, scope, table, start)? else {
            next = None;
            break;
        };
        next = behind(&key);
        let inside = versions_of(table, &key, from_cut).to(&(table, Raw(&version_key(&key, to_cut))));
        if let Some((_, version)) = snapshot.first(&VERSIONS, scope, inside, Order::Descending)? {
            keys.push((key, version.at));
        }
    }
    Ok(Changed { keys, next: next.map(|key| Bytes::copy_from_slice(&key)) })
}
