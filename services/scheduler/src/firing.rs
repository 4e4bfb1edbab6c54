//! What the clock asks for: invoking targets, trying again, removing deleted groups.
//!
//! One replica does it where several share a store; and if two did, nothing would be done twice, because whatever is due
//! is taken out of its index in the transaction that puts the deliveries into the outbox.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::Lane;
use fractus_bus::outbox::{Handoff, MOST_WAITING};
use fractus_clock::{Clock, Timestamp};
use fractus_store::{Order, Range, Transaction};

use crate::error::Result;
use crate::model::groups;
use crate::model::invocation::Invocation;
use crate::model::schedules::{self, Firing, Taken};
use crate::service::Scheduler;
use crate::store::{DELETING, Place, RETRIES, lane_scope};

/// What one transaction does at most, so that it never holds up a request for long.
const AT_ONCE: usize = 50;
/// What one lane has done at most before the others have their turn.
const IN_A_ROW: usize = 2_000;
/// Beyond this many waiting deliveries nothing more is fired: what is due stays due until the bus has taken some.
const MOST_AHEAD: usize = MOST_WAITING / 2;
const PAUSE: Duration = Duration::from_millis(20);

/// Begins to work; it ends when the host drains.
pub fn start(scheduler: &Arc<Scheduler>) {
    let working = Arc::clone(scheduler);
    let waker = scheduler.host.background("schedules", move |lane| {
        let scheduler = Arc::clone(&working);
        async move { round(&scheduler, lane).await }
    });
    // It is started once.
    let _ = scheduler.waker.set(waker);
}

/// Does what is due in a lane; answers when something is due again.
pub async fn round(scheduler: &Scheduler, lane: Lane) -> Option<Timestamp> {
    let (draining, clock) = (scheduler.host.draining(), scheduler.clock(&lane));
    let mut done = 0;
    loop {
        if draining.is_cancelled() {
            return None;
        }
        let now = clock.now();
        if scheduler.outbox.waiting() > MOST_AHEAD {
            // Real time: this waits for the message bus.
            Clock::real().sleep(PAUSE).await;
            return Some(now);
        }
        match step(scheduler, &lane, now).await {
            Ok(Step { handled: 0, next, .. }) => return next,
            Ok(step) => {
                done += step.handled;
                drop(step.sent);
                if done >= IN_A_ROW {
                    return Some(now);
                }
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "schedules are not looked at; trying on");
                return None;
            }
        }
    }
}

/// What one transaction has done.
struct Step {
    handled: usize,
    /// When something is due, once nothing is any more.
    next: Option<Timestamp>,
    sent: Vec<Handoff>,
}

async fn step(scheduler: &Scheduler, lane: &Lane, now: Timestamp) -> Result<Step> {
    scheduler
        .store
        .write(|tx| {
            let mut step = Step { handled: 0, next: None, sent: Vec::new() };
            let due = invoke_due(scheduler, tx, lane, now, &mut step)?;
            let retries = try_again(scheduler, tx, lane, now, &mut step)?;
            let deletions = remove_groups(tx, lane, now, &mut step)?;
            step.next = [due, retries, deletions].into_iter().flatten().min();
            Ok(step)
        })
        .await
}

/// Each of these does what is due, up to its bound, and answers when its first entry is due that it has left.
fn invoke_due(
    scheduler: &Scheduler,
    tx: &mut Transaction<'_>,
    lane: &Lane,
    now: Timestamp,
    step: &mut Step,
) -> Result<Option<Timestamp>> {
    for _ in 0..AT_ONCE {
        match schedules::take_due(tx, lane, now, scheduler.config.catch_up_limit)? {
            Taken::Nothing(next) => return Ok(next),
            Taken::Settled => {}
            Taken::Fires(firing) => step.sent.extend(invoke(scheduler, tx, lane, now, *firing)?),
        }
        step.handled += 1;
    }
    Ok(Some(now))
}

fn invoke(
    scheduler: &Scheduler,
    tx: &mut Transaction<'_>,
    lane: &Lane,
    now: Timestamp,
    firing: Firing,
) -> Result<Option<Handoff>> {
    let arn = firing.place.schedule_arn(&firing.group, &firing.name);
    let random = scheduler.host.random();
    let invocation = Invocation {
        data_key: firing.data_key,
        ..Invocation::new(&firing.place, arn, firing.target, firing.scheduled_at, now, random)
    };
    send(scheduler, tx, lane, now, &invocation)
}

fn send(
    scheduler: &Scheduler,
    tx: &mut Transaction<'_>,
    lane: &Lane,
    now: Timestamp,
    invocation: &Invocation,
) -> Result<Option<Handoff>> {
    let Some(delivery) = invocation.delivery(lane, now) else {
        tracing::error!(schedule = invocation.schedule_arn, "a target that cannot be read is not invoked");
        return Ok(None);
    };
    Ok(Some(scheduler.outbox.put(tx, &delivery)?))
}

fn try_again(
    scheduler: &Scheduler,
    tx: &mut Transaction<'_>,
    lane: &Lane,
    now: Timestamp,
    step: &mut Step,
) -> Result<Option<Timestamp>> {
    let scope = lane_scope(lane);
    for _ in 0..AT_ONCE {
        let Some((key, invocation)) = tx.first(&RETRIES, &scope, Range::all(), Order::Ascending)? else {
            return Ok(None);
        };
        if key.0 > now {
            return Ok(Some(key.0));
        }
        tx.delete(&RETRIES, &scope, &key)?;
        step.sent.extend(send(scheduler, tx, lane, now, &invocation)?);
        step.handled += 1;
    }
    Ok(Some(now))
}

fn remove_groups(tx: &mut Transaction<'_>, lane: &Lane, now: Timestamp, step: &mut Step) -> Result<Option<Timestamp>> {
    let scope = lane_scope(lane);
    let Some(entry) = tx.keys(&DELETING, &scope, Range::all(), Order::Ascending)?.next().transpose()? else {
        return Ok(None);
    };
    if entry.0 > now {
        return Ok(Some(entry.0));
    }
    match Place::parse(lane, &entry.1) {
        Some(place) => {
            groups::clear(tx, &place, &entry, AT_ONCE)?;
        }
        None => tx.delete(&DELETING, &scope, &entry)?,
    }
    step.handled += 1;
    Ok(Some(now))
}
