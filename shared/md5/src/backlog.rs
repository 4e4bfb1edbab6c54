//! What has arrived of all bodies and is not hashed yet, and what of it is to be hashed when.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;
use std::task::Waker;

use bytes::Bytes;

use crate::group::Member;
use crate::lanes::{LANES, are_faster_together};
use crate::state::Md5State;

/// A lane with this many bytes is full: who brings more waits.
pub(crate) const FULL_BYTES: usize = 1024 * 1024;
/// Fewer bytes are not yet worth a worker's way, unless they are the last ones.
const WORTH_BYTES: usize = 64 * 1024;

/// What all lanes together may hold, until somebody says otherwise.
const DEFAULT_HELD_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) open: BTreeMap<u64, Lane>,
    next: u64,
    /// All that is not hashed yet, and how much that should be at most.
    pub(crate) held_bytes: usize,
    pub(crate) most_bytes: usize,
    /// All workers, those of them that wait for work, and how many of these have been called.
    pub(crate) workers: usize,
    pub(crate) resting: usize,
    pub(crate) called: usize,
    /// Whether a worker waits for company, and how often that was in vain.
    pub(crate) is_waiting_for_company: bool,
    pub(crate) graces: u64,
}

/// When something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Somebody waits, but not all have come yet who may.
    AfterGrace,
    Now,
}

#[derive(Debug)]
pub(crate) struct Lane {
    /// Nothing while a worker has it.
    pub(crate) state: Option<Md5State>,
    waiting: VecDeque<Bytes>,
    /// All that is not hashed yet, what a worker has included.
    pub(crate) unhashed_bytes: usize,
    /// The number of the grace in which a chunk came last.
    came_in: u64,
    pub(crate) is_ending: bool,
    /// The body waits for all that it has put down, because the lanes together hold too much.
    pub(crate) is_pressed: bool,
    pub(crate) waker: Option<Waker>,
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
        Lanes {
            open: BTreeMap::new(),
            next: 0,
            held_bytes: 0,
            most_bytes: DEFAULT_HELD_BYTES,
            workers: 0,
            resting: 0,
            called: 0,
            is_waiting_for_company: false,
            graces: 0,
        }
    }
}

impl Lanes {
    pub(crate) fn is_pressed(&self) -> bool {
        self.held_bytes > self.most_bytes
    }

    /// A lane that goes on from `state`; its number.
    pub(crate) fn begin(&mut self, state: Md5State) -> u64 {
        let id = self.next;
        self.next += 1;
        let lane = Lane {
            state: Some(state),
            waiting: VecDeque::new(),
            unhashed_bytes: 0,
            came_in: self.graces,
            is_ending: false,
            is_pressed: false,
            waker: None,
        };
        self.open.insert(id, lane);
        id
    }

    /// Puts a chunk down in a lane; whether there is enough in it to be hashed. Nothing where the lane is gone.
    pub(crate) fn put(&mut self, id: u64, chunk: Bytes) -> Option<bool> {
        let lane = self.open.get_mut(&id)?;
        self.held_bytes += chunk.len();
        lane.came_in = self.graces;
        lane.unhashed_bytes += chunk.len();
        lane.waiting.push_back(chunk);
        Some(lane.is_worth_hashing())
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Lane> {
        let lane = self.open.remove(&id)?;
        self.held_bytes -= lane.unhashed_bytes;
        Some(lane)
    }

    fn idle(&self) -> impl Iterator<Item = (&u64, &Lane)> {
        self.open.iter().filter(|(_, lane)| lane.state.is_some())
    }

    /// Whether there is work for one more worker.
    pub(crate) fn due(&self) -> Due {
        let (mut expected, mut worth, mut is_urgent) = (0, 0, false);
        for (_, lane) in self.idle() {
            let is_worth = lane.is_worth_hashing();
            if lane.unhashed_bytes > 0 && self.is_pressed() {
                return Due::Now;
            }
            expected += usize::from(is_worth || lane.came_in == self.graces);
            worth += usize::from(is_worth);
            is_urgent |= is_worth && lane.is_urgent();
        }
        if worth > 0 && worth >= expected.min(group_size()) {
            Due::Now
        } else if is_urgent {
            Due::AfterGrace
        } else {
            Due::Nothing
        }
    }

    /// Whether there may be one more worker at work: one for each group of lanes, as far as there are processors.
    pub(crate) fn has_room_for_a_worker(&self) -> bool {
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        let busy = self.workers - self.resting + self.called;
        busy < self.open.len().div_ceil(group_size()).min(*PROCESSORS)
    }

    /// The lanes for one go: who is waited for first, then who has most; and how many of them must go on together, unless
    /// it `is_late`, when those that are waited for go on alone.
    pub(crate) fn take(&mut self, is_late: bool) -> (Vec<u64>, Vec<Member>, usize) {
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
            let urgent_bytes = match is_pressed {
                true => usize::MAX,
                false if is_late => lane.urgent_bytes(),
                false => 0,
            };
            let Some(state) = lane.state.take() else { continue };
            ids.push(id);
            members.push(Member { state, waiting: std::mem::take(&mut lane.waiting), urgent_bytes });
        }
        (ids, members, possible - possible / 4)
    }

    /// Puts lanes back after a go, and wakes who waits for them. A lane whose body is gone is forgotten.
    pub(crate) fn give_back(&mut self, ids: Vec<u64>, members: Vec<Member>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(bytes: &[usize]) -> Lanes {
        let mut lanes = Lanes::default();
        for length in bytes {
            let id = lanes.begin(Md5State::default());
            lanes.put(id, vec![0; *length].into());
        }
        lanes
    }

    #[test]
    fn lanes_wait_for_those_that_may_come_but_not_for_those_that_were_waited_for_in_vain() {
        assert_eq!(lanes(&[WORTH_BYTES]).due(), Due::Now, "one that is alone is hashed as it comes");
        assert_eq!(lanes(&[WORTH_BYTES, 0]).due(), Due::Nothing, "nobody waits yet");
        let mut full = lanes(&[FULL_BYTES, 0]);
        assert_eq!(full.due(), Due::AfterGrace);
        full.graces += 1;
        assert_eq!(full.due(), Due::Now, "the other is not waited for twice");
        full.put(1, vec![0; 1_000].into());
        assert_eq!(full.due(), Due::AfterGrace, "it has come again");
        full.put(1, vec![0; WORTH_BYTES].into());
        assert_eq!(full.due(), Due::Now);
        if are_faster_together() {
            assert_eq!(
                lanes(&[&[WORTH_BYTES; LANES][..], &[0; 5]].concat()).due(),
                Due::Now,
                "eight are all there can be"
            );
        }
    }

    #[test]
    fn where_there_is_no_room_nobody_is_waited_for() {
        let mut lanes = lanes(&[1_000, 0]);
        lanes.most_bytes = 999;
        assert_eq!(lanes.due(), Due::Now);
        assert!(lanes.take(false).1.iter().all(|member| member.urgent_bytes == usize::MAX));
    }

    #[test]
    fn who_goes_together_goes_no_further_alone_unless_the_others_are_late() {
        let urgent = |is_late| lanes(&[FULL_BYTES, WORTH_BYTES]).take(is_late).1[0].urgent_bytes;
        assert_eq!((urgent(false), urgent(true)), (0, FULL_BYTES / 2));
    }
}
