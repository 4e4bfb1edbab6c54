//! Calls: one question, one answer, from one replica.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{HeaderMap, Message, Request};
use bytes::Bytes;
use fractus_aws::Lane;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::contracts::{Call, Cause};
use crate::{Bus, BusError, CallError, events, headers, subjects};

/// How long a call waits for its answer where the caller says nothing else: enough for a launcher to start the service.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a handler knows about the call beside the question.
#[derive(Clone, Debug)]
pub struct CallContext {
    pub lane: Option<Lane>,
    pub cause: Cause,
}

/// A failure that a handler answers with; the caller gets it as [`CallError::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallFailure {
    pub code: String,
    pub message: String,
}

/// A served verb. Dropping it ends the serving; calls that are being handled are finished.
#[must_use = "dropping it ends the serving"]
pub struct Serving {
    ready: watch::Receiver<bool>,
    _stop: DropGuard,
}

impl Serving {
    /// Waits until NATS knows that calls may come here.
    pub async fn ready(&mut self) {
        let _ = self.ready.wait_for(|ready| *ready).await;
    }
}

impl Bus {
    /// Asks one replica of `service`.
    pub async fn call<C: Call>(&self, service: &str, question: &C, cause: &Cause) -> Result<C::Reply, CallError> {
        self.call_within(service, question, cause, DEFAULT_TIMEOUT).await
    }

    /// Asks one replica of `service`, and waits no longer than `timeout`.
    pub async fn call_within<C: Call>(
        &self,
        service: &str,
        question: &C,
        cause: &Cause,
        timeout: Duration,
    ) -> Result<C::Reply, CallError> {
        let live = self.live()?;
        let subject = subjects::call(service, C::VERB)?;
        let payload = serde_json::to_vec(question).map_err(|error| BusError::Encode(error.to_string()))?;
        let size = payload.len();
        let request = Request::new()
            .payload(Bytes::from(payload))
            .headers(headers::of(question.lane(), cause))
            .timeout(Some(timeout));
        let answer = tokio::select! {
            biased;
            answer = live.client.send_request(subject, request) => answer,
            () = self.inner.connection.lost(live.epoch) => return Err(BusError::Away.into()),
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => CallError::NotRunning { service: service.to_owned() },
            RequestErrorKind::TimedOut => CallError::TimedOut { service: service.to_owned() },
            RequestErrorKind::MaxPayloadExceeded => {
                BusError::TooLarge { size, limit: live.client.max_payload() }.into()
            }
            _ => BusError::Refused(error.to_string()).into(),
        })?;
        read_answer::<C>(&answer)
    }

    /// Answers calls of one kind, at most `concurrency` at a time; the replicas of a service share them.
    pub fn serve<C, H, F>(&self, concurrency: usize, handler: H) -> Serving
    where
        C: Call,
        H: Fn(C, CallContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<C::Reply, CallFailure>> + Send + 'static,
    {
        let stop = self.inner.drain.child_token();
        let (ready_sender, ready) = watch::channel(false);
        let serving = serve(
            self.inner.connection.clone(),
            self.service().to_owned(),
            ServeWith {
                handler: Arc::new(handler),
                places: Arc::new(Semaphore::new(concurrency.clamp(1, 65_536))),
                concurrency: concurrency.clamp(1, 65_536),
                ready: ready_sender,
                stop: stop.clone(),
            },
        );
        self.inner.tasks.spawn(serving.boxed());
        Serving { ready, _stop: stop.drop_guard() }
    }
}

struct ServeWith<H> {
    handler: Arc<H>,
    places: Arc<Semaphore>,
    concurrency: usize,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
}

async fn serve<C, H, F>(connection: crate::connection::Connection, service: String, with: ServeWith<H>)
where
    C: Call,
    H: Fn(C, CallContext) -> F + Send + Sync + 'static,
    F: Future<Output = Result<C::Reply, CallFailure>> + Send + 'static,
{
    let Ok(subject) = subjects::call(&service, C::VERB) else { return };
    while let Some(live) = with.stop.run_until_cancelled(connection.live()).await {
        let Some(mut subscriber) = events::open(&live, &subject, Some(&service)).await else { return };
        if live.settle().await.is_ok() {
            with.ready.send_replace(true);
        }
        let mut draining = false;
        loop {
            let message = tokio::select! {
                message = subscriber.next() => message,
                () = with.stop.cancelled(), if !draining => {
                    // What has reached this replica is still answered.
                    draining = true;
                    let _ = subscriber.drain().await;
                    continue;
                }
            };
            let Some(message) = message else { break };
            let Ok(place) = Arc::clone(&with.places).acquire_owned().await else { return };
            let (handler, client) = (Arc::clone(&with.handler), live.client.clone());
            let answering = async move {
                answer::<C, H, F>(&*handler, &client, message).await;
                drop(place);
            };
            tokio::spawn(answering.boxed());
        }
        if draining {
            break;
        }
    }
    let all = u32::try_from(with.concurrency).unwrap_or(u32::MAX);
    let _ = with.places.acquire_many(all).await;
}

async fn answer<C, H, F>(handler: &H, client: &async_nats::Client, message: Message)
where
    C: Call,
    H: Fn(C, CallContext) -> F,
    F: Future<Output = Result<C::Reply, CallFailure>>,
{
    let Some(reply) = message.reply else { return };
    let headers = message.headers.as_ref();
    let result = match serde_json::from_slice::<C>(&message.payload) {
        Ok(question) => {
            let lane = headers::get(headers, headers::LANE).and_then(|lane| lane.parse().ok());
            handler(question, CallContext { lane, cause: headers::cause(headers) }).await
        }
        Err(error) => Err(CallFailure { code: "400".to_owned(), message: error.to_string() }),
    };
    let sent = match result.map(|reply| serde_json::to_vec(&reply)) {
        Ok(Ok(payload)) => client.publish(reply, Bytes::from(payload)).await,
        Ok(Err(error)) => send_failure(client, reply, "500", &error.to_string()).await,
        Err(failure) => send_failure(client, reply, &failure.code, &failure.message).await,
    };
    if let Err(error) = sent {
        tracing::debug!(verb = C::VERB, %error, "an answer was not sent");
    }
}

pub(crate) async fn send_failure(
    client: &async_nats::Client,
    reply: async_nats::Subject,
    code: &str,
    message: &str,
) -> Result<(), async_nats::PublishError> {
    let mut failure = HeaderMap::new();
    headers::put(&mut failure, headers::ERROR_CODE, code);
    headers::put(&mut failure, headers::ERROR, message);
    client.publish_with_headers(reply, failure, Bytes::new()).await
}

fn read_answer<C: Call>(answer: &Message) -> Result<C::Reply, CallError> {
    let headers = answer.headers.as_ref();
    if let Some(code) = headers::get(headers, headers::ERROR_CODE) {
        let message = headers::get(headers, headers::ERROR).unwrap_or_default().to_owned();
        return Err(CallError::Failed { code: code.to_owned(), message });
    }
    serde_json::from_slice(&answer.payload).map_err(|error| CallError::Unreadable(error.to_string()))
}
