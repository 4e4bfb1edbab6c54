//! Pieces of an answer that go out together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// As much as a socket takes at once, more or less.
const FULL_BYTES: usize = 2 * 1024 * 1024;
/// The most vectors that hyper gives to one write.
const FULL_PIECES: usize = 64;

/// Bytes in a row that lie in several places, so that one write takes what many would. Most have one piece, for which
/// nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    /// Empty only where nothing is behind it.
    front: Bytes,
    behind: VecDeque<Bytes>,
    behind_bytes: usize,
}

impl Rope {
    pub fn push(&mut self, piece: Bytes) {
        if self.front.is_empty() {
            self.front = piece;
        } else if !piece.is_empty() {
            self.behind_bytes += piece.len();
            self.behind.push_back(piece);
        }
    }

    /// Whether more is not worth waiting for.
    pub fn is_full(&self) -> bool {
        self.remaining() >= FULL_BYTES || self.behind.len() >= FULL_PIECES - 1
    }
}

impl From<Bytes> for Rope {
    fn from(front: Bytes) -> Self {
        Rope { front, ..Rope::default() }
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.front.len() + self.behind_bytes
    }

    fn chunk(&self) -> &[u8] {
        &self.front
    }

    fn chunks_vectored<'b>(&'b self, into: &mut [IoSlice<'b>]) -> usize {
        let pieces = std::iter::once(&self.front).filter(|front| !front.is_empty()).chain(&self.behind);
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut bytes: usize) {
        while bytes >= self.front.len() && !self.behind.is_empty() {
            bytes -= self.front.len();
            self.front = self.behind.pop_front().unwrap_or_default();
            self.behind_bytes -= self.front.len();
        }
        self.front.advance(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_read_as_one_whichever_way(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9),
            steps in proptest::collection::vec(1usize..12, 0..40),
        ) {
            let whole = pieces.concat();
            let mut rope = Rope::default();
            pieces.iter().for_each(|piece| rope.push(piece.clone().into()));
            let mut read = 0;
            for step in steps {
                prop_assert_eq!(rope.remaining(), whole.len() - read);
                let mut slices = [IoSlice::new(&[]); 16];
                let count = rope.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                prop_assert_eq!(&seen[..], &whole[read..]);
                prop_assert!(whole[read..].starts_with(rope.chunk()) && rope.chunk().is_empty() != rope.has_remaining());
                let step = step.min(rope.remaining());
                rope.advance(step);
                read += step;
            }
        }
    }
}
