//! What comes over the bus: universal targets, which this service calls itself, and deliveries that could not be made.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::Outcome;
use fractus_bus::contracts::{Delivery, Fate};
use fractus_host::taken;
use fractus_scheduler_api as api;

use crate::calls::Unanswered;
use crate::error::{Error, Result};
use crate::model::invocation::{Failed, Invocation};
use crate::model::retry::{self, Verdict};
use crate::model::target::{self, Kind};
use crate::service::Scheduler;
use crate::store::{Place, RETRIES, lane_scope};

/// Before something is tried again that failed here, which is no failed attempt of the target's.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins to consume; the consumption lives as long as the host.
pub fn start(scheduler: &Arc<Scheduler>) {
    let handler = Arc::clone(scheduler);
    scheduler.host.consume(None, move |delivery| {
        let scheduler = Arc::clone(&handler);
        async move {
            match handle(&scheduler, &delivery).await {
                Ok(()) => Outcome::Done,
                Err(Error::Store(error)) => Outcome::RetryIn { delay: PAUSE, reason: error.to_string() },
                Err(error) => Outcome::Refused { code: "ValidationException".to_owned(), message: error.to_string() },
            }
        }
    });
}

async fn handle(scheduler: &Scheduler, delivery: &Delivery) -> Result<()> {
    if taken::is_taken(&scheduler.store, &delivery.id).await? {
        return Ok(());
    }
    match &delivery.returned {
        Some(returned) => came_back(scheduler, delivery, &returned.fate).await,
        None => call(scheduler, delivery).await,
    }
}

fn read(delivery: &Delivery) -> Result<Invocation> {
    let note = delivery.returns.as_ref().map(|returns| returns.note.clone()).unwrap_or_default();
    serde_json::from_value(note).map_err(|_| Error::validation("The delivery is none of this service's own."))
}

/// Calls a universal target; opens what another one is kept under and sends it on.
async fn call(scheduler: &Scheduler, delivery: &Delivery) -> Result<()> {
    let invocation = read(delivery)?;
    let unreadable = || Error::validation("The delivery names no target that can be called.");
    let target = invocation.target().ok_or_else(unreadable)?;
    let place = Place::parse(&delivery.lane, &invocation.place).ok_or_else(unreadable)?;
    let kind = target::kind(&target.arn)?.1;
    match attempt(scheduler, delivery, &invocation, &place, &target, &kind).await {
        Ok(()) if matches!(kind, Kind::Templated(_)) => send_on(scheduler, delivery, &invocation).await,
        Ok(()) => done(scheduler, delivery).await,
        Err(unanswered) => {
            tell(&invocation, &target.arn, &unanswered.failed);
            settle(scheduler, delivery, invocation, &unanswered.failed, unanswered.passes).await
        }
    }
}

/// What this service does itself of an attempt, as the target's role.
async fn attempt(
    scheduler: &Scheduler,
    delivery: &Delivery,
    invocation: &Invocation,
    place: &Place,
    target: &api::Target,
    kind: &Kind,
) -> Result<(), Unanswered> {
    let no_role = || Unanswered {
        failed: Failed { code: "AccessDenied".to_owned(), message: Error::RoleNotAssumed.to_string() },
        passes: false,
    };
    let cause = delivery.cause.child(delivery.id.clone());
    let wish = invocation.acts_as(place, target).ok_or_else(no_role)?;
    let acting = scheduler.calls.act_as(wish, &cause).await?;
    if let Some(kept) = &invocation.data_key {
        scheduler.calls.open(&acting, kept, &place.world, scheduler.clock(&delivery.lane).now()).await?;
    }
    let Kind::Universal(universal) = kind else { return Ok(()) };
    let input = target.input.as_ref().map_or_else(|| "{}".to_owned(), |_| invocation.body(target, place));
    scheduler.calls.call(universal, &acting, &place.world, &input).await
}

/// Sends an opened invocation on to its target.
async fn send_on(scheduler: &Scheduler, delivery: &Delivery, invocation: &Invocation) -> Result<()> {
    let now = scheduler.clock(&delivery.lane).now();
    let unreadable = || Error::validation("The delivery names no target that can be called.");
    let next = invocation.to_target(&delivery.lane, now).ok_or_else(unreadable)?;
    let sent = scheduler.store.write(|tx| match taken::take(tx, &delivery.id)? {
        true => Ok::<_, Error>(Some(scheduler.outbox.put(tx, &next)?)),
        false => Ok(None),
    });
    sent.await.map(drop)
}

fn tell(invocation: &Invocation, target: &str, failed: &Failed) {
    tracing::debug!(
        schedule = invocation.schedule_arn,
        target_arn = target,
        attempt = invocation.attempt,
        code = failed.code,
        message = failed.message,
        "an attempt failed"
    );
}

/// A delivery that its target has refused, or could not take now.
async fn came_back(scheduler: &Scheduler, delivery: &Delivery, fate: &Fate) -> Result<()> {
    let Some((code, message)) = fate.reason() else { return Ok(()) };
    let failed = Failed { code: code.to_owned(), message: message.to_owned() };
    let passes = !matches!(fate, Fate::Refused { .. });
    settle(scheduler, delivery, read(delivery)?, &failed, passes).await
}

async fn done(scheduler: &Scheduler, delivery: &Delivery) -> Result<()> {
    Ok(scheduler.store.write(|tx| taken::take(tx, &delivery.id).map(drop)).await?)
}

/// Decides on a failed attempt: another one by the lane's clock, or the dead-letter queue.
async fn settle(
    scheduler: &Scheduler,
    delivery: &Delivery,
    invocation: Invocation,
    failed: &Failed,
    passes: bool,
) -> Result<()> {
    let lane = &delivery.lane;
    let now = scheduler.clock(lane).now();
    let policy = invocation.target().and_then(|target| target.retry_policy);
    let verdict = retry::decide(policy.as_ref(), invocation.attempt, invocation.begun_at, now, passes);
    let again = invocation.clone().again(scheduler.host.random());
    let sent = scheduler.store.write(|tx| {
        if !taken::take(tx, &delivery.id)? {
            return Ok(None);
        }
        match verdict {
            Verdict::Again(at) => {
                tx.put(&RETRIES, &lane_scope(lane), &(at, again.id.as_str()), &again)?;
                Ok::<_, Error>(None)
            }
            Verdict::GiveUp(exhausted) => match invocation.letter(lane, failed, exhausted, now) {
                Some(letter) => Ok(Some(scheduler.outbox.put(tx, &letter)?)),
                None => Ok(None),
            },
        }
    });
    drop(sent.await?);
    match verdict {
        Verdict::Again(_) => scheduler.wake(lane),
        Verdict::GiveUp(_) => tracing::warn!(
            schedule = invocation.schedule_arn, target = %delivery.target, code = failed.code,
            message = failed.message, attempts = invocation.attempt, "a target could not be invoked"
        ),
    }
    Ok(())
}
