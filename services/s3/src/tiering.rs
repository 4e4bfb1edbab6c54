//! The archive tiers of intelligent tiering: an object that nobody reads for as long as a configuration of its bucket says
//! lies in one, and must be restored before it is read. Which one is told from when it was read last, so nothing has to
//! move by night.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intelligent-tiering-overview.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scope, Snapshot};
use fractus_wire::Failure;

use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::extras::Extras;
use crate::model::archive::Restore;
use crate::notify::{Happening, announce};
use crate::objects::scope;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, Object};
use crate::versions;

pub const CLASS: &str = "INTELLIGENT_TIERING";

/// Smaller objects are always in the tier of frequent access.
const MIN_BYTES: u64 = 128 * 1024;
const DAY_SECS: i64 = 86_400;
const HOUR: Duration = Duration::from_secs(3_600);

/// The last time that counts: of a read, of a restore that is complete, or of the write.
fn last_access(object: &Object, now: Timestamp) -> Timestamp {
    let extras = object.extras.as_deref();
    let read = extras.and_then(|extras| extras.accessed_at);
    let restored = extras.and_then(|extras| extras.restore).map(|restore| restore.ready_at).filter(|at| *at <= now);
    read.into_iter().chain(restored).fold(object.last_modified, Timestamp::max)
}

fn takes(filter: Option<&api::IntelligentTieringFilter>, key: &str, object: &Object) -> bool {
    let Some(filter) = filter else { return true };
    let has = |tag: &api::Tag| object.tags.iter().any(|(name, value)| *name == tag.key && *value == tag.value);
    let begins = |prefix: &Option<String>| prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()));
    begins(&filter.prefix)
        && filter.tag.as_ref().is_none_or(has)
        && filter
            .and
            .as_ref()
            .is_none_or(|and| begins(&and.prefix) && and.tags.as_ref().is_none_or(|tags| tags.iter().all(has)))
}

/// The archive tier that an object is in, if it is in one.
pub fn tier(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
    now: Timestamp,
) -> Result<Option<api::IntelligentTieringAccessTier>> {
    let may_be = object.storage_class.as_deref() == Some(CLASS) && bucket.settings.has(Kind::IntelligentTiering);
    if !may_be || object.size < MIN_BYTES {
        return Ok(None);
    }
    let idle_days = (now.secs() - last_access(object, now).secs()) / DAY_SECS;
    let range = Range::prefix(&(bucket.id, Kind::IntelligentTiering.name()));
    let mut deepest = None;
    for entry in snapshot.range(&configurations::CONFIGURATIONS, scope, range, Order::Ascending)? {
        let (_, text) = entry?;
        let kind = Kind::IntelligentTiering;
        let found: api::IntelligentTieringConfiguration = configurations::from_json(&text, kind)?;
        let is_on = found.status == api::IntelligentTieringStatus::Enabled;
        if !is_on || !takes(found.filter.as_ref(), key, object) {
            continue;
        }
        let reached = found.tierings.into_iter().filter(|tiering| i64::from(tiering.days) <= idle_days);
        deepest =
            reached.map(|tiering| (tiering.days, tiering.access_tier)).chain(deepest).max_by_key(|(days, _)| *days);
    }
    Ok(deepest.map(|(_, tier)| tier))
}

/// The archive tier that an object has come to since one was told of last.
fn untold(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
    now: Timestamp,
) -> Result<Option<api::IntelligentTieringAccessTier>> {
    let found = tier(snapshot, scope, bucket, key, object, now)?;
    let told = object.extras.as_ref().and_then(|extras| extras.tier_told.as_ref());
    // What was told before it was read last was of another stay.
    let told = told.filter(|(_, at)| *at >= last_access(object, now)).map(|(tier, _)| tier.as_str());
    Ok(found.filter(|tier| told != Some(tier.as_str())))
}

/// Tells of an object that has come to an archive tier.
pub async fn tell(
    s3: &S3,
    cx: &Context,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let scope = scope(cx);
    let told = s3.store.write(|tx| {
        let Ok(object) = versions::object(tx, &scope, bucket, key, version_id) else { return Ok(Vec::new()) };
        let Some(tier) = untold(tx, &scope, bucket, key, &object, now)? else { return Ok(Vec::new()) };
        let object = versions::rewrite(tx, &scope, bucket, key, version_id, |object| {
            let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
            extras.tier_told = Some((tier.as_str().to_owned(), now));
            object.extras = extras.boxed();
            Ok(())
        })?;
        let happening = Happening::new(cx, "s3:IntelligentTiering", now);
        announce(tx, s3, bucket, key, Some(&object), object.sequencer + 1, &happening)
    });
    let _sent = told.await?;
    Ok(())
}

/// The error of a read of what lies in an archive tier.
pub fn not_readable(tier: &api::IntelligentTieringAccessTier) -> Error {
    let failure = Failure::new("InvalidObjectState", 403, "The operation is not valid for the object's access tier");
    let failure = failure.with_detail("StorageClass", CLASS).with_detail("AccessTier", tier.as_str().to_owned());
    Error::Other(Box::new(failure))
}

/// A restore from a tier: the object comes back to that of frequent access, and stays.
pub fn restore(
    tier: &api::IntelligentTieringAccessTier,
    asked: &str,
    days: Option<i32>,
    now: Timestamp,
) -> Result<Restore> {
    if days.is_some() {
        let message = "Days must not be given for objects in intelligent tiering";
        return Err(Error::invalid_request(message));
    }
    let deep = *tier == api::IntelligentTieringAccessTier::DeepArchiveAccess;
    let takes = match (asked, deep) {
        ("Expedited", false) => HOUR / 12,
        ("Standard", false) => HOUR * 5,
        ("Bulk", false) | ("Standard", true) => HOUR * 12,
        ("Bulk", true) => HOUR * 48,
        _ => {
            let message = format!("{asked} retrieval is not supported by the {} tier", tier.as_str());
            return Err(Error::invalid_argument("Tier", asked, message));
        }
    };
    let ready_at = now.plus(takes);
    Ok(Restore { ready_at, until: ready_at })
}

/// Remembers that an object of this class was read; once a day is enough.
pub async fn touch(s3: &S3, cx: &Context, bucket: &str, key: &str, object: &Object) {
    if object.storage_class.as_deref() != Some(CLASS) {
        return;
    }
    let now = cx.now();
    if now.secs() - last_access(object, now).secs() < DAY_SECS {
        return;
    }
    let scope = scope(cx);
    let version_id = object.version_id.as_deref();
    let written = s3.store.write(|tx| {
        let Some(found) = tx.get(&BUCKETS, &scope, &(bucket,))? else { return Ok(()) };
        let changed = versions::rewrite(tx, &scope, &found, key, version_id, |object| {
            let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
            extras.accessed_at = Some(now);
            object.extras = extras.boxed();
            Ok(())
        });
        // It may have been deleted meanwhile.
        match changed {
            Err(Error::Store(error)) => Err(Error::Store(error)),
            _ => Ok::<_, Error>(()),
        }
    });
    if let Err(error) = written.await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a read could not be remembered");
    }
}
