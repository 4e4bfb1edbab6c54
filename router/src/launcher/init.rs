//! Being process 1 of a container without a shell: passes signals on, and reaps processes that nobody else waits for.

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

/// Set for the launcher that runs under an init of its own.
const UNDER_INIT: &str = "FRACTUS_UNDER_INIT";

/// Whether this process must be an init: it is process 1, so orphans come to it.
pub fn is_wanted() -> bool {
    std::process::id() == 1 && std::env::var_os(UNDER_INIT).is_none()
}

/// Starts this program again with the same arguments, as a child, and is its init until it ends.
pub async fn run() -> std::io::Result<ExitCode> {
    let mut ended = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut arguments = std::env::args_os();
    let own = std::env::current_exe().ok().map(Into::into).or_else(|| arguments.next());
    let own = own.ok_or(std::io::ErrorKind::NotFound)?;
    // Not tokio's command: only one part of a process may wait for its children, and that is the loop below.
    let child = std::process::Command::new(own).args(std::env::args_os().skip(1)).env(UNDER_INIT, "1").spawn()?;
    let main = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidData)?;
    loop {
        // A signal that comes while children are looked at is seen by the next turn; the timer is for one that is lost.
        if let Some(code) = reap(main) {
            return Ok(code);
        }
        tokio::select! {
            _ = ended.recv() => {}
            _ = terminate.recv() => pass_on(main, Signal::TERM),
            _ = interrupt.recv() => pass_on(main, Signal::INT),
            () = fractus_clock::Clock::real().sleep(Duration::from_secs(30)) => {}
        }
    }
}

fn pass_on(main: Pid, signal: Signal) {
    if let Err(error) = kill_process(main, signal) {
        tracing::debug!(%error, "a signal could not be passed on");
    }
}

/// Takes all children that have ended; the launcher's exit code when it is among them.
fn reap(main: Pid) -> Option<ExitCode> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == main {
            let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
            let by_signal = status.terminating_signal().and_then(|signal| u8::try_from(128 + signal).ok());
            return Some(ExitCode::from(code.or(by_signal).unwrap_or(1)));
        }
    }
    None
}
