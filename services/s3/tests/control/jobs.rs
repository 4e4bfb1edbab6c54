//! Batch jobs that do what they say.

use std::sync::Arc;

use fractus_bus::Outcome;
use fractus_host::{App, Host, Operations, Service};
use fractus_testkit::wait_for;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::*;

const ROLE: &str = "arn:aws:iam::000000000000:role/batch";

pub fn input(
    operation: api::JobOperation,
    manifest: (&str, &str, &[api::JobManifestFieldName]),
) -> api::CreateJobInput {
    let (key, e_tag, fields) = manifest;
    api::CreateJobInput {
        account_id: ACCOUNT.into(),
        confirmation_required: Some(false),
        operation,
        report: api::JobReport {
            bucket: Some("arn:aws:s3:::reports".into()),
            format: Some(api::JobReportFormat::ReportCsv20180820),
            enabled: true,
            prefix: Some("done".into()),
            report_scope: Some(api::JobReportScope::AllTasks),
            ..Default::default()
        },
        client_request_token: format!("token-{key}"),
        manifest: Some(api::JobManifest {
            spec: api::JobManifestSpec {
                format: api::JobManifestFormat::S3BatchOperationsCsv20180820,
                fields: Some(fields.to_vec()),
            },
            location: api::JobManifestLocation {
                object_arn: format!("arn:aws:s3:::bucket/{key}"),
                object_version_id: None,
                e_tag: e_tag.into(),
            },
        }),
        priority: 10,
        role_arn: ROLE.into(),
        ..Default::default()
    }
}

pub const BUCKET_AND_KEY: [api::JobManifestFieldName; 2] =
    [api::JobManifestFieldName::Bucket, api::JobManifestFieldName::Key];

pub async fn manifest(client: &Client, key: &str, lines: &str) -> String {
    put(client, "bucket", key, lines).await.unwrap().e_tag.unwrap()
}

async fn describe(client: &Client, id: &str) -> api::JobDescriptor {
    let input = api::DescribeJobInput { account_id: ACCOUNT.into(), job_id: id.into() };
    client.call(api::DescribeJob, input).await.unwrap().job.unwrap()
}

pub async fn create(client: &Client, input: api::CreateJobInput) -> String {
    client.call(api::CreateJob, input).await.unwrap().job_id.unwrap()
}

pub async fn reaches(client: &Client, id: &str, status: api::JobStatus) -> api::JobDescriptor {
    wait_for("the job is as it should be", async || {
        let job = describe(client, id).await;
        (job.status == Some(status.clone())).then_some(job)
    })
    .await
}

pub fn counts(job: &api::JobDescriptor) -> (i64, i64, i64) {
    let summary = job.progress_summary.clone().unwrap();
    (
        summary.total_number_of_tasks.unwrap(),
        summary.number_of_tasks_succeeded.unwrap(),
        summary.number_of_tasks_failed.unwrap(),
    )
}

pub fn tagging(key: &str, value: &str) -> api::JobOperation {
    let tag_set = Some(vec![api::S3Tag { key: key.into(), value: value.into() }]);
    api::JobOperation {
        s3_put_object_tagging: Some(api::S3SetObjectTaggingOperation { tag_set }),
        ..Default::default()
    }
}

async fn tags(client: &Client, key: &str) -> Vec<(String, String)> {
    let input = s3::GetObjectTaggingInput { bucket: "bucket".into(), key: key.into(), ..Default::default() };
    let output = client.call(s3::GetObjectTagging, input).await.unwrap();
    output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

pub async fn prepared(stack: &Stack) -> Client {
    let client = client_of(stack);
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    for key in ["a b", "c"] {
        put(&client, "bucket", key, key).await.unwrap();
    }
    client
}

#[tokio::test]
async fn tags_are_set_and_the_report_tells_what_failed() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,a+b\nbucket,missing\n\"bucket\",c").await;
    let id = create(&client, input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!(counts(&job), (3, 2, 1));
    assert!(job.termination_date.is_some() && job.role_arn.as_deref() == Some(ROLE));
    assert_eq!(tags(&client, "a b").await, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(tags(&client, "c").await, [("k".to_owned(), "v".to_owned())]);
    let folder = format!("done/job-{id}/");
    let told: serde_json::Value =
        serde_json::from_str(&get(&client, "reports", &format!("{folder}manifest.json")).await.unwrap()).unwrap();
    assert_eq!(told["Format"], "Report_CSV_20180820");
    let results = told["Results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let of = |status: &str| {
        let found = results.iter().find(|result| result["TaskExecutionStatus"] == status).unwrap();
        found["Key"].as_str().unwrap().to_owned()
    };
    let good = get(&client, "reports", &of("succeeded")).await.unwrap();
    assert_eq!(good, "bucket,a+b,,succeeded,200,,Successful\nbucket,c,,succeeded,200,,Successful\n");
    let bad = get(&client, "reports", &of("failed")).await.unwrap();
    assert_eq!(bad, "bucket,missing,,failed,404,NoSuchKey,The specified key does not exist.\n");
    assert!(keys(&client, "reports", &folder).await.contains(&format!("{folder}manifest.json.md5")));

    // The same request is the same job; another with its token is refused.
    let again = input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY));
    assert_eq!(create(&client, again).await, id);
    let other = input(tagging("k", "w"), ("list.csv", &etag, &BUCKET_AND_KEY));
    assert_eq!(client.call(api::CreateJob, other).await.unwrap_err().code, "IdempotencyException");
}

#[tokio::test]
async fn a_job_waits_for_its_confirmation_and_can_be_cancelled() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let asked = |token: &str| api::CreateJobInput {
        confirmation_required: Some(true),
        client_request_token: token.into(),
        ..input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY))
    };
    let status = |id: &str, status: api::RequestedJobStatus| api::UpdateJobStatusInput {
        account_id: ACCOUNT.into(),
        job_id: id.into(),
        requested_job_status: status,
        status_update_reason: Some("because".into()),
    };
    let id = create(&client, asked("one")).await;
    let job = reaches(&client, &id, api::JobStatus::Suspended).await;
    assert_eq!((counts(&job), job.suspended_cause.as_deref()), ((1, 0, 0), Some("AwaitingConfirmation")));
    assert_eq!(tags(&client, "c").await, []);
    let priority = api::UpdateJobPriorityInput { account_id: ACCOUNT.into(), job_id: id.clone(), priority: 7 };
    assert_eq!(client.call(api::UpdateJobPriority, priority).await.unwrap().priority, 7);
    let ready = client.call(api::UpdateJobStatus, status(&id, api::RequestedJobStatus::Ready)).await.unwrap();
    assert_eq!(ready.status, Some(api::JobStatus::Ready));
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!((job.priority, job.status_update_reason.as_deref()), (Some(7), Some("because")));
    assert_eq!(tags(&client, "c").await.len(), 1);
    let late = client.call(api::UpdateJobStatus, status(&id, api::RequestedJobStatus::Cancelled)).await.unwrap_err();
    assert_eq!(late.code, "JobStatusException");

    let id = create(&client, asked("two")).await;
    reaches(&client, &id, api::JobStatus::Suspended).await;
    client.call(api::UpdateJobStatus, status(&id, api::RequestedJobStatus::Cancelled)).await.unwrap();
    let job = reaches(&client, &id, api::JobStatus::Cancelled).await;
    assert_eq!(counts(&job), (1, 0, 0));
    let list = |statuses: Option<Vec<api::JobStatus>>| api::ListJobsInput {
        account_id: ACCOUNT.into(),
        job_statuses: statuses,
        ..Default::default()
    };
    let all = client.call(api::ListJobs, list(None)).await.unwrap().jobs.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].operation, Some(api::OperationName::S3PutObjectTagging));
    let cancelled = client.call(api::ListJobs, list(Some(vec![api::JobStatus::Cancelled]))).await.unwrap();
    assert_eq!(cancelled.jobs.unwrap()[0].job_id.as_deref(), Some(id.as_str()));
}

#[tokio::test]
async fn objects_are_copied_and_a_wrong_manifest_fails_the_job() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    bucket(&client, "target").await;
    let etag = manifest(&client, "list.csv", "bucket,a+b\nbucket,c\n").await;
    let copy = || api::JobOperation {
        s3_put_object_copy: Some(api::S3CopyObjectOperation {
            target_resource: Some("arn:aws:s3:::target".into()),
            target_key_prefix: Some("copies".into()),
            storage_class: Some(api::S3StorageClass::StandardIa),
            ..Default::default()
        }),
        ..Default::default()
    };
    let id = create(&client, input(copy(), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    assert_eq!(counts(&reaches(&client, &id, api::JobStatus::Complete).await), (2, 2, 0));
    assert_eq!(keys(&client, "target", "").await, ["copies/a b", "copies/c"]);
    assert_eq!(get(&client, "target", "copies/a b").await.unwrap(), "a b");

    let mut wrong = input(copy(), ("list.csv", "0123", &BUCKET_AND_KEY));
    wrong.client_request_token = "wrong".into();
    let id = create(&client, wrong).await;
    let job = reaches(&client, &id, api::JobStatus::Failed).await;
    assert_eq!(job.failure_reasons.unwrap()[0].failure_code.as_deref(), Some("ManifestETagMismatch"));
    let lambda = api::JobOperation {
        lambda_invoke: Some(api::LambdaInvokeOperation {
            function_arn: Some("arn:aws:lambda:us-east-1:000000000000:function:f".into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut functions = input(lambda, ("list.csv", &etag, &BUCKET_AND_KEY));
    functions.client_request_token = "functions".into();
    let id = create(&client, functions).await;
    assert_eq!(counts(&reaches(&client, &id, api::JobStatus::Complete).await), (2, 0, 2));
}

#[tokio::test]
async fn existing_objects_are_replicated_by_a_generated_list() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    bucket(&client, "target").await;
    for name in ["bucket", "target"] {
        let enabled = s3::PutBucketVersioningInput {
            bucket: name.into(),
            versioning_configuration: s3::VersioningConfiguration {
                status: Some(s3::BucketVersioningStatus::Enabled),
                ..Default::default()
            },
            ..Default::default()
        };
        client.call(s3::PutBucketVersioning, enabled).await.unwrap();
    }
    put(&client, "bucket", "c", "newer").await.unwrap();
    let rule = s3::ReplicationRule {
        id: Some("all".into()),
        priority: Some(1),
        status: s3::ReplicationRuleStatus::Enabled,
        filter: Some(s3::ReplicationRuleFilter::default()),
        delete_marker_replication: Some(s3::DeleteMarkerReplication {
            status: Some(s3::DeleteMarkerReplicationStatus::Disabled),
        }),
        destination: s3::Destination { bucket: "arn:aws:s3:::target".into(), ..Default::default() },
        ..Default::default()
    };
    let replicate = s3::PutBucketReplicationInput {
        bucket: "bucket".into(),
        replication_configuration: s3::ReplicationConfiguration { role: ROLE.into(), rules: vec![rule] },
        ..Default::default()
    };
    client.call(s3::PutBucketReplication, replicate).await.unwrap();
    assert!(keys(&client, "target", "").await.is_empty());
    let generator = api::S3JobManifestGenerator {
        source_bucket: "arn:aws:s3:::bucket".into(),
        enable_manifest_output: true,
        manifest_output_location: Some(api::S3ManifestOutputLocation {
            bucket: "arn:aws:s3:::reports".into(),
            manifest_prefix: Some("lists".into()),
            manifest_format: api::GeneratedManifestFormat::S3InventoryReportCsv20211130,
            ..Default::default()
        }),
        filter: Some(api::JobManifestGeneratorFilter { eligible_for_replication: Some(true), ..Default::default() }),
        ..Default::default()
    };
    let operation = api::JobOperation {
        s3_replicate_object: Some(api::S3ReplicateObjectOperation::default()),
        ..Default::default()
    };
    let asked = api::CreateJobInput {
        manifest: None,
        manifest_generator: Some(api::JobManifestGenerator::S3JobManifestGenerator(generator)),
        ..input(operation, ("none", "none", &BUCKET_AND_KEY))
    };
    let id = create(&client, asked).await;
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    // Both of "c", and "a b".
    assert_eq!(counts(&job), (3, 3, 0));
    assert_eq!(keys(&client, "target", "").await, ["a b", "c"]);
    assert_eq!(get(&client, "target", "c").await.unwrap(), "newer");
    let list = job.generated_manifest_descriptor.unwrap().location.unwrap();
    assert_eq!(list.object_arn, format!("arn:aws:s3:::reports/lists/job-{id}/manifest.json"));
    let data = keys(&client, "reports", &format!("lists/job-{id}/data/")).await;
    assert_eq!(get(&client, "reports", &data[0]).await.unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_job_goes_on_after_a_restart() {
    let mut stack = builder().on_disk().start().await;
    let client = prepared(&stack).await;
    let lines: String = (0..400).map(|number| format!("bucket,k{number}\n")).collect();
    for number in 0..400 {
        put(&client, "bucket", &format!("k{number}"), "x").await.unwrap();
    }
    let etag = manifest(&client, "list.csv", &lines).await;
    let id = create(&client, input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    stack.restart("s3").await;
    let client = client_of(&stack);
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!(counts(&job), (400, 400, 0));
    assert_eq!(tags(&client, "k399").await.len(), 1);
}

#[tokio::test]
async fn tags_of_jobs_and_what_a_job_must_say() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let id = create(&client, input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    let set = api::PutJobTaggingInput {
        account_id: ACCOUNT.into(),
        job_id: id.clone(),
        tags: vec![api::S3Tag { key: "team".into(), value: "blue".into() }],
    };
    client.call(api::PutJobTagging, set).await.unwrap();
    let get_tags = || api::GetJobTaggingInput { account_id: ACCOUNT.into(), job_id: id.clone() };
    let found = client.call(api::GetJobTagging, get_tags()).await.unwrap().tags.unwrap();
    assert_eq!((found[0].key.as_str(), found[0].value.as_str()), ("team", "blue"));
    let delete = api::DeleteJobTaggingInput { account_id: ACCOUNT.into(), job_id: id.clone() };
    client.call(api::DeleteJobTagging, delete).await.unwrap();
    assert!(client.call(api::GetJobTagging, get_tags()).await.unwrap().tags.unwrap_or_default().is_empty());

    let mut both = tagging("k", "v");
    both.s3_delete_object_tagging = Some(api::S3DeleteObjectTaggingOperation::default());
    let refused = client.call(api::CreateJob, input(both, ("list.csv", &etag, &BUCKET_AND_KEY))).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequest");
    let mut none = input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY));
    none.manifest = None;
    assert_eq!(client.call(api::CreateJob, none).await.unwrap_err().code, "InvalidRequest");
    let unknown = api::DescribeJobInput { account_id: ACCOUNT.into(), job_id: "no-such-job".into() };
    assert_eq!(client.call(api::DescribeJob, unknown).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_job_that_nobody_confirms_fails_after_thirty_days() {
    let stack = builder().frozen_at("2026-01-01T00:00:00Z").start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let mut asked = input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY));
    asked.confirmation_required = Some(true);
    let id = create(&client, asked).await;
    reaches(&client, &id, api::JobStatus::Suspended).await;
    stack.clock().advance(std::time::Duration::from_secs(30 * 86_400 + 60));
    let job = reaches(&client, &id, api::JobStatus::Failed).await;
    assert_eq!(job.failure_reasons.unwrap()[0].failure_code.as_deref(), Some("ConfirmationTimedOut"));
    assert_eq!(tags(&client, "c").await, []);
}

/// The account's default event bus, as far as S3 puts events on it: the service of events is another.
pub struct EventBus {
    heard: mpsc::UnboundedReceiver<Value>,
}

struct Nothing;

impl Service for Nothing {}

impl EventBus {
    pub fn beside(builder: StackBuilder) -> (StackBuilder, EventBus) {
        let (sender, heard) = mpsc::unbounded_channel();
        let events = move |host: Host| {
            let sender = sender.clone();
            host.consume(None, move |delivery| {
                assert_eq!(
                    delivery.target.to_string(),
                    format!("arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default")
                );
                let event = serde_json::from_str(delivery.body.as_text().unwrap()).unwrap();
                let _ = sender.send(event);
                async { Outcome::Done }
            });
            let table = Operations::<Nothing>::new(&[&s3::MODEL]);
            async move { Ok::<_, String>(App::new(Arc::new(Nothing), table)) }
        };
        (builder.with("events", events).with_nats(), EventBus { heard })
    }

    /// The id of a job that is told of, and its state.
    pub async fn next(&mut self) -> (String, String) {
        let event = self.heard.recv().await.unwrap();
        assert_eq!(
            (&event["source"], &event["detail-type"]),
            (&"aws.s3".into(), &"AWS Service Event via CloudTrail".into())
        );
        assert_eq!(event["account"], ACCOUNT);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let details = &event["detail"]["serviceEventDetails"];
        assert!(text(&details["jobArn"]).ends_with(&text(&details["jobId"])));
        let name = if details["status"] == "New" { "JobCreated" } else { "JobStatusChanged" };
        assert_eq!(event["detail"]["eventName"], name);
        (text(&details["jobId"]), text(&details["status"]))
    }

    async fn until(&mut self, state: &str) -> Vec<String> {
        let mut states = Vec::new();
        while states.last().is_none_or(|last| last != state) {
            states.push(self.next().await.1);
        }
        states
    }
}

#[tokio::test]
async fn each_state_is_told() {
    let (builder, mut told) = EventBus::beside(builder());
    let stack = builder.start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let mut asked = input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY));
    asked.confirmation_required = Some(true);
    let id = create(&client, asked).await;
    assert_eq!(told.until("Suspended").await, ["New", "Preparing", "Suspended"]);
    let ready = api::UpdateJobStatusInput {
        account_id: ACCOUNT.into(),
        job_id: id,
        requested_job_status: api::RequestedJobStatus::Ready,
        status_update_reason: None,
    };
    client.call(api::UpdateJobStatus, ready).await.unwrap();
    assert_eq!(told.until("Complete").await, ["Ready", "Active", "Completing", "Complete"]);
}

#[tokio::test]
async fn states_are_told_to_who_comes_later() {
    let (builder, mut told) = EventBus::beside(builder());
    let mut stack = builder.start().await;
    let client = prepared(&stack).await;
    stack.stop("events").await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let id = create(&client, input(tagging("k", "v"), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    reaches(&client, &id, api::JobStatus::Complete).await;
    stack.restart("events").await;
    assert_eq!(told.until("Complete").await, ["New", "Preparing", "Ready", "Active", "Completing", "Complete"]);
}
