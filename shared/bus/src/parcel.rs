//! A delivery made ready for the way: encoded once, whether it is sent at once or waits in an outbox.

use async_nats::HeaderMap;
use bytes::Bytes;
use fractus_aws::Lane;
use serde::{Deserialize, Serialize};

use crate::contracts::{Cause, Delivery};
use crate::{BusError, headers, subjects};

/// Also the outbox's record; its fields' names are its stored form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub id: String,
    pub lane: Lane,
    /// The target service.
    pub service: String,
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_key: Option<String>,
    #[serde(default)]
    pub cause: Cause,
    /// The delivery as JSON.
    pub payload: Bytes,
}

impl Parcel {
    pub fn of(delivery: &Delivery) -> Result<Self, BusError> {
        let payload = serde_json::to_vec(delivery).map_err(|error| BusError::Encode(error.to_string()))?;
        Ok(Parcel {
            id: delivery.id.clone(),
            lane: delivery.lane.clone(),
            service: delivery.service.clone(),
            subject: subjects::delivery(delivery)?,
            ordering_key: delivery.ordering_key(),
            cause: delivery.cause.clone(),
            payload: Bytes::from(payload),
        })
    }

    /// The queue drops what has the id of something it had within its window.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = headers::of(Some(&self.lane), &self.cause);
        headers::put(&mut headers, "Nats-Msg-Id", &self.id);
        headers
    }
}
