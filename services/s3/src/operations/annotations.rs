//! Annotations: named payloads that hang on a version of an object and change without it.
//!
//! They are kept by the sequencer of their version, which no other version of the key has: what a version that has gone
//! leaves behind is out of reach at once, and its room is given back in the background.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations-overview.html>

use std::sync::Arc;

use bytes::Bytes;
use fractus_aws::{AccountId, Lane, Partition, World};
use fractus_clock::{Random, Timestamp};
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use fractus_wire::{ByteStream, Failure};
use serde::{Deserialize, Serialize};

use crate::directory::is_directory;
use crate::error::{Error, Result};
use crate::ingest::{Expected, Keeping, ingest};
use crate::keys;
use crate::model::encryption::Encryption;
use crate::model::notification::Detail;
use crate::notify::{Happening, announce};
use crate::objects::{self, scope};
use crate::operations::buckets::{decode_token, encode_token};
use crate::operations::checksums::{self, given, show};
use crate::operations::put::decoded_length;
use crate::sealing::{self, Secret};
use crate::service::S3;
use crate::store::{Bucket, Checksum, Object, REPLACED};
use crate::versions;

/// Annotations: (bucket id, key, the version's sequencer, name).
pub const ANNOTATIONS: Collection<(u64, String, u64, String), Annotation> = Collection::new("annotations");
/// Their payloads, under the same keys.
pub const PAYLOADS: Collection<(u64, String, u64, String), Bytes> = Collection::new("annotation-payloads");

const MAX_NAME_BYTES: usize = 512;
const MAX_PAYLOAD_BYTES: u64 = 1024 * 1024;
const MAX_ANNOTATIONS: usize = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Annotation {
    pub size: u64,
    /// Quoted, as on the wire.
    pub etag: String,
    pub last_modified: Timestamp,
    pub checksum: Checksum,
    /// Whether the payload lies sealed, as its object does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

fn failure(code: &'static str, status: u16, message: &str) -> Error {
    Error::Other(Box::new(Failure::new(code, status, message)))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > MAX_NAME_BYTES {
        return Err(failure("AnnotationNameTooLong", 400, "The annotation name is longer than 512 bytes."));
    }
    if name.is_empty() || name.chars().any(char::is_control) || name.starts_with("aws:") {
        return Err(failure("InvalidAnnotationName", 400, "The annotation name is not valid."));
    }
    Ok(())
}

fn no_annotation(name: &str) -> Error {
    let failure = Failure::new("NoSuchAnnotation", 404, "The specified annotation does not exist.");
    Error::Other(Box::new(failure.with_detail("AnnotationName", name.to_owned())))
}

/// Which version of which object.
#[derive(Clone, Copy)]
struct Of<'a> {
    bucket: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    owner: Option<&'a str>,
}

macro_rules! of {
    ($input:expr) => {
        Of {
            bucket: &$input.bucket,
            key: &$input.key,
            version_id: $input.version_id.as_deref(),
            owner: $input.expected_bucket_owner.as_deref(),
        }
    };
}

impl Of<'_> {
    fn find(&self, snapshot: &Snapshot<'_>, cx: &Context, scope: &Scope) -> Result<(Arc<Bucket>, Object)> {
        if is_directory(self.bucket) {
            return Err(Error::MethodNotAllowed { method: cx.method().to_string(), resource: "OBJECT" });
        }
        let bucket = objects::open(cx, snapshot, scope, self.bucket, self.owner)?;
        let object = versions::object(snapshot, scope, &bucket, self.key, self.version_id)?;
        Ok((bucket, object))
    }
}

fn check_if_match(wanted: Option<&str>, object: &Object) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != "*" && wanted.trim_matches('"') != object.etag.trim_matches('"') => {
            Err(Error::PreconditionFailed { condition: "x-amz-object-if-match" })
        }
        _ => Ok(()),
    }
}

/// An annotation's encryption is its object's.
fn shown_encryption(object: &Object) -> api::ServerSideEncryption {
    match object.encryption() {
        Some(Encryption::Kms { algorithm, .. }) => algorithm.as_str().into(),
        _ => api::ServerSideEncryption::Aes256,
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAnnotation.html>
pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutObjectAnnotationInput,
) -> Result<api::PutObjectAnnotationOutput> {
    let (of, name) = (of!(input), input.annotation_name.as_str());
    check_name(name)?;
    let expected = Expected {
        content_md5: input.content_md5.clone(),
        checksum: checksums::expected(cx, given!(input), input.checksum_algorithm.as_ref().map(|name| name.as_str()))?,
        besides: None,
        decoded_length: decoded_length(cx),
    };
    let (payload, ingested) = take_in(s3, input.annotation_payload, &expected).await?;
    let (scope, now) = (scope(cx), cx.now().to_millis_precision());
    let (_, seen) = s3.store.read(|snapshot| of.find(snapshot, cx, &scope)).await?;
    let secret = s3.keys.open(cx, seen.encryption()).await?;
    let payload = match &secret {
        Some(secret) => sealing::seal(secret, cx.random(), &payload)?,
        None => payload,
    };
    let annotation = Annotation {
        size: ingested.size,
        etag: ingested.etag(),
        last_modified: now,
        checksum: ingested.checksum,
        sealed: secret.is_some(),
    };
    let (version_id, encryption, _sent) = s3
        .store
        .write(|tx| {
            let (bucket, object) = of.find(tx, cx, &scope)?;
            check_if_match(input.object_if_match.as_deref(), &object)?;
            if matches!(object.encryption(), Some(Encryption::Customer { .. })) {
                let message = "Objects that are encrypted with a customer's key cannot have annotations.";
                return Err(Error::invalid_request(message));
            }
            if object.sequencer != seen.sequencer || object.encryption() != seen.encryption() {
                // It is sealed for an object that is not there any more.
                let key = of.key.to_owned();
                return Err(Error::ConditionalRequestConflict { condition: "x-amz-object-if-match", key });
            }
            let at = (bucket.id, of.key, object.sequencer, name);
            if !tx.contains(&ANNOTATIONS, &scope, &at)?
                && count(tx, &scope, &bucket, of.key, &object)? >= MAX_ANNOTATIONS
            {
                let message = "The request would exceed the number of annotations that an object may have.";
                return Err(failure("AnnotationLimitExceeded", 400, message));
            }
            tx.put(&ANNOTATIONS, &scope, &at, &annotation)?;
            tx.put(&PAYLOADS, &scope, &at, &payload)?;
            let put = Some((annotation.size, annotation.etag.clone()));
            let detail = Some(Detail::Annotation { name: name.to_owned(), put });
            let happening = Happening { detail, ..Happening::new(cx, "s3:ObjectAnnotation:Put", now) };
            let sequencer = objects::sequencer_of_change(&object, now);
            let sent = announce(tx, s3, &bucket, of.key, Some(&object), sequencer, &happening)?;
            Ok((versions::shown_id(&bucket, &object), shown_encryption(&object), sent))
        })
        .await?;
    let mut output = api::PutObjectAnnotationOutput {
        key: Some(input.key),
        annotation_name: Some(input.annotation_name),
        object_version_id: version_id,
        e_tag: Some(annotation.etag),
        checksum_type: Some(checksums::shown_type(annotation.checksum.kind)),
        server_side_encryption: Some(encryption),
        ..Default::default()
    };
    show!(output, Some(&annotation.checksum));
    Ok(output)
}

/// A payload is text of 1 byte to 1 MiB.
async fn take_in(s3: &S3, body: ByteStream, expected: &Expected) -> Result<(Bytes, crate::ingest::Ingested)> {
    let too_large = |size| Error::EntityTooLarge { size, max: MAX_PAYLOAD_BYTES };
    if let Some(size) = body.length_bytes().filter(|size| *size > MAX_PAYLOAD_BYTES) {
        return Err(too_large(size));
    }
    let ingested = ingest(Keeping::new(&s3.store, MAX_PAYLOAD_BYTES as usize), body, expected).await?;
    let payload = match ingested.blob.as_inline() {
        Some(payload) => payload.clone(),
        None if ingested.size > MAX_PAYLOAD_BYTES => {
            s3.free([ingested.blob]);
            return Err(too_large(ingested.size));
        }
        // Other uploads took the room to gather it in, so it went to a file.
        None => {
            let payload = s3.store.blobs().read_all(&ingested.blob).await;
            s3.free([ingested.blob.clone()]);
            payload?
        }
    };
    if payload.is_empty() {
        return Err(Error::invalid_request("The annotation payload must not be empty."));
    }
    if std::str::from_utf8(&payload).is_err() {
        return Err(failure("UnsupportedMediaType", 415, "The annotation payload must be valid UTF-8 text."));
    }
    Ok((payload, ingested))
}

fn count(tx: &Transaction<'_>, scope: &Scope, bucket: &Bucket, key: &str, object: &Object) -> Result<usize> {
    let range = Range::prefix(&(bucket.id, key, object.sequencer));
    let keys = tx.keys(&ANNOTATIONS, scope, range, Order::Ascending)?;
    keys.take(MAX_ANNOTATIONS).try_fold(0, |count, key| Ok(key.map(|_| count + 1)?))
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAnnotation.html>
pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectAnnotationInput,
) -> Result<api::GetObjectAnnotationOutput> {
    let (of, scope) = (of!(input), scope(cx));
    let (bucket, object, annotation, payload) = s3
        .store
        .read(|snapshot| {
            let (bucket, object) = of.find(snapshot, cx, &scope)?;
            let at = (bucket.id, of.key, object.sequencer, input.annotation_name.as_str());
            let annotation = snapshot.get(&ANNOTATIONS, &scope, &at)?;
            let annotation = annotation.ok_or_else(|| no_annotation(&input.annotation_name))?;
            let payload = snapshot.get(&PAYLOADS, &scope, &at)?.unwrap_or_default();
            Ok::<_, Error>((bucket, object, annotation, payload))
        })
        .await?;
    let payload = match annotation.sealed {
        true => {
            let secret = s3.keys.open(cx, object.encryption()).await?;
            sealing::unseal(&secret.ok_or_else(keys::unavailable)?, &payload)?
        }
        false => payload,
    };
    let mut output = api::GetObjectAnnotationOutput {
        annotation_payload: ByteStream::from(payload),
        object_version_id: versions::shown_id(&bucket, &object),
        last_modified: Some(annotation.last_modified.to_secs_precision()),
        content_length: Some(annotation.size as i64),
        e_tag: Some(annotation.etag),
        server_side_encryption: Some(shown_encryption(&object)),
        ..Default::default()
    };
    if input.checksum_mode.is_some() {
        show!(output, Some(&annotation.checksum));
        output.checksum_type = Some(checksums::shown_type(annotation.checksum.kind));
    }
    Ok(output)
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectAnnotations.html>
pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListObjectAnnotationsInput,
) -> Result<api::ListObjectAnnotationsOutput> {
    let (of, scope) = (of!(input), scope(cx));
    let max = input.max_annotation_results.unwrap_or(MAX_ANNOTATIONS as i32);
    if !(1..=MAX_ANNOTATIONS as i32).contains(&max) {
        let message = "Argument max-annotation-results must be an integer between 1 and 1000";
        return Err(Error::invalid_argument("max-annotation-results", max.to_string(), message));
    }
    let prefix = input.annotation_prefix.as_deref().unwrap_or_default();
    if prefix.len() > MAX_NAME_BYTES {
        return Err(failure("InvalidPrefix", 400, "The annotation prefix is not valid."));
    }
    let after = input.continuation_token.as_deref().map(decode_token).transpose()?;
    let (version_id, found, more) = s3
        .store
        .read(|snapshot| {
            let (bucket, object) = of.find(snapshot, cx, &scope)?;
            let mut range = Range::starts_with(&(bucket.id, of.key, object.sequencer, prefix));
            if let Some(after) = &after {
                range = range.after(&(bucket.id, of.key, object.sequencer, after.as_str()));
            }
            let mut found = Vec::new();
            for entry in snapshot.range(&ANNOTATIONS, &scope, range, Order::Ascending)?.take(max as usize + 1) {
                let ((_, _, _, name), annotation) = entry?;
                found.push((name, annotation));
            }
            let more = found.len() > max as usize;
            found.truncate(max as usize);
            Ok::<_, Error>((versions::shown_id(&bucket, &object), found, more))
        })
        .await?;
    let next = found.last().filter(|_| more).map(|(name, _)| encode_token(name));
    let entries: Vec<_> = found.into_iter().map(|(name, annotation)| shown(name, annotation)).collect();
    Ok(api::ListObjectAnnotationsOutput {
        annotation_count: Some(entries.len() as i32),
        annotations: Some(entries),
        bucket: Some(input.bucket),
        key: Some(input.key),
        object_version_id: version_id,
        annotation_prefix: input.annotation_prefix,
        max_annotation_results: Some(max),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        request_charged: None,
    })
}

fn shown(name: String, annotation: Annotation) -> api::AnnotationEntry {
    api::AnnotationEntry {
        annotation_name: name,
        last_modified: annotation.last_modified.to_secs_precision(),
        e_tag: Some(annotation.etag),
        checksum_algorithm: Some(vec![checksums::shown_algorithm(annotation.checksum.algorithm)]),
        size: annotation.size as i64,
        replication_status: None,
    }
}

/// Deleting what is not there is no error.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectAnnotation.html>
pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteObjectAnnotationInput,
) -> Result<api::DeleteObjectAnnotationOutput> {
    let (of, scope, now) = (of!(input), scope(cx), cx.now());
    let (version_id, _sent) = s3
        .store
        .write(|tx| {
            let (bucket, object) = of.find(tx, cx, &scope)?;
            check_if_match(input.object_if_match.as_deref(), &object)?;
            let at = (bucket.id, of.key, object.sequencer, input.annotation_name.as_str());
            let version_id = versions::shown_id(&bucket, &object);
            if !tx.contains(&ANNOTATIONS, &scope, &at)? {
                return Ok::<_, Error>((version_id, Vec::new()));
            }
            tx.delete(&ANNOTATIONS, &scope, &at)?;
            tx.delete(&PAYLOADS, &scope, &at)?;
            let detail = Some(Detail::Annotation { name: input.annotation_name.clone(), put: None });
            let happening = Happening { detail, ..Happening::new(cx, "s3:ObjectAnnotation:Delete", now) };
            let sequencer = objects::sequencer_of_change(&object, now);
            Ok((version_id, announce(tx, s3, &bucket, of.key, Some(&object), sequencer, &happening)?))
        })
        .await?;
    Ok(api::DeleteObjectAnnotationOutput { object_version_id: version_id, request_charged: None })
}

/// Whether a version has annotations.
pub fn has_any(snapshot: &Snapshot<'_>, scope: &Scope, (bucket, key, sequencer): Version<'_>) -> Result<bool> {
    let range = Range::prefix(&(bucket.id, key, sequencer));
    Ok(snapshot.keys(&ANNOTATIONS, scope, range, Order::Ascending)?.next().transpose()?.is_some())
}

/// Where a version's annotations hang: its bucket, its key, its sequencer.
pub type Version<'a> = (&'a Bucket, &'a str, u64);

/// What payloads were sealed with, what they are to be sealed with, and what makes it new.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    pub from: Option<&'a Secret>,
    pub to: Option<&'a Secret>,
    pub random: &'a Random,
}

/// A copy takes its source's annotations along, unless it is told not to; an object under another key its own. They lie
/// sealed as their object does.
pub fn carry(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    from: Version<'_>,
    to: Version<'_>,
    sealing: Sealing<'_>,
) -> Result<()> {
    let (source, key, sequencer) = from;
    let range = Range::prefix(&(source.id, key, sequencer));
    let found: Vec<_> = tx
        .range(&ANNOTATIONS, scope, range, Order::Ascending)?
        .take(MAX_ANNOTATIONS)
        .collect::<std::result::Result<_, _>>()?;
    for ((_, _, _, name), annotation) in found {
        let payload = tx.get(&PAYLOADS, scope, &(source.id, key, sequencer, name.as_str()))?.unwrap_or_default();
        let payload = match annotation.sealed {
            true => sealing::unseal(sealing.from.ok_or_else(keys::unavailable)?, &payload)?,
            false => payload,
        };
        let payload = match sealing.to {
            Some(secret) => sealing::seal(secret, sealing.random, &payload)?,
            None => payload,
        };
        let at = (to.0.id, to.1, to.2, name.as_str());
        tx.put(&ANNOTATIONS, scope, &at, &Annotation { sealed: sealing.to.is_some(), ..annotation })?;
        tx.put(&PAYLOADS, scope, &at, &payload)?;
    }
    Ok(())
}

/// How many annotations one look takes.
const AT_ONCE: usize = 500;

/// Gives back the room of annotations whose version has gone.
pub async fn sweep(s3: &S3) -> Result<()> {
    let spaces = s3.store.collections(0).await?;
    for space in spaces.into_iter().filter(|space| space.collection == ANNOTATIONS.name()) {
        let (Ok(lane), Some(partition)) = (Lane::new(&*space.lane), Partition::parse(&space.partition)) else {
            continue;
        };
        let scope = Scope::partition(&World { lane, partition, account: AccountId::default_account() });
        let mut after: Option<(u64, String, u64, String)> = None;
        loop {
            let (gone, last) = s3.store.read(|snapshot| orphans(snapshot, &scope, after.as_ref())).await?;
            if !gone.is_empty() {
                s3.store
                    .write(|tx| {
                        for (bucket, key, sequencer, name) in &gone {
                            let at = (*bucket, key.as_str(), *sequencer, name.as_str());
                            tx.delete(&ANNOTATIONS, &scope, &at)?;
                            tx.delete(&PAYLOADS, &scope, &at)?;
                        }
                        Ok::<_, Error>(())
                    })
                    .await?;
            }
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    Ok(())
}

type Place = (u64, String, u64, String);

/// Of a page of annotations those whose version is not there, and where the page ends.
fn orphans(snapshot: &Snapshot<'_>, scope: &Scope, after: Option<&Place>) -> Result<(Vec<Place>, Option<Place>)> {
    let mut range = Range::all();
    if let Some((bucket, key, sequencer, name)) = after {
        range = range.after(&(*bucket, key.as_str(), *sequencer, name.as_str()));
    }
    let (mut gone, mut last) = (Vec::new(), None);
    for place in snapshot.keys(&ANNOTATIONS, scope, range, Order::Ascending)?.take(AT_ONCE) {
        let (bucket, key, sequencer, name) = place?;
        let current = snapshot.get(&REPLACED, scope, &(bucket, key.as_str()))?;
        let is_current = current.is_some_and(|current| current.sequencer == sequencer);
        let older = (bucket, key.as_str(), versions::rank(sequencer));
        if !is_current && !snapshot.contains(&versions::VERSIONS, scope, &older)? {
            gone.push((bucket, key.clone(), sequencer, name.clone()));
        }
        last = Some((bucket, key, sequencer, name));
    }
    Ok((gone, last))
}
