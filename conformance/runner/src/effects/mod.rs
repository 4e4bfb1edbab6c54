//! Scenarios as data, each showing through another call that an operation did something.

use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The endpoint to judge, such as http://localhost:4566.
    #[arg(long)]
    pub endpoint: String,
    /// Only these services, by their API's name; all of them otherwise.
    #[arg(long, value_delimiter = ',')]
    pub service: Vec<String>,
    /// Writes the results as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("effects are not built yet")]
struct NotBuiltYet;

pub async fn run(_arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    Err(Box::new(NotBuiltYet))
}
