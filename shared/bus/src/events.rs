//! Events: told once, kept nowhere.

use std::marker::PhantomData;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};

use crate::connection::{Connection, Live};
use crate::contracts::{Cause, Event};
use crate::{Bus, BusError, headers, subjects};

/// Whose events to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publishers {
    Any,
    Service(String),
}

/// Who among a service's replicas hears an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// All of them: caches, clocks, control.
    EveryReplica,
    /// One of them: work.
    OneReplica,
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard<E> {
    Event {
        event: E,
        cause: Cause,
        publisher: String,
    },
    /// Events may have passed unheard: NATS was away, or this subscriber was too slow. A cache forgets everything.
    Missed,
}

/// Events of one kind as they come. Dropping it ends the subscription.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription<E> {
    arrivals: mpsc::Receiver<Arrival>,
    ready: watch::Receiver<bool>,
    kind: PhantomData<fn() -> E>,
}

enum Arrival {
    Message(Message),
    Missed,
}

/// Events between the connection and the subscriber; beyond it, and the client library's own bound, they are dropped
/// and the subscriber hears `Missed`.
const WAITING_EVENTS: usize = 64;

impl Bus {
    /// Tells whoever listens. It never waits; an error means that nobody will hear it, which most senders may ignore.
    pub fn publish<E: Event>(&self, event: &E, cause: &Cause) -> Result<(), BusError> {
        self.publish_as(self.service(), event, cause)
    }

    /// Publishes in another service's name: a launcher says goodbye for a process that was killed.
    pub(crate) fn publish_as<E: Event>(&self, service: &str, event: &E, cause: &Cause) -> Result<(), BusError> {
        let live = self.live()?;
        let subject = subjects::event(service, E::KIND)?;
        let payload = serde_json::to_vec(event).map_err(|error| BusError::Encode(error.to_string()))?;
        let headers = headers::of(event.lane(), cause);
        send_now(&live, subject, headers, Bytes::from(payload))
    }

    /// Hears events of one kind. The subscription stands on its own from now on, over reconnections.
    pub fn subscribe<E: Event>(&self, publishers: Publishers, hears: Hears) -> Subscription<E> {
        let (sender, arrivals) = mpsc::channel(WAITING_EVENTS);
        let (ready_sender, ready) = watch::channel(false);
        let publisher = match &publishers {
            Publishers::Any => "*",
            Publishers::Service(service) => service.as_str(),
        };
        let subject = format!("event.{publisher}.{}", E::KIND);
        let group = (hears == Hears::OneReplica).then(|| self.service().to_owned());
        let connection = self.inner.connection.clone();
        let forwarding = async move {
            let closed = sender.clone();
            tokio::select! {
                () = closed.closed() => {}
                () = forward(connection, subject, group, sender, ready_sender) => {}
            }
        };
        tokio::spawn(forwarding.boxed());
        Subscription { arrivals, ready, kind: PhantomData }
    }
}

impl<E: Event> Subscription<E> {
    /// Waits until NATS knows of the subscription: what is published after that is heard.
    pub async fn ready(&mut self) {
        let _ = self.ready.wait_for(|ready| *ready).await;
    }

    /// The next event; none when the bus has ended. What cannot be read is skipped with a warning.
    pub async fn next(&mut self) -> Option<Heard<E>> {
        loop {
            let message = match self.arrivals.recv().await? {
                Arrival::Message(message) => message,
                Arrival::Missed => return Some(Heard::Missed),
            };
            match serde_json::from_slice(&message.payload) {
                Ok(event) => {
                    let cause = headers::cause(message.headers.as_ref());
                    let publisher = message.subject.split('.').nth(1).unwrap_or_default().to_owned();
                    return Some(Heard::Event { event, cause, publisher });
                }
                Err(error) => tracing::warn!(subject = %message.subject, %error, "an event that cannot be read"),
            }
        }
    }
}

/// Publishes without waiting: what does not fit into the connection's queue is refused.
pub(crate) fn send_now(
    live: &Live,
    subject: String,
    headers: async_nats::HeaderMap,
    payload: Bytes,
) -> Result<(), BusError> {
    // Unconstrained: an exhausted task budget must not look like a full queue.
    let sending = tokio::task::coop::unconstrained(live.client.publish_with_headers(subject, headers, payload));
    match sending.now_or_never() {
        None => Err(BusError::Overloaded),
        Some(Ok(())) => Ok(()),
        Some(Err(error)) if error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded => {
            Err(BusError::TooLarge { size: 0, limit: live.client.max_payload() })
        }
        Some(Err(_)) => Err(BusError::Away),
    }
}

pub(crate) async fn open(live: &Live, subject: &str, group: Option<&str>) -> Option<Subscriber> {
    let subscriber = match group {
        Some(group) => live.client.queue_subscribe(subject.to_owned(), group.to_owned()).await,
        None => live.client.subscribe(subject.to_owned()).await,
    };
    subscriber.inspect_err(|error| tracing::warn!(subject, %error, "no subscription")).ok()
}

async fn forward(
    connection: Connection,
    subject: String,
    group: Option<String>,
    sender: mpsc::Sender<Arrival>,
    ready: watch::Sender<bool>,
) {
    let mut changes = connection.changes();
    let mut overruns = connection.overruns();
    let mut first = true;
    loop {
        let live = connection.live().await;
        changes.mark_unchanged();
        let Some(mut subscriber) = open(&live, &subject, group.as_deref()).await else { return };
        if live.settle().await.is_err() {
            continue;
        }
        ready.send_replace(true);
        if !std::mem::take(&mut first) && sender.send(Arrival::Missed).await.is_err() {
            return;
        }
        loop {
            let arrival = tokio::select! {
                message = subscriber.next() => match message {
                    Some(message) => Arrival::Message(message),
                    // The client has ended: the connection will have another.
                    None => break,
                },
                changed = changes.changed() => if changed.is_ok() { Arrival::Missed } else { return },
                changed = overruns.changed() => if changed.is_ok() { Arrival::Missed } else { return },
            };
            if sender.send(arrival).await.is_err() {
                return;
            }
        }
    }
}
