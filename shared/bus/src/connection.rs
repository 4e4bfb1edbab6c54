//! The connection: it may be away at any time, and comes back by itself.
//!
//! The client library reconnects on its own once it has connected; the task here makes the first connection, and a new
//! one should the library ever give up (it does after an authorisation error).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, ConnectOptions, Event, jetstream};
use bytes::Bytes;
use fractus_clock::Clock;
use futures::FutureExt;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{BusConfig, BusError};

/// How the bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusState {
    /// No URL is configured: it will never be there.
    Off,
    /// Not connected now; the bus keeps trying.
    Away,
    Connected,
}

/// A connection that has been made at least once.
#[derive(Clone)]
pub(crate) struct Live {
    pub client: Client,
    pub jetstream: jetstream::Context,
    /// Grows with each reconnection: whoever holds requests open at the server makes them again.
    pub epoch: u64,
}

impl Live {
    /// Waits until the server has taken in all that was sent before, subscriptions among it. (The client's own flush
    /// ends when the bytes are in the socket.)
    pub async fn settle(&self) -> Result<(), BusError> {
        // Nobody listens there, so the server itself answers, after what came before on this connection.
        match self.client.request(self.client.new_inbox(), Bytes::new()).await {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(BusError::Away),
            _ => Ok(()),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    state: watch::Sender<BusState>,
    live: watch::Sender<Option<Live>>,
    /// Grows when a subscriber was too slow and the client library dropped messages.
    overruns: watch::Sender<u64>,
}

const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(1);
/// About a second.
const FAILURES_BEFORE_WARNING: usize = 6;
/// Messages waiting for one subscriber; past it they are dropped and the subscriber is told.
const SUBSCRIPTION_CAPACITY: usize = 8_192;
/// Commands waiting for the connection.
const SENDER_CAPACITY: usize = 4_096;

impl Connection {
    pub fn start(config: &BusConfig, stop: CancellationToken) -> Self {
        let state = if config.url.is_some() { BusState::Away } else { BusState::Off };
        let connection = Connection {
            shared: Arc::new(Shared {
                state: watch::Sender::new(state),
                live: watch::Sender::new(None),
                overruns: watch::Sender::new(0),
            }),
        };
        if let Some(url) = &config.url {
            let supervisor = supervise(connection.clone(), url.clone(), config.clone());
            let shared = Arc::clone(&connection.shared);
            let supervising = async move {
                stop.run_until_cancelled(supervisor).await;
                shared.state.send_replace(BusState::Away);
                // The client's callback holds this connection: letting go of the client ends both.
                shared.live.send_replace(None);
            };
            tokio::spawn(supervising.boxed());
        }
        connection
    }

    pub fn state(&self) -> watch::Receiver<BusState> {
        self.shared.state.subscribe()
    }

    /// The connection, if it is there now.
    pub fn now(&self) -> Result<Live, BusError> {
        match *self.shared.state.borrow() {
            BusState::Off => Err(BusError::Off),
            BusState::Away => Err(BusError::Away),
            BusState::Connected => self.shared.live.borrow().clone().ok_or(BusError::Away),
        }
    }

    /// The connection, as soon as it is there; for ever pending when the bus is off.
    pub async fn live(&self) -> Live {
        let mut state = self.shared.state.subscribe();
        loop {
            if state.wait_for(|state| *state == BusState::Connected).await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(live) = self.shared.live.borrow().clone() {
                return live;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Marked changed at every connection and reconnection.
    pub fn changes(&self) -> watch::Receiver<Option<Live>> {
        self.shared.live.subscribe()
    }

    pub fn overruns(&self) -> watch::Receiver<u64> {
        self.shared.overruns.subscribe()
    }

    /// Completes when the connection of `epoch` has been lost.
    pub async fn lost(&self, epoch: u64) {
        let mut state = self.shared.state.subscribe();
        let mut live = self.shared.live.subscribe();
        let away = state.wait_for(|state| *state != BusState::Connected);
        let replaced = live.wait_for(|live| live.as_ref().is_none_or(|live| live.epoch != epoch));
        tokio::select! { _ = away => {}, _ = replaced => {} }
    }

    fn connected(&self, client: &Client, config: &BusConfig) {
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(config.confirm_timeout)
            .ack_timeout(config.confirm_timeout)
            .build(client.clone());
        self.shared.live.send_modify(|live| {
            let epoch = live.as_ref().map_or(1, |live| live.epoch + 1);
            *live = Some(Live { client: client.clone(), jetstream, epoch });
        });
        let is_there = client.connection_state() == async_nats::connection::State::Connected;
        self.shared.state.send_replace(if is_there { BusState::Connected } else { BusState::Away });
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                let again =
                    self.shared.live.send_if_modified(|live| live.as_mut().map(|live| live.epoch += 1).is_some());
                if again {
                    self.shared.state.send_replace(BusState::Connected);
                }
            }
            Event::Disconnected | Event::Closed => {
                self.shared.state.send_replace(BusState::Away);
            }
            Event::SlowConsumer(_) => self.shared.overruns.send_modify(|count| *count += 1),
            _ => {}
        }
    }
}

async fn supervise(connection: Connection, url: String, config: BusConfig) {
    let clock = Clock::real();
    let mut failures = 0;
    loop {
        match connect(&connection, &url, &config).await {
            Ok((client, ended)) => {
                failures = 0;
                connection.connected(&client, &config);
                tracing::debug!(url = %without_password(&url), "connected to the message bus");
                let _ = ended.await;
                connection.shared.state.send_replace(BusState::Away);
            }
            Err(error) => {
                // A server that starts together with this process is there sooner.
                if failures == FAILURES_BEFORE_WARNING {
                    tracing::warn!(
                        url = %without_password(&url), %error,
                        "no message bus yet: deliveries, events and calls between services wait for it"
                    );
                }
                clock.sleep(retry_delay(failures)).await;
                failures += 1;
            }
        }
    }
}

/// Connects; the receiver ends when the client library gives the connection up.
async fn connect(
    connection: &Connection,
    url: &str,
    config: &BusConfig,
) -> Result<(Client, oneshot::Receiver<()>), async_nats::Error> {
    let (alive, ended) = oneshot::channel::<()>();
    let alive = Arc::new(alive);
    let hearing = connection.clone();
    let first = AtomicBool::new(true);
    let servers: Vec<async_nats::ServerAddr> =
        url.split(',').map(|server| server.trim().parse()).collect::<Result<_, _>>()?;
    let client = ConnectOptions::new()
        .name(format!("{}/{}", config.service, config.instance))
        .max_reconnects(None)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .client_capacity(SENDER_CAPACITY)
        .reconnect_delay_callback(retry_delay)
        .event_callback(move |event| {
            // Owned by the callback alone, so that `ended` completes when the library drops it.
            let _alive = Arc::clone(&alive);
            // The first connection is no reconnection; the supervisor tells of it.
            if !(matches!(event, Event::Connected) && first.swap(false, Ordering::Relaxed)) {
                hearing.hear(&event);
            }
            async {}
        })
        .connect(servers)
        .await?;
    Ok((client, ended))
}

fn retry_delay(failures: usize) -> Duration {
    Duration::from_millis(20 << failures.min(6)).min(LONGEST_RETRY_DELAY)
}

fn without_password(url: &str) -> String {
    let hide = |server: &str| match (server.find("://"), server.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}{}", &server[..scheme + 3], &server[at + 1..]),
        _ => server.to_owned(),
    };
    url.split(',').map(hide).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_logs_and_delays_are_bounded() {
        assert_eq!(without_password("nats://a:b@h:1,nats://h2:2"), "nats://h:1,nats://h2:2");
        assert_eq!(retry_delay(0), Duration::from_millis(20));
        assert_eq!(retry_delay(usize::MAX), LONGEST_RETRY_DELAY);
    }
}
