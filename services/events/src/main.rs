//! The EventBridge process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "events",
        version: env!("CARGO_PKG_VERSION"),
        operations: || fractus_events::operations().list(),
    };
    fractus_host::run::<fractus_events::Config, _, _, _>(program, fractus_events::start)
}
