//! The memory engine: a persistent tree for each collection of each scope, so that each stays small.
//!
//! A snapshot, a fork and a rollback copy one pointer. A write transaction changes the trees in place, under the one
//! lock, and keeps what it replaced; a closure that fails (or panics) is undone from that. While a snapshot is held,
//! the trees copy the few nodes on the path to what changes.

mod key;
mod leaf;
mod tree;

use std::ops::Bound;

use imbl::OrdMap;
use parking_lot::{Mutex, MutexGuard};

use self::key::MemoryKey;
use self::leaf::{Replaced, ReplacedValue};
use self::tree::Tree;
pub(crate) use self::tree::TreeScan as MemoryScan;
use super::{NEVER, RawEntry, RawRange, RawRecord, RawScan};
use crate::key::KeyBytes;
use crate::range::Order;
use crate::scope::RawKey;

/// One lane: its spaces (scope and collection) and the records that will expire, as `moment, space and tuple`.
#[derive(Clone, Default)]
struct LaneRoot {
    spaces: OrdMap<MemoryKey, Tree>,
    expiries: OrdMap<(i64, MemoryKey), ()>,
}

/// All lanes. Cloning it is taking a snapshot.
#[derive(Clone, Default)]
pub(crate) struct Root {
    lanes: OrdMap<MemoryKey, LaneRoot>,
}

/// The engine: the newest state and the lock that makes transactions serial.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    root: Root,
    /// What the transaction under way has replaced, in order; empty between transactions. It stays here to keep its room.
    undo: Vec<(RawKey, Option<Replaced>)>,
    undo_bytes: Vec<u8>,
}

/// Above this, a transaction's undo bytes are given back.
const UNDO_BYTES_KEPT: usize = 64 * 1024;

impl Memory {
    pub(crate) fn snapshot(&self) -> Root {
        self.state.lock().root.clone()
    }

    pub(crate) fn begin(&self) -> MemoryTransaction<'_> {
        MemoryTransaction { state: self.state.lock() }
    }

    /// Makes `to` what `from` is, in one step; an unknown `from` leaves `to` empty.
    pub(crate) fn copy_lane(&self, from: &[u8], to: &[u8]) {
        let root = &mut self.state.lock().root;
        match root.lanes.get(from).cloned() {
            Some(lane) => root.lanes.insert(MemoryKey::new(to), lane),
            None => root.lanes.remove(to),
        };
    }

    /// Removes every space that `chosen` names by lane and space bytes.
    pub(crate) fn clear(&self, chosen: &dyn Fn(&[u8], &[u8]) -> bool) {
        let root = &mut self.state.lock().root;
        let before = root.clone();
        for (lane_key, lane) in &before.lanes {
            let doomed: Vec<&MemoryKey> =
                lane.spaces.keys().filter(|space| chosen(lane_key.bytes(), space.bytes())).collect();
            if doomed.len() == lane.spaces.len() {
                root.lanes.remove(lane_key.bytes());
            } else if !doomed.is_empty() {
                let mut kept = lane.clone();
                for space in &doomed {
                    kept.spaces.remove(space.bytes());
                }
                kept.expiries =
                    kept.expiries.into_iter().filter(|((_, key), ())| !within(&doomed, key.bytes())).collect();
                root.lanes.insert(lane_key.clone(), kept);
            }
        }
    }
}

/// Whether `key` lies in one of the sorted `spaces`.
fn within(spaces: &[&MemoryKey], key: &[u8]) -> bool {
    // No space is a prefix of another, so the last one not after the key is the only candidate.
    let at = spaces.partition_point(|space| space.bytes() <= key);
    at > 0 && key.starts_with(spaces[at - 1].bytes())
}

impl Root {
    fn tree(&self, key: &RawKey) -> Option<&Tree> {
        self.lanes.get(key.lane())?.spaces.get(key.space())
    }

    pub(crate) fn get(&self, key: &RawKey) -> Option<RawRecord<'_>> {
        self.tree(key)?.get(key.tuple())
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> RawScan<'_> {
        let Some(tree) = self.tree(range.space) else { return RawScan::Empty };
        RawScan::Memory(tree.scan(range.lower, range.upper, range.order))
    }

    /// The names of the lanes that hold anything.
    pub(crate) fn lanes(&self) -> Vec<String> {
        self.lanes.keys().map(|key| crate::scope::lane_name(key.bytes()).to_owned()).collect()
    }

    /// Every space that holds anything, with an empty tuple.
    pub(crate) fn spaces(&self) -> Vec<RawKey> {
        let mut spaces = Vec::new();
        for (lane_key, lane) in &self.lanes {
            for (space, tree) in &lane.spaces {
                if !tree.is_empty() {
                    spaces.extend(RawKey::parse(&[lane_key.bytes(), space.bytes()].concat()));
                }
            }
        }
        spaces
    }

    pub(crate) fn expiring(&self, lane: &str, until: i64, limit: usize) -> Vec<(i64, RawKey)> {
        let mut lane_key = KeyBytes::from_slice(lane.as_bytes());
        lane_key.push(0);
        let Some(root) = self.lanes.get(&lane_key[..]) else { return Vec::new() };
        root.expiries
            .iter()
            .take_while(|((moment, _), ())| *moment <= until)
            .take(limit)
            .filter_map(|((moment, key), ())| {
                let mut whole = lane_key.clone();
                whole.extend_from_slice(key.bytes());
                Some((*moment, RawKey::parse(&whole)?))
            })
            .collect()
    }

    pub(crate) fn entries_after(&self, after: Option<&[u8]>, limit: usize) -> Vec<RawEntry> {
        let after = after.and_then(RawKey::parse);
        let mut entries = Vec::new();
        let first_lane = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Included(key.lane()));
        for (lane_key, lane) in self.lanes.range::<_, [u8]>((first_lane, Bound::Unbounded)) {
            let in_lane = after.as_ref().filter(|key| key.lane() == lane_key.bytes());
            let first_space = in_lane.map_or(Bound::Unbounded, |key| Bound::Included(key.space()));
            for (space, tree) in lane.spaces.range::<_, [u8]>((first_space, Bound::Unbounded)) {
                let in_space = in_lane.filter(|key| key.space() == space.bytes());
                let mut lower = KeyBytes::new();
                if let Some(key) = in_space {
                    // The first key after this one.
                    lower.extend_from_slice(key.tuple());
                    lower.push(0);
                }
                for item in tree.scan(&lower, None, Order::Ascending) {
                    if entries.len() == limit {
                        return entries;
                    }
                    let whole = [lane_key.bytes(), space.bytes(), &item.tuple[..]].concat();
                    let Some(key) = RawKey::parse(&whole) else { continue };
                    let RawRecord { value, expires_at } = item.record;
                    entries.push(RawEntry { key, value: value.into_owned(), expires_at });
                }
            }
        }
        entries
    }

    /// Puts a value in place, or removes the record, and gives what was there.
    fn replace(&mut self, key: &RawKey, value: Option<(&[u8], i64)>, undo_bytes: &mut Vec<u8>) -> Option<Replaced> {
        if let Some(lane) = self.lanes.get_mut(key.lane()) {
            if let Some(tree) = lane.spaces.get_mut(key.space()) {
                return replace_in(tree, &mut lane.expiries, key, value, undo_bytes);
            }
            lane.spaces.insert(MemoryKey::new(key.space()), Tree::default());
        } else {
            let spaces = OrdMap::unit(MemoryKey::new(key.space()), Tree::default());
            self.lanes.insert(MemoryKey::new(key.lane()), LaneRoot { spaces, expiries: OrdMap::new() });
        }
        self.replace(key, value, undo_bytes)
    }
}

fn replace_in(
    tree: &mut Tree,
    expiries: &mut OrdMap<(i64, MemoryKey), ()>,
    key: &RawKey,
    value: Option<(&[u8], i64)>,
    undo_bytes: &mut Vec<u8>,
) -> Option<Replaced> {
    let new_moment = value.map_or(NEVER, |(_, expires_at)| expires_at);
    let old = match value {
        Some((value, expires_at)) => tree.put(key.tuple(), value, expires_at, undo_bytes),
        None => tree.remove(key.tuple(), undo_bytes),
    };
    let old_moment = old.as_ref().map_or(NEVER, |old| old.expires_at);
    if old_moment != new_moment {
        let rest = MemoryKey::new(key.after_lane());
        if old_moment != NEVER {
            expiries.remove(&(old_moment, rest.clone()));
        }
        if new_moment != NEVER {
            expiries.insert((new_moment, rest), ());
        }
    }
    old
}

/// A write transaction: holds the lock, changes in place, and undoes all of it when dropped without [`Self::keep`].
pub(crate) struct MemoryTransaction<'a> {
    state: MutexGuard<'a, State>,
}

impl MemoryTransaction<'_> {
    pub(crate) fn root(&self) -> &Root {
        &self.state.root
    }

    pub(crate) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) {
        let State { root, undo, undo_bytes } = &mut *self.state;
        let old = root.replace(key, Some((value, expires_at)), undo_bytes);
        undo.push((key.clone(), old));
    }

    pub(crate) fn delete(&mut self, key: &RawKey) {
        let State { root, undo, undo_bytes } = &mut *self.state;
        // What is not there must not copy what is shared.
        if root.get(key).is_some() {
            let old = root.replace(key, None, undo_bytes);
            undo.push((key.clone(), old));
        }
    }

    /// Commits.
    pub(crate) fn keep(mut self) {
        self.state.undo.clear();
    }
}

impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        let State { root, undo, undo_bytes } = &mut *self.state;
        let bytes = std::mem::take(undo_bytes);
        while let Some((key, old)) = undo.pop() {
            let value = old.as_ref().map(|old| match &old.value {
                ReplacedValue::Kept(place) => (&bytes[place.clone()], old.expires_at),
                ReplacedValue::Shared(value) => (&value[..], old.expires_at),
            });
            root.replace(&key, value, undo_bytes);
        }
        if bytes.capacity() <= UNDO_BYTES_KEPT {
            *undo_bytes = bytes;
        }
        undo_bytes.clear();
    }
}
