//! Objects in archive classes: they are there, but nobody can read them before they are restored.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_wire::Failure;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::lifecycle::midnight_after;
use crate::store::Object;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A copy of an archived object that is readable for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    pub ready_at: Timestamp,
    pub until: Timestamp,
}

/// Whether objects of a class must be restored before they are read.
pub fn is_archive(class: &str) -> bool {
    matches!(class, "GLACIER" | "DEEP_ARCHIVE")
}

fn invalid_state(message: &str, class: &str) -> Error {
    let failure = Failure::new("InvalidObjectState", 403, message);
    Error::Other(Box::new(failure.with_detail("StorageClass", class)))
}

fn restore_of(object: &Object) -> Option<Restore> {
    object.extras.as_ref().and_then(|extras| extras.restore)
}

/// Whether the bytes can be read now.
pub fn check_readable(object: &Object, now: Timestamp) -> Result<()> {
    let class = object.storage_class();
    if !is_archive(class) || restore_of(object).is_some_and(|restore| restore.ready_at <= now && now < restore.until) {
        return Ok(());
    }
    Err(invalid_state("The operation is not valid for the object's storage class", class))
}

/// The same of an object that is to be copied.
pub fn source_not_readable(object: &Object) -> Error {
    invalid_state("Operation is not valid for the source object's storage class", object.storage_class())
}

impl Restore {
    /// `x-amz-restore`; nothing once the copy has gone again.
    pub fn shown(&self, now: Timestamp) -> Option<String> {
        if now < self.ready_at {
            return Some("ongoing-request=\"true\"".to_owned());
        }
        let until = self.until.http_date();
        (now < self.until).then(|| format!("ongoing-request=\"false\", expiry-date=\"{until}\""))
    }

    /// What a listing says of it that is asked for it.
    pub fn listed(&self, now: Timestamp) -> Option<api::RestoreStatus> {
        if now >= self.until {
            return None;
        }
        let is_running = now < self.ready_at;
        let until = Some(self.until.to_secs_precision()).filter(|_| !is_running);
        Some(api::RestoreStatus { is_restore_in_progress: Some(is_running), restore_expiry_date: until })
    }
}

/// How long it takes at most, as AWS says; `None` for a tier that a class does not have.
fn duration(class: &str, tier: &str) -> Option<Duration> {
    Some(match (class, tier) {
        ("GLACIER", "Expedited") => MINUTE * 5,
        ("GLACIER", "Standard") => HOUR * 5,
        ("GLACIER", "Bulk") => HOUR * 12,
        ("DEEP_ARCHIVE", "Standard") => HOUR * 12,
        ("DEEP_ARCHIVE", "Bulk") => HOUR * 48,
        _ => return None,
    })
}

/// What a request to restore comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// It will be there.
    Begun(Restore),
    /// It is there already, and stays as long as is asked now.
    Extended(Restore),
}

/// One restore at a time.
pub fn in_progress() -> Error {
    let message = "Object restore is already in progress";
    Error::Other(Box::new(Failure::new("RestoreAlreadyInProgress", 409, message)))
}

/// Restores an object for some days.
pub fn request(object: &Object, days: Option<i32>, tier: &str, now: Timestamp) -> Result<Requested> {
    let class = object.storage_class();
    if !is_archive(class) {
        return Err(invalid_state("Restore is not allowed for the object's current storage class", class));
    }
    let days = days.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0).ok_or(Error::MalformedXml)?;
    let takes = duration(class, tier).ok_or_else(|| {
        let message = format!("{tier} retrieval is not supported by the {class} storage class");
        Error::invalid_argument("Tier", tier, message)
    })?;
    match restore_of(object).filter(|restore| now < restore.until) {
        Some(running) if now < running.ready_at => Err(in_progress()),
        Some(there) => {
            let until = midnight_after(now.plus(DAY * days));
            Ok(Requested::Extended(Restore { ready_at: there.ready_at, until }))
        }
        None => {
            let ready_at = now.plus(takes);
            Ok(Requested::Begun(Restore { ready_at, until: midnight_after(ready_at.plus(DAY * days)) }))
        }
    }
}
