//! Long polls: who waits on which queue, and how a send wakes one of them.
//!
//! A waiting receive is a future that holds a notification handle of its queue, no thread and no timer of its own
//! beyond its deadline. It registers before it looks, so a message that comes between the look and the wait is never
//! missed; a waiter that goes away hands its wake-up on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fractus_store::Scope;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The queues somebody waits on.
#[derive(Default)]
pub struct Waiters {
    queues: Mutex<HashMap<(Scope, String), Arc<Notify>>>,
    /// How many there are: most sends wake nobody, and find that out without the lock. Whoever joins is counted before it
    /// looks at the queue, and both go through the store, so a look that missed a message is seen by its sender.
    count: AtomicUsize,
}

/// A place in a queue's line; leaves it when dropped.
pub struct Waiting<'w> {
    waiters: &'w Waiters,
    key: Option<(Scope, String)>,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Takes a place in the line of a queue.
    pub fn join(&self, scope: &Scope, queue_name: &str) -> Waiting<'_> {
        let key = (scope.clone(), queue_name.to_owned());
        let mut queues = self.queues.lock();
        let notify = queues.entry(key.clone()).or_default().clone();
        self.count.store(queues.len(), Ordering::SeqCst);
        drop(queues);
        Waiting { waiters: self, key: Some(key), notify }
    }

    /// Wakes up to `count` receivers of a queue, because that many messages have come.
    pub fn wake(&self, scope: &Scope, queue_name: &str, count: usize) {
        if count == 0 || self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let queues = self.queues.lock();
        let Some(notify) = queues.get(&(scope.clone(), queue_name.to_owned())).cloned() else { return };
        drop(queues);
        for _ in 0..count {
            notify.notify_one();
        }
    }

    /// Wakes every receiver of a queue: it is gone, or its messages are.
    pub fn wake_all(&self, scope: &Scope, queue_name: &str) {
        if let Some(notify) = self.queues.lock().get(&(scope.clone(), queue_name.to_owned())) {
            notify.notify_waiters();
        }
    }

    /// Wakes everybody: the state behind all queues has changed.
    pub fn wake_everybody(&self) {
        for notify in self.queues.lock().values() {
            notify.notify_waiters();
        }
    }

    /// How many queues are waited on.
    pub fn len(&self) -> usize {
        self.queues.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Waiting<'_> {
    /// Completes at the next wake-up. Call before looking at the queue, await after.
    pub fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut queues = self.waiters.queues.lock();
        // Two handles are left when this is the last waiter: the map's and this one's.
        if queues.get(&key).is_some_and(|notify| Arc::strong_count(notify) <= 2) {
            queues.remove(&key);
            self.waiters.count.store(queues.len(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;

    #[tokio::test]
    async fn a_wake_up_between_look_and_wait_is_kept_and_lines_vanish_when_left() {
        let waiters = Waiters::default();
        let scope = Scope::regional(&World::default_world(), &Region::us_east_1());
        let waiting = waiters.join(&scope, "q");
        let notified = waiting.notified();
        waiters.wake(&scope, "q", 1);
        notified.await;
        assert_eq!(waiters.len(), 1);
        drop(waiting);
        assert!(waiters.is_empty());
        waiters.wake(&scope, "q", 1);
    }
}
