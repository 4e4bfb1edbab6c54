//! Fair queues: on a standard queue a message's group is a tenant, and tenants that take more than their share of the
//! receivers wait behind the others.
//!
//! A tenant is a noisy neighbour while it has messages waiting, has sent one in the last five minutes, and either holds more
//! than a tenth of all messages in flight and at least thirty, or took more than a tenth of the receivers' recent time.
//! Messages of quiet tenants, and messages without a group (each a tenant of its own), go first; among noisy tenants the one
//! with the fewest messages in flight. Nobody is held back when no one else waits.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
//!
//! Of each tenant only the first visible message is offered: in [`READY`] among everybody's, or in [`NOISY`]. So a tenant that
//! becomes noisy moves with one record, however long its backlog, and a receive costs the same as without groups but for the
//! tenant's own records.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::Result;
use crate::model::messages::Place;
use crate::store::{BUSY, Busy, Counters, NOISY, Offer, Queue, READY, Standing, State, TENANT_READY, TENANTS, Tenant};

/// A tenant with more than this part of what is in flight, or of the receivers' time, is noisy: one in ten.
const SHARE: u64 = 10;
/// The fewest messages in flight that make a tenant noisy.
const LEAST_IN_FLIGHT: u64 = 30;
/// A tenant that sent nothing for so long is quiet again; also how long "recent" receivers' time is.
const RECENT: Duration = Duration::from_secs(300);
/// The least time of receivers by which a tenant can be noisy. AWS names no such bound, but says that its measures are
/// approximate; with none, the first message of every small test would make its tenant noisy.
const LEAST_WORK_MILLIS: u64 = 60_000;
/// The most tenants a receive moves from one side to the other before it takes what comes.
const MOVED_AT_ONCE: usize = 100;

impl Busy {
    fn window(now: Timestamp) -> i64 {
        now.secs() / RECENT.as_secs() as i64
    }

    /// Counts work that ended now.
    #[must_use]
    pub fn plus(self, work: Duration, now: Timestamp) -> Busy {
        let window = Self::window(now);
        let millis = u64::try_from(work.as_millis()).unwrap_or(u64::MAX);
        match window - self.window {
            0 => Busy { millis: self.millis.saturating_add(millis), ..self },
            1 => Busy { window, millis, millis_before: self.millis },
            _ => Busy { window, millis, millis_before: 0 },
        }
    }

    /// The work of the last minutes: this window's, and of the one before as much as the last minutes reach into it.
    pub fn recent_millis(self, now: Timestamp) -> u64 {
        let length = RECENT.as_secs();
        let into = now.secs().rem_euclid(length as i64) as u64;
        let reached = |millis: u64| (u128::from(millis) * u128::from(length - into) / u128::from(length)) as u64;
        match Self::window(now) - self.window {
            0 => self.millis.saturating_add(reached(self.millis_before)),
            1 => reached(self.millis),
            _ => 0,
        }
    }
}

/// The rule, for a tenant that has messages waiting.
pub fn is_noisy(tenant: &Tenant, all_in_flight: u64, all_busy: Busy, now: Timestamp) -> bool {
    let by_share = tenant.in_flight >= LEAST_IN_FLIGHT && tenant.in_flight.saturating_mul(SHARE) > all_in_flight;
    let work = tenant.busy.recent_millis(now);
    let by_work = work >= LEAST_WORK_MILLIS && work.saturating_mul(SHARE) > all_busy.recent_millis(now);
    now.since(tenant.last_sent_at) < RECENT && (by_share || by_work)
}

fn tenant_of(tx: &Transaction<'_>, scope: &Scope, queue: &Queue, group: &str) -> Result<Tenant> {
    Ok(tx.get(&TENANTS, scope, &(queue.space, group))?.unwrap_or_default())
}

/// Offers the tenant's first visible message where it belongs now, and writes the tenant.
fn settle(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    group: &str,
    mut tenant: Tenant,
    now: Timestamp,
) -> Result<()> {
    let range = Range::prefix(&(queue.space, group));
    let first = tx.keys(&TENANT_READY, scope, range, Order::Ascending)?.next().transpose()?;
    let all_busy = tx.get(&BUSY, scope, &(queue.space,))?.unwrap_or_default();
    let offer = first.map(|(_, _, sent, number)| {
        let noisy = is_noisy(&tenant, counts.in_flight, all_busy, now).then_some(tenant.in_flight);
        Offer { sent, number, noisy }
    });
    if offer != tenant.offer {
        withdraw(tx, scope, queue, tenant.offer)?;
        match offer {
            Some(Offer { sent, number, noisy: Some(in_flight) }) => {
                tx.put(&NOISY, scope, &(queue.space, in_flight, sent, number), &group.to_owned())?;
            }
            Some(Offer { sent, number, noisy: None }) => {
                tx.put(&READY, scope, &(queue.space, sent, number), &Some(group.to_owned()))?;
            }
            None => {}
        }
        tenant.offer = offer;
    }
    let key = (queue.space, group);
    if tenant.offer.is_some() || tenant.in_flight > 0 {
        return Ok(tx.put(&TENANTS, scope, &key, &tenant)?);
    }
    // Nothing of it is here; what it took of the receivers' time is of interest a little longer.
    Ok(tx.put_until(&TENANTS, scope, &key, &tenant, now.plus(2 * RECENT))?)
}

fn withdraw(tx: &mut Transaction<'_>, scope: &Scope, queue: &Queue, offer: Option<Offer>) -> Result<()> {
    match offer {
        Some(Offer { sent, number, noisy: Some(in_flight) }) => {
            tx.delete(&NOISY, scope, &(queue.space, in_flight, sent, number))?;
        }
        Some(Offer { sent, number, noisy: None }) => tx.delete(&READY, scope, &(queue.space, sent, number))?,
        None => {}
    }
    Ok(())
}

/// A message of a tenant has come.
#[allow(clippy::too_many_arguments)]
pub fn joined(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    group: &str,
    state: State,
    now: Timestamp,
) -> Result<()> {
    let tenant = Tenant { last_sent_at: now, ..tenant_of(tx, scope, queue, group)? };
    if state == State::Visible {
        tx.put(&TENANT_READY, scope, &(queue.space, group, place.sent, place.number), &())?;
    }
    settle(tx, scope, queue, counts, group, tenant, now)
}

/// A delayed or in-flight message of a tenant can be received again.
#[allow(clippy::too_many_arguments)]
pub fn became_visible(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    group: &str,
    before: &Standing,
    now: Timestamp,
) -> Result<()> {
    tx.put(&TENANT_READY, scope, &(queue.space, group, place.sent, place.number), &())?;
    let mut tenant = tenant_of(tx, scope, queue, group)?;
    if before.state == State::InFlight {
        tenant.in_flight = tenant.in_flight.saturating_sub(1);
        work_of(tx, scope, queue, before, now, &mut tenant)?;
    }
    settle(tx, scope, queue, counts, group, tenant, now)
}

/// A message of a tenant is received.
pub fn taken(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    group: &str,
    now: Timestamp,
) -> Result<()> {
    tx.delete(&TENANT_READY, scope, &(queue.space, group, place.sent, place.number))?;
    let mut tenant = tenant_of(tx, scope, queue, group)?;
    tenant.in_flight += 1;
    // The caller counts this message after it is taken.
    let counts = Counters { in_flight: counts.in_flight + 1, ..*counts };
    settle(tx, scope, queue, &counts, group, tenant, now)
}

/// A message of a tenant has gone, from whatever state.
#[allow(clippy::too_many_arguments)]
pub fn left(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    place: Place,
    group: &str,
    standing: &Standing,
    now: Timestamp,
) -> Result<()> {
    let mut tenant = tenant_of(tx, scope, queue, group)?;
    match standing.state {
        State::Visible => tx.delete(&TENANT_READY, scope, &(queue.space, group, place.sent, place.number))?,
        State::InFlight => {
            tenant.in_flight = tenant.in_flight.saturating_sub(1);
            work_of(tx, scope, queue, standing, now, &mut tenant)?;
        }
        State::Delayed => {}
    }
    settle(tx, scope, queue, counts, group, tenant, now)
}

fn work(standing: &Standing, now: Timestamp) -> Duration {
    standing.received_at.map_or(Duration::ZERO, |received_at| now.since(received_at))
}

/// Counts the time a receiver has had a message, for its tenant and for all.
fn work_of(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    standing: &Standing,
    now: Timestamp,
    tenant: &mut Tenant,
) -> Result<()> {
    tenant.busy = tenant.busy.plus(work(standing, now), now);
    note_work(tx, scope, queue, standing, now)
}

/// Counts the time a receiver has had a message, of whatever tenant.
pub fn note_work(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    standing: &Standing,
    now: Timestamp,
) -> Result<()> {
    let busy = tx.get(&BUSY, scope, &(queue.space,))?.unwrap_or_default();
    Ok(tx.put(&BUSY, scope, &(queue.space,), &busy.plus(work(standing, now), now))?)
}

/// The message to be received next. Tenants are judged as they come up: one that has become noisy steps aside, and the least
/// noisy of the others comes back if it is quiet again.
pub fn next(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    now: Timestamp,
) -> Result<Option<Place>> {
    for _ in 0..MOVED_AT_ONCE {
        let noisy = first_noisy(tx, scope, queue)?;
        if let Some((_, group)) = &noisy
            && moved(tx, scope, queue, counts, group, now)?
        {
            continue;
        }
        let range = Range::prefix(&(queue.space,));
        let Some(((_, sent, number), group)) = tx.first(&READY, scope, range, Order::Ascending)? else {
            return Ok(noisy.map(|(place, _)| place));
        };
        if let Some(group) = &group
            && moved(tx, scope, queue, counts, group, now)?
        {
            continue;
        }
        return Ok(Some(Place { sent, number }));
    }
    let range = Range::prefix(&(queue.space,));
    let first = tx.keys(&READY, scope, range, Order::Ascending)?.next().transpose()?;
    match first {
        Some((_, sent, number)) => Ok(Some(Place { sent, number })),
        None => Ok(first_noisy(tx, scope, queue)?.map(|(place, _)| place)),
    }
}

fn first_noisy(tx: &Transaction<'_>, scope: &Scope, queue: &Queue) -> Result<Option<(Place, String)>> {
    let first = tx.first(&NOISY, scope, Range::prefix(&(queue.space,)), Order::Ascending)?;
    Ok(first.map(|((_, _, sent, number), group)| (Place { sent, number }, group)))
}

/// Judges a tenant anew; whether it has changed sides.
fn moved(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &Counters,
    group: &str,
    now: Timestamp,
) -> Result<bool> {
    let tenant = tenant_of(tx, scope, queue, group)?;
    let all_busy = tx.get(&BUSY, scope, &(queue.space,))?.unwrap_or_default();
    let is = is_noisy(&tenant, counts.in_flight, all_busy, now);
    if tenant.offer.is_some_and(|offer| offer.noisy.is_some()) == is {
        return Ok(false);
    }
    settle(tx, scope, queue, counts, group, tenant, now)?;
    Ok(true)
}
