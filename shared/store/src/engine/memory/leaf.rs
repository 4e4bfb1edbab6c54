//! A leaf of the tree: some dozens of neighbouring records in one piece of memory.
//!
//! A scan reads what lies side by side, so a page of a thousand records costs nearly the same out of a million as out of
//! ten thousand. A record is its key and, up to [`INLINE_VALUE_BYTES`], its value, one behind the other in the heap; the slots
//! say in which order. Longer values are shared, so that copying a leaf does not copy them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::RawRecord;

/// Above this many bytes or records a leaf is split.
const LEAF_BYTES: usize = 8 * 1024;
const LEAF_RECORDS: usize = 128;
/// Longer values lie outside of the leaf.
const INLINE_VALUE_BYTES: usize = 1024;
/// A heap below this is not worth packing for its holes.
const SMALL_HEAP_BYTES: usize = 512;

#[derive(Clone)]
struct Slot {
    at: u32,
    key_bytes: u16,
    /// Of the value in the heap; nothing if it is shared.
    value_bytes: u16,
    expires_at: i64,
    shared: Option<Arc<[u8]>>,
}

impl Slot {
    fn heap_bytes(&self) -> usize {
        usize::from(self.key_bytes) + usize::from(self.value_bytes)
    }
}

#[derive(Default)]
pub(super) struct Leaf {
    slots: Vec<Slot>,
    heap: Vec<u8>,
    /// The bytes of the heap that a slot points at; the rest are holes.
    live_bytes: usize,
}

/// A copy has the same room to grow: it is made to be changed.
impl Clone for Leaf {
    fn clone(&self) -> Self {
        let mut slots = Vec::with_capacity(self.slots.capacity());
        slots.extend_from_slice(&self.slots);
        let mut heap = Vec::with_capacity(self.heap.capacity());
        heap.extend_from_slice(&self.heap);
        Leaf { slots, heap, live_bytes: self.live_bytes }
    }
}

/// What a record was before it was replaced or removed.
pub(super) struct Replaced {
    pub(super) value: ReplacedValue,
    pub(super) expires_at: i64,
}

pub(super) enum ReplacedValue {
    /// The value lies at this place of the undo bytes.
    Kept(std::ops::Range<usize>),
    Shared(Arc<[u8]>),
}

impl Leaf {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether it and its like could share one leaf.
    pub(super) fn is_sparse(&self) -> bool {
        self.live_bytes < LEAF_BYTES / 8 && self.slots.len() < LEAF_RECORDS / 8
    }

    fn slot_key(&self, slot: &Slot) -> &[u8] {
        &self.heap[slot.at as usize..][..usize::from(slot.key_bytes)]
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        self.slot_key(&self.slots[index])
    }

    pub(super) fn record(&self, index: usize) -> RawRecord<'_> {
        let slot = &self.slots[index];
        RawRecord { value: Cow::Borrowed(self.value(slot)), expires_at: slot.expires_at }
    }

    fn value<'l>(&'l self, slot: &'l Slot) -> &'l [u8] {
        match &slot.shared {
            Some(shared) => shared,
            None => &self.heap[slot.at as usize + usize::from(slot.key_bytes)..][..usize::from(slot.value_bytes)],
        }
    }

    /// Where `key` is, or where it would be.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.slots.binary_search_by(|slot| self.slot_key(slot).cmp(key))
    }

    fn replaced(&self, index: usize, undo: &mut Vec<u8>) -> Replaced {
        let slot = &self.slots[index];
        let value = match &slot.shared {
            Some(shared) => ReplacedValue::Shared(Arc::clone(shared)),
            None => {
                let start = undo.len();
                undo.extend_from_slice(self.value(slot));
                ReplacedValue::Kept(start..undo.len())
            }
        };
        Replaced { value, expires_at: slot.expires_at }
    }

    /// Writes a record. The first answer is what was there; the second is the upper part of the leaf, if it was split.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        value: &[u8],
        expires_at: i64,
        undo: &mut Vec<u8>,
    ) -> (Option<Replaced>, Option<Leaf>) {
        match self.find(key) {
            Ok(index) => {
                let replaced = self.replaced(index, undo);
                self.overwrite(index, key, value, expires_at);
                let upper = self.is_too_long().then(|| self.split());
                (Some(replaced), upper)
            }
            Err(index) => (None, self.insert(index, key, value, expires_at)),
        }
    }

    fn overwrite(&mut self, index: usize, key: &[u8], value: &[u8], expires_at: i64) {
        let before = self.slots[index].heap_bytes();
        let (inline, shared) = places(value);
        if inline.len() > usize::from(self.slots[index].value_bytes) {
            self.make_room(key.len() + inline.len());
            self.slots[index].at = self.append(key, inline);
        } else {
            let start = self.slots[index].at as usize + key.len();
            self.heap[start..start + inline.len()].copy_from_slice(inline);
        }
        let slot = &mut self.slots[index];
        slot.value_bytes = inline.len() as u16;
        slot.shared = shared;
        slot.expires_at = expires_at;
        self.live_bytes = self.live_bytes - before + slot.heap_bytes();
    }

    fn insert(&mut self, index: usize, key: &[u8], value: &[u8], expires_at: i64) -> Option<Leaf> {
        let (inline, shared) = places(value);
        let bytes = key.len() + inline.len();
        if !self.slots.is_empty() && (self.slots.len() >= LEAF_RECORDS || self.live_bytes + bytes > LEAF_BYTES) {
            // Records that come in order, or nearly so (from several threads), leave full leaves behind them, and a leaf
            // that will be as large.
            let behind = &self.slots[index..];
            let in_order = behind.len() <= self.slots.len() / 16
                && behind.iter().map(Slot::heap_bytes).sum::<usize>() + bytes <= LEAF_BYTES;
            let mut upper = if in_order { self.split_near_end(index) } else { self.split() };
            match index.checked_sub(self.slots.len()) {
                Some(index) if in_order || index > 0 => upper.insert(index, key, value, expires_at),
                _ => self.insert(index, key, value, expires_at),
            };
            return Some(upper);
        }
        self.make_room(bytes);
        let at = self.append(key, inline);
        let slot = Slot { at, key_bytes: key.len() as u16, value_bytes: inline.len() as u16, expires_at, shared };
        self.slots.insert(index, slot);
        self.live_bytes += bytes;
        None
    }

    fn append(&mut self, key: &[u8], value: &[u8]) -> u32 {
        let at = self.heap.len();
        self.heap.extend_from_slice(key);
        self.heap.extend_from_slice(value);
        at as u32
    }

    /// Packs the heap if the next record would lengthen it beyond a leaf's size and there are holes to be won.
    fn make_room(&mut self, bytes: usize) {
        if self.heap.len() + bytes > LEAF_BYTES && self.heap.len() - self.live_bytes > LEAF_BYTES / 4 {
            self.pack();
        }
    }

    fn is_too_long(&self) -> bool {
        self.live_bytes > LEAF_BYTES && self.slots.len() > 1
    }

    /// Writes the heap anew, without holes and in order.
    fn pack(&mut self) {
        let old = std::mem::replace(&mut self.heap, Vec::with_capacity(self.live_bytes + self.live_bytes / 4));
        copy_records(&mut self.slots, &old, &mut self.heap);
    }

    /// Takes the few records from `at` on out into a leaf that has room to become like this one.
    fn split_near_end(&mut self, at: usize) -> Leaf {
        let mut upper = Leaf {
            slots: Vec::with_capacity(self.slots.len()),
            heap: Vec::with_capacity(self.heap.len()),
            live_bytes: 0,
        };
        upper.slots.extend(self.slots.drain(at..));
        upper.live_bytes = upper.slots.iter().map(Slot::heap_bytes).sum();
        self.live_bytes -= upper.live_bytes;
        copy_records(&mut upper.slots, &self.heap, &mut upper.heap);
        upper
    }

    /// Takes the upper half of the bytes out into a leaf of its own.
    fn split(&mut self) -> Leaf {
        let (mut bytes, mut at) = (0, 0);
        while bytes < self.live_bytes / 2 && at + 1 < self.slots.len() {
            bytes += self.slots[at].heap_bytes();
            at += 1;
        }
        let mut upper = Leaf { slots: self.slots.split_off(at.max(1)), ..Leaf::default() };
        upper.live_bytes = upper.slots.iter().map(Slot::heap_bytes).sum();
        upper.heap.reserve(upper.live_bytes + upper.live_bytes / 4);
        copy_records(&mut upper.slots, &self.heap, &mut upper.heap);
        self.live_bytes -= upper.live_bytes;
        self.pack();
        upper
    }

    /// Removes a record and says what it was.
    pub(super) fn remove(&mut self, index: usize, undo: &mut Vec<u8>) -> Replaced {
        let replaced = self.replaced(index, undo);
        let slot = self.slots.remove(index);
        self.live_bytes -= slot.heap_bytes();
        if self.slots.is_empty() {
            self.heap.clear();
        } else if self.heap.len() > SMALL_HEAP_BYTES && self.live_bytes < self.heap.len() / 4 {
            self.pack();
        }
        replaced
    }

    /// Takes in all records of a leaf that lies behind this one.
    pub(super) fn absorb(&mut self, next: &Leaf) {
        let first = self.slots.len();
        self.slots.extend_from_slice(&next.slots);
        copy_records(&mut self.slots[first..], &next.heap, &mut self.heap);
        self.live_bytes += next.live_bytes;
    }
}

/// What of a value lies in the heap, and what outside.
fn places(value: &[u8]) -> (&[u8], Option<Arc<[u8]>>) {
    if value.len() > INLINE_VALUE_BYTES { (&[], Some(value.into())) } else { (value, None) }
}

/// Copies the bytes of `slots` from one heap to the end of another.
fn copy_records(slots: &mut [Slot], from: &[u8], to: &mut Vec<u8>) {
    for slot in slots {
        let start = slot.at as usize;
        slot.at = to.len() as u32;
        to.extend_from_slice(&from[start..start + slot.heap_bytes()]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn contents(leaves: &[Leaf]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_leaf = |leaf: &Leaf| {
            (0..leaf.len())
                .map(|index| (leaf.key(index).to_vec(), leaf.record(index).value.to_vec()))
                .collect::<Vec<_>>()
        };
        leaves.iter().flat_map(of_leaf).collect()
    }

    proptest! {
        /// Against a sorted map; a leaf that splits goes on as two.
        #[test]
        fn leaves_hold_what_a_map_holds(
            steps in proptest::collection::vec((0u16..200, prop_oneof![Just(0usize), 1..60usize, 900..1400usize], any::<bool>()), 1..400)
        ) {
            let mut leaves = vec![Leaf::default()];
            let mut expected = BTreeMap::new();
            let mut undo = Vec::new();
            for (number, length, put) in steps {
                let key = number.to_be_bytes().to_vec();
                let at = leaves.iter().rposition(|leaf| !leaf.is_empty() && leaf.key(0) <= &key[..]).unwrap_or(0);
                if put {
                    let value = vec![number as u8; length];
                    let (replaced, upper) = leaves[at].put(&key, &value, i64::from(number), &mut undo);
                    let before = replaced.map(|replaced| match replaced.value {
                        ReplacedValue::Kept(place) => undo[place].to_vec(),
                        ReplacedValue::Shared(value) => value.to_vec(),
                    });
                    prop_assert_eq!(before, expected.insert(key, value));
                    if let Some(upper) = upper {
                        prop_assert!(!upper.is_empty());
                        leaves.insert(at + 1, upper);
                    }
                } else if let Ok(index) = leaves[at].find(&key) {
                    leaves[at].remove(index, &mut undo);
                    prop_assert!(expected.remove(&key).is_some());
                    if leaves[at].is_empty() && leaves.len() > 1 {
                        leaves.remove(at);
                    }
                } else {
                    prop_assert!(!expected.contains_key(&key));
                }
                for leaf in &leaves {
                    prop_assert_eq!(leaf.live_bytes, leaf.slots.iter().map(Slot::heap_bytes).sum::<usize>());
                    prop_assert!(leaf.heap.len() <= 2 * LEAF_BYTES && leaf.len() <= LEAF_RECORDS);
                }
                prop_assert_eq!(contents(&leaves), expected.clone().into_iter().collect::<Vec<_>>());
            }
        }
    }
}
