//! Consuming deliveries: one group of replicas for each service, explicit acknowledgement, bounded work in flight.
//!
//! A service has two consumers on the queue. Deliveries without an ordering key go to whichever replica asks, side by
//! side. Those with one go to a single replica at a time, which handles different keys side by side and each key in
//! order; it holds them by a lease: the consumer itself, which NATS allows once for a subject of a work queue and ends
//! when its owner has been silent for [`ConsumeConfig::lease`]. The next owner makes a new one, which begins with the
//! oldest delivery that is not done: so no delivery overtakes another of its key, over crashes too.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{AckKind, ErrorCode, Message};
use async_nats::{StatusCode, Subscriber};
use fractus_clock::{Clock, Stopwatch};
use futures::{FutureExt, StreamExt};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Live};
use crate::contracts::Delivery;
use crate::deliver::ensure_queue;
use crate::flight::{Flight, Handler, pull_request, settle_with};
use crate::subjects::{self, Order};
use crate::{Bus, BusConfig, BusError};

/// What a handler makes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has arrived (or arrived before: deliveries come at least once).
    Done,
    /// It has arrived, and this is what the target's operation answered: for senders that wait for it.
    Answered { answer: serde_json::Value },
    /// Not now: again after the usual back-off, as long as the delivery's retry policy allows.
    Retry { reason: String },
    /// Not now: again after `delay`, as long as the delivery's retry policy allows.
    RetryIn { delay: Duration, reason: String },
    /// Not now, by this code. `after`: when the target wants to be asked again by a sender that tries again by the lane's clock.
    Failed { code: String, reason: String, after: Option<Duration> },
    /// Never: the target is gone, access is denied, the payload does not fit. It goes to the dead-letter target at once.
    Refused { code: String, message: String },
}

/// How deliveries are consumed.
#[derive(Clone, Debug)]
pub struct ConsumeConfig {
    /// Handlers at a time in this replica, for each of the two consumers.
    pub in_flight: usize,
    /// Bytes of deliveries in this replica at a time, for each of the two consumers.
    pub in_flight_bytes: usize,
    /// How long a silent replica keeps a delivery before another gets it. Handlers may take longer: the bus tells the
    /// queue that they are alive.
    pub acknowledge_within: Duration,
    /// How long a silent replica keeps the ordered deliveries.
    pub lease: Duration,
}

impl Default for ConsumeConfig {
    fn default() -> Self {
        ConsumeConfig {
            in_flight: 256,
            in_flight_bytes: 64 << 20,
            acknowledge_within: Duration::from_secs(8),
            lease: Duration::from_secs(5),
        }
    }
}

/// A running consumption: it also keeps its bus alive. Dropping it stops it; handlers that run are finished.
#[must_use = "dropping it stops the consumption"]
pub struct Consumption {
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Consumption {
    /// Takes nothing new, and waits until what was taken is settled.
    pub async fn drain(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A pull stays open at the server this long; the server says that it is alive at every heart-beat.
const PULL_EXPIRES: Duration = Duration::from_secs(60);
const PULL_HEARTBEAT: Duration = Duration::from_secs(15);
/// A message of the greatest size must always fit into what is asked for.
const LARGEST_MESSAGE: usize = 9 << 20;

impl Bus {
    /// Consumes the deliveries of this bus's service, together with the service's other replicas.
    pub fn consume_deliveries<H, F>(&self, config: ConsumeConfig, handler: H) -> Consumption
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |delivery| handler(delivery).boxed());
        let stop = self.inner.drain.child_token();
        let tasks = TaskTracker::new();
        for order in [Order::Any, Order::Ordered] {
            let worker = Worker {
                connection: self.inner.connection.clone(),
                bus_config: self.inner.config.clone(),
                config: config.clone(),
                order,
                stop: stop.clone(),
            };
            let flight = Flight::new(self.clone(), Arc::clone(&handler), order);
            self.inner.tasks.spawn(tasks.track_future(worker.run(flight)).boxed());
        }
        Consumption { tasks, stop: stop.drop_guard() }
    }
}

struct Worker {
    connection: Connection,
    bus_config: BusConfig,
    config: ConsumeConfig,
    order: Order,
    stop: CancellationToken,
}

/// Why a consumer could not be had.
enum NotAttached {
    /// Another replica holds the ordered deliveries.
    Leased,
    Failed(BusError),
}

impl Worker {
    async fn run(self, mut flight: Flight) {
        if let Err(error) = subjects::token(&self.bus_config.service) {
            tracing::error!(%error, "no deliveries are consumed");
            return;
        }
        let mut failures: u32 = 0;
        loop {
            let Some(live) = self.wait(&mut flight, self.connection.live()).await else { break };
            let pause = match self.attach(&live).await {
                Ok(()) => {
                    failures = 0;
                    self.session(&live, &mut flight).await;
                    Duration::from_millis(20)
                }
                Err(NotAttached::Leased) => self.config.lease / 4,
                Err(NotAttached::Failed(error)) => {
                    failures += 1;
                    if failures == 3 {
                        tracing::warn!(%error, "deliveries cannot be consumed; trying on");
                    }
                    Duration::from_millis(50 << failures.min(5))
                }
            };
            if self.wait(&mut flight, Clock::real().sleep(pause)).await.is_none() {
                break;
            }
        }
        self.finish(&mut flight).await;
    }

    /// Lets what runs come to its end.
    async fn finish(&self, flight: &mut Flight) {
        let mut beat = self.beat();
        while !flight.is_idle() {
            tokio::select! {
                () = flight.settled() => {}
                _ = beat.tick() => flight.tell_progress(self.beat_period()).await,
            }
        }
    }

    /// How often the queue hears that slow handlers are alive.
    fn beat_period(&self) -> Duration {
        (self.config.acknowledge_within / 3).max(Duration::from_millis(1))
    }

    fn beat(&self) -> tokio::time::Interval {
        let mut beat = tokio::time::interval(self.beat_period());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    }

    /// Waits for `what` while running jobs settle; none when the consumption is to stop.
    async fn wait<T>(&self, flight: &mut Flight, what: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                result = &mut what => return Some(result),
                () = flight.settled() => {}
            }
        }
    }

    fn consumer_name(&self) -> String {
        match self.order {
            Order::Any => self.bus_config.service.clone(),
            Order::Ordered => format!("{}-ordered-{}", self.bus_config.service, self.bus_config.instance),
        }
    }

    async fn attach(&self, live: &Live) -> Result<(), NotAttached> {
        ensure_queue(&live.jetstream, &self.bus_config).await.map_err(NotAttached::Failed)?;
        let refused = |error: String| NotAttached::Failed(BusError::Refused(error));
        let name = self.consumer_name();
        let wanted = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: subjects::deliveries_of(&self.bus_config.service, self.order),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.acknowledge_within,
            // The policy of each delivery ends its attempts, not the queue.
            max_deliver: -1,
            // What waits for its retry counts as pending, so a bound here would block all others; the pulls bound the
            // work in flight.
            max_ack_pending: -1,
            inactive_threshold: match self.order {
                Order::Any => Duration::ZERO,
                Order::Ordered => self.config.lease,
            },
            ..pull::Config::default()
        };
        let queue = live
            .jetstream
            .get_stream_no_info(subjects::DELIVERIES)
            .await
            .map_err(|error| refused(error.to_string()))?;
        if self.order == Order::Ordered {
            // Whatever was under way over an earlier connection may have been lost with it: a new consumer begins with
            // the oldest delivery that is not done, the old one would go on behind it.
            let _ = queue.delete_consumer(&name).await;
        }
        match queue.create_consumer(wanted).await {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                async_nats::jetstream::stream::ConsumerErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::CONSUMER_WQ_CONSUMER_NOT_UNIQUE =>
                {
                    Err(NotAttached::Leased)
                }
                kind => Err(refused(kind.to_string())),
            },
        }
    }

    /// Consumes over one connection until that or the consumer is lost, or the consumption is to stop.
    async fn session(&self, live: &Live, flight: &mut Flight) {
        let Some(mut pulls) = Pulls::open(live, &self.consumer_name()).await else { return };
        let mut changes = self.connection.changes();
        let (mut beat, mut look) = (self.beat(), tokio::time::interval(PULL_HEARTBEAT));
        let mut ended = false;
        while !ended {
            if pulls.wanted == 0 {
                self.pull(&mut pulls, flight).await;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => ended = true,
                _ = changes.changed() => ended = true,
                message = pulls.inbox.next() => match message {
                    Some(message) => ended = self.arrived(&mut pulls, flight, message).await,
                    None => ended = true,
                },
                () = flight.settled() => {}
                // An idle service is not woken for it.
                _ = beat.tick(), if flight.len() > 0 => {
                    flight.tell_progress(self.beat_period()).await;
                    self.renew_lease(&pulls).await;
                }
                _ = look.tick() => ended = pulls.is_silent(),
            }
        }
        self.give_back(pulls, flight).await;
    }

    /// Handles what came by the pulls; true when the consumer is lost.
    async fn arrived(&self, pulls: &mut Pulls, flight: &mut Flight, message: async_nats::Message) -> bool {
        pulls.heard = Stopwatch::start();
        match message.status {
            None | Some(StatusCode::OK) => {
                pulls.wanted = pulls.wanted.saturating_sub(1);
                flight.take(pulls.jetstream_message(message)).await;
                false
            }
            Some(StatusCode::IDLE_HEARTBEAT) => false,
            Some(StatusCode::NO_RESPONDERS) => true,
            Some(_) => {
                // The pull has ended: it expired, or the bytes that it asked for are reached.
                pulls.wanted = 0;
                let about = message.description.as_deref().unwrap_or_default();
                ["Consumer Deleted", "Leadership Change", "Server Shutdown"].iter().any(|end| about.contains(end))
            }
        }
    }

    /// Asks for as many deliveries as there is room for, one question at a time.
    async fn pull(&self, pulls: &mut Pulls, flight: &Flight) {
        let room = self.config.in_flight.saturating_sub(flight.len());
        let bytes = self.config.in_flight_bytes.max(LARGEST_MESSAGE).saturating_sub(flight.bytes());
        if room == 0 || bytes < LARGEST_MESSAGE && flight.len() > 0 {
            return;
        }
        let request = pull_request(room, bytes.max(LARGEST_MESSAGE), PULL_EXPIRES, PULL_HEARTBEAT);
        if pulls.ask(request, &pulls.inbox_subject).await {
            pulls.wanted = room;
        }
    }

    /// A question for one byte brings nothing, since no delivery is so small, and still shows the queue that the owner
    /// of the ordered deliveries is alive while it has no room for more.
    async fn renew_lease(&self, pulls: &Pulls) {
        if self.order == Order::Ordered && pulls.wanted == 0 {
            pulls.ask(pull_request(1, 1, Duration::from_secs(1), Duration::ZERO), &pulls.renewals_subject).await;
        }
    }

    /// Ends the session: what has arrived and not begun goes back to the queue for another replica.
    async fn give_back(&self, mut pulls: Pulls, flight: &mut Flight) {
        let _ = pulls.inbox.drain().await;
        let late = async {
            while let Some(message) = pulls.inbox.next().await {
                if message.status.is_none_or(|status| status == StatusCode::OK) {
                    settle_with(&pulls.jetstream_message(message), AckKind::Nak(None)).await;
                }
            }
        };
        // The drain ends with the server's answer; a lost connection has none.
        let _ = tokio::time::timeout(Duration::from_millis(250), late).await;
        if self.order == Order::Ordered {
            flight.drop_waiting();
            if self.stop.is_cancelled() {
                self.release_lease(&pulls.live, flight).await;
            }
        }
    }

    /// Finishes what runs and ends the lease, so that another replica need not wait for it to run out.
    async fn release_lease(&self, live: &Live, flight: &mut Flight) {
        self.finish(flight).await;
        let _ = live.settle().await;
        if let Ok(queue) = live.jetstream.get_stream_no_info(subjects::DELIVERIES).await {
            let _ = queue.delete_consumer(&self.consumer_name()).await;
        }
    }
}

/// The open questions to the queue over one connection.
struct Pulls {
    live: Live,
    subject: String,
    inbox_subject: String,
    inbox: Subscriber,
    renewals_subject: String,
    _renewals: Subscriber,
    /// Deliveries asked for and not arrived.
    wanted: usize,
    heard: Stopwatch,
}

impl Pulls {
    async fn open(live: &Live, consumer: &str) -> Option<Self> {
        let inbox_subject = live.client.new_inbox();
        let renewals_subject = live.client.new_inbox();
        Some(Pulls {
            live: live.clone(),
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", subjects::DELIVERIES),
            inbox: live.client.subscribe(inbox_subject.clone()).await.ok()?,
            inbox_subject,
            _renewals: live.client.subscribe(renewals_subject.clone()).await.ok()?,
            renewals_subject,
            wanted: 0,
            heard: Stopwatch::start(),
        })
    }

    async fn ask(&self, request: bytes::Bytes, reply: &str) -> bool {
        self.live.client.publish_with_reply(self.subject.clone(), reply.to_owned(), request).await.is_ok()
    }

    fn jetstream_message(&self, message: async_nats::Message) -> Message {
        Message { message, context: self.live.jetstream.clone() }
    }

    /// Whether the server has forgotten the open question.
    fn is_silent(&self) -> bool {
        self.wanted > 0 && self.heard.elapsed() > PULL_HEARTBEAT * 3
    }
}
