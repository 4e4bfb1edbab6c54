//! The S3 process.

use std::process::ExitCode;

fn main() -> ExitCode {
    fractus_s3::run()
}
