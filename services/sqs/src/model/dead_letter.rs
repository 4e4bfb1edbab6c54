//! Moving messages between queues: to a dead-letter queue, and back.

use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Scope, Transaction};

use crate::error::Result;
use crate::model::messages::{self, History, Place};
use crate::store::{Message, QUEUES, Queue, Standing};

/// Where a queue's undeliverable messages go.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub target: Arc<Queue>,
    pub max_receive_count: u32,
    /// The queue they come from, as DeadLetterQueueSourceArn tells.
    pub source_arn: String,
}

/// The dead-letter queue of `queue`; none if no policy names one, it is gone, or it is the queue itself (then messages
/// stay where they are).
pub fn of_queue(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    source_arn: impl FnOnce() -> String,
) -> Result<Option<DeadLetter>> {
    let Some(policy) = &queue.attributes.redrive_policy else { return Ok(None) };
    let target = tx.get_shared(&QUEUES, scope, &(policy.target_name(),))?;
    let matching = target.filter(|target| target.id != queue.id && target.is_fifo() == queue.is_fifo());
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
    standing: &Standing,
    now: Timestamp,
) -> Result<()> {
    let message = Message { dead_letter_source_arn: Some(dead_letter.source_arn.clone()), ..message };
    let history = History { receive_count: standing.receive_count, first_received_at: standing.first_received_at };
    transfer(tx, scope, &dead_letter.target, place.sent, message, history, now)
}

/// Puts a message that was removed elsewhere into `target`.
pub fn transfer(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    target: &Queue,
    sent: Timestamp,
    mut message: Message,
    history: History,
    now: Timestamp,
) -> Result<()> {
    let sent = if target.is_fifo() { now } else { sent };
    messages::with_counters(tx, scope, target, |tx, counts| {
        messages::insert(tx, scope, target, counts, &mut message, history, sent, now, Duration::ZERO)
    })?;
    Ok(())
}
