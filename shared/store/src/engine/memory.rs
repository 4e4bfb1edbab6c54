//! The memory engine: persistent ordered maps, one for each collection of each scope, so that each stays small.
//!
//! A snapshot, a fork and a rollback copy one pointer. A write transaction changes the maps in place, under the one
//! lock, and keeps what it replaced; a closure that fails (or panics) is undone from that. While a snapshot is held,
//! the maps copy the few nodes on the path to what changes.

use std::borrow::{Borrow, Cow};
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use parking_lot::{Mutex, MutexGuard};

use super::{NEVER, RawEntry, RawItem, RawRange, RawRecord, RawScan};
use crate::key::KeyBytes;
use crate::range::Order;
use crate::scope::RawKey;

/// The bytes that fit into a map's node itself; longer keys are shared on the heap.
const INLINE_BYTES: usize = 46;

/// A key of the maps. Comparing keys that lie in the node itself touches no other memory.
#[derive(Clone)]
enum MemoryKey {
    Inline(u8, [u8; INLINE_BYTES]),
    Shared(Arc<[u8]>),
}

impl MemoryKey {
    fn new(bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= INLINE_BYTES => {
                let mut inline = [0; INLINE_BYTES];
                inline[..bytes.len()].copy_from_slice(bytes);
                MemoryKey::Inline(length, inline)
            }
            _ => MemoryKey::Shared(bytes.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            MemoryKey::Inline(length, bytes) => &bytes[..usize::from(*length)],
            MemoryKey::Shared(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for MemoryKey {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for MemoryKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for MemoryKey {}

impl PartialOrd for MemoryKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MemoryKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes().cmp(other.bytes())
    }
}

#[derive(Clone)]
struct Record {
    value: Arc<[u8]>,
    expires_at: i64,
}

impl Record {
    fn raw(&self) -> RawRecord<'_> {
        RawRecord { value: Cow::Borrowed(&self.value), expires_at: self.expires_at }
    }
}

type Tree = OrdMap<MemoryKey, Record>;

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

/// The engine: the newest root and the lock that makes transactions serial.
#[derive(Default)]
pub(crate) struct Memory {
    root: Mutex<Root>,
}

impl Memory {
    pub(crate) fn snapshot(&self) -> Root {
        self.root.lock().clone()
    }

    pub(crate) fn begin(&self) -> MemoryTransaction<'_> {
        MemoryTransaction { root: self.root.lock(), replaced: Vec::new() }
    }

    /// Makes `to` what `from` is, in one step; an unknown `from` leaves `to` empty.
    pub(crate) fn copy_lane(&self, from: &[u8], to: &[u8]) {
        let mut root = self.root.lock();
        match root.lanes.get(from).cloned() {
            Some(lane) => root.lanes.insert(MemoryKey::new(to), lane),
            None => root.lanes.remove(to),
        };
    }

    /// Removes every space that `chosen` names by lane and space bytes.
    pub(crate) fn clear(&self, chosen: &dyn Fn(&[u8], &[u8]) -> bool) {
        let mut root = self.root.lock();
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
        Some(self.tree(key)?.get(key.tuple())?.raw())
    }

    pub(crate) fn scan(&self, range: &RawRange<'_>) -> RawScan<'_> {
        let Some(tree) = self.tree(range.space) else { return RawScan::Empty };
        let bounds = (Bound::Included(range.lower), range.upper.map_or(Bound::Unbounded, Bound::Excluded));
        RawScan::Memory(MemoryScan { items: tree.range::<_, [u8]>(bounds), order: range.order })
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
                let first = in_space.map_or(Bound::Unbounded, |key| Bound::Excluded(key.tuple()));
                for (tuple, record) in tree.range::<_, [u8]>((first, Bound::Unbounded)) {
                    if entries.len() == limit {
                        return entries;
                    }
                    let whole = [lane_key.bytes(), space.bytes(), tuple.bytes()].concat();
                    let Some(key) = RawKey::parse(&whole) else { continue };
                    entries.push(RawEntry { key, value: record.value.to_vec(), expires_at: record.expires_at });
                }
            }
        }
        entries
    }

    /// Puts `record` in place, or removes it, and gives what was there.
    fn replace(&mut self, key: &RawKey, record: Option<Record>) -> Option<Record> {
        let lane = entry(&mut self.lanes, key.lane());
        let tree = entry(&mut lane.spaces, key.space());
        let new_moment = record.as_ref().map_or(NEVER, |record| record.expires_at);
        let old = match record {
            Some(record) => tree.insert(MemoryKey::new(key.tuple()), record),
            None => tree.remove(key.tuple()),
        };
        let old_moment = old.as_ref().map_or(NEVER, |record| record.expires_at);
        if old_moment != new_moment {
            let rest = MemoryKey::new(key.after_lane());
            if old_moment != NEVER {
                lane.expiries.remove(&(old_moment, rest.clone()));
            }
            if new_moment != NEVER {
                lane.expiries.insert((new_moment, rest), ());
            }
        }
        old
    }
}

/// The value at `key`, made where it is missing.
fn entry<'m, V: Clone + Default>(map: &'m mut OrdMap<MemoryKey, V>, key: &[u8]) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(MemoryKey::new(key), V::default());
    }
    // The second look-up is the price of a borrow checker that cannot see through an early return; the key is known.
    map.entry(MemoryKey::new(key)).or_default()
}

/// A write transaction: holds the lock, changes in place, and undoes all of it when dropped without [`Self::keep`].
pub(crate) struct MemoryTransaction<'a> {
    root: MutexGuard<'a, Root>,
    replaced: Vec<(RawKey, Option<Record>)>,
}

impl MemoryTransaction<'_> {
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) {
        let old = self.root.replace(key, Some(Record { value: value.into(), expires_at }));
        self.replaced.push((key.clone(), old));
    }

    pub(crate) fn delete(&mut self, key: &RawKey) {
        if self.root.get(key).is_some() {
            let old = self.root.replace(key, None);
            self.replaced.push((key.clone(), old));
        }
    }

    /// Commits.
    pub(crate) fn keep(mut self) {
        self.replaced.clear();
    }
}

impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        while let Some((key, old)) = self.replaced.pop() {
            self.root.replace(&key, old);
        }
    }
}

pub(crate) struct MemoryScan<'s> {
    items: imbl::ordmap::RangedIter<'s, MemoryKey, Record, imbl::shared_ptr::DefaultSharedPtr>,
    order: Order,
}

impl<'s> Iterator for MemoryScan<'s> {
    type Item = RawItem<'s>;

    fn next(&mut self) -> Option<RawItem<'s>> {
        let (key, record) = match self.order {
            Order::Ascending => self.items.next(),
            Order::Descending => self.items.next_back(),
        }?;
        Some(RawItem { tuple: Cow::Borrowed(key.bytes()), record: record.raw() })
    }
}
