//! The paths that patterns name, by number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::event::{Entry, Event, path_hash};

pub(super) type FieldId = u32;

#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    by_hash: HashMap<u64, Vec<FieldId>, BuildHasherDefault<AsItIs>>,
    known: Vec<Known>,
    free: Vec<FieldId>,
}

#[derive(Clone, Debug)]
struct Known {
    path: Arc<str>,
    uses: usize,
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Fields {
    /// The path's number; it stays until it is released as often as it was asked for.
    pub fn intern(&mut self, path: &Arc<str>) -> FieldId {
        let same_hash = self.by_hash.entry(path_hash(path)).or_default();
        if let Some(id) = same_hash.iter().find(|id| self.known[**id as usize].path == *path) {
            self.known[*id as usize].uses += 1;
            return *id;
        }
        let known = Known { path: Arc::clone(path), uses: 1 };
        let id = match self.free.pop() {
            Some(free) => {
                self.known[free as usize] = known;
                free
            }
            None => {
                self.known.push(known);
                (self.known.len() - 1) as FieldId
            }
        };
        same_hash.push(id);
        id
    }

    pub fn release(&mut self, id: FieldId) {
        let known = &mut self.known[id as usize];
        known.uses -= 1;
        if known.uses > 0 {
            return;
        }
        let hash = path_hash(&known.path);
        if let Some(same_hash) = self.by_hash.get_mut(&hash) {
            super::take_one(same_hash, id);
            if same_hash.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
        self.free.push(id);
    }

    pub fn of(&self, event: &Event<'_>, entry: &Entry<'_>) -> Option<FieldId> {
        let same_hash = self.by_hash.get(&event.path_hash(entry))?;
        same_hash.iter().copied().find(|id| event.is_at(entry, &self.known[*id as usize].path))
    }

    pub fn path(&self, id: FieldId) -> &str {
        &self.known[id as usize].path
    }
}
