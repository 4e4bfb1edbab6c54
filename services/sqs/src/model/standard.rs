//! Standard queues: any visible message may be received, the longest-waiting first, but for fair queues' noisy groups.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::model::dead_letter::{self, DeadLetter};
use crate::model::fair;
use crate::model::messages::{self, InFlight, Place, Received};
use crate::store::{Counters, MESSAGES, Message, Queue, READY, Standing, State};

/// The most messages of a queue that may be in flight.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_IN_FLIGHT: u64 = 120_000;

/// The most messages a receive ends or sends to the dead-letter queue, so that it never holds others up for long. What
/// is left is for the next one.
const PUT_ASIDE_AT_ONCE: usize = 500;

/// A message without a group can be received.
pub fn ready(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, place: Place) -> Result<()> {
    Ok(tx.put(&READY, scope, &place.key(queue), &None)?)
}

/// A message has come.
#[allow(clippy::too_many_arguments)]
pub fn joined(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    message: &Message,
    state: State,
    now: Timestamp,
) -> Result<()> {
    match &message.group_id {
        Some(group) => fair::joined(tx, scope, queue, counts, place, group, state, now),
        None if state == State::Visible => ready(tx, scope, queue, place),
        None => Ok(()),
    }
}

/// A message has gone, from whatever state.
#[allow(clippy::too_many_arguments)]
pub fn left(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    message: &Message,
    standing: &Standing,
    now: Timestamp,
) -> Result<()> {
    match &message.group_id {
        Some(group) => fair::left(tx, scope, queue, counts, place, group, standing, now),
        None => {
            if counts.grouped > 0 && standing.state == State::InFlight {
                fair::note_work(tx, scope, queue, standing, now)?;
            }
            if standing.state == State::Visible {
                tx.delete(&READY, scope, &place.key(queue))?;
            }
            Ok(())
        }
    }
}

/// The message that is to be received next.
pub fn next(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    now: Timestamp,
) -> Result<Option<Place>> {
    if counts.grouped > 0 { fair::next(tx, scope, queue, counts, now) } else { next_after(tx, scope, queue, None) }
}

/// The first message in the order of sending, behind `after`.
fn next_after(tx: &Transaction<'_>, scope: &Scope, queue: &Queue, after: Option<Place>) -> Result<Option<Place>> {
    let mut range = Range::prefix(&(queue.space,));
    if let Some(place) = after {
        range = range.after(&place.key(queue));
    }
    let first = tx.keys(&READY, scope, range, Order::Ascending)?.next().transpose()?;
    Ok(first.map(|(_, sent, number)| Place { sent, number }))
}

/// How a receive goes: how many, for how long, at what time.
#[derive(Clone, Copy, Debug)]
pub struct Receive {
    pub max: usize,
    pub visibility: Duration,
    pub now: Timestamp,
}

/// Takes up to `max` visible messages in flight. Messages received too often go to the dead-letter queue instead, messages
/// past their retention go away.
pub fn receive(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    dead_letter: Option<&DeadLetter>,
    how: Receive,
) -> Result<Vec<Received>> {
    let Receive { max, visibility, now } = how;
    if counts.visible == 0 {
        return Ok(Vec::new());
    }
    if counts.in_flight >= MAX_IN_FLIGHT {
        return Err(Error::OverLimit {
            message: format!("Too many messages in flight; a queue can have {MAX_IN_FLIGHT} at most."),
        });
    }
    let period = InFlight { from: now, until: now.plus(visibility) };
    let mut received = Vec::with_capacity(max.min(counts.visible as usize));
    // Received for no time at all, a message stays where it is. (With groups the order may change while it is away.)
    let stays = visibility.is_zero() && counts.grouped == 0;
    let (mut put_aside, mut after) = (0, None);
    while received.len() < max && put_aside < PUT_ASIDE_AT_ONCE {
        let place = if stays { next_after(tx, scope, queue, after)? } else { next(tx, scope, queue, counts, now)? };
        let Some(place) = place else { break };
        after = Some(place);
        let Some(message) = tx.get(&MESSAGES, scope, &place.key(queue))? else {
            tx.delete(&READY, scope, &place.key(queue))?;
            continue;
        };
        let standing = messages::standing(tx, scope, queue, place)?;
        let too_often = dead_letter.filter(|target| standing.receive_count >= target.max_receive_count);
        if messages::is_expired(queue, place.sent, now) {
            put_aside += 1;
            messages::remove(tx, scope, queue, counts, place, &message, &standing, now)?;
        } else if let Some(target) = too_often {
            put_aside += 1;
            messages::remove(tx, scope, queue, counts, place, &message, &standing, now)?;
            dead_letter::take_over(tx, scope, target, place, message, &standing, now)?;
        } else if stays {
            received.push(messages::note_received(tx, scope, queue, place, message, standing, now)?);
        } else {
            match &message.group_id {
                None => tx.delete(&READY, scope, &place.key(queue))?,
                Some(group) => fair::taken(tx, scope, queue, counts, place, group, now)?,
            }
            received.push(messages::take_in_flight(tx, scope, queue, counts, place, message, standing, period)?);
        }
    }
    Ok(received)
}
