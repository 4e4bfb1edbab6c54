//! Sending deliveries.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use fractus_aws::Lane;
use futures::FutureExt;

use crate::connection::Live;
use crate::contracts::Delivery;
use crate::parcel::Parcel;
use crate::{Bus, BusConfig, BusError, DeliveryStorage, subjects};

/// How long the queue remembers ids, to drop what is sent twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

impl Bus {
    /// Puts a delivery into the work queue. Ok means that it is kept there, on disk where the queue is: it will reach
    /// the service when that runs.
    ///
    /// Where the sending must not be lost with this process, send through [`crate::outbox`].
    pub async fn deliver(&self, delivery: &Delivery) -> Result<(), BusError> {
        let parcel = Parcel::of(delivery)?;
        let sending = self.send(&parcel).await?;
        self.confirm(&parcel, sending).await
    }

    /// Puts many deliveries into the work queue with their confirmations in flight together; one result each, in
    /// order. Those that share an ordering key are confirmed one after the other, so that a lost one cannot be overtaken.
    pub async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Result<(), BusError>> {
        let encoded: Vec<_> = deliveries.iter().map(Parcel::of).collect();
        let parcels: Vec<&Parcel> = encoded.iter().flatten().collect();
        let mut sent = self.deliver_parcels(&parcels).await.into_iter();
        let result = |encoded: &Result<Parcel, BusError>| match encoded {
            Ok(_) => sent.next().unwrap_or(Err(BusError::Away)),
            Err(error) => Err(error.clone()),
        };
        encoded.iter().map(result).collect()
    }

    pub(crate) async fn deliver_parcels(&self, parcels: &[&Parcel]) -> Vec<Result<(), BusError>> {
        let mut results = vec![Ok(()); parcels.len()];
        // Keys whose earlier delivery failed: the later ones would overtake it.
        let mut failed: HashMap<&str, BusError> = HashMap::new();
        for wave in waves(parcels) {
            let mut sent = Vec::with_capacity(wave.len());
            for index in wave {
                let key = parcels[index].ordering_key.as_deref();
                match key.and_then(|key| failed.get(key)) {
                    Some(error) => results[index] = Err(error.clone()),
                    None => sent.push((index, self.send(parcels[index]).await)),
                }
            }
            for (index, sending) in sent {
                let result = match sending {
                    Ok(sending) => self.confirm(parcels[index], sending).await,
                    Err(error) => Err(error),
                };
                if let (Err(error), Some(key)) = (&result, parcels[index].ordering_key.as_deref()) {
                    failed.insert(key, error.clone());
                }
                results[index] = result;
            }
        }
        results
    }

    async fn send(&self, parcel: &Parcel) -> Result<(Live, PublishAckFuture), BusError> {
        let live = self.live().inspect_err(|error| self.warn_of_waiting(&parcel.service, error))?;
        // Once for each connection, because a delivery to a missing queue gets no answer where somebody listens.
        if self.inner.queue_seen.load(Ordering::Acquire) != live.epoch {
            ensure_queue(&live.jetstream, &self.inner.config).await?;
            self.inner.queue_seen.store(live.epoch, Ordering::Release);
        }
        let acknowledgement = publish(&live, parcel).await?;
        Ok((live, acknowledgement))
    }

    async fn confirm(&self, parcel: &Parcel, (live, sending): (Live, PublishAckFuture)) -> Result<(), BusError> {
        let first = tokio::select! {
            biased;
            result = sending.into_future() => result,
            () = self.inner.connection.lost(live.epoch) => return Err(BusError::Away),
        };
        match first {
            Ok(_) => {
                self.check_for_takers(&parcel.service);
                Ok(())
            }
            // Somebody has deleted the queue: make it, and try this one again.
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                ensure_queue(&live.jetstream, &self.inner.config).await?;
                publish(&live, parcel).await?.await.map_err(refusal)?;
                self.check_for_takers(&parcel.service);
                Ok(())
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// Forgets deliveries that wait in the queue: those of one lane or all, to one service or all. A reset does it, after
    /// the services have forgotten theirs. What a replica has in hand is not taken from it.
    pub async fn forget_deliveries(&self, lane: Option<&Lane>, service: Option<&str>) -> Result<(), BusError> {
        let live = self.live()?;
        let subject =
            format!("deliver.{}.{}.*", service.map_or(Ok("*"), subjects::token)?, lane.map_or("*", Lane::as_str));
        ensure_queue(&live.jetstream, &self.inner.config).await?;
        let refused = |error: String| BusError::Refused(error);
        let queue = live.jetstream.get_stream_no_info(subjects::DELIVERIES).await;
        queue
            .map_err(|error| refused(error.to_string()))?
            .purge()
            .filter(subject)
            .await
            .map(|_| ())
            .map_err(|error| refused(error.to_string()))
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
        let asking = async move {
            let Ok(live) = live else { return };
            let answer = live.client.request(format!("$SRV.PING.{service}"), Bytes::new()).await;
            if answer.is_err_and(|error| error.kind() == async_nats::client::RequestErrorKind::NoResponders) {
                tracing::warn!("{service} is not running: deliveries to it wait in the queue until it is");
            }
        };
        self.inner.tasks.spawn(asking.boxed());
    }
}

async fn publish(live: &Live, parcel: &Parcel) -> Result<PublishAckFuture, BusError> {
    let (size, limit) = (parcel.payload.len(), live.client.max_payload());
    // The headers count too; they are short.
    if size + 1_024 > limit {
        return Err(BusError::TooLarge { size, limit });
    }
    let sending = live.jetstream.publish_with_headers(parcel.subject.clone(), parcel.headers(), parcel.payload.clone());
    sending.await.map_err(refusal)
}

/// The order of sending: in each wave at most one delivery of each ordering key.
fn waves(parcels: &[&Parcel]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut sent_of_key: HashMap<&str, usize> = HashMap::new();
    for (index, parcel) in parcels.iter().enumerate() {
        let wave = match parcel.ordering_key.as_deref() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::Cause;

    fn parcel(key: Option<&str>) -> Parcel {
        Parcel {
            id: String::new(),
            lane: fractus_aws::Lane::main(),
            service: String::new(),
            subject: String::new(),
            ordering_key: key.map(str::to_owned),
            cause: Cause::default(),
            payload: Bytes::new(),
        }
    }

    #[test]
    fn a_wave_has_one_delivery_of_each_key() {
        let parcels = [Some("a"), None, Some("a"), Some("b"), None, Some("a"), Some("b")].map(parcel);
        let parcels: Vec<&Parcel> = parcels.iter().collect();
        assert_eq!(waves(&parcels), [vec![0, 1, 3, 4], vec![2, 6], vec![5]]);
    }
}
