//! The stack's own nats-server.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

use super::guard;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running nats-server; ends with this process at the latest.
#[derive(Debug)]
pub struct Nats {
    pub url: String,
    child: Child,
}

#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    #[error("nats-server cannot be run from {}", .program.display())]
    Run { program: PathBuf, source: io::Error },
    #[error("its settings cannot be written to {}", .path.display())]
    Settings { path: PathBuf, source: io::Error },
    #[error("nats-server ended before it was ready: {0}")]
    Ended(String),
    #[error("nats-server was not ready within {START_TIMEOUT:?}")]
    TooSlow,
}

/// Starts nats-server on `port`, or one of its own choice; its queue lies below `store`.
pub async fn start(program: &Path, run_dir: &Path, store: &Path, port: Option<u16>) -> Result<Nats, NatsError> {
    let settings = run_dir.join("nats.conf");
    let write = std::fs::create_dir_all(store).and_then(|()| std::fs::write(&settings, settings_text(store, port)));
    write.map_err(|source| NatsError::Settings { path: settings.clone(), source })?;
    let run_error = |source| NatsError::Run { program: program.to_owned(), source };
    let mut child = guard::command(program)
        .map_err(run_error)?
        .arg("--config")
        .arg(&settings)
        // A bound for Go's collector: an idle server stays small, a busy one may use more.
        .env("GOMEMLIMIT", "48MiB")
        .env("GOGC", "50")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(run_error)?;
    let log = child.stderr.take().ok_or(NatsError::TooSlow)?;
    let mut lines = BufReader::new(log).lines();
    let waiting = tokio::time::timeout(START_TIMEOUT, wait_until_ready(&mut lines));
    let url = waiting.await.map_err(|_| NatsError::TooSlow)??;
    tokio::spawn(pass_log_on(lines));
    Ok(Nats { url, child })
}

impl Nats {
    pub fn port(&self) -> Option<u16> {
        self.url.rsplit(':').next()?.parse().ok()
    }

    /// Completes when nats-server has ended.
    pub async fn ended(&mut self) {
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "nats-server is lost sight of");
        }
    }

    /// Lets it store what it has and end.
    pub async fn stop(mut self, grace: Duration) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // Ended already is as good.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Deliveries carry payloads up to SQS's and EventBridge's 1 MiB, in JSON and base64, so 8 MB is ample.
fn settings_text(store: &Path, port: Option<u16>) -> String {
    let port = port.map_or(-1, i32::from);
    format!(
        "host: 127.0.0.1\nport: {port}\nmax_payload: 8MB\nmax_connections: 4096\n\
         jetstream {{\n  store_dir: {:?}\n  max_memory_store: 64MB\n  max_file_store: 16GB\n  sync_interval: 10s\n}}\n",
        store.display().to_string()
    )
}

async fn wait_until_ready(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<String, NatsError> {
    let (mut address, mut last) = (None, String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, found)) = line.split_once("Listening for client connections on ") {
            address = Some(found.trim().to_owned());
        }
        if line.contains("Server is ready")
            && let Some(address) = address
        {
            return Ok(format!("nats://{address}"));
        }
        last = line;
    }
    Err(NatsError::Ended(last))
}

/// Warnings and worse, which nats-server marks `[WRN]`, `[ERR]`, `[FTL]`.
async fn pass_log_on(mut lines: Lines<BufReader<ChildStderr>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        if ["[WRN]", "[ERR]", "[FTL]"].iter().any(|mark| line.contains(mark)) {
            tracing::warn!(target: "nats_server", "{line}");
        }
    }
}
