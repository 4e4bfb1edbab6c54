//! One MD5 under way: RFC 1321, with its parts in reach.

use crate::lanes::compress_alone as compress;

/// What MD5 comes to.
pub type Digest = [u8; 16];

/// A block of input.
pub type Block = [u8; 64];

const BLOCK_BYTES: usize = size_of::<Block>();

/// The hash of what has been taken in so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Md5State {
    pub(crate) words: [u32; 4],
    /// The begin of a block whose rest has not come yet.
    carry: Block,
    /// How many bytes of `carry` there are; always fewer than a block.
    carried: usize,
    length_bytes: u64,
}

impl Default for Md5State {
    fn default() -> Self {
        let words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Md5State { words, carry: [0; BLOCK_BYTES], carried: 0, length_bytes: 0 }
    }
}

impl Md5State {
    /// The bytes taken in so far.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Takes in bytes, here and now.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.take_ragged(bytes);
        let (blocks, _) = rest.as_chunks();
        self.take_blocks(blocks);
        self.take_ragged(&rest[blocks.len() * BLOCK_BYTES..]);
    }

    /// Takes in as many bytes as complete the block that is begun, or, where they do not fill a block, all of them. What
    /// is left begins at a block's begin.
    pub(crate) fn take_ragged<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.carried == 0 && bytes.len() >= BLOCK_BYTES {
            return bytes;
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.carried);
        let (now, rest) = bytes.split_at(taken);
        self.carry[self.carried..self.carried + taken].copy_from_slice(now);
        self.carried += taken;
        self.length_bytes += taken as u64;
        if self.carried == BLOCK_BYTES {
            compress(&mut self.words, &[self.carry]);
            self.carried = 0;
        }
        // What is too short for a block is kept as well, so that nothing ragged is ever left.
        if rest.is_empty() || rest.len() >= BLOCK_BYTES { rest } else { self.take_ragged(rest) }
    }

    /// Takes in whole blocks, where none is begun.
    pub(crate) fn take_blocks(&mut self, blocks: &[Block]) {
        debug_assert!(blocks.is_empty() || self.carried == 0);
        compress(&mut self.words, blocks);
        self.count_blocks(blocks.len());
    }

    /// Notes blocks that somebody else has worked into `words`.
    pub(crate) fn count_blocks(&mut self, blocks: usize) {
        self.length_bytes += (blocks * BLOCK_BYTES) as u64;
    }

    /// The hash of all that was taken in.
    pub fn finish(mut self) -> Digest {
        let length_bits = self.length_bytes.wrapping_mul(8);
        let mut end = [[0; BLOCK_BYTES]; 2];
        end[0][..self.carried].copy_from_slice(&self.carry[..self.carried]);
        end[0][self.carried] = 0x80;
        // The length takes the last eight bytes of the last block.
        let blocks = if self.carried < BLOCK_BYTES - 8 { 1 } else { 2 };
        end[blocks - 1][BLOCK_BYTES - 8..].copy_from_slice(&length_bits.to_le_bytes());
        compress(&mut self.words, &end[..blocks]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }
}
