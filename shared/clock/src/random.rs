//! The source of randomness: the operating system's, or a seeded one for runs that must repeat.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};

/// A handle to a source of random bytes; clones share it.
#[derive(Clone)]
pub struct Random {
    generator: Arc<Mutex<StdRng>>,
}

impl Random {
    /// Seeded by the operating system: unpredictable, fit for keys and tokens.
    pub fn system() -> Self {
        let mut seed = [0u8; 32];
        #[allow(clippy::expect_used)]
        // Without entropy no id or key may be made: stopping at start is the only safe answer.
        SysRng.try_fill_bytes(&mut seed).expect("the operating system gives random bytes");
        Random { generator: Arc::new(Mutex::new(StdRng::from_seed(seed))) }
    }

    /// Repeatable: the same seed gives the same ids in the same order.
    pub fn seeded(seed: u64) -> Self {
        Random { generator: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.generator.lock().fill_bytes(bytes);
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.fill(&mut bytes);
        bytes
    }

    pub fn u64(&self) -> u64 {
        self.generator.lock().next_u64()
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // The multiply-shift reduction: its bias is below 2^-64 × bound, far under anything observable here.
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A version 4 UUID in its lower-case hyphenated form, as request ids and message ids are written.
    pub fn uuid(&self) -> String {
        let mut bytes: [u8; 16] = self.bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(HEX[usize::from(byte >> 4)] as char);
            text.push(HEX[usize::from(byte & 15)] as char);
        }
        text
    }

    /// `length` characters drawn evenly from `alphabet` (ASCII).
    pub fn text(&self, length: usize, alphabet: &str) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length).map(|_| alphabet[self.below(alphabet.len() as u64) as usize] as char).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_a_uuid_is_version_4() {
        let (one, two) = (Random::seeded(7), Random::seeded(7));
        let uuid = one.uuid();
        assert_eq!(uuid, two.uuid());
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(Random::seeded(1).below(10) < 10);
        assert_eq!(Random::seeded(1).below(0), 0);
    }
}
