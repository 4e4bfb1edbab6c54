//! What all operations on objects share: finding buckets, reading contents, putting and removing objects together with
//! their bytes and the events that tell of it.

use std::sync::Arc;

use bytes::Bytes;
use fractus_bus::outbox::Handoff;
use fractus_clock::{Random, Timestamp};
use fractus_host::Context;
use fractus_store::{BlobRef, Scope, Snapshot, Transaction};

use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::keys::Granted;
use crate::model::conditions::WriteConditions;
use crate::model::{lock, names};
use crate::notify::{Happening, announce};
use crate::permissions::canonical_user;
use crate::regions;
use crate::replication;
use crate::sealing;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, CONTENTS, Content, OBJECTS, Object, REPLACED, Replaced};
use crate::{directory, metadata, terms, versions};

pub use crate::readable::{Readable, readable, segments};

/// Where buckets and objects live for this caller.
pub fn scope(cx: &Context) -> Scope {
    Scope::partition(&cx.world)
}

/// The bucket of this name, checked against the owner that the caller expects.
pub fn bucket(snapshot: &Snapshot<'_>, scope: &Scope, name: &str, expected_owner: Option<&str>) -> Result<Bucket> {
    let bucket = snapshot.get(&BUCKETS, scope, &(name,))?.ok_or_else(|| no_bucket(name))?;
    match expected_owner {
        Some(owner) if owner != bucket.account => Err(another_owner(owner)),
        _ => Ok(bucket),
    }
}

#[cold]
fn no_bucket(name: &str) -> Error {
    // Of a bucket on an Outpost it is its own name.
    let bucket = place::shown(name.to_owned());
    if names::may_be_bucket(&bucket) { Error::NoSuchBucket { bucket } } else { Error::InvalidBucketName { bucket } }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
#[cold]
fn another_owner(expected: &str) -> Error {
    if expected.len() == 12 && expected.bytes().all(|byte| byte.is_ascii_digit()) {
        return Error::AccessDenied;
    }
    let message = format!("The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]");
    Error::other("InvalidBucketOwnerAWSAccountID", 400, message)
}

/// The bucket of this name for a request that is about the bucket itself.
pub fn own(
    cx: &Context,
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    name: &str,
    expected_owner: Option<&str>,
) -> Result<Bucket> {
    if place::is_hidden(cx, name) {
        return Err(Error::NoSuchBucket { bucket: name.to_owned() });
    }
    let bucket = bucket(snapshot, scope, name, expected_owner)?;
    regions::check(cx, &bucket)?;
    metadata::guard(cx, &bucket)?;
    Ok(bucket)
}

/// The bucket of this name for a request that reaches for what is in it, and meets its terms; shared, since such a request
/// changes nothing of its bucket.
pub fn open(
    cx: &Context,
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    name: &str,
    expected_owner: Option<&str>,
) -> Result<Arc<Bucket>> {
    let found = snapshot.get_shared(&BUCKETS, scope, &(name,))?.filter(|_| !place::is_hidden(cx, name));
    let bucket = found.ok_or_else(|| no_bucket(name))?;
    if let Some(owner) = expected_owner.filter(|owner| *owner != bucket.account) {
        return Err(another_owner(owner));
    }
    terms::check(cx, snapshot, scope, &bucket)?;
    Ok(bucket)
}

/// The current object of a key.
pub fn object(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str) -> Result<Object> {
    let found = snapshot.get(&OBJECTS, scope, &(bucket.id, key))?;
    found.ok_or_else(|| Error::NoSuchKey { key: key.to_owned() })
}

/// Bytes that are ready to be kept, and not yet referred to by anything.
#[derive(Clone, Debug)]
pub enum NewContent {
    Empty,
    /// Under the id that they will have. They are sealed, where they have to be, as they are put.
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

/// An object on its way in.
#[derive(Clone, Debug)]
pub struct NewObject {
    pub key: String,
    pub content: NewContent,
    /// Its content, sequencer, version and what is wanted are filled in when it is put.
    pub object: Object,
    /// What the request asks for beyond bytes and headers; absent where that is settled.
    pub wanted: Option<Wanted>,
}

impl NewObject {
    /// Takes what KMS said.
    pub fn grant(&mut self, granted: Granted) {
        if let Some(wanted) = &mut self.wanted {
            wanted.granted = granted;
        }
    }
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
    let object = &mut new.object;
    // Larger bytes were sealed on their way in.
    let mut sealed = None;
    if let Some(wanted) = &new.wanted {
        object.extras = wanted.resolve(tx, scope, bucket, happening.cx, object.last_modified)?;
        let random = happening.cx.random();
        if object.encryption().is_some() || directory::is_directory(&bucket.name) {
            object.etag = opaque_etag(random);
        }
        if let NewContent::Small(id, bytes) = &new.content
            && let Some(secret) = wanted.secret_of(object.encryption())
        {
            sealed = Some(NewContent::Small(*id, sealing::seal(secret, random, bytes)?));
        }
    }
    let content = sealed.as_ref().unwrap_or(&new.content);
    let freed = if bucket.settings.versioning.is_some() {
        let random = happening.cx.random();
        let place = versions::make_room(tx, scope, bucket, &new.key, object.last_modified, random)?;
        object.content = content.keep(tx, scope, None)?.0;
        (object.sequencer, object.version_id) = (place.sequencer, place.version_id);
        replication::enqueue(tx, scope, bucket, &new.key, object)?;
        place.freed
    } else {
        let (content, freed) = content.keep(tx, scope, before.as_ref().map(|before| &before.content))?;
        object.content = content;
        object.sequencer = next_sequencer(before.as_ref(), object.last_modified);
        freed
    };
    tx.put(&OBJECTS, scope, &(bucket.id, new.key.as_str()), object)?;
    let sent = announce(tx, s3, bucket, &new.key, Some(object), object.sequencer, happening)?;
    Ok(Changed { freed, sent })
}

/// The entity tag of what is encrypted by a key that is not S3's own, and of what lies in a directory bucket: no digest.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html#AmazonS3-Type-Object-ETag>
pub fn opaque_etag(random: &Random) -> String {
    format!("\"{}\"", hex::encode(random.bytes::<16>()))
}

/// What a delete came to.
pub struct Deleted {
    pub changed: Changed,
    /// The version that was removed or, of a delete marker that was made, its own.
    pub version_id: Option<String>,
    /// Whether a delete marker was made or removed.
    pub marker: bool,
}

/// What a delete is about.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub key: &'a str,
    pub version_id: Option<&'a str>,
    /// Whether governance is passed over.
    pub bypass: bool,
}

/// Deletes an object: for good where no versions are kept or one is named, else by a delete marker.
pub fn delete(
    tx: &mut Transaction<'_>,
    s3: &S3,
    scope: &Scope,
    bucket: &Bucket,
    target: Target<'_>,
    happening: &Happening<'_>,
) -> Result<Deleted> {
    let (key, now) = (target.key, happening.now);
    let Some(id) = target.version_id else {
        if bucket.settings.versioning.is_none() {
            let changed = remove(tx, s3, scope, bucket, key, now, happening)?;
            return Ok(Deleted { changed, version_id: None, marker: false });
        }
        let (caller, random) = (happening.cx.caller.account.as_str(), happening.cx.random());
        let owner = (caller != bucket.account).then(|| canonical_user(caller));
        let place = versions::put_marker(tx, scope, bucket, key, now, random, owner)?;
        let version_id = place.version_id.unwrap_or_else(|| versions::NULL.to_owned());
        replication::enqueue_marker(tx, scope, bucket, key, place.sequencer, &version_id)?;
        let event = "s3:ObjectRemoved:DeleteMarkerCreated";
        let happening = Happening { version_id: Some(&version_id), ..Happening::new(happening.cx, event, now) };
        let sent = announce(tx, s3, bucket, key, None, place.sequencer, &happening)?;
        let changed = Changed { freed: place.freed, sent };
        return Ok(Deleted { changed, version_id: Some(version_id), marker: true });
    };
    let removed = versions::remove(tx, scope, bucket, key, id, |object| {
        let extras = object.extras.as_deref();
        let retention = extras.and_then(|extras| extras.retention.as_ref());
        let held = extras.and_then(|extras| extras.legal_hold).unwrap_or(false);
        lock::check_removal(retention, held, target.bypass, now)
    })?;
    let version_id = Some(id.to_owned());
    let Some(removed) = removed else {
        return Ok(Deleted { changed: Changed { freed: None, sent: Vec::new() }, version_id, marker: false });
    };
    let sequencer = by_time(now).max(removed.sequencer + 1);
    let happening = Happening { version_id: Some(id), ..Happening::new(happening.cx, happening.event, now) };
    let sent = announce(tx, s3, bucket, key, None, sequencer, &happening)?;
    Ok(Deleted { changed: Changed { freed: removed.freed, sent }, version_id, marker: removed.was_marker })
}

fn by_time(now: Timestamp) -> u64 {
    u64::try_from(now.micros()).unwrap_or(0)
}

/// The sequencer of something that happens to an object which stays what it is (tags, lists, locks).
pub fn sequencer_of_change(object: &Object, now: Timestamp) -> u64 {
    by_time(now).max(object.sequencer + 1)
}

/// Removes an object; says what was there. Removing nothing is no error and no event.
fn remove(
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
    let by_time = by_time(now);
    before.map_or(by_time, |before| by_time.max(before.sequencer + 1))
}
