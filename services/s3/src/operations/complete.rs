//! Multipart uploads: completed. No byte is moved.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use std::time::Duration;

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{BlobRef, Collection, Scope, Transaction};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::extras::{Extras, default_retention};
use crate::model::checksum::{self, Algorithm, PartChecksum};
use crate::model::conditions::WriteConditions;
use crate::model::encryption::Encryption;
use crate::model::names;
use crate::notify::Happening;
use crate::objects::{self, NewContent, NewObject, scope};
use crate::operations::checksums::{self, given, show};
use crate::operations::multipart::{MAX_PARTS, all_parts, drop_parts, upload};
use crate::operations::put;
use crate::service::S3;
use crate::store::{
    Bucket, Checksum, ChecksumType, CompletedPart, Content, Object, ObjectHeaders, Part, UPLOADS, Upload,
};

/// A part as the completing request names it.
struct Named {
    number: u64,
    etag: String,
    checksum: Option<(Algorithm, String)>,
}

fn named_parts(input: &api::CompleteMultipartUploadInput) -> Result<Vec<Named>> {
    let upload = input.multipart_upload.as_ref();
    let given = upload.ok_or_else(|| Error::invalid_request("You must specify at least one part"))?.parts.as_ref();
    let given = given.filter(|parts| !parts.is_empty()).ok_or(Error::MalformedXml)?;
    let mut named: Vec<Named> = Vec::with_capacity(given.len());
    for part in given {
        let number = part.part_number.and_then(|number| u64::try_from(number).ok()).ok_or(Error::MalformedXml)?;
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(Error::invalid_argument("partNumber", number.to_string(), names::PART_NUMBER_BOUNDS));
        }
        if named.last().is_some_and(|before| before.number >= number) {
            return Err(Error::InvalidPartOrder { upload_id: input.upload_id.clone() });
        }
        let checksum = given!(part).pop();
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
            let at = (bucket.id, input.key.as_str(), input.upload_id.as_str());
            // Whoever did not hear that it was done asks again, and is told the same.
            if let Some(before) = tx.get(&COMPLETED, &scope, &at)?.filter(|before| before.parts == digest_of(&named)) {
                return Ok((before.object, before.stored, Vec::new(), Vec::new()));
            }
            let upload = upload(tx, &scope, &bucket, &input.key, &input.upload_id)?;
            check_kind(&upload, input.checksum_type.as_ref())?;
            let parts = all_parts(tx, &scope, &input.upload_id)?;
            check_part_checksums(&upload, &named)?;
            let chosen = choose(
                &named,
                &parts,
                &input.upload_id,
                upload.checksum_algorithm.is_some(),
                s3.config.min_part_bytes,
            )?;
            let (mut object, blob) = assemble(&upload, &named, &chosen)?;
            if let Some(size) = input.mpu_object_size
                && u64::try_from(size) != Ok(object.size)
            {
                return Err(Error::invalid_request(format!(
                    "The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {}",
                    object.size
                )));
            }
            check_whole(&upload, &object, whole_checksum.as_ref())?;
            let content = NewContent::Blob(blob);
            retain_by_default(tx, &scope, &bucket, &mut object, now)?;
            let mut new = NewObject { key: input.key.clone(), content, object, wanted: None };
            let put = objects::put(tx, s3, &scope, &bucket, &mut new, &conditions, &happening)?;
            tx.delete(&UPLOADS, &scope, &at)?;
            let mut freed = drop_parts(tx, &scope, &input.upload_id, &parts)?;
            freed.extend(put.freed);
            let stored = put::Stored::of(tx, &scope, &bucket, &new.key, &new.object)?;
            let done = Completed::of(&named, &new.object, &stored);
            tx.put_until(&COMPLETED, &scope, &at, &done, now.plus(COMPLETED_KEPT))?;
            Ok((new.object, stored, freed, put.sent))
        })
        .await?;
    s3.changed(&object);
    s3.free(freed);
    let bucket = place::shown(input.bucket);
    let location = format!("{}/{bucket}/{}", cx.endpoint(), input.key);
    let mut output = api::CompleteMultipartUploadOutput {
        location: Some(location),
        bucket: Some(bucket),
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

/// How long it is known that an upload was completed. AWS does not say how long it knows.
const COMPLETED_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What is known of an upload that was completed: (bucket id, key, upload id).
const COMPLETED: Collection<(u64, String, String), Completed> = Collection::new("completed-uploads");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Completed {
    /// A digest of the parts that were named.
    parts: [u8; 16],
    /// What the answer says of the object; its bytes are not among it.
    object: Object,
    stored: put::Stored,
}

impl Completed {
    fn of(named: &[Named], object: &Object, stored: &put::Stored) -> Self {
        let object = Object {
            content: Content::Empty,
            parts: Vec::new(),
            headers: ObjectHeaders::default(),
            tags: Vec::new(),
            ..object.clone()
        };
        Completed { parts: digest_of(named), object, stored: stored.clone() }
    }
}

fn digest_of(named: &[Named]) -> [u8; 16] {
    let mut digest = Md5::new();
    for part in named {
        digest.update(part.number.to_be_bytes());
        digest.update(part.etag.trim_matches('"'));
        digest.update([0]);
    }
    digest.finalize().into()
}

/// The kind of checksum that the completing request names is the one that the upload was begun with.
fn check_kind(upload: &Upload, asked: Option<&api::ChecksumType>) -> Result<()> {
    let own = upload.checksum_type.unwrap_or(Algorithm::Crc64Nvme.default_multipart_type());
    let own = checksums::shown_type(own);
    match asked {
        Some(asked) if *asked != own => Err(Error::invalid_request(format!(
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            own.as_str()
        ))),
        _ => Ok(()),
    }
}

/// A checksum of checksums is made of those that the completing request repeats.
fn check_part_checksums(upload: &Upload, named: &[Named]) -> Result<()> {
    let (Some(algorithm), Some(ChecksumType::Composite)) = (&upload.checksum_algorithm, upload.checksum_type) else {
        return Ok(());
    };
    match named.iter().find(|part| part.checksum.is_none()) {
        Some(part) => Err(Error::invalid_request(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
            algorithm.to_ascii_lowercase(),
            part.number
        ))),
        None => Ok(()),
    }
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
fn choose<'p>(
    named: &[Named],
    parts: &'p [(u64, Part)],
    upload_id: &str,
    is_declared: bool,
    min_bytes: u64,
) -> Result<Vec<&'p Part>> {
    let mut chosen = Vec::with_capacity(named.len());
    for wanted in named {
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
        // What a part of an upload without an algorithm was held against as it came is not kept.
        let differs = |(algorithm, value): &(Algorithm, String)| match &part.checksum {
            Some(own) if own.algorithm == *algorithm => own.value != *value,
            _ => is_declared,
        };
        if wanted.checksum.as_ref().is_some_and(differs) {
            return Err(missing());
        }
        chosen.push(part);
    }
    // Of a part that is missing that is said, however small another one is.
    let all_but_last = chosen.len().saturating_sub(1);
    match chosen[..all_but_last].iter().zip(named).find(|(part, _)| part.size < min_bytes) {
        Some((part, wanted)) => Err(Error::EntityTooSmall {
            size: part.size,
            min: min_bytes,
            part_number: wanted.number as u32,
            etag: part.etag.trim_matches('"').to_owned(),
        }),
        None => Ok(chosen),
    }
}

/// The object that the parts make: no byte is moved. Its entity tag is of the parts' digests, and it is as old as its upload.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#SysMetadata>
fn assemble(upload: &Upload, named: &[Named], chosen: &[&Part]) -> Result<(Object, BlobRef)> {
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
        last_modified: upload.initiated_at.to_millis_precision(),
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

/// Holds the whole against the checksum that the completing request gives. Of an upload that named no algorithm those that
/// there were from the beginning are not looked at, and newer ones refused.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
fn check_whole(upload: &Upload, object: &Object, given: Option<&(Algorithm, String)>) -> Result<()> {
    use Algorithm::{Crc32, Crc32c, Sha1, Sha256};
    let (Some((algorithm, value)), Some(own)) = (given, &object.checksum) else { return Ok(()) };
    let name = algorithm.as_str().to_ascii_lowercase();
    if upload.checksum_algorithm.is_none() && own.algorithm != *algorithm {
        return match algorithm {
            Crc32 | Crc32c | Sha1 | Sha256 => Ok(()),
            _ => Err(Error::invalid_request(format!("Value for x-amz-checksum-{name} header is invalid."))),
        };
    }
    if own.algorithm != *algorithm || own.value != *value {
        return Err(Error::other(
            "BadDigest",
            400,
            format!("The {name} you specified did not match the calculated checksum."),
        ));
    }
    Ok(())
}
