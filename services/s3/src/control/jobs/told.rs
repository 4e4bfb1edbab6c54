//! What is told of jobs: CloudTrail's service events, on the default bus of their account. They are written with the state
//! that they tell of, so that none is lost, and arrive in the order of a job's states.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-event-bridge-cloud-trail.html>

use fractus_bus::outbox::Handoff;
use fractus_host::Context;
use fractus_store::Transaction;
use serde_json::{Value, json};

use super::job::Job;
use crate::error::Result;
use crate::event_bridge;
use crate::service::S3;

const S3: &str = "s3.amazonaws.com";

/// A job is being created.
pub fn created(tx: &mut Transaction<'_>, s3: &S3, cx: &Context, job: &Job) -> Result<Handoff> {
    tell(tx, s3, cx, job, "JobCreated")
}

/// A job comes to another state.
pub fn status_changed(tx: &mut Transaction<'_>, s3: &S3, cx: &Context, job: &Job) -> Result<Handoff> {
    tell(tx, s3, cx, job, "JobStatusChanged")
}

fn tell(tx: &mut Transaction<'_>, s3: &S3, cx: &Context, job: &Job, name: &str) -> Result<Handoff> {
    let (random, now) = (cx.random(), cx.now());
    let id = random.uuid();
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": "AWS Service Event via CloudTrail",
        "source": "aws.s3",
        "account": job.account,
        "time": now.to_secs_precision().date_time(),
        "region": job.region,
        "resources": [],
        "detail": detail(cx, job, name, &random.uuid(), &hex::encode(random.bytes::<16>())),
    });
    let mut delivery = event_bridge::delivery(cx, id, (&job.account, &job.region), None, &event, now);
    delivery.group_id = Some(job.id.clone());
    Ok(s3.outbox.put(tx, &delivery)?)
}

fn detail(cx: &Context, job: &Job, name: &str, event_id: &str, job_event_id: &str) -> Value {
    let codes: Vec<&str> = job.failures.iter().map(|(code, _)| code.as_str()).collect();
    let reasons: Vec<&String> = job.status_reason.iter().collect();
    json!({
        "eventVersion": "1.05",
        "userIdentity": { "accountId": job.account, "invokedBy": S3 },
        "eventTime": cx.now().to_secs_precision().date_time(),
        "eventSource": S3,
        "eventName": name,
        "awsRegion": job.region,
        "sourceIPAddress": S3,
        "userAgent": S3,
        "requestParameters": null,
        "responseElements": null,
        "eventID": event_id,
        "readOnly": false,
        "eventType": "AwsServiceEvent",
        "recipientAccountId": job.account,
        "serviceEventDetails": {
            "jobId": job.id,
            "jobArn": job.arn(cx.world.partition),
            "status": job.status.shown().as_str(),
            "jobEventId": job_event_id,
            "failureCodes": codes,
            "statusChangeReason": reasons,
        },
    })
}
