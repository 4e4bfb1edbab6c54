//! Feeds changed inputs to every reader of the crate: `cargo run --release -p fractus-wire --example fuzz -- [TARGET|all]
//! [INPUTS] [SEED]`. A finding is printed with its input in hexadecimal, to become a regression test.
#![allow(clippy::print_stdout, clippy::expect_used)]

mod allocation;
mod mutation;
mod run;
#[path = "../tests/support/sample.rs"]
mod sample;
mod targets;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_else(|| "all".to_owned());
    let inputs = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(7);
    let mut code = ExitCode::SUCCESS;
    let chosen: Vec<_> = targets::TARGETS.iter().filter(|target| wanted == "all" || wanted == target.name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = targets::TARGETS.iter().map(|target| target.name).collect();
        println!("no target {wanted}; there are: all {}", names.join(" "));
        return ExitCode::FAILURE;
    }
    for target in chosen {
        match run::run(target, inputs, seed) {
            Ok(outcome) => println!(
                "{}: {} inputs in {:.1} s, {} outcomes, at most {} KiB and {} ms for one",
                target.name,
                outcome.inputs,
                outcome.seconds,
                outcome.outcomes,
                outcome.peak_bytes / 1024,
                outcome.slowest_millis,
            ),
            Err(finding) => {
                println!("{}: {}\n{}", target.name, finding.what, hex_of(&finding.input));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
