//! Telling that a restore is complete, and that a restored copy has gone again, when the lane's clock says so.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html>

use std::sync::Arc;

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::{Context, Waker};
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::archive::Restore;
use crate::notify::{Happening, announce};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, Object};
use crate::versions;
use crate::worlds;

/// What is to be told, by when: (microseconds, bucket id, key, sequencer of the version).
pub const RESTORES: Collection<(u64, u64, String, u64), Pending> = Collection::new("restores");

/// How many are told at once.
const AT_ONCE: usize = 200;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    bucket: String,
    version_id: Option<String>,
    restore: Restore,
    /// The copy was there, and is gone now.
    ends: bool,
}

#[derive(Clone, Default)]
pub struct Restores {
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Restores {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}

fn micros(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0)
}

/// Writes down, in the transaction that begins a restore, that its end is to be told.
pub fn enqueue(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
    restore: Restore,
) -> Result<()> {
    let version_id = object.version_id.clone();
    let pending = Pending { bucket: bucket.name.clone(), version_id, restore, ends: false };
    Ok(tx.put(&RESTORES, scope, &(micros(restore.ready_at), bucket.id, key, object.sequencer), &pending)?)
}

pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("restores", move |lane| {
        let s3 = service.clone();
        async move {
            match tell_due(&s3, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "restores could not be told of");
                    None
                }
            }
        }
    });
    *s3.restores.waker.lock() = Some(waker);
}

/// Tells of what is due; gives when the next is.
async fn tell_due(s3: &S3, lane: &Lane) -> Result<Option<Timestamp>> {
    let now = s3.host.clocks().lane(lane.as_str()).now();
    let mut next: Option<Timestamp> = None;
    for world in worlds::holding(s3, lane, RESTORES.name()).await? {
        let scope = Scope::partition(&world);
        loop {
            let page = s3.store.read(|snapshot| {
                let found = snapshot.range(&RESTORES, &scope, Range::all(), Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
            });
            let page = page.await?;
            let later = page.iter().find(|((at, ..), _)| *at > micros(now)).map(|((at, ..), _)| *at);
            let due: Vec<_> = page.into_iter().filter(|((at, ..), _)| *at <= micros(now)).collect();
            let found_any = !due.is_empty();
            for (place, pending) in due {
                tell(s3, &world, &scope, place, pending, now).await?;
            }
            if let Some(later) = later {
                let later = Timestamp::from_millis(i64::try_from(later / 1_000 + 1).unwrap_or(i64::MAX));
                next = Some(next.map_or(later, |next| next.min(later)));
            }
            if !found_any {
                break;
            }
        }
    }
    Ok(next)
}

async fn tell(
    s3: &S3,
    world: &World,
    scope: &Scope,
    place: (u64, u64, String, u64),
    pending: Pending,
    now: Timestamp,
) -> Result<()> {
    let (at, bucket_id, key, sequencer) = place;
    let _sent = s3
        .store
        .write(|tx| {
            tx.delete(&RESTORES, scope, &(at, bucket_id, key.as_str(), sequencer))?;
            let bucket = tx.get(&BUCKETS, scope, &(pending.bucket.as_str(),))?;
            let Some(bucket) = bucket.filter(|bucket| bucket.id == bucket_id) else { return Ok(Vec::new()) };
            let version_id = pending.version_id.as_deref();
            let Ok(object) = versions::object(tx, scope, &bucket, &key, version_id) else { return Ok(Vec::new()) };
            let restore = object.extras.as_ref().and_then(|extras| extras.restore);
            // Another object of this name, or a restore that has been extended since: that one is told of in its turn.
            let Some(restore) = restore.filter(|_| object.sequencer == sequencer) else { return Ok(Vec::new()) };
            if pending.ends && restore.until > now {
                let later = Pending { restore, ..pending.clone() };
                tx.put(&RESTORES, scope, &(micros(restore.until), bucket_id, key.as_str(), sequencer), &later)?;
                return Ok(Vec::new());
            }
            // What comes back from a tier of intelligent tiering stays.
            if !pending.ends && restore.until > restore.ready_at {
                let later = Pending { restore, ends: true, ..pending.clone() };
                tx.put(&RESTORES, scope, &(micros(restore.until), bucket_id, key.as_str(), sequencer), &later)?;
            }
            let account = AccountId::new(&bucket.account).unwrap_or_else(|_| AccountId::default_account());
            let region = Region::new(&bucket.region).unwrap_or_else(|_| Region::us_east_1());
            let cause = Cause::root("restores".to_owned(), "s3.amazonaws.com".to_owned());
            let cx = Context::internal(&s3.host, World { account, ..world.clone() }, region, cause);
            let event = if pending.ends { "s3:ObjectRestore:Delete" } else { "s3:ObjectRestore:Completed" };
            let happening = Happening::new(&cx, event, now);
            announce(tx, s3, &bucket, &key, Some(&object), object.sequencer, &happening)
        })
        .await?;
    Ok(())
}
