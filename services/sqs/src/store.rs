//! The collections SQS keeps, and their records.
//!
//! A queue has an `id` (this incarnation of the name) and a `space` (where its messages lie). Purging gives it a fresh
//! space and leaves the old one to be cleared in the background, so a purge or a delete costs the same for one message
//! as for a million.
//!
//! What a message says never changes and lies in [`MESSAGES`]; how it stands (received how often, visible when) lies in
//! [`STANDINGS`], so that a receive writes some dozens of bytes and not the body again.
//!
//! A message is in exactly one index beside these:
//! - [`READY`] (standard queues): may be received now, in order of sending. Of the messages of a group only the first one
//!   is there, the rest wait in [`TENANT_READY`]; the groups of noisy neighbours are in [`NOISY`] instead.
//! - [`PENDING`]: delayed or in flight; sorted by when it becomes visible. Every operation that looks at a queue first
//!   moves what is due to READY, so counts are exact and nothing is scanned.
//! - FIFO queues order by group instead: [`GROUP_MESSAGES`] lists a group's messages, [`AVAILABLE`] the groups whose
//!   first message may be received now.

use std::collections::BTreeMap;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_datakeys::Kept;
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
/// How messages stand, by (space, sent, number). Absent: visible and never received, so that a send need not write it.
pub const STANDINGS: Collection<(u64, Timestamp, u64), Standing> = Collection::new("standings");
/// Visible messages of standard queues, by (space, sent, number) → the group whose first message this is.
pub const READY: Collection<(u64, Timestamp, u64), Option<String>> = Collection::new("ready");
/// Delayed and in-flight messages, by (space, visible from, number) → when it was sent.
pub const PENDING: Collection<(u64, Timestamp, u64), Timestamp> = Collection::new("pending");
/// The visible messages of each group on a standard queue: (space, group, sent, number).
pub const TENANT_READY: Collection<(u64, String, Timestamp, u64), ()> = Collection::new("tenant-ready");
/// What is known of each group on a standard queue: (space, group).
pub const TENANTS: Collection<(u64, String), Tenant> = Collection::new("tenants");
/// The first messages of noisy groups: (space, how many of the group are in flight, sent, number) → the group.
pub const NOISY: Collection<(u64, u64, Timestamp, u64), String> = Collection::new("noisy");
/// The time that receivers of a queue with groups have spent lately, by space.
pub const BUSY: Collection<(u64,), Busy> = Collection::new("busy");
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

/// How many messages of each state a queue holds. Written with every message, hence the short names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The number the next message gets; never falls, also over a purge.
    #[serde(rename = "n")]
    pub next_number: u64,
    #[serde(rename = "v")]
    pub visible: u64,
    #[serde(rename = "f")]
    pub in_flight: u64,
    #[serde(rename = "d")]
    pub delayed: u64,
    /// Messages with a group on a standard queue, in whatever state.
    #[serde(rename = "g", default)]
    pub grouped: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
    #[serde(rename = "v")]
    Visible,
    #[serde(rename = "d")]
    Delayed,
    #[serde(rename = "f")]
    InFlight,
}

/// How a message stands. Written with every receive, hence the short names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    #[serde(rename = "s")]
    pub state: State,
    /// When it becomes visible, while delayed or in flight.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub visible_at: Option<Timestamp>,
    #[serde(rename = "c", default)]
    pub receive_count: u32,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub first_received_at: Option<Timestamp>,
    /// When it was received last.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
}

impl Standing {
    /// After one more receive.
    #[must_use]
    pub fn received(self, now: Timestamp) -> Self {
        Standing {
            receive_count: self.receive_count.saturating_add(1),
            first_received_at: self.first_received_at.or(Some(now)),
            received_at: Some(now),
            ..self
        }
    }
}

/// A group of messages on a standard queue: a tenant of a fair queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub in_flight: u64,
    pub last_sent_at: Timestamp,
    /// Where the first of its visible messages is offered.
    #[serde(default)]
    pub offer: Option<Offer>,
    #[serde(default)]
    pub busy: Busy,
}

/// Where a tenant's first message is: in [`READY`], or in [`NOISY`] under a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub sent: Timestamp,
    pub number: u64,
    pub noisy: Option<u64>,
}

/// How long receivers were at work of late: the sums of this window of time and of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    pub window: i64,
    pub millis: u64,
    pub millis_before: u64,
}

/// What a message says; it never changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What it is kept under, where its queue named a key of KMS when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<Kept>,
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
