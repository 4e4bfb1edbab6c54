//! A PostgreSQL server of one's own, for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // A test cannot go on without it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The URL of a server that ends with this process; `None`, with a word, where there is no PostgreSQL on this machine and this
/// is not CI. `FRACTUS_TEST_POSTGRES` names another one.
///
/// # Panics
/// When it does not start.
pub fn postgres_url() -> Option<&'static str> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map(|server| server.url.as_str())
}

struct Server {
    url: String,
}

fn binaries() -> Option<PathBuf> {
    if let Ok(folder) = std::env::var("POSTGRES_BIN") {
        return Some(folder.into());
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    versions.into_iter().rev().chain(on_path).find(|folder| folder.join("postgres").exists())
}

impl Server {
    /// Starts a server in a fresh folder on a Unix socket. A small shell outlives this process just long enough to end
    /// the server when this process is gone, however it went.
    fn start() -> Option<Server> {
        if let Ok(url) = std::env::var("FRACTUS_TEST_POSTGRES") {
            return Some(Server { url });
        }
        let Some(binaries) = binaries() else {
            assert!(std::env::var_os("CI").is_none(), "CI must have a PostgreSQL");
            println!("SKIPPED: no PostgreSQL on this machine (looked in /usr/lib/postgresql and PATH)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("fractus-pg").tempdir().unwrap().keep();
        let user = if is_root() { "postgres" } else { "" };
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let folder_text = folder.display();
        let bin = binaries.display();
        let port = 5_432;
        let script = format!(
            "cd {folder_text} && {bin}/initdb -D data -A trust -U fractus --no-sync >log 2>&1 && \
             {{ {bin}/postgres -D data -k {folder_text} -p {port} -c listen_addresses= -c fsync=off \
             -c max_connections=400 >>log 2>&1 & server=$!; read -r _; kill -INT $server; wait $server; cd /; rm -rf {folder_text}; }}"
        );
        let mut command = if user.is_empty() {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script);
            command
        } else {
            let mut command = Command::new("su");
            command.args(["-s", "/bin/sh", user, "-c"]).arg(script);
            command
        };
        // The shell waits for the end of its input: the pipe closes when this process ends, even by a signal.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::mem::forget(child);
        wait_for_server(&binaries, &folder, port);
        Some(Server { url: format!("host={folder_text} port={port} user=fractus dbname=postgres") })
    }
}

fn wait_for_server(binaries: &Path, folder: &Path, port: u16) {
    for _ in 0..600 {
        let ready = Command::new(binaries.join("pg_isready"))
            .args(["-h", &folder.display().to_string(), "-p", &port.to_string(), "-U", "fractus", "-d", "postgres"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ready.is_ok_and(|status| status.success()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    panic!("PostgreSQL did not start: {log}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
