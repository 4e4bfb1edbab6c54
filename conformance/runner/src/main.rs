//! The `conformance` binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fractus_conformance::{clients, effects, functions, shapes};

/// Judges an AWS endpoint from outside.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Variants of every operation, from the models: is each answer of the right form?
    Shapes(shapes::Arguments),
    /// Scenarios: did an operation do something that another call shows?
    Effects(effects::Arguments),
    /// Stock AWS clients: do the AWS CLI, boto3 and the SDKs for JavaScript and Rust get along with it?
    Clients(clients::Arguments),
    /// A server that answers nonsense of the right shape to everything: what no scenario may pass against.
    Stub(effects::StubArguments),
    /// Functions that scenarios play: Lambda's Invoke, which passes events to queues and takes answers from them.
    Functions(functions::Arguments),
}

/// 0: all well. 1: the endpoint fell short. 2: the run itself could not be made.
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ended = match arguments.command {
        Command::Shapes(arguments) => runtime.block_on(shapes::run(arguments)),
        Command::Effects(arguments) => runtime.block_on(effects::run(arguments)),
        Command::Clients(arguments) => clients::run(&arguments),
        Command::Stub(arguments) => runtime.block_on(effects::run_stub(arguments)),
        Command::Functions(arguments) => runtime.block_on(functions::run(arguments)),
    };
    ended.unwrap_or_else(|error| fail(&*error))
}

/// The chain of causes, each on a line of its own.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stderr().lock();
    // Without standard error there is only the exit code to tell.
    let _ = writeln!(out, "conformance: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(out, "  because: {error}");
        cause = error.source();
    }
    ExitCode::from(2)
}
