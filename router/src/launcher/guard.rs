//! Making sure that no process outlives the launcher, even one that is killed.
//!
//! Linux sends a process a signal when its parent dies, but only the process itself can ask for that. So the launcher
//! starts its own binary as `fractus guard …`, which asks and then becomes the real program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The hidden command's name.
pub const COMMAND: &str = "guard";

/// This process's program as it was started, also when another has been built or installed in its place since.
const RUNNING: &str = "/proc/self/exe";

/// A command that runs `program` and ends it (SIGTERM) when this process ends in whatever way.
pub fn command(program: &Path) -> io::Result<tokio::process::Command> {
    let own = if Path::new(RUNNING).exists() { RUNNING.into() } else { std::env::current_exe()? };
    let mut command = tokio::process::Command::new(own);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

/// `guard PARENT-PID PROGRAM [ARGUMENT…]`: becomes the program. Comes back only with an error.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "guard PARENT-PID PROGRAM [ARGUMENT...]");
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else { return usage() };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // The parent may have died before the signal was asked for.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return io::Error::other("the launcher is gone");
    }
    std::process::Command::new(OsStr::new(&program)).args(arguments).exec()
}
