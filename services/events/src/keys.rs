//! What KMS has to say about events of buses with a customer's key, about archives under one, and about the secrets of
//! connections. EventBridge asks for a bus's key itself: whoever puts an event needs no permission for it.
//!
//! Only a KMS that is in the stack is asked; without one the key's name is kept, and nobody judges. Events of AWS's own
//! services are kept under AWS's own keys.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-cmkey.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_datakeys::{Kept, Refusal};
use fractus_host::Context;

use crate::error::{Error, Result};
use crate::index::BusSettings;
use crate::model::names::{BusRef, Place};
use crate::model::path::{self, Path};
use crate::service::Events;

/// What the data keys of a bus, and of its archives, are bound to.
const CONTEXT_BUS: &str = "aws:events:event-bus:arn";
/// What the data key of a connection's secret is bound to, as Secrets Manager binds it.
const CONTEXT_SECRET: &str = "SecretARN";
/// How long a data key serves, and what was opened stays open.
const LASTS: Duration = Duration::from_secs(300);

/// KMS gives no data key for a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    pub message: String,
}

impl Refused {
    fn of(error: fractus_datakeys::Error) -> Self {
        let (refusal, message) = error.into_refusal();
        Refused { refusal, message }
    }

    /// As dead letters name it.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
    pub fn code(&self) -> &'static str {
        match self.refusal {
            Refusal::AccessDenied | Refusal::OptInRequired => "NO_PERMISSIONS",
            Refusal::NotFound => "RESOURCE_NOT_FOUND",
            Refusal::Throttled => "THROTTLING",
            Refusal::Unavailable => "SERVICE_ERROR",
            Refusal::Disabled | Refusal::InvalidState | Refusal::InvalidKeyUsage => "SDK_CLIENT_ERROR",
        }
    }
}

/// Whether an event comes from one of AWS's own services.
pub fn is_of_aws(event: &str) -> bool {
    let source = Path::parse("$.source");
    let source = source.as_ref().and_then(|source| source.find(event));
    source.is_some_and(|json| path::plain(&json).starts_with("aws."))
}

impl Events {
    /// Why an event cannot be kept under its bus's key; none where it can.
    pub async fn judge(&self, bus: &BusRef, settings: &BusSettings, now: Timestamp) -> Option<Refused> {
        let key = settings.kms_key.as_ref()?;
        let asker = self.keys.of_account(&bus.place.world, &bus.place.region, now);
        let context = [(CONTEXT_BUS.to_owned(), bus.arn().to_string())].into();
        asker.key_for(key, &context, LASTS).await.err().map(Refused::of)
    }

    /// The data key of an archive, for who makes it.
    pub async fn archive_key(&self, cx: &Context, bus: &BusRef, key: Option<&String>) -> Result<Option<Kept>> {
        let Some(key) = key else { return Ok(None) };
        let context = [(CONTEXT_BUS.to_owned(), bus.arn().to_string())].into();
        let asker = self.keys.of_caller(cx);
        asker.key_for(key, &context, Duration::ZERO).await.map_err(Error::kms)
    }

    /// The data key of a connection's secret, for who makes it.
    pub async fn secret_key(&self, cx: &Context, secret_arn: &str, key: Option<&String>) -> Result<Option<Kept>> {
        let Some(key) = key else { return Ok(None) };
        let context = [(CONTEXT_SECRET.to_owned(), secret_arn.to_owned())].into();
        let asker = self.keys.of_caller(cx);
        asker.key_for(key, &context, Duration::ZERO).await.map_err(Error::kms)
    }

    /// Whether KMS opens something for this service's own work.
    pub async fn open(&self, place: &Place, kept: Option<&Kept>, now: Timestamp) -> Result<(), Refused> {
        let Some(kept) = kept else { return Ok(()) };
        let asker = self.keys.of_account(&place.world, &place.region, now);
        asker.open(kept, LASTS).await.map_err(Refused::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_aws_are_known_by_their_source() {
        assert!(is_of_aws(r#"{"version":"0","source":"aws.s3","detail":{"source":"mine"}}"#));
        assert!(!is_of_aws(r#"{"version":"0","source":"mine","detail":{"source":"aws.s3"}}"#));
        assert!(!is_of_aws("{}"));
    }
}
