//! What buckets have done for them by the lane's clock: inventories, storage class analysis, and the delivery of access
//! logs. One record each says when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::{Random, Timestamp};
use fractus_host::{Context, Waker};
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use fractus_wire::ByteStream;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::control::lens_export::requests;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::lifecycle::midnight_after;
use crate::operations::put::{self, Request};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, ObjectHeaders};
use crate::{analytics, inventory, logging, metadata, watch, worlds};

/// When something is due: (bucket id, job, configuration id).
pub const SCHEDULES: Collection<(u64, String, String), Due> = Collection::new("schedules");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Due {
    pub bucket: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Analytics,
    Inventory,
    Logging,
    Metadata,
}

impl Job {
    const fn name(self) -> &'static str {
        match self {
            Job::Analytics => "analytics",
            Job::Inventory => "inventory",
            Job::Logging => "logging",
            Job::Metadata => "metadata",
        }
    }
}

#[derive(Clone, Default)]
pub struct Schedule {
    waker: Arc<Mutex<Option<Waker>>>,
    /// Not zero where some bucket's requests may be logged or measured; changes with every change of that.
    watches: Arc<AtomicU64>,
    /// How many lines of access logs this process has written.
    lines: Arc<AtomicU64>,
}

impl Schedule {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }

    /// Whether a request has to be looked at at all.
    pub fn may_watch(&self) -> bool {
        self.watches.load(Ordering::Relaxed) != 0
    }

    /// The id of a line of an access log: later than those before, and no other process's.
    pub fn line_id(&self, random: &Random) -> String {
        format!("{:016x}{:016x}", self.lines.fetch_add(1, Ordering::Relaxed), random.u64())
    }

    pub fn watches_now(&self) {
        self.watches.fetch_add(1, Ordering::AcqRel);
    }
}

/// Sets when a job is due next; one that is due already stays so.
pub fn set(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket, job: Job, id: &str, at: Timestamp) -> Result<()> {
    let place = (bucket.id, job.name(), id);
    let known = tx.get(&SCHEDULES, scope, &place)?;
    if job == Job::Logging && known.is_some() {
        return Ok(());
    }
    Ok(tx.put(&SCHEDULES, scope, &place, &Due { bucket: bucket.name.clone(), at })?)
}

pub fn start(s3: &S3) {
    // Nothing is known yet of what the store holds.
    s3.schedule.watches_now();
    let service = s3.clone();
    let waker = s3.host.background("schedule", move |lane| {
        let s3 = service.clone();
        async move {
            match round(&s3, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "scheduled work failed; it is tried again"
                    );
                    None
                }
            }
        }
    });
    *s3.schedule.waker.lock() = Some(waker);
}

/// Does what is due in a lane; gives when the next is.
async fn round(s3: &S3, lane: &Lane) -> Result<Option<Timestamp>> {
    let known = s3.schedule.watches.load(Ordering::Acquire);
    let spaces = s3.store.collections(0).await?;
    let marks = [logging::LOGGED.name(), watch::WATCHED.name(), requests::WATCHES.name()];
    if known != 0 && !spaces.iter().any(|space| marks.contains(&space.collection.as_str())) {
        // Where that has changed meanwhile, it stays.
        let _ = s3.schedule.watches.compare_exchange(known, 0, Ordering::AcqRel, Ordering::Acquire);
    }
    let now = s3.host.clocks().lane(lane.as_str()).now();
    let mut next: Option<Timestamp> = None;
    for world in worlds::among(spaces, lane, SCHEDULES.name()) {
        let scope = Scope::partition(&world);
        let all = s3.store.read(|snapshot| {
            let found = snapshot.range(&SCHEDULES, &scope, Range::all(), Order::Ascending)?;
            found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
        });
        for ((bucket_id, job, id), due) in all.await? {
            let at = if due.at > now {
                Some(due.at)
            } else {
                let work = Work { s3, world: &world, scope: &scope, bucket_id, job: &job, id: &id, due: &due, now };
                work.run().await?
            };
            next = next.into_iter().chain(at).min();
        }
    }
    Ok(next)
}

struct Work<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    bucket_id: u64,
    job: &'a str,
    id: &'a str,
    due: &'a Due,
    now: Timestamp,
}

impl Work<'_> {
    async fn run(&self) -> Result<Option<Timestamp>> {
        let name = self.due.bucket.as_str();
        if self.job == Job::Metadata.name() {
            let (s3, world, scope, now) = (self.s3, self.world, self.scope, self.now);
            let work = metadata::work::Work { s3, world, scope, bucket: name, bucket_id: self.bucket_id, now };
            // In a box: seldom waited for.
            let next = Box::pin(work.run()).await?;
            return self.again(next).await;
        }
        let bucket = self.s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BUCKETS, self.scope, &(name,))?));
        let bucket = bucket.await?.filter(|bucket| bucket.id == self.bucket_id);
        let next = match (bucket, self.job) {
            (Some(bucket), "inventory" | "analytics") => {
                let made = if self.job == "inventory" {
                    inventory::report(self.s3, self.world, self.scope, &bucket, self.id, self.now).await
                } else {
                    analytics::export(self.s3, self.world, self.scope, &bucket, self.id, self.now).await
                };
                match made {
                    Ok(next) => next,
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    // What its destination refuses today is tried again tomorrow, and holds nobody else up.
                    Err(error) => {
                        let (cause, job) = (&error as &dyn std::error::Error, self.job);
                        tracing::warn!(error = cause, bucket = name, id = self.id, job, "a report could not be made");
                        Some(midnight_after(self.now))
                    }
                }
            }
            (Some(bucket), "logging") => {
                // First, so that a request that comes while lines go out has its own delivery.
                self.forget().await?;
                match logging::deliver(self.s3, self.world, self.scope, &bucket, self.now).await {
                    Ok(()) => {}
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    // The lines stay, and go out with those of the next request.
                    Err(error) => {
                        let cause = &error as &dyn std::error::Error;
                        tracing::warn!(error = cause, bucket = name, "access logs could not be delivered");
                    }
                }
                return Ok(None);
            }
            _ => None,
        };
        self.again(next).await
    }

    /// Sets when the job is due next; never is the end of it.
    async fn again(&self, next: Option<Timestamp>) -> Result<Option<Timestamp>> {
        let Some(at) = next else { return self.forget().await.map(|()| None) };
        let due = Due { bucket: self.due.bucket.clone(), at };
        let place = (self.bucket_id, self.job, self.id);
        self.s3.store.write(|tx| Ok::<_, Error>(tx.put(&SCHEDULES, self.scope, &place, &due)?)).await?;
        Ok(next)
    }

    async fn forget(&self) -> Result<()> {
        let place = (self.bucket_id, self.job, self.id);
        self.s3.store.write(|tx| Ok(tx.delete(&SCHEDULES, self.scope, &place)?)).await
    }
}

/// An object that S3 itself puts into a bucket.
pub struct Parcel<'a> {
    pub bucket: &'a str,
    pub key: String,
    pub content_type: &'static str,
    pub content: Vec<u8>,
    pub wanted: Wanted,
}

/// Puts a parcel, as the owner of its bucket; says whether there is such a bucket.
pub async fn put_parcel(s3: &S3, world: &World, scope: &Scope, parcel: Parcel<'_>) -> Result<bool> {
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BUCKETS, scope, &(parcel.bucket,))?));
    let Some(bucket) = found.await? else { return Ok(false) };
    let account = AccountId::new(&bucket.account).unwrap_or_else(|_| AccountId::default_account());
    let region = Region::new(&bucket.region).unwrap_or_else(|_| Region::us_east_1());
    let cause = Cause::root("schedule".to_owned(), "s3.amazonaws.com".to_owned());
    let cx = Context::internal(&s3.host, World { account, ..world.clone() }, region, cause);
    let request = Request {
        bucket: bucket.name,
        key: parcel.key,
        owner: None,
        expected: Default::default(),
        headers: ObjectHeaders { content_type: Some(parcel.content_type.to_owned()), ..ObjectHeaders::default() },
        storage_class: None,
        tags: Vec::new(),
        conditions: Default::default(),
        event: "s3:ObjectCreated:Put",
        wanted: parcel.wanted,
    };
    put::store_object(s3, &cx, Box::new(request), ByteStream::from(bytes::Bytes::from(parcel.content))).await?;
    Ok(true)
}
