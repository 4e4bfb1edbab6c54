//! The throughput quota of FIFO queues: 300 calls a second of each kind.
//!
//! A call with a batch counts as one, so that batches of ten make 3,000 messages a second. Without high throughput the quota
//! is the queue's. With it (`FifoThroughputLimit` = `perMessageGroupId`) it is the partition's, and groups are spread over
//! partitions; how many there are AWS does not tell, so here each group has one of its own: sends count for their groups, and
//! receives and deletes, which name no group, are not bounded (AWS's bound for the whole queue is tens of thousands).
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html>

use std::collections::HashMap;

use fractus_clock::Timestamp;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::model::attributes::ThroughputLimit;
use crate::store::Queue;

/// Calls a second.
const CALLS: u32 = 300;
/// When more counters than this are kept, those of other seconds are forgotten.
const MAX_COUNTERS: usize = 4_096;

/// What is counted apart; batches with the single calls they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Send,
    Receive,
    Delete,
    ChangeVisibility,
}

/// A queue's id, what is called, and the group where it counts for one.
type Counted = (u64, Kind, String);

/// The calls of this second.
pub struct Quotas {
    enforced: bool,
    calls: Mutex<HashMap<Counted, (i64, u32)>>,
}

impl Quotas {
    pub fn new(enforced: bool) -> Self {
        Quotas { enforced, calls: Mutex::default() }
    }

    /// Counts a call on a queue, or refuses it; `groups` are those of the messages it sends.
    pub fn take<'a>(
        &self,
        queue: &Queue,
        kind: Kind,
        groups: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Result<()> {
        if !self.enforced || !queue.is_fifo() {
            return Ok(());
        }
        let mut counted: Vec<&str> = match (queue.attributes.throughput_limit, kind) {
            (ThroughputLimit::PerQueue, _) => vec![""],
            (ThroughputLimit::PerMessageGroupId, Kind::Send) => groups.into_iter().collect(),
            (ThroughputLimit::PerMessageGroupId, _) => return Ok(()),
        };
        counted.sort_unstable();
        counted.dedup();
        let mut calls = self.calls.lock();
        let second = now.secs();
        if calls.len() > MAX_COUNTERS {
            calls.retain(|_, (of, _)| *of == second);
        }
        let mut refused = false;
        for group in counted {
            let count = calls.entry((queue.id, kind, group.to_owned())).or_insert((second, 0));
            if count.0 != second {
                *count = (second, 0);
            }
            count.1 = count.1.saturating_add(1);
            refused |= count.1 > CALLS;
        }
        if refused { Err(Error::RequestThrottled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::attributes::Attributes;

    fn queue(name: &str, changes: &[(&str, &str)]) -> Queue {
        let attributes = Attributes::defaults(name.ends_with(".fifo")).changed(changes.iter().copied()).unwrap();
        Queue {
            name: name.into(),
            id: 1,
            space: 1,
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
            attributes,
            tags: BTreeMap::new(),
            purged_at: None,
        }
    }

    /// How many of `calls` are let through.
    fn let_through(quotas: &Quotas, queue: &Queue, kind: Kind, group: &str, calls: usize, secs: i64) -> usize {
        let now = Timestamp::from_secs(secs);
        (0..calls).filter(|_| quotas.take(queue, kind, [group], now).is_ok()).count()
    }

    #[test]
    fn a_queue_takes_300_calls_of_a_kind_in_a_second() {
        let (quotas, fifo) = (Quotas::new(true), queue("q.fifo", &[]));
        assert_eq!(let_through(&quotas, &fifo, Kind::Send, "a", 200, 1), 200);
        assert_eq!(let_through(&quotas, &fifo, Kind::Send, "b", 200, 1), 100);
        assert_eq!(let_through(&quotas, &fifo, Kind::Receive, "", 400, 1), 300);
        assert_eq!(let_through(&quotas, &fifo, Kind::Send, "b", 400, 2), 300);
        assert_eq!(let_through(&quotas, &queue("q", &[]), Kind::Send, "b", 1_000, 2), 1_000);
        assert_eq!(let_through(&Quotas::new(false), &fifo, Kind::Send, "b", 1_000, 2), 1_000);
    }

    #[test]
    fn high_throughput_counts_by_group() {
        let changes = [("DeduplicationScope", "messageGroup"), ("FifoThroughputLimit", "perMessageGroupId")];
        let (quotas, fifo) = (Quotas::new(true), queue("q.fifo", &changes));
        assert_eq!(let_through(&quotas, &fifo, Kind::Send, "a", 400, 1), 300);
        assert_eq!(let_through(&quotas, &fifo, Kind::Send, "b", 400, 1), 300);
        assert_eq!(let_through(&quotas, &fifo, Kind::Receive, "", 4_000, 1), 4_000);
    }
}
