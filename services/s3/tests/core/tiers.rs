//! Moves to archive tiers of intelligent tiering, as a queue hears of them.

use std::time::Duration;

use bytes::Bytes;
use fractus_s3_api as api;
use fractus_wire::ByteStream;
use serde_json::Value;

use crate::events::Queue;
use crate::{bucket, client_of, s3};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn each_move_to_an_archive_tier_is_told_once() {
    let sqs = |host| fractus_sqs::start(fractus_sqs::Config::default(), host);
    let stack = s3().with("sqs", sqs).with_nats().frozen_at("2030-01-15T10:30:00Z").start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let queue = Queue::new(&stack).await;
    let notify = api::PutBucketNotificationConfigurationInput {
        bucket: "bucket".into(),
        notification_configuration: api::NotificationConfiguration {
            queue_configurations: Some(vec![api::QueueConfiguration {
                queue_arn: "arn:aws:sqs:us-east-1:000000000000:events".into(),
                events: vec![api::Event::S3IntelligentTiering, api::Event::S3ObjectRestoreCompleted],
                ..Default::default()
            }]),
            ..Default::default()
        },
        skip_destination_validation: Some(true),
        ..Default::default()
    };
    client.call(api::PutBucketNotificationConfiguration, notify).await.unwrap();
    let tiering = |days, access_tier| api::Tiering { days, access_tier };
    let configure = api::PutBucketIntelligentTieringConfigurationInput {
        bucket: "bucket".into(),
        id: "one".into(),
        intelligent_tiering_configuration: api::IntelligentTieringConfiguration {
            id: "one".into(),
            status: api::IntelligentTieringStatus::Enabled,
            tierings: vec![
                tiering(90, api::IntelligentTieringAccessTier::ArchiveAccess),
                tiering(180, api::IntelligentTieringAccessTier::DeepArchiveAccess),
            ],
            ..Default::default()
        },
        ..Default::default()
    };
    client.call(api::PutBucketIntelligentTieringConfiguration, configure).await.unwrap();
    let put = api::PutObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        body: ByteStream::from(Bytes::from(vec![b'x'; 140_000])),
        storage_class: Some(api::StorageClass::IntelligentTiering),
        ..Default::default()
    };
    client.call(api::PutObject, put).await.unwrap();
    let told = |record: &Value| {
        let tier = record["intelligentTieringEventData"]["destinationAccessTier"].as_str().map(str::to_owned);
        (record["eventName"].as_str().unwrap().to_owned(), tier)
    };
    let archived = |tier: &str| ("IntelligentTiering".to_owned(), Some(tier.to_owned()));
    stack.clock().advance(DAY * 92);
    assert_eq!(told(&queue.next().await), archived("ARCHIVE_ACCESS"));
    // The days between bring nothing: the next that is told is the deeper tier.
    for _ in 0..3 {
        stack.clock().advance(DAY);
    }
    stack.clock().advance(DAY * 90);
    assert_eq!(told(&queue.next().await), archived("DEEP_ARCHIVE_ACCESS"));
    let restore = api::RestoreObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        restore_request: Some(api::RestoreRequest {
            glacier_job_parameters: Some(api::GlacierJobParameters { tier: api::Tier::Standard }),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.call(api::RestoreObject, restore).await.unwrap();
    stack.clock().advance(DAY);
    let record = queue.next().await;
    assert_eq!(record["eventName"], "ObjectRestore:Completed");
    assert_eq!(record["glacierEventData"]["restoreEventData"]["lifecycleRestoreStorageClass"], "INTELLIGENT_TIERING");
    stack.clock().advance(DAY * 92);
    assert_eq!(told(&queue.next().await), archived("ARCHIVE_ACCESS"), "it was back, and has not been read since");
}
