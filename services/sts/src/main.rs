//! The STS process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program =
        Program { name: "sts", version: env!("CARGO_PKG_VERSION"), operations: || fractus_sts::operations().list() };
    fractus_host::run::<fractus_sts::Config, _, _, _>(program, fractus_sts::start)
}
