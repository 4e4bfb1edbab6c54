//! The command line.

pub mod client;
mod commands;

pub use commands::{Arguments, run};
