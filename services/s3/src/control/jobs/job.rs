//! A job's record, its states, and which come after which.

use fractus_aws::{AccountId, Arn, Partition, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::{Caller, CallerKind, Context};
use fractus_s3control_api as api;
use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::control::errors::refused;
use crate::control::kept::from_json;
use crate::control::roles;
use crate::error::{Error, Result};
use crate::service::S3;

/// (account, region, id).
pub const JOBS: Collection<(String, String, String), Job> = Collection::new("control.jobs");
/// Newest first: (account, region, falling creation time, id).
pub const JOBS_BY_TIME: Collection<(String, String, u64, String), ()> = Collection::new("control.jobs-by-time");
/// What clients called their requests: (account, region, client token), and the job's id.
pub const TOKENS: Collection<(String, String, String), String> = Collection::new("control.job-tokens");
/// Jobs that something is to be done for, the most important first: (falling priority, creation time, id).
pub const WAITING: Collection<(u64, u64, String), At> = Collection::new("control.jobs-waiting");
/// Jobs that wait for their confirmation, and until when: (microseconds, id).
pub const UNCONFIRMED: Collection<(u64, String), At> = Collection::new("control.jobs-unconfirmed");
/// What is still to be done of a job: (id, place).
pub const TASKS: Collection<(String, u64), Task> = Collection::new("control.job-tasks");
/// What was done: (id, whether it failed, place), and the row of the report.
pub const OUTCOMES: Collection<(String, bool, u64), String> = Collection::new("control.job-outcomes");

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    pub account: String,
    pub region: String,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub bucket: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// How often it was tried in vain.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tries: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(tries: &u32) -> bool {
    *tries == 0
}

impl Task {
    pub fn new(bucket: impl Into<String>, key: impl Into<String>, version_id: Option<String>) -> Task {
        Task { bucket: bucket.into(), key: key.into(), version_id, tries: 0 }
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    New,
    Preparing,
    Suspended,
    Ready,
    Active,
    /// Between `Active` and `Paused`.
    Pausing,
    /// Something more important is being done.
    Paused,
    Completing,
    Complete,
    Cancelling,
    Cancelled,
    Failing,
    Failed,
}

impl Status {
    pub fn shown(self) -> api::JobStatus {
        match self {
            Status::New => api::JobStatus::New,
            Status::Preparing => api::JobStatus::Preparing,
            Status::Suspended => api::JobStatus::Suspended,
            Status::Ready => api::JobStatus::Ready,
            Status::Active => api::JobStatus::Active,
            Status::Pausing => api::JobStatus::Pausing,
            Status::Paused => api::JobStatus::Paused,
            Status::Completing => api::JobStatus::Completing,
            Status::Complete => api::JobStatus::Complete,
            Status::Cancelling => api::JobStatus::Cancelling,
            Status::Cancelled => api::JobStatus::Cancelled,
            Status::Failing => api::JobStatus::Failing,
            Status::Failed => api::JobStatus::Failed,
        }
    }

    pub fn has_ended(self) -> bool {
        matches!(self, Status::Complete | Status::Cancelled | Status::Failed)
    }

    /// What a caller's request makes of it: a job that waits for its confirmation is set going, and one that has not ended
    /// is cancelled.
    pub fn requested(self, wanted: &api::RequestedJobStatus) -> Option<Status> {
        match (wanted, self) {
            (api::RequestedJobStatus::Ready, Status::Suspended) => Some(Status::Ready),
            (
                api::RequestedJobStatus::Cancelled,
                Status::New
                | Status::Preparing
                | Status::Suspended
                | Status::Ready
                | Status::Active
                | Status::Pausing
                | Status::Paused,
            ) => Some(Status::Cancelling),
            _ => None,
        }
    }
}

/// A job stops when more than half of its tasks have failed, once a thousand are through.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html#batch-ops-job-status-failure>
pub fn fails_too_often(succeeded: u64, failed: u64) -> bool {
    let done = succeeded + failed;
    done >= 1_000 && failed * 2 > done
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub account: String,
    pub region: String,
    pub priority: u32,
    /// JSON of a `JobDescriptor` with what was asked for.
    pub asked: String,
    pub status: Status,
    #[serde(default)]
    pub status_reason: Option<String>,
    pub created_at: Timestamp,
    #[serde(default)]
    pub suspended_at: Option<Timestamp>,
    /// Since when it is active, and for how long it was before.
    #[serde(default)]
    pub active_at: Option<Timestamp>,
    #[serde(default)]
    pub was_active_ms: u64,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub total: u64,
    #[serde(default)]
    pub succeeded: u64,
    #[serde(default)]
    pub failed: u64,
    /// Codes and reasons.
    #[serde(default)]
    pub failures: Vec<(String, String)>,
    /// The manifest that was generated: its object's ARN and entity tag.
    #[serde(default)]
    pub generated: Option<(String, String)>,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
}

impl Job {
    /// A job of the caller's that is new.
    pub fn new(id: String, cx: &Context, asked: String) -> Job {
        let created_at = cx.now().to_millis_precision();
        Job::of(id, (cx.world.account.as_str(), cx.region.as_str()), asked, created_at)
    }

    fn of(id: String, (account, region): (&str, &str), asked: String, created_at: Timestamp) -> Job {
        Job {
            id,
            account: account.to_owned(),
            region: region.to_owned(),
            priority: 0,
            asked,
            status: Status::New,
            status_reason: None,
            created_at,
            suspended_at: None,
            active_at: None,
            was_active_ms: 0,
            ended_at: None,
            total: 0,
            succeeded: 0,
            failed: 0,
            failures: Vec::new(),
            generated: None,
            tags: Vec::new(),
        }
    }

    pub fn asked(&self) -> Result<api::JobDescriptor> {
        from_json(&self.asked)
    }

    /// Goes over to a state, and keeps the times that belong to it.
    pub fn enter(&mut self, status: Status, now: Timestamp) {
        if let Some(since) = self.active_at.take() {
            self.was_active_ms += u64::try_from(now.since(since).as_millis()).unwrap_or(0);
        }
        self.active_at = (status == Status::Active).then_some(now);
        if status == Status::Suspended {
            self.suspended_at = Some(now);
        }
        if status.has_ended() {
            self.ended_at = Some(now);
        }
        self.status = status;
    }

    /// For how long it has been active by now.
    pub fn active_secs(&self, now: Timestamp) -> u64 {
        let current = self.active_at.map_or(0, |since| u64::try_from(now.since(since).as_millis()).unwrap_or(0));
        (self.was_active_ms + current) / 1_000
    }

    pub fn arn(&self, partition: Partition) -> String {
        format!("arn:{partition}:s3:{}:{}:job/{}", self.region, self.account, self.id)
    }

    /// Its place among those that wait.
    pub fn waiting(&self) -> (u64, u64, String) {
        let created = u64::try_from(self.created_at.micros()).unwrap_or(0);
        (u64::MAX - u64::from(self.priority), created, self.id.clone())
    }

    pub fn at(&self) -> At {
        At { account: self.account.clone(), region: self.region.clone(), id: self.id.clone() }
    }

    fn role(&self, partition: Partition, account: &AccountId) -> Option<Arn> {
        self.asked().ok().and_then(|asked| roles::of_account(&asked.role_arn?, partition, account))
    }

    fn session_name(&self) -> String {
        format!("s3-batch-operations_{}", self.id)
    }

    /// [`Job::context`] with a session of its role from STS, where there is one; the error says why its role may not be
    /// assumed.
    pub async fn acting(&self, s3: &S3, lane: &fractus_aws::Lane, partition: Partition) -> (Context, Option<String>) {
        let mut cx = self.context(s3, lane, partition);
        let Some(role) = self.role(partition, &cx.world.account) else { return (cx, None) };
        match roles::assumed(s3, &cx, &role, self.session_name(), self.arn(partition).parse().ok()).await {
            Ok(Some(caller)) => cx.caller = std::sync::Arc::new(caller),
            Ok(None) => {}
            Err(reason) => return (cx, Some(reason)),
        }
        (cx, None)
    }

    /// What it does is done by its role, in its account and region.
    pub fn context(&self, s3: &S3, lane: &fractus_aws::Lane, partition: Partition) -> Context {
        let account = AccountId::new(&self.account).unwrap_or_else(|_| AccountId::default_account());
        let region = Region::new(&self.region).unwrap_or_else(|_| Region::us_east_1());
        let cause = Cause::root(self.id.clone(), roles::BATCH.to_owned());
        let world = World { lane: lane.clone(), partition, account: account.clone() };
        let mut cx = Context::internal(&s3.host, world, region, cause);
        // Not the service itself: where policies are evaluated, they are asked about the role.
        cx.caller = std::sync::Arc::new(match self.role(partition, &account) {
            Some(role) => roles::session(&role, &self.session_name()).into_caller(),
            // A job of before its role was looked at.
            None => Caller {
                arn: format!("arn:{partition}:iam::{account}:root"),
                principal_id: account.to_string(),
                account,
                kind: CallerKind::Root,
                access_key_id: String::new(),
                credential: None,
            },
        });
        cx
    }
}

pub fn not_found() -> Error {
    refused("NoSuchJobException", 404, "The specified job does not exist")
}

pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, region: &str, id: &str) -> Result<Job> {
    snapshot.get(&JOBS, scope, &(account, region, id))?.ok_or_else(not_found)
}

/// How long a job is known after its end.
const KNOWN_FOR: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);

/// Writes a job; one that has ended is forgotten in 90 days.
pub fn keep(tx: &mut Transaction<'_>, scope: &Scope, job: &Job) -> Result<()> {
    let at = (job.account.as_str(), job.region.as_str(), job.id.as_str());
    let rank = u64::MAX - u64::try_from(job.created_at.micros()).unwrap_or(0);
    let by_time = (at.0, at.1, rank, at.2);
    match job.ended_at {
        Some(ended_at) => {
            tx.put_until(&JOBS, scope, &at, job, ended_at.plus(KNOWN_FOR))?;
            tx.put_until(&JOBS_BY_TIME, scope, &by_time, &(), ended_at.plus(KNOWN_FOR))?;
        }
        None => {
            tx.put(&JOBS, scope, &at, job)?;
            tx.put(&JOBS_BY_TIME, scope, &by_time, &())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_requested() {
        use api::RequestedJobStatus::{Cancelled, Ready};
        assert_eq!(Status::Suspended.requested(&Ready), Some(Status::Ready));
        assert_eq!(Status::Active.requested(&Ready), None);
        assert_eq!(Status::Active.requested(&Cancelled), Some(Status::Cancelling));
        for ended in [Status::Complete, Status::Cancelled, Status::Failed] {
            assert!(ended.has_ended());
            assert_eq!(ended.requested(&Cancelled), None);
        }
    }

    #[test]
    fn only_the_time_in_which_a_job_is_active_counts() {
        let at = Timestamp::from_secs;
        let mut job = Job::of("i".into(), ("000000000000", "us-east-1"), "{}".into(), at(0));
        let steps = [(Status::Ready, 10), (Status::Active, 20), (Status::Paused, 25), (Status::Active, 100)];
        for (status, secs) in steps {
            job.enter(status, at(secs));
        }
        assert_eq!(job.active_secs(at(103)), 8);
        job.enter(Status::Completing, at(110));
        job.enter(Status::Complete, at(500));
        assert_eq!((job.active_secs(at(900)), job.ended_at), (15, Some(at(500))));
    }

    #[test]
    fn half_of_a_thousand_may_fail() {
        assert!(!fails_too_often(0, 999));
        assert!(!fails_too_often(500, 500));
        assert!(fails_too_often(499, 501));
        assert!(!fails_too_often(10_000, 1));
    }
}
