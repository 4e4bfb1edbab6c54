//! Chance that repeats: a stream of numbers that depends on the seed and a text, and on nothing else.

use sha2::{Digest, Sha256};

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>), begun from a hash of the text.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: u64, text: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(text).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Chance(u64::from_le_bytes(first))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    pub fn text(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..length).map(|_| ALPHABET[self.below(ALPHABET.len())] as char).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_text_give_the_same_numbers() {
        let take = |seed, text| {
            let mut chance = Chance::of(seed, text);
            (chance.next(), chance.text(8), chance.below(7))
        };
        assert_eq!(take(1, "a"), take(1, "a"));
        assert_ne!(take(1, "a"), take(2, "a"));
        assert_ne!(take(1, "a"), take(1, "b"));
        assert!(take(9, "z").2 < 7);
        assert_eq!(Chance::of(1, "").below(0), 0);
    }
}
