//! Replication: every new version that a rule is about is copied to the rule's bucket, under its own version id.
//!
//! What is to be copied is written down in the transaction that makes the version, so that nothing is forgotten when the
//! process ends; a background task works it off.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html>

use std::sync::Arc;

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_bus::contracts::Cause;
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::{Context, Waker};
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::configurations::{self, Kind, Versioning};
use crate::control::outposts::points;
use crate::error::{Error, Result};
use crate::extras::Extras;
use crate::metadata::changes::{About, What, record};
use crate::model::acl::Acl;
use crate::model::encryption::Encryption;
use crate::model::notification::{Detail, FailedReplication};
use crate::model::replication::{syncs_replicas, takes, takes_encrypted, takes_markers};
use crate::notify::{Happening, announce, bucket_arn};
use crate::objects::{NewContent, readable};
use crate::permissions::canonical_user;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, Object};
use crate::versions::{self, Found, Version};
use crate::worlds;

mod changes;

pub use changes::enqueue_change;

/// Versions to be copied: (bucket id, key, sequencer).
pub const REPLICATIONS: Collection<(u64, String, u64), Pending> = Collection::new("replications");

/// How many copies one look takes.
const AT_ONCE: usize = 100;

/// A version that is to be copied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub bucket: String,
    pub version_id: String,
    /// It has been copied; what hangs on it has changed since.
    #[serde(default)]
    pub is_change: bool,
    /// The bucket that a change came from, which has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Pending {
    /// Whether it goes there: changes of a replica where its modifications are synced.
    fn reaches(&self, goal: &Goal, is_replica: bool) -> bool {
        (goal.syncs || !is_replica) && self.from.as_deref() != Some(goal.bucket.as_str())
    }
}

/// What `x-amz-replication-status` says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Pending,
    Completed,
    Failed,
    Replica,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
            Status::Replica => "REPLICA",
        }
    }
}

/// Wakes the task that copies.
#[derive(Clone, Default)]
pub struct Replication {
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Replication {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}

/// Where a rule copies to, and how.
struct Goal {
    rule: String,
    bucket: String,
    storage_class: Option<String>,
    /// Whether the replica is to be its bucket's owner's.
    is_given_away: bool,
    /// Whether what fails is told of.
    has_metrics: bool,
    /// Whether what changes on replicas goes there.
    syncs: bool,
}

impl Goal {
    fn of(rule: &api::ReplicationRule) -> Goal {
        let destination = &rule.destination;
        Goal {
            rule: rule.id.clone().unwrap_or_default(),
            bucket: destination.bucket.rsplit(':').next().unwrap_or_default().to_owned(),
            storage_class: destination.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            is_given_away: destination.access_control_translation.is_some(),
            has_metrics: destination.metrics.as_ref().is_some_and(|of| of.status == api::MetricsStatus::Enabled),
            syncs: syncs_replicas(rule),
        }
    }
}

/// Where a version goes. `object` is absent for a delete marker. Of rules for one bucket the one of the highest priority
/// decides.
fn goals(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: Option<&Object>,
) -> Result<Vec<Goal>> {
    if !bucket.settings.has(Kind::Replication) {
        return Ok(Vec::new());
    }
    let found = configurations::read::<api::ReplicationConfiguration>(snapshot, scope, bucket, Kind::Replication)?;
    let mut rules = found.into_set().map(|configuration| configuration.rules).unwrap_or_default();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority.unwrap_or(0)));
    let tags = object.map(|object| object.tags.as_slice()).unwrap_or_default();
    let is_encrypted = object.is_some_and(|object| matches!(object.encryption(), Some(Encryption::Kms { .. })));
    let mut goals: Vec<Goal> = Vec::new();
    for rule in rules.iter().filter(|rule| takes(rule, key, tags) && (object.is_some() || takes_markers(rule))) {
        let mut goal = Goal::of(rule);
        // On Outposts it is named by an access point.
        if let Some(name) = points::bucket_behind(snapshot, scope, &rule.destination.bucket)? {
            goal.bucket = name;
        }
        let is_met = goals.iter().any(|other| other.bucket == goal.bucket);
        if !is_met && (!is_encrypted || takes_encrypted(rule)) {
            goals.push(goal);
        }
    }
    Ok(goals)
}

fn is_replica(object: &Object) -> bool {
    object.extras.as_ref().is_some_and(|extras| extras.replication == Some(Status::Replica))
}

/// Writes down that a new version is to be copied, if a rule is about it; replicas are not copied on.
pub fn enqueue(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket, key: &str, object: &mut Object) -> Result<()> {
    let Some(version_id) = object.version_id.clone().filter(|_| !is_replica(object)) else { return Ok(()) };
    if goals(tx, scope, bucket, key, Some(object))?.is_empty() {
        return Ok(());
    }
    set_status(object, Status::Pending);
    let pending = Pending { bucket: bucket.name.clone(), version_id, is_change: false, from: None };
    Ok(tx.put(&REPLICATIONS, scope, &(bucket.id, key, object.sequencer), &pending)?)
}

/// Whether a rule is about an object that is there, and it is no replica itself.
pub fn is_eligible(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
) -> Result<bool> {
    Ok(!is_replica(object) && !goals(snapshot, scope, bucket, key, Some(object))?.is_empty())
}

/// Copies a version that is there already, as its bucket's rules say for new ones; gives what became of it.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html>
pub async fn replicate(s3: &S3, cx: &Context, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Status> {
    let scope = Scope::partition(&cx.world);
    let (bucket_id, pending, sequencer) = s3
        .store
        .read(|snapshot| {
            let bucket = crate::objects::bucket(snapshot, &scope, bucket, None)?;
            let object = versions::object(snapshot, &scope, &bucket, key, version_id)?;
            if !is_eligible(snapshot, &scope, &bucket, key, &object)? {
                return Err(Error::invalid_request("No rule of the bucket's replication is about the object"));
            }
            let version_id = object.version_id.clone().unwrap_or_else(|| versions::NULL.to_owned());
            Ok((bucket.id, Pending { bucket: bucket.name, version_id, is_change: false, from: None }, object.sequencer))
        })
        .await?;
    let item = Item { s3, world: &cx.world, scope: &scope, bucket_id, key: key.to_owned(), sequencer, pending };
    item.copy().await?;
    let id = item.pending.version_id.as_str();
    s3.store
        .read(|snapshot| {
            let bucket = crate::objects::bucket(snapshot, &scope, bucket, None)?;
            let object = versions::object(snapshot, &scope, &bucket, key, Some(id))?;
            Ok(object.extras.and_then(|extras| extras.replication).unwrap_or(Status::Failed))
        })
        .await
}

/// The same for a delete marker.
pub fn enqueue_marker(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    sequencer: u64,
    version_id: &str,
) -> Result<()> {
    if version_id == versions::NULL || goals(tx, scope, bucket, key, None)?.is_empty() {
        return Ok(());
    }
    let pending =
        Pending { bucket: bucket.name.clone(), version_id: version_id.to_owned(), is_change: false, from: None };
    Ok(tx.put(&REPLICATIONS, scope, &(bucket.id, key, sequencer), &pending)?)
}

fn set_status(object: &mut Object, status: Status) {
    let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
    extras.replication = Some(status);
    object.extras = extras.boxed();
}

/// Starts the task that copies.
pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("replication", move |lane| {
        let s3 = service.clone();
        async move {
            if let Err(error) = work_off(&s3, &lane).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "replication stopped; it is taken up again");
            }
            None
        }
    });
    *s3.replication.waker.lock() = Some(waker);
}

async fn work_off(s3: &S3, lane: &Lane) -> Result<()> {
    for world in worlds::holding(s3, lane, REPLICATIONS.name()).await? {
        let scope = Scope::partition(&world);
        loop {
            let page = s3.store.read(|snapshot| {
                let found = snapshot.range(&REPLICATIONS, &scope, Range::all(), Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
            });
            let page = page.await?;
            if page.is_empty() {
                break;
            }
            for ((bucket_id, key, sequencer), pending) in page {
                let item = Item { s3, world: &world, scope: &scope, bucket_id, key, sequencer, pending };
                item.copy().await?;
            }
        }
    }
    Ok(())
}

/// One version on its way.
struct Item<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    bucket_id: u64,
    key: String,
    sequencer: u64,
    pending: Pending,
}

impl Item<'_> {
    async fn copy(&self) -> Result<()> {
        let now = self.s3.host.clocks().lane(self.world.lane.as_str()).now();
        let fresh_id = self.s3.host.random().u64();
        let _sent = self
            .s3
            .store
            .write(|tx| {
                let sent = self.copy_in(tx, now, fresh_id)?;
                tx.delete(&REPLICATIONS, self.scope, &(self.bucket_id, self.key.as_str(), self.sequencer))?;
                Ok::<_, Error>(sent)
            })
            .await?;
        Ok(())
    }

    fn copy_in(&self, tx: &mut Transaction<'_>, now: Timestamp, fresh_id: u64) -> Result<Vec<Handoff>> {
        let (scope, key, id) = (self.scope, self.key.as_str(), self.pending.version_id.as_str());
        let source = tx.get(&BUCKETS, scope, &(self.pending.bucket.as_str(),))?;
        // A bucket or version that has gone in the meantime is not copied.
        let Some(source) = source.filter(|bucket| bucket.id == self.bucket_id) else { return Ok(Vec::new()) };
        let object = match versions::find(tx, scope, &source, key, id)? {
            None => return Ok(Vec::new()),
            Some(Found::Current(object)) => Some(object),
            Some(Found::Older(_, version)) => version.object.map(|object| *object),
        };
        let (mut sent, mut status) = (Vec::new(), Status::Completed);
        let is_replica = object.as_ref().is_some_and(is_replica);
        for (index, goal) in goals(tx, scope, &source, key, object.as_ref())?.into_iter().enumerate() {
            if !self.pending.reaches(&goal, is_replica) {
                continue;
            }
            let target = tx.get(&BUCKETS, scope, &(goal.bucket.as_str(),))?;
            let target = match check_target(target, object.as_ref()) {
                Ok(target) => target,
                Err(reason) => {
                    status = Status::Failed;
                    if let Some(object) = object.as_ref().filter(|_| goal.has_metrics) {
                        sent.extend(self.tell_failure(tx, &source, object, &goal, reason, now)?);
                    }
                    continue;
                }
            };
            let copied = match &object {
                Some(replica) if is_replica => {
                    changes::sync(tx, scope, (&source, &target), (key, id), replica, &goal)?;
                    Vec::new()
                }
                Some(object) if self.pending.is_change => {
                    changes::follow(tx, scope, &target, (key, id), object, &goal)?;
                    Vec::new()
                }
                Some(object) => {
                    let fresh_id = fresh_id.wrapping_add(index as u64);
                    self.put(tx, (&source, &target), object, &goal, fresh_id, now)?
                }
                None => self.mark(tx, &target, now)?,
            };
            sent.extend(copied);
        }
        if object.is_some() && !is_replica {
            versions::rewrite(tx, scope, &source, key, Some(id), |object| {
                set_status(object, status);
                Ok(())
            })?;
        }
        Ok(sent)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html>
    fn tell_failure(
        &self,
        tx: &mut Transaction<'_>,
        source: &Bucket,
        object: &Object,
        goal: &Goal,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<Vec<Handoff>> {
        let cx = self.context(source);
        let failed = FailedReplication {
            rule: goal.rule.clone(),
            destination: bucket_arn(&cx, &goal.bucket).to_string(),
            operation: "OBJECT_PUT",
            requested_at: object.last_modified,
            reason,
        };
        let event = "s3:Replication:OperationFailedReplication";
        let detail = Some(Detail::NotReplicated(failed));
        let happening = Happening { detail, ..Happening::new(&cx, event, now) };
        announce(tx, self.s3, source, &self.key, Some(object), object.sequencer + 1, &happening)
    }

    /// The service acts for itself in the target's account and region.
    fn context(&self, target: &Bucket) -> Context {
        let account = AccountId::new(&target.account).unwrap_or_else(|_| AccountId::default_account());
        let region = Region::new(&target.region).unwrap_or_else(|_| Region::us_east_1());
        let cause = Cause::root("replication".to_owned(), "s3.amazonaws.com".to_owned());
        Context::internal(&self.s3.host, World { account, ..self.world.clone() }, region, cause)
    }

    fn put(
        &self,
        tx: &mut Transaction<'_>,
        (source, target): (&Bucket, &Bucket),
        object: &Object,
        goal: &Goal,
        fresh_id: u64,
        now: Timestamp,
    ) -> Result<Vec<Handoff>> {
        let mut replica = object.clone();
        let blob = readable(tx, self.scope, &object.content)?.into_blob();
        replica.content = NewContent::of_blob(blob, fresh_id).keep(tx, self.scope, None)?.0;
        if goal.storage_class.is_some() {
            replica.storage_class = goal.storage_class.clone();
        }
        replica.extras = owned(&replica, (source, target), goal).boxed();
        set_status(&mut replica, Status::Replica);
        if !versions::insert(tx, self.scope, target, &self.key, Version::of(replica.clone()), self.sequencer, now)? {
            crate::objects::release(tx, self.scope, &replica.content)?;
            return Ok(Vec::new());
        }
        let cx = self.context(target);
        let happening = Happening::new(&cx, "s3:ObjectCreated:Put", now);
        announce(tx, self.s3, target, &self.key, Some(&replica), replica.sequencer, &happening)
    }

    fn mark(&self, tx: &mut Transaction<'_>, target: &Bucket, now: Timestamp) -> Result<Vec<Handoff>> {
        let id = Some(self.pending.version_id.clone());
        let marker = Version { id, last_modified: now, replaced_at: None, owner: None, object: None };
        if versions::insert(tx, self.scope, target, &self.key, marker, self.sequencer, now)? {
            let (cx, what, key) = (&self.context(target), What::DeleteMarker, self.key.as_str());
            let (version_id, sequencer) = (Some(self.pending.version_id.as_str()), self.sequencer);
            record(tx, target, &About { cx, what, key, version_id, object: None, sequencer, now })?;
        }
        Ok(Vec::new())
    }
}

/// A bucket that can take a replica, or why it cannot.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html#replication-failure-codes>
fn check_target(target: Option<Bucket>, object: Option<&Object>) -> Result<Bucket, &'static str> {
    let target = target.ok_or("DstBucketNotFound")?;
    if target.settings.versioning != Some(Versioning::Enabled) {
        return Err("DstBucketUnversioned");
    }
    let extras = object.and_then(|object| object.extras.as_deref());
    let is_locked = extras.is_some_and(|extras| extras.retention.is_some() || extras.legal_hold.is_some());
    if is_locked && !target.settings.has(Kind::ObjectLock) {
        return Err("DstBucketObjectLockConfigMissing");
    }
    Ok(target)
}

/// Whose a replica is: its source's owner's, with its list, unless the rule gives it away.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-change-owner.html>
fn owned(replica: &Object, (source, target): (&Bucket, &Bucket), goal: &Goal) -> Extras {
    let mut extras = replica.extras.as_deref().cloned().unwrap_or_default();
    if goal.is_given_away {
        (extras.acl, extras.owner_account) = (None, None);
    } else if extras.acl.is_none() && source.account != target.account {
        extras.acl = Some(Acl::private(&canonical_user(&source.account)));
        extras.owner_account = Some(source.account.clone());
    }
    extras
}
