//! Locks, encryption by the caller's own keys, and lists of objects.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::versions::{delete_input, of_version};
use crate::*;

async fn locked(client: &Client) {
    let input = api::CreateBucketInput {
        bucket: "bucket".into(),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    client.call(api::CreateBucket, input).await.unwrap();
}

fn default_retention(mode: api::ObjectLockRetentionMode) -> api::PutObjectLockConfigurationInput {
    lock_input(api::DefaultRetention { mode: Some(mode), days: Some(2), ..Default::default() })
}

fn lock_input(default: api::DefaultRetention) -> api::PutObjectLockConfigurationInput {
    api::PutObjectLockConfigurationInput {
        bucket: "bucket".into(),
        object_lock_configuration: Some(api::ObjectLockConfiguration {
            object_lock_enabled: Some(api::ObjectLockEnabled::Enabled),
            rule: Some(api::ObjectLockRule { default_retention: Some(default) }),
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_locked_version_stays_until_its_time() {
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .frozen_at("2030-01-01T00:00:00Z")
        .start()
        .await;
    let client = client_of(&stack);
    locked(&client).await;
    let mode = api::ObjectLockRetentionMode::Governance;
    client.call(api::PutObjectLockConfiguration, default_retention(mode)).await.unwrap();
    let id = put(&client, "k", "x").await.version_id.unwrap();
    let head = client.call(api::GetObject, of_version("k", &id)).await.unwrap();
    assert_eq!(head.object_lock_mode, Some(api::ObjectLockMode::Governance));
    let refused = client.call(api::DeleteObject, delete_input("k", Some(&id))).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (403, "AccessDenied"));
    let batch = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete {
            objects: vec![api::ObjectIdentifier {
                key: "k".into(),
                version_id: Some(id.clone()),
                ..Default::default()
            }],
            quiet: None,
        },
        ..Default::default()
    };
    let errors = client.call(api::DeleteObjects, batch).await.unwrap().errors.unwrap();
    assert_eq!(errors[0].code.as_deref(), Some("AccessDenied"));
    client.call(api::DeleteObject, delete_input("k", None)).await.expect("a delete marker may always be put");
    let hold = |status| api::PutObjectLegalHoldInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: Some(id.clone()),
        legal_hold: Some(api::ObjectLockLegalHold { status: Some(status) }),
        ..Default::default()
    };
    client.call(api::PutObjectLegalHold, hold(api::ObjectLockLegalHoldStatus::On)).await.unwrap();
    stack.clock().advance(Duration::from_secs(3 * 86_400));
    let held = client.call(api::DeleteObject, delete_input("k", Some(&id))).await.unwrap_err();
    assert_eq!(held.code, "AccessDenied", "retention has ended, the hold has not");
    client.call(api::PutObjectLegalHold, hold(api::ObjectLockLegalHoldStatus::Off)).await.unwrap();
    client.call(api::DeleteObject, delete_input("k", Some(&id))).await.unwrap();
    let gone = client.call(api::GetObject, of_version("k", &id)).await.unwrap_err();
    assert_eq!(gone.code, "NoSuchVersion");
    let suspend = api::PutBucketVersioningInput {
        bucket: "bucket".into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Suspended),
            mfa_delete: None,
        },
        ..Default::default()
    };
    assert_eq!(client.call(api::PutBucketVersioning, suspend).await.unwrap_err().code, "InvalidBucketState");
}

#[tokio::test]
async fn governance_can_be_bypassed_and_compliance_cannot() {
    let stack = stack().await;
    let client = client_of(&stack);
    locked(&client).await;
    let id = put(&client, "k", "x").await.version_id.unwrap();
    let retain = |mode, days: u64, bypass: bool| api::PutObjectRetentionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        retention: Some(api::ObjectLockRetention {
            mode: Some(mode),
            retain_until_date: Some(stack.clock().now().plus(Duration::from_secs(days * 86_400))),
            ..Default::default()
        }),
        bypass_governance_retention: Some(bypass),
        ..Default::default()
    };
    let none = api::GetObjectRetentionInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    let none = client.call(api::GetObjectRetention, none).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchObjectLockConfiguration"));
    let governance = api::ObjectLockRetentionMode::Governance;
    client.call(api::PutObjectRetention, retain(governance.clone(), 10, false)).await.unwrap();
    let shorter = client.call(api::PutObjectRetention, retain(governance.clone(), 5, false)).await.unwrap_err();
    assert_eq!(shorter.code, "AccessDenied");
    client.call(api::PutObjectRetention, retain(governance, 5, true)).await.unwrap();
    let compliance = api::ObjectLockRetentionMode::Compliance;
    client.call(api::PutObjectRetention, retain(compliance.clone(), 6, true)).await.unwrap();
    let shorter = client.call(api::PutObjectRetention, retain(compliance, 5, true)).await.unwrap_err();
    assert_eq!(shorter.code, "AccessDenied");
    let delete = api::DeleteObjectInput { bypass_governance_retention: Some(true), ..delete_input("k", Some(&id)) };
    assert_eq!(client.call(api::DeleteObject, delete).await.unwrap_err().code, "AccessDenied");
}

#[tokio::test]
async fn what_is_locked_comes_with_a_digest() {
    let stack = stack().await;
    let client = client_of(&stack);
    locked(&client).await;
    let bare =
        |hold| api::PutObjectInput { content_md5: None, object_lock_legal_hold_status: hold, ..put_input("k", "x") };
    client.call(api::PutObject, bare(None)).await.unwrap();
    let on = Some(api::ObjectLockLegalHoldStatus::On);
    let refused = client.call(api::PutObject, bare(on.clone())).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (400, "InvalidRequest"));
    assert!(refused.message.ends_with("Put Object requests with Object Lock parameters"), "{}", refused.message);
    client
        .call(api::PutObject, api::PutObjectInput { object_lock_legal_hold_status: on, ..put_input("k", "x") })
        .await
        .unwrap();
    let mode = api::ObjectLockRetentionMode::Governance;
    client.call(api::PutObjectLockConfiguration, default_retention(mode)).await.unwrap();
    assert_eq!(client.call(api::PutObject, bare(None)).await.unwrap_err().code, "InvalidRequest");
    let create = api::CreateMultipartUploadInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    let upload_id = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let part = |content_md5| api::UploadPartInput {
        bucket: "bucket".into(),
        key: "k".into(),
        upload_id: upload_id.clone(),
        part_number: 1,
        content_md5,
        body: fractus_wire::ByteStream::from(bytes::Bytes::from_static(b"x")),
        ..Default::default()
    };
    let refused = client.call(api::UploadPart, part(None)).await.unwrap_err();
    assert!(refused.message.contains("Put Part requests"), "{}", refused.message);
    client.call(api::UploadPart, part(put_input("k", "x").content_md5)).await.unwrap();
}

#[tokio::test]
async fn a_bucket_without_locks_has_none() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let get = api::GetObjectLockConfigurationInput { bucket: "bucket".into(), ..Default::default() };
    let none = client.call(api::GetObjectLockConfiguration, get).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "ObjectLockConfigurationNotFoundError"));
    let mode = api::ObjectLockRetentionMode::Governance;
    let refused = client.call(api::PutObjectLockConfiguration, default_retention(mode)).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (409, "InvalidBucketState"));
    let hold = api::PutObjectInput {
        object_lock_legal_hold_status: Some(api::ObjectLockLegalHoldStatus::On),
        ..put_input("k", "x")
    };
    let refused = client.call(api::PutObject, hold).await.unwrap_err();
    assert_eq!(refused.message, "Bucket is missing Object Lock Configuration");
}

/// A customer's key and its digest, as headers carry them.
fn customer_key(byte: u8) -> (String, String) {
    use md5::Digest;
    let key = [byte; 32];
    (STANDARD.encode(key), STANDARD.encode(md5::Md5::digest(key)))
}

#[tokio::test]
async fn what_a_customers_key_encrypts_is_read_with_it_alone() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let (key, md5) = customer_key(1);
    let algorithm = Some("AES256".to_owned());
    let input = || api::PutObjectInput {
        sse_customer_algorithm: algorithm.clone(),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        ..put_input("k", "secret")
    };
    let blocked = client.call(api::PutObject, input()).await.unwrap_err();
    assert_eq!((blocked.status, blocked.code.as_ref()), (403, "AccessDenied"));
    let_callers_bring_keys(&client).await;
    let stored = client.call(api::PutObject, input()).await.unwrap();
    assert_eq!((stored.sse_customer_key_md5.as_ref(), stored.server_side_encryption), (Some(&md5), None));
    let with = |(key, md5): (String, String)| api::GetObjectInput {
        sse_customer_algorithm: algorithm.clone(),
        sse_customer_key: Some(key),
        sse_customer_key_md5: Some(md5),
        ..get_input("k")
    };
    assert_eq!(read(&client, with((key.clone(), md5.clone()))).await.unwrap(), "secret");
    let without = read(&client, get_input("k")).await.unwrap_err();
    assert_eq!((without.status, without.code.as_ref()), (400, "InvalidRequest"));
    let wrong = read(&client, with(customer_key(2))).await.unwrap_err();
    assert_eq!((wrong.status, wrong.code.as_ref()), (403, "AccessDenied"));
    let copy = || api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "plain".into(),
        copy_source: "bucket/k".into(),
        ..Default::default()
    };
    assert_eq!(client.call(api::CopyObject, copy()).await.unwrap_err().code, "InvalidRequest");
    let copy = api::CopyObjectInput {
        copy_source_sse_customer_algorithm: algorithm.clone(),
        copy_source_sse_customer_key: Some(key),
        copy_source_sse_customer_key_md5: Some(md5),
        ..copy()
    };
    client.call(api::CopyObject, copy).await.unwrap();
    assert_eq!(read(&client, api::GetObjectInput { key: "plain".into(), ..get_input("k") }).await.unwrap(), "secret");
}

#[tokio::test]
async fn a_multipart_upload_under_a_customers_key_wants_it_with_every_part() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let_callers_bring_keys(&client).await;
    let (key, md5) = customer_key(1);
    let algorithm = Some("AES256".to_owned());
    let create = api::CreateMultipartUploadInput {
        bucket: "bucket".into(),
        key: "k".into(),
        sse_customer_algorithm: algorithm.clone(),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        ..Default::default()
    };
    let upload_id = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let part = || api::UploadPartInput {
        bucket: "bucket".into(),
        key: "k".into(),
        upload_id: upload_id.clone(),
        part_number: 1,
        body: ByteStream::from(Bytes::from("part")),
        ..Default::default()
    };
    assert_eq!(client.call(api::UploadPart, part()).await.unwrap_err().code, "InvalidRequest");
    let keyed = api::UploadPartInput {
        sse_customer_algorithm: algorithm.clone(),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        ..part()
    };
    let e_tag = client.call(api::UploadPart, keyed).await.unwrap().e_tag;
    let complete = api::CompleteMultipartUploadInput {
        bucket: "bucket".into(),
        key: "k".into(),
        upload_id,
        multipart_upload: Some(api::CompletedMultipartUpload {
            parts: Some(vec![api::CompletedPart { e_tag, part_number: Some(1), ..Default::default() }]),
        }),
        ..Default::default()
    };
    client.call(api::CompleteMultipartUpload, complete).await.unwrap();
    assert_eq!(read(&client, get_input("k")).await.unwrap_err().code, "InvalidRequest");
}

#[tokio::test]
async fn kms_keys_are_named_by_their_arns() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let input = api::PutObjectInput {
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ssekms_key_id: Some("1234".into()),
        bucket_key_enabled: Some(true),
        ..put_input("k", "x")
    };
    client.call(api::PutObject, input).await.unwrap();
    let got = client.call(api::GetObject, get_input("k")).await.unwrap();
    assert_eq!(got.server_side_encryption, Some(api::ServerSideEncryption::AwsKms));
    assert_eq!(got.ssekms_key_id.as_deref(), Some("arn:aws:kms:us-east-1:000000000000:key/1234"));
    assert_eq!(got.bucket_key_enabled, Some(true));
    let odd = api::PutObjectInput { ssekms_key_id: Some("1234".into()), ..put_input("k", "x") };
    assert_eq!(client.call(api::PutObject, odd).await.unwrap_err().code, "InvalidArgument");
}

#[tokio::test]
async fn an_objects_own_list_opens_it() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let public =
        |key: &str| api::PutObjectInput { acl: Some(api::ObjectCannedACL::PublicRead), ..put_input(key, "open") };
    let refused = client.call(api::PutObject, public("k")).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (400, "AccessControlListNotSupported"));
    let harmless =
        api::PutObjectInput { acl: Some(api::ObjectCannedACL::BucketOwnerFullControl), ..put_input("k", "x") };
    client.call(api::PutObject, harmless).await.unwrap();
    open(&client).await;
    client.call(api::PutObject, public("k")).await.unwrap();
    put(&client, "closed", "x").await;
    let status = async |key: &str| plain(&stack, "GET", &format!("/bucket/{key}"), &[]).await.status().as_u16();
    assert_eq!((status("k").await, status("closed").await), (200, 403));
    let acl = |key: &str, acl| api::PutObjectAclInput {
        bucket: "bucket".into(),
        key: key.into(),
        acl: Some(acl),
        ..Default::default()
    };
    client.call(api::PutObjectAcl, acl("closed", api::ObjectCannedACL::PublicRead)).await.unwrap();
    client.call(api::PutObjectAcl, acl("k", api::ObjectCannedACL::Private)).await.unwrap();
    assert_eq!((status("k").await, status("closed").await), (403, 200));
    let get = api::GetObjectAclInput { bucket: "bucket".into(), key: "closed".into(), ..Default::default() };
    assert_eq!(client.call(api::GetObjectAcl, get).await.unwrap().grants.unwrap().len(), 2);
}

fn retention_input(version_id: &str, retention: api::ObjectLockRetention) -> api::PutObjectRetentionInput {
    api::PutObjectRetentionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: Some(version_id.into()),
        retention: Some(retention),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_event_hold_ends_its_duration_after_the_event() {
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .frozen_at("2030-01-01T00:00:00Z")
        .start()
        .await;
    let client = client_of(&stack);
    locked(&client).await;
    let input = api::PutObjectInput {
        object_lock_mode: Some(api::ObjectLockMode::Compliance),
        object_lock_event_hold: Some(api::ObjectLockEventHold::On),
        object_lock_event_hold_duration_days: Some(10),
        ..put_input("k", "x")
    };
    let id = client.call(api::PutObject, input).await.unwrap().version_id.unwrap();
    let delete = async || client.call(api::DeleteObject, delete_input("k", Some(&id))).await;
    stack.clock().advance(Duration::from_secs(1_000 * 86_400));
    assert_eq!(delete().await.unwrap_err().code, "AccessDenied", "the event has not come");
    let get = api::GetObjectRetentionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: Some(id.clone()),
        ..Default::default()
    };
    let retention = async || client.call(api::GetObjectRetention, get.clone()).await.unwrap().retention.unwrap();
    let held = retention().await;
    assert_eq!((held.event_hold, held.retain_until_date), (Some(api::ObjectLockEventHold::On), None));
    let shorter = api::ObjectLockRetention {
        event_hold: Some(api::ObjectLockEventHold::Off),
        event_hold_duration: Some(api::EventHoldDuration { days: Some(1), years: None }),
        ..Default::default()
    };
    let refused = client.call(api::PutObjectRetention, retention_input(&id, shorter)).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("AccessDenied", 403));
    let release = api::ObjectLockRetention { event_hold: Some(api::ObjectLockEventHold::Off), ..Default::default() };
    client.call(api::PutObjectRetention, retention_input(&id, release)).await.unwrap();
    let released = retention().await;
    assert_eq!(released.retain_until_date.unwrap().date_time(), "2032-10-07T00:00:00Z");
    assert_eq!(released.event_hold_duration.unwrap().days, Some(10));
    let head = client.call(api::GetObject, of_version("k", &id)).await.unwrap();
    assert_eq!(head.object_lock_event_hold, Some(api::ObjectLockEventHold::Off));
    stack.clock().advance(Duration::from_secs(9 * 86_400));
    assert_eq!(delete().await.unwrap_err().code, "AccessDenied");
    stack.clock().advance(Duration::from_secs(86_400));
    delete().await.unwrap();
}

#[tokio::test]
async fn a_bucket_holds_what_is_put_until_its_event() {
    let stack = stack().await;
    let client = client_of(&stack);
    locked(&client).await;
    let default = |days, hold| {
        lock_input(api::DefaultRetention {
            mode: Some(api::ObjectLockRetentionMode::Governance),
            days,
            default_event_hold: Some(hold),
            ..Default::default()
        })
    };
    let hold = api::EventHoldDuration { days: None, years: Some(2) };
    let both = api::EventHoldDuration { days: Some(1), years: Some(2) };
    let refused = client.call(api::PutObjectLockConfiguration, default(Some(1), both)).await.unwrap_err();
    assert_eq!(refused.code, "MalformedXML");
    client.call(api::PutObjectLockConfiguration, default(None, hold)).await.unwrap();
    put(&client, "k", "x").await;
    let seen = client.call(api::GetObject, get_input("k")).await.unwrap();
    assert_eq!(seen.object_lock_event_hold, Some(api::ObjectLockEventHold::On));
    assert_eq!(seen.object_lock_event_hold_duration_years, Some(2));
    assert_eq!(
        (seen.object_lock_mode, seen.object_lock_retain_until_date),
        (Some(api::ObjectLockMode::Governance), None)
    );
}

#[tokio::test]
async fn a_hold_must_say_how_long() {
    let stack = stack().await;
    let client = client_of(&stack);
    locked(&client).await;
    for years in [None, Some(0), Some(101)] {
        let input = api::PutObjectInput {
            object_lock_mode: Some(api::ObjectLockMode::Governance),
            object_lock_event_hold: Some(api::ObjectLockEventHold::On),
            object_lock_event_hold_duration_years: years,
            ..put_input("k", "x")
        };
        let refused = client.call(api::PutObject, input).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), ("InvalidArgument", 400), "{years:?}");
    }
}

#[tokio::test]
async fn only_what_s3s_own_keys_encrypt_has_a_digest_as_its_entity_tag() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let md5 = put(&client, "plain", "x").await.e_tag.unwrap();
    let encrypted = api::PutObjectInput {
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ..put_input("kms", "x")
    };
    let tag = client.call(api::PutObject, encrypted).await.unwrap().e_tag.unwrap();
    assert!(tag != md5 && tag.len() == md5.len(), "{tag}");
    assert_eq!(client.call(api::GetObject, get_input("kms")).await.unwrap().e_tag, Some(tag));
    let copy = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "copy".into(),
        copy_source: "bucket/kms".into(),
        ..Default::default()
    };
    let copied = client.call(api::CopyObject, copy).await.unwrap().copy_object_result.unwrap();
    assert_eq!(copied.e_tag, Some(md5), "a copy under S3's own keys has the digest");
}
