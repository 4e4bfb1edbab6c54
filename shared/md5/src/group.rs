//! Hashing what has arrived of several bodies, as far as it pays.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::lanes::{self, LANES, LaneInput};
use crate::state::Md5State;

/// A body's MD5, and the bytes of it that wait to be hashed.
#[derive(Clone, Debug, Default)]
pub struct Member {
    pub state: Md5State,
    pub waiting: VecDeque<Bytes>,
    /// How many of the waiting bytes must be hashed even where it does not pay: somebody waits for it.
    pub urgent_bytes: usize,
}

impl Member {
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Bytes::len).sum()
    }

    /// Works in what does not fill whole blocks, until whole blocks are in front or nothing waits.
    fn align(&mut self) {
        while let Some(front) = self.waiting.front_mut() {
            let before = front.len();
            let rest = self.state.take_ragged(front).len();
            self.urgent_bytes = self.urgent_bytes.saturating_sub(before - rest);
            front.advance(before - rest);
            if rest > 0 {
                return;
            }
            self.waiting.pop_front();
        }
        self.urgent_bytes = 0;
    }

    fn advance(&mut self, blocks: usize) {
        let bytes = blocks * size_of::<crate::state::Block>();
        self.urgent_bytes = self.urgent_bytes.saturating_sub(bytes);
        if let Some(front) = self.waiting.front_mut() {
            front.advance(bytes);
            if front.is_empty() {
                self.waiting.pop_front();
            }
        }
    }
}

/// Hashes while at least `least` members can go on together, or while what one of them has is urgent. There are up to
/// [`LANES`] members.
pub fn hash(members: &mut [Member], least: usize) {
    loop {
        members.iter_mut().for_each(Member::align);
        let ready = members.iter().filter(|member| !member.waiting.is_empty()).count();
        let is_urgent = members.iter().any(|member| member.urgent_bytes > 0);
        if ready == 0 || (ready < least && !is_urgent) {
            return;
        }
        let mut chosen: Vec<LaneInput<'_>> = Vec::with_capacity(LANES);
        for Member { state, waiting, .. } in members.iter_mut() {
            if let Some(front) = waiting.front() {
                chosen.push((state, front.as_chunks().0));
            }
        }
        let blocks = lanes::compress(&mut chosen);
        members.iter_mut().filter(|member| !member.waiting.is_empty()).for_each(|member| member.advance(blocks));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(chunks: &[Vec<u8>], urgent_bytes: usize) -> Member {
        Member { waiting: chunks.iter().cloned().map(Bytes::from).collect(), urgent_bytes, ..Member::default() }
    }

    proptest! {
        #[test]
        fn whatever_is_hashed_together_every_body_keeps_its_own_digest(
            bodies in proptest::collection::vec(
                (proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6), any::<bool>()),
                1..=LANES,
            ),
            least in 1usize..=LANES,
        ) {
            let mut members: Vec<Member> = bodies
                .iter()
                .map(|(chunks, is_urgent)| member(chunks, if *is_urgent { usize::MAX } else { 0 }))
                .collect();
            hash(&mut members, least);
            for (done, (chunks, is_urgent)) in members.iter().zip(&bodies) {
                let whole = chunks.concat();
                let left = done.waiting_bytes();
                prop_assert!(!*is_urgent || left == 0);
                prop_assert_eq!(done.state.length_bytes() as usize + left, whole.len());
                let mut finished = done.clone();
                for chunk in &finished.waiting {
                    finished.state.update(chunk);
                }
                prop_assert_eq!(finished.state.finish(), reference(&whole));
            }
        }
    }

    fn reference(bytes: &[u8]) -> [u8; 16] {
        use md5::Digest as _;
        md5::Md5::digest(bytes).into()
    }

    #[test]
    fn what_does_not_pay_waits() {
        let mut members = [member(&[vec![1; 640]], 0), member(&[vec![2; 6_400]], 0)];
        hash(&mut members, 2);
        assert_eq!(members.each_ref().map(Member::waiting_bytes), [0, 5_760]);
        members[1].urgent_bytes = 100;
        hash(&mut members, 2);
        assert_eq!(members[1].waiting_bytes(), 0, "what is in one piece is hashed in one go");
    }
}
