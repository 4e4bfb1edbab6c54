//! Multipart uploads: begun and aborted.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{BlobRef, Order, Range, Scope, Snapshot, Transaction};

use crate::access;
use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::extras::wanted;
use crate::lifecycle::rules_of;
use crate::model::checksum::{self, Algorithm};
use crate::model::encryption::show_encryption;
use crate::model::{lifecycle, names};
use crate::objects::{self, scope};
use crate::operations::{checksums, put};
use crate::service::S3;
use crate::store::{Bucket, ChecksumType, PARTS, Part, UPLOADS, Upload};

/// The largest part number, and so the most parts.
pub const MAX_PARTS: u64 = 10_000;

/// The upload of this id, which must be for this key.
pub fn upload(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str, upload_id: &str) -> Result<Upload> {
    let found = snapshot.get(&UPLOADS, scope, &(bucket.id, key, upload_id))?;
    found.ok_or_else(|| Error::NoSuchUpload { upload_id: upload_id.to_owned() })
}

pub async fn create(
    s3: &S3,
    cx: &Context,
    mut input: api::CreateMultipartUploadInput,
) -> Result<api::CreateMultipartUploadOutput> {
    names::check_key(&input.key)?;
    access::check_known(cx, "initiate multipart uploads")?;
    let headers = put::object_headers!(cx, input);
    let (algorithm, kind) = checksum_of_upload(&input)?;
    let now = cx.now();
    // Sorts by the time it began; the rest cannot be guessed.
    let upload_id = format!("{:016x}{}", now.micros(), cx.random().uuid().replace('-', ""));
    let mut wanted = wanted!(input, now);
    let mut upload = Upload {
        initiated_at: now,
        headers,
        checksum_algorithm: algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        checksum_type: kind,
        storage_class: put::class_in(&input.bucket, input.storage_class.as_ref().map(|class| class.as_str()))?,
        tags: put::tags_in(&input.bucket, input.tagging.as_deref())?,
        initiator: cx.caller.arn.clone(),
        extras: None,
    };
    let scope = scope(cx);
    let begun = loop {
        let tried = s3
            .store
            .write(|tx| {
                let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
                let key = (bucket.id, input.key.as_str(), upload_id.as_str());
                upload.extras = wanted.resolve(tx, &scope, &bucket, cx, now)?;
                tx.put(&UPLOADS, &scope, &key, &upload)?;
                let rules = rules_of(tx, &scope, &bucket)?;
                let due = lifecycle::abortion(&rules, &input.key, now);
                Ok::<_, Error>(due.map(|(at, rule)| (at, rule.to_owned())))
            })
            .await;
        let Err(Error::NeedsDataKey(need)) = tried else { break tried };
        wanted.granted = s3.keys.grant(cx, &need, &input.bucket, &input.key).await?;
    };
    let abortion = begun?;
    let mut output = api::CreateMultipartUploadOutput {
        bucket: Some(place::shown(input.bucket)),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: algorithm.map(|algorithm| algorithm.as_str().into()),
        checksum_type: kind.map(checksums::shown_type),
        ..Default::default()
    };
    show_encryption!(output, upload.encryption());
    (output.abort_date, output.abort_rule_id) = abortion.unzip();
    Ok(output)
}

/// The algorithm and kind of checksum that the parts and the whole will have.
fn checksum_of_upload(input: &api::CreateMultipartUploadInput) -> Result<(Option<Algorithm>, Option<ChecksumType>)> {
    let asked_kind = input.checksum_type.as_ref().map(|kind| match kind {
        api::ChecksumType::FullObject => Ok(ChecksumType::FullObject),
        api::ChecksumType::Composite => Ok(ChecksumType::Composite),
        api::ChecksumType::Unknown(_) => {
            Err(Error::invalid_request("Value for x-amz-checksum-type header is invalid."))
        }
    });
    let asked_kind = asked_kind.transpose()?;
    let Some(name) = &input.checksum_algorithm else {
        return match asked_kind {
            Some(_) => Err(Error::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
            None => Ok((None, None)),
        };
    };
    let algorithm =
        Algorithm::parse(name.as_str()).ok_or_else(|| Error::invalid_request(checksum::UNSUPPORTED_ALGORITHM))?;
    let kind = asked_kind.unwrap_or(algorithm.default_multipart_type());
    if !algorithm.allows_multipart_type(kind) {
        let kind = checksums::shown_type(kind);
        return Err(Error::invalid_request(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.as_str(),
            algorithm.as_str().to_ascii_lowercase()
        )));
    }
    Ok((Some(algorithm), Some(kind)))
}

pub async fn abort(
    s3: &S3,
    cx: &Context,
    input: api::AbortMultipartUploadInput,
) -> Result<api::AbortMultipartUploadOutput> {
    let scope = scope(cx);
    let freed = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let upload = match upload(tx, &scope, &bucket, &input.key, &input.upload_id) {
                // What is not there was begun at any time.
                Err(Error::NoSuchUpload { .. }) if input.if_match_initiated_time.is_some() => return Ok(Vec::new()),
                found => found?,
            };
            if let Some(wanted) = input.if_match_initiated_time
                && wanted.to_secs_precision() != upload.initiated_at.to_secs_precision()
            {
                return Err(Error::PreconditionFailed { condition: "x-amz-if-match-initiated-time" });
            }
            remove_upload(tx, &scope, &bucket, &input.key, &input.upload_id)
        })
        .await?;
    s3.free(freed);
    Ok(api::AbortMultipartUploadOutput::default())
}

/// Takes an upload and its parts away; gives what may be freed.
pub fn remove_upload(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    upload_id: &str,
) -> Result<Vec<BlobRef>> {
    tx.delete(&UPLOADS, scope, &(bucket.id, key, upload_id))?;
    let parts = all_parts(tx, scope, upload_id)?;
    drop_parts(tx, scope, upload_id, &parts)
}

pub fn all_parts(tx: &Transaction<'_>, scope: &Scope, upload_id: &str) -> Result<Vec<(u64, Part)>> {
    let scan = tx.range(&PARTS, scope, Range::prefix(&(upload_id,)), Order::Ascending)?;
    scan.map(|entry| entry.map(|((_, number), part)| (number, part)).map_err(Error::from)).collect()
}

pub fn drop_parts(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    upload_id: &str,
    parts: &[(u64, Part)],
) -> Result<Vec<BlobRef>> {
    let mut freed = Vec::new();
    for (number, part) in parts {
        tx.delete(&PARTS, scope, &(upload_id, *number))?;
        freed.extend(objects::release(tx, scope, &part.content)?);
    }
    Ok(freed)
}
