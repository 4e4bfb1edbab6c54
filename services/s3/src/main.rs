//! The S3 process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program =
        Program { name: "s3", version: env!("CARGO_PKG_VERSION"), operations: || fractus_s3::operations().list() };
    fractus_host::run::<fractus_s3::Config, _, _, _>(program, fractus_s3::start)
}
