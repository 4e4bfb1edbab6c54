//! Who hashes, and when.
//!
//! Bodies put their chunks down, each in its own lane. A worker (a thread that is there while there is work, and a little
//! longer) takes up to eight lanes and hashes what lies in them. It starts when every open lane has something; where
//! somebody waits, for the end of a body or for room in a full lane, it gives the others a short grace to come as well:
//! a lane that goes alone takes as long as eight together. Who brings nothing in that time is not waited for again until
//! he does. So a body that is alone is hashed as it comes, bodies that come together are hashed together, and a client
//! that has fallen silent holds up nobody for longer than one grace.
//!
//! All lanes together hold a bounded amount: beyond it, who puts a chunk down waits until it is hashed. What lies in the
//! lanes is then no more than that amount and one chunk of each body, however many clients have fallen silent.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::backlog::{Due, FULL_BYTES, Lanes};
use crate::group;
use crate::state::Md5State;

/// How long a lane that is waited for waits for company.
const GRACE: Duration = Duration::from_millis(1);

/// A worker without work ends after this long.
const LINGER: Duration = Duration::from_secs(5);

/// The worker that had a body's hash did not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hashing has stopped")]
pub struct Stopped;

/// The lanes of all bodies under way. Clones are the same pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    /// Workers that have nothing to do wait here.
    due: Condvar,
    /// A worker that waits for more lanes to come does it here.
    company: Condvar,
}

impl Pool {
    /// The pool of the process.
    pub fn shared() -> &'static Pool {
        static SHARED: LazyLock<Pool> = LazyLock::new(Pool::default);
        &SHARED
    }

    /// What the lanes of all bodies may hold together. 16 MiB until this is called.
    pub fn hold_at_most(&self, bytes: usize) {
        self.shared.lanes.lock().most_bytes = bytes;
    }

    /// What has been taken in and is not hashed yet.
    pub fn held_bytes(&self) -> usize {
        self.shared.lanes.lock().held_bytes
    }

    /// A lane that goes on from `state`.
    pub(crate) fn open(&self, state: Md5State) -> LaneHandle {
        let id = self.shared.lanes.lock().begin(state);
        LaneHandle { pool: self.clone(), id }
    }

    /// Sees to it that a worker does what is due.
    fn call_worker(&self, mut lanes: MutexGuard<'_, Lanes>) {
        let due = lanes.due();
        if due == Due::Now && lanes.is_waiting_for_company {
            self.shared.company.notify_one();
            return;
        }
        let is_cared_for = due == Due::Nothing || lanes.is_waiting_for_company;
        if is_cared_for || !lanes.has_room_for_a_worker() {
            return;
        }
        if lanes.resting > lanes.called {
            lanes.called += 1;
            self.shared.due.notify_one();
            return;
        }
        lanes.workers += 1;
        drop(lanes);
        let worker = Worker { shared: self.shared.clone(), taken: Vec::new() };
        let started = std::thread::Builder::new().name("md5".to_owned()).spawn(move || worker.work());
        if started.is_err() {
            // A machine that gives no more threads: the one that is here does it.
            self.shared.lanes.lock().workers += 1;
            Worker { shared: self.shared.clone(), taken: Vec::new() }.work_off();
        }
    }
}

/// A worker; one that does not end as it should takes the lanes that it has with it.
struct Worker {
    shared: Arc<Shared>,
    taken: Vec<u64>,
}

impl Worker {
    /// Works until nothing has been due for a while.
    fn work(mut self) {
        let shared = self.shared.clone();
        let mut lanes = shared.lanes.lock();
        loop {
            lanes = self.do_what_is_due(&shared, lanes);
            lanes.resting += 1;
            while lanes.called == 0 {
                if shared.due.wait_for(&mut lanes, LINGER).timed_out() && lanes.called == 0 {
                    lanes.resting -= 1;
                    return;
                }
            }
            lanes.called -= 1;
            lanes.resting -= 1;
        }
    }

    /// Works until nothing is due.
    fn work_off(mut self) {
        let shared = self.shared.clone();
        drop(self.do_what_is_due(&shared, shared.lanes.lock()));
    }

    fn do_what_is_due<'s>(&mut self, shared: &'s Shared, mut lanes: MutexGuard<'s, Lanes>) -> MutexGuard<'s, Lanes> {
        loop {
            let due = lanes.due();
            if due == Due::Nothing || (due == Due::AfterGrace && lanes.is_waiting_for_company) {
                return lanes;
            }
            let is_late = due == Due::AfterGrace && !Self::finds_company(shared, &mut lanes);
            let (ids, mut members, least) = lanes.take(is_late);
            self.taken = ids;
            drop(lanes);
            group::hash(&mut members, least);
            lanes = shared.lanes.lock();
            lanes.give_back(std::mem::take(&mut self.taken), members);
        }
    }

    /// Waits until all have come who may, for a grace at most; whether they have.
    fn finds_company(shared: &Shared, lanes: &mut MutexGuard<'_, Lanes>) -> bool {
        lanes.is_waiting_for_company = true;
        let is_late = shared.company.wait_while_for(lanes, |lanes| lanes.due() == Due::AfterGrace, GRACE).timed_out();
        lanes.is_waiting_for_company = false;
        lanes.graces += u64::from(is_late);
        !is_late
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut lanes = shared.lanes.lock();
        lanes.workers -= 1;
        // Nobody will give these back; who waits for them hears of it.
        for id in std::mem::take(&mut self.taken) {
            if let Some(waker) = lanes.remove(id).and_then(|lane| lane.waker) {
                waker.wake();
            }
        }
    }
}

/// A body's place in the pool; dropping it forgets the body.
#[derive(Debug)]
pub(crate) struct LaneHandle {
    pool: Pool,
    id: u64,
}

impl LaneHandle {
    /// Puts a chunk down.
    pub fn put(&self, chunk: Bytes) -> Result<(), Stopped> {
        let mut lanes = self.pool.shared.lanes.lock();
        let is_worth_hashing = lanes.put(self.id, chunk).ok_or(Stopped)?;
        if is_worth_hashing {
            self.pool.call_worker(lanes);
        }
        Ok(())
    }

    /// Ready when the lane has room; where all lanes together have none, when nothing is left in this one.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        let mut lanes = self.pool.shared.lanes.lock();
        let is_pressed = lanes.is_pressed();
        let Some(lane) = lanes.open.get_mut(&self.id) else { return Poll::Ready(Err(Stopped)) };
        if lane.unhashed_bytes == 0 || (lane.unhashed_bytes < FULL_BYTES && !is_pressed) {
            return Poll::Ready(Ok(()));
        }
        lane.is_pressed |= is_pressed;
        lane.waker = Some(cx.waker().clone());
        self.pool.call_worker(lanes);
        Poll::Pending
    }

    /// Ready when all is hashed; nothing comes after it.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<Md5State, Stopped>> {
        let mut lanes = self.pool.shared.lanes.lock();
        let Some(lane) = lanes.open.get_mut(&self.id) else { return Poll::Ready(Err(Stopped)) };
        if lane.unhashed_bytes == 0
            && let Some(state) = lane.state.take()
        {
            return Poll::Ready(Ok(state));
        }
        lane.is_ending = true;
        lane.waker = Some(cx.waker().clone());
        self.pool.call_worker(lanes);
        Poll::Pending
    }
}

impl Drop for LaneHandle {
    fn drop(&mut self) {
        let mut lanes = self.pool.shared.lanes.lock();
        lanes.remove(self.id);
        // The others may have waited for this one's chunks.
        self.pool.call_worker(lanes);
    }
}
