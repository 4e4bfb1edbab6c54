//! Lifecycle rules and what they do as the clock goes on.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_testkit::wait_for;

use crate::versions::{delete_input, of_version, set_versioning};
use crate::*;

const DAY: Duration = Duration::from_secs(86_400);

async fn frozen() -> Stack {
    Stack::new().with("s3", |host| fractus_s3::start(config(), host)).frozen_at("2030-01-15T10:30:00Z").start().await
}

fn rule(id: &str, prefix: &str) -> api::LifecycleRule {
    api::LifecycleRule {
        id: Some(id.into()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        ..Default::default()
    }
}

fn days(days: i32) -> Option<api::LifecycleExpiration> {
    Some(api::LifecycleExpiration { days: Some(days), ..Default::default() })
}

async fn configure(client: &Client, rules: Vec<api::LifecycleRule>) {
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, input).await.unwrap();
}

async fn is_gone(client: &Client, input: impl Fn() -> api::GetObjectInput) {
    wait_for("it is gone", || async { read(client, input()).await.is_err().then_some(()) }).await;
}

#[tokio::test]
async fn what_has_expired_goes_at_midnight_and_answers_say_when() {
    let stack = frozen().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let get = || api::GetBucketLifecycleConfigurationInput { bucket: "bucket".into(), ..Default::default() };
    let none = client.call(api::GetBucketLifecycleConfiguration, get()).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchLifecycleConfiguration"));
    configure(&client, vec![api::LifecycleRule { expiration: days(3), ..rule("logs", "logs/") }]).await;
    let kept = client.call(api::GetBucketLifecycleConfiguration, get()).await.unwrap();
    assert_eq!(kept.rules.unwrap()[0].id.as_deref(), Some("logs"));
    assert!(kept.transition_default_minimum_object_size.is_some());
    let stored = put(&client, "logs/a", "x").await;
    let expected = "expiry-date=\"Sat, 19 Jan 2030 00:00:00 GMT\", rule-id=\"logs\"";
    assert_eq!(stored.expiration.as_deref(), Some(expected));
    put(&client, "kept", "x").await;
    stack.clock().advance(DAY * 3);
    assert_eq!(read(&client, get_input("logs/a")).await.unwrap(), "x", "its last day has not ended");
    stack.clock().advance(DAY);
    is_gone(&client, || get_input("logs/a")).await;
    assert_eq!(read(&client, get_input("kept")).await.unwrap(), "x");
}

#[tokio::test]
async fn when_an_older_version_goes_no_header_says() {
    let stack = frozen().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    configure(&client, vec![api::LifecycleRule { expiration: days(3), ..rule("all", "") }]).await;
    let first = put(&client, "k", "one").await.version_id;
    let of = |version_id: &Option<String>| api::HeadObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: version_id.clone(),
        ..Default::default()
    };
    let told = async |version_id| client.call(api::HeadObject, of(version_id)).await.unwrap().expiration;
    assert!(told(&first).await.is_some());
    let second = put(&client, "k", "two").await.version_id;
    assert_eq!(told(&first).await, None);
    assert!(told(&second).await.is_some());
    assert_eq!(told(&None).await, told(&second).await);
}

#[tokio::test]
async fn older_versions_and_lone_markers_go() {
    let stack = frozen().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let old = api::NoncurrentVersionExpiration { noncurrent_days: Some(1), newer_noncurrent_versions: Some(1) };
    let markers = api::LifecycleExpiration { expired_object_delete_marker: Some(true), ..Default::default() };
    let both =
        api::LifecycleRule { noncurrent_version_expiration: Some(old), expiration: Some(markers), ..rule("old", "") };
    configure(&client, vec![both]).await;
    let mut ids = Vec::new();
    for body in ["one", "two", "three"] {
        ids.push(put(&client, "k", body).await.version_id.unwrap());
    }
    let lone = put(&client, "lone", "x").await.version_id.unwrap();
    client.call(api::DeleteObject, delete_input("lone", None)).await.unwrap();
    client.call(api::DeleteObject, delete_input("lone", Some(&lone))).await.unwrap();
    stack.clock().advance(DAY * 3);
    is_gone(&client, || of_version("k", &ids[0])).await;
    assert_eq!(read(&client, of_version("k", &ids[1])).await.unwrap(), "two", "one older version is kept");
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "three");
    wait_for("the marker is gone", || async {
        let input = api::ListObjectVersionsInput { bucket: "bucket".into(), ..Default::default() };
        let listed = client.call(api::ListObjectVersions, input).await.unwrap();
        listed.delete_markers.unwrap_or_default().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn forgotten_uploads_are_aborted_and_large_objects_move_down() {
    let stack = frozen().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let transition =
        api::Transition { days: Some(30), storage_class: Some(api::TransitionStorageClass::StandardIa), date: None };
    let all = api::LifecycleRule {
        abort_incomplete_multipart_upload: Some(api::AbortIncompleteMultipartUpload { days_after_initiation: Some(2) }),
        transitions: Some(vec![transition]),
        ..rule("all", "")
    };
    configure(&client, vec![all]).await;
    put(&client, "small", "x").await;
    put(&client, "large", &"x".repeat(200_000)).await;
    let create = api::CreateMultipartUploadInput { bucket: "bucket".into(), key: "up".into(), ..Default::default() };
    let created = client.call(api::CreateMultipartUpload, create).await.unwrap();
    assert_eq!(created.abort_rule_id.as_deref(), Some("all"));
    stack.clock().advance(DAY * 40);
    let uploads = || api::ListMultipartUploadsInput { bucket: "bucket".into(), ..Default::default() };
    wait_for("the upload is aborted", || async {
        let listed = client.call(api::ListMultipartUploads, uploads()).await.unwrap();
        listed.uploads.unwrap_or_default().is_empty().then_some(())
    })
    .await;
    let class = async |key: &str| client.call(api::GetObject, get_input(key)).await.unwrap().storage_class;
    wait_for("the large object has moved", || async {
        (class("large").await == Some(api::StorageClass::StandardIa)).then_some(())
    })
    .await;
    assert_eq!(class("small").await, None);
}

#[tokio::test]
async fn what_is_locked_outlives_its_rule() {
    let stack = frozen().await;
    let client = client_of(&stack);
    let locked = api::CreateBucketInput {
        bucket: "bucket".into(),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    client.call(api::CreateBucket, locked).await.unwrap();
    let older = api::NoncurrentVersionExpiration { noncurrent_days: Some(1), newer_noncurrent_versions: None };
    configure(&client, vec![api::LifecycleRule { noncurrent_version_expiration: Some(older), ..rule("all", "") }])
        .await;
    let held = put(&client, "k", "held").await.version_id.unwrap();
    let retain = api::PutObjectRetentionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        retention: Some(api::ObjectLockRetention {
            mode: Some(api::ObjectLockRetentionMode::Compliance),
            retain_until_date: Some(Timestamp::parse_date_time("2030-01-25T00:00:00Z").unwrap()),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.call(api::PutObjectRetention, retain).await.unwrap();
    let free = put(&client, "k", "free").await.version_id.unwrap();
    put(&client, "k", "current").await;
    stack.clock().advance(DAY * 5);
    is_gone(&client, || of_version("k", &free)).await;
    assert_eq!(read(&client, of_version("k", &held)).await.unwrap(), "held", "its retention has not ended");
    stack.clock().advance(DAY * 10);
    is_gone(&client, || of_version("k", &held)).await;
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "current");
}
