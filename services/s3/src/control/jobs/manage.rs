//! Jobs shown, listed, steered and tagged.

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Order, Range};

use super::create::operation;
use super::job::{self, JOBS_BY_TIME, Job, WAITING};
use super::told;
use crate::control::errors::{invalid, refused};
use crate::control::pages::Page;
use crate::control::tags;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

const MAX_TAGS: usize = 50;
/// How many jobs one page of a list looks at, whatever of them it shows.
const MAX_LOOKED_AT: usize = 5_000;

fn number(count: u64) -> Option<i64> {
    Some(i64::try_from(count).unwrap_or(i64::MAX))
}

fn progress(cx: &Context, job: &Job) -> api::JobProgressSummary {
    api::JobProgressSummary {
        total_number_of_tasks: number(job.total),
        number_of_tasks_succeeded: number(job.succeeded),
        number_of_tasks_failed: number(job.failed),
        timers: Some(api::JobTimers { elapsed_time_in_active_seconds: number(job.active_secs(cx.now())) }),
    }
}

async fn look(s3: &S3, cx: &Context, id: &str) -> Result<Job> {
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    s3.store.read(|snapshot| job::find(snapshot, &scope, account, region, id)).await
}

pub async fn describe(s3: &S3, cx: &Context, input: api::DescribeJobInput) -> Result<api::DescribeJobOutput> {
    let job = look(s3, cx, &input.job_id).await?;
    let failures = job.failures.iter().map(|(code, reason)| api::JobFailure {
        failure_code: Some(code.clone()),
        failure_reason: Some(reason.clone()),
    });
    let generated = job.generated.clone().map(|(object_arn, e_tag)| api::S3GeneratedManifestDescriptor {
        format: Some(api::GeneratedManifestFormat::S3InventoryReportCsv20211130),
        location: Some(api::JobManifestLocation { object_arn, object_version_id: None, e_tag }),
    });
    let shown = api::JobDescriptor {
        job_id: Some(job.id.clone()),
        job_arn: Some(job.arn(cx.world.partition)),
        status: Some(job.status.shown()),
        priority: i32::try_from(job.priority).ok(),
        progress_summary: Some(progress(cx, &job)),
        status_update_reason: job.status_reason.clone(),
        failure_reasons: (!job.failures.is_empty()).then(|| failures.collect()),
        creation_time: Some(job.created_at),
        termination_date: job.ended_at,
        suspended_date: job.suspended_at,
        suspended_cause: job.suspended_at.map(|_| "AwaitingConfirmation".to_owned()),
        generated_manifest_descriptor: generated,
        ..job.asked()?
    };
    Ok(api::DescribeJobOutput { job: Some(shown) })
}

pub async fn list(s3: &S3, cx: &Context, input: api::ListJobsInput) -> Result<api::ListJobsOutput> {
    let invalid_token = || refused("InvalidNextTokenException", 400, "The next token is not valid");
    let page = Page::read(None, input.max_results, 1_000)?;
    let after = input.next_token.as_deref().map(|token| {
        let decoded = crate::operations::buckets::decode_token(token).map_err(|_| invalid_token())?;
        let (rank, id) = decoded.split_once(' ').ok_or_else(invalid_token)?;
        Ok::<_, Error>((rank.parse::<u64>().map_err(|_| invalid_token())?, id.to_owned()))
    });
    let after = after.transpose()?;
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let wanted = input.job_statuses.unwrap_or_default();
    let (mut found, cut) = s3
        .store
        .read(|snapshot| {
            let mut range = Range::prefix(&(account, region));
            if let Some((rank, id)) = &after {
                range = range.after(&(account, region, *rank, id.as_str()));
            }
            let mut found = Vec::new();
            for (looked_at, key) in snapshot.keys(&JOBS_BY_TIME, &scope, range, Order::Ascending)?.enumerate() {
                let (_, _, rank, id) = key?;
                let job = job::find(snapshot, &scope, account, region, &id)?;
                let is_wanted = wanted.is_empty() || wanted.contains(&job.status.shown());
                if looked_at == MAX_LOOKED_AT {
                    return Ok((found, Some((rank, id))));
                }
                if is_wanted {
                    found.push((rank, job));
                }
                if found.len() > page.max {
                    break;
                }
            }
            Ok::<_, Error>((found, None))
        })
        .await?;
    let next = page.cut(&mut found, |(rank, job)| format!("{rank} {}", job.id));
    let next_token =
        next.or_else(|| cut.map(|(rank, id)| crate::operations::buckets::encode_token(&format!("{rank} {id}"))));
    let jobs = found.into_iter().map(|(_, job)| {
        let asked = job.asked()?;
        Ok(api::JobListDescriptor {
            operation: asked.operation.as_ref().and_then(|asked| operation(asked).ok()),
            description: asked.description,
            priority: i32::try_from(job.priority).ok(),
            status: Some(job.status.shown()),
            creation_time: Some(job.created_at),
            termination_date: job.ended_at,
            progress_summary: Some(progress(cx, &job)),
            job_id: Some(job.id),
        })
    });
    Ok(api::ListJobsOutput { next_token, jobs: Some(jobs.collect::<Result<_>>()?) })
}

/// Changes a job, and its place among those that wait, in one transaction.
async fn change(s3: &S3, cx: &Context, id: &str, work: impl Fn(&mut Job) -> Result<()> + Send + Sync) -> Result<Job> {
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let (job, _sent) = s3
        .store
        .write(|tx| {
            let mut job = job::find(tx, &scope, account, region, id)?;
            let (before, was) = (job.waiting(), job.status);
            work(&mut job)?;
            if tx.take(&WAITING, &scope, &before)?.is_some() || job.status != was {
                tx.put(&WAITING, &scope, &job.waiting(), &job.at())?;
            }
            job::keep(tx, &scope, &job)?;
            let told = if job.status == was { None } else { Some(told::status_changed(tx, s3, cx, &job)?) };
            Ok::<_, Error>((job, told))
        })
        .await?;
    s3.jobs.wake();
    Ok(job)
}

pub async fn update_priority(
    s3: &S3,
    cx: &Context,
    input: api::UpdateJobPriorityInput,
) -> Result<api::UpdateJobPriorityOutput> {
    let priority = u32::try_from(input.priority).map_err(|_| invalid("A priority is not negative"))?;
    let job = change(s3, cx, &input.job_id, |job| {
        if job.status.has_ended() {
            return Err(refused("BadRequestException", 400, "The priority of a job that has ended cannot be changed"));
        }
        job.priority = priority;
        Ok(())
    })
    .await?;
    Ok(api::UpdateJobPriorityOutput { job_id: job.id, priority: input.priority })
}

pub async fn update_status(
    s3: &S3,
    cx: &Context,
    input: api::UpdateJobStatusInput,
) -> Result<api::UpdateJobStatusOutput> {
    let job = change(s3, cx, &input.job_id, |job| {
        let status = job.status.requested(&input.requested_job_status).ok_or_else(|| {
            let (from, to) = (job.status.shown(), input.requested_job_status.as_str());
            refused("JobStatusException", 400, format!("A job cannot go from {} to {to}", from.as_str()))
        })?;
        job.enter(status, cx.now());
        job.status_reason.clone_from(&input.status_update_reason);
        Ok(())
    })
    .await?;
    Ok(api::UpdateJobStatusOutput {
        job_id: Some(job.id),
        status: Some(job.status.shown()),
        status_update_reason: job.status_reason,
    })
}

async fn set_tags(s3: &S3, cx: &Context, id: &str, tags: tags::Tags) -> Result<()> {
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    s3.store
        .write(|tx| {
            let mut job = job::find(tx, &scope, account, region, id)?;
            job.tags.clone_from(&tags);
            job::keep(tx, &scope, &job)
        })
        .await
}

pub async fn put_tags(s3: &S3, cx: &Context, input: api::PutJobTaggingInput) -> Result<api::PutJobTaggingOutput> {
    let tags = input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    set_tags(s3, cx, &input.job_id, tags::check(tags, MAX_TAGS)?).await?;
    Ok(api::PutJobTaggingOutput::default())
}

pub async fn get_tags(s3: &S3, cx: &Context, input: api::GetJobTaggingInput) -> Result<api::GetJobTaggingOutput> {
    let job = look(s3, cx, &input.job_id).await?;
    let tags = job.tags.into_iter().map(|(key, value)| api::S3Tag { key, value }).collect();
    Ok(api::GetJobTaggingOutput { tags: Some(tags) })
}

pub async fn delete_tags(
    s3: &S3,
    cx: &Context,
    input: api::DeleteJobTaggingInput,
) -> Result<api::DeleteJobTaggingOutput> {
    set_tags(s3, cx, &input.job_id, Vec::new()).await?;
    Ok(api::DeleteJobTaggingOutput::default())
}
