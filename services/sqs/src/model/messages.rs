//! What standard and FIFO queues do alike with messages: take one in, let due ones become visible, finish one.
//!
//! Every function runs inside one transaction and is given the time. Counts are read once in a transaction, changed by what
//! happens, and written once.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::model::receipt::Receipt;
use crate::model::{fair, fifo, standard};
use crate::store::{
    COUNTERS, Counters, DISCARDED, Discarded, GROUP_MESSAGES, MESSAGES, Message, PENDING, Queue, STANDINGS, Standing,
    State,
};

/// The most due messages one transaction lets become visible; the rest follow in the next.
const PROMOTE_AT_ONCE: usize = 1_000;

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sent: Timestamp,
    pub number: u64,
}

impl Place {
    /// Its key in [`MESSAGES`] and [`STANDINGS`].
    pub fn key(self, queue: &Queue) -> (u64, Timestamp, u64) {
        (queue.space, self.sent, self.number)
    }
}

/// A message as a receive hands it out.
#[derive(Clone, Debug)]
pub struct Received {
    pub receipt: Receipt,
    pub message: Message,
    pub standing: Standing,
}

/// What a message has been through before it came to this queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    pub receive_count: u32,
    pub first_received_at: Option<Timestamp>,
}

pub fn counters(tx: &Transaction<'_>, scope: &Scope, queue: &Queue) -> Result<Counters> {
    Ok(tx.get(&COUNTERS, scope, &(queue.space,))?.unwrap_or_default())
}

pub fn put_counters(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, counters: &Counters) -> Result<()> {
    Ok(tx.put(&COUNTERS, scope, &(queue.space,), counters)?)
}

/// Runs `work` with the queue's counts, and writes them if it changed them.
pub fn with_counters<T>(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    work: impl FnOnce(&mut Transaction<'_>, &mut Counters) -> Result<T>,
) -> Result<T> {
    let before = counters(tx, scope, queue)?;
    let mut counts = before;
    let outcome = work(tx, &mut counts)?;
    if counts != before {
        put_counters(tx, scope, queue, &counts)?;
    }
    Ok(outcome)
}

pub fn standing(tx: &Transaction<'_>, scope: &Scope, queue: &Queue, place: Place) -> Result<Standing> {
    Ok(tx.get(&STANDINGS, scope, &place.key(queue))?.unwrap_or_default())
}

/// Puts a message into its queue, visible at once or after `delay`. A FIFO queue gives it its sequence number.
#[allow(clippy::too_many_arguments)]
pub fn insert(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    message: &mut Message,
    history: History,
    sent: Timestamp,
    now: Timestamp,
    delay: Duration,
) -> Result<Place> {
    let place = Place { sent, number: counts.next_number };
    counts.next_number += 1;
    let visible_at = (!delay.is_zero()).then(|| now.plus(delay));
    let standing = Standing {
        state: if visible_at.is_some() { State::Delayed } else { State::Visible },
        visible_at,
        receive_count: history.receive_count,
        first_received_at: history.first_received_at,
        received_at: None,
    };
    message.sequence_number = queue.is_fifo().then(|| fifo::sequence_number(place.number));
    tx.put(&MESSAGES, scope, &place.key(queue), message)?;
    if standing != Standing::default() {
        tx.put(&STANDINGS, scope, &place.key(queue), &standing)?;
    }
    match visible_at {
        Some(visible_at) => {
            counts.delayed += 1;
            tx.put(&PENDING, scope, &(queue.space, visible_at, place.number), &sent)?;
        }
        None => counts.visible += 1,
    }
    if queue.is_fifo() {
        fifo::joined(tx, scope, queue, place, message, standing.state)?;
    } else {
        counts.grouped += u64::from(message.group_id.is_some());
        standard::joined(tx, scope, queue, counts, place, message, standing.state, now)?;
    }
    Ok(place)
}

/// What [`promote_due`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    pub count: usize,
    /// When the next message becomes visible by itself.
    pub next_due: Option<Timestamp>,
}

/// Lets every delayed or in-flight message whose time has come be received; says how many, and when the next is due.
pub fn promote_due(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    now: Timestamp,
) -> Result<Promoted> {
    if counts.delayed == 0 && counts.in_flight == 0 {
        return Ok(Promoted { count: 0, next_due: None });
    }
    let mut due = Vec::new();
    let mut next_due = None;
    for entry in tx.range(&PENDING, scope, Range::prefix(&(queue.space,)), Order::Ascending)? {
        let ((_, visible_at, number), sent) = entry?;
        if visible_at > now || due.len() == PROMOTE_AT_ONCE {
            next_due = Some(visible_at);
            break;
        }
        due.push((visible_at, Place { sent, number }));
    }
    for (visible_at, place) in &due {
        tx.delete(&PENDING, scope, &(queue.space, *visible_at, place.number))?;
        become_visible(tx, scope, queue, counts, *place, now)?;
    }
    Ok(Promoted { count: due.len(), next_due })
}

/// A delayed or in-flight message, already out of [`PENDING`], can be received again.
fn become_visible(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    place: Place,
    now: Timestamp,
) -> Result<()> {
    let Some(before) = tx.get(&STANDINGS, scope, &place.key(queue))? else { return Ok(()) };
    match before.state {
        State::Delayed => counts.delayed = counts.delayed.saturating_sub(1),
        State::InFlight => counts.in_flight = counts.in_flight.saturating_sub(1),
        State::Visible => return Ok(()),
    }
    counts.visible += 1;
    let after = Standing { state: State::Visible, visible_at: None, ..before };
    tx.put(&STANDINGS, scope, &place.key(queue), &after)?;
    // Only where groups matter must the message itself be asked for its group.
    if queue.is_fifo() {
        let message = tx.get(&MESSAGES, scope, &place.key(queue))?.unwrap_or_default();
        return fifo::became_visible(tx, scope, queue, place, &message, before.state);
    }
    let message = if counts.grouped > 0 { tx.get(&MESSAGES, scope, &place.key(queue))? } else { None };
    match message.as_ref().and_then(|message| message.group_id.as_deref()) {
        None => standard::ready(tx, scope, queue, place),
        Some(group) => fair::became_visible(tx, scope, queue, counts, place, group, &before, now),
    }
}

/// How long a receive keeps a message from others.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Marks a message as received: in flight for a period. The caller has taken it out of its index.
#[allow(clippy::too_many_arguments)]
pub fn take_in_flight(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    place: Place,
    message: Message,
    before: Standing,
    period: InFlight,
) -> Result<Received> {
    let standing = Standing { state: State::InFlight, visible_at: Some(period.until), ..before.received(period.from) };
    counts.visible = counts.visible.saturating_sub(1);
    counts.in_flight += 1;
    tx.put(&STANDINGS, scope, &place.key(queue), &standing)?;
    tx.put(&PENDING, scope, &(queue.space, period.until, place.number), &place.sent)?;
    Ok(Received { receipt: receipt(queue, place, &standing), message, standing })
}

/// Counts a receive of a message that stays visible.
pub fn note_received(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    message: Message,
    before: Standing,
    now: Timestamp,
) -> Result<Received> {
    let standing = before.received(now);
    tx.put(&STANDINGS, scope, &place.key(queue), &standing)?;
    Ok(Received { receipt: receipt(queue, place, &standing), message, standing })
}

/// The handle of a message's latest receive.
pub fn receipt(queue: &Queue, place: Place, standing: &Standing) -> Receipt {
    Receipt {
        queue_id: queue.id,
        space: queue.space,
        sent: place.sent,
        number: place.number,
        receive_count: standing.receive_count,
    }
}

/// Removes a message from every index it is in, and adjusts the counts.
#[allow(clippy::too_many_arguments)]
pub fn remove(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    place: Place,
    message: &Message,
    standing: &Standing,
    now: Timestamp,
) -> Result<()> {
    tx.delete(&MESSAGES, scope, &place.key(queue))?;
    tx.delete(&STANDINGS, scope, &place.key(queue))?;
    if let Some(visible_at) = standing.visible_at {
        tx.delete(&PENDING, scope, &(queue.space, visible_at, place.number))?;
    }
    match standing.state {
        State::Visible => counts.visible = counts.visible.saturating_sub(1),
        State::Delayed => counts.delayed = counts.delayed.saturating_sub(1),
        State::InFlight => counts.in_flight = counts.in_flight.saturating_sub(1),
    }
    if queue.is_fifo() {
        let group = fifo::group_of(message);
        tx.delete(&GROUP_MESSAGES, scope, &(queue.space, group, place.number))?;
        return fifo::left(tx, scope, queue, place, group, standing.state);
    }
    counts.grouped = counts.grouped.saturating_sub(u64::from(message.group_id.is_some()));
    standard::left(tx, scope, queue, counts, place, message, standing, now)
}

/// Whether a message is past its queue's retention.
/// A message is kept from when it was first sent; changing the period changes it for messages already there.
pub fn is_expired(queue: &Queue, sent: Timestamp, now: Timestamp) -> bool {
    sent.plus(queue.attributes.retention()) <= now
}

/// Removes messages past their retention, oldest first, at most `limit`; says how many went.
pub fn expire(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    now: Timestamp,
    limit: usize,
) -> Result<usize> {
    let mut expired = Vec::new();
    for key in tx.keys(&MESSAGES, scope, Range::prefix(&(queue.space,)), Order::Ascending)? {
        let (_, sent, number) = key?;
        if !is_expired(queue, sent, now) || expired.len() == limit {
            break;
        }
        expired.push(Place { sent, number });
    }
    for place in &expired {
        let Some(message) = tx.get(&MESSAGES, scope, &place.key(queue))? else { continue };
        let standing = standing(tx, scope, queue, *place)?;
        remove(tx, scope, queue, counts, *place, &message, &standing, now)?;
    }
    Ok(expired.len())
}

/// Deletes the message a receipt speaks of. Deleting what is gone already is no error.
pub fn delete(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    handle: &str,
    now: Timestamp,
) -> Result<()> {
    let receipt = checked_receipt(queue, handle)?;
    promote_due(tx, scope, queue, counts, now)?;
    let place = Place { sent: receipt.sent, number: receipt.number };
    if receipt.space != queue.space {
        return Ok(());
    }
    let Some(message) = tx.get(&MESSAGES, scope, &place.key(queue))? else { return Ok(()) };
    let standing = standing(tx, scope, queue, place)?;
    // A FIFO group may already have gone on without this receive; a standard queue takes the delete at its word.
    let current = standing.state == State::InFlight && standing.receive_count == receipt.receive_count;
    if queue.is_fifo() && !current {
        return Err(Error::ReceiptHandleExpired { handle: handle.to_owned() });
    }
    remove(tx, scope, queue, counts, place, &message, &standing, now)
}

/// Sets how long from now a received message stays invisible; zero gives it back at once.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
pub fn change_visibility(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    handle: &str,
    timeout: Duration,
    now: Timestamp,
) -> Result<()> {
    /// A message cannot be kept in flight longer than this after it was received.
    const MAX_IN_FLIGHT: Duration = Duration::from_secs(43_200);
    let receipt = checked_receipt(queue, handle)?;
    promote_due(tx, scope, queue, counts, now)?;
    let place = Place { sent: receipt.sent, number: receipt.number };
    if receipt.space != queue.space || !tx.contains(&MESSAGES, scope, &place.key(queue))? {
        return Err(Error::MessageNotAvailable { handle: handle.to_owned() });
    }
    let before = standing(tx, scope, queue, place)?;
    let (State::InFlight, Some(visible_at)) = (before.state, before.visible_at) else {
        return Err(if queue.is_fifo() {
            Error::ReceiptHandleExpired { handle: handle.to_owned() }
        } else {
            Error::MessageNotInflight
        });
    };
    if queue.is_fifo() && before.receive_count != receipt.receive_count {
        return Err(Error::ReceiptHandleExpired { handle: handle.to_owned() });
    }
    let new_visible_at = now.plus(timeout);
    if before.received_at.is_some_and(|received_at| new_visible_at.since(received_at) > MAX_IN_FLIGHT) {
        return Err(Error::invalid_value(
            timeout.as_secs(),
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        ));
    }
    tx.delete(&PENDING, scope, &(queue.space, visible_at, place.number))?;
    if timeout.is_zero() {
        return become_visible(tx, scope, queue, counts, place, now);
    }
    tx.put(&PENDING, scope, &(queue.space, new_visible_at, place.number), &place.sent)?;
    let after = Standing { visible_at: Some(new_visible_at), ..before };
    Ok(tx.put(&STANDINGS, scope, &place.key(queue), &after)?)
}

/// The receipt behind a handle, refused if it belongs to another queue.
fn checked_receipt(queue: &Queue, handle: &str) -> Result<Receipt> {
    let receipt = Receipt::decode(handle)?;
    if receipt.queue_id == queue.id {
        Ok(receipt)
    } else {
        Err(Error::ReceiptHandleIsInvalid { handle: handle.into() })
    }
}

/// Gives a queue an empty space and leaves the old one for the background; numbers go on.
pub fn discard_all(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &mut Queue,
    new_space: u64,
    now: Timestamp,
) -> Result<()> {
    let counts = counters(tx, scope, queue)?;
    tx.put(&DISCARDED, scope, &(queue.space,), &Discarded { discarded_at: now })?;
    queue.space = new_space;
    put_counters(tx, scope, queue, &Counters { next_number: counts.next_number, ..Counters::default() })
}
