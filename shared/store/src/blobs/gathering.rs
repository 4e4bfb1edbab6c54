//! What all blobs under way may hold in memory together.
//!
//! A writer gathers chunks, because one large write costs less than many small ones. What that takes must not grow with
//! the number of clients: some who send a little and stop would fill the memory. So there is one amount for all, and each
//! writer may hold a part of what is still free of it (the rule of dynamic thresholds by which switches share a buffer
//! among their ports, <https://doi.org/10.1109/90.664262>): many that are silent leave room for those that are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As long as nobody says otherwise.
const DEFAULT_BYTES: usize = 16 * 1024 * 1024;

/// One writer's share is at most this part of what is free.
const PART_OF_FREE: usize = 8;

/// What a chunk takes besides its bytes: its allocation, and its place in the lists of who waits for it.
const CHUNK_BYTES: usize = 128;

/// The amount. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Gathering(Arc<Amount>);

#[derive(Debug)]
struct Amount {
    limit_bytes: AtomicUsize,
    held_bytes: AtomicUsize,
}

impl Default for Gathering {
    fn default() -> Self {
        Gathering(Arc::new(Amount { limit_bytes: AtomicUsize::new(DEFAULT_BYTES), held_bytes: AtomicUsize::new(0) }))
    }
}

impl Gathering {
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.0.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Ordering::Relaxed)
    }

    /// A share that holds nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }
}

/// What one writer holds of the amount; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    of: Gathering,
    bytes: usize,
}

impl Share {
    /// Holds a chunk of `length` bytes as well, if there is room.
    pub(crate) fn try_hold(&mut self, length: usize) -> bool {
        let cost = length.saturating_add(CHUNK_BYTES);
        let own = self.bytes.saturating_add(cost);
        let limit = self.of.0.limit_bytes.load(Ordering::Relaxed);
        let taken = self.of.0.held_bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            let free = limit.saturating_sub(held);
            (own <= free / PART_OF_FREE).then(|| held + cost)
        });
        if taken.is_ok() {
            self.bytes = own;
        }
        taken.is_ok()
    }

    /// All that it holds, as a share of its own; this one goes on with nothing.
    pub(crate) fn split(&mut self) -> Share {
        let rest = self.of.share();
        std::mem::replace(self, rest)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.of.0.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn one_writer_gathers_a_mebibyte_and_writes_another() {
        let gathering = Gathering::default();
        let mut share = gathering.share();
        let hold_a_mebibyte = |share: &mut Share| (0..16).all(|_| share.try_hold(MIB / 16));
        assert!(hold_a_mebibyte(&mut share));
        let writing = share.split();
        assert!(hold_a_mebibyte(&mut share));
        drop(writing);
        assert_eq!(gathering.held_bytes(), MIB + 16 * CHUNK_BYTES);
        drop(share);
        assert_eq!(gathering.held_bytes(), 0);
    }

    #[test]
    fn however_many_there_are_they_hold_no_more_than_the_amount_and_a_new_one_finds_room() {
        let gathering = Gathering::default();
        let mut shares: Vec<Share> = (0..10_000).map(|_| gathering.share()).collect();
        for share in &mut shares {
            while share.bytes < MIB && share.try_hold(10_000) {}
            assert!(gathering.held_bytes() <= DEFAULT_BYTES);
        }
        assert!(gathering.share().try_hold(1_000), "{} bytes are held", gathering.held_bytes());
        // Bytes that come one by one take more than they count.
        let mut share = gathering.share();
        while share.try_hold(1) {}
        assert!(gathering.held_bytes() <= DEFAULT_BYTES);
        drop((shares, share));
        assert_eq!(gathering.held_bytes(), 0);
    }

    #[test]
    fn nothing_is_held_where_nothing_may_be() {
        let gathering = Gathering::default();
        gathering.set_limit(0);
        assert!(!gathering.share().try_hold(1));
    }
}
