//! What changes on a version that has been copied (tags, lists, locks), and how its copies follow.
//!
//! Replicas follow their original. An original follows its replicas, too, where the rules of both buckets sync
//! modifications of replicas; its other replicas then follow it. What has followed tells nobody but that, so that no
//! change goes in circles.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-for-metadata-changes.html>

use fractus_store::{Scope, Transaction};

use super::{Goal, Pending, REPLICATIONS, goals, is_replica};
use crate::error::Result;
use crate::extras::Extras;
use crate::permissions::canonical_user;
use crate::store::{Bucket, Object};
use crate::versions::{self, Found};

/// Writes down that tags, lists or locks of a version have changed, if a rule is about it: its copies follow.
pub fn enqueue_change(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
) -> Result<()> {
    enqueue(tx, scope, bucket, key, object, None)
}

/// `from` is the bucket that the change came from.
fn enqueue(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
    from: Option<&str>,
) -> Result<()> {
    let Some(version_id) = object.version_id.clone() else { return Ok(()) };
    let is_replica = is_replica(object);
    let pending = Pending { bucket: bucket.name.clone(), version_id, is_change: true, from: from.map(str::to_owned) };
    if !goals(tx, scope, bucket, key, Some(object))?.iter().any(|goal| pending.reaches(goal, is_replica)) {
        return Ok(());
    }
    let at = (bucket.id, key, object.sequencer);
    let pending = match tx.get(&REPLICATIONS, scope, &at)? {
        None => pending,
        // What still waits goes as it is then, and to everybody.
        Some(waiting) if waiting.from.is_none() || waiting.from == pending.from => return Ok(()),
        Some(waiting) => Pending { from: None, ..waiting },
    };
    Ok(tx.put(&REPLICATIONS, scope, &at, &pending)?)
}

/// What one copy takes over from another.
fn take_over(copy: &mut Object, other: &Object, with_list: bool) {
    let theirs = other.extras.as_deref().cloned().unwrap_or_default();
    let mut extras = copy.extras.take().map_or_else(Extras::default, |extras| *extras);
    copy.tags.clone_from(&other.tags);
    (extras.retention, extras.legal_hold) = (theirs.retention, theirs.legal_hold);
    if with_list && theirs.acl.is_some() {
        extras.acl = theirs.acl;
    }
    copy.extras = extras.boxed();
}

/// Has a replica follow what has changed on its original.
pub(super) fn follow(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    target: &Bucket,
    (key, id): (&str, &str),
    original: &Object,
    goal: &Goal,
) -> Result<()> {
    if versions::find(tx, scope, target, key, id)?.is_none() {
        return Ok(());
    }
    versions::rewrite(tx, scope, target, key, Some(id), |replica| {
        take_over(replica, original, !goal.is_given_away);
        Ok(())
    })?;
    Ok(())
}

/// Has an original follow what has changed on a replica, if its own bucket's rules say so, too.
pub(super) fn sync(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (source, target): (&Bucket, &Bucket),
    (key, id): (&str, &str),
    replica: &Object,
    goal: &Goal,
) -> Result<()> {
    let original = match versions::find(tx, scope, target, key, id)? {
        Some(Found::Current(object)) => object,
        Some(Found::Older(_, version)) => match version.object {
            Some(object) => *object,
            None => return Ok(()),
        },
        None => return Ok(()),
    };
    let agrees = |back: &Goal| back.syncs && back.bucket == source.name;
    if !goals(tx, scope, target, key, Some(&original))?.iter().any(agrees) {
        return Ok(());
    }
    // A list is its owner's: what the rule has given away keeps its own.
    let of_bucket = canonical_user(&target.account);
    let owner = |object: &Object| object.extras.as_ref().and_then(|extras| extras.owner()).map(str::to_owned);
    let with_list = !goal.is_given_away && owner(replica).is_some_and(|id| id == owner(&original).unwrap_or(of_bucket));
    let mut changed = original.clone();
    take_over(&mut changed, replica, with_list);
    if changed.tags == original.tags && changed.extras == original.extras {
        return Ok(());
    }
    let changed = versions::rewrite(tx, scope, target, key, Some(id), |object| {
        *object = changed;
        Ok(())
    })?;
    if is_replica(&changed) { Ok(()) } else { enqueue(tx, scope, target, key, &changed, Some(&source.name)) }
}
