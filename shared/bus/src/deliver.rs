//! Sending deliveries.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;

use crate::connection::Live;
use crate::contracts::Delivery;
use crate::{Bus, BusConfig, BusError, DeliveryStorage, headers, subjects};

/// How long the queue remembers ids, to drop what is sent twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

struct Encoded {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
}

impl Bus {
    /// Puts a delivery into the work queue. Ok means that it is kept there, on disk where the queue is: it will reach
    /// the service when that runs.
    ///
    /// Where the sending must not be lost with this process, send through the outbox.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.deliver_all(std::slice::from_ref(delivery)).await.pop().unwrap_or(Err(BusError::Away))
    }

    /// Puts many deliveries into the work queue with their confirmations in flight together; one result each, in
    /// order. Those that share an ordering key are confirmed one after the other, so that a lost one cannot be overtaken.
    pub async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Result<(), BusError>> {
        let mut results = Vec::with_capacity(deliveries.len());
        results.resize(deliveries.len(), Ok(()));
        // Keys whose earlier delivery failed: the later ones would overtake it.
        let mut failed: HashMap<String, BusError> = HashMap::new();
        for wave in waves(deliveries) {
            let mut sent = Vec::with_capacity(wave.len());
            for index in wave {
                let delivery = &deliveries[index];
                let before = delivery.ordering_key().and_then(|key| failed.get(&key).cloned());
                match before {
                    Some(error) => results[index] = Err(error),
                    None => sent.push((index, self.send(delivery).await)),
                }
            }
            for (index, sending) in sent {
                let result = match sending {
                    Ok(sending) => self.confirm(&deliveries[index], sending).await,
                    Err(error) => Err(error),
                };
                if let (Err(error), Some(key)) = (&result, deliveries[index].ordering_key()) {
                    failed.insert(key, error.clone());
                }
                results[index] = result;
            }
        }
        results
    }

    async fn send(&self, delivery: &Delivery) -> Result<(Live, PublishAckFuture), BusError> {
        let live = self.live().inspect_err(|error| self.warn_of_waiting(&delivery.service, error))?;
        let encoded = encode(delivery, &live)?;
        let sending = live.jetstream.publish_with_headers(encoded.subject, encoded.headers, encoded.payload);
        let acknowledgement = sending.await.map_err(refusal)?;
        Ok((live, acknowledgement))
    }

    async fn confirm(&self, delivery: &Delivery, (live, sending): (Live, PublishAckFuture)) -> Result<(), BusError> {
        let first = tokio::select! {
            biased;
            result = sending.into_future() => result,
            () = self.inner.connection.lost(live.epoch) => return Err(BusError::Away),
        };
        match first {
            Ok(_) => {
                self.check_for_takers(&delivery.service);
                Ok(())
            }
            // The queue is not there yet, or is gone with the server's memory: make it, and try this one again.
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                ensure_queue(&live.jetstream, &self.inner.config).await?;
                let encoded = encode(delivery, &live)?;
                let again = live.jetstream.publish_with_headers(encoded.subject, encoded.headers, encoded.payload);
                again.await.map_err(refusal)?.await.map(|_| ()).map_err(refusal)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// Says once for each target service that its deliveries do not flow.
    pub(crate) fn warn_of_waiting(&self, service: &str, error: &BusError) {
        match error {
            BusError::Off if self.inner.warnings.first(&format!("off {service}")) => tracing::warn!(
                "no message bus is configured: deliveries to {service} will not be made (set the NATS URL to have them)"
            ),
            BusError::Away if self.inner.warnings.first(&format!("away {service}")) => {
                tracing::warn!("no message bus: deliveries to {service} wait until it is back");
            }
            _ => {}
        }
    }

    /// Asks once for each target service whether anybody runs it, and says so plainly if not.
    fn check_for_takers(&self, service: &str) {
        if !self.inner.warnings.first(&format!("asked {service}")) {
            return;
        }
        let (service, live) = (service.to_owned(), self.live());
        self.inner.tasks.spawn(async move {
            let Ok(live) = live else { return };
            let answer = live.client.request(format!("$SRV.PING.{service}"), Bytes::new()).await;
            if answer.is_err_and(|error| error.kind() == async_nats::client::RequestErrorKind::NoResponders) {
                tracing::warn!("{service} is not running: deliveries to it wait in the queue until it is");
            }
        });
    }
}

fn encode(delivery: &Delivery, live: &Live) -> Result<Encoded, BusError> {
    let subject = subjects::delivery(delivery)?;
    let payload = serde_json::to_vec(delivery).map_err(|error| BusError::Encode(error.to_string()))?;
    let limit = live.client.max_payload();
    // The headers count too; they are short.
    if payload.len() + 1_024 > limit {
        return Err(BusError::TooLarge { size: payload.len(), limit });
    }
    let mut headers = headers::of(Some(&delivery.lane), &delivery.cause);
    headers::put(&mut headers, "Nats-Msg-Id", &delivery.id);
    Ok(Encoded { subject, headers, payload: Bytes::from(payload) })
}

/// The order of sending: in each wave at most one delivery of each ordering key.
fn waves(deliveries: &[Delivery]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut sent_of_key: HashMap<String, usize> = HashMap::new();
    for (index, delivery) in deliveries.iter().enumerate() {
        let wave = match delivery.ordering_key() {
            None => 0,
            Some(key) => {
                let count = sent_of_key.entry(key).or_insert(0);
                *count += 1;
                *count - 1
            }
        };
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        waves[wave].push(index);
    }
    waves
}

/// Creates the delivery queue where it is missing. One that exists stays as it is, whoever made it.
pub(crate) async fn ensure_queue(jetstream: &jetstream::Context, config: &BusConfig) -> Result<(), BusError> {
    let wanted = Config {
        name: subjects::DELIVERIES.to_owned(),
        subjects: vec![subjects::ALL_DELIVERIES.to_owned()],
        description: Some("Work brought from one service to another, until it is done".to_owned()),
        retention: RetentionPolicy::WorkQueue,
        // A full queue refuses what is new; what was accepted is never dropped for it.
        discard: DiscardPolicy::New,
        storage: match config.delivery_storage {
            DeliveryStorage::File => StorageType::File,
            DeliveryStorage::Memory => StorageType::Memory,
        },
        max_bytes: i64::try_from(config.delivery_max_bytes).unwrap_or(i64::MAX),
        max_age: config.delivery_max_age,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: 1,
        ..Config::default()
    };
    match jetstream.get_or_create_stream(wanted).await {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            // Another process made it in the same moment, with other settings.
            jetstream::context::CreateStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
            {
                Ok(())
            }
            jetstream::context::CreateStreamErrorKind::TimedOut => Err(BusError::TimedOut),
            kind => Err(BusError::Refused(kind.to_string())),
        },
    }
}

fn refusal(error: PublishError) -> BusError {
    match error.kind() {
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => BusError::TimedOut,
        PublishErrorKind::MaxAckPending => BusError::Overloaded,
        _ => {
            let code = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
            match code.map(jetstream::Error::error_code) {
                Some(
                    ErrorCode::STREAM_STORE_FAILED
                    | ErrorCode::INSUFFICIENT_RESOURCES
                    | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                    | ErrorCode::MEMORY_RESOURCES_EXCEEDED,
                ) => BusError::QueueFull,
                _ => BusError::Refused(error.to_string()),
            }
        }
    }
}
