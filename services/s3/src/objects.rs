//! What all operations on objects share: finding buckets, reading contents, putting and removing objects together with
//! their bytes and the events that tell of it.

use bytes::Bytes;
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_store::{BlobRef, Scope, Snapshot, Transaction};
use fractus_wire::{BodyError, ByteStream, Failure};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::error::{Error, Result};
use crate::model::conditions::WriteConditions;
use crate::notify::{Happening, announce};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, CONTENTS, Content, OBJECTS, Object, REPLACED, Replaced};

/// Where buckets and objects live for this caller.
pub fn scope(cx: &Context) -> Scope {
    Scope::partition(&cx.world)
}

/// The bucket of this name, checked against the owner that the caller expects.
pub fn bucket(snapshot: &Snapshot<'_>, scope: &Scope, name: &str, expected_owner: Option<&str>) -> Result<Bucket> {
    let found = snapshot.get(&BUCKETS, scope, &(name,))?;
    let bucket = found.ok_or_else(|| Error::NoSuchBucket { bucket: name.to_owned() })?;
    match expected_owner {
        Some(owner) if owner != bucket.account => Err(Error::AccessDenied),
        _ => Ok(bucket),
    }
}

/// The current object of a key.
pub fn object(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str) -> Result<Object> {
    let found = snapshot.get(&OBJECTS, scope, &(bucket.id, key))?;
    found.ok_or_else(|| Error::NoSuchKey { key: key.to_owned() })
}

/// A version can be named only where versions are kept; `null` is the one that every object has.
pub fn check_version(version_id: Option<&str>, key: &str) -> Result<()> {
    match version_id {
        None | Some("null") => Ok(()),
        Some(version_id) => Err(Error::NoSuchVersion { key: key.to_owned(), version_id: version_id.to_owned() }),
    }
}

/// Bytes that are ready to be kept, and not yet referred to by anything.
#[derive(Clone, Debug)]
pub enum NewContent {
    Empty,
    /// Under the id that they will have.
    Small(u64, Bytes),
    Blob(BlobRef),
}

impl NewContent {
    /// Bytes that stay in the reference go beside the record, everything else stays where it is.
    pub fn of_blob(blob: BlobRef, id: u64) -> Self {
        match blob.as_inline() {
            Some(bytes) if bytes.is_empty() => NewContent::Empty,
            Some(bytes) => NewContent::Small(id, bytes.clone()),
            None => NewContent::Blob(blob),
        }
    }

    /// Keeps the bytes in the transaction that writes their record, in place of those that the record had. Gives the
    /// blob whose room may now be free.
    pub fn keep(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        replaced: Option<&Content>,
    ) -> Result<(Content, Option<BlobRef>)> {
        // Small bytes take the place of small bytes: nobody else refers to it, and who reads it has a snapshot.
        if let (NewContent::Small(_, bytes), Some(Content::Small { id })) = (self, replaced) {
            tx.put(&CONTENTS, scope, &(*id,), bytes)?;
            return Ok((Content::Small { id: *id }, None));
        }
        let freed = match replaced {
            Some(replaced) => release(tx, scope, replaced)?,
            None => None,
        };
        let content = match self {
            NewContent::Empty => Content::Empty,
            NewContent::Small(id, bytes) => {
                tx.put(&CONTENTS, scope, &(*id,), bytes)?;
                Content::Small { id: *id }
            }
            NewContent::Blob(blob) => {
                tx.keep_blob(scope, blob)?;
                Content::Blob(blob.clone())
            }
        };
        Ok((content, freed))
    }
}

/// Lets go of bytes whose record is removed or replaced; gives the blob whose room may now be free.
pub fn release(tx: &mut Transaction<'_>, scope: &Scope, content: &Content) -> Result<Option<BlobRef>> {
    Ok(match content {
        Content::Empty => None,
        Content::Small { id } => {
            tx.delete(&CONTENTS, scope, &(*id,))?;
            None
        }
        Content::Blob(blob) => {
            tx.release_blob(scope, blob)?;
            Some(blob.clone())
        }
    })
}

/// The bytes of an object as a body can carry them.
pub enum Readable {
    Bytes(Bytes),
    Blob(BlobRef),
}

/// Finds an object's bytes in the same snapshot as its record.
pub fn readable(snapshot: &Snapshot<'_>, scope: &Scope, content: &Content) -> Result<Readable> {
    Ok(match content {
        Content::Empty => Readable::Bytes(Bytes::new()),
        Content::Small { id } => Readable::Bytes(snapshot.get(&CONTENTS, scope, &(*id,))?.unwrap_or_default()),
        Content::Blob(blob) => Readable::Blob(blob.clone()),
    })
}

impl Readable {
    /// As a blob reference: what a copy keeps.
    pub fn into_blob(self) -> BlobRef {
        match self {
            Readable::Bytes(bytes) => BlobRef::inline(bytes),
            Readable::Blob(blob) => blob,
        }
    }

    /// The bytes `from..to` as a body.
    pub fn into_body(self, s3: &S3, from: u64, to: u64) -> ByteStream {
        match self {
            Readable::Bytes(bytes) => {
                let end = usize::try_from(to).unwrap_or(usize::MAX).min(bytes.len());
                let start = usize::try_from(from).unwrap_or(usize::MAX).min(end);
                ByteStream::Whole(bytes.slice(start..end))
            }
            Readable::Blob(blob) => {
                let reading = s3.readers.begin(&blob);
                let stream = s3.store.blobs().read(&blob, from..to).map(move |chunk| {
                    let _held = &reading;
                    let unreadable = |error: fractus_store::StoreError| {
                        tracing::error!(error = &error as &dyn std::error::Error, "stored bytes could not be read");
                        BodyError::Refused(Box::new(Failure::internal("We encountered an internal error.")))
                    };
                    chunk.map(Frame::data).map_err(unreadable)
                });
                ByteStream::from_body(StreamBody::new(stream), Some(to - from))
            }
        }
    }
}

/// An object on its way in.
#[derive(Clone, Debug)]
pub struct NewObject {
    pub key: String,
    pub content: NewContent,
    /// Its content and sequencer are filled in when it is put.
    pub object: Object,
}

/// What putting or removing an object came to; to be returned from the transaction.
#[must_use]
pub struct Changed {
    /// The bytes that were let go.
    pub freed: Option<BlobRef>,
    /// The notifications of it.
    pub sent: Vec<Handoff>,
}

/// Puts an object in place of what is there, and tells who wants to know, in one transaction.
pub fn put(
    tx: &mut Transaction<'_>,
    s3: &S3,
    scope: &Scope,
    bucket: &Bucket,
    new: &mut NewObject,
    conditions: &WriteConditions,
    happening: &Happening<'_>,
) -> Result<Changed> {
    let before = tx.get(&REPLACED, scope, &(bucket.id, new.key.as_str()))?;
    conditions.check(before.as_ref().map(|before| before.etag.as_str()), &new.key)?;
    let (content, freed) = new.content.keep(tx, scope, before.as_ref().map(|before| &before.content))?;
    let object = &mut new.object;
    object.content = content;
    object.sequencer = next_sequencer(before.as_ref(), object.last_modified);
    tx.put(&OBJECTS, scope, &(bucket.id, new.key.as_str()), object)?;
    let sent = announce(tx, s3, bucket, &new.key, Some(object), object.sequencer, happening)?;
    Ok(Changed { freed, sent })
}

/// Removes an object; says what was there. Removing nothing is no error and no event.
pub fn remove(
    tx: &mut Transaction<'_>,
    s3: &S3,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    now: Timestamp,
    happening: &Happening<'_>,
) -> Result<Changed> {
    let Some(before) = tx.get(&REPLACED, scope, &(bucket.id, key))? else {
        return Ok(Changed { freed: None, sent: Vec::new() });
    };
    let freed = release(tx, scope, &before.content)?;
    tx.delete(&OBJECTS, scope, &(bucket.id, key))?;
    let sent = announce(tx, s3, bucket, key, None, next_sequencer(Some(&before), now), happening)?;
    Ok(Changed { freed, sent })
}

/// Rises with every write of a key, whatever the clock does.
fn next_sequencer(before: Option<&Replaced>, now: Timestamp) -> u64 {
    let by_time = u64::try_from(now.micros()).unwrap_or(0);
    before.map_or(by_time, |before| by_time.max(before.sequencer + 1))
}
