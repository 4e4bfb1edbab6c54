//! Standard queues: any visible message may be received, the longest-waiting first.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::model::dead_letter::{self, DeadLetter};
use crate::model::messages::{self, InFlight, Place};
use crate::model::receipt::Receipt;
use crate::store::{MESSAGES, Message, Queue, READY};

/// The most messages of a queue that may be in flight.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_IN_FLIGHT: u64 = 120_000;

pub fn ready(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, place: Place) -> Result<()> {
    Ok(tx.put(&READY, scope, &(queue.space, place.sent, place.number), &())?)
}

pub fn unready(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, place: Place) -> Result<()> {
    tx.delete(&READY, scope, &(queue.space, place.sent, place.number))?;
    Ok(())
}

/// Takes up to `max` visible messages in flight for `visibility`. Messages received too often go to the dead-letter
/// queue instead, messages past their retention go away.
pub fn receive(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    dead_letter: Option<&DeadLetter>,
    max: usize,
    visibility: Duration,
    now: Timestamp,
) -> Result<Vec<(Receipt, Message)>> {
    let mut received = Vec::new();
    let mut counts = messages::counters(tx, scope, queue)?;
    if counts.visible == 0 {
        return Ok(received);
    }
    if counts.in_flight >= MAX_IN_FLIGHT {
        return Err(Error::OverLimit {
            message: format!("Too many messages in flight; a queue can have {MAX_IN_FLIGHT} at most."),
        });
    }
    let visible_at = now.plus(visibility);
    // Each round looks at no more than it may hand out; what expires or moves away makes room for another look.
    while received.len() < max {
        let wanted = max - received.len();
        let places: Vec<Place> = tx
            .range(&READY, scope, Range::prefix(&(queue.space,)), Order::Ascending)?
            .take(wanted)
            .map(|entry| entry.map(|((_, sent, number), ())| Place { sent, number }))
            .collect::<std::result::Result<_, _>>()?;
        if places.is_empty() {
            break;
        }
        for place in places {
            unready(tx, scope, queue, place)?;
            let Some(mut message) = tx.get(&MESSAGES, scope, &(queue.space, place.sent, place.number))? else {
                continue;
            };
            if messages::is_expired(queue, place.sent, now) {
                messages::remove(tx, scope, queue, place, &message, &mut counts)?;
            } else if let Some(target) = dead_letter.filter(|target| message.receive_count >= target.max_receive_count)
            {
                messages::remove(tx, scope, queue, place, &message, &mut counts)?;
                dead_letter::take_over(tx, scope, target, place, message, now)?;
            } else {
                let receipt = messages::take_in_flight(
                    tx,
                    scope,
                    queue,
                    place,
                    &mut message,
                    &mut counts,
                    InFlight { from: now, until: visible_at },
                )?;
                received.push((receipt, message));
            }
        }
    }
    messages::put_counters(tx, scope, queue, &counts)?;
    Ok(received)
}
