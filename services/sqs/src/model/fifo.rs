//! FIFO queues: strict order within a group, one receive of a group at a time, each message accepted once.
//!
//! A group can be received from when none of its messages is in flight and its first message is visible. One receive may
//! take several messages of a group, in order; the group is then held until all of them are deleted or visible again.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::attributes::DeduplicationScope;
use crate::model::dead_letter::{self, DeadLetter};
use crate::model::messages::{self, InFlight, Place, Received};
use crate::store::{
    ATTEMPTS, AVAILABLE, Accepted, Attempt, Counters, DEDUPLICATION, GROUP_MESSAGES, GROUPS, Group, MESSAGES, Message,
    PENDING, Queue, STANDINGS, Standing, State,
};

/// How long a deduplication id or a receive attempt is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(300);

/// The most groups one receive looks at.
const GROUPS_AT_ONCE: usize = 100;

/// The 20-digit number that tells the order of messages; it rises over the queue's whole life.
pub fn sequence_number(number: u64) -> String {
    /// AWS's numbers are of this size, above what 64 bits hold, and leave gaps.
    const BASE: u128 = 18_849_496_460_467_696_128;
    (BASE + u128::from(number) * 256).to_string()
}

/// The deduplication id of a message on a queue with ContentBasedDeduplication: SHA-256 of the body alone.
pub fn content_deduplication_id(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// The key under which a deduplication id is remembered.
fn deduplication_key(queue: &Queue, group: &str, id: &str) -> (u64, String, String) {
    let group = match queue.attributes.deduplication_scope {
        DeduplicationScope::Queue => String::new(),
        DeduplicationScope::MessageGroup => group.to_owned(),
    };
    (queue.id, group, id.to_owned())
}

/// What the first message with this deduplication id was answered, if that was less than five minutes ago.
pub fn accepted_before(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    group: &str,
    id: &str,
) -> Result<Option<Accepted>> {
    Ok(tx.get(&DEDUPLICATION, scope, &deduplication_key(queue, group, id))?)
}

pub fn remember_accepted(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    group: &str,
    id: &str,
    accepted: &Accepted,
    now: Timestamp,
) -> Result<()> {
    let key = deduplication_key(queue, group, id);
    Ok(tx.put_until(&DEDUPLICATION, scope, &key, accepted, now.plus(REMEMBERED))?)
}

pub fn group_of(message: &Message) -> &str {
    message.group_id.as_deref().unwrap_or_default()
}

/// A message has joined its group.
pub fn joined(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    message: &Message,
    state: State,
) -> Result<()> {
    let group = group_of(message);
    tx.put(&GROUP_MESSAGES, scope, &(queue.space, group, place.number), &place.sent)?;
    if state == State::Visible {
        offer_if_first(tx, scope, queue, group, place.number)?;
    }
    Ok(())
}

/// A message of a group has become visible, after a delay or because its receiver let it go.
pub fn became_visible(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    message: &Message,
    before: State,
) -> Result<()> {
    let group = group_of(message);
    if before == State::InFlight {
        return release(tx, scope, queue, group);
    }
    offer_if_first(tx, scope, queue, group, place.number)
}

/// A message has left its group, from whatever state.
pub fn left(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    group: &str,
    state: State,
) -> Result<()> {
    match state {
        State::InFlight => release(tx, scope, queue, group),
        State::Visible | State::Delayed => {
            tx.delete(&AVAILABLE, scope, &(queue.space, place.number, group))?;
            if in_flight(tx, scope, queue, group)? == 0 { offer_first(tx, scope, queue, group) } else { Ok(()) }
        }
    }
}

fn in_flight(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, group: &str) -> Result<u32> {
    Ok(tx.get(&GROUPS, scope, &(queue.space, group))?.map_or(0, |group| group.in_flight))
}

/// One message fewer of the group is in flight; the last one frees the group.
fn release(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, group: &str) -> Result<()> {
    let remaining = in_flight(tx, scope, queue, group)?.saturating_sub(1);
    if remaining > 0 {
        tx.put(&GROUPS, scope, &(queue.space, group), &Group { in_flight: remaining })?;
        return Ok(());
    }
    tx.delete(&GROUPS, scope, &(queue.space, group))?;
    offer_first(tx, scope, queue, group)
}

/// The first message of a group: its number and when it was sent.
fn first_of(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, group: &str) -> Result<Option<(u64, Timestamp)>> {
    let range = Range::prefix(&(queue.space, group));
    let first = tx.range(&GROUP_MESSAGES, scope, range, Order::Ascending)?.next().transpose()?;
    Ok(first.map(|((_, _, number), sent)| (number, sent)))
}

/// Makes a group available by its first message, if that is visible. Nothing of the group is in flight.
fn offer_first(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, group: &str) -> Result<()> {
    let Some((number, sent)) = first_of(tx, scope, queue, group)? else { return Ok(()) };
    if messages::standing(tx, scope, queue, Place { sent, number })?.state == State::Visible {
        tx.put(&AVAILABLE, scope, &(queue.space, number, group), &())?;
    }
    Ok(())
}

fn offer_if_first(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, group: &str, number: u64) -> Result<()> {
    let is_first = first_of(tx, scope, queue, group)?.is_some_and(|(first, _)| first == number);
    if is_first && in_flight(tx, scope, queue, group)? == 0 {
        tx.put(&AVAILABLE, scope, &(queue.space, number, group), &())?;
    }
    Ok(())
}

/// How a receive goes: how many, for how long, at what time, and under which attempt id.
#[derive(Clone, Copy, Debug)]
pub struct Receive<'a> {
    pub max: usize,
    pub visibility: Duration,
    pub now: Timestamp,
    pub attempt_id: Option<&'a str>,
}

/// Takes up to `max` messages in flight: from the group whose first message is oldest, as many as it has, then from the
/// next. The same attempt id within five minutes gets the same messages again, unless one was touched meanwhile.
pub fn receive(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    dead_letter: Option<&DeadLetter>,
    how: Receive<'_>,
) -> Result<Vec<Received>> {
    if let Some(attempt_id) = how.attempt_id
        && let Some(again) = repeat_attempt(tx, scope, queue, attempt_id, how)?
    {
        return Ok(again);
    }
    let mut received = Vec::new();
    let groups: Vec<(u64, String)> = tx
        .range(&AVAILABLE, scope, Range::prefix(&(queue.space,)), Order::Ascending)?
        .take(GROUPS_AT_ONCE)
        .map(|entry| entry.map(|((_, number, group), ())| (number, group)))
        .collect::<std::result::Result<_, _>>()?;
    for (number, group) in groups {
        if received.len() >= how.max || counts.in_flight >= super::standard::MAX_IN_FLIGHT {
            break;
        }
        tx.delete(&AVAILABLE, scope, &(queue.space, number, group.clone()))?;
        take_from_group(tx, scope, queue, dead_letter, &group, how, counts, &mut received)?;
    }
    if let Some(attempt_id) = how.attempt_id
        && !received.is_empty()
    {
        remember_attempt(tx, scope, queue, attempt_id, &received, how.now)?;
    }
    Ok(received)
}

/// Takes what one group has to give, in order, up to the receive's maximum.
#[allow(clippy::too_many_arguments)]
fn take_from_group(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    dead_letter: Option<&DeadLetter>,
    group: &str,
    how: Receive<'_>,
    counts: &mut Counters,
    received: &mut Vec<Received>,
) -> Result<()> {
    let mut taken = 0;
    let mut after = None;
    while received.len() < how.max {
        let range = match after {
            None => Range::prefix(&(queue.space, group)),
            Some(number) => Range::prefix(&(queue.space, group)).after(&(queue.space, group, number)),
        };
        let next = tx.range(&GROUP_MESSAGES, scope, range, Order::Ascending)?.next().transpose()?;
        let Some(((_, _, number), sent)) = next else { break };
        after = Some(number);
        let place = Place { sent, number };
        let standing = messages::standing(tx, scope, queue, place)?;
        if standing.state != State::Visible {
            break;
        }
        let Some(message) = tx.get(&MESSAGES, scope, &place.key(queue))? else { continue };
        let too_often = dead_letter.filter(|target| standing.receive_count >= target.max_receive_count);
        let expired = messages::is_expired(queue, sent, how.now);
        if expired || too_often.is_some() {
            tx.delete(&MESSAGES, scope, &place.key(queue))?;
            tx.delete(&STANDINGS, scope, &place.key(queue))?;
            tx.delete(&GROUP_MESSAGES, scope, &(queue.space, group, number))?;
            counts.visible = counts.visible.saturating_sub(1);
            if let Some(target) = too_often.filter(|_| !expired) {
                dead_letter::take_over(tx, scope, target, place, message, &standing, how.now)?;
            }
            continue;
        }
        let period = InFlight { from: how.now, until: how.now.plus(how.visibility) };
        received.push(messages::take_in_flight(tx, scope, queue, counts, place, message, standing, period)?);
        taken += 1;
    }
    if taken > 0 {
        tx.put(&GROUPS, scope, &(queue.space, group), &Group { in_flight: taken })?;
        Ok(())
    } else {
        offer_first(tx, scope, queue, group)
    }
}

fn remember_attempt(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    attempt_id: &str,
    received: &[Received],
    now: Timestamp,
) -> Result<()> {
    let attempt = Attempt {
        messages: received.iter().map(|one| (one.receipt.sent, one.receipt.number)).collect(),
        receive_counts: received.iter().map(|one| one.receipt.receive_count).collect(),
    };
    Ok(tx.put_until(&ATTEMPTS, scope, &(queue.id, attempt_id), &attempt, now.plus(REMEMBERED))?)
}

/// The messages of an earlier receive with the same attempt id, their visibility begun anew; none if there was no such
/// attempt. An attempt whose messages were deleted, given back or received again is over.
fn repeat_attempt(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    attempt_id: &str,
    how: Receive<'_>,
) -> Result<Option<Vec<Received>>> {
    let Some(attempt) = tx.get(&ATTEMPTS, scope, &(queue.id, attempt_id))? else { return Ok(None) };
    let mut found: Vec<(Place, Message, Standing)> = Vec::new();
    for ((sent, number), receive_count) in attempt.messages.iter().zip(&attempt.receive_counts) {
        let place = Place { sent: *sent, number: *number };
        let standing = messages::standing(tx, scope, queue, place)?;
        let untouched = standing.state == State::InFlight && standing.receive_count == *receive_count;
        match tx.get(&MESSAGES, scope, &place.key(queue))?.filter(|_| untouched) {
            Some(message) => found.push((place, message, standing)),
            None => {
                return Err(Error::invalid_value(
                    attempt_id,
                    "ReceiveRequestAttemptId",
                    "The messages of this attempt were deleted, or their visibility was changed.",
                ));
            }
        }
    }
    let visible_at = how.now.plus(how.visibility);
    let mut again = Vec::with_capacity(found.len());
    for (place, message, before) in found {
        if let Some(before) = before.visible_at {
            tx.delete(&PENDING, scope, &(queue.space, before, place.number))?;
        }
        let standing = Standing { visible_at: Some(visible_at), ..before };
        tx.put(&PENDING, scope, &(queue.space, visible_at, place.number), &place.sent)?;
        tx.put(&STANDINGS, scope, &place.key(queue), &standing)?;
        let receipt = messages::receipt(queue, place, &standing);
        again.push(Received { receipt, message, standing });
    }
    Ok(Some(again))
}
