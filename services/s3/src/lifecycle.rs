//! Carrying lifecycle rules out, once a day of each lane's clock: what has expired goes, what is due changes its storage
//! class, uploads that nobody completes are aborted. What has come to an archive tier of intelligent tiering is told of.
//!
//! It works through a bucket a page at a time, and each change looks again at what it changes, so that nothing that was
//! put in the meantime is lost.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html>

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::{Context, Waker};
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scope, Transaction};
use parking_lot::Mutex;

use crate::configurations::{self, Configured, Kind};
use crate::error::{Error, Result};
use crate::logging;
use crate::model::lifecycle::{self, Least, Rule, Subject, When, midnight_after};
use crate::model::lock;
use crate::notify::{Happening, announce};
use crate::objects;
use crate::operations::multipart;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, OBJECTS, Object, UPLOADS};
use crate::tiering;
use crate::versions::{self, Found, VERSIONS, Version};
use crate::worlds;

/// The id under which the least size of a transition is kept beside the rules.
pub const MINIMUM: &str = "minimum";

/// How many records one look takes.
const AT_ONCE: usize = 500;

/// When each lane is due again; woken when a configuration changes.
#[derive(Clone, Default)]
pub struct Lifecycle {
    due: Arc<Mutex<HashMap<Lane, Timestamp>>>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Lifecycle {
    /// Has every lane looked through again: something is configured anew.
    pub fn wake(&self) {
        self.due.lock().clear();
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }

    /// Whether a lane is due; a clock that was turned back is no reason to wait longer than a day.
    fn is_due(&self, lane: &Lane, now: Timestamp) -> bool {
        self.due.lock().get(lane).is_none_or(|due| now >= *due || midnight_after(now) < *due)
    }

    fn due_of(&self, lane: &Lane) -> Option<Timestamp> {
        self.due.lock().get(lane).copied()
    }

    fn done(&self, lane: Lane, now: Timestamp) -> Timestamp {
        let next = midnight_after(now);
        self.due.lock().insert(lane, next);
        next
    }
}

/// Starts the daily round.
pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("lifecycle", move |lane| {
        let s3 = service.clone();
        async move {
            let now = s3.host.clocks().lane(lane.as_str()).now();
            if s3.lifecycle.is_due(&lane, now) {
                let next = s3.lifecycle.done(lane.clone(), now);
                if let Err(error) = round(&s3, &lane, now).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a lifecycle round failed; the next goes on"
                    );
                }
                return Some(next);
            }
            s3.lifecycle.due_of(&lane)
        }
    });
    *s3.lifecycle.waker.lock() = Some(waker);
}

/// A bucket under its rules.
struct Work<'a> {
    s3: &'a S3,
    cx: Context,
    scope: Scope,
    bucket: Bucket,
    rules: Vec<Rule>,
    now: Timestamp,
}

async fn round(s3: &S3, lane: &Lane, now: Timestamp) -> Result<()> {
    for world in worlds::holding(s3, lane, BUCKETS.name()).await? {
        let scope = Scope::partition(&world);
        let mut after = String::new();
        loop {
            let page = s3.store.read(|snapshot| {
                let range = Range::all().after(&(after.as_str(),));
                let buckets = snapshot.range(&BUCKETS, &scope, range, Order::Ascending)?.take(AT_ONCE);
                let buckets: Vec<Bucket> = buckets.map(|entry| Ok(entry?.1)).collect::<Result<_>>()?;
                let mut found = Vec::new();
                for bucket in &buckets {
                    let rules = rules_of(snapshot, &scope, bucket)?;
                    if !rules.is_empty() || bucket.settings.has(Kind::IntelligentTiering) {
                        found.push((bucket.clone(), rules));
                    }
                }
                Ok::<_, Error>((found, buckets.last().map(|bucket| bucket.name.clone())))
            });
            let (found, last) = page.await?;
            for (bucket, rules) in found {
                let account = AccountId::new(&bucket.account).unwrap_or_else(|_| AccountId::default_account());
                let region = Region::new(&bucket.region).unwrap_or_else(|_| Region::us_east_1());
                let world = World { account, ..world.clone() };
                let cause = Cause::root("lifecycle".to_owned(), "s3.amazonaws.com".to_owned());
                let cx = Context::internal(&s3.host, world, region, cause);
                let work = Work { s3, cx, scope: scope.clone(), bucket, rules, now };
                work.objects().await?;
                work.versions().await?;
                work.uploads().await?;
                if work.bucket.settings.has(Kind::Logging) {
                    s3.schedule.wake();
                }
            }
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(())
}

/// The rules of a bucket that are on.
pub fn rules_of(snapshot: &fractus_store::Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Vec<Rule>> {
    if !bucket.settings.has(Kind::Lifecycle) {
        return Ok(Vec::new());
    }
    let kind = Kind::Lifecycle;
    Ok(match configurations::read::<api::BucketLifecycleConfiguration>(snapshot, scope, bucket, kind)? {
        Configured::Set(configuration) => lifecycle::rules(&configuration, least_of(snapshot, scope, bucket)?),
        Configured::Default | Configured::Deleted => Vec::new(),
    })
}

/// `x-amz-expiration`: when a current object goes, and by which rule. When an older version goes, no header says.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectHEAD.html>
pub fn expiration_header(
    snapshot: &fractus_store::Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    key: &str,
    object: &Object,
) -> Result<Option<String>> {
    if !bucket.settings.has(Kind::Lifecycle) {
        return Ok(None);
    }
    let rules = rules_of(snapshot, scope, bucket)?;
    let subject = Subject { key, tags: &object.tags, size: object.size };
    let due = lifecycle::expiry(&rules, &subject, object.last_modified);
    Ok(due.map(|(at, id)| format!("expiry-date=\"{}\", rule-id=\"{}\"", at.http_date(), shown_id(id))))
}

/// A rule's id as it is, where a header can carry it.
fn shown_id(id: &str) -> Cow<'_, str> {
    let plain = id.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
    if plain {
        return id.into();
    }
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string().into()
}

/// Which objects are too small to be moved, as the bucket's configuration says.
fn least_of(snapshot: &fractus_store::Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Least> {
    let said = configurations::text(snapshot, scope, bucket, Kind::Lifecycle, MINIMUM)?;
    let varies = api::TransitionDefaultMinimumObjectSize::VariesByStorageClass;
    Ok(if said.as_deref() == Some(varies.as_str()) { Least::ByClass } else { Least::AllClasses })
}

/// What an access log calls a move to a storage class.
fn transition(class: &str) -> &'static str {
    match class {
        "STANDARD_IA" => "S3.TRANSITION_SIA.OBJECT",
        "ONEZONE_IA" => "S3.TRANSITION_ZIA.OBJECT",
        "INTELLIGENT_TIERING" => "S3.TRANSITION_INT.OBJECT",
        "GLACIER_IR" => "S3.TRANSITION_GIR.OBJECT",
        "DEEP_ARCHIVE" => "S3.TRANSITION_GDA.OBJECT",
        _ => "S3.TRANSITION.OBJECT",
    }
}

fn subject<'a>(key: &'a str, object: &'a Object) -> Subject<'a> {
    Subject { key, tags: &object.tags, size: object.size }
}

impl Work<'_> {
    fn happening(&self, event: &'static str) -> Happening<'_> {
        Happening::new(&self.cx, event, self.now)
    }

    fn is_due(&self, key: &str, object: &Object) -> bool {
        lifecycle::expiry(&self.rules, &subject(key, object), object.last_modified)
            .is_some_and(|(at, _)| at <= self.now)
    }

    fn class_due(&self, key: &str, object: &Object) -> Option<&str> {
        let since = object.last_modified;
        lifecycle::transition(&self.rules, &subject(key, object), object.storage_class(), since, self.now)
    }

    /// Current objects: expired, or moved to another class.
    async fn objects(&self) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.bucket.id,));
                if let Some(after) = &after {
                    range = range.after(&(self.bucket.id, after.as_str()));
                }
                let found = snapshot.range(&OBJECTS, &self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map(|((_, key), object)| (key, object)).map_err(Error::from)).collect()
            });
            let page: Vec<(String, Object)> = page.await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, object) in &page {
                if self.is_due(key, object) {
                    self.expire(key).await?;
                } else if self.class_due(key, object).is_some() {
                    self.move_down(key).await?;
                } else if self.may_be_archived(object) {
                    let version_id = object.version_id.as_deref();
                    tiering::tell(self.s3, &self.cx, &self.bucket, key, version_id, self.now).await?;
                }
            }
        }
    }

    async fn expire(&self, key: &str) -> Result<()> {
        let removed = self.s3.store.write(|tx| {
            let Some(object) = tx.get(&OBJECTS, &self.scope, &(self.bucket.id, key))? else { return Ok(None) };
            if !self.is_due(key, &object) {
                return Ok(None);
            }
            if self.bucket.settings.versioning.is_some() {
                let random = self.cx.random();
                let place = versions::put_marker(tx, &self.scope, &self.bucket, key, self.now, random, None)?;
                let version_id = Some(place.version_id.as_deref().unwrap_or(versions::NULL));
                let happening =
                    Happening { version_id, ..self.happening("s3:LifecycleExpiration:DeleteMarkerCreated") };
                let sent = announce(tx, self.s3, &self.bucket, key, None, place.sequencer, &happening)?;
                self.log(tx, "S3.CREATE.DELETEMARKER", key, place.version_id.as_deref(), None)?;
                return Ok(Some((place.freed, sent)));
            }
            tx.delete(&OBJECTS, &self.scope, &(self.bucket.id, key))?;
            let freed = objects::release(tx, &self.scope, &object.content)?;
            let happening = self.happening("s3:LifecycleExpiration:Delete");
            let sent = announce(tx, self.s3, &self.bucket, key, None, object.sequencer + 1, &happening)?;
            self.log(tx, "S3.EXPIRE.OBJECT", key, None, Some(object.size))?;
            Ok::<_, Error>(Some((freed, sent)))
        });
        if let Some((freed, _sent)) = removed.await? {
            self.s3.free(freed);
        }
        Ok(())
    }

    async fn move_down(&self, key: &str) -> Result<()> {
        let moved = self.s3.store.write(|tx| {
            let Some(mut object) = tx.get(&OBJECTS, &self.scope, &(self.bucket.id, key))? else { return Ok(None) };
            let Some(class) = self.class_due(key, &object).map(str::to_owned) else { return Ok(None) };
            object.storage_class = Some(class);
            tx.put(&OBJECTS, &self.scope, &(self.bucket.id, key), &object)?;
            let happening = self.happening("s3:LifecycleTransition");
            let sequencer = object.sequencer + 1;
            self.log(tx, transition(object.storage_class()), key, object.version_id.as_deref(), Some(object.size))?;
            announce(tx, self.s3, &self.bucket, key, Some(&object), sequencer, &happening).map(Some)
        });
        let _sent = moved.await?;
        Ok(())
    }

    /// Writes a line where the bucket's requests are logged.
    fn log(
        &self,
        tx: &mut Transaction<'_>,
        operation: &str,
        key: &str,
        version_id: Option<&str>,
        size: Option<u64>,
    ) -> Result<()> {
        let what = (operation, key, version_id, size);
        logging::of_lifecycle(tx, self.s3, &self.scope, &self.bucket, what, self.now)
    }

    fn may_be_archived(&self, object: &Object) -> bool {
        object.storage_class() == tiering::CLASS && self.bucket.settings.has(Kind::IntelligentTiering)
    }

    /// Older versions, a key's all together: the newest come first, and a rule may keep some of them.
    async fn versions(&self) -> Result<()> {
        if self.bucket.settings.versioning.is_none() {
            return Ok(());
        }
        let mut after: Option<(String, u64)> = None;
        // How many older objects of the key have been passed.
        let (mut current_key, mut passed) = (String::new(), 0);
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.bucket.id,));
                if let Some((key, rank)) = &after {
                    range = range.after(&(self.bucket.id, key.as_str(), *rank));
                }
                let found = snapshot.range(&VERSIONS, &self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found
                    .map(|entry| entry.map(|((_, key, rank), version)| (key, rank, version)).map_err(Error::from))
                    .collect()
            });
            let page: Vec<(String, u64, Version)> = page.await?;
            let Some((key, rank, _)) = page.last() else { return Ok(()) };
            after = Some((key.clone(), *rank));
            for (key, _, version) in &page {
                if *key != current_key {
                    (current_key, passed) = (key.clone(), 0);
                }
                match &version.object {
                    None => self.lone_marker(key, version).await?,
                    Some(object) => {
                        if self.version_is_due(key, object, version, passed) {
                            self.remove(key, version.shown_id()).await?;
                        } else if self.version_class_due(key, object, version, passed).is_some() {
                            self.move_version_down(key, version.shown_id(), passed).await?;
                        } else if self.may_be_archived(object) {
                            let version_id = Some(version.shown_id());
                            tiering::tell(self.s3, &self.cx, &self.bucket, key, version_id, self.now).await?;
                        }
                        passed += 1;
                    }
                }
            }
        }
    }

    fn version_is_due(&self, key: &str, object: &Object, version: &Version, passed: usize) -> bool {
        let Some(since) = version.replaced_at else { return false };
        self.rules.iter().filter(|rule| rule.scope.takes(&subject(key, object))).any(|rule| {
            rule.noncurrent_days.is_some_and(|(days, kept)| passed >= kept && When::Days(days).due(since) <= self.now)
        })
    }

    fn version_class_due(&self, key: &str, object: &Object, version: &Version, passed: usize) -> Option<&str> {
        let (since, class) = (version.replaced_at?, object.storage_class());
        lifecycle::noncurrent_transition(&self.rules, &subject(key, object), class, since, passed, self.now)
    }

    async fn move_version_down(&self, key: &str, id: &str, passed: usize) -> Result<()> {
        let moved = self.s3.store.write(|tx| {
            let found = versions::find(tx, &self.scope, &self.bucket, key, id)?;
            let Some(Found::Older(rank, mut version)) = found else { return Ok(None) };
            let Some(mut object) = version.object.take() else { return Ok(None) };
            let Some(class) = self.version_class_due(key, &object, &version, passed).map(str::to_owned) else {
                return Ok(None);
            };
            object.storage_class = Some(class);
            let happening =
                Happening { version_id: Some(id), ..Happening::new(&self.cx, "s3:LifecycleTransition", self.now) };
            let sequencer = object.sequencer + 1;
            let sent = announce(tx, self.s3, &self.bucket, key, Some(&object), sequencer, &happening)?;
            self.log(tx, transition(object.storage_class()), key, Some(id), Some(object.size))?;
            version.object = Some(object);
            tx.put(&VERSIONS, &self.scope, &(self.bucket.id, key, rank), &version)?;
            Ok::<_, Error>(Some(sent))
        });
        let _sent = moved.await?;
        Ok(())
    }

    /// A delete marker under which nothing is left.
    async fn lone_marker(&self, key: &str, marker: &Version) -> Result<()> {
        let subject = Subject { key, tags: &[], size: 0 };
        let due = self.rules.iter().filter(|rule| rule.removes_lone_markers && rule.scope.takes(&subject));
        if !due.into_iter().any(|rule| rule.expires.is_none_or(|when| when.due(marker.last_modified) <= self.now)) {
            return Ok(());
        }
        let is_alone = self.s3.store.read(|snapshot| {
            let range = Range::prefix(&(self.bucket.id, key));
            let count = snapshot.keys(&VERSIONS, &self.scope, range, Order::Ascending)?.take(2).count();
            Ok::<_, Error>(count == 1 && !snapshot.contains(&OBJECTS, &self.scope, &(self.bucket.id, key))?)
        });
        if is_alone.await? { self.remove(key, marker.shown_id()).await } else { Ok(()) }
    }

    /// Removes a version for good, unless a lock holds it.
    async fn remove(&self, key: &str, id: &str) -> Result<()> {
        let removed = self.s3.store.write(|tx| {
            let removed = versions::remove(tx, &self.scope, &self.bucket, key, id, |object| {
                let extras = object.extras.as_deref();
                let retention = extras.and_then(|extras| extras.retention.as_ref());
                let held = extras.and_then(|extras| extras.legal_hold).unwrap_or(false);
                lock::check_removal(retention, held, false, self.now)
            })?;
            let Some(removed) = removed else { return Ok(None) };
            let happening = Happening { version_id: Some(id), ..self.happening("s3:LifecycleExpiration:Delete") };
            let sent = announce(tx, self.s3, &self.bucket, key, None, removed.sequencer + 1, &happening)?;
            self.log(tx, "S3.EXPIRE.OBJECT", key, Some(id), None)?;
            Ok::<_, Error>(Some((removed.freed, sent)))
        });
        match removed.await {
            Ok(Some((freed, _sent))) => self.s3.free(freed),
            Ok(None) => {}
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            Err(error) => tracing::debug!(%error, key, "a lock holds what has expired"),
        }
        Ok(())
    }

    async fn uploads(&self) -> Result<()> {
        if self.rules.iter().all(|rule| rule.abort_days.is_none()) {
            return Ok(());
        }
        let mut after: Option<(String, String)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.bucket.id,));
                if let Some((key, id)) = &after {
                    range = range.after(&(self.bucket.id, key.as_str(), id.as_str()));
                }
                let found = snapshot.range(&UPLOADS, &self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found.map(|entry| entry.map(|((_, key, id), upload)| (key, id, upload)).map_err(Error::from)).collect()
            });
            let page: Vec<(String, String, crate::store::Upload)> = page.await?;
            let Some((key, id, _)) = page.last() else { return Ok(()) };
            after = Some((key.clone(), id.clone()));
            for (key, id, upload) in &page {
                let due = lifecycle::abortion(&self.rules, key, upload.initiated_at);
                if due.is_some_and(|(at, _)| at <= self.now) {
                    let freed = self
                        .s3
                        .store
                        .write(|tx| {
                            self.log(tx, "S3.DELETE.UPLOAD", key, None, None)?;
                            multipart::remove_upload(tx, &self.scope, &self.bucket, key, id)
                        })
                        .await?;
                    self.s3.free(freed);
                }
            }
        }
    }
}
