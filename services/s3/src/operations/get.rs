//! GetObject and HeadObject.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::collections::BTreeMap;

use fractus_host::{CallerKind, Context};
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};

use crate::access;
use crate::configurations::Kind;
use crate::error::{Error, Result};
use crate::lifecycle::expiration_header;
use crate::model::archive;
use crate::model::conditions::ReadConditions;
use crate::model::encryption::{GivenKey, check_read, given_key, show_encryption};
use crate::model::range::{self, ByteRange};
use crate::model::{metadata, names};
use crate::objects::{self, Readable, scope};
use crate::operations::checksums::{self, show};
use crate::service::S3;
use crate::store::{Bucket, Checksum, Object};
use crate::{tiering, versions};

/// What of an object a read is about.
struct Selected {
    from: u64,
    to: u64,
    /// Absent for the whole object.
    content_range: Option<String>,
    parts_count: Option<i32>,
    /// The checksum of exactly what is returned; none for a piece.
    checksum: Option<Checksum>,
}

fn select(object: &Object, range: Option<&str>, part_number: Option<i32>) -> Result<Selected> {
    if let Some(number) = part_number {
        if range.is_some() {
            return Err(Error::invalid_request("Cannot specify both Range header and partNumber query parameter"));
        }
        return select_part(object, number);
    }
    let requested = range.map(|header| range::requested(header, object.size)).transpose()?.flatten();
    Ok(match requested {
        Some(range) => Selected {
            from: range.first,
            to: range.last + 1,
            content_range: Some(range.content_range(object.size)),
            parts_count: None,
            checksum: None,
        },
        None => Selected {
            from: 0,
            to: object.size,
            content_range: None,
            parts_count: None,
            checksum: object.checksum.clone(),
        },
    })
}

/// One part of an object, as it was uploaded. An object that was put whole has one part.
fn select_part(object: &Object, number: i32) -> Result<Selected> {
    let number = u32::try_from(number)
        .ok()
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| Error::invalid_argument("partNumber", number.to_string(), names::PART_NUMBER_BOUNDS))?;
    let count = u32::try_from(object.parts.len()).unwrap_or(u32::MAX);
    if object.parts.is_empty() {
        if number > 1 {
            return Err(Error::InvalidPartNumber { requested: number, parts: 1 });
        }
        let content_range =
            (object.size > 0).then(|| ByteRange { first: 0, last: object.size - 1 }.content_range(object.size));
        let checksum = object.checksum.clone();
        return Ok(Selected { from: 0, to: object.size, content_range, parts_count: None, checksum });
    }
    let Some(index) = usize::try_from(number).ok().map(|number| number - 1).filter(|at| *at < object.parts.len())
    else {
        return Err(Error::InvalidPartNumber { requested: number, parts: count });
    };
    let from: u64 = object.parts[..index].iter().map(|part| part.size).sum();
    let part = &object.parts[index];
    let to = from + part.size;
    let content_range = (part.size > 0).then(|| ByteRange { first: from, last: to - 1 }.content_range(object.size));
    Ok(Selected { from, to, content_range, parts_count: Some(count as i32), checksum: part.checksum.clone() })
}

/// What both reads do once the object is found: its key, its conditions, and what of it is asked for.
macro_rules! selected {
    ($input:ident, $object:expr) => {{
        let customers = check_read($object.encryption(), given_key!($input))?;
        let conditions = ReadConditions {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        };
        conditions.check_read(&$object.etag, $object.last_modified)?;
        (customers, select(&$object, $input.range.as_deref(), $input.part_number)?)
    }};
}

/// The members that the answers of both reads share; the caller's wishes for headers go before the object's own.
macro_rules! described {
    ($output:ident, $input:ident, $object:ident, $selected:ident, $seen:ident) => {{
        let headers = $object.headers;
        let extras = $object.extras.unwrap_or_default();
        let event_hold = extras.retention.and_then(|retention| retention.event_hold);
        let expires = $input.response_expires.map(fractus_clock::Timestamp::http_date);
        let mut output = api::$output {
            accept_ranges: Some("bytes".into()),
            last_modified: Some($object.last_modified.to_secs_precision()),
            content_length: Some(($selected.to - $selected.from) as i64),
            e_tag: Some($object.etag),
            content_range: $selected.content_range,
            parts_count: $selected.parts_count,
            content_type: $input.response_content_type.or(content_type(headers.content_type)),
            cache_control: $input.response_cache_control.or(headers.cache_control),
            content_disposition: $input.response_content_disposition.or(headers.content_disposition),
            content_encoding: $input.response_content_encoding.or(headers.content_encoding),
            content_language: $input.response_content_language.or(headers.content_language),
            expires: expires.or(headers.expires),
            website_redirect_location: headers.website_redirect_location,
            metadata: (!headers.metadata.is_empty()).then(|| shown_metadata(headers.metadata)),
            storage_class: $object.storage_class.as_deref().map(api::StorageClass::from),
            tag_count: (!$object.tags.is_empty()).then_some($object.tags.len() as i32),
            version_id: $seen.version_id,
            expiration: $seen.expiration,
            replication_status: extras.replication.map(|status| status.as_str().into()),
            restore: extras.restore.and_then(|restore| restore.shown($seen.now)),
            object_lock_mode: extras.retention.map(|retention| retention.mode.as_str().into()),
            object_lock_retain_until_date: extras.retention.and_then(|retention| retention.until),
            object_lock_event_hold: event_hold.map(|hold| hold.status().into()),
            object_lock_event_hold_duration_days: event_hold.and_then(|hold| hold.duration.days()),
            object_lock_event_hold_duration_years: event_hold.and_then(|hold| hold.duration.years()),
            object_lock_legal_hold_status: extras.legal_hold.map(|on| if on { "ON".into() } else { "OFF".into() }),
            ..Default::default()
        };
        show_encryption!(output, &extras.encryption);
        if $input.checksum_mode.is_some() {
            show!(output, &$selected.checksum);
            output.checksum_type = $selected.checksum.as_ref().map(|checksum| checksums::shown_type(checksum.kind));
        }
        output
    }};
}

fn shown_metadata<C: FromIterator<(String, String)>>(kept: BTreeMap<String, String>) -> C {
    kept.into_iter().map(|(name, value)| (name, metadata::written(value))).collect()
}

/// Headers of the answer are chosen by who has signed alone.
macro_rules! check_overrides {
    ($cx:expr, $input:expr) => {
        let chosen = $input.response_cache_control.is_some()
            || $input.response_content_disposition.is_some()
            || $input.response_content_encoding.is_some()
            || $input.response_content_language.is_some()
            || $input.response_content_type.is_some()
            || $input.response_expires.is_some();
        if chosen && $cx.caller.kind == CallerKind::Anonymous {
            let message = "Request specific response headers cannot be used for anonymous GET requests.";
            return Err(Error::invalid_request(message));
        }
    };
}

/// What an object without a type is called.
fn content_type(own: Option<String>) -> Option<String> {
    Some(own.unwrap_or_else(|| "binary/octet-stream".to_owned()))
}

pub async fn get(s3: &S3, cx: &Context, input: Box<api::GetObjectInput>) -> Result<api::GetObjectOutput> {
    check_overrides!(cx, input);
    let target = Target {
        bucket: &input.bucket,
        key: &input.key,
        version_id: input.version_id.as_deref(),
        owner: input.expected_bucket_owner.as_deref(),
    };
    let (mut object, (readable, seen)) = look(s3, cx, target, |snapshot, scope, bucket, object| {
        let readable = objects::readable(snapshot, scope, &object.content)?;
        Ok((readable, Seen::of(snapshot, scope, cx.now(), bucket, target, object)?))
    })
    .await?;
    hide(cx, target, &mut object).await;
    let (customers, selected) = selected!(input, object);
    check_readable(&object, seen.tier.as_ref(), seen.now)?;
    let secret = s3.keys.open(cx, object.encryption()).await?.or(customers);
    let readable = readable.opened(&object, secret);
    tiering::touch(s3, cx, target.bucket, target.key, &object).await;
    let body = readable.into_body(s3, selected.from, selected.to);
    Ok(api::GetObjectOutput { body, ..described!(GetObjectOutput, input, object, selected, seen) })
}

pub async fn head(s3: &S3, cx: &Context, input: Box<api::HeadObjectInput>) -> Result<api::HeadObjectOutput> {
    check_overrides!(cx, input);
    let target = Target {
        bucket: &input.bucket,
        key: &input.key,
        version_id: input.version_id.as_deref(),
        owner: input.expected_bucket_owner.as_deref(),
    };
    let (mut object, seen) = look(s3, cx, target, |snapshot, scope, bucket, object| {
        Seen::of(snapshot, scope, cx.now(), bucket, target, object)
    })
    .await?;
    hide(cx, target, &mut object).await;
    let (_, selected) = selected!(input, object);
    let archive_status = seen.tier.as_ref().map(|tier| tier.as_str().into());
    Ok(api::HeadObjectOutput { archive_status, ..described!(HeadObjectOutput, input, object, selected, seen) })
}

/// Which object a read is about.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub version_id: Option<&'a str>,
    pub owner: Option<&'a str>,
}

/// Takes away what the object's reader has no permission to be told of: its retention, its hold, how many tags it has.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>
async fn hide(cx: &Context, target: Target<'_>, object: &mut Object) {
    if !cx.evaluates_policies() {
        return;
    }
    let wanted = |action: &str| access::to_object(cx, target.bucket, target.key, action);
    if !object.tags.is_empty() {
        let of_version = target.version_id.is_some();
        let action = if of_version { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
        if cx.authorize(&wanted(action)).await.is_err() {
            object.tags.clear();
        }
    }
    if let Some(extras) = &mut object.extras {
        if extras.retention.is_some() && cx.authorize(&wanted("s3:GetObjectRetention")).await.is_err() {
            extras.retention = None;
        }
        if extras.legal_hold.is_some() && cx.authorize(&wanted("s3:GetObjectLegalHold")).await.is_err() {
            extras.legal_hold = None;
        }
    }
}

/// What an answer says of an object that its record alone does not.
struct Seen {
    version_id: Option<String>,
    expiration: Option<String>,
    /// The archive tier of intelligent tiering that it is in.
    tier: Option<api::IntelligentTieringAccessTier>,
    now: fractus_clock::Timestamp,
}

impl Seen {
    fn of(
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        now: fractus_clock::Timestamp,
        bucket: &Bucket,
        target: Target<'_>,
        object: &Object,
    ) -> Result<Seen> {
        let is_older = target.version_id.is_some()
            && bucket.settings.has(Kind::Lifecycle)
            && !versions::is_current(snapshot, scope, bucket, target.key, object.version_id.as_deref())?;
        let expiration = if is_older { None } else { expiration_header(snapshot, scope, bucket, target.key, object)? };
        Ok(Seen {
            version_id: versions::shown_id(bucket, object),
            expiration,
            tier: tiering::tier(snapshot, scope, bucket, target.key, object, now)?,
            now,
        })
    }
}

/// Finds an object and what belongs to it in one snapshot. Who may not list the bucket is not told what there is not.
async fn look<T: Send>(
    s3: &S3,
    cx: &Context,
    target: Target<'_>,
    more: impl FnOnce(&Snapshot<'_>, &Scope, &Bucket, &Object) -> Result<T> + Send,
) -> Result<(Object, T)> {
    let scope = scope(cx);
    let found = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, target.bucket, target.owner)?;
            let object = versions::object(snapshot, &scope, &bucket, target.key, target.version_id)?;
            let more = more(snapshot, &scope, &bucket, &object)?;
            Ok::<_, Error>((object, more))
        })
        .await;
    if matches!(found, Err(Error::NoSuchKey { .. } | Error::Deleted { .. })) && cx.evaluates_policies() {
        let wanted = access::to_bucket(cx, target.bucket, "s3:ListBucket");
        cx.authorize(&wanted).await.map_err(|_| Error::AccessDenied)?;
    }
    found
}

fn check_readable(
    object: &Object,
    tier: Option<&api::IntelligentTieringAccessTier>,
    now: fractus_clock::Timestamp,
) -> Result<()> {
    archive::check_readable(object, now)?;
    tier.map_or(Ok(()), |tier| Err(tiering::not_readable(tier)))
}

/// An object's whole bytes and record, for who gives the right key where it takes one.
pub async fn source(s3: &S3, cx: &Context, target: Target<'_>, given: GivenKey<'_>) -> Result<(Object, Readable)> {
    let found = look(s3, cx, target, |snapshot, scope, bucket, object| {
        let tier = tiering::tier(snapshot, scope, bucket, target.key, object, cx.now())?;
        Ok((objects::readable(snapshot, scope, &object.content)?, tier))
    });
    let (object, (readable, tier)) = found.await.map_err(|error| match error {
        Error::IsDeleteMarker { .. } => Error::invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        other => other,
    })?;
    if archive::check_readable(&object, cx.now()).is_err() {
        return Err(archive::source_not_readable(&object));
    }
    check_readable(&object, tier.as_ref(), cx.now())?;
    open(s3, cx, object, readable, given).await
}

async fn open(
    s3: &S3,
    cx: &Context,
    object: Object,
    readable: Readable,
    given: GivenKey<'_>,
) -> Result<(Object, Readable)> {
    let customers = check_read(object.encryption(), given)?;
    let secret = s3.keys.open(cx, object.encryption()).await?.or(customers);
    let readable = readable.opened(&object, secret);
    Ok((object, readable))
}

/// The same for S3's own work on an object, in whatever class it lies.
pub async fn stored(s3: &S3, cx: &Context, target: Target<'_>) -> Result<(Object, Readable)> {
    let read = |snapshot: &Snapshot<'_>, scope: &Scope, _: &Bucket, object: &Object| {
        objects::readable(snapshot, scope, &object.content)
    };
    let (object, readable) = look(s3, cx, target, read).await?;
    open(s3, cx, object, readable, GivenKey::default()).await
}
