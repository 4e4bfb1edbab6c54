//! The nearest of many, with no more of them kept than are wanted.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One of those found; the greatest is the one that goes first.
#[derive(Debug)]
struct Ranked<T> {
    rank: f32,
    /// Of two of one rank the one with the lower key is the nearer, so that a search gives the same twice.
    key: Vec<u8>,
    found: T,
}

impl<T> Ranked<T> {
    fn order(&self, rank: f32, key: &[u8]) -> Ordering {
        self.rank.total_cmp(&rank).then_with(|| self.key.as_slice().cmp(key))
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order(other.rank, &other.key)
    }
}

/// The `limit` nearest of all that were offered.
#[derive(Debug)]
pub struct Nearest<T> {
    limit: usize,
    heap: BinaryHeap<Ranked<T>>,
}

impl<T> Nearest<T> {
    pub fn new(limit: usize) -> Self {
        Nearest { limit, heap: BinaryHeap::with_capacity(limit + 1) }
    }

    pub fn is_full(&self) -> bool {
        self.heap.len() >= self.limit
    }

    /// Offers something; what is needed to keep it is only made if it is kept.
    pub fn offer(&mut self, rank: f32, key: &[u8], found: impl FnOnce() -> T) {
        let is_beyond = |worst: &Ranked<T>| worst.order(rank, key).is_le();
        if self.is_full() && self.heap.peek().is_none_or(is_beyond) {
            return;
        }
        self.heap.push(Ranked { rank, key: key.to_vec(), found: found() });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// All that are kept with their keys, the nearest first.
    pub fn into_sorted(self) -> impl Iterator<Item = (Vec<u8>, T)> {
        self.heap.into_sorted_vec().into_iter().map(|one| (one.key, one.found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_stay_in_their_order() {
        let mut nearest = Nearest::new(3);
        for (rank, key) in [(5.0, b'e'), (1.0, b'b'), (1.0, b'a'), (4.0, b'd'), (2.0, b'c'), (9.0, b'z')] {
            nearest.offer(rank, &[key], || rank);
        }
        assert!(nearest.is_full());
        let kept: Vec<_> = nearest.into_sorted().collect();
        assert_eq!(kept, [(vec![b'a'], 1.0), (vec![b'b'], 1.0), (vec![b'c'], 2.0)]);
        let mut none = Nearest::new(0);
        none.offer(1.0, b"a", || ());
        assert_eq!(none.into_sorted().count(), 0);
    }
}
