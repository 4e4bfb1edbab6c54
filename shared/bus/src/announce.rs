//! Saying that one is there: by the NATS service protocol, and by a heart-beat.
//!
//! The heart-beat runs on real time: it is about processes, not about a lane's clock.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures::stream::{SelectAll, select_all};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::connection::Live;
use crate::contracts::{Cause, Gone, Presence, Status};
use crate::{Bus, events};

/// A new watcher asks by it, and all answer with an announcement.
pub(crate) const WHO_IS_THERE: &str = "event.*.who-is-there";

/// An announced replica. Dropping it says goodbye.
#[must_use = "dropping it says goodbye"]
pub struct Announced {
    bus: Bus,
    presence: Arc<watch::Sender<Presence>>,
    left: Mutex<bool>,
    _stop: DropGuard,
}

impl Announced {
    /// Tells a new status at once.
    pub fn set_status(&self, status: Status) {
        self.presence.send_modify(|presence| presence.status = status);
    }

    /// Tells changed facts (a URL that is known only now) at once.
    pub fn update(&self, change: impl FnOnce(&mut Presence)) {
        self.presence.send_modify(change);
    }

    /// Says goodbye and waits until NATS has it.
    pub async fn leave(self) {
        self.say_goodbye();
        if let Ok(live) = self.bus.live() {
            let _ = live.settle().await;
        }
    }

    fn say_goodbye(&self) {
        if std::mem::replace(&mut *self.left.lock(), true) {
            return;
        }
        let presence = self.presence.borrow();
        self.bus.inner.announced.lock().retain(|(_, replica)| *replica != presence.replica);
        self.bus.say_goodbye_for(&presence.service, &presence.replica);
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}

impl Bus {
    /// Announces this replica: at once, at every change and reconnection, and by heart-beats. Announce after calls are
    /// served and subscriptions are ready: whoever sees the announcement may use them at once.
    pub fn announce(&self, presence: Presence) -> Announced {
        let stop = self.inner.goodbye.child_token();
        self.inner.announced.lock().push((presence.service.clone(), presence.replica.clone()));
        let presence = Arc::new(watch::Sender::new(presence));
        let announcing = Announcing {
            connection: self.inner.connection.clone(),
            presence: presence.subscribe(),
            heartbeat: self.inner.config.heartbeat,
        };
        let stopping = stop.clone();
        let announcing = async move {
            stopping.run_until_cancelled(announcing.run()).await;
        };
        tokio::spawn(announcing.boxed());
        Announced { bus: self.clone(), presence, left: Mutex::new(false), _stop: stop.drop_guard() }
    }

    /// Tells that a replica is gone, for one that could not say so itself.
    pub fn say_goodbye_for(&self, service: &str, replica: &str) {
        let gone = Gone { service: service.to_owned(), replica: replica.to_owned() };
        let _ = self.publish_as(service, &gone, &Cause::default());
    }
}

struct Announcing {
    connection: crate::connection::Connection,
    presence: watch::Receiver<Presence>,
    heartbeat: Duration,
}

impl Announcing {
    async fn run(mut self) {
        let mut changes = self.connection.changes();
        loop {
            let live = self.connection.live().await;
            changes.mark_unchanged();
            let (service, replica) = {
                let presence = self.presence.borrow();
                (presence.service.clone(), presence.replica.clone())
            };
            let Some(mut questions) = protocol_subscriptions(&live, &service, &replica).await else { return };
            let mut beat = tokio::time::interval(self.heartbeat);
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = beat.tick() => self.tell(&live),
                    changed = self.presence.changed() => match changed {
                        Ok(()) => self.tell(&live),
                        Err(_) => return,
                    },
                    // A watcher may have missed what happened meanwhile.
                    _ = changes.changed() => self.tell(&live),
                    question = questions.next() => match question {
                        Some(question) if question.subject.starts_with("event.") => self.tell(&live),
                        Some(question) => {
                            let presence = self.presence.borrow().clone();
                            answer(&live, &presence, question).await;
                        }
                        None => break,
                    },
                }
            }
        }
    }

    fn tell(&self, live: &Live) {
        let presence = self.presence.borrow();
        let Ok(payload) = serde_json::to_vec(&*presence) else { return };
        let Ok(subject) = crate::subjects::event(&presence.service, <Presence as crate::contracts::Event>::KIND) else {
            return;
        };
        let _ = events::send_now(live, subject, async_nats::HeaderMap::new(), Bytes::from(payload));
    }
}

/// The watchers' question, and the service protocol's subjects (ADR-32): each verb for all services, for one service, for one replica.
async fn protocol_subscriptions(
    live: &Live,
    service: &str,
    replica: &str,
) -> Option<SelectAll<async_nats::Subscriber>> {
    let mut subscriptions = Vec::with_capacity(10);
    subscriptions.push(events::open(live, WHO_IS_THERE, None).await?);
    for verb in ["PING", "INFO", "STATS"] {
        for subject in
            [format!("$SRV.{verb}"), format!("$SRV.{verb}.{service}"), format!("$SRV.{verb}.{service}.{replica}")]
        {
            subscriptions.push(events::open(live, &subject, None).await?);
        }
    }
    Some(select_all(subscriptions))
}

/// Answers a question of the NATS service protocol.
async fn answer(live: &Live, presence: &Presence, question: Message) {
    let Some(reply) = question.reply else { return };
    let verb = question.subject.split('.').nth(1).unwrap_or_default();
    let payload = protocol_answer(presence, verb).to_string();
    let _ = live.client.publish(reply, Bytes::from(payload)).await;
}

pub(crate) fn protocol_answer(presence: &Presence, verb: &str) -> serde_json::Value {
    let mut metadata = presence.metadata.clone();
    metadata.insert("status".to_owned(), status_name(presence.status).to_owned());
    metadata.insert("url".to_owned(), presence.url.clone());
    metadata.extend(presence.socket.clone().map(|socket| ("socket".to_owned(), socket)));
    metadata.extend(presence.health.clone().map(|health| ("health".to_owned(), health)));
    metadata.extend(presence.pid.map(|pid| ("pid".to_owned(), pid.to_string())));
    let mut answer = json!({
        "name": presence.service,
        "id": presence.replica,
        "version": presence.version,
        "metadata": metadata,
    });
    let (kind, rest) = match verb {
        "INFO" => ("info_response", json!({ "description": "", "endpoints": [] })),
        "STATS" => ("stats_response", json!({ "endpoints": [] })),
        _ => ("ping_response", json!({})),
    };
    answer["type"] = json!(format!("io.nats.micro.v1.{kind}"));
    if let (Some(answer), serde_json::Value::Object(rest)) = (answer.as_object_mut(), rest) {
        answer.extend(rest);
    }
    answer
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Starting => "starting",
        Status::Ready => "ready",
        Status::Draining => "draining",
        Status::Idle => "idle",
    }
}
