//! The deliveries that a replica has taken and not settled yet.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use fractus_clock::{Clock, Stopwatch};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use crate::contracts::{Delivery, Fate};
use crate::settle::{self, Failure, Settlement};
use crate::subjects::Order;
use crate::{Bus, Outcome};

pub(crate) type Handler = Arc<dyn Fn(Delivery) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Before a dead letter is sent again that the queue has not taken.
const DEAD_LETTER_RETRY_DELAY: Duration = Duration::from_secs(2);

/// A delivery taken from the queue.
pub(crate) struct Job {
    sequence: u64,
    /// How often the queue has given it out, this time included.
    given: u32,
    /// Since it was sent, when it arrived here.
    age: Duration,
    key: Option<String>,
    message: Message,
    delivery: Delivery,
}

/// Running and queued jobs. It outlives connections: a handler finishes, and its acknowledgement still counts.
pub(crate) struct Flight {
    work: Work,
    running: JoinSet<(u64, Option<String>)>,
    taken: HashMap<u64, Taken>,
    bytes: usize,
    /// Jobs that wait for an earlier one of their key; a key is here while one of it runs.
    keys: HashMap<String, VecDeque<Job>>,
}

struct Taken {
    message: Message,
    since: Stopwatch,
}

#[derive(Clone)]
struct Work {
    /// Held only while deliveries are in flight, and needed to send dead letters.
    bus: Bus,
    handler: Handler,
    order: Order,
}

impl Flight {
    pub fn new(bus: Bus, handler: Handler, order: Order) -> Self {
        Flight {
            work: Work { bus, handler, order },
            running: JoinSet::new(),
            taken: HashMap::new(),
            bytes: 0,
            keys: HashMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.taken.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes a message that has arrived; one that is in flight already (it was given out again while its handler still
    /// runs) is left to that handler.
    pub async fn take(&mut self, message: Message) {
        let Some((sequence, given, age)) = position(&message) else { return };
        if self.taken.contains_key(&sequence) {
            progress(&message).await;
            return;
        }
        let delivery: Delivery = match serde_json::from_slice(&message.payload) {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::warn!(subject = %message.subject, %error, "dropped a delivery that cannot be read");
                settle_with(&message, AckKind::Term).await;
                return;
            }
        };
        self.bytes += message.payload.len();
        self.taken.insert(sequence, Taken { message: message.clone(), since: Stopwatch::start() });
        let key = if self.work.order == Order::Ordered { delivery.ordering_key() } else { None };
        let job = Job { sequence, given, age, key, message, delivery };
        match &job.key {
            Some(key) => match self.keys.get_mut(key) {
                Some(waiting) => waiting.push_back(job),
                None => {
                    self.keys.insert(key.clone(), VecDeque::new());
                    self.start(job);
                }
            },
            None => self.start(job),
        }
    }

    fn start(&mut self, job: Job) {
        let work = self.work.clone();
        let working = async move {
            let done = (job.sequence, job.key.clone());
            work.run(job).await;
            done
        };
        self.running.spawn(working.boxed());
    }

    /// Waits until a job has ended; for ever pending while none runs.
    pub async fn settled(&mut self) {
        match self.running.join_next().await {
            Some(Ok((sequence, key))) => self.forget(sequence, key.as_deref()),
            // The work catches its handler's panics; a cancelled job is none of ours.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, sequence: u64, key: Option<&str>) {
        if let Some(taken) = self.taken.remove(&sequence) {
            self.bytes = self.bytes.saturating_sub(taken.message.payload.len());
        }
        let Some(key) = key else { return };
        match self.keys.get_mut(key).and_then(VecDeque::pop_front) {
            Some(next) => self.start(next),
            None => {
                self.keys.remove(key);
            }
        }
    }

    /// Gives up what waits for an earlier one of its key: the queue will give it out again, in order.
    pub fn drop_waiting(&mut self) {
        let waiting: Vec<Job> = self.keys.values_mut().flat_map(std::mem::take).collect();
        for job in &waiting {
            self.taken.remove(&job.sequence);
            self.bytes = self.bytes.saturating_sub(job.message.payload.len());
        }
    }

    /// Tells the queue that slow jobs are alive, so that it does not give them to another replica.
    pub async fn tell_progress(&self, older_than: Duration) {
        for taken in self.taken.values() {
            if taken.since.elapsed() >= older_than {
                progress(&taken.message).await;
            }
        }
    }
}

/// What becomes of a failed delivery whose sender wants it back.
enum Next {
    Tell(Fate),
    Again,
    /// It stays in the queue, for the next replica.
    Leave,
}

impl Work {
    async fn run(self, job: Job) {
        let Job { mut delivery, message, given, age, .. } = job;
        let watch = Stopwatch::start();
        let mut attempt = given;
        let before = delivery.attempt.saturating_sub(1);
        loop {
            delivery.attempt = attempt.saturating_add(before);
            let handling = AssertUnwindSafe((self.handler)(delivery.clone())).catch_unwind();
            let outcome = handling.await.unwrap_or_else(|_| {
                tracing::error!(delivery = %delivery.id, target = %delivery.target, "the handler of a delivery panicked");
                Outcome::Retry { reason: "internal failure".to_owned() }
            });
            match settle::decide(outcome, &delivery, attempt, age + watch.elapsed()) {
                Settlement::Done => return settle_with(&message, AckKind::Ack).await,
                Settlement::Return(fate) => match self.in_its_place(&delivery, fate).await {
                    Next::Tell(fate) => return self.send_back(&delivery, &message, fate).await,
                    Next::Again => attempt = attempt.saturating_add(1),
                    Next::Leave => return,
                },
                // In order: nothing of this key may overtake it, so it keeps its place here until it is through.
                Settlement::Again(delay) if self.order == Order::Ordered => {
                    Clock::real().sleep(delay).await;
                    attempt = attempt.saturating_add(1);
                }
                Settlement::Again(delay) => return settle_with(&message, AckKind::Nak(Some(delay))).await,
                Settlement::GiveUp(failure) => {
                    while let Err(delay) = self.give_up(&delivery, &message, &failure, attempt).await {
                        if self.order == Order::Any {
                            return settle_with(&message, AckKind::Nak(Some(delay))).await;
                        }
                        Clock::real().sleep(delay).await;
                    }
                    return;
                }
            }
        }
    }

    /// What is in order is tried again here, where nothing of its key can overtake it, by the lane's clock, until its policy
    /// ends.
    async fn in_its_place(&self, delivery: &Delivery, fate: Fate) -> Next {
        if self.order != Order::Ordered {
            return Next::Tell(fate);
        }
        let Fate::Failed { code, message, .. } = fate else { return Next::Tell(fate) };
        let clock = self.bus.clock_of(&delivery.lane);
        match delivery.retry.again(delivery.attempt, delivery.created_at, clock.now()) {
            Ok(at) => tokio::select! {
                () = clock.sleep_until(at) => Next::Again,
                // The lane's clock may stand still; whoever takes the key over begins with this delivery.
                () = self.bus.inner.drain.cancelled() => Next::Leave,
            },
            Err(condition) => Next::Tell(Fate::Exhausted { code, message, condition: condition.to_owned() }),
        }
    }

    /// Sends a delivery back before the original is let go of, so that neither is lost in between.
    async fn send_back(&self, delivery: &Delivery, message: &Message, fate: Fate) {
        let Some(back) = delivery.back(fate) else { return settle_with(message, AckKind::Ack).await };
        while let Err(error) = self.bus.deliver(&back).await {
            tracing::debug!(delivery = %delivery.id, %error, "a delivery cannot go back to its sender yet");
            if self.order == Order::Any {
                return settle_with(message, AckKind::Nak(Some(DEAD_LETTER_RETRY_DELAY))).await;
            }
            Clock::real().sleep(DEAD_LETTER_RETRY_DELAY).await;
        }
        settle_with(message, AckKind::Ack).await;
    }

    /// Sends the dead letter before the original is let go of, so that neither is lost in between. Where it cannot be
    /// sent, answers when to try again.
    async fn give_up(
        &self,
        delivery: &Delivery,
        message: &Message,
        failure: &Failure,
        attempt: u32,
    ) -> Result<(), Duration> {
        let Some(to) = &delivery.dead_letter else {
            if self.bus.inner.warnings.first(&format!("dropped {} {}", delivery.target, failure.code)) {
                tracing::warn!(
                    target_arn = %delivery.target, source = %delivery.source.principal, code = %failure.code,
                    reason = %failure.message, attempts = attempt,
                    "dropped a delivery that could not be made and has no dead-letter queue (said once for each target and reason)"
                );
            }
            settle_with(message, AckKind::Term).await;
            return Ok(());
        };
        let letter = settle::dead_letter(delivery, to, failure, delivery.attempt);
        match self.bus.deliver(&letter).await {
            Ok(()) => {
                settle_with(message, AckKind::Ack).await;
                Ok(())
            }
            Err(error) => {
                tracing::debug!(delivery = %delivery.id, %error, "the dead letter is tried again");
                Err(DEAD_LETTER_RETRY_DELAY)
            }
        }
    }
}

/// Sequence in the queue, how often it was given out, and how long ago it was sent.
fn position(message: &Message) -> Option<(u64, u32, Duration)> {
    let info = message.info().ok()?;
    let sent_nanos = info.published.unix_timestamp_nanos();
    let now_nanos = i128::from(Clock::real().now().micros()) * 1_000;
    let age = Duration::from_nanos(u64::try_from(now_nanos - sent_nanos).unwrap_or(0));
    let given = u32::try_from(info.delivered).unwrap_or(u32::MAX);
    Some((info.stream_sequence, given.max(1), age))
}

/// An acknowledgement that is lost with the connection means that the delivery comes again: at least once.
pub(crate) async fn settle_with(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::debug!(%error, "an acknowledgement was not sent");
    }
}

async fn progress(message: &Message) {
    settle_with(message, AckKind::Progress).await;
}

/// What is sent to renew a lease, see `consume`.
pub(crate) fn pull_request(batch: usize, max_bytes: usize, expires: Duration, heartbeat: Duration) -> Bytes {
    let mut request = serde_json::json!({
        "batch": batch,
        "max_bytes": max_bytes,
        "expires": u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX),
    });
    if !heartbeat.is_zero() {
        request["idle_heartbeat"] = u64::try_from(heartbeat.as_nanos()).unwrap_or(u64::MAX).into();
    }
    Bytes::from(request.to_string())
}
