//! Noticing that a service is wanted which nobody runs, so that a launcher can start it.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Subject};
use bytes::Bytes;
use fractus_clock::Clock;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, Live};
use crate::contracts::{Presence, Status};
use crate::{Bus, BusConfig, BusError, announce, calls, deliver, events, subjects};

/// What wants the service.
#[derive(Debug)]
pub enum Wake {
    /// A delivery waits in the queue; the service will find it there.
    Delivery,
    /// A call came, and waits here: issue it again when the service has announced itself.
    Call(HeldCall),
}

/// A call that a launcher holds for a service that is not running yet.
#[derive(Debug)]
pub struct HeldCall {
    client: Client,
    subject: Subject,
    reply: Option<Subject>,
    headers: Option<HeaderMap>,
    payload: Bytes,
}

impl HeldCall {
    /// Sends the call again with the caller's own reply subject, so that the answer goes straight there. Stop the
    /// [`WakeWatch`] first, else it comes back.
    pub async fn issue_again(self) -> Result<(), BusError> {
        let headers = self.headers.unwrap_or_default();
        let sent = match self.reply {
            Some(reply) => self.client.publish_with_reply_and_headers(self.subject, reply, headers, self.payload).await,
            None => self.client.publish_with_headers(self.subject, headers, self.payload).await,
        };
        sent.map_err(|error| BusError::Refused(error.to_string()))
    }

    /// Tells the caller that the service could not be started.
    pub async fn refuse(self, message: &str) {
        if let Some(reply) = self.reply {
            let _ = calls::send_failure(&self.client, reply, "503", message).await;
        }
    }
}

/// Watches in the place of a service that is not running.
#[must_use = "dropping it ends the watch"]
pub struct WakeWatch {
    wakes: mpsc::Receiver<Wake>,
    ready: watch::Receiver<bool>,
    stop: CancellationToken,
    connection: Connection,
    service: String,
}

/// How often a launcher looks whether a starting service answers.
const ANSWER_POLL: Duration = Duration::from_millis(5);

/// Calls held for one service; more than that are refused.
const MOST_HELD: usize = 1_024;

impl WakeWatch {
    /// Waits until NATS knows of the watch.
    pub async fn ready(&mut self) {
        let _ = self.ready.wait_for(|ready| *ready).await;
    }

    /// The next thing that wants the service. A watch that begins, or reconnects, while deliveries already wait says so.
    pub async fn next(&mut self) -> Option<Wake> {
        self.wakes.recv().await
    }

    /// Keeps the watch until the service itself answers on the bus, or for `timeout`, then ends it; gives the calls that
    /// came meanwhile. A service listens for its callers' requests before it is on the bus: whoever stops the watch too
    /// soon leaves a gap in which calls find nobody.
    pub async fn hand_over(self, timeout: Duration) -> Vec<HeldCall> {
        let _ = tokio::time::timeout(timeout, self.answered()).await;
        self.stop().await
    }

    async fn answered(&self) {
        let clock = Clock::real();
        loop {
            let live = self.connection.live().await;
            let inbox = live.client.new_inbox();
            let Some(mut answers) = events::open(&live, &inbox, None).await else { return };
            let subject = format!("$SRV.PING.{}", self.service);
            let _ = live.client.publish_with_reply(subject, inbox, Bytes::new()).await;
            let from_the_service = async {
                while let Some(answer) = answers.next().await {
                    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
                    let status = answer["metadata"]["status"].as_str().unwrap_or("idle");
                    if status != "idle" {
                        return;
                    }
                }
            };
            if tokio::time::timeout(ANSWER_POLL * 4, from_the_service).await.is_ok() {
                return;
            }
            clock.sleep(ANSWER_POLL).await;
        }
    }

    /// Ends the watch, so that calls reach the service itself, and gives the calls that came meanwhile.
    pub async fn stop(mut self) -> Vec<HeldCall> {
        self.stop.cancel();
        let mut held = Vec::new();
        while let Some(wake) = self.wakes.recv().await {
            if let Wake::Call(call) = wake {
                held.push(call);
            }
        }
        held
    }
}

impl Drop for WakeWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bus {
    /// Stands in for `service` while nobody runs it: notices its first delivery, holds its calls (in the service's own
    /// queue group, so that a call goes to the launcher or to the service, never to both), and answers the service
    /// protocol's questions as an idle service.
    ///
    /// A launcher starts the service at the first [`Wake`], [hands over](WakeWatch::hand_over) to it, and issues the held
    /// calls again.
    pub fn wake_watch(&self, service: &str) -> WakeWatch {
        let (sender, wakes) = mpsc::channel(MOST_HELD);
        let (ready_sender, ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let watching = Watching {
            connection: self.inner.connection.clone(),
            config: self.inner.config.clone(),
            service: service.to_owned(),
            sender,
            ready: ready_sender,
            stop: stop.clone(),
            idle: Presence {
                service: service.to_owned(),
                replica: format!("{}-idle", self.instance()),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                status: Status::Idle,
                url: String::new(),
                socket: None,
                health: None,
                pid: None,
                metadata: Default::default(),
            },
        };
        tokio::spawn(watching.run().boxed());
        WakeWatch { wakes, ready, stop, connection: self.inner.connection.clone(), service: service.to_owned() }
    }
}

struct Watching {
    connection: Connection,
    config: BusConfig,
    service: String,
    sender: mpsc::Sender<Wake>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
    idle: Presence,
}

impl Watching {
    async fn run(self) {
        if subjects::token(&self.service).is_err() {
            return;
        }
        let mut changes = self.connection.changes();
        while let Some(live) = self.stop.run_until_cancelled(self.connection.live()).await {
            changes.mark_unchanged();
            if self.watch(&live, &mut changes).await.is_none() {
                return;
            }
        }
    }

    /// Watches over one connection; none when the watch has ended.
    async fn watch(&self, live: &Live, changes: &mut watch::Receiver<Option<Live>>) -> Option<()> {
        let service = &self.service;
        let mut deliveries = events::open(live, &format!("deliver.{service}.>"), None).await?;
        let mut calls = events::open(live, &format!("call.{service}.>"), Some(service)).await?;
        let mut pings = events::open(live, &format!("$SRV.PING.{service}"), None).await?;
        // A delivery to a queue that is not there would be heard here and answered by nobody.
        if let Err(error) = deliver::ensure_queue(&live.jetstream, &self.config).await {
            tracing::warn!(%error, "the delivery queue is not there");
        }
        let _ = live.settle().await;
        self.ready.send_replace(true);
        self.look_into_queue(live).await;
        let mut stopping = false;
        loop {
            tokio::select! {
                delivery = deliveries.next(), if !stopping => match delivery {
                    // One notice is enough: the queue keeps the delivery.
                    Some(_) => { let _ = self.sender.try_send(Wake::Delivery); }
                    None => return Some(()),
                },
                call = calls.next() => match call {
                    Some(call) => self.hold(live, call).await,
                    // Ended, and all that had come before has been held.
                    None if stopping => return None,
                    None => return Some(()),
                },
                Some(ping) = pings.next() => self.answer(live, ping).await,
                changed = changes.changed() => {
                    changed.ok()?;
                    self.look_into_queue(live).await;
                }
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    let _ = deliveries.unsubscribe().await;
                    calls.drain().await.ok()?;
                }
            }
        }
    }

    async fn look_into_queue(&self, live: &Live) {
        let Ok(queue) = live.jetstream.get_stream_no_info(subjects::DELIVERIES).await else { return };
        let Ok(mut waiting) = queue.info_with_subjects(format!("deliver.{}.>", self.service)).await else { return };
        if matches!(waiting.next().await, Some(Ok(_))) {
            let _ = self.sender.try_send(Wake::Delivery);
        }
    }

    async fn hold(&self, live: &Live, call: Message) {
        let held = HeldCall {
            client: live.client.clone(),
            subject: call.subject,
            reply: call.reply,
            headers: call.headers,
            payload: call.payload,
        };
        if let Err(
            mpsc::error::TrySendError::Full(Wake::Call(held)) | mpsc::error::TrySendError::Closed(Wake::Call(held)),
        ) = self.sender.try_send(Wake::Call(held))
        {
            held.refuse(&format!("{} is not running, and too many calls wait for it", self.service)).await;
        }
    }

    async fn answer(&self, live: &Live, ping: Message) {
        if let Some(reply) = ping.reply {
            let payload = announce::protocol_answer(&self.idle, "PING").to_string();
            let _ = live.client.publish(reply, Bytes::from(payload)).await;
        }
    }
}
