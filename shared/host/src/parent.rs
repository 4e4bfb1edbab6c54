//! A service that was started by a launcher ends when the launcher is gone, however it went.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a process; `None` when it is gone already.
pub(crate) fn watch(pid: u32) -> Option<Parent> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    // The successor is unsafe for types that may close their descriptor early; an `OwnedFd` cannot.
    #[allow(deprecated)]
    AsyncFd::with_interest(descriptor, Interest::READABLE).ok().map(Parent)
}

pub(crate) struct Parent(AsyncFd<OwnedFd>);

impl Parent {
    /// Completes when the process has ended.
    pub async fn gone(&self) {
        // A failing descriptor tells nothing; better to live on than to end for no reason.
        if self.0.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let parent = watch(child.id()).unwrap();
        assert!(futures::poll!(std::pin::pin!(parent.gone())).is_pending());
        child.kill().unwrap();
        parent.gone().await;
        let pid = child.id();
        child.wait().unwrap();
        assert!(watch(pid).is_none());
    }
}
