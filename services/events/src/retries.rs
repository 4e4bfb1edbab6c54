//! Calls of API destinations that failed and are made again, by the lane's clock, as the target's retry policy says.
//!
//! The bus brings each attempt and makes none of its own: what failed is put down here, and sent anew when it is due.

use std::time::Duration;

use fractus_aws::Lane;
use fractus_bus::Failure;
use fractus_bus::contracts::Delivery;
use fractus_bus::outbox::MOST_WAITING;
use fractus_clock::Timestamp;
use fractus_store::{Order, Range};

use crate::error::{Error, Result};
use crate::model::names::Place;
use crate::operations::rules::lane_scope;
use crate::service::{Events, Wakers};
use crate::store::{DELIVERED, RETRIES};

/// Retries sent in one transaction.
const AT_ONCE: usize = 50;
/// How long an attempt is remembered that the bus may bring twice.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Before it is looked again whether the outbox has room.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether an attempt was made before: the bus may bring it again.
pub async fn is_handled(events: &Events, place: &Place, delivery: &Delivery) -> Result<bool> {
    let read = events.store.read(|snapshot| snapshot.contains(&DELIVERED, &place.scope, &(delivery.id.as_str(),)));
    Ok(read.await?)
}

/// The id of the attempt after this one: another delivery, which the queue must not take for the one before.
fn next_id(delivery: &Delivery) -> String {
    let first = delivery.id.split_once('~').map_or(delivery.id.as_str(), |(first, _)| first);
    format!("{first}~{}", delivery.attempt.saturating_add(1))
}

/// Puts down that an attempt has failed: it is made again, after the time that the endpoint has asked for where it has, or
/// goes to the dead-letter queue.
pub async fn failed(
    events: &Events,
    place: &Place,
    delivery: &Delivery,
    after: Option<Duration>,
    reason: &str,
) -> Result<()> {
    let now = events.host.clocks().lane(delivery.lane.as_str()).now();
    let again = delivery.retry.again(delivery.attempt, delivery.created_at, now);
    let again = again.map(|at| after.map_or(at, |after| now.plus(after)));
    let write = events.store.write(|tx| {
        if tx.contains(&DELIVERED, &place.scope, &(delivery.id.as_str(),))? {
            return Ok(None);
        }
        tx.put_until(&DELIVERED, &place.scope, &(delivery.id.as_str(),), &(), now.plus(REMEMBERED))?;
        match again {
            Ok(at) => {
                let next = Delivery { id: next_id(delivery), attempt: delivery.attempt + 1, ..delivery.clone() };
                tx.put(&RETRIES, &lane_scope(&delivery.lane), &(at, next.id.as_str()), &next)?;
                Ok::<_, Error>(None)
            }
            Err(exhausted) => {
                let failure = Failure {
                    code: "SERVICE_ERROR".to_owned(),
                    message: reason.to_owned(),
                    exhausted: Some(exhausted),
                };
                let letter = delivery.dead_letter.as_ref();
                let letter = letter.map(|to| fractus_bus::dead_letter(delivery, to, &failure, delivery.attempt));
                letter.map(|letter| Ok(events.outbox.put(tx, &letter)?)).transpose()
            }
        }
    });
    drop(write.await?);
    match again {
        Ok(_) => Wakers::wake(&events.wakers.retries),
        Err(_) if delivery.dead_letter.is_some() => {}
        Err(exhausted) => tracing::warn!(
            target_arn = %delivery.target, attempts = delivery.attempt, reason, exhausted,
            "dropped an event that could not be delivered and has no dead-letter queue"
        ),
    }
    Ok(())
}

/// Sends what is due in a lane, and says when something is due again.
pub async fn send_due(events: &Events, lane: &Lane) -> Result<Option<Timestamp>> {
    let scope = lane_scope(lane);
    loop {
        let now = events.host.clocks().lane(lane.as_str()).now();
        if events.outbox.waiting() > MOST_WAITING / 2 {
            return Ok(Some(now.plus(PAUSE)));
        }
        let write = events.store.write(|tx| {
            let due = tx.range(&RETRIES, &scope, Range::all().through(&(now,)), Order::Ascending)?.take(AT_ONCE);
            let due = due.collect::<std::result::Result<Vec<_>, _>>()?;
            let mut handoffs = Vec::with_capacity(due.len());
            for (key, delivery) in due {
                tx.delete(&RETRIES, &scope, &key)?;
                handoffs.push(events.outbox.put(tx, &delivery)?);
            }
            let next = tx.keys(&RETRIES, &scope, Range::all(), Order::Ascending)?.next().transpose()?;
            Ok::<_, Error>((handoffs, next.map(|(at, _)| at)))
        });
        match write.await?.1 {
            Some(at) if at <= now => tokio::task::yield_now().await,
            next => return Ok(next),
        }
    }
}
