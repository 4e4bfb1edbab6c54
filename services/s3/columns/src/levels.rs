//! Runs and bit-packed groups: how levels, dictionary indexes and booleans are written.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>

use bytes::Bytes;

use super::{Error, Result, malformed};

/// Numbers of one width.
#[derive(Clone, Debug)]
pub struct Runs {
    bytes: Bytes,
    width: u32,
    /// What is left of a run, and its value.
    repeated: (u64, u32),
    /// What is left of bit-packed groups: numbers, and the next bit in `packed`.
    packed: Bytes,
    packed_left: usize,
    bit: usize,
}

impl Runs {
    pub fn new(bytes: Bytes, width: u32) -> Result<Self> {
        if width > 32 {
            return malformed("numbers are wider than 32 bits");
        }
        Ok(Runs { bytes, width, repeated: (0, 0), packed: Bytes::new(), packed_left: 0, bit: 0 })
    }

    /// The next number; what is missing at the end of a page is an error.
    pub fn number(&mut self) -> Result<u32> {
        loop {
            if self.repeated.0 > 0 {
                self.repeated.0 -= 1;
                return Ok(self.repeated.1);
            }
            if self.packed_left > 0 {
                let value = bits(&self.packed, self.bit, self.width);
                self.bit += self.width as usize;
                self.packed_left -= 1;
                return value.ok_or(Error::Malformed("a page ends early"));
            }
            // A width of nothing needs no bytes: every number is 0.
            if self.width == 0 && self.bytes.is_empty() {
                return Ok(0);
            }
            self.begin()?;
        }
    }

    fn begin(&mut self) -> Result<()> {
        let (head, used) = varint(&self.bytes)?;
        let mut rest = self.bytes.slice(used..);
        if head >> 1 == 0 {
            return malformed("a run has no length");
        }
        if head & 1 == 0 {
            let size = self.width.div_ceil(8) as usize;
            let value = rest.get(..size).ok_or(Error::Malformed("a page ends early"))?;
            let value = value.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            self.repeated = (head >> 1, value);
            self.bytes = rest.slice(size..);
        } else {
            let groups = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            // The last group may be cut where nothing follows.
            let size = groups.saturating_mul(self.width as usize).min(rest.len());
            self.packed = rest.split_to(size);
            self.bytes = rest;
            self.packed_left = groups.saturating_mul(8);
            self.bit = 0;
        }
        Ok(())
    }
}

/// `width` bits from the bit `at` on, the lowest first.
pub fn bits(bytes: &[u8], at: usize, width: u32) -> Option<u32> {
    u32::try_from(wide_bits(bytes, at, width)?).ok()
}

pub fn wide_bits(bytes: &[u8], at: usize, width: u32) -> Option<u64> {
    if width == 0 {
        return Some(0);
    }
    let end = (at + width as usize).div_ceil(8);
    let bytes = bytes.get(at / 8..end)?;
    let value = bytes.iter().rev().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let mask = if width >= 64 { u128::from(u64::MAX) } else { (1 << width) - 1 };
    Some((value >> (at % 8) & mask) as u64)
}

pub fn varint(bytes: &[u8]) -> Result<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(at as u32 * 7).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((value, at + 1));
        }
    }
    malformed("a page ends early")
}

/// How many bits the numbers up to `max` take.
pub fn width_of(max: u32) -> u32 {
    u32::BITS - max.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut runs = Runs::new(Bytes::copy_from_slice(bytes), width).unwrap();
        (0..count).map(|_| runs.number().unwrap()).collect()
    }

    #[test]
    fn runs_and_groups() {
        // Four times 4, in ten bits; then the format's own example of 0 to 7 in three bits.
        assert_eq!(all(&[0b1000, 4, 0], 10, 4), [4; 4]);
        assert_eq!(all(&[0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010], 3, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(all(&[], 0, 3), [0; 3]);
        assert_eq!((width_of(0), width_of(1), width_of(7), width_of(8)), (0, 1, 3, 4));
        assert!(Runs::new(Bytes::from_static(&[0b1000]), 1).unwrap().number().is_err());
        assert!(Runs::new(Bytes::from_static(&[0]), 1).unwrap().number().is_err(), "a run of nothing would never end");
    }
}
