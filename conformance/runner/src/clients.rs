//! Stock AWS clients against an endpoint: the suites are theirs, so this only starts them (`conformance/clients/run`).

use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The endpoint to judge; a stack of this tree is started and ended where it is absent.
    #[arg(long)]
    pub endpoint: Option<String>,
    /// Only these suites: first, python, cli, js, rust.
    #[arg(long, value_delimiter = ',')]
    pub suite: Vec<String>,
    /// The script that knows them.
    #[arg(long, default_value = "conformance/clients/run")]
    pub script: PathBuf,
    /// What pytest is told besides, such as `-k presign`.
    #[arg(last = true)]
    pub pytest: Vec<String>,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be run; it is part of the project's tree")]
pub struct ClientsError(PathBuf, #[source] std::io::Error);

pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let ended = command(arguments).status().map_err(|error| ClientsError(arguments.script.clone(), error))?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn command(arguments: &Arguments) -> Command {
    let mut command = Command::new(&arguments.script);
    for suite in &arguments.suite {
        command.args(["--suite", suite]);
    }
    command.args(&arguments.pytest);
    if let Some(endpoint) = &arguments.endpoint {
        command.env("FRACTUS_ENDPOINT", endpoint);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_told_what_was_asked() {
        let arguments = Arguments {
            endpoint: Some("http://localhost:4566".into()),
            suite: vec!["first".into(), "js".into()],
            script: "run".into(),
            pytest: vec!["-k".into(), "presign".into()],
        };
        let command = command(&arguments);
        let told: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        assert_eq!(told, ["--suite", "first", "--suite", "js", "-k", "presign"]);
        let endpoint = command.get_envs().find(|(name, _)| *name == "FRACTUS_ENDPOINT").and_then(|(_, value)| value);
        assert_eq!(endpoint, Some("http://localhost:4566".as_ref()));
    }

    #[test]
    fn its_end_is_the_runs_end() {
        let with = |script: &str| Arguments { endpoint: None, suite: vec![], script: script.into(), pytest: vec![] };
        assert_eq!(run(&with("true")).unwrap(), ExitCode::SUCCESS);
        assert_eq!(run(&with("false")).unwrap(), ExitCode::FAILURE);
        assert!(run(&with("./no-such-script")).is_err());
    }
}
