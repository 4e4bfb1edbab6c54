//! Doing what jobs are there for: step by step, the most important job first.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Lane, World};
use fractus_clock::Timestamp;
use fractus_host::{Context, Waker};
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope, Transaction};
use fractus_wire::Failure;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde_json::json;

use super::job::{self, At, JOBS, Job, OUTCOMES, Status, TASKS, Task, UNCONFIRMED, WAITING};
use super::manifest::{self, Sink, Unusable, bucket_of_arn};
use super::{generate, report, tasks};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::encoding::form_encode;
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;
use crate::worlds;

/// How many tasks are done between two looks at whether the job is still to go on, and at more important ones.
const AT_ONCE: usize = 50;
/// How many records are removed in one transaction.
const REMOVED_AT_ONCE: usize = 1_000;
/// The most bytes of a generated manifest that one file holds.
const FILE_BYTES: usize = 8 * 1024 * 1024;

#[derive(Clone, Default)]
pub struct Jobs {
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Jobs {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}

pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("batch jobs", move |lane| {
        let s3 = service.clone();
        async move {
            match work_off(&s3, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "batch jobs stopped; they are taken up again");
                    None
                }
            }
        }
    });
    *s3.jobs.waker.lock() = Some(waker);
}

/// Does all that can be done in a lane; gives when a job has waited too long for its confirmation.
async fn work_off(s3: &S3, lane: &Lane) -> Result<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    // Every partition that has jobs at all.
    for world in worlds::holding(s3, lane, JOBS.name()).await? {
        let scope = Scope::partition(&world);
        let draining = s3.host.draining();
        while !draining.is_cancelled() {
            let first = s3
                .store
                .read(|snapshot| Ok::<_, Error>(snapshot.first(&WAITING, &scope, Range::all(), Order::Ascending)?));
            let Some((place, at)) = first.await? else { break };
            let key = (at.account.as_str(), at.region.as_str(), at.id.as_str());
            let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&JOBS, &scope, &key)?)).await?;
            let Some(job) = found else {
                s3.store.write(|tx| Ok::<_, Error>(tx.delete(&WAITING, &scope, &place)?)).await?;
                continue;
            };
            let cx = job.context(s3, lane, world.partition);
            Step { s3, cx: &cx, world: &world, scope: &scope, at: &at }.take(job).await?;
        }
        next = next.into_iter().chain(give_up_unconfirmed(s3, lane, &scope).await?).min();
    }
    Ok(next)
}

/// How long a job waits for its confirmation.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30 * 86_400);

/// Fails the jobs that nobody has confirmed in time; gives when the next is due.
async fn give_up_unconfirmed(s3: &S3, lane: &Lane, scope: &Scope) -> Result<Option<Timestamp>> {
    let now = s3.host.clocks().lane(lane.as_str()).now();
    loop {
        let first = s3
            .store
            .read(|snapshot| Ok::<_, Error>(snapshot.first(&UNCONFIRMED, scope, Range::all(), Order::Ascending)?));
        let Some(((micros, id), at)) = first.await? else { return Ok(None) };
        // A moment later, so that it is over then.
        let due = Timestamp::from_millis(i64::try_from(micros / 1_000 + 1).unwrap_or(i64::MAX));
        if due > now {
            return Ok(Some(due));
        }
        s3.store
            .write(|tx| {
                tx.delete(&UNCONFIRMED, scope, &(micros, id.as_str()))?;
                let key = (at.account.as_str(), at.region.as_str(), at.id.as_str());
                let Some(mut job) = tx.get(&JOBS, scope, &key)? else { return Ok(()) };
                if job.status == Status::Suspended {
                    job.status = Status::Failing;
                    let reason = "The job was not confirmed within 30 days";
                    job.failures.push(("ConfirmationTimedOut".to_owned(), reason.to_owned()));
                    tx.put(&WAITING, scope, &job.waiting(), &at)?;
                    job::keep(tx, scope, &job)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        s3.jobs.wake();
    }
}

/// One step of a job.
struct Step<'a> {
    s3: &'a S3,
    cx: &'a Context,
    world: &'a World,
    scope: &'a Scope,
    at: &'a At,
}

impl Step<'_> {
    async fn take(&self, job: Job) -> Result<()> {
        match job.status {
            Status::New => self
                .go(Status::New, |_, job| {
                    job.status = Status::Preparing;
                    Ok(())
                })
                .await
                .map(drop),
            Status::Preparing => self.prepare(job).await,
            Status::Ready => {
                let now = self.cx.now();
                self.go(Status::Ready, |_, job| {
                    job.status = Status::Active;
                    job.active_at = Some(now);
                    Ok(())
                })
                .await
                .map(drop)
            }
            Status::Active => self.run(job).await,
            Status::Completing => self.end(job, Status::Complete).await,
            Status::Failing => self.end(job, Status::Failed).await,
            Status::Cancelling => self.end(job, Status::Cancelled).await,
            // Nothing is to be done until somebody says so, or ever.
            Status::Suspended | Status::Complete | Status::Cancelled | Status::Failed => {
                self.s3.store.write(|tx| Ok::<_, Error>(tx.delete(&WAITING, self.scope, &job.waiting())?)).await
            }
        }
    }

    /// Changes the job if it is still in the state it was found in; says whether it was.
    async fn go(
        &self,
        from: Status,
        work: impl Fn(&mut Transaction<'_>, &mut Job) -> Result<()> + Send + Sync,
    ) -> Result<bool> {
        let At { account, region, id } = self.at;
        self.s3
            .store
            .write(|tx| {
                let mut job = job::find(tx, self.scope, account, region, id)?;
                if job.status != from {
                    return Ok(false);
                }
                work(tx, &mut job)?;
                job::keep(tx, self.scope, &job)?;
                Ok::<_, Error>(true)
            })
            .await
    }

    /// Finds out what is to be done.
    async fn prepare(&self, job: Job) -> Result<()> {
        // An earlier try may have been cut short.
        self.clear(&job).await?;
        let asked = job.asked()?;
        let mut sink = Found { step: self, count: 0, listed: None };
        let read = match (&asked.manifest, &asked.manifest_generator) {
            (Some(manifest), _) => manifest::read(self.s3, self.cx, manifest, &mut sink).await,
            (None, Some(api::JobManifestGenerator::S3JobManifestGenerator(generator))) => {
                sink.listed = generator.enable_manifest_output.then(String::new);
                let versions = asked.operation.as_ref().is_some_and(|asked| asked.s3_replicate_object.is_some());
                generate::read(self.s3, self.cx, generator, versions, &mut sink).await
            }
            _ => Err(manifest::content("The job has no manifest")),
        };
        let (count, listed) = (sink.count, sink.listed.take());
        let read = match (read, listed, &asked.manifest_generator) {
            (Ok(()), Some(listed), Some(api::JobManifestGenerator::S3JobManifestGenerator(generator))) => {
                self.put_generated(&job, generator, listed).await.map(Some).map_err(Unusable::from)
            }
            (read, ..) => read.map(|()| None),
        };
        let now = self.cx.now();
        let waits = asked.confirmation_required == Some(true);
        let generated = match read {
            Ok(generated) if count > 0 => generated,
            Ok(_) => return self.fail(Status::Preparing, "NoTasks", "The manifest names no objects", now).await,
            Err(Unusable::S3(Error::Store(error))) => return Err(Error::Store(error)),
            Err(Unusable::S3(error)) => {
                let failure = Failure::from(error);
                return self.fail(Status::Preparing, &failure.code, &failure.message, now).await;
            }
            Err(Unusable::Content { code, reason }) => return self.fail(Status::Preparing, code, &reason, now).await,
        };
        self.go(Status::Preparing, |tx, job| {
            if waits {
                let until = u64::try_from(now.plus(CONFIRMED_WITHIN).micros()).unwrap_or(u64::MAX);
                tx.put(&UNCONFIRMED, self.scope, &(until, job.id.as_str()), self.at)?;
            }
            job.total = count;
            job.generated.clone_from(&generated);
            job.status = if waits { Status::Suspended } else { Status::Ready };
            job.suspended_at = waits.then_some(now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Keeps the list that was made, as an inventory would be kept; gives its ARN and entity tag.
    async fn put_generated(
        &self,
        job: &Job,
        generator: &api::S3JobManifestGenerator,
        listed: String,
    ) -> Result<(String, String)> {
        let location = generator.manifest_output_location.as_ref().ok_or(Error::MalformedXml)?;
        let bucket = bucket_of_arn(&location.bucket);
        let prefix = location.manifest_prefix.as_deref().map(|prefix| format!("{}/", prefix.trim_end_matches('/')));
        let folder = format!("{}job-{}", prefix.unwrap_or_default(), job.id);
        let content = listed.into_bytes();
        let key = format!("{folder}/data/{}.csv", self.s3.host.random().uuid());
        let manifest = json!({
            "sourceBucket": bucket_of_arn(&generator.source_bucket),
            "destinationBucket": location.bucket,
            "version": "2021-11-30",
            "creationTimestamp": (self.cx.now().secs() * 1_000).to_string(),
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, VersionId",
            "files": [{"key": key, "size": content.len(), "MD5checksum": hex::encode(Md5::digest(&content))}],
        });
        let manifest = manifest.to_string().into_bytes();
        let etag = hex::encode(Md5::digest(&manifest));
        let manifest_key = format!("{folder}/manifest.json");
        let parts = [(key, "text/csv", content), (manifest_key.clone(), "application/json", manifest)];
        for (key, content_type, content) in parts {
            let parcel = Parcel { bucket, key, content_type, content, wanted: Wanted::default() };
            if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
                return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
            }
        }
        Ok((format!("{}/{manifest_key}", location.bucket), etag))
    }

    /// A job that cannot go on fails at once where nothing was done yet, and with its report where something was.
    async fn fail(&self, from: Status, code: &str, reason: &str, now: Timestamp) -> Result<()> {
        self.go(from, |_, job| {
            job.failures.push((code.to_owned(), reason.to_owned()));
            if from == Status::Preparing {
                job.status = Status::Failed;
                job.ended_at = Some(now);
            } else {
                job.status = Status::Failing;
            }
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Does some of its tasks.
    async fn run(&self, job: Job) -> Result<()> {
        let asked = job.asked()?.operation.unwrap_or_default();
        let id = job.id.as_str();
        let page = self.s3.store.read(|snapshot| {
            let found = snapshot.range(&TASKS, self.scope, Range::prefix(&(id,)), Order::Ascending)?.take(AT_ONCE);
            let tasks = found.map(|entry| entry.map(|((_, place), task)| (place, task)).map_err(Error::from));
            tasks.collect::<Result<Vec<(u64, Task)>>>()
        });
        let page = page.await?;
        let mut done = Vec::with_capacity(page.len());
        for (place, task) in &page {
            let outcome = tasks::run(self.s3, self.cx, &asked, task).await;
            done.push((*place, outcome.failed, report::row(task, &outcome)));
        }
        let failed = done.iter().filter(|(_, failed, _)| *failed).count() as u64;
        let succeeded = done.len() as u64 - failed;
        let At { account, region, .. } = self.at;
        self.s3
            .store
            .write(|tx| {
                // Who has cancelled it meanwhile still sees what was done.
                let mut job = job::find(tx, self.scope, account, region, id)?;
                job.succeeded += succeeded;
                job.failed += failed;
                for (place, failed, row) in &done {
                    tx.delete(&TASKS, self.scope, &(id, *place))?;
                    tx.put(&OUTCOMES, self.scope, &(id, *failed, *place), row)?;
                }
                if job.status == Status::Active && job::fails_too_often(job.succeeded, job.failed) {
                    let reason = "More than half of the tasks have failed";
                    job.failures.push(("FailureThresholdExceeded".to_owned(), reason.to_owned()));
                    job.status = Status::Failing;
                } else if job.status == Status::Active && done.is_empty() {
                    job.status = Status::Completing;
                }
                job::keep(tx, self.scope, &job)
            })
            .await
    }

    /// Tells how it went, and puts away what it leaves.
    async fn end(&self, job: Job, status: Status) -> Result<()> {
        let now = self.cx.now();
        let wanted = job.asked()?.report.unwrap_or_default();
        let mut unreported = None;
        if job.succeeded + job.failed > 0 {
            match report::put(self.s3, self.world, self.scope, &job, &wanted, now).await {
                Ok(()) => {}
                Err(Error::Store(error)) => return Err(Error::Store(error)),
                Err(error) => {
                    let failure = Failure::from(error);
                    let reason = format!("The report could not be written: {}", failure.message);
                    unreported = Some((failure.code.to_string(), reason));
                }
            }
        }
        self.clear(&job).await?;
        self.go(job.status, |_, job| {
            job.status = status;
            if let Some(why) = &unreported {
                job.failures.push(why.clone());
                job.status = if status == Status::Complete { Status::Failed } else { status };
            }
            job.ended_at = Some(now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Removes tasks and outcomes.
    async fn clear(&self, job: &Job) -> Result<()> {
        let id = job.id.as_str();
        loop {
            let removed = self.s3.store.write(|tx| {
                let tasks = tx.keys(&TASKS, self.scope, Range::prefix(&(id,)), Order::Ascending)?;
                let tasks: Vec<_> = tasks.take(REMOVED_AT_ONCE).collect::<std::result::Result<_, _>>()?;
                let outcomes = tx.keys(&OUTCOMES, self.scope, Range::prefix(&(id,)), Order::Ascending)?;
                let outcomes: Vec<_> = outcomes.take(REMOVED_AT_ONCE).collect::<std::result::Result<_, _>>()?;
                for (id, place) in &tasks {
                    tx.delete(&TASKS, self.scope, &(id.as_str(), *place))?;
                }
                for (id, failed, place) in &outcomes {
                    tx.delete(&OUTCOMES, self.scope, &(id.as_str(), *failed, *place))?;
                }
                Ok::<_, Error>(tasks.len() + outcomes.len())
            });
            if removed.await? == 0 {
                return Ok(());
            }
        }
    }
}

/// Tasks as they are found.
struct Found<'a> {
    step: &'a Step<'a>,
    count: u64,
    /// The list that is kept besides, where one is wanted.
    listed: Option<String>,
}

impl Sink for Found<'_> {
    async fn put(&mut self, tasks: Vec<Task>) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        if let Some(listed) = &mut self.listed {
            for Task { bucket, key, version_id } in &tasks {
                let version = version_id.as_deref().unwrap_or_default();
                listed.push_str(&format!("\"{bucket}\",\"{}\",\"{version}\"\n", form_encode(key)));
            }
            if listed.len() > FILE_BYTES {
                return Err(Error::invalid_request("The generated manifest is too long to be kept"));
            }
        }
        let (step, from) = (self.step, self.count);
        step.s3
            .store
            .write(|tx| {
                for (place, task) in tasks.iter().enumerate() {
                    tx.put(&TASKS, step.scope, &(step.at.id.as_str(), from + place as u64), task)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.count += tasks.len() as u64;
        Ok(())
    }
}
