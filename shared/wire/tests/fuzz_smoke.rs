//! A short run of the fuzzer over every reader, and the inputs that once found something.
//!
//! The long run is the example `fuzz`; here the allocator is not counted, only panics and time are.
#![allow(dead_code, clippy::expect_used)]

#[path = "../fuzz/allocation.rs"]
mod allocation;
#[path = "../fuzz/mutation.rs"]
mod mutation;
#[path = "../fuzz/run.rs"]
mod run;
#[path = "support/sample.rs"]
mod sample;
#[path = "../fuzz/targets.rs"]
mod targets;

const INPUTS: u64 = 3_000;

#[test]
fn no_reader_panics_or_dawdles() {
    for target in targets::TARGETS {
        let outcome = run::run(target, INPUTS, 42).unwrap_or_else(|finding| panic!("{}: {finding:?}", target.name));
        // Inputs that all end alike would say that the target is not reached.
        assert!(outcome.outcomes > 5, "{}: {outcome:?}", target.name);
    }
}
