//! Who hashes, and when.
//!
//! Bodies put their chunks down, each in its own lane. A worker (a thread that is there while there is work, and a little
//! longer) takes up to eight lanes and hashes what lies in them. It starts when every open lane has something, or when
//! somebody waits: for the end of a body, or for room in a full lane. So a body that is alone is hashed as it comes, and
//! bodies that come together are hashed together, and a client that has fallen silent holds up nobody for longer than it
//! takes to fill a lane.
//!
//! All lanes together hold a bounded amount: beyond it, who puts a chunk down waits until it is hashed. What lies in the
//! lanes is then no more than that amount and one chunk of each body, however many clients have fallen silent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::group::{self, Member};
use crate::lanes::{LANES, are_faster_together};
use crate::state::Md5State;

/// A lane with this many bytes is full: who brings more waits.
const FULL_BYTES: usize = 1024 * 1024;
/// Fewer bytes are not yet worth a worker's way, unless they are the last ones.
const WORTH_BYTES: usize = 64 * 1024;

/// What all lanes together may hold, until somebody says otherwise.
const DEFAULT_HELD_BYTES: usize = 16 * 1024 * 1024;

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
}

#[derive(Debug)]
struct Lanes {
    open: BTreeMap<u64, Lane>,
    next: u64,
    /// All that is not hashed yet, and how much that should be at most.
    held_bytes: usize,
    most_bytes: usize,
    /// All workers, those of them that wait for work, and how many of these have been called.
    workers: usize,
    resting: usize,
    called: usize,
}

#[derive(Debug)]
struct Lane {
    /// Nothing while a worker has it.
    state: Option<Md5State>,
    waiting: VecDeque<Bytes>,
    /// All that is not hashed yet, what a worker has included.
    unhashed_bytes: usize,
    is_ending: bool,
    /// The body waits for all that it has put down, because the lanes together hold too much.
    is_pressed: bool,
    waker: Option<Waker>,
}

/// How many lanes one worker takes at once.
fn group_size() -> usize {
    if are_faster_together() { LANES } else { 1 }
}

impl Lane {
    fn is_urgent(&self) -> bool {
        self.is_ending || self.unhashed_bytes >= FULL_BYTES || (self.is_pressed && self.unhashed_bytes > 0)
    }

    fn is_worth_hashing(&self) -> bool {
        self.unhashed_bytes >= WORTH_BYTES || ((self.is_ending || self.is_pressed) && self.unhashed_bytes > 0)
    }

    /// How much of it somebody waits for: all at the end and where room is short, else half of a lane.
    fn urgent_bytes(&self) -> usize {
        if self.is_ending || self.is_pressed {
            usize::MAX
        } else if self.unhashed_bytes >= FULL_BYTES {
            self.unhashed_bytes - FULL_BYTES / 2
        } else {
            0
        }
    }
}

impl Default for Lanes {
    fn default() -> Self {
        let open = BTreeMap::new();
        Lanes { open, next: 0, held_bytes: 0, most_bytes: DEFAULT_HELD_BYTES, workers: 0, resting: 0, called: 0 }
    }
}

impl Lanes {
    fn is_pressed(&self) -> bool {
        self.held_bytes > self.most_bytes
    }

    fn remove(&mut self, id: u64) -> Option<Lane> {
        let lane = self.open.remove(&id)?;
        self.held_bytes -= lane.unhashed_bytes;
        Some(lane)
    }

    fn idle(&self) -> impl Iterator<Item = (&u64, &Lane)> {
        self.open.iter().filter(|(_, lane)| lane.state.is_some())
    }

    /// Whether there is work for one more worker.
    fn is_due(&self) -> bool {
        let (mut idle, mut worth, is_pressed) = (0, 0, self.is_pressed());
        for (_, lane) in self.idle() {
            idle += 1;
            if lane.is_worth_hashing() {
                if lane.is_urgent() {
                    return true;
                }
                worth += 1;
            }
            if is_pressed && lane.unhashed_bytes > 0 {
                return true;
            }
        }
        worth > 0 && worth >= idle.min(LANES)
    }

    /// Whether there may be one more worker at work: one for each group of lanes, as far as there are processors.
    fn has_room_for_a_worker(&self) -> bool {
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        let busy = self.workers - self.resting + self.called;
        busy < self.open.len().div_ceil(group_size()).min(*PROCESSORS)
    }

    /// The lanes for one go: who is waited for first, then who has most.
    fn take(&mut self) -> (Vec<u64>, Vec<Member>, usize) {
        let mut chosen: Vec<(bool, usize, u64)> = self
            .idle()
            .filter(|(_, lane)| lane.unhashed_bytes > 0)
            .map(|(id, lane)| (lane.is_urgent(), lane.unhashed_bytes, *id))
            .collect();
        chosen.sort_unstable_by(|one, other| other.cmp(one));
        chosen.truncate(group_size());
        let (possible, is_pressed) = (chosen.len(), self.is_pressed());
        let mut ids = Vec::with_capacity(possible);
        let mut members = Vec::with_capacity(possible);
        for (_, _, id) in chosen {
            let Some(lane) = self.open.get_mut(&id) else { continue };
            let urgent_bytes = if is_pressed { usize::MAX } else { lane.urgent_bytes() };
            let Some(state) = lane.state.take() else { continue };
            ids.push(id);
            members.push(Member { state, waiting: std::mem::take(&mut lane.waiting), urgent_bytes });
        }
        (ids, members, possible.div_ceil(2))
    }

    /// Puts lanes back after a go, and wakes who waits for them. A lane whose body is gone is forgotten.
    fn give_back(&mut self, ids: Vec<u64>, members: Vec<Member>) {
        for (id, mut member) in ids.into_iter().zip(members) {
            let Some(lane) = self.open.get_mut(&id) else { continue };
            member.waiting.append(&mut lane.waiting);
            let waiting_bytes = member.waiting_bytes();
            self.held_bytes -= lane.unhashed_bytes - waiting_bytes;
            lane.unhashed_bytes = waiting_bytes;
            lane.is_pressed = false;
            lane.waiting = member.waiting;
            lane.state = Some(member.state);
            if let Some(waker) = lane.waker.take() {
                waker.wake();
            }
        }
    }
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
        let mut lanes = self.shared.lanes.lock();
        let id = lanes.next;
        lanes.next += 1;
        let lane = Lane {
            state: Some(state),
            waiting: VecDeque::new(),
            unhashed_bytes: 0,
            is_ending: false,
            is_pressed: false,
            waker: None,
        };
        lanes.open.insert(id, lane);
        LaneHandle { pool: self.clone(), id }
    }

    /// Sees to it that a worker does what is due.
    fn call_worker(&self, mut lanes: MutexGuard<'_, Lanes>) {
        if !lanes.is_due() || !lanes.has_room_for_a_worker() {
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
        while lanes.is_due() {
            let (ids, mut members, least) = lanes.take();
            self.taken = ids;
            drop(lanes);
            group::hash(&mut members, least);
            lanes = shared.lanes.lock();
            lanes.give_back(std::mem::take(&mut self.taken), members);
        }
        lanes
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
        let lane = lanes.open.get_mut(&self.id).ok_or(Stopped)?;
        let length = chunk.len();
        lane.unhashed_bytes += length;
        lane.waiting.push_back(chunk);
        let is_worth_hashing = lane.is_worth_hashing();
        lanes.held_bytes += length;
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
