//! Archived objects, encryption anew, torrents.

use std::time::Duration;

use crate::*;

fn restore_input(tier: api::Tier) -> api::RestoreObjectInput {
    api::RestoreObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        restore_request: Some(api::RestoreRequest {
            days: Some(2),
            glacier_job_parameters: Some(api::GlacierJobParameters { tier }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_archived_object_is_read_once_it_is_restored_and_for_its_days() {
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .frozen_at("2030-01-15T10:30:00Z")
        .start()
        .await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let archived = |class| api::PutObjectInput { storage_class: Some(class), ..put_input("k", "cold") };
    client.call(api::PutObject, archived(api::StorageClass::Standard)).await.unwrap();
    let not_archived = client.call(api::RestoreObject, restore_input(api::Tier::Standard)).await.unwrap_err();
    assert_eq!((not_archived.status, not_archived.code.as_ref()), (403, "InvalidObjectState"));
    client.call(api::PutObject, archived(api::StorageClass::Glacier)).await.unwrap();
    let cold = read(&client, get_input("k")).await.unwrap_err();
    assert_eq!((cold.status, cold.code.as_ref()), (403, "InvalidObjectState"));
    let (_, head) = client.call_with_head(api::RestoreObject, restore_input(api::Tier::Standard)).await.unwrap();
    assert_eq!(head.status, 202);
    let state = async || {
        let input = api::HeadObjectInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
        client.call(api::HeadObject, input).await.unwrap().restore
    };
    assert_eq!(state().await.as_deref(), Some("ongoing-request=\"true\""));
    let again = client.call(api::RestoreObject, restore_input(api::Tier::Standard)).await.unwrap_err();
    assert_eq!((again.status, again.code.as_ref()), (409, "RestoreAlreadyInProgress"));
    stack.clock().advance(Duration::from_secs(6 * 3_600));
    let there = "ongoing-request=\"false\", expiry-date=\"Fri, 18 Jan 2030 00:00:00 GMT\"";
    assert_eq!(state().await.as_deref(), Some(there));
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "cold");
    let (_, head) = client.call_with_head(api::RestoreObject, restore_input(api::Tier::Standard)).await.unwrap();
    assert_eq!(head.status, 200);
    stack.clock().advance(Duration::from_secs(4 * 86_400));
    assert_eq!(state().await, None);
    assert_eq!(read(&client, get_input("k")).await.unwrap_err().code, "InvalidObjectState");
}

#[tokio::test]
async fn encryption_is_changed_in_place_and_torrents_are_refused() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let etag = put(&client, "k", "x").await.e_tag;
    let key = "arn:aws:kms:us-east-1:000000000000:key/1234";
    let update = api::UpdateObjectEncryptionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        object_encryption: api::ObjectEncryption::Ssekms(api::SSEKMSEncryption {
            kms_key_arn: key.into(),
            bucket_key_enabled: Some(true),
        }),
        ..Default::default()
    };
    client.call(api::UpdateObjectEncryption, update).await.unwrap();
    let got = client.call(api::GetObject, get_input("k")).await.unwrap();
    assert_eq!((got.ssekms_key_id.as_deref(), got.e_tag), (Some(key), etag));
    let torrent = api::GetObjectTorrentInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    let refused = client.call(api::GetObjectTorrent, torrent).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (405, "MethodNotAllowed"));
}

#[tokio::test]
async fn the_oldest_form_of_a_lifecycle_is_todays() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let rule = api::Rule {
        id: Some("old".into()),
        prefix: "logs/".into(),
        status: api::ExpirationStatus::Enabled,
        expiration: Some(api::LifecycleExpiration { days: Some(1), ..Default::default() }),
        ..Default::default()
    };
    let input = api::PutBucketLifecycleInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::LifecycleConfiguration { rules: vec![rule] }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycle, input).await.unwrap();
    assert!(put(&client, "logs/a", "x").await.expiration.is_some());
    let get = api::GetBucketLifecycleInput { bucket: "bucket".into(), ..Default::default() };
    assert_eq!(client.call(api::GetBucketLifecycle, get).await.unwrap().rules.unwrap()[0].prefix, "logs/");
}
