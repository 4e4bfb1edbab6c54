//! The DynamoDB process.

use std::process::ExitCode;

use fractus_host::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "dynamodb",
        version: env!("CARGO_PKG_VERSION"),
        operations: || fractus_dynamodb::operations().list(),
    };
    fractus_host::run::<fractus_dynamodb::Config, _, _, _>(program, fractus_dynamodb::start)
}
