//! The made-up service of the tests as a program: what the host costs, with nothing behind it.

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::process::ExitCode;
use std::sync::Arc;

use fractus_host::{App, Host, NoSettings, Program, run};

fn main() -> ExitCode {
    let program = Program { name: "toy", version: env!("CARGO_PKG_VERSION"), operations: || toy::operations().list() };
    run(program, |_: NoSettings, _: Host| async {
        Ok::<_, String>(App::new(Arc::new(toy::Toy::default()), toy::operations()))
    })
}
