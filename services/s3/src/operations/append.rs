//! PutObject at the end of an object that is there: what directory buckets alone can do. No byte of the object is moved.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html>

use fractus_host::Context;
use fractus_store::BlobRef;
use fractus_wire::ByteStream;

use crate::directory;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::ingest::{Ingested, Keeping, ingest};
use crate::model::checksum::{self, PartChecksum};
use crate::model::encryption::Encryption;
use crate::notify::Happening;
use crate::objects::{self, NewContent, NewObject, opaque_etag, scope};
use crate::operations::multipart::MAX_PARTS;
use crate::operations::put::{self, Request, Stored};
use crate::service::S3;
use crate::store::{Checksum, ChecksumType, CompletedPart, Content, OBJECTS, Object};

const HEADER: &str = "x-amz-write-offset-bytes";

fn wrong_offset() -> Error {
    let message = "The write offset value that you specified does not match the current object size.";
    Error::other("InvalidWriteOffset", 400, message)
}

/// Writes at `offset`, which is where the object ends; at 0 where there is none yet. Gives the size that the object has then.
pub async fn append(
    s3: &S3,
    cx: &Context,
    mut request: Request,
    offset: i64,
    body: ByteStream,
) -> Result<(Object, Stored)> {
    if !directory::is_directory(&request.bucket) {
        return Err(Error::NotImplemented { header: HEADER.into() });
    }
    let negative = || Error::invalid_argument(HEADER, offset.to_string(), "The write offset must not be negative.");
    let offset = u64::try_from(offset).map_err(|_| negative())?;
    let scope = scope(cx);
    let found = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, &request.bucket, request.owner.as_deref())?;
            let Some(object) = snapshot.get(&OBJECTS, &scope, &(bucket.id, request.key.as_str()))? else {
                return Ok(None);
            };
            let bytes = objects::readable(snapshot, &scope, &object.content)?.into_blob();
            Ok::<_, Error>(Some((object, bytes)))
        })
        .await?;
    let Some((before, bytes)) = found else {
        return if offset == 0 {
            put::store_object(s3, cx, Box::new(request), body).await
        } else {
            Err(wrong_offset())
        };
    };
    check(&before, offset, &request.wanted)?;
    let secret = s3.keys.open(cx, before.encryption()).await?;
    if request.expected.checksum.is_none() {
        // By the object's own algorithm, so that its checksum goes on being of the whole.
        request.expected.checksum = before.checksum.as_ref().map(|checksum| (checksum.algorithm, None));
    }
    let small_bytes = s3.config.small_object_bytes;
    let stays_small = body.length_bytes().is_some_and(|length| offset + length <= small_bytes as u64);
    let keeping = Keeping::new(&s3.store, if stays_small { small_bytes } else { 0 });
    let keeping = keeping.sealed(secret.as_ref(), cx.random())?;
    let ingested = ingest(keeping, body, &request.expected).await?;
    s3.body_has_come(cx);
    let added = ingested.blob.clone();
    let whole = BlobRef::concat([&bytes, &added]);
    let now = cx.now().to_millis_precision();
    let object = Object { last_modified: now, etag: opaque_etag(cx.random()), ..grown(&before, ingested) };
    let content = NewContent::of_blob(whole, cx.random().u64());
    let mut new = NewObject { key: request.key, content, object, wanted: None };
    let happening = Happening::new(cx, request.event, now);
    let put = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &request.bucket, request.owner.as_deref())?;
            let current = tx.get(&OBJECTS, &scope, &(bucket.id, new.key.as_str()))?;
            if current.as_ref().is_none_or(|current| current.sequencer != before.sequencer) {
                // Somebody was faster. Whoever appends says where, and has to look again.
                return Err(wrong_offset());
            }
            let put = objects::put(tx, s3, &scope, &bucket, &mut new, &request.conditions, &happening)?;
            Ok((put, Stored::of(tx, &scope, &bucket, &new.key, &new.object)?))
        })
        .await;
    match put {
        Ok((put, stored)) => {
            s3.free(put.freed);
            Ok((new.object, stored))
        }
        Err(error) => {
            s3.free([added]);
            Err(error)
        }
    }
}

/// Whether something may be added to this object.
fn check(before: &Object, offset: u64, wanted: &Wanted) -> Result<()> {
    if offset != before.size {
        return Err(wrong_offset());
    }
    if before.parts.len() as u64 >= MAX_PARTS {
        let message = "You have attempted to add more parts than the maximum of 10000 that are allowed for this object. You can use the CopyObject operation to copy this object to another and then add more data to the newly copied object.";
        return Err(Error::other("TooManyParts", 400, message));
    }
    let own = match before.encryption() {
        None => "AES256",
        Some(Encryption::Kms { algorithm, .. }) => algorithm,
        Some(Encryption::Customer { .. }) => "",
    };
    let asked = wanted.encryption.algorithm.as_deref().unwrap_or(own);
    if asked != own || wanted.encryption.customer.is_some() {
        let message = "The existing object was created with a different encryption type. Subsequent write requests must include the appropriate encryption parameters in the request or while creating the session.";
        return Err(Error::other("EncryptionTypeMismatch", 400, message));
    }
    Ok(())
}

/// The object with a part more. What it was before is a part, too, where it came whole.
fn grown(before: &Object, added: Ingested) -> Object {
    let mut object = Object { content: Content::Empty, ..before.clone() };
    if object.parts.is_empty() && before.size > 0 {
        object.parts.push(CompletedPart { number: 1, size: before.size, checksum: before.checksum.clone() });
    }
    let number = object.parts.last().map_or(0, |part| part.number) + 1;
    object.checksum = joined(before, &added.checksum, added.size);
    object.size += added.size;
    object.parts.push(CompletedPart { number, size: added.size, checksum: Some(added.checksum) });
    object
}

/// The checksum of both: only CRCs can be joined, and only where both are of the same kind.
fn joined(before: &Object, added: &Checksum, added_bytes: u64) -> Option<Checksum> {
    if before.size == 0 {
        return Some(added.clone());
    }
    let own = before.checksum.as_ref()?;
    if own.algorithm != added.algorithm || own.kind != ChecksumType::FullObject {
        return None;
    }
    let parts = [
        PartChecksum { value: &own.value, size: before.size },
        PartChecksum { value: &added.value, size: added_bytes },
    ];
    checksum::of_parts(own.algorithm, ChecksumType::FullObject, &parts)
}
