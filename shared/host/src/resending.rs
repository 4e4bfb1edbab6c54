//! Deliveries that failed and are made again by the lane's clock, as their retry policy says, or end in a dead-letter queue.
//!
//! A sender whose deliveries ask to come back (`Delivery::returns`) has one of these. The bus makes each attempt once; what
//! failed lies here, in the sender's own store, and is sent anew when it is due. So a target that is down for an hour of
//! virtual time gets everything as soon as the clock has passed it, and a clock that stands still tries nothing.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Lane, Partition};
use fractus_bus::contracts::{Delivery, Fate};
use fractus_bus::outbox::{MOST_WAITING, Outbox};
use fractus_bus::{Failure, Outcome, Warnings, dead_letter};
use fractus_clock::Timestamp;
use fractus_store::{Collection, Order, Range, Scope, StoreError, Transaction};
use serde_json::Value;

use crate::background::Waker;
use crate::host::Host;
use crate::taken::{self, Ids};

/// What is made again, of a whole lane: (when, the delivery's id).
const RETRIES: Collection<(Timestamp, String), Delivery> = Collection::new("retries");
/// Attempts that were settled in the last minutes, by the delivery's id: the bus may bring an outcome twice.
const SETTLED: Ids = Collection::new("settled-deliveries");

/// Retries sent in one transaction.
const AT_ONCE: usize = 50;
/// Before it is looked again whether the outbox has room.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to become of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has arrived.
    Arrived,
    Again(Timestamp),
    /// Given up; by which condition of its policy, where it was that.
    GivenUp(Option<&'static str>),
}

/// An attempt, for whoever keeps books of them.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    pub delivery: &'a Delivery,
    pub fate: &'a Fate,
    pub verdict: Verdict,
    pub now: Timestamp,
}

/// Reads what it needs in the transaction that settles an attempt, and answers what is to be sent besides.
type Books = dyn Fn(&Transaction<'_>, &Attempted<'_>) -> Result<Vec<Delivery>, StoreError> + Send + Sync;

/// A sender's failed deliveries; clones share them.
#[derive(Clone)]
pub struct Resending {
    host: Host,
    outbox: Outbox,
    books: Arc<Books>,
    waker: Waker,
    /// Targets and reasons that were warned of: said once each.
    warned: Arc<Warnings>,
}

impl Host {
    /// Begins to send again what has come back. `books` hears of every attempt that came back.
    pub fn resend<B>(&self, outbox: &Outbox, books: B) -> Resending
    where
        B: Fn(&Transaction<'_>, &Attempted<'_>) -> Result<Vec<Delivery>, StoreError> + Send + Sync + 'static,
    {
        let (host, sending) = (self.clone(), outbox.clone());
        let waker = self.background("retries", move |lane| {
            let (host, outbox) = (host.clone(), sending.clone());
            async move {
                send_due(&host, &outbox, &lane).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "retries are not sent; it is tried again");
                    None
                })
            }
        });
        Resending { host: self.clone(), outbox: outbox.clone(), books: Arc::new(books), waker, warned: Arc::default() }
    }
}

impl Resending {
    /// Takes a delivery that has come back over the bus.
    pub async fn take(&self, delivery: Delivery) -> Outcome {
        let Some((delivery, fate)) = delivery.into_returned() else { return Outcome::Done };
        match self.settle(&delivery, &fate).await {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Retry { reason: error.to_string() },
        }
    }

    /// Whether this attempt is settled: the bus may bring it again.
    pub async fn is_settled(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        taken::is_among(self.host.store(), &SETTLED, &delivery.id).await
    }

    /// Puts an attempt off that has not been made, and gives it a note to come with: its sender knows a better moment.
    pub async fn postpone(&self, delivery: &Delivery, to: Timestamp, note: Value) -> Result<(), StoreError> {
        let scope = scope(&delivery.lane);
        let mut later = Delivery { id: format!("{}~later", delivery.next_attempt().id), ..delivery.clone() };
        if let Some(returns) = &mut later.returns {
            returns.note = note;
        }
        let write = self.host.store().write(|tx| {
            if !taken::enter(tx, &SETTLED, &delivery.id)? {
                return Ok(());
            }
            tx.put(&RETRIES, &scope, &(to, later.id.as_str()), &later)
        });
        write.await?;
        self.waker.wake_in(&delivery.lane);
        Ok(())
    }

    /// Decides on an attempt: another one by the lane's clock, the dead-letter queue, or the end.
    pub async fn settle(&self, delivery: &Delivery, fate: &Fate) -> Result<Verdict, StoreError> {
        let now = self.host.clocks().lane(delivery.lane.as_str()).now();
        let verdict = judge(delivery, fate, now);
        let scope = scope(&delivery.lane);
        let handoffs = self.host.store().write(|tx| {
            if !taken::enter(tx, &SETTLED, &delivery.id)? {
                return Ok(Vec::new());
            }
            let mut sent = (self.books)(tx, &Attempted { delivery, fate, verdict, now })?;
            match verdict {
                Verdict::Arrived => {}
                Verdict::Again(at) => {
                    let next = delivery.next_attempt();
                    tx.put(&RETRIES, &scope, &(at, next.id.as_str()), &next)?;
                }
                Verdict::GivenUp(exhausted) => sent.extend(letter(delivery, fate, exhausted)),
            }
            sent.iter().map(|one| self.outbox.put(tx, one)).collect::<Result<Vec<_>, StoreError>>()
        });
        drop(handoffs.await?);
        match verdict {
            Verdict::Again(_) => self.waker.wake_in(&delivery.lane),
            Verdict::GivenUp(exhausted) if delivery.dead_letter.is_none() => {
                let (code, reason) = fate.reason().unwrap_or_default();
                if self.warned.first(&format!("{} {code}", delivery.target)) {
                    tracing::warn!(
                        target_arn = %delivery.target, attempts = delivery.attempt, code, reason, exhausted,
                        "dropped a delivery that could not be made and has no dead-letter queue (said once for each target and reason)"
                    );
                }
            }
            _ => {}
        }
        Ok(verdict)
    }
}

fn judge(delivery: &Delivery, fate: &Fate, now: Timestamp) -> Verdict {
    match fate {
        Fate::Done { .. } => Verdict::Arrived,
        Fate::Refused { .. } => Verdict::GivenUp(None),
        Fate::Exhausted { condition, .. } => Verdict::GivenUp(Some(match condition.as_str() {
            "MaximumEventAgeInSeconds" => "MaximumEventAgeInSeconds",
            _ => "MaximumRetryAttempts",
        })),
        Fate::Failed { .. } => match delivery.retry.again(delivery.attempt, delivery.created_at, now) {
            Ok(at) => Verdict::Again(fate.after().map_or(at, |after| now.plus(after))),
            Err(exhausted) => Verdict::GivenUp(Some(exhausted)),
        },
    }
}

fn letter(delivery: &Delivery, fate: &Fate, exhausted: Option<&'static str>) -> Option<Delivery> {
    let (code, message) = fate.reason()?;
    let failure = Failure { code: code.to_owned(), message: message.to_owned(), exhausted };
    delivery.dead_letter.as_ref().map(|to| dead_letter(delivery, to, &failure, delivery.attempt))
}

/// Sends what is due in a lane, and says when something is due again.
async fn send_due(host: &Host, outbox: &Outbox, lane: &Lane) -> Result<Option<Timestamp>, StoreError> {
    let scope = scope(lane);
    loop {
        let now = host.clocks().lane(lane.as_str()).now();
        if outbox.waiting() > MOST_WAITING / 2 {
            return Ok(Some(now.plus(PAUSE)));
        }
        let write = host.store().write(|tx| {
            let due = tx.range(&RETRIES, &scope, Range::all().through(&(now,)), Order::Ascending)?.take(AT_ONCE);
            let due = due.collect::<Result<Vec<_>, _>>()?;
            let mut handoffs = Vec::with_capacity(due.len());
            for (key, delivery) in due {
                tx.delete(&RETRIES, &scope, &key)?;
                handoffs.push(outbox.put(tx, &delivery)?);
            }
            let next = tx.keys(&RETRIES, &scope, Range::all(), Order::Ascending)?.next().transpose()?;
            Ok::<_, StoreError>((handoffs, next.map(|(at, _)| at)))
        });
        match write.await?.1 {
            Some(at) if at <= now => tokio::task::yield_now().await,
            next => return Ok(next),
        }
    }
}

/// Where a lane's own work lies.
fn scope(lane: &Lane) -> Scope {
    Scope::new(lane, Partition::Aws, None, None)
}

#[cfg(test)]
mod tests {
    use fractus_aws::AccountId;
    use fractus_bus::contracts::{RetryPolicy, Source};

    use super::*;

    #[test]
    fn the_policy_and_the_target_say_when_there_is_another_attempt() {
        let source = Source {
            principal: "sns.amazonaws.com".into(),
            arn: None,
            account: AccountId::default_account(),
            role: None,
        };
        let target = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
        let mut sent = Delivery::new("d", Lane::main(), target, "x".into(), source, Timestamp::EPOCH);
        sent.retry = RetryPolicy { maximum_retries: 1, maximum_age_secs: 60, ..RetryPolicy::default() };
        let failed = |after_ms| Fate::Failed { code: "c".into(), message: "m".into(), after_ms };
        let judged = |sent: &Delivery, fate: &Fate, secs| judge(sent, fate, Timestamp::from_secs(secs));
        assert_eq!(judged(&sent, &failed(None), 5), Verdict::Again(Timestamp::from_secs(6)));
        assert_eq!(judged(&sent, &failed(Some(30_000)), 5), Verdict::Again(Timestamp::from_secs(35)));
        assert_eq!(judged(&sent, &failed(None), 60), Verdict::GivenUp(Some("MaximumEventAgeInSeconds")));
        let second = sent.next_attempt();
        assert_eq!(judged(&second, &failed(None), 5), Verdict::GivenUp(Some("MaximumRetryAttempts")));
        let refused = Fate::Refused { code: "c".into(), message: "m".into() };
        assert_eq!(judged(&sent, &refused, 5), Verdict::GivenUp(None));
    }
}
