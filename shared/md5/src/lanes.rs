//! Several MD5s over the same number of blocks.

use crate::state::{Block, Md5State};

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
    // SAFETY: the caller has seen that this processor has AVX2, which is all that the function asks for.
    #[allow(unsafe_code)]
    unsafe {
        crate::avx2::compress(&mut words, &inputs);
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

    proptest! {
        #[test]
        fn lanes_are_what_each_would_be_alone(
            inputs in proptest::collection::vec(proptest::collection::vec(any::<[u8; 32]>(), 0..24), 1..=LANES),
        ) {
            let inputs: Vec<Vec<Block>> = inputs
                .iter()
                .map(|halves| halves.chunks_exact(2).map(|pair| std::array::from_fn(|at| pair[at / 32][at % 32])).collect())
                .collect();
            let mut states = vec![Md5State::default(); inputs.len()];
            let mut lanes: Vec<LaneInput<'_>> =
                states.iter_mut().zip(&inputs).map(|(state, input)| (state, &input[..])).collect();
            let done = compress(&mut lanes);
            prop_assert_eq!(done, inputs.iter().map(Vec::len).min().unwrap());
            for (state, input) in states.iter().zip(&inputs) {
                let mut alone = Md5State::default();
                alone.take_blocks(&input[..done]);
                prop_assert_eq!(state, &alone);
            }
        }
    }
}
