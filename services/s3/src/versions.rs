//! Versions: how objects are put over one another where a bucket keeps what was there, and how they are found again.
//!
//! The current object of a key is always in [`OBJECTS`], whether versions are kept or not, so that reads and listings
//! cost the same. What is no longer current, and every delete marker, is in [`VERSIONS`], newest first. A key whose
//! newest version is a delete marker has nothing in [`OBJECTS`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fractus_clock::{Random, Timestamp};
use fractus_store::{BlobRef, Collection, Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::configurations::Versioning;
use crate::error::{Error, Result};
use crate::objects::release;
use crate::store::{Bucket, OBJECTS, Object};

/// Versions that are not current: (bucket id, key, rank). The rank falls as the sequencer rises: newest first.
pub const VERSIONS: Collection<(u64, String, u64), Version> = Collection::new("versions");
/// The rank of a key's null version, where that is not current.
pub const NULL_VERSIONS: Collection<(u64, String), u64> = Collection::new("null-versions");

/// What callers call the version of an object that was put while no versions were kept.
pub const NULL: &str = "null";

/// A version that is not current, or a delete marker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Absent: the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub last_modified: Timestamp,
    /// When something newer took its place; a delete marker on top has not been replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<Timestamp>,
    /// Whose a delete marker is, by canonical user id, where another account than its bucket's has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Absent: a delete marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Box<Object>>,
}

impl Version {
    pub fn of(object: Object) -> Self {
        Version {
            id: object.version_id.clone(),
            last_modified: object.last_modified,
            replaced_at: None,
            owner: None,
            object: Some(Box::new(object)),
        }
    }

    pub fn shown_id(&self) -> &str {
        self.id.as_deref().unwrap_or(NULL)
    }
}

pub fn rank(sequencer: u64) -> u64 {
    u64::MAX - sequencer
}

/// A new version's id: 32 characters, in which only we can find the sequencer.
pub fn new_id(sequencer: u64, random: &Random) -> String {
    let mut bytes = random.bytes::<24>();
    for (at, byte) in sequencer.to_be_bytes().into_iter().enumerate() {
        bytes[at] = byte ^ bytes[at + 8];
    }
    URL_SAFE_NO_PAD.encode(bytes).replace('-', ".")
}

/// The sequencer in an id; `None` for what is no id.
fn sequencer_of(id: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id.replace('.', "-")).ok().filter(|bytes| bytes.len() == 24)?;
    let mut sequencer = [0; 8];
    for (at, byte) in sequencer.iter_mut().enumerate() {
        *byte = bytes[at] ^ bytes[at + 8];
    }
    Some(u64::from_be_bytes(sequencer))
}

fn invalid_id(parameter: &str, id: &str) -> Error {
    let message = if id.is_empty() { "Version id cannot be the empty string" } else { "Invalid version id specified" };
    Error::invalid_argument(parameter, id, message)
}

/// The version id that answers carry: none where versions were never kept.
pub fn shown_id(bucket: &Bucket, object: &Object) -> Option<String> {
    bucket.settings.versioning?;
    Some(object.version_id.clone().unwrap_or_else(|| NULL.to_owned()))
}

/// Where a version was found.
pub enum Found {
    Current(Object),
    Older(u64, Version),
}

/// Finds a version by the id that a request names.
pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str, id: &str) -> Result<Option<Found>> {
    let wanted = if id == NULL { None } else { Some(sequencer_of(id).ok_or_else(|| invalid_id("versionId", id))?) };
    if let Some(current) = snapshot.get(&OBJECTS, scope, &(bucket.id, key))?
        && current.version_id.as_deref().unwrap_or(NULL) == id
    {
        return Ok(Some(Found::Current(current)));
    }
    let rank = match wanted {
        Some(sequencer) => Some(rank(sequencer)),
        None => snapshot.get(&NULL_VERSIONS, scope, &(bucket.id, key))?,
    };
    let Some(rank) = rank else { return Ok(None) };
    let version = snapshot.get(&VERSIONS, scope, &(bucket.id, key, rank))?;
    Ok(version.filter(|version| version.shown_id() == id).map(|version| Found::Older(rank, version)))
}

/// The newest of the versions that are not current.
fn newest(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str) -> Result<Option<(u64, Version)>> {
    let first = snapshot.first(&VERSIONS, scope, Range::prefix(&(bucket.id, key)), Order::Ascending)?;
    Ok(first.map(|((_, _, rank), version)| (rank, version)))
}

/// Whether a version is the one that a read without a version id finds.
pub fn is_current(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
) -> Result<bool> {
    let current = snapshot.get(&OBJECTS, scope, &(bucket.id, key))?;
    Ok(current.is_some_and(|current| current.version_id.as_deref() == version_id))
}

/// The object that a read is about: the current one, or the version that is named.
pub fn object(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
) -> Result<Object> {
    let Some(id) = version_id else {
        if let Some(current) = snapshot.get(&OBJECTS, scope, &(bucket.id, key))? {
            return Ok(current);
        }
        if bucket.settings.versioning.is_some()
            && let Some((_, marker)) = newest(snapshot, scope, bucket, key)?
        {
            let (version_id, last_modified) = (marker.shown_id().to_owned(), marker.last_modified);
            return Err(Error::Deleted { key: key.to_owned(), version_id, last_modified });
        }
        return Err(Error::NoSuchKey { key: key.to_owned() });
    };
    match find(snapshot, scope, bucket, key, id)? {
        Some(Found::Current(object)) => Ok(object),
        Some(Found::Older(_, Version { object: Some(object), .. })) => Ok(*object),
        Some(Found::Older(_, Version { last_modified, .. })) => {
            Err(Error::IsDeleteMarker { version_id: id.to_owned(), last_modified })
        }
        None => Err(Error::NoSuchVersion { key: key.to_owned(), version_id: id.to_owned() }),
    }
}

/// The same for a request about what hangs on the object (tags, locks): a delete marker that is the newest version is what
/// it would be about, and has none of it.
pub fn bearer(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
) -> Result<Object> {
    object(snapshot, scope, bucket, key, version_id).map_err(|error| match error {
        Error::Deleted { version_id, last_modified, .. } => Error::IsDeleteMarker { version_id, last_modified },
        other => other,
    })
}

/// Changes what hangs on an object (tags, lists, locks), wherever the version is.
pub fn rewrite(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
    change: impl FnOnce(&mut Object) -> Result<()>,
) -> Result<Object> {
    let mut object = bearer(tx, scope, bucket, key, version_id)?;
    change(&mut object)?;
    if is_current(tx, scope, bucket, key, object.version_id.as_deref())? {
        tx.put(&OBJECTS, scope, &(bucket.id, key), &object)?;
        return Ok(object);
    }
    let Some(Found::Older(rank, mut version)) = find(tx, scope, bucket, key, version_id.unwrap_or(NULL))? else {
        return Err(Error::NoSuchKey { key: key.to_owned() });
    };
    version.object = Some(Box::new(object.clone()));
    tx.put(&VERSIONS, scope, &(bucket.id, key, rank), &version)?;
    Ok(object)
}

/// What a write over a key in a bucket that keeps versions comes to.
pub struct Place {
    pub sequencer: u64,
    /// Of what is put now; absent: the null version.
    pub version_id: Option<String>,
    /// Bytes that were let go: of a null version that is replaced.
    pub freed: Option<BlobRef>,
}

/// Makes room for what comes now: an object or a delete marker. The current object becomes an older version; where
/// versions are suspended, the null version goes.
pub fn make_room(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    now: Timestamp,
    random: &Random,
) -> Result<Place> {
    let current = tx.get(&OBJECTS, scope, &(bucket.id, key))?;
    let top = newest(tx, scope, bucket, key)?;
    let before = current.as_ref().map(|object| object.sequencer).max(top.map(|(rank, _)| u64::MAX - rank));
    let by_time = u64::try_from(now.micros()).unwrap_or(0);
    let sequencer = before.map_or(by_time, |before| by_time.max(before + 1));
    let mut place = Place { sequencer, version_id: None, freed: None };
    if bucket.settings.versioning == Some(Versioning::Enabled) {
        place.version_id = Some(new_id(sequencer, random));
    } else {
        place.freed = remove_null(tx, scope, bucket, key)?;
    }
    // A null version that was current has just gone, where it had to.
    if let Some(current) = current
        && (place.version_id.is_some() || current.version_id.is_some())
    {
        set_aside(tx, scope, bucket, key, current, now)?;
    }
    Ok(place)
}

/// The current object becomes an older version.
fn set_aside(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    current: Object,
    now: Timestamp,
) -> Result<()> {
    let rank = rank(current.sequencer);
    if current.version_id.is_none() {
        tx.put(&NULL_VERSIONS, scope, &(bucket.id, key), &rank)?;
    }
    let version = Version { replaced_at: Some(now), ..Version::of(current) };
    tx.delete(&OBJECTS, scope, &(bucket.id, key))?;
    Ok(tx.put(&VERSIONS, scope, &(bucket.id, key, rank), &version)?)
}

/// Removes the null version, wherever it is.
fn remove_null(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket, key: &str) -> Result<Option<BlobRef>> {
    match find(tx, scope, bucket, key, NULL)? {
        None => Ok(None),
        Some(Found::Current(object)) => {
            tx.delete(&OBJECTS, scope, &(bucket.id, key))?;
            release(tx, scope, &object.content)
        }
        Some(Found::Older(rank, version)) => remove_older(tx, scope, bucket, key, rank, &version),
    }
}

fn remove_older(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    rank: u64,
    version: &Version,
) -> Result<Option<BlobRef>> {
    tx.delete(&VERSIONS, scope, &(bucket.id, key, rank))?;
    if version.id.is_none() {
        tx.delete(&NULL_VERSIONS, scope, &(bucket.id, key))?;
    }
    match &version.object {
        Some(object) => release(tx, scope, &object.content),
        None => Ok(None),
    }
}

/// Puts a delete marker on a key, `owner`'s where that is not its bucket's; gives its id and what was let go.
pub fn put_marker(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    now: Timestamp,
    random: &Random,
    owner: Option<String>,
) -> Result<Place> {
    let place = make_room(tx, scope, bucket, key, now, random)?;
    let rank = rank(place.sequencer);
    if place.version_id.is_none() {
        tx.put(&NULL_VERSIONS, scope, &(bucket.id, key), &rank)?;
    }
    let marker = Version { id: place.version_id.clone(), last_modified: now, replaced_at: None, owner, object: None };
    tx.put(&VERSIONS, scope, &(bucket.id, key, rank), &marker)?;
    Ok(place)
}

/// Puts a version that was made elsewhere where its sequencer says: on top, or below what is newer. Says whether it was
/// not there yet.
pub fn insert(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    version: Version,
    sequencer: u64,
    now: Timestamp,
) -> Result<bool> {
    if find(tx, scope, bucket, key, version.shown_id())?.is_some() {
        return Ok(false);
    }
    let current = tx.get(&OBJECTS, scope, &(bucket.id, key))?;
    let top = newest(tx, scope, bucket, key)?.map(|(rank, _)| u64::MAX - rank);
    let newer = current.as_ref().map(|object| object.sequencer).max(top).is_some_and(|newest| newest > sequencer);
    if newer {
        let version = Version { replaced_at: Some(now), ..version };
        tx.put(&VERSIONS, scope, &(bucket.id, key, rank(sequencer)), &version)?;
        return Ok(true);
    }
    if let Some(current) = current {
        set_aside(tx, scope, bucket, key, current, now)?;
    }
    match &version.object {
        Some(object) => tx.put(&OBJECTS, scope, &(bucket.id, key), &**object)?,
        None => tx.put(&VERSIONS, scope, &(bucket.id, key, rank(sequencer)), &version)?,
    }
    Ok(true)
}

/// What removing a version came to.
pub struct Removed {
    pub was_marker: bool,
    pub freed: Option<BlobRef>,
    pub sequencer: u64,
}

/// Removes one version for good; what is then the newest becomes current. `check` may forbid it.
pub fn remove(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    id: &str,
    check: impl FnOnce(&Object) -> Result<()>,
) -> Result<Option<Removed>> {
    let removed = match find(tx, scope, bucket, key, id)? {
        None => return Ok(None),
        Some(Found::Current(object)) => {
            check(&object)?;
            tx.delete(&OBJECTS, scope, &(bucket.id, key))?;
            let freed = release(tx, scope, &object.content)?;
            Removed { was_marker: false, freed, sequencer: object.sequencer }
        }
        Some(Found::Older(rank, version)) => {
            if let Some(object) = &version.object {
                check(object)?;
            }
            let freed = remove_older(tx, scope, bucket, key, rank, &version)?;
            Removed { was_marker: version.object.is_none(), freed, sequencer: u64::MAX - rank }
        }
    };
    promote(tx, scope, bucket, key)?;
    Ok(Some(removed))
}

/// Makes the newest version current, where nothing is and it is no delete marker.
fn promote(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket, key: &str) -> Result<()> {
    if tx.contains(&OBJECTS, scope, &(bucket.id, key))? {
        return Ok(());
    }
    let Some((rank, version)) = newest(tx, scope, bucket, key)? else { return Ok(()) };
    let Some(object) = version.object else { return Ok(()) };
    tx.delete(&VERSIONS, scope, &(bucket.id, key, rank))?;
    if version.id.is_none() {
        tx.delete(&NULL_VERSIONS, scope, &(bucket.id, key))?;
    }
    Ok(tx.put(&OBJECTS, scope, &(bucket.id, key), &*object)?)
}

/// Whether a bucket has anything but current objects.
pub fn has_any(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<bool> {
    let first = snapshot.keys(&VERSIONS, scope, Range::prefix(&(bucket.id,)), Order::Ascending)?.next().transpose()?;
    Ok(first.is_some())
}

/// Where a listing of versions goes on within a key: the rank of the version that was listed last.
pub fn rank_of_marker(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    id: &str,
) -> Result<Option<u64>> {
    if id != NULL {
        return sequencer_of(id)
            .map(|sequencer| Some(rank(sequencer)))
            .ok_or_else(|| invalid_id("version-id-marker", id));
    }
    if let Some(current) = snapshot.get(&OBJECTS, scope, &(bucket.id, key))?
        && current.version_id.is_none()
    {
        return Ok(Some(rank(current.sequencer)));
    }
    Ok(snapshot.get(&NULL_VERSIONS, scope, &(bucket.id, key))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hide_and_keep_the_order() {
        let random = Random::seeded(1);
        let id = new_id(1_234_567_890_123_456, &random);
        assert_eq!(id.len(), 32);
        assert_eq!(sequencer_of(&id), Some(1_234_567_890_123_456));
        assert_ne!(new_id(1_234_567_890_123_456, &random), id);
        assert_eq!(sequencer_of("null"), None);
        assert!(rank(2) < rank(1));
    }
}
