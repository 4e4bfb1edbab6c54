//! Which blobs are being read, so that an overwrite does not take the bytes from under a running download.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_store::BlobRef;
use parking_lot::Mutex;

/// Running reads by stored piece.
#[derive(Clone, Default)]
pub struct Readers {
    pieces: Arc<Mutex<HashMap<String, usize>>>,
}

/// One running read; ends when dropped.
pub struct Reading {
    readers: Readers,
    pieces: Vec<String>,
}

impl Readers {
    pub fn begin(&self, blob: &BlobRef) -> Reading {
        let pieces: Vec<String> = blob.stored_ids().map(str::to_owned).collect();
        let mut running = self.pieces.lock();
        for piece in &pieces {
            *running.entry(piece.clone()).or_default() += 1;
        }
        drop(running);
        Reading { readers: self.clone(), pieces }
    }

    /// Whether any of the blob's pieces is being read.
    pub fn hold(&self, blob: &BlobRef) -> bool {
        let running = self.pieces.lock();
        !running.is_empty() && blob.stored_ids().any(|id| running.contains_key(id))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut running = self.readers.pieces.lock();
        for piece in &self.pieces {
            if let Some(count) = running.get_mut(piece) {
                *count -= 1;
                if *count == 0 {
                    running.remove(piece);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_is_held_while_it_is_read() {
        let store = fractus_store::Store::memory(fractus_clock::Clocks::default());
        let mut writer = store.blobs().writer_inline(0);
        writer.write(bytes::Bytes::from_static(b"bytes")).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let readers = Readers::default();
        let (one, two) = (readers.begin(&blob), readers.begin(&blob));
        drop(one);
        assert!(readers.hold(&blob));
        drop(two);
        assert!(!readers.hold(&blob));
    }
}
