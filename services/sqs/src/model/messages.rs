//! What standard and FIFO queues do alike with messages: take one in, let due ones become visible, finish one.
//!
//! Every function runs inside one transaction and is given the time.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::receipt::Receipt;
use crate::model::{fifo, standard};
use crate::store::{
    AttributeValue, COUNTERS, Counters, DISCARDED, Discarded, GROUP_MESSAGES, MESSAGES, Message, PENDING, Pending,
    Queue, State,
};

/// The most due messages one transaction lets become visible; the rest follow in the next.
const PROMOTE_AT_ONCE: usize = 1_000;

/// A message on its way in, already checked.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub id: String,
    pub body: String,
    pub md5_of_body: String,
    pub attributes: IndexMap<String, AttributeValue>,
    pub md5_of_attributes: Option<String>,
    pub trace_header: Option<String>,
    pub sender_id: String,
    pub group_id: Option<String>,
    pub deduplication_id: Option<String>,
    pub dead_letter_source_arn: Option<String>,
    pub receive_count: u32,
    pub first_received_at: Option<Timestamp>,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sent: Timestamp,
    pub number: u64,
}

pub fn counters(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue) -> Result<Counters> {
    Ok(tx.get(&COUNTERS, scope, &(queue.space,))?.unwrap_or_default())
}

pub fn put_counters(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, counters: &Counters) -> Result<()> {
    Ok(tx.put(&COUNTERS, scope, &(queue.space,), counters)?)
}

/// Puts a message into its queue, visible at once or after `delay`; gives its place and FIFO sequence number.
pub fn insert(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    new: NewMessage,
    sent: Timestamp,
    now: Timestamp,
    delay: Duration,
) -> Result<(Place, Option<String>)> {
    let mut counts = counters(tx, scope, queue)?;
    let number = counts.next_number;
    counts.next_number += 1;
    let place = Place { sent, number };
    let visible_at = (!delay.is_zero()).then(|| now.plus(delay));
    match visible_at {
        Some(_) => counts.delayed += 1,
        None => counts.visible += 1,
    }
    put_counters(tx, scope, queue, &counts)?;

    let sequence_number = queue.is_fifo().then(|| fifo::sequence_number(number));
    let message = Message {
        id: new.id,
        body: new.body,
        md5_of_body: new.md5_of_body,
        attributes: new.attributes,
        md5_of_attributes: new.md5_of_attributes,
        trace_header: new.trace_header,
        sender_id: new.sender_id,
        group_id: new.group_id,
        deduplication_id: new.deduplication_id,
        sequence_number: sequence_number.clone(),
        dead_letter_source_arn: new.dead_letter_source_arn,
        receive_count: new.receive_count,
        first_received_at: new.first_received_at,
        state: if visible_at.is_some() { State::Delayed } else { State::Visible },
        visible_at,
    };
    tx.put(&MESSAGES, scope, &(queue.space, place.sent, place.number), &message)?;
    if let Some(visible_at) = visible_at {
        tx.put(&PENDING, scope, &(queue.space, visible_at, number), &Pending { sent })?;
    }
    if queue.is_fifo() {
        fifo::joined(tx, scope, queue, place, &message)?;
    } else if visible_at.is_none() {
        standard::ready(tx, scope, queue, place)?;
    }
    Ok((place, sequence_number))
}

/// Lets every delayed or in-flight message whose time has come be received; says how many, and when the next is due.
pub fn promote_due(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, now: Timestamp) -> Result<Promoted> {
    let mut due = Vec::new();
    let mut next_due = None;
    for entry in tx.range(&PENDING, scope, Range::prefix(&(queue.space,)), Order::Ascending)? {
        let ((_, visible_at, number), pending) = entry?;
        if visible_at > now || due.len() == PROMOTE_AT_ONCE {
            next_due = Some(visible_at);
            break;
        }
        due.push((visible_at, Place { sent: pending.sent, number }));
    }
    if due.is_empty() {
        return Ok(Promoted { count: 0, next_due });
    }
    let mut counts = counters(tx, scope, queue)?;
    for (visible_at, place) in &due {
        tx.delete(&PENDING, scope, &(queue.space, *visible_at, place.number))?;
        let key = (queue.space, place.sent, place.number);
        let Some(mut message) = tx.get(&MESSAGES, scope, &key)? else { continue };
        let before = message.state;
        match before {
            State::Delayed => counts.delayed = counts.delayed.saturating_sub(1),
            State::InFlight => counts.in_flight = counts.in_flight.saturating_sub(1),
            State::Visible => continue,
        }
        counts.visible += 1;
        message.state = State::Visible;
        message.visible_at = None;
        tx.put(&MESSAGES, scope, &key, &message)?;
        if queue.is_fifo() {
            fifo::became_visible(tx, scope, queue, *place, &message, before)?;
        } else {
            standard::ready(tx, scope, queue, *place)?;
        }
    }
    put_counters(tx, scope, queue, &counts)?;
    Ok(Promoted { count: due.len(), next_due })
}

/// What [`promote_due`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    pub count: usize,
    /// When the next message becomes visible by itself.
    pub next_due: Option<Timestamp>,
}

/// How long a receive keeps a message from others.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Marks a message as received: in flight for a period. The caller has taken it out of its index.
pub fn take_in_flight(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    message: &mut Message,
    counts: &mut Counters,
    period: InFlight,
) -> Result<Receipt> {
    let InFlight { from: now, until: visible_at } = period;
    message.receive_count = message.receive_count.saturating_add(1);
    message.first_received_at.get_or_insert(now);
    message.state = State::InFlight;
    message.visible_at = Some(visible_at);
    counts.visible = counts.visible.saturating_sub(1);
    counts.in_flight += 1;
    tx.put(&MESSAGES, scope, &(queue.space, place.sent, place.number), message)?;
    tx.put(&PENDING, scope, &(queue.space, visible_at, place.number), &Pending { sent: place.sent })?;
    Ok(Receipt {
        queue_id: queue.id,
        space: queue.space,
        sent: place.sent,
        number: place.number,
        receive_count: message.receive_count,
    })
}

/// Removes a message from every index it is in, and adjusts the counts.
pub fn remove(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    place: Place,
    message: &Message,
    counts: &mut Counters,
) -> Result<()> {
    tx.delete(&MESSAGES, scope, &(queue.space, place.sent, place.number))?;
    if let Some(visible_at) = message.visible_at {
        tx.delete(&PENDING, scope, &(queue.space, visible_at, place.number))?;
    }
    match message.state {
        State::Visible => counts.visible = counts.visible.saturating_sub(1),
        State::Delayed => counts.delayed = counts.delayed.saturating_sub(1),
        State::InFlight => counts.in_flight = counts.in_flight.saturating_sub(1),
    }
    match &message.group_id {
        Some(group) if queue.is_fifo() => {
            tx.delete(&GROUP_MESSAGES, scope, &(queue.space, group.clone(), place.number))?;
            fifo::left(tx, scope, queue, place, message)
        }
        _ if message.state == State::Visible => standard::unready(tx, scope, queue, place),
        _ => Ok(()),
    }
}

/// Whether a message is past its queue's retention.
/// A message is kept from when it was first sent; changing the period changes it for messages already there.
pub fn is_expired(queue: &Queue, sent: Timestamp, now: Timestamp) -> bool {
    sent.plus(queue.attributes.retention()) <= now
}

/// Removes messages past their retention, oldest first, at most `limit`; says how many went.
pub fn expire(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, now: Timestamp, limit: usize) -> Result<usize> {
    let mut expired = Vec::new();
    for entry in tx.range(&MESSAGES, scope, Range::prefix(&(queue.space,)), Order::Ascending)? {
        let ((_, sent, number), message) = entry?;
        if !is_expired(queue, sent, now) || expired.len() == limit {
            break;
        }
        expired.push((Place { sent, number }, message));
    }
    if expired.is_empty() {
        return Ok(0);
    }
    let mut counts = counters(tx, scope, queue)?;
    for (place, message) in &expired {
        remove(tx, scope, queue, *place, message, &mut counts)?;
    }
    put_counters(tx, scope, queue, &counts)?;
    Ok(expired.len())
}

/// Deletes the message a receipt speaks of. Deleting what is gone already is no error.
pub fn delete(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, handle: &str, now: Timestamp) -> Result<()> {
    let receipt = checked_receipt(queue, handle)?;
    promote_due(tx, scope, queue, now)?;
    let place = Place { sent: receipt.sent, number: receipt.number };
    let Some(message) = tx.get(&MESSAGES, scope, &(receipt.space, place.sent, place.number))? else { return Ok(()) };
    if receipt.space != queue.space {
        return Ok(());
    }
    // A FIFO group may already have gone on without this receive; a standard queue takes the delete at its word.
    let current = message.state == State::InFlight && message.receive_count == receipt.receive_count;
    if queue.is_fifo() && !current {
        return Err(Error::ReceiptHandleExpired { handle: handle.to_owned() });
    }
    let mut counts = counters(tx, scope, queue)?;
    remove(tx, scope, queue, place, &message, &mut counts)?;
    put_counters(tx, scope, queue, &counts)
}

/// Sets how long from now a received message stays invisible; zero gives it back at once.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
pub fn change_visibility(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    handle: &str,
    timeout: Duration,
    now: Timestamp,
) -> Result<()> {
    /// A message cannot be kept in flight longer than this after it was received.
    const MAX_IN_FLIGHT: Duration = Duration::from_secs(43_200);
    let receipt = checked_receipt(queue, handle)?;
    promote_due(tx, scope, queue, now)?;
    let place = Place { sent: receipt.sent, number: receipt.number };
    let key = (receipt.space, place.sent, place.number);
    let found = if receipt.space == queue.space { tx.get(&MESSAGES, scope, &key)? } else { None };
    let Some(mut message) = found else {
        return Err(Error::MessageNotAvailable { handle: handle.to_owned() });
    };
    let (State::InFlight, Some(visible_at)) = (message.state, message.visible_at) else {
        return Err(if queue.is_fifo() {
            Error::ReceiptHandleExpired { handle: handle.to_owned() }
        } else {
            Error::MessageNotInflight
        });
    };
    if queue.is_fifo() && message.receive_count != receipt.receive_count {
        return Err(Error::ReceiptHandleExpired { handle: handle.to_owned() });
    }
    if timeout > MAX_IN_FLIGHT {
        return Err(Error::invalid_value(timeout.as_secs(), "VisibilityTimeout", "Must be between 0 and 43200."));
    }
    let new_visible_at = now.plus(timeout);
    tx.delete(&PENDING, scope, &(queue.space, visible_at, place.number))?;
    tx.put(&PENDING, scope, &(queue.space, new_visible_at, place.number), &Pending { sent: place.sent })?;
    message.visible_at = Some(new_visible_at);
    tx.put(&MESSAGES, scope, &key, &message)?;
    if timeout.is_zero() {
        promote_due(tx, scope, queue, now)?;
    }
    Ok(())
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
