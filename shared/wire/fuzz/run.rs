//! Runs one target over many inputs, and finds panics, memory and time beyond the input's worth.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fractus_clock::Stopwatch;

use crate::allocation::peak_of;
use crate::mutation::mutate;
use crate::sample::Dice;
use crate::targets::Target;

/// Memory that a reader may take for each byte of input, and besides. A schema's members are more than its bytes: an
/// empty parameter is a string of its own, a small element a map.
const BYTES_PER_BYTE: usize = 400;
const FREE_BYTES: usize = 3 * 1024 * 1024;
/// No input of a few kilobytes is worth longer; the machine may be busy.
const MAX_MILLIS: u128 = 2_000;
const MAX_CORPUS: usize = 4_000;

#[derive(Debug)]
pub struct Outcome {
    pub inputs: u64,
    pub seconds: f64,
    pub outcomes: usize,
    pub peak_bytes: usize,
    pub slowest_millis: u128,
}

/// What was found, and the input that shows it.
#[derive(Debug)]
pub struct Finding {
    pub what: String,
    pub input: Vec<u8>,
}

pub fn run(target: &Target, inputs: u64, seed: u64) -> Result<Outcome, Finding> {
    let mut dice = Dice::new(seed);
    let mut corpus = (target.seeds)();
    let mut known = HashSet::new();
    let mut outcome = Outcome { inputs, seconds: 0.0, outcomes: 0, peak_bytes: 0, slowest_millis: 0 };
    for input in &corpus {
        known.insert(read_once(target, input, &mut outcome)?);
    }
    let whole = Stopwatch::start();
    let mut input = Vec::new();
    for _ in 0..inputs {
        let (base, other) = (dice.below(corpus.len()), dice.below(corpus.len()));
        mutate(&corpus[base], &corpus[other], &mut dice, &mut input);
        let seen = read_once(target, &input, &mut outcome)?;
        if corpus.len() < MAX_CORPUS && known.insert(seen) {
            corpus.push(input.clone());
        }
    }
    outcome.outcomes = known.len();
    outcome.seconds = whole.elapsed().as_secs_f64();
    Ok(outcome)
}

fn read_once(target: &Target, input: &[u8], outcome: &mut Outcome) -> Result<u64, Finding> {
    let finding = |what: String| Finding { what, input: input.to_vec() };
    let stopwatch = Stopwatch::start();
    let (seen, peak_bytes) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (target.read)(input))));
    let millis = stopwatch.elapsed().as_millis();
    let seen = seen.map_err(|_| finding("a panic".to_owned()))?;
    if peak_bytes > input.len() * BYTES_PER_BYTE + FREE_BYTES {
        return Err(finding(format!("{peak_bytes} bytes allocated for {} bytes", input.len())));
    }
    if millis > MAX_MILLIS {
        return Err(finding(format!("{millis} ms for {} bytes", input.len())));
    }
    outcome.peak_bytes = outcome.peak_bytes.max(peak_bytes);
    outcome.slowest_millis = outcome.slowest_millis.max(millis);
    Ok(seen)
}
