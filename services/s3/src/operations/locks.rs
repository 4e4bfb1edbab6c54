//! Object Lock: of buckets, and of single versions.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Scope, Transaction};
use fractus_wire::Failure;

use crate::access;
use crate::configurations::{self, Kind, Of, Versioning, of};
use crate::error::{Error, Result};
use crate::extras::Extras;
use crate::model::lock::{self, AskedHold, AskedRetention, HoldDuration, Mode};
use crate::notify::{Happening, announce};
use crate::objects::sequencer_of_change;
use crate::operations::missing;
use crate::service::S3;
use crate::store::{Bucket, Object};
use crate::{replication, versions};

/// Sets or replaces the configuration; a bucket that keeps versions can get one at any time.
pub async fn put_bucket(
    s3: &S3,
    cx: &Context,
    input: api::PutObjectLockConfigurationInput,
) -> Result<api::PutObjectLockConfigurationOutput> {
    let configuration = input.object_lock_configuration.as_ref().ok_or(Error::MalformedXml)?;
    lock::check(configuration)?;
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if bucket.settings.versioning != Some(Versioning::Enabled) {
            let message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
            return Err(Error::Other(Box::new(Failure::new("InvalidBucketState", 409, message))));
        }
        configurations::set(tx, scope, bucket, Kind::ObjectLock, "", configuration)
    })
    .await?;
    Ok(api::PutObjectLockConfigurationOutput::default())
}

pub async fn get_bucket(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectLockConfigurationInput,
) -> Result<api::GetObjectLockConfigurationOutput> {
    let found: Option<api::ObjectLockConfiguration> =
        configurations::get(s3, cx, of!(input), Kind::ObjectLock, "").await?;
    let found = found.ok_or_else(|| {
        let message = "Object Lock configuration does not exist for this bucket";
        missing("ObjectLockConfigurationNotFoundError", message, &input.bucket)
    })?;
    Ok(api::GetObjectLockConfigurationOutput { object_lock_configuration: Some(found) })
}

/// Which version, and of what.
struct Target<'a> {
    of: Of<'a>,
    key: &'a str,
    version_id: Option<&'a str>,
}

macro_rules! target {
    ($input:expr) => {
        Target { of: of!($input), key: &$input.key, version_id: $input.version_id.as_deref() }
    };
}

/// A version in a bucket that has locks.
async fn look(s3: &S3, cx: &Context, target: &Target<'_>) -> Result<Object> {
    configurations::look(s3, cx, target.of, |snapshot, scope, bucket| {
        if !bucket.settings.has(Kind::ObjectLock) {
            return Err(lock::no_lock_configured());
        }
        versions::bearer(snapshot, scope, bucket, target.key, target.version_id)
    })
    .await
}

/// Changes what protects a version, in a bucket that has locks.
fn change_in(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    target: &Target<'_>,
    work: &dyn Fn(&mut Extras) -> Result<()>,
) -> Result<Object> {
    if !bucket.settings.has(Kind::ObjectLock) {
        return Err(lock::no_lock_configured());
    }
    let object = versions::rewrite(tx, scope, bucket, target.key, target.version_id, |object| {
        let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
        work(&mut extras)?;
        object.extras = extras.boxed();
        Ok(())
    })?;
    replication::enqueue_change(tx, scope, bucket, target.key, &object)?;
    Ok(object)
}

/// Whether the caller may pass governance over: asks for it, and has the permission where policies are evaluated.
pub async fn bypasses(cx: &Context, bucket: &str, key: &str, asked: Option<bool>) -> Result<bool> {
    if asked != Some(true) {
        return Ok(false);
    }
    let wanted = access::to_object(cx, bucket, key, "s3:BypassGovernanceRetention");
    cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))?;
    Ok(true)
}

fn asked(given: Option<&api::ObjectLockRetention>, now: Timestamp) -> Result<AskedRetention> {
    let Some(given) = given else { return Err(Error::MalformedXml) };
    let mode = match &given.mode {
        None => None,
        Some(api::ObjectLockRetentionMode::Governance) => Some(Mode::Governance),
        Some(api::ObjectLockRetentionMode::Compliance) => Some(Mode::Compliance),
        Some(api::ObjectLockRetentionMode::Unknown(_)) => return Err(Error::MalformedXml),
    };
    let on = match &given.event_hold {
        None => None,
        Some(api::ObjectLockEventHold::On) => Some(true),
        Some(api::ObjectLockEventHold::Off) => Some(false),
        Some(api::ObjectLockEventHold::Unknown(_)) => return Err(Error::MalformedXml),
    };
    let duration = match &given.event_hold_duration {
        None => None,
        Some(given) => Some(HoldDuration::given(given.days, given.years)?.ok_or(Error::MalformedXml)?),
    };
    let until = given.retain_until_date;
    if let Some(until) = until.filter(|until| *until <= now) {
        let message = "The retain until date must be in the future!";
        return Err(Error::invalid_argument("RetainUntilDate", until.date_time(), message));
    }
    Ok(AskedRetention { mode, until, hold: AskedHold { on, duration } })
}

pub async fn put_retention(
    s3: &S3,
    cx: &Context,
    input: api::PutObjectRetentionInput,
) -> Result<api::PutObjectRetentionOutput> {
    let now = cx.now();
    let asked = asked(input.retention.as_ref(), now)?;
    let bypass = bypasses(cx, &input.bucket, &input.key, input.bypass_governance_retention).await?;
    let target = target!(input);
    let _sent = configurations::change(s3, cx, target.of, |tx, scope, bucket| {
        let object = change_in(tx, scope, bucket, &target, &|extras| {
            let retention = asked.applied(extras.retention.as_ref(), now)?;
            lock::check_change(extras.retention.as_ref(), retention.as_ref(), bypass, now)?;
            extras.retention = retention;
            Ok(())
        })?;
        let happening = Happening::new(cx, "s3:ObjectRetention:Put", now);
        announce(tx, s3, bucket, target.key, Some(&object), sequencer_of_change(&object, now), &happening)
    })
    .await?;
    s3.replication.wake();
    Ok(api::PutObjectRetentionOutput::default())
}

fn nothing() -> Error {
    let message = "The specified object does not have a ObjectLock configuration";
    Error::Other(Box::new(Failure::new("NoSuchObjectLockConfiguration", 404, message)))
}

pub async fn get_retention(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectRetentionInput,
) -> Result<api::GetObjectRetentionOutput> {
    let object = look(s3, cx, &target!(input)).await?;
    let retention = object.extras.and_then(|extras| extras.retention).ok_or_else(nothing)?;
    let shown = api::ObjectLockRetention {
        mode: Some(retention.mode.as_str().into()),
        retain_until_date: retention.until,
        event_hold: retention.event_hold.map(|hold| hold.status().into()),
        event_hold_duration: retention
            .event_hold
            .map(|hold| api::EventHoldDuration { days: hold.duration.days(), years: hold.duration.years() }),
    };
    Ok(api::GetObjectRetentionOutput { retention: Some(shown) })
}

pub async fn put_hold(
    s3: &S3,
    cx: &Context,
    input: api::PutObjectLegalHoldInput,
) -> Result<api::PutObjectLegalHoldOutput> {
    let on = match input.legal_hold.as_ref().and_then(|hold| hold.status.as_ref()) {
        Some(api::ObjectLockLegalHoldStatus::On) => true,
        Some(api::ObjectLockLegalHoldStatus::Off) => false,
        _ => return Err(Error::MalformedXml),
    };
    let target = target!(input);
    configurations::change(s3, cx, target.of, |tx, scope, bucket| {
        change_in(tx, scope, bucket, &target, &|extras| {
            extras.legal_hold = Some(on);
            Ok(())
        })
    })
    .await?;
    s3.replication.wake();
    Ok(api::PutObjectLegalHoldOutput::default())
}

pub async fn get_hold(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectLegalHoldInput,
) -> Result<api::GetObjectLegalHoldOutput> {
    let object = look(s3, cx, &target!(input)).await?;
    let on = object.extras.and_then(|extras| extras.legal_hold).ok_or_else(nothing)?;
    let status = if on { api::ObjectLockLegalHoldStatus::On } else { api::ObjectLockLegalHoldStatus::Off };
    Ok(api::GetObjectLegalHoldOutput { legal_hold: Some(api::ObjectLockLegalHold { status: Some(status) }) })
}
