//! The `fractus` binary.

use std::process::ExitCode;

use clap::Parser;
use fractus_router::cli::{self, Arguments};
use fractus_router::launcher::{guard, init};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == guard::COMMAND) {
        return fail(&guard::run(arguments));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ended = if init::is_wanted() {
        runtime.block_on(init::run()).map_err(Into::into)
    } else {
        runtime.block_on(cli::run(Arguments::parse()))
    };
    ended.unwrap_or_else(|error| fail(&*error))
}

/// The chain of causes, each on a line of its own.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stderr().lock();
    // Without standard error there is only the exit code to tell.
    let _ = writeln!(out, "fractus: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(out, "  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
