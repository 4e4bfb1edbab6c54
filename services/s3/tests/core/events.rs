//! What a queue hears of what happens in a bucket.

use std::time::Duration;

use fractus_s3_api as api;
use fractus_sqs_api as sqs;
use fractus_testkit::{Client, Stack, wait_for};
use serde_json::Value;

use crate::forms::{post, v2};
use crate::{bucket, client_of, let_lists_count, s3};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub async fn new(stack: &Stack) -> Queue {
        let client = stack.client("sqs").api(&sqs::MODEL);
        let create = sqs::CreateQueueInput { queue_name: "events".into(), ..Default::default() };
        let url = client.call(sqs::CreateQueue, create).await.unwrap().queue_url.unwrap();
        Queue { client, url }
    }

    /// The next record that comes; test events have none.
    pub async fn next(&self) -> Value {
        wait_for("a record", || async {
            let input = sqs::ReceiveMessageInput { queue_url: self.url.clone(), ..Default::default() };
            let message = self.client.call(sqs::ReceiveMessage, input).await.unwrap().messages?.into_iter().next()?;
            let done = sqs::DeleteMessageInput {
                queue_url: self.url.clone(),
                receipt_handle: message.receipt_handle.unwrap(),
            };
            self.client.call(sqs::DeleteMessage, done).await.unwrap();
            let body: Value = serde_json::from_str(&message.body.unwrap()).unwrap();
            body["Records"].get(0).cloned()
        })
        .await
    }
}

fn put_input(key: &str) -> api::PutObjectInput {
    api::PutObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() }
}

async fn tell_everything(client: &Client) {
    let events = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
        "s3:ObjectRestore:*",
        "s3:LifecycleTransition",
        "s3:LifecycleExpiration:*",
    ];
    let input = api::PutBucketNotificationConfigurationInput {
        bucket: "bucket".into(),
        notification_configuration: api::NotificationConfiguration {
            queue_configurations: Some(vec![api::QueueConfiguration {
                queue_arn: "arn:aws:sqs:us-east-1:000000000000:events".into(),
                events: events.into_iter().map(Into::into).collect(),
                ..Default::default()
            }]),
            ..Default::default()
        },
        skip_destination_validation: Some(true),
        ..Default::default()
    };
    client.call(api::PutBucketNotificationConfiguration, input).await.unwrap();
}

/// What is below `down/` is archived after a day, and what is below `gone/` deleted.
async fn configure_lifecycle(client: &Client) {
    let rule = |prefix: &str| api::LifecycleRule {
        id: Some(prefix.to_owned()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some(prefix.to_owned()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        ..Default::default()
    };
    let archive = api::Transition { days: Some(1), storage_class: Some("GLACIER".into()), ..Default::default() };
    let delete = api::LifecycleExpiration { days: Some(1), ..Default::default() };
    let rules = vec![
        api::LifecycleRule { transitions: Some(vec![archive]), ..rule("down/") },
        api::LifecycleRule { expiration: Some(delete), ..rule("gone/") },
    ];
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules }),
        transition_default_minimum_object_size: Some("varies_by_storage_class".into()),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, input).await.unwrap();
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html>
#[tokio::test]
async fn each_kind_of_event_is_told_by_its_own_name() {
    let sqs = |host| fractus_sqs::start(fractus_sqs::Config::default(), host);
    let stack = s3().with("sqs", sqs).with_nats().frozen_at("2026-01-01T10:30:00Z").start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let queue = Queue::new(&stack).await;
    tell_everything(&client).await;
    let told = async |expected: &str| {
        let record = queue.next().await;
        let key = record["s3"]["object"]["key"].as_str().unwrap();
        assert_eq!(format!("{} {key}", record["eventName"].as_str().unwrap()), expected);
    };

    assert_eq!(post(&stack, &v2("test", "test"), "by a form").await.0, 204);
    told("ObjectCreated:Post in/k").await;
    let tags = api::PutObjectTaggingInput {
        bucket: "bucket".into(),
        key: "in/k".into(),
        tagging: api::Tagging { tag_set: vec![api::Tag { key: "a".into(), value: "b".into() }] },
        ..Default::default()
    };
    client.call(api::PutObjectTagging, tags).await.unwrap();
    told("ObjectTagging:Put in/k").await;
    let untag = api::DeleteObjectTaggingInput { bucket: "bucket".into(), key: "in/k".into(), ..Default::default() };
    client.call(api::DeleteObjectTagging, untag).await.unwrap();
    told("ObjectTagging:Delete in/k").await;
    let_lists_count(&client).await;
    let list = api::PutObjectAclInput {
        bucket: "bucket".into(),
        key: "in/k".into(),
        acl: Some(api::ObjectCannedACL::BucketOwnerRead),
        ..Default::default()
    };
    client.call(api::PutObjectAcl, list).await.unwrap();
    told("ObjectAcl:Put in/k").await;

    let archived = api::PutObjectInput { storage_class: Some(api::StorageClass::Glacier), ..put_input("cold") };
    client.call(api::PutObject, archived).await.unwrap();
    told("ObjectCreated:Put cold").await;
    let restore = api::RestoreObjectInput {
        bucket: "bucket".into(),
        key: "cold".into(),
        restore_request: Some(api::RestoreRequest { days: Some(1), ..Default::default() }),
        ..Default::default()
    };
    client.call(api::RestoreObject, restore).await.unwrap();
    told("ObjectRestore:Post cold").await;
    stack.clock().advance(6 * HOUR);
    told("ObjectRestore:Completed cold").await;
    stack.clock().advance(2 * DAY);
    told("ObjectRestore:Delete cold").await;

    configure_lifecycle(&client).await;
    for key in ["down/k", "gone/k"] {
        client.call(api::PutObject, put_input(key)).await.unwrap();
        told(&format!("ObjectCreated:Put {key}")).await;
    }
    stack.clock().advance(2 * DAY);
    let mut both =
        [queue.next().await, queue.next().await].map(|record| record["eventName"].as_str().unwrap().to_owned());
    both.sort();
    assert_eq!(both, ["LifecycleExpiration:Delete", "LifecycleTransition"]);
    let versioning = api::PutBucketVersioningInput {
        bucket: "bucket".into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Enabled),
            ..Default::default()
        },
        ..Default::default()
    };
    client.call(api::PutBucketVersioning, versioning).await.unwrap();
    client.call(api::PutObject, put_input("gone/again")).await.unwrap();
    told("ObjectCreated:Put gone/again").await;
    stack.clock().advance(2 * DAY);
    told("LifecycleExpiration:DeleteMarkerCreated gone/again").await;
}
