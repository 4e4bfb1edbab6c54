//! What happens to the objects of a bucket that has metadata tables, written down in the transaction in which it happens.

use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::configurations;
use crate::error::{Error, Result};
use crate::metadata::{CHANGES, LAST_CHANGES};
use crate::model::checksum::Algorithm;
use crate::model::encryption::Encryption;
use crate::notify::Happening;
use crate::objects::scope;
use crate::store::{Bucket, Object};
use crate::versions::NULL;

/// What sort of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Create,
    UpdateMetadata,
    Delete,
    DeleteMarker,
    /// Of an annotation: no row of a journal, and a key that the table of annotations looks at.
    Annotation,
}

impl What {
    /// What an event comes to; none where tables do not show it (lists, restores, tiers).
    pub fn of_event(event: &str) -> Option<Self> {
        let event = event.strip_prefix("s3:").unwrap_or(event);
        let (family, detail) = event.split_once(':').unwrap_or((event, ""));
        match (family, detail) {
            ("ObjectCreated", _) => Some(What::Create),
            ("ObjectRemoved" | "LifecycleExpiration", "DeleteMarkerCreated") => Some(What::DeleteMarker),
            ("ObjectRemoved" | "LifecycleExpiration", _) => Some(What::Delete),
            ("ObjectTagging" | "LifecycleTransition", _) => Some(What::UpdateMetadata),
            ("ObjectAnnotation", _) => Some(What::Annotation),
            _ => None,
        }
    }
}

/// A change, with all that a row of the journal says of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    pub what: What,
    pub key: String,
    /// Absent: the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    pub at: Timestamp,
    /// What the object is after it; absent where none is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<State>>,
    /// The account that asked for it, or S3 itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    pub request_id: String,
}

/// What tables show of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub size: u64,
    pub last_modified: Timestamp,
    pub etag: String,
    pub storage_class: String,
    pub is_multipart: bool,
    pub encryption: Sealed,
    pub checksum: Option<Algorithm>,
    pub tags: Vec<(String, String)>,
    pub user_metadata: Vec<(String, String)>,
}

/// By what an object is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sealed {
    S3,
    Customer,
    Kms { dual: bool, key: String, bucket_key: bool },
}

impl State {
    pub fn of(object: &Object) -> Self {
        State {
            size: object.size,
            last_modified: object.last_modified,
            etag: object.etag.trim_matches('"').to_owned(),
            storage_class: object.storage_class().to_owned(),
            is_multipart: !object.parts.is_empty(),
            encryption: match object.encryption() {
                None => Sealed::S3,
                Some(Encryption::Customer { .. }) => Sealed::Customer,
                Some(Encryption::Kms { algorithm, key, bucket_key, .. }) => {
                    Sealed::Kms { dual: algorithm == "aws:kms:dsse", key: key.clone(), bucket_key: *bucket_key }
                }
            },
            checksum: object.checksum.as_ref().map(|checksum| checksum.algorithm),
            tags: object.tags.clone(),
            user_metadata: object.headers.metadata.clone().into_iter().collect(),
        }
    }
}

/// Writes down what an event tells of, where the bucket's changes are written down.
pub fn of_event(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &str,
    object: Option<&Object>,
    sequencer: u64,
    happening: &Happening<'_>,
) -> Result<()> {
    if !bucket.settings.has(configurations::Kind::Metadata) {
        return Ok(());
    }
    let Some(what) = What::of_event(happening.event) else { return Ok(()) };
    let version_id = object.and_then(|object| object.version_id.as_deref()).or(happening.version_id);
    let about = About { cx: happening.cx, what, key, version_id, object, sequencer, now: happening.now };
    record(tx, bucket, &about)
}

/// A change that is to be written down.
pub struct About<'a> {
    pub cx: &'a Context,
    pub what: What,
    pub key: &'a str,
    pub version_id: Option<&'a str>,
    pub object: Option<&'a Object>,
    pub sequencer: u64,
    pub now: Timestamp,
}

/// Writes down a change, where the bucket's changes are written down. Its number is no less than the sequencer of the version that
/// it is about, so that of one key a later record has a larger one than everything before, inventories' rows included.
pub fn record(tx: &mut Transaction<'_>, bucket: &Bucket, about: &About<'_>) -> Result<()> {
    if !bucket.settings.has(configurations::Kind::Metadata) {
        return Ok(());
    }
    let (cx, scope) = (about.cx, scope(about.cx));
    let Some(last) = tx.get(&LAST_CHANGES, &scope, &(bucket.id,))? else { return Ok(()) };
    let number = about.sequencer.max(last + 1);
    let by_s3 = cx.caller.kind == CallerKind::Service;
    let requester = match cx.caller.kind {
        CallerKind::Service => Some("s3.amazonaws.com".to_owned()),
        CallerKind::Anonymous => None,
        CallerKind::Root | CallerKind::Known(_) => Some(cx.caller.account.to_string()),
    };
    let change = Change {
        what: about.what,
        key: about.key.to_owned(),
        version_id: about.version_id.filter(|id| *id != NULL).map(str::to_owned),
        at: about.now,
        state: about.object.map(|object| Box::new(State::of(object))),
        requester,
        source_ip: (!by_s3).then(|| cx.source_ip().to_string()),
        request_id: cx.request_id.clone(),
    };
    tx.put(&LAST_CHANGES, &scope, &(bucket.id,), &number)?;
    Ok(tx.put(&CHANGES, &scope, &(bucket.id, number), &change)?)
}

/// Changes behind a number, `limit` of them.
pub fn after(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket_id: u64,
    number: u64,
    limit: usize,
) -> Result<Vec<(u64, Change)>> {
    let range = Range::prefix(&(bucket_id,)).after(&(bucket_id, number));
    let found = snapshot.range(&CHANGES, scope, range, Order::Ascending)?.take(limit);
    found.map(|entry| entry.map(|((_, number), change)| (number, change)).map_err(Error::from)).collect()
}

/// Lets go of changes up to a number, `limit` of them; says whether there may be more.
pub fn forget(tx: &mut Transaction<'_>, scope: &Scope, bucket_id: u64, number: u64, limit: usize) -> Result<bool> {
    let range = Range::prefix(&(bucket_id,)).through(&(bucket_id, number));
    let keys = tx.keys(&CHANGES, scope, range, Order::Ascending)?.take(limit);
    let keys = keys.collect::<std::result::Result<Vec<_>, _>>()?;
    for key in &keys {
        tx.delete(&CHANGES, scope, &(key.0, key.1))?;
    }
    Ok(keys.len() == limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_to_records() {
        let of = What::of_event;
        assert_eq!(of("s3:ObjectCreated:Put"), Some(What::Create));
        assert_eq!(of("s3:ObjectCreated:CompleteMultipartUpload"), Some(What::Create));
        assert_eq!(of("s3:ObjectRemoved:Delete"), Some(What::Delete));
        assert_eq!(of("s3:LifecycleExpiration:Delete"), Some(What::Delete));
        assert_eq!(of("s3:ObjectRemoved:DeleteMarkerCreated"), Some(What::DeleteMarker));
        assert_eq!(of("s3:LifecycleExpiration:DeleteMarkerCreated"), Some(What::DeleteMarker));
        assert_eq!(of("s3:ObjectTagging:Put"), Some(What::UpdateMetadata));
        assert_eq!(of("s3:ObjectTagging:Delete"), Some(What::UpdateMetadata));
        assert_eq!(of("s3:LifecycleTransition"), Some(What::UpdateMetadata));
        assert_eq!(of("s3:ObjectAnnotation:Put"), Some(What::Annotation));
        for passed in ["s3:ObjectAcl:Put", "s3:ObjectRestore:Post", "s3:IntelligentTiering"] {
            assert_eq!(of(passed), None, "{passed}");
        }
    }
}
