//! The SNS process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program =
        Program { name: "sns", version: env!("CARGO_PKG_VERSION"), operations: || fractus_sns::operations().list() };
    fractus_host::run::<fractus_sns::Config, _, _, _>(program, fractus_sns::start)
}
