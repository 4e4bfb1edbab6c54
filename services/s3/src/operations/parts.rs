//! Parts: uploaded, copied in, listed.

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{BlobRef, Order, Range};

use crate::control::outposts::place;
use crate::directory;
use crate::error::{Error, Result};
use crate::ingest::{Expected, Keeping, digest_stored, ingest};
use crate::model::checksum::Algorithm;
use crate::model::conditions::ReadConditions;
use crate::model::encryption::{Encryption, GivenKey, check_read, given_key, show_encryption, source_key};
use crate::model::{lock, names};
use crate::objects::{self, scope};
use crate::operations::checksums::{self, given, show};
use crate::operations::list::{Owners, max_entries, part_marker};
use crate::operations::multipart::{self, MAX_PARTS};
use crate::operations::{copy, get, put};
use crate::sealing::Secret;
use crate::service::S3;
use crate::store::{ChecksumType, Content, PARTS, Part, Upload};
use crate::versions;

fn part_number(number: i32) -> Result<u64> {
    u64::try_from(number)
        .ok()
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| Error::invalid_argument("partNumber", number.to_string(), names::PART_NUMBER_BOUNDS))
}

/// Which upload a part belongs to.
struct Place<'a> {
    bucket: &'a str,
    key: &'a str,
    upload_id: &'a str,
    owner: Option<&'a str>,
}

async fn find_upload(s3: &S3, cx: &Context, place: &Place<'_>) -> Result<Upload> {
    let scope = scope(cx);
    s3.store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, place.bucket, place.owner)?;
            multipart::upload(snapshot, &scope, &bucket, place.key, place.upload_id)
        })
        .await
}

/// Keeps a part in place of an earlier one of the same number.
async fn keep(s3: &S3, cx: &Context, place: &Place<'_>, number: u64, part: Part, blob: BlobRef) -> Result<()> {
    let scope = scope(cx);
    let kept = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, place.bucket, place.owner)?;
            multipart::upload(tx, &scope, &bucket, place.key, place.upload_id)?;
            let before = tx.get(&PARTS, &scope, &(place.upload_id, number))?;
            let replaced = match before {
                Some(before) => objects::release(tx, &scope, &before.content)?,
                None => None,
            };
            tx.keep_blob(&scope, &blob)?;
            tx.put(&PARTS, &scope, &(place.upload_id, number), &part)?;
            Ok::<_, Error>(replaced)
        })
        .await;
    match kept {
        Ok(replaced) => {
            s3.free(replaced);
            Ok(())
        }
        Err(error) => {
            s3.free([blob]);
            Err(error)
        }
    }
}

/// The algorithm that the upload's parts are checked and kept with.
fn algorithm_of(upload: &Upload) -> Option<Algorithm> {
    upload.checksum_algorithm.as_deref().and_then(Algorithm::parse)
}

/// A part's checksum is by the upload's algorithm, and each must come with one that a checksum of checksums is made of.
fn check_algorithm(upload: &Upload, asked: Option<Algorithm>) -> Result<()> {
    let Some(own) = algorithm_of(upload) else { return Ok(()) };
    let is_right = match asked {
        Some(asked) => asked == own,
        None => upload.checksum_type != Some(ChecksumType::Composite),
    };
    if is_right {
        return Ok(());
    }
    let name = |algorithm: Algorithm| algorithm.as_str().to_ascii_lowercase();
    Err(Error::invalid_request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        name(own),
        asked.map_or_else(|| "null".to_owned(), name)
    )))
}

/// Every part of an upload under a customer's key comes with that key, and of another with none. Gives the key where it is
/// what seals the part.
fn check_part_key(upload: &Upload, given: GivenKey<'_>) -> Result<Option<Secret>> {
    let is_customers = matches!(upload.encryption(), Some(Encryption::Customer { .. }));
    match (is_customers, given.check()?) {
        (true, None) => Err(Error::invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
        )),
        (false, Some(_)) => Err(Error::invalid_request(
            "The multipart upload initiate did not request encryption. Please resend the request without specifying encryption parameters.",
        )),
        (false, None) => Ok(None),
        (true, Some(_)) => check_read(upload.encryption(), given).map_err(|_| {
            Error::invalid_request("The provided encryption parameters did not match the ones used originally.")
        }),
    }
}

/// What a part is sealed with. Whoever adds one to an upload under a key of KMS needs its data key opened, by their own
/// permission.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>
async fn secret_of_part(s3: &S3, cx: &Context, upload: &Upload, given: GivenKey<'_>) -> Result<Option<Secret>> {
    let customers = check_part_key(upload, given)?;
    Ok(s3.keys.open(cx, upload.encryption()).await?.or(customers))
}

/// A part's entity tag is its digest where that of a whole object would be.
fn etag(cx: &Context, bucket: &str, upload: &Upload, md5: &[u8; 16]) -> String {
    if upload.encryption().is_some() || directory::is_directory(bucket) {
        return objects::opaque_etag(cx.random());
    }
    format!("\"{}\"", hex::encode(md5))
}

pub async fn upload(s3: &S3, cx: &Context, input: api::UploadPartInput) -> Result<api::UploadPartOutput> {
    let number = part_number(input.part_number)?;
    let place = Place {
        bucket: &input.bucket,
        key: &input.key,
        upload_id: &input.upload_id,
        owner: input.expected_bucket_owner.as_deref(),
    };
    let upload = find_upload(s3, cx, &place).await?;
    let secret = secret_of_part(s3, cx, &upload, given_key!(input)).await?;
    let asked = checksums::expected(cx, given!(input), input.checksum_algorithm.as_ref().map(|name| name.as_str()))?;
    let asked_algorithm = asked.as_ref().map(|(algorithm, _)| *algorithm);
    check_algorithm(&upload, asked_algorithm)?;
    let has_digest = asked.is_some() || input.content_md5.is_some();
    if !has_digest && upload.extras.as_ref().is_some_and(|extras| extras.is_locked()) {
        return Err(lock::needs_digest("Put Part"));
    }
    let expected = Expected {
        content_md5: input.content_md5.clone(),
        checksum: asked.or_else(|| algorithm_of(&upload).map(|algorithm| (algorithm, None))),
        // The whole will have the default one, by whatever each part is held against.
        besides: algorithm_of(&upload).is_none().then_some(Algorithm::Crc64Nvme),
        decoded_length: put::decoded_length(cx),
    };
    let keeping = Keeping::new(&s3.store, s3.config.small_object_bytes).sealed(secret.as_ref(), cx.random())?;
    let ingested = ingest(keeping, input.body, &expected).await?;
    s3.body_has_come(cx);
    let part = Part {
        size: ingested.size,
        etag: etag(cx, place.bucket, &upload, &ingested.md5),
        last_modified: cx.now().to_millis_precision(),
        content: Content::Blob(ingested.blob.clone()),
        checksum: Some(ingested.besides.unwrap_or_else(|| ingested.checksum.clone())),
    };
    keep(s3, cx, &place, number, part.clone(), ingested.blob).await?;
    let mut output = api::UploadPartOutput { e_tag: Some(part.etag), ..Default::default() };
    show_encryption!(output, upload.encryption());
    // What nobody asked for is not told of.
    if asked_algorithm.is_some() || upload.checksum_algorithm.is_some() {
        show!(output, Some(&ingested.checksum));
    }
    Ok(output)
}

/// UploadPartCopy: a part whose bytes are there already, in another object; none are moved unless they are sealed, or are
/// to be.
pub async fn upload_copy(s3: &S3, cx: &Context, input: api::UploadPartCopyInput) -> Result<api::UploadPartCopyOutput> {
    let number = part_number(input.part_number)?;
    let place = Place {
        bucket: &input.bucket,
        key: &input.key,
        upload_id: &input.upload_id,
        owner: input.expected_bucket_owner.as_deref(),
    };
    let upload = find_upload(s3, cx, &place).await?;
    let from = copy::source_of(cx, &input.copy_source)?;
    let secret = secret_of_part(s3, cx, &upload, given_key!(input)).await?;
    let target = from.target(input.expected_source_bucket_owner.as_deref());
    let (source, readable) = get::source(s3, cx, target, source_key!(input)).await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check_copy_source(&source.etag, source.last_modified)?;
    let bytes = match input.copy_source_range.as_deref() {
        None => 0..source.size,
        Some(header) => copy_range(header, source.size)?,
    };
    let algorithm = algorithm_of(&upload).unwrap_or(Algorithm::Crc64Nvme);
    let (blob, md5, checksum) = if secret.is_none() && !readable.is_sealed() {
        let (md5, checksum) = digest_stored(s3, &readable, bytes.clone(), algorithm).await?;
        (readable.into_blob().slice(bytes.clone()), md5, checksum)
    } else {
        let keeping = Keeping::new(&s3.store, s3.config.small_object_bytes).sealed(secret.as_ref(), cx.random())?;
        let expected = Expected { checksum: Some((algorithm, None)), ..Expected::default() };
        let body = readable.into_body(s3, bytes.start, bytes.end);
        let ingested = ingest(keeping, body, &expected).await?;
        (ingested.blob, ingested.md5, ingested.checksum)
    };
    let part = Part {
        size: bytes.end - bytes.start,
        etag: etag(cx, place.bucket, &upload, &md5),
        last_modified: cx.now().to_millis_precision(),
        content: Content::Blob(blob.clone()),
        checksum: Some(checksum),
    };
    keep(s3, cx, &place, number, part.clone(), blob).await?;
    // Of a bucket that keeps versions, the one without an id of its own is told of as well.
    let from_version = s3
        .store
        .read(|snapshot| -> Result<_> {
            let bucket = objects::open(cx, snapshot, &scope(cx), &from.bucket, None)?;
            Ok(versions::shown_id(&bucket, &source))
        })
        .await?;
    let mut result =
        api::CopyPartResult { e_tag: Some(part.etag), last_modified: Some(part.last_modified), ..Default::default() };
    if upload.checksum_algorithm.is_some() {
        show!(result, &part.checksum);
    }
    let mut output = api::UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: from_version,
        ..Default::default()
    };
    show_encryption!(output, upload.encryption());
    Ok(output)
}

/// `bytes=first-last`, both given and inside the source.
fn copy_range(header: &str, size: u64) -> Result<std::ops::Range<u64>> {
    let invalid = || {
        Error::invalid_argument(
            "x-amz-copy-source-range",
            header,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten().ok_or_else(invalid)
    };
    let (first, last) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(invalid)?;
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(invalid());
    }
    if last >= size {
        return Err(Error::invalid_argument(
            "x-amz-copy-source-range",
            header,
            format!("Range specified is not valid for source object of size: {size}"),
        ));
    }
    Ok(first..last + 1)
}

pub async fn list(s3: &S3, cx: &Context, input: api::ListPartsInput) -> Result<api::ListPartsOutput> {
    let max = max_entries(input.max_parts, "max-parts")?;
    let after = part_marker(input.part_number_marker, "part-number-marker")?;
    let scope = scope(cx);
    let (owner, upload, mut parts) = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let upload = multipart::upload(snapshot, &scope, &bucket, &input.key, &input.upload_id)?;
            let range = Range::prefix(&(input.upload_id.as_str(),)).after(&(input.upload_id.as_str(), after));
            let page = snapshot.range(&PARTS, &scope, range, Order::Ascending)?.take(max + 1);
            let parts: Vec<(u64, Part)> = page
                .map(|entry| entry.map(|((_, number), part)| (number, part)).map_err(Error::from))
                .collect::<Result<_>>()?;
            let owners = Owners::of(snapshot, &scope, &bucket)?;
            let owner = owners.shown(upload.extras.as_ref().and_then(|extras| extras.owner()));
            Ok::<_, Error>((owner, upload, parts))
        })
        .await?;
    let is_truncated = parts.len() > max;
    parts.truncate(max);
    let next = parts.last().map_or(0, |(number, _)| *number as i32);
    let shown = parts.into_iter().map(|(number, part)| {
        let mut shown = api::Part {
            part_number: Some(number as i32),
            last_modified: Some(part.last_modified),
            e_tag: Some(part.etag),
            size: Some(part.size as i64),
            ..Default::default()
        };
        if upload.checksum_algorithm.is_some() {
            show!(shown, &part.checksum);
        }
        shown
    });
    let shown: Vec<api::Part> = shown.collect();
    Ok(api::ListPartsOutput {
        bucket: Some(place::shown(input.bucket)),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(after as i32),
        next_part_number_marker: Some(next),
        max_parts: Some(max as i32),
        is_truncated: Some(is_truncated),
        parts: Some(shown),
        initiator: Some(api::Initiator { id: Some(upload.initiator.clone()), display_name: None }),
        owner: Some(owner),
        storage_class: Some(upload.storage_class.as_deref().unwrap_or("STANDARD").into()),
        checksum_algorithm: upload.checksum_algorithm.as_deref().map(Into::into),
        checksum_type: upload.checksum_type.map(checksums::shown_type),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_range_has_both_ends_within_its_source() {
        assert_eq!(copy_range("bytes=0-4", 5).unwrap(), 0..5);
        assert_eq!(copy_range("bytes=2-2", 5).unwrap(), 2..3);
        for refused in [
            "0-2",
            "bytes=0",
            "bytes=-2",
            "bytes=2-",
            "bytes=3-1",
            "bytes=a-b",
            "bytes=0-2,3-4",
            "bytes=+0-2",
            "bytes=0-5",
            "bytes=5-6",
        ] {
            assert!(copy_range(refused, 5).is_err(), "{refused}");
        }
    }
}
