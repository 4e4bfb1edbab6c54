//! Doing what jobs are there for: step by step, the most important job first.

use std::collections::HashSet;
use std::sync::Arc;

use fractus_aws::{Lane, Partition, World};
use fractus_clock::Timestamp;
use fractus_host::{Context, Waker};
use fractus_store::{Order, Range, Scope, Transaction};
use fractus_wire::Failure;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::job::{self, At, JOBS, Job, OUTCOMES, Status, TASKS, Task, UNCONFIRMED, WAITING};
use super::{functions, report, tasks, told};
use crate::error::{Error, Result};
use crate::service::S3;
use crate::worlds;

/// How many tasks are done between two looks at whether the job is still to go on, and at more important ones.
const AT_ONCE: usize = 50;
/// How many jobs of a partition are done at a time: the most important ones. AWS does several, and does not say how many.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-managing-jobs.html#batch-ops-job-priority>
const JOBS_AT_ONCE: usize = 4;
/// How many jobs are looked at for one that is active.
const LOOKED_AT: usize = 1_000;
/// Where the next try of a task stands: behind all that have not been tried so often.
const NEXT_TRY: u64 = 1 << 40;
/// How many records are removed in one transaction.
const REMOVED_AT_ONCE: usize = 1_000;

#[derive(Clone, Default)]
pub struct Jobs {
    waker: Arc<Mutex<Option<Waker>>>,
    /// Changes with every job that something is to be done for, so that one need not wait for others' steps.
    news: watch::Sender<u64>,
}

impl Jobs {
    pub fn wake(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
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
        work_off_partition(s3, lane, &world, &scope).await?;
        next = next.into_iter().chain(give_up_unconfirmed(s3, lane, world.partition, &scope).await?).min();
    }
    Ok(next)
}

/// Does what can be done of a partition's jobs, the most important ones side by side: each goes from step to step by itself.
async fn work_off_partition(s3: &S3, lane: &Lane, world: &World, scope: &Scope) -> Result<()> {
    let mut news = s3.jobs.news.subscribe();
    let draining = s3.host.draining();
    let (mut busy, mut running) = (HashSet::new(), FuturesUnordered::new());
    loop {
        if !draining.is_cancelled() {
            let first = s3.store.read(|snapshot| {
                let found = snapshot.range(&WAITING, scope, Range::all(), Order::Ascending)?.take(JOBS_AT_ONCE);
                found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
            });
            for (place, at) in first.await? {
                if busy.insert(at.id.clone()) {
                    running.push(step(s3, lane, world, scope, place, at));
                }
            }
        }
        tokio::select! {
            stepped = running.next() => match stepped {
                Some((id, outcome)) => {
                    busy.remove(&id);
                    outcome?;
                }
                None => return Ok(()),
            },
            Ok(()) = news.changed() => {}
        }
    }
}

/// The next step of one job; gives its id.
async fn step(
    s3: &S3,
    lane: &Lane,
    world: &World,
    scope: &Scope,
    place: (u64, u64, String),
    at: At,
) -> (String, Result<()>) {
    let work = async {
        let key = (at.account.as_str(), at.region.as_str(), at.id.as_str());
        let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&JOBS, scope, &key)?)).await?;
        let Some(job) = found else {
            return s3.store.write(|tx| Ok::<_, Error>(tx.delete(&WAITING, scope, &place)?)).await;
        };
        // What a job does itself it does as its role; the rest is S3's.
        let acts = matches!(job.status, Status::Preparing | Status::Active);
        let (cx, refused) = match acts {
            true => job.acting(s3, lane, world.partition).await,
            false => (job.context(s3, lane, world.partition), None),
        };
        let step = Step { s3, cx: &cx, world, scope, at: &at };
        match refused {
            Some(reason) => step.fail(job.status, "AccessDenied", &reason, cx.now()).await,
            None => step.take(job).await,
        }
    };
    let outcome = work.await;
    (at.id, outcome)
}

/// Fails the jobs that nobody has confirmed in time; gives when the next is due.
async fn give_up_unconfirmed(s3: &S3, lane: &Lane, partition: Partition, scope: &Scope) -> Result<Option<Timestamp>> {
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
        let given_up = s3.store.write(|tx| {
            tx.delete(&UNCONFIRMED, scope, &(micros, id.as_str()))?;
            let key = (at.account.as_str(), at.region.as_str(), at.id.as_str());
            let Some(mut job) = tx.get(&JOBS, scope, &key)? else { return Ok(None) };
            if job.status != Status::Suspended {
                return Ok(None);
            }
            job.enter(Status::Failing, now);
            let reason = "The job was not confirmed within 30 days";
            job.failures.push(("ConfirmationTimedOut".to_owned(), reason.to_owned()));
            tx.put(&WAITING, scope, &job.waiting(), &at)?;
            job::keep(tx, scope, &job)?;
            Ok::<_, Error>(Some(told::status_changed(tx, s3, &job.context(s3, lane, partition), &job)?))
        });
        let _sent = given_up.await?;
        s3.jobs.wake();
    }
}

/// A task that was done: its place, and how it went.
type Done = (u64, Task, tasks::Outcome);

/// One step of a job.
pub(super) struct Step<'a> {
    pub s3: &'a S3,
    pub cx: &'a Context,
    pub world: &'a World,
    pub scope: &'a Scope,
    pub at: &'a At,
}

impl Step<'_> {
    async fn take(&self, job: Job) -> Result<()> {
        match job.status {
            Status::New => self.enter(Status::New, Status::Preparing).await,
            Status::Preparing => self.prepare(job).await,
            Status::Ready | Status::Paused => {
                self.pause_lesser().await?;
                self.enter(job.status, Status::Active).await
            }
            Status::Pausing => self.enter(Status::Pausing, Status::Paused).await,
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

    async fn enter(&self, from: Status, to: Status) -> Result<()> {
        let now = self.cx.now();
        self.go(from, |_, job| {
            job.enter(to, now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Jobs that are less important than as many as are done at a time wait until there is room for them again.
    async fn pause_lesser(&self) -> Result<()> {
        let now = self.cx.now();
        let paused = self.s3.store.write(|tx| {
            let waiting = tx.range(&WAITING, self.scope, Range::all(), Order::Ascending)?;
            let lesser: Vec<_> = waiting.skip(JOBS_AT_ONCE).take(LOOKED_AT).collect::<std::result::Result<_, _>>()?;
            let mut told = Vec::new();
            for (_, at) in lesser {
                let mut other = job::find(tx, self.scope, &at.account, &at.region, &at.id)?;
                if other.status == Status::Active {
                    for status in [Status::Pausing, Status::Paused] {
                        other.enter(status, now);
                        told.push(told::status_changed(tx, self.s3, self.cx, &other)?);
                    }
                    job::keep(tx, self.scope, &other)?;
                }
            }
            Ok::<_, Error>(told)
        });
        let _sent = paused.await?;
        Ok(())
    }

    /// Changes the job if it is still in the state it was found in, and tells of another one; says whether it was.
    pub async fn go(
        &self,
        from: Status,
        work: impl Fn(&mut Transaction<'_>, &mut Job) -> Result<()> + Send + Sync,
    ) -> Result<bool> {
        let At { account, region, id } = self.at;
        let changed = self.s3.store.write(|tx| {
            let mut job = job::find(tx, self.scope, account, region, id)?;
            if job.status != from {
                return Ok(None);
            }
            work(tx, &mut job)?;
            job::keep(tx, self.scope, &job)?;
            let same = job.status == from;
            let told = if same { None } else { Some(told::status_changed(tx, self.s3, self.cx, &job)?) };
            Ok::<_, Error>(Some(told))
        });
        Ok(changed.await?.is_some())
    }

    /// A job that cannot go on fails at once where nothing was done yet, and with its report where something was.
    pub async fn fail(&self, from: Status, code: &str, reason: &str, now: Timestamp) -> Result<()> {
        self.go(from, |_, job| {
            job.failures.push((code.to_owned(), reason.to_owned()));
            job.enter(if from == Status::Preparing { Status::Failed } else { Status::Failing }, now);
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
        let now = self.cx.now();
        let at_once = if asked.lambda_invoke.is_some() { functions::AT_ONCE } else { 1 };
        let asked = &asked;
        let done = stream::iter(page).map(|(place, task)| async move {
            let outcome = tasks::run(self.s3, self.cx, id, asked, &task).await;
            (place, task, outcome)
        });
        let done: Vec<Done> = done.buffered(at_once).collect().await;
        let At { account, region, .. } = self.at;
        let _sent = self
            .s3
            .store
            .write(|tx| {
                // Who has cancelled it meanwhile still sees what was done.
                let mut job = job::find(tx, self.scope, account, region, id)?;
                let was = job.status;
                for one in &done {
                    self.put_down(tx, &mut job, one)?;
                }
                if job.status == Status::Active && job::fails_too_often(job.succeeded, job.failed) {
                    let reason = "More than half of the tasks have failed";
                    job.failures.push(("FailureThresholdExceeded".to_owned(), reason.to_owned()));
                    job.enter(Status::Failing, now);
                } else if job.status == Status::Active && done.is_empty() {
                    job.enter(Status::Completing, now);
                }
                job::keep(tx, self.scope, &job)?;
                let same = job.status == was;
                Ok::<_, Error>(if same { None } else { Some(told::status_changed(tx, self.s3, self.cx, &job)?) })
            })
            .await?;
        Ok(())
    }

    /// Writes down how a task went; what is worth another try stands behind all others.
    fn put_down(&self, tx: &mut Transaction<'_>, job: &mut Job, (place, task, outcome): &Done) -> Result<()> {
        let id = job.id.as_str();
        tx.delete(&TASKS, self.scope, &(id, *place))?;
        if outcome.again && task.tries + 1 < tasks::TRIES {
            let task = Task { tries: task.tries + 1, ..task.clone() };
            return Ok(tx.put(&TASKS, self.scope, &(id, place + NEXT_TRY), &task)?);
        }
        tx.put(&OUTCOMES, self.scope, &(id, outcome.failed, *place), &report::row(task, outcome))?;
        match outcome.failed {
            true => job.failed += 1,
            false => job.succeeded += 1,
        }
        Ok(())
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
            job.failures.extend(unreported.clone());
            let fails = unreported.is_some() && status == Status::Complete;
            job.enter(if fails { Status::Failed } else { status }, now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Removes tasks and outcomes.
    pub async fn clear(&self, job: &Job) -> Result<()> {
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
