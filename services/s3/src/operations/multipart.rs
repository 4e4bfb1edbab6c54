//! Multipart uploads: begun, completed, aborted.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{BlobRef, Order, Range, Scope, Snapshot, Transaction};
use md5::{Digest, Md5};

use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::extras::{Extras, default_retention, wanted};
use crate::lifecycle::rules_of;
use crate::model::checksum::{self, Algorithm, PartChecksum};
use crate::model::conditions::WriteConditions;
use crate::model::encryption::{Encryption, show_encryption};
use crate::model::lifecycle;
use crate::model::names;
use crate::notify::Happening;
use crate::objects::{self, NewContent, NewObject, scope};
use crate::operations::checksums::{self, given, show};
use crate::operations::{put, tagging};
use crate::service::S3;
use crate::store::{
    Bucket, Checksum, ChecksumType, CompletedPart, Content, Object, ObjectHeaders, PARTS, Part, UPLOADS, Upload,
};

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
    input: api::CreateMultipartUploadInput,
) -> Result<api::CreateMultipartUploadOutput> {
    names::check_key(&input.key)?;
    let metadata = input.metadata.clone().unwrap_or_default();
    names::check_metadata(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    let (algorithm, kind) = checksum_of_upload(&input)?;
    let now = cx.now();
    // Sorts by the time it began; the rest cannot be guessed.
    let upload_id = format!("{:016x}{}", now.micros(), cx.random().uuid().replace('-', ""));
    let mut wanted = wanted!(input, now);
    let mut upload = Upload {
        initiated_at: now,
        headers: ObjectHeaders {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: put::content_encoding(input.content_encoding),
            content_language: input.content_language,
            expires: input.expires,
            website_redirect_location: input.website_redirect_location,
            metadata: metadata.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        },
        checksum_algorithm: algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        checksum_type: kind,
        storage_class: put::class_in(&input.bucket, input.storage_class.as_ref().map(|class| class.as_str()))?,
        tags: tagging::of_header(input.tagging.as_deref())?,
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
    let algorithm = Algorithm::parse(name.as_str())
        .ok_or_else(|| Error::invalid_request("Checksum algorithm provided is unsupported."))?;
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
            let upload = upload(tx, &scope, &bucket, &input.key, &input.upload_id)?;
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

fn all_parts(tx: &Transaction<'_>, scope: &Scope, upload_id: &str) -> Result<Vec<(u64, Part)>> {
    let scan = tx.range(&PARTS, scope, Range::prefix(&(upload_id,)), Order::Ascending)?;
    scan.map(|entry| entry.map(|((_, number), part)| (number, part)).map_err(Error::from)).collect()
}

fn drop_parts(tx: &mut Transaction<'_>, scope: &Scope, upload_id: &str, parts: &[(u64, Part)]) -> Result<Vec<BlobRef>> {
    let mut freed = Vec::new();
    for (number, part) in parts {
        tx.delete(&PARTS, scope, &(upload_id, *number))?;
        freed.extend(objects::release(tx, scope, &part.content)?);
    }
    Ok(freed)
}

/// A part as the completing request names it.
struct Named {
    number: u64,
    etag: String,
    checksum: Option<String>,
}

fn named_parts(input: &api::CompleteMultipartUploadInput) -> Result<Vec<Named>> {
    let given = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_ref());
    let given = given.filter(|parts| !parts.is_empty()).ok_or(Error::MalformedXml)?;
    let mut named: Vec<Named> = Vec::with_capacity(given.len());
    for part in given {
        let number = part.part_number.and_then(|number| u64::try_from(number).ok()).ok_or(Error::MalformedXml)?;
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(Error::invalid_argument(
                "partNumber",
                number.to_string(),
                "Part number must be an integer between 1 and 10000, inclusive",
            ));
        }
        if named.last().is_some_and(|before| before.number >= number) {
            return Err(Error::InvalidPartOrder { upload_id: input.upload_id.clone() });
        }
        let checksum = given!(part).pop().map(|(_, value)| value);
        named.push(Named { number, etag: part.e_tag.clone().unwrap_or_default(), checksum });
    }
    Ok(named)
}

pub async fn complete(
    s3: &S3,
    cx: &Context,
    input: api::CompleteMultipartUploadInput,
) -> Result<api::CompleteMultipartUploadOutput> {
    let named = named_parts(&input)?;
    let whole_checksum = given!(input).pop();
    let (scope, now) = (scope(cx), cx.now().to_millis_precision());
    let conditions = WriteConditions { if_match: input.if_match.clone(), if_none_match: input.if_none_match.clone() };
    let happening = Happening::new(cx, "s3:ObjectCreated:CompleteMultipartUpload", now);
    let (object, stored, freed, _sent) = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let upload = upload(tx, &scope, &bucket, &input.key, &input.upload_id)?;
            let parts = all_parts(tx, &scope, &input.upload_id)?;
            let chosen = choose(&named, &parts, &input.upload_id, s3.config.min_part_bytes)?;
            let (mut object, blob) = assemble(&upload, &named, &chosen, now)?;
            if let Some(size) = input.mpu_object_size
                && u64::try_from(size) != Ok(object.size)
            {
                return Err(Error::invalid_request(format!(
                    "The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {}",
                    object.size
                )));
            }
            check_whole(&object, whole_checksum.as_ref())?;
            let content = NewContent::Blob(blob);
            retain_by_default(tx, &scope, &bucket, &mut object, now)?;
            let mut new = NewObject { key: input.key.clone(), content, object, wanted: None };
            let put = objects::put(tx, s3, &scope, &bucket, &mut new, &conditions, &happening)?;
            tx.delete(&UPLOADS, &scope, &(bucket.id, input.key.as_str(), input.upload_id.as_str()))?;
            let mut freed = drop_parts(tx, &scope, &input.upload_id, &parts)?;
            freed.extend(put.freed);
            let stored = put::Stored::of(tx, &scope, &bucket, &new.key, &new.object)?;
            Ok((new.object, stored, freed, put.sent))
        })
        .await?;
    s3.changed(&object);
    s3.free(freed);
    let location = format!("{}/{}/{}", cx.endpoint(), place::shown(input.bucket.clone()), input.key);
    let mut output = api::CompleteMultipartUploadOutput {
        location: Some(location),
        bucket: Some(place::shown(input.bucket)),
        key: Some(input.key),
        e_tag: Some(object.etag.clone()),
        version_id: stored.version_id,
        expiration: stored.expiration,
        ..Default::default()
    };
    // This answer alone does not repeat a customer's key.
    match object.encryption() {
        None => output.server_side_encryption = Some(api::ServerSideEncryption::Aes256),
        Some(Encryption::Kms { algorithm, key, bucket_key, .. }) => {
            output.server_side_encryption = Some(algorithm.as_str().into());
            output.ssekms_key_id = Some(key.clone());
            output.bucket_key_enabled = bucket_key.then_some(true);
        }
        Some(Encryption::Customer { .. }) => {}
    }
    show!(output, &object.checksum);
    output.checksum_type = object.checksum.as_ref().map(|checksum| checksums::shown_type(checksum.kind));
    Ok(output)
}

/// The bucket's retention is given when the object comes to be.
fn retain_by_default(
    tx: &Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    object: &mut Object,
    now: fractus_clock::Timestamp,
) -> Result<()> {
    let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
    if extras.retention.is_none() {
        extras.retention = default_retention(tx, scope, bucket, now)?;
    }
    object.extras = extras.boxed();
    Ok(())
}

/// Finds each named part, with the right entity tag and checksum, and big enough where it is not the last.
fn choose<'p>(named: &[Named], parts: &'p [(u64, Part)], upload_id: &str, min_bytes: u64) -> Result<Vec<&'p Part>> {
    let mut chosen = Vec::with_capacity(named.len());
    for (at, wanted) in named.iter().enumerate() {
        let missing = || Error::InvalidPart {
            upload_id: upload_id.to_owned(),
            part_number: wanted.number as u32,
            etag: wanted.etag.trim_matches('"').to_owned(),
        };
        let found = parts.binary_search_by_key(&wanted.number, |(number, _)| *number).map_err(|_| missing())?;
        let part = &parts[found].1;
        if part.etag.trim_matches('"') != wanted.etag.trim_matches('"') {
            return Err(missing());
        }
        let own = part.checksum.as_ref().map(|checksum| checksum.value.as_str());
        if wanted.checksum.as_deref().is_some_and(|value| Some(value) != own) {
            return Err(missing());
        }
        if at + 1 < named.len() && part.size < min_bytes {
            return Err(Error::EntityTooSmall {
                size: part.size,
                min: min_bytes,
                part_number: wanted.number as u32,
                etag: part.etag.trim_matches('"').to_owned(),
            });
        }
        chosen.push(part);
    }
    Ok(chosen)
}

/// The object that the parts make: no byte is moved. Its entity tag is of the parts' digests.
fn assemble(
    upload: &Upload,
    named: &[Named],
    chosen: &[&Part],
    now: fractus_clock::Timestamp,
) -> Result<(Object, BlobRef)> {
    let mut digest = Md5::new();
    for part in chosen {
        digest.update(hex::decode(part.etag.trim_matches('"')).unwrap_or_default());
    }
    let blobs: Vec<BlobRef> = chosen
        .iter()
        .filter_map(|part| match &part.content {
            Content::Blob(blob) => Some(blob.clone()),
            Content::Empty | Content::Small { .. } => None,
        })
        .collect();
    let parts = named.iter().zip(chosen).map(|(named, part)| CompletedPart {
        number: named.number as u32,
        size: part.size,
        checksum: part.checksum.clone(),
    });
    let object = Object {
        size: chosen.iter().map(|part| part.size).sum(),
        etag: format!("\"{}-{}\"", hex::encode(digest.finalize()), chosen.len()),
        last_modified: now,
        content: Content::Empty,
        headers: upload.headers.clone(),
        checksum: whole_checksum(upload, chosen),
        parts: parts.collect(),
        storage_class: upload.storage_class.clone(),
        tags: upload.tags.clone(),
        sequencer: 0,
        version_id: None,
        extras: upload.extras.clone(),
    };
    Ok((object, BlobRef::concat(blobs.iter())))
}

/// The checksum of the whole from its parts'. An upload that named no algorithm has a full-object CRC64NVME.
fn whole_checksum(upload: &Upload, chosen: &[&Part]) -> Option<Checksum> {
    let algorithm = upload.checksum_algorithm.as_deref().and_then(Algorithm::parse).unwrap_or(Algorithm::Crc64Nvme);
    let kind = upload.checksum_type.unwrap_or(algorithm.default_multipart_type());
    let parts: Vec<PartChecksum<'_>> = chosen
        .iter()
        .filter_map(|part| Some((part.checksum.as_ref()?, part.size)))
        .filter(|(checksum, _)| checksum.algorithm == algorithm)
        .map(|(checksum, size)| PartChecksum { value: &checksum.value, size })
        .collect();
    if parts.len() == chosen.len() { checksum::of_parts(algorithm, kind, &parts) } else { None }
}

fn check_whole(object: &Object, given: Option<&(Algorithm, String)>) -> Result<()> {
    let (Some((algorithm, value)), Some(own)) = (given, &object.checksum) else { return Ok(()) };
    if own.algorithm != *algorithm || own.value != *value {
        return Err(Error::ChecksumMismatch { algorithm: algorithm.as_str() });
    }
    Ok(())
}
