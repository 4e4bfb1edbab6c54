//! The latch before readiness: ready when nobody holds it any more.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Who still holds the service back.
#[derive(Clone)]
pub(crate) struct Readiness {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    holders: Vec<(u64, String)>,
    next: u64,
    draining: bool,
}

/// Keeps the service from being ready until it is dropped.
pub struct Hold {
    id: u64,
    readiness: Mutex<Option<Readiness>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness { state: Arc::new(watch::Sender::new(State::default())) }
    }
}

impl Readiness {
    pub fn hold(&self, why: String) -> Hold {
        let mut id = 0;
        self.state.send_modify(|state| {
            id = state.next;
            state.next += 1;
            state.holders.push((id, why));
        });
        Hold { id, readiness: Mutex::new(Some(self.clone())) }
    }

    pub fn pending(&self) -> Vec<String> {
        let state = self.state.borrow();
        let mut pending: Vec<String> = state.holders.iter().map(|(_, why)| why.clone()).collect();
        pending.extend(state.draining.then(|| "draining".to_owned()));
        pending
    }

    pub fn is_ready(&self) -> bool {
        let state = self.state.borrow();
        state.holders.is_empty() && !state.draining
    }

    pub fn is_draining(&self) -> bool {
        self.state.borrow().draining
    }

    /// Not ready from now on, whoever holds or lets go.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// Completes once nobody holds; at once when it drains, so that nobody waits for what will not come.
    pub async fn reached(&self) {
        let mut changes = self.state.subscribe();
        let _ = changes.wait_for(|state| state.holders.is_empty() || state.draining).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(readiness) = self.readiness.lock().take() {
            readiness.state.send_modify(|state| state.holders.retain(|(id, _)| *id != self.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_the_last_hold_is_gone_and_never_again_after_drain() {
        let readiness = Readiness::default();
        let (one, two) = (readiness.hold("seeds".into()), readiness.hold("docker".into()));
        assert_eq!(readiness.pending(), ["seeds", "docker"]);
        drop(one);
        assert!(!readiness.is_ready());
        drop(two);
        readiness.reached().await;
        assert!(readiness.is_ready());
        readiness.drain();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.pending(), ["draining"]);
    }
}
