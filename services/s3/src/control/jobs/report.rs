//! Completion reports: how each task went, as objects in the report's bucket.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>

use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha1::Sha1;

use super::job::{Job, OUTCOMES, Task};
use super::manifest::bucket_of_arn;
use super::tasks::Outcome;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::schedule::{Parcel, put_parcel};
use crate::service::S3;

/// How many rows one look takes, and the most of one file.
const AT_ONCE: usize = 1_000;
const ROWS_OF_FILE: usize = 100_000;

/// A row of the report, without its end.
pub fn row(task: &Task, outcome: &Outcome) -> String {
    let status = if outcome.failed { "failed" } else { "succeeded" };
    let values = [
        task.bucket.as_str(),
        &crate::model::encoding::form_encode(&task.key),
        task.version_id.as_deref().unwrap_or_default(),
        status,
        &outcome.http_status.to_string(),
        &outcome.code,
        &outcome.message,
    ];
    values.map(quoted).join(",")
}

/// Quoted where it must be.
fn quoted(value: &str) -> String {
    if value.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// Puts the report of a job that ends, if one is wanted.
pub async fn put(
    s3: &S3,
    world: &World,
    scope: &Scope,
    job: &Job,
    report: &api::JobReport,
    now: Timestamp,
) -> Result<()> {
    let Some(target) = report.bucket.as_deref().filter(|_| report.enabled) else { return Ok(()) };
    let writer = Writer { s3, world, scope, job, bucket: bucket_of_arn(target), folder: folder(job, report) };
    let mut results = Vec::new();
    if report.report_scope != Some(api::JobReportScope::FailedTasksOnly) {
        writer.outcomes(false, &mut results).await?;
    }
    writer.outcomes(true, &mut results).await?;
    let manifest = json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": now.date_time_millis(),
        "Results": results,
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    });
    let manifest = manifest.to_string().into_bytes();
    let md5 = hex::encode(Md5::digest(&manifest)).into_bytes();
    writer.put("manifest.json.md5".to_owned(), "text/plain", md5).await?;
    writer.put("manifest.json".to_owned(), "application/json", manifest).await?;
    Ok(())
}

/// `PREFIX/job-ID/`
fn folder(job: &Job, report: &api::JobReport) -> String {
    match report.prefix.as_deref().map(|prefix| prefix.trim_end_matches('/')).filter(|prefix| !prefix.is_empty()) {
        Some(prefix) => format!("{prefix}/job-{}/", job.id),
        None => format!("job-{}/", job.id),
    }
}

struct Writer<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    job: &'a Job,
    bucket: &'a str,
    folder: String,
}

impl Writer<'_> {
    async fn put(&self, name: String, content_type: &'static str, content: Vec<u8>) -> Result<String> {
        let key = format!("{}{name}", self.folder);
        let parcel = Parcel { bucket: self.bucket, key: key.clone(), content_type, content, wanted: Wanted::default() };
        if put_parcel(self.s3, self.world, self.scope, parcel).await? {
            Ok(key)
        } else {
            Err(Error::NoSuchBucket { bucket: self.bucket.to_owned() })
        }
    }

    async fn outcomes(&self, failed: bool, results: &mut Vec<Value>) -> Result<()> {
        let id = self.job.id.as_str();
        let mut after: Option<u64> = None;
        let (mut content, mut count) = (String::new(), 0);
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(id, failed));
                if let Some(after) = after {
                    range = range.after(&(id, failed, after));
                }
                let found = snapshot.range(&OUTCOMES, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                let rows = found.map(|entry| entry.map(|((_, _, place), row)| (place, row)).map_err(Error::from));
                rows.collect::<Result<Vec<(u64, String)>>>()
            });
            let page = page.await?;
            after = page.last().map(|(place, _)| *place);
            count += page.len();
            for (_, row) in &page {
                content.push_str(row);
                content.push('\n');
            }
            if count >= ROWS_OF_FILE || (page.is_empty() && count > 0) {
                let content = std::mem::take(&mut content).into_bytes();
                count = 0;
                let name = format!("results/{}.csv", hex::encode(Sha1::digest(&content)));
                let md5 = hex::encode(Md5::digest(&content));
                let key = self.put(name, "text/csv", content).await?;
                results.push(json!({
                    "TaskExecutionStatus": if failed { "failed" } else { "succeeded" },
                    "Bucket": self.bucket,
                    "MD5Checksum": md5,
                    "Key": key,
                }));
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fractus_wire::Failure;

    use super::*;

    #[test]
    fn rows_are_as_aws_writes_them() {
        let task = Task::new("b", "a b,c", None);
        let good = Outcome::done("Successful");
        assert_eq!(row(&task, &good), "b,a+b%2Cc,,succeeded,200,,Successful");
        let bad = Outcome::of(Failure::new("NoSuchKey", 404, "No \"key\""));
        assert_eq!(row(&task, &bad), "b,a+b%2Cc,,failed,404,NoSuchKey,\"No \"\"key\"\"\"");
    }
}
