//! A service's program, started alone: by no launcher, and beside no router.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Client, http};

/// A running program. Dropping it ends it.
pub struct Program {
    child: Child,
    pub url: String,
}

impl Program {
    /// Starts `path` (`env!("CARGO_BIN_EXE_fractus-sqs")`) with settings such as `--nats-url`, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(path: &str, settings: &[&str]) -> Program {
        let mut command = Command::new(path);
        // In a folder without `fractus.toml`, and with none of the variables of the test's own environment.
        let folder = tempfile::tempdir().unwrap();
        command.args(["--log", "warn"]).args(settings).env_clear().current_dir(&folder).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{path}: {error}"));
        let stdout = child.stdout.take().unwrap();
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = first.await.unwrap().unwrap();
        let url = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{path} is not ready: {line:?}"));
        Program { url: url.to_owned(), child }
    }

    pub fn client(&self) -> Client {
        Client::new(self.url.as_str())
    }

    /// Moves a lane's clock by the program's own admin endpoint; the clock as it is then.
    ///
    /// # Panics
    /// When the program does not take the change.
    pub async fn clock(&self, change: &Value) -> Value {
        let (status, clock) = http::post_json(&format!("{}/_fractus/clock", self.url), change).await;
        assert_eq!(status, 200, "{clock}");
        clock
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
