//! Blobs in memory: the chunks as they came.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use fractus_clock::Stopwatch;
use parking_lot::RwLock;

use super::StoredPiece;

/// The chunks of a piece and where each ends, so that a range begins without walking.
pub(crate) struct Chunks {
    chunks: Vec<Bytes>,
    ends: Vec<u64>,
    since: Stopwatch,
}

impl Chunks {
    fn new(chunks: Vec<Bytes>) -> Self {
        let mut end = 0;
        let ends = chunks.iter().map(|chunk| {
            end += chunk.len() as u64;
            end
        });
        Chunks { ends: ends.collect(), chunks, since: Stopwatch::start() }
    }

    /// The rest of the chunk that holds byte `at`, at most up to `to`.
    pub(crate) fn chunk_at(&self, at: u64, to: u64) -> Option<Bytes> {
        let index = self.ends.partition_point(|end| *end <= at);
        let chunk = self.chunks.get(index)?;
        let start = self.ends[index] - chunk.len() as u64;
        let until = (to - start).min(chunk.len() as u64) as usize;
        Some(chunk.slice((at - start) as usize..until))
    }
}

#[derive(Default)]
pub(crate) struct MemoryBlobs {
    pieces: RwLock<BTreeMap<String, Arc<Chunks>>>,
}

impl MemoryBlobs {
    pub(crate) fn insert(&self, id: String, chunks: Vec<Bytes>) {
        self.pieces.write().insert(id, Arc::new(Chunks::new(chunks)));
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Chunks>> {
        self.pieces.read().get(id).cloned()
    }

    pub(crate) fn length(&self, id: &str) -> Option<u64> {
        self.get(id).map(|chunks| chunks.ends.last().copied().unwrap_or(0))
    }

    pub(crate) fn remove(&self, id: &str) {
        // Freed after the lock is given back: a large piece takes a while to free.
        let removed = self.pieces.write().remove(id);
        drop(removed);
    }

    pub(crate) fn list(&self, after: &str, limit: usize) -> Vec<StoredPiece> {
        let pieces = self.pieces.read();
        let from = (Bound::Excluded(after), Bound::Unbounded);
        let page = pieces.range::<str, _>(from).take(limit);
        page.map(|(id, chunks)| StoredPiece { id: id.clone(), age: chunks.since.elapsed() }).collect()
    }
}
