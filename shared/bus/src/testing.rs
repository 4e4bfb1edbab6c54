//! A nats-server of one's own, for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fractus_clock::{Clock, Stopwatch};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The settings every nats-server of a stack needs, beside its address and folder: messages up to 8 MiB, so that the
/// largest message of any service fits with its attributes and its JSON.
pub const MAX_PAYLOAD_BYTES: usize = 8 << 20;

/// A running nats-server with JetStream in a fresh folder, on a port of its own; ended when dropped.
pub struct NatsServer {
    /// `nats://127.0.0.1:<port>`
    pub url: String,
    pub pid: u32,
    port: u16,
    folder: TempDir,
    child: Child,
}

impl NatsServer {
    /// Starts `nats-server`, found by `PATH`, and waits until it takes connections.
    ///
    /// # Panics
    /// When there is no nats-server, or it does not start.
    #[allow(clippy::expect_used)] // A test cannot go on without it, and says so best at once.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = spawn(folder.path(), None).expect("nats-server is on the PATH");
        let port = wait_for_port(folder.path()).await.expect("nats-server starts within 20 s");
        let pid = child.id().expect("nats-server runs");
        NatsServer { url: format!("nats://127.0.0.1:{port}"), pid, port, folder, child }
    }

    /// Ends it as a crash would (SIGKILL) and waits until it is gone.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Starts it again after [`NatsServer::kill`], on the same port and folder.
    ///
    /// # Panics
    /// When it does not start.
    #[allow(clippy::expect_used)]
    pub async fn restart(&mut self) {
        self.kill().await;
        for file in port_files(self.folder.path()) {
            let _ = std::fs::remove_file(file);
        }
        self.child = spawn(self.folder.path(), Some(self.port)).expect("nats-server is on the PATH");
        wait_for_port(self.folder.path()).await.expect("nats-server starts within 20 s");
        self.pid = self.child.id().expect("nats-server runs");
    }
}

fn spawn(folder: &Path, port: Option<u16>) -> io::Result<Child> {
    let config = folder.join("nats.conf");
    std::fs::write(
        &config,
        format!(
            "listen: \"127.0.0.1:{}\"\nmax_payload: {MAX_PAYLOAD_BYTES}\nports_file_dir: {folder:?}\n\
             jetstream {{ store_dir: {:?}, max_mem: 2GB, max_file: 4GB }}\n",
            port.map_or("-1".to_owned(), |port| port.to_string()),
            folder.join("jetstream"),
        ),
    )?;
    let log = std::fs::File::create(folder.join("nats.log"))?;
    Command::new("nats-server")
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

fn port_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "ports")).collect()
}

/// The port that the server wrote into its ports file, once it listens.
async fn wait_for_port(folder: &Path) -> Option<u16> {
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(20) {
        let text = port_files(folder).first().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let ports: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let port = ports.and_then(|ports| ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok());
        if let Some(port) = port
            && tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        {
            return Some(port);
        }
        Clock::real().sleep(Duration::from_millis(5)).await;
    }
    None
}
