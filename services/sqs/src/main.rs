//! The SQS process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program =
        Program { name: "sqs", version: env!("CARGO_PKG_VERSION"), operations: || fractus_sqs::operations().list() };
    fractus_host::run::<fractus_sqs::Config, _, _, _>(program, fractus_sqs::start)
}
