//! The collections SQS keeps, and their records.
//!
//! A queue has an `id` (this incarnation of the name) and a `space` (where its messages lie). Purging gives it a fresh
//! space and leaves the old one to be cleared in the background, so a purge or a delete costs the same for one message
//! as for a million.
//!
//! A message is in exactly one index beside [`MESSAGES`]:
//! - [`READY`] (standard queues): may be received now, in order of sending.
//! - [`PENDING`]: delayed or in flight; sorted by when it becomes visible. Every operation that looks at a queue first
//!   moves what is due to READY, so counts are exact and nothing is scanned.
//! - FIFO queues order by group instead: [`GROUP_MESSAGES`] lists a group's messages, [`AVAILABLE`] the groups whose
//!   first message may be received now.

use std::collections::BTreeMap;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_store::Collection;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::attributes::Attributes;

/// Queues by name.
pub const QUEUES: Collection<(String,), Queue> = Collection::new("queues");
/// Names of queues deleted within the last 60 seconds; records expire by themselves.
pub const DELETED: Collection<(String,), Deleted> = Collection::new("deleted-queues");
/// For each dead-letter queue, the queues that name it: (dead-letter queue's name, source's name).
pub const DEAD_LETTER_SOURCES: Collection<(String, String), ()> = Collection::new("dead-letter-sources");
/// Message spaces nobody reads any more; cleared in the background.
pub const DISCARDED: Collection<(u64,), Discarded> = Collection::new("discarded-spaces");
/// Counts and the next number, by space.
pub const COUNTERS: Collection<(u64,), Counters> = Collection::new("counters");
/// Messages by (space, sent, number).
pub const MESSAGES: Collection<(u64, Timestamp, u64), Message> = Collection::new("messages");
/// Visible messages of standard queues, by (space, sent, number).
pub const READY: Collection<(u64, Timestamp, u64), ()> = Collection::new("ready");
/// Delayed and in-flight messages, by (space, visible from, number).
pub const PENDING: Collection<(u64, Timestamp, u64), Pending> = Collection::new("pending");
/// Messages of a FIFO group in order: (space, group, number) → when it was sent.
pub const GROUP_MESSAGES: Collection<(u64, String, u64), Timestamp> = Collection::new("group-messages");
/// How many of a group's messages are in flight: (space, group). Absent means none.
pub const GROUPS: Collection<(u64, String), Group> = Collection::new("groups");
/// Groups that can be received from, by their first message: (space, number, group).
pub const AVAILABLE: Collection<(u64, u64, String), ()> = Collection::new("available-groups");
/// Deduplication ids of the last five minutes: (queue id, group or empty, deduplication id).
pub const DEDUPLICATION: Collection<(u64, String, String), Accepted> = Collection::new("deduplication");
/// Receive attempts of the last five minutes on FIFO queues: (queue id, attempt id).
pub const ATTEMPTS: Collection<(u64, String), Attempt> = Collection::new("receive-attempts");
/// Deliveries from other services that were taken in the last minutes, by id.
pub const DELIVERED: Collection<(String,), ()> = Collection::new("delivered");
/// Message move tasks: (source queue's name, started, handle's random part).
pub const MOVE_TASKS: Collection<(String, Timestamp, String), MoveTask> = Collection::new("move-tasks");
/// The running move task of a source queue.
pub const RUNNING_MOVES: Collection<(String,), RunningMove> = Collection::new("running-moves");

/// A queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Queue {
    pub name: String,
    /// This incarnation of the name.
    pub id: u64,
    /// Where its messages lie.
    pub space: u64,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub attributes: Attributes,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub purged_at: Option<Timestamp>,
}

impl Queue {
    pub fn is_fifo(&self) -> bool {
        self.attributes.fifo
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deleted {
    pub deleted_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Discarded {
    pub discarded_at: Timestamp,
}

/// How many messages of each state a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The number the next message gets; never falls, also over a purge.
    pub next_number: u64,
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Visible,
    Delayed,
    InFlight,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub md5_of_body: String,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub attributes: IndexMap<String, AttributeValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5_of_attributes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_header: Option<String>,
    pub sender_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplication_id: Option<String>,
    /// The FIFO sequence number as the sender was told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    /// The queue it was moved here from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_source_arn: Option<String>,
    #[serde(default)]
    pub receive_count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_received_at: Option<Timestamp>,
    pub state: State,
    /// When it becomes visible, while delayed or in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_at: Option<Timestamp>,
}

/// A message attribute's value; exactly one of the two is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeValue {
    pub data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<Bytes>,
}

/// What a [`PENDING`] entry points at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub sent: Timestamp,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    pub in_flight: u32,
}

/// What the first sender of a deduplication id was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    pub message_id: String,
    pub sequence_number: String,
}

/// What a receive attempt got: the messages' keys and the handles given out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub messages: Vec<(Timestamp, u64)>,
    /// Receive counts at the time, which say whether a message was touched since.
    pub receive_counts: Vec<u32>,
}

/// A move task's state as ListMessageMoveTasks says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveStatus {
    Running,
    Completed,
    Cancelling,
    Cancelled,
    Failed,
}

impl MoveStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            MoveStatus::Running => "RUNNING",
            MoveStatus::Completed => "COMPLETED",
            MoveStatus::Cancelling => "CANCELLING",
            MoveStatus::Cancelled => "CANCELLED",
            MoveStatus::Failed => "FAILED",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MoveTask {
    pub source_arn: String,
    /// Absent: each message goes back to the queue it came from.
    pub destination_arn: Option<String>,
    pub max_messages_per_second: Option<u32>,
    pub status: MoveStatus,
    pub moved: u64,
    pub to_move: u64,
    pub failure_reason: Option<String>,
    pub started_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunningMove {
    pub started_at: Timestamp,
    pub nonce: String,
}
