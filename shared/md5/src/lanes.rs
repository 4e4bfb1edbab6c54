//! Several MD5s over the same number of blocks, or one, by the quickest that the processor has.

use crate::state::{Block, Md5State};
#[cfg(target_arch = "x86_64")]
use crate::vectors;

/// How many MD5s are computed side by side.
pub const LANES: usize = 8;

/// One MD5 and the blocks that are to be worked into it, none of its own being begun.
pub type LaneInput<'l> = (&'l mut Md5State, &'l [Block]);

/// Works the same number of blocks into up to [`LANES`] states: as many as the shortest input has. The number is returned.
pub fn compress(lanes: &mut [LaneInput<'_>]) -> usize {
    let blocks = lanes.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or(0);
    #[cfg(target_arch = "x86_64")]
    if lanes.len() > 1 && blocks > 0 && std::arch::is_x86_feature_detected!("avx2") {
        compress_side_by_side(lanes, blocks);
        return blocks;
    }
    for (state, input) in lanes {
        state.take_blocks(&input[..blocks]);
    }
    blocks
}

/// Whether several MD5s take less time together than one after the other.
pub fn are_faster_together() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Whether the processor has AVX-512 for registers of 256 bits.
#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl")
}

/// Works blocks into the state of one MD5.
pub(crate) fn compress_alone(words: &mut [u32; 4], blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the processor has all that the function asks for.
        #[allow(unsafe_code)]
        unsafe {
            vectors::compress_alone_by_avx512(words, blocks);
        }
        return;
    }
    md5::block_api::compress(words, blocks);
}

/// Lanes without a body repeat the first one's blocks: what comes of them is thrown away.
#[cfg(target_arch = "x86_64")]
fn compress_side_by_side(lanes: &mut [LaneInput<'_>], blocks: usize) {
    let mut words = [[0; LANES]; 4];
    for (lane, (state, _)) in lanes.iter().enumerate() {
        for (row, word) in words.iter_mut().zip(state.words) {
            row[lane] = word;
        }
    }
    let inputs: [&[Block]; LANES] = std::array::from_fn(|lane| {
        let (_, input) = lanes.get(lane).unwrap_or(&lanes[0]);
        &input[..blocks]
    });
    // SAFETY: the processor has AVX-512, as is seen here, or AVX2, as the caller has seen: all that the functions ask for.
    #[allow(unsafe_code)]
    unsafe {
        if has_avx512() {
            vectors::compress_by_avx512(&mut words, &inputs);
        } else {
            vectors::compress_by_avx2(&mut words, &inputs);
        }
    }
    for (lane, (state, _)) in lanes.iter_mut().enumerate() {
        state.words = std::array::from_fn(|row| words[row][lane]);
        state.count_blocks(blocks);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each input as blocks, and what the reference makes of the first `blocks` of it.
    fn expected(input: &[Block], blocks: usize) -> [u32; 4] {
        let mut words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        md5::block_api::compress(&mut words, &input[..blocks]);
        words
    }

    fn as_blocks(halves: &[[u8; 32]]) -> Vec<Block> {
        halves.chunks_exact(2).map(|pair| std::array::from_fn(|at| pair[at / 32][at % 32])).collect()
    }

    proptest! {
        #[test]
        fn lanes_are_what_each_would_be_alone(
            inputs in proptest::collection::vec(proptest::collection::vec(any::<[u8; 32]>(), 0..24), 1..=LANES),
        ) {
            let inputs: Vec<Vec<Block>> = inputs.iter().map(|halves| as_blocks(halves)).collect();
            let mut states = vec![Md5State::default(); inputs.len()];
            let mut lanes: Vec<LaneInput<'_>> =
                states.iter_mut().zip(&inputs).map(|(state, input)| (state, &input[..])).collect();
            let done = compress(&mut lanes);
            prop_assert_eq!(done, inputs.iter().map(Vec::len).min().unwrap());
            for (state, input) in states.iter().zip(&inputs) {
                prop_assert_eq!(state.words, expected(input, done));
                prop_assert_eq!(state.length_bytes(), (done * 64) as u64);
            }
        }

        /// Whichever of them this processor takes, all that it has do the same.
        #[test]
        fn every_set_of_instructions_does_the_same(
            halves in proptest::collection::vec(any::<[u8; 32]>(), 2..24),
        ) {
            let input = as_blocks(&halves);
            let begin = expected(&input, 0);
            let mut alone = begin;
            compress_alone(&mut alone, &input);
            prop_assert_eq!(alone, expected(&input, input.len()));
            #[cfg(target_arch = "x86_64")]
            if are_faster_together() {
                let mut columns = begin.map(|word| [word; LANES]);
                // SAFETY: the processor has AVX2.
                #[allow(unsafe_code)]
                unsafe {
                    vectors::compress_by_avx2(&mut columns, &[&input[..]; LANES]);
                }
                for lane in 0..LANES {
                    prop_assert_eq!(columns.map(|row| row[lane]), alone);
                }
            }
        }
    }
}
