//! Queues before records that many write at once.
//!
//! `SERIALIZABLE` lets transactions run side by side and gives all but one of those up that meet in a record. Where that happens
//! often, most of the work is done in vain, and who comes last may never be through. So a record in which two have met is
//! *busy* for a while: a transaction that turns out to change it runs again in its turn, one at a time in this process, and one
//! at a time among all replicas by an advisory lock of the session, which it has before it begins and so before it reads.
//! Nothing depends on it: who has no turn is found out by the database as ever.
//!
//! Turns are taken in the order of places, all before a run, and nobody who waits for one has a connection or a lock on a record.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fractus_clock::Stopwatch;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// How long after two met in it a record is busy. Real time: other replicas do not run on a virtual clock.
const BUSY: Duration = Duration::from_millis(500);
/// How many records may be busy.
const MOST: usize = 1_024;

/// Where a record stands among queues: FNV-1a of its key, which is the same in every replica. Two records of one place
/// only wait for each other.
pub(super) fn place_of(key: &[u8]) -> i64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    key.iter().fold(0xcbf2_9ce4_8422_2325, step).cast_signed()
}

#[derive(Default)]
pub(super) struct Queues {
    queues: Mutex<HashMap<i64, Queue>>,
    /// How many there are, for the many who find none.
    count: AtomicUsize,
}

struct Queue {
    turn: Arc<Turn<()>>,
    /// Since two met there last.
    met: Stopwatch,
}

impl Queue {
    fn is_busy(&self) -> bool {
        self.met.elapsed() < BUSY
    }
}

impl Queues {
    /// Two met in these records.
    pub(super) fn meet(&self, places: &[i64]) {
        if places.is_empty() {
            return;
        }
        let mut queues = self.queues.lock();
        for place in places {
            if queues.len() >= MOST {
                queues.retain(|_, queue| queue.is_busy() || Arc::strong_count(&queue.turn) > 1);
            }
            if let Some(queue) = queues.get_mut(place) {
                queue.met = Stopwatch::start();
            } else if queues.len() < MOST {
                queues.insert(*place, Queue { turn: Arc::default(), met: Stopwatch::start() });
            }
        }
        self.count.store(queues.len(), Ordering::Relaxed);
    }

    /// Those of some records that are busy, but for those that one has the turn for.
    pub(super) fn busy(&self, places: &[i64], held: &[i64]) -> Vec<i64> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let queues = self.queues.lock();
        let is_busy = |place: &i64| !held.contains(place) && queues.get(place).is_some_and(Queue::is_busy);
        places.iter().copied().filter(is_busy).collect()
    }

    /// Waits for the turn at each of some records, which are in order.
    pub(super) async fn take_turns(&self, places: Vec<i64>) -> Turns {
        let mut guards = Vec::with_capacity(places.len());
        for place in &places {
            let Some(turn) = self.queues.lock().get(place).map(|queue| Arc::clone(&queue.turn)) else { continue };
            let guard = match Arc::clone(&turn).try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => {
                    let guard = turn.lock_owned().await;
                    self.meet(&[*place]);
                    guard
                }
            };
            guards.push(guard);
        }
        Turns { places, _guards: guards }
    }
}

/// Turns that are held until this is gone.
#[derive(Default)]
pub(super) struct Turns {
    places: Vec<i64>,
    _guards: Vec<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What asks the server for them, in their order.
    pub(super) fn locks(&self) -> Option<String> {
        let mut statements = String::new();
        for place in &self.places {
            // Writing to a text does not fail.
            let _ = write!(statements, "SELECT pg_advisory_lock({place});");
        }
        (!statements.is_empty()).then_some(statements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_record_is_busy_once_two_have_met_in_it() {
        let queues = Queues::default();
        let (one, two) = (place_of(b"one"), place_of(b"two"));
        assert!(queues.busy(&[one, two], &[]).is_empty());
        queues.meet(&[one]);
        assert_eq!(queues.busy(&[one, two], &[]), [one]);
        assert!(queues.busy(&[one, two], &[one]).is_empty());
    }

    #[tokio::test]
    async fn turns_come_one_after_the_other() {
        let queues = Queues::default();
        let places = vec![place_of(b"one"), place_of(b"two")];
        queues.meet(&places);
        let first = queues.take_turns(places.clone()).await;
        let mut second = Box::pin(queues.take_turns(places));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        assert_eq!(second.locks().map(|locks| locks.matches("pg_advisory_lock").count()), Some(2));
    }

    #[test]
    fn there_are_never_more_queues_than_the_bound() {
        let queues = Queues::default();
        for number in 0..2 * MOST as i64 {
            queues.meet(&[number]);
        }
        assert_eq!(queues.queues.lock().len(), MOST);
    }
}
