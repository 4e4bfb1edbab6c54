//! The EventBridge Scheduler process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "scheduler",
        version: env!("CARGO_PKG_VERSION"),
        operations: || fractus_scheduler::operations().list(),
    };
    fractus_host::run::<fractus_scheduler::Config, _, _, _>(program, fractus_scheduler::start)
}
