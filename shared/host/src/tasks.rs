//! Background tasks: known by name, told to end by one token, waited for by name.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The running tasks of a host.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    running: Arc<Mutex<Vec<Named>>>,
    draining: CancellationToken,
}

type Named = (String, JoinHandle<()>);

impl Tasks {
    pub fn spawn(&self, name: String, task: BoxFuture<'static, ()>) {
        let mut running = self.running.lock();
        // Finished ones are let go here, so that the list is as long as what runs.
        running.retain(|(_, handle)| !handle.is_finished());
        running.push((name, tokio::spawn(task)));
    }

    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    pub fn names(&self) -> Vec<String> {
        self.running.lock().iter().filter(|(_, handle)| !handle.is_finished()).map(|(name, _)| name.clone()).collect()
    }

    /// Tells all tasks to end and waits for each, all in all no longer than `grace`; the names of those that had to be
    /// cut off.
    pub async fn end(&self, grace: Duration) -> Vec<String> {
        self.draining.cancel();
        let mut running = std::mem::take(&mut *self.running.lock());
        let all = async {
            for (name, handle) in &mut running {
                if let Err(error) = handle.await
                    && error.is_panic()
                {
                    tracing::error!(task = %name, "a background task has panicked");
                }
            }
        };
        if tokio::time::timeout(grace, all).await.is_ok() {
            return Vec::new();
        }
        let late: Vec<String> =
            running.iter().filter(|(_, handle)| !handle.is_finished()).map(|(name, _)| name.clone()).collect();
        running.iter().for_each(|(_, handle)| handle.abort());
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_listen_end_and_deaf_ones_are_named_and_cut_off() {
        let tasks = Tasks::default();
        let draining = tasks.draining();
        tasks.spawn("listens".into(), Box::pin(async move { draining.cancelled().await }));
        tasks.spawn("deaf".into(), Box::pin(std::future::pending()));
        assert_eq!(tasks.names(), ["listens", "deaf"]);
        assert_eq!(tasks.end(Duration::from_millis(20)).await, ["deaf"]);
    }
}
