//! Joining CRCs: the checksum of two pieces in a row from the checksum of each.

/// A CRC whose bits are reflected, and which begins and ends with all bits turned, as all of S3's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc {
    width_bits: u32,
    /// The polynomial without its first term, reflected.
    polynomial: u64,
}

pub const CRC32: Crc = Crc { width_bits: 32, polynomial: 0xedb8_8320 };
pub const CRC32C: Crc = Crc { width_bits: 32, polynomial: 0x82f6_3b78 };
pub const CRC64_NVME: Crc = Crc { width_bits: 64, polynomial: 0x9a6c_9329_ac4b_c9b5 };

impl Crc {
    /// The checksum of what `first` is of and what `second` is of behind it; `second_bytes` is the latter's length.
    ///
    /// A checksum is a remainder of polynomials over two elements. What follows moves the first piece up by its length, so
    /// its remainder is multiplied by that power of x; the turned bits of beginning and end cancel out.
    pub fn join(self, first: u64, second: u64, second_bytes: u64) -> u64 {
        let one = 1 << (self.width_bits - 1);
        let mut square = one >> 8;
        let mut power = one;
        let mut rest = second_bytes;
        while rest > 0 {
            if rest & 1 == 1 {
                power = self.multiply(square, power);
            }
            square = self.multiply(square, square);
            rest >>= 1;
        }
        self.multiply(power, first) ^ second
    }

    /// The product of two remainders; the highest bit is the term without x.
    fn multiply(self, left: u64, mut right: u64) -> u64 {
        let mut product = 0;
        for bit in (0..self.width_bits).rev() {
            if left >> bit & 1 == 1 {
                product ^= right;
            }
            right = (right >> 1) ^ if right & 1 == 1 { self.polynomial } else { 0 };
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_bits(crc: Crc, bytes: &[u8]) -> u64 {
        let all = u64::MAX >> (64 - crc.width_bits);
        let state = bytes.iter().fold(all, |state, byte| {
            (0..8).fold(state ^ u64::from(*byte), |state, _| {
                (state >> 1) ^ if state & 1 == 1 { crc.polynomial } else { 0 }
            })
        });
        state ^ all
    }

    proptest! {
        #[test]
        fn joined_is_of_the_whole(first: Vec<u8>, second: Vec<u8>) {
            let whole = [first.clone(), second.clone()].concat();
            for crc in [CRC32, CRC32C, CRC64_NVME] {
                let joined = crc.join(by_bits(crc, &first), by_bits(crc, &second), second.len() as u64);
                prop_assert_eq!(joined, by_bits(crc, &whole));
            }
        }
    }

    #[test]
    fn the_checks_of_the_catalogue() {
        // The catalogue of parametrised CRC algorithms gives each one's value of these nine digits.
        for (crc, check) in [(CRC32, 0xcbf4_3926), (CRC32C, 0xe306_9283), (CRC64_NVME, 0xae8b_1486_0a79_9888)] {
            assert_eq!(by_bits(crc, b"123456789"), check);
        }
    }
}
