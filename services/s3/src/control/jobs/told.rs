//! What is told of jobs: CloudTrail's service events, on the default bus of their account.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-event-bridge-cloud-trail.html>

use fractus_aws::{AccountId, Region};
use fractus_bus::contracts::StateChange;
use fractus_host::Context;
use serde_json::{Value, json};

use super::job::Job;
use crate::service::S3;

const S3: &str = "s3.amazonaws.com";

/// A job was created.
pub fn created(s3: &S3, cx: &Context, job: &Job) {
    tell(s3, cx, job, "JobCreated");
}

/// A job has come to another state.
pub fn status_changed(s3: &S3, cx: &Context, job: &Job) {
    tell(s3, cx, job, "JobStatusChanged");
}

fn tell(s3: &S3, cx: &Context, job: &Job, name: &str) {
    let random = cx.random();
    let change = StateChange {
        id: random.uuid(),
        lane: cx.world.lane.clone(),
        account: AccountId::new(&job.account).unwrap_or_else(|_| cx.world.account.clone()),
        region: Region::new(&job.region).unwrap_or_else(|_| cx.region.clone()),
        source: "aws.s3".to_owned(),
        detail_type: "AWS Service Event via CloudTrail".to_owned(),
        resources: Vec::new(),
        detail: detail(cx, job, name, &random.uuid(), &hex::encode(random.bytes::<16>())),
        time: cx.now(),
    };
    // Nobody may listen; a job does not wait for that.
    let _ = s3.host.bus().publish(&change, &cx.cause());
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
