//! Eight MD5s in the eight 32-bit lanes of 256-bit registers, by AVX2's instructions or, quicker, by AVX-512's.
//!
//! Each step waits for the one before, so what counts is how many instructions stand one behind the other: six with AVX2,
//! four where AVX-512 mixes three words and rotates in one instruction each. That is fewer than without vectors, so one
//! MD5 alone is computed in them as well.
//!
//! Everything here is safe code: the intrinsics are safe inside a function that is compiled for them, and memory is read
//! through slices, which the compiler makes single loads of. Only calling the functions that compress needs a promise.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_extract_epi32, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_rol_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_ternarylogic_epi32, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use crate::lanes::LANES;
use crate::state::Block;

/// The constant of each step: the integer part of 2^32 times the absolute sine of its number.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
];

/// How far each step rotates: four numbers for each round, over and over.
const ROTATIONS: [[i32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Which word of the block a step takes.
const fn word_of(step: usize) -> usize {
    match step / 16 {
        0 => step,
        1 => (5 * step + 1) % 16,
        2 => (3 * step + 5) % 16,
        _ => (7 * step) % 16,
    }
}

/// Eight words as one vector. Written out, here and below: what the compiler would have to inline into a function with
/// features of its own, such as an array's `map`, it leaves as a call.
#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u32; 8]) -> __m256i {
    let [a, b, c, d, e, f, g, h] = *words;
    _mm256_setr_epi32(a as i32, b as i32, c as i32, d as i32, e as i32, f as i32, g as i32, h as i32)
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(vector: __m256i) -> [u32; 8] {
    [
        _mm256_extract_epi32::<0>(vector) as u32,
        _mm256_extract_epi32::<1>(vector) as u32,
        _mm256_extract_epi32::<2>(vector) as u32,
        _mm256_extract_epi32::<3>(vector) as u32,
        _mm256_extract_epi32::<4>(vector) as u32,
        _mm256_extract_epi32::<5>(vector) as u32,
        _mm256_extract_epi32::<6>(vector) as u32,
        _mm256_extract_epi32::<7>(vector) as u32,
    ]
}

/// The eight words of half a block.
#[inline]
#[target_feature(enable = "avx2")]
fn row(half: &[u8]) -> __m256i {
    let (words, _) = half.as_chunks::<4>();
    load(&[
        u32::from_le_bytes(words[0]),
        u32::from_le_bytes(words[1]),
        u32::from_le_bytes(words[2]),
        u32::from_le_bytes(words[3]),
        u32::from_le_bytes(words[4]),
        u32::from_le_bytes(words[5]),
        u32::from_le_bytes(words[6]),
        u32::from_le_bytes(words[7]),
    ])
}

/// Half of each lane's block, turned: vector `n` holds word `n` of every lane's half.
#[inline]
#[target_feature(enable = "avx2")]
fn half(inputs: &[&[Block]; LANES], at: usize, from: usize) -> [__m256i; 8] {
    let to = from + 32;
    transpose([
        row(&inputs[0][at][from..to]),
        row(&inputs[1][at][from..to]),
        row(&inputs[2][at][from..to]),
        row(&inputs[3][at][from..to]),
        row(&inputs[4][at][from..to]),
        row(&inputs[5][at][from..to]),
        row(&inputs[6][at][from..to]),
        row(&inputs[7][at][from..to]),
    ])
}

#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256i; 8]) -> [__m256i; 8] {
    let (a, b) = (_mm256_unpacklo_epi32(r[0], r[1]), _mm256_unpackhi_epi32(r[0], r[1]));
    let (c, d) = (_mm256_unpacklo_epi32(r[2], r[3]), _mm256_unpackhi_epi32(r[2], r[3]));
    let (e, f) = (_mm256_unpacklo_epi32(r[4], r[5]), _mm256_unpackhi_epi32(r[4], r[5]));
    let (g, h) = (_mm256_unpacklo_epi32(r[6], r[7]), _mm256_unpackhi_epi32(r[6], r[7]));
    let (i, j) = (_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c));
    let (k, l) = (_mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d));
    let (m, n) = (_mm256_unpacklo_epi64(e, g), _mm256_unpackhi_epi64(e, g));
    let (o, p) = (_mm256_unpacklo_epi64(f, h), _mm256_unpackhi_epi64(f, h));
    [
        _mm256_permute2x128_si256::<0x20>(i, m),
        _mm256_permute2x128_si256::<0x20>(j, n),
        _mm256_permute2x128_si256::<0x20>(k, o),
        _mm256_permute2x128_si256::<0x20>(l, p),
        _mm256_permute2x128_si256::<0x31>(i, m),
        _mm256_permute2x128_si256::<0x31>(j, n),
        _mm256_permute2x128_si256::<0x31>(k, o),
        _mm256_permute2x128_si256::<0x31>(l, p),
    ]
}

/// The sum of what a step does not need the step before for: `a`, the step's word and its constant.
#[inline]
#[target_feature(enable = "avx2")]
fn early_sum<const STEP: usize>(a: __m256i, words: &[__m256i; 16]) -> __m256i {
    _mm256_add_epi32(a, _mm256_add_epi32(words[word_of(STEP)], _mm256_set1_epi32(SINES[STEP] as i32)))
}

/// `b` and the rotated sum of `a`, the round's function of `b`, `c` and `d`, the step's word and its constant.
#[inline]
#[target_feature(enable = "avx2")]
fn step_of_avx2<const STEP: usize, const LEFT: i32, const RIGHT: i32>(
    a: __m256i,
    b: __m256i,
    c: __m256i,
    d: __m256i,
    words: &[__m256i; 16],
) -> __m256i {
    let mixed = match STEP / 16 {
        0 => _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))),
        1 => _mm256_xor_si256(c, _mm256_and_si256(d, _mm256_xor_si256(b, c))),
        2 => _mm256_xor_si256(_mm256_xor_si256(c, d), b),
        _ => _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, _mm256_set1_epi32(-1)))),
    };
    let sum = _mm256_add_epi32(early_sum::<STEP>(a, words), mixed);
    _mm256_add_epi32(_mm256_or_si256(_mm256_slli_epi32::<LEFT>(sum), _mm256_srli_epi32::<RIGHT>(sum)), b)
}

/// The same by AVX-512: each round's function as the column of its table of truth, `b` counting 4, `c` 2 and `d` 1.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn step_of_avx512<const STEP: usize, const LEFT: i32, const RIGHT: i32>(
    a: __m256i,
    b: __m256i,
    c: __m256i,
    d: __m256i,
    words: &[__m256i; 16],
) -> __m256i {
    let mixed = match STEP / 16 {
        0 => _mm256_ternarylogic_epi32::<0b1100_1010>(b, c, d),
        1 => _mm256_ternarylogic_epi32::<0b1110_0100>(b, c, d),
        2 => _mm256_ternarylogic_epi32::<0b1001_0110>(b, c, d),
        _ => _mm256_ternarylogic_epi32::<0b0011_1001>(b, c, d),
    };
    let sum = _mm256_add_epi32(early_sum::<STEP>(a, words), mixed);
    _mm256_add_epi32(_mm256_rol_epi32::<LEFT>(sum), b)
}

/// Four steps, through which every state word goes once. `$first` is the number of the first.
macro_rules! four_steps {
    ($step:ident, $first:literal, $words:expr, $a:ident $b:ident $c:ident $d:ident) => {
        const R: [i32; 4] = ROTATIONS[$first / 16];
        $a = $step::<{ $first }, { R[0] }, { 32 - R[0] }>($a, $b, $c, $d, $words);
        $d = $step::<{ $first + 1 }, { R[1] }, { 32 - R[1] }>($d, $a, $b, $c, $words);
        $c = $step::<{ $first + 2 }, { R[2] }, { 32 - R[2] }>($c, $d, $a, $b, $words);
        $b = $step::<{ $first + 3 }, { R[3] }, { 32 - R[3] }>($b, $c, $d, $a, $words);
    };
}

macro_rules! all_steps {
    ($step:ident, $($first:literal)+, $words:expr, $a:ident $b:ident $c:ident $d:ident) => {
        $({ four_steps!($step, $first, $words, $a $b $c $d); })+
    };
}

/// A function that works so many blocks into the state; `$words` tells the sixteen words of block `$at`.
macro_rules! compressing {
    ($step:ident, $state:ident, $blocks:expr, $at:ident => $words:expr) => {{
        let (mut a, mut b, mut c, mut d) = (load(&$state[0]), load(&$state[1]), load(&$state[2]), load(&$state[3]));
        for $at in 0..$blocks {
            let words = $words;
            let before = [a, b, c, d];
            all_steps!($step, 0 4 8 12 16 20 24 28 32 36 40 44 48 52 56 60, &words, a b c d);
            a = _mm256_add_epi32(a, before[0]);
            b = _mm256_add_epi32(b, before[1]);
            c = _mm256_add_epi32(c, before[2]);
            d = _mm256_add_epi32(d, before[3]);
        }
        *$state = [store(a), store(b), store(c), store(d)];
    }};
}

/// Block `at` of each lane: vector `n` holds word `n` of every lane's.
#[inline]
#[target_feature(enable = "avx2")]
fn block(inputs: &[&[Block]; LANES], at: usize) -> [__m256i; 16] {
    let [w0, w1, w2, w3, w4, w5, w6, w7] = half(inputs, at, 0);
    let [w8, w9, w10, w11, w12, w13, w14, w15] = half(inputs, at, 32);
    [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
}

/// The state of every lane: for each of its four words the lanes' own.
pub(crate) type Columns = [[u32; LANES]; 4];

/// Works the blocks of each lane into its column of `state`; all lanes have equally many.
#[target_feature(enable = "avx2")]
pub(crate) fn compress_by_avx2(state: &mut Columns, inputs: &[&[Block]; LANES]) {
    compressing!(step_of_avx2, state, inputs[0].len(), at => block(inputs, at));
}

/// The same.
#[target_feature(enable = "avx512f,avx512vl")]
pub(crate) fn compress_by_avx512(state: &mut Columns, inputs: &[&[Block]; LANES]) {
    compressing!(step_of_avx512, state, inputs[0].len(), at => block(inputs, at));
}

/// A word of the block in every lane.
#[inline]
#[target_feature(enable = "avx2")]
fn everywhere(block: &Block, word: usize) -> __m256i {
    let (words, _) = block.as_chunks::<4>();
    _mm256_set1_epi32(i32::from_le_bytes(words[word]))
}

/// Works blocks into one state: the same in all lanes.
#[target_feature(enable = "avx512f,avx512vl")]
pub(crate) fn compress_alone_by_avx512(words: &mut [u32; 4], blocks: &[Block]) {
    let mut columns = [[words[0]; LANES], [words[1]; LANES], [words[2]; LANES], [words[3]; LANES]];
    let state = &mut columns;
    compressing!(step_of_avx512, state, blocks.len(), at => {
        let block = &blocks[at];
        [
            everywhere(block, 0), everywhere(block, 1), everywhere(block, 2), everywhere(block, 3),
            everywhere(block, 4), everywhere(block, 5), everywhere(block, 6), everywhere(block, 7),
            everywhere(block, 8), everywhere(block, 9), everywhere(block, 10), everywhere(block, 11),
            everywhere(block, 12), everywhere(block, 13), everywhere(block, 14), everywhere(block, 15),
        ]
    });
    *words = [columns[0][0], columns[1][0], columns[2][0], columns[3][0]];
}
