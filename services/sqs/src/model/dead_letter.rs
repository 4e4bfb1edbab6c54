//! Moving messages between queues: to a dead-letter queue, and back.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Scope, Transaction};

use crate::error::Result;
use crate::model::messages::{self, NewMessage, Place};
use crate::store::{Message, QUEUES, Queue};

/// Where a queue's undeliverable messages go.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub target: Queue,
    pub max_receive_count: u32,
    /// The queue they come from, as DeadLetterQueueSourceArn tells.
    pub source_arn: String,
}

/// The dead-letter queue of `queue`; none if no policy names one or it is gone (then messages stay where they are).
pub fn of_queue(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    source_arn: impl FnOnce() -> String,
) -> Result<Option<DeadLetter>> {
    let Some(policy) = &queue.attributes.redrive_policy else { return Ok(None) };
    let target = tx.get(&QUEUES, scope, &(policy.target_name(),))?;
    let matching = target.filter(|target| target.is_fifo() == queue.is_fifo());
    Ok(matching.map(|target| DeadLetter {
        target,
        max_receive_count: policy.max_receive_count,
        source_arn: source_arn(),
    }))
}

/// Puts a message, already removed from its source, into the dead-letter queue.
///
/// On a standard queue it keeps the time at which it was first sent, and with it its expiry; on a FIFO queue it is sent
/// anew.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
pub fn take_over(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    dead_letter: &DeadLetter,
    place: Place,
    message: Message,
    now: Timestamp,
) -> Result<Place> {
    let source = Some(dead_letter.source_arn.clone());
    transfer(tx, scope, &dead_letter.target, place, message, source, now)
}

/// Puts a message that was removed elsewhere into `target`.
pub fn transfer(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    target: &Queue,
    place: Place,
    message: Message,
    dead_letter_source_arn: Option<String>,
    now: Timestamp,
) -> Result<Place> {
    let sent = if target.is_fifo() { now } else { place.sent };
    let moved = NewMessage {
        id: message.id,
        body: message.body,
        md5_of_body: message.md5_of_body,
        attributes: message.attributes,
        md5_of_attributes: message.md5_of_attributes,
        trace_header: message.trace_header,
        sender_id: message.sender_id,
        group_id: message.group_id,
        deduplication_id: message.deduplication_id,
        dead_letter_source_arn,
        receive_count: message.receive_count,
        first_received_at: message.first_received_at,
    };
    let (place, _) = messages::insert(tx, scope, target, moved, sent, now, Duration::ZERO)?;
    Ok(place)
}
