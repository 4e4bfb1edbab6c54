//! Buckets on Outposts: made and configured through S3 Control, reached through access points.

use std::time::Duration;

use fractus_testkit::wait_for;

use crate::*;

const OUTPOST: &str = "op-01ac5d28a6a232904";
const FAR: &str = "op-0fedcba9876543210";

fn arn_of(account: &str, outpost: &str, bucket: &str) -> String {
    format!("arn:aws:s3-outposts:us-east-1:{account}:outpost/{outpost}/bucket/{bucket}")
}

async fn make(client: &Client, outpost: &str, name: &str) -> Result<String, Failure> {
    let input = api::CreateBucketInput { bucket: name.into(), outpost_id: Some(outpost.into()), ..Default::default() };
    client.call(api::CreateBucket, input).await.map(|made| made.bucket_arn.unwrap())
}

fn new_point(account: &str, name: &str, bucket: &str) -> api::CreateAccessPointInput {
    api::CreateAccessPointInput {
        account_id: account.into(),
        name: name.into(),
        bucket: bucket.into(),
        vpc_configuration: Some(api::VpcConfiguration { vpc_id: "vpc-1a2b3c4d".into() }),
        ..Default::default()
    }
}

/// A bucket on an Outpost and an access point of it: their ARNs, and the alias.
async fn reachable(client: &Client, account: &str, outpost: &str, name: &str) -> (String, String, String) {
    let bucket = make(client, outpost, name).await.unwrap();
    let made = client.call(api::CreateAccessPoint, new_point(account, name, &bucket)).await.unwrap();
    (bucket, made.access_point_arn.unwrap(), made.alias.unwrap())
}

async fn keep_versions(client: &Client, account: &str, bucket: &str) {
    let status = Some(api::BucketVersioningStatus::Enabled);
    let input = api::PutBucketVersioningInput {
        account_id: account.into(),
        bucket: bucket.into(),
        versioning_configuration: api::VersioningConfiguration { status, mfa_delete: None },
        ..Default::default()
    };
    client.call(api::PutBucketVersioning, input).await.unwrap();
}

/// What a request about a bucket is answered, as it stands on the wire.
async fn told(client: &Client, method: &str, bucket: &str) -> String {
    let path = format!("/v20180820/bucket/{}", bucket.replace(':', "%3A").replace('/', "%2F"));
    let request = http::Request::builder().method(method).uri(path).header("x-amz-account-id", ACCOUNT);
    text(&client.send(request.body(Bytes::new()).unwrap()).await)
}

fn head_input(bucket: &str, key: &str) -> s3::HeadObjectInput {
    s3::HeadObjectInput { bucket: bucket.into(), key: key.into(), ..Default::default() }
}

#[tokio::test]
async fn a_bucket_is_its_outpost_s_and_no_plain_one() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let arn = make(&client, OUTPOST, "here").await.unwrap();
    assert_eq!(arn, arn_of(ACCOUNT, OUTPOST, "here"));
    let twice = make(&client, OUTPOST, "here").await.unwrap_err();
    assert_eq!((twice.status, twice.code.as_ref()), (409, "BucketAlreadyOwnedByYou"));
    // The name is the Outpost's: another one may have it, another account, and S3 itself.
    make(&client, FAR, "here").await.unwrap();
    make(&client.clone().as_account(OTHER), OUTPOST, "here").await.unwrap();
    bucket(&client, "here").await;
    for bad in ["op-1", "ec2", "op-01AC5d28a6a232904"] {
        let none = make(&client, bad, "other").await.unwrap_err();
        assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchOutpost"), "{bad}");
    }
    let get = |bucket: &str| api::GetBucketInput { account_id: ACCOUNT.into(), bucket: bucket.into() };
    let shown = client.call(api::GetBucket, get(&arn)).await.unwrap();
    assert_eq!((shown.bucket.as_deref(), shown.public_access_block_enabled), (Some("here"), Some(true)));
    // By its name beside the Outpost's id, as SDKs may send it, too.
    let beside = client.clone().with_header("x-amz-outpost-id", OUTPOST);
    assert!(beside.call(api::GetBucket, get("here")).await.unwrap().creation_date.is_some());
    assert_eq!(client.call(api::GetBucket, get("here")).await.unwrap_err().code, "InvalidRequest");
    let none = client.call(api::GetBucket, get(&arn_of(ACCOUNT, OUTPOST, "none"))).await.unwrap_err();
    assert_eq!(none.code, "NoSuchBucket");
    assert!(told(&client, "GET", &arn_of(ACCOUNT, OUTPOST, "none")).await.contains("<BucketName>none</BucketName>"));
    let others = client.call(api::GetBucket, get(&arn_of(OTHER, OUTPOST, "here"))).await.unwrap_err();
    assert_eq!(others.code, "AccessDenied");
    let inside = format!("outpost:us-east-1:{ACCOUNT}:{OUTPOST}:here");
    // Nobody reaches it but through an access point, and it is in no list of S3's.
    for path in [
        format!("/outpost:us-east-1:{ACCOUNT}:{OUTPOST}:here?versioning"),
        format!("/outpost%3Aus-east-1%3A{ACCOUNT}%3A{OUTPOST}%3Ahere/k"),
    ] {
        let reached = client.send(http::Request::get(&path).body(Bytes::new()).unwrap()).await;
        assert_eq!(reached.status(), 404, "{path}");
    }
    bucket(&client, "plain").await;
    let copy = s3::CopyObjectInput {
        bucket: "plain".into(),
        key: "copy".into(),
        copy_source: format!("{inside}/k"),
        ..Default::default()
    };
    assert_eq!(client.call(s3::CopyObject, copy).await.unwrap_err().code, "NoSuchBucket");
    let regions = api::Region { bucket: inside.clone(), ..Default::default() };
    let details =
        api::CreateMultiRegionAccessPointInput { name: "sly".into(), regions: vec![regions], ..Default::default() };
    let sly =
        api::CreateMultiRegionAccessPointRequest { account_id: ACCOUNT.into(), client_token: "t".into(), details };
    assert_eq!(client.call(api::CreateMultiRegionAccessPoint, sly).await.unwrap_err().code, "NoSuchBucket");
    let refused = client.call(api::CreateAccessPoint, new_point(ACCOUNT, "sly", &inside)).await.unwrap_err();
    assert_eq!(refused.code, "NoSuchBucket");
    let listed = client.call(s3::ListBuckets, s3::ListBucketsInput::default()).await.unwrap().buckets.unwrap();
    assert_eq!(listed.len(), 2);
    let delete = api::DeleteBucketInput { account_id: ACCOUNT.into(), bucket: arn.clone() };
    client.call(api::DeleteBucket, delete).await.unwrap();
    assert_eq!(client.call(api::GetBucket, get(&arn)).await.unwrap_err().code, "NoSuchBucket");
}

#[tokio::test]
async fn an_account_has_a_hundred_buckets_on_outposts() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    for number in 0..100 {
        make(&client, if number % 2 == 0 { OUTPOST } else { FAR }, &format!("b{number:03}")).await.unwrap();
    }
    let refused = make(&client, OUTPOST, "one-more").await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (400, "TooManyBuckets"));
    make(&client.clone().as_account(OTHER), OUTPOST, "one-more").await.unwrap();
}

#[tokio::test]
async fn regional_buckets_are_listed_by_outpost_and_page() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    for (outpost, name) in [(OUTPOST, "aaa"), (OUTPOST, "bbb"), (FAR, "ccc"), (OUTPOST, "ddd")] {
        make(&client, outpost, name).await.unwrap();
    }
    make(&client.clone().in_region("eu-west-1"), OUTPOST, "far").await.unwrap();
    make(&client.clone().as_account(OTHER), OUTPOST, "others").await.unwrap();
    let list = async |outpost: Option<&str>, max: Option<i32>, next_token: Option<String>| {
        let (account_id, outpost_id) = (ACCOUNT.into(), outpost.map(Into::into));
        let input = api::ListRegionalBucketsInput { account_id, outpost_id, max_results: max, next_token };
        let page = client.call(api::ListRegionalBuckets, input).await.unwrap();
        let names: Vec<String> = page.regional_bucket_list.unwrap().into_iter().map(|one| one.bucket).collect();
        (names, page.next_token)
    };
    let (names, next) = list(Some(OUTPOST), Some(2), None).await;
    assert_eq!(names, ["aaa", "bbb"]);
    assert_eq!(list(Some(OUTPOST), Some(2), next).await, (vec!["ddd".to_owned()], None));
    assert_eq!(list(None, None, None).await.0, ["aaa", "bbb", "ddd", "ccc"]);
    let bad = api::ListRegionalBucketsInput {
        account_id: ACCOUNT.into(),
        outpost_id: Some("op-1".into()),
        ..Default::default()
    };
    assert_eq!(client.call(api::ListRegionalBuckets, bad).await.unwrap_err().code, "NoSuchOutpost");
}

#[tokio::test]
async fn an_access_point_is_for_a_vpc_and_never_public() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let (bucket, arn, alias) = reachable(&client, ACCOUNT, OUTPOST, "data").await;
    assert_eq!(arn, format!("arn:aws:s3-outposts:us-east-1:{ACCOUNT}:outpost/{OUTPOST}/accesspoint/data"));
    assert!(alias.starts_with("data-o01ac5d28a6a232904") && alias.ends_with("--op-s3"), "{alias}");
    let open = api::CreateAccessPointInput { vpc_configuration: None, ..new_point(ACCOUNT, "open", &bucket) };
    let refused = client.call(api::CreateAccessPoint, open).await.unwrap_err();
    assert_eq!((refused.status, refused.message.as_str()), (400, "Amazon VPC configuration is required."));
    let public = api::CreateAccessPointInput {
        public_access_block_configuration: Some(api::PublicAccessBlockConfiguration::default()),
        ..new_point(ACCOUNT, "open", &bucket)
    };
    let refused = client.call(api::CreateAccessPoint, public).await.unwrap_err();
    assert_eq!(refused.message, "Public access is not allowed on S3 on Outposts access points.");

    let get = || api::GetAccessPointInput { account_id: ACCOUNT.into(), name: arn.clone() };
    let shown = client.call(api::GetAccessPoint, get()).await.unwrap();
    assert_eq!((shown.name.as_deref(), shown.bucket.as_deref()), (Some("data"), Some("data")));
    assert_eq!((shown.access_point_arn.as_ref(), shown.alias.as_ref()), (Some(&arn), Some(&alias)));
    assert_eq!(shown.network_origin, Some(api::NetworkOrigin::Vpc));
    let list = |bucket: Option<&String>| api::ListAccessPointsInput {
        account_id: ACCOUNT.into(),
        bucket: bucket.cloned(),
        ..Default::default()
    };
    let listed = client.call(api::ListAccessPoints, list(Some(&bucket))).await.unwrap().access_point_list.unwrap();
    assert_eq!((listed.len(), listed[0].access_point_arn.as_ref()), (1, Some(&arn)));
    let status = api::GetAccessPointPolicyStatusInput { account_id: ACCOUNT.into(), name: arn.clone() };
    let status = client.call(api::GetAccessPointPolicyStatus, status).await.unwrap_err();
    assert_eq!((status.status, status.code.as_ref()), (404, "UnsupportedOperation"));
    let regional = client.call(api::ListAccessPoints, list(None)).await.unwrap().access_point_list.unwrap();
    assert!(regional.is_empty());
    for at_most in 2..=11 {
        let made = client.call(api::CreateAccessPoint, new_point(ACCOUNT, &format!("p{at_most:02}"), &bucket)).await;
        assert_eq!(
            made.err().map(|error| error.code.into_owned()),
            (at_most > 10).then(|| "TooManyAccessPoints".into())
        );
    }
    let foreign = api::GetAccessPointInput { account_id: ACCOUNT.into(), name: arn.replace(ACCOUNT, OTHER) };
    assert_eq!(client.call(api::GetAccessPoint, foreign).await.unwrap_err().code, "AccessDenied");
    let elsewhere =
        api::GetAccessPointInput { account_id: ACCOUNT.into(), name: arn.replace("us-east-1", "eu-west-1") };
    assert_eq!(client.call(api::GetAccessPoint, elsewhere).await.unwrap_err().code, "NoSuchAccessPoint");
    let delete = |name: &str| api::DeleteAccessPointInput { account_id: ACCOUNT.into(), name: name.into() };
    client.call(api::DeleteAccessPoint, delete(&arn)).await.unwrap();
    assert_eq!(client.call(api::GetAccessPoint, get()).await.unwrap_err().code, "NoSuchAccessPoint");
    let attached = told(&client, "DELETE", &bucket).await;
    assert!(attached.contains("<Code>BucketHasAccessPointsAttached</Code>"), "{attached}");
    assert!(attached.contains("<BucketName>data</BucketName>"), "{attached}");
}

#[tokio::test]
async fn objects_are_reached_by_arn_alias_and_host_as_sdks_send_them() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let (bucket, arn, alias) = reachable(&client, ACCOUNT, OUTPOST, "data").await;
    put(&client, &arn, "a b/c", "through").await.unwrap();
    assert_eq!(get(&client, &alias, "a b/c").await.unwrap(), "through");
    assert_eq!(keys(&client, &arn, "").await, ["a b/c"]);
    for host in [
        format!("data-{ACCOUNT}.{OUTPOST}.localhost"),
        format!("data-{ACCOUNT}.{OUTPOST}.s3-outposts.us-east-1.amazonaws.com"),
        format!("{alias}.{OUTPOST}.localhost"),
        format!("{alias}.{OUTPOST}.s3-outposts.us-east-1.amazonaws.com"),
    ] {
        let by_host = client.clone().with_header("host", &host);
        let answer = by_host.send(http::Request::get("/a%20b/c").body(Bytes::new()).unwrap()).await;
        assert_eq!((answer.status().as_u16(), text(&answer).as_str()), (200, "through"), "{host}");
    }
    let answer = client.send(http::Request::get(format!("/{arn}/a%20b/c")).body(Bytes::new()).unwrap()).await;
    assert_eq!(text(&answer), "through");
    let head = client.call(s3::HeadObject, head_input(&arn, "a b/c")).await.unwrap();
    assert_eq!(head.storage_class, Some(s3::StorageClass::Outposts));
    assert_eq!(head.server_side_encryption, Some(s3::ServerSideEncryption::Aes256));

    let copy = s3::CopyObjectInput {
        bucket: arn.clone(),
        key: "copy".into(),
        copy_source: format!("{}/object/a%20b%2Fc", arn.replace(':', "%3A")),
        ..Default::default()
    };
    client.call(s3::CopyObject, copy).await.unwrap();
    assert_eq!(get(&client, &arn, "copy").await.unwrap(), "through");
    let upload = s3::CreateMultipartUploadInput { bucket: arn.clone(), key: "large".into(), ..Default::default() };
    let begun = client.call(s3::CreateMultipartUpload, upload).await.unwrap();
    assert_eq!(begun.bucket.as_deref(), Some("data"));
    let upload_id = begun.upload_id.unwrap();
    let part = s3::UploadPartInput {
        bucket: arn.clone(),
        key: "large".into(),
        upload_id: upload_id.clone(),
        part_number: 1,
        body: ByteStream::from(Bytes::from("x".repeat(200))),
        ..Default::default()
    };
    let e_tag = client.call(s3::UploadPart, part).await.unwrap().e_tag;
    let part = s3::CompletedPart { part_number: Some(1), e_tag, ..Default::default() };
    let complete = s3::CompleteMultipartUploadInput {
        bucket: arn.clone(),
        key: "large".into(),
        upload_id,
        multipart_upload: Some(s3::CompletedMultipartUpload { parts: Some(vec![part]) }),
        ..Default::default()
    };
    let completed = client.call(s3::CompleteMultipartUpload, complete).await.unwrap();
    // By which name the bucket is kept nobody is told.
    assert_eq!(completed.bucket.as_deref(), Some("data"));
    assert!(completed.location.unwrap().ends_with("/data/large"));
    let list = s3::ListObjectsV2Input { bucket: arn.clone(), ..Default::default() };
    assert_eq!(client.call(s3::ListObjectsV2, list).await.unwrap().name.as_deref(), Some("data"));
    let list = s3::ListObjectVersionsInput { bucket: arn.clone(), ..Default::default() };
    assert_eq!(client.call(s3::ListObjectVersions, list).await.unwrap().name.as_deref(), Some("data"));
    let list = s3::ListMultipartUploadsInput { bucket: arn.clone(), ..Default::default() };
    assert_eq!(client.call(s3::ListMultipartUploads, list).await.unwrap().bucket.as_deref(), Some("data"));
    let head = client.call(s3::HeadObject, head_input(&alias, "large")).await.unwrap();
    assert_eq!((head.content_length, head.storage_class), (Some(200), Some(s3::StorageClass::Outposts)));

    let request = http::Request::get(format!("/{alias}/none")).body(Bytes::new()).unwrap();
    let none = text(&client.send(request).await);
    assert!(none.contains("<Resource>/data/none</Resource>"), "{none}");
    let full = told(&client, "DELETE", &bucket).await;
    assert!(full.contains("<Code>BucketNotEmpty</Code>") && full.contains("<BucketName>data</BucketName>"), "{full}");
}

#[tokio::test]
async fn what_outposts_lack_is_refused() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let (_, arn, alias) = reachable(&client, ACCOUNT, OUTPOST, "data").await;
    put(&client, &arn, "k", "x").await.unwrap();
    for (method, path) in
        [("GET", "?acl"), ("GET", "/k?acl"), ("PUT", "?versioning"), ("GET", "?location"), ("GET", "/k?retention")]
    {
        let request = http::Request::builder().method(method).uri(format!("/{alias}{path}"));
        let answer = client.send(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert!(text(&answer).contains("<Code>UnsupportedOperation</Code>"), "{}", text(&answer));
    }
    let with = async |name: &str, value: &str| {
        put(&client.clone().with_header(name, value), &alias, "new", "x").await.unwrap_err()
    };
    assert_eq!(with("x-amz-server-side-encryption", "aws:kms").await.code, "NotImplemented");
    assert_eq!(with("x-amz-object-lock-mode", "GOVERNANCE").await.code, "NotImplemented");
    assert_eq!(with("x-amz-storage-class", "STANDARD_IA").await.code, "InvalidStorageClass");
    assert_eq!(with("x-amz-acl", "public-read").await.code, "AccessControlListNotSupported");
    let listed = api::CreateBucketInput {
        bucket: "listed".into(),
        outpost_id: Some(OUTPOST.into()),
        acl: Some(api::BucketCannedACL::Private),
        ..Default::default()
    };
    assert_eq!(client.call(api::CreateBucket, listed).await.unwrap_err().code, "NotImplemented");
}

#[tokio::test]
async fn lifecycle_rules_delete_and_move_nothing() {
    let stack = builder().frozen_at("2030-01-15T10:30:00Z").start().await;
    let client = client_of(&stack);
    let (bucket, arn, _) = reachable(&client, ACCOUNT, OUTPOST, "data").await;
    let rule = || api::LifecycleRule {
        id: Some("logs".into()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some("logs/".into()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        expiration: Some(api::LifecycleExpiration { days: Some(2), ..Default::default() }),
        abort_incomplete_multipart_upload: Some(api::AbortIncompleteMultipartUpload { days_after_initiation: Some(1) }),
        ..Default::default()
    };
    let configure = async |rule: api::LifecycleRule| {
        let input = api::PutBucketLifecycleConfigurationInput {
            account_id: ACCOUNT.into(),
            bucket: bucket.clone(),
            lifecycle_configuration: Some(api::LifecycleConfiguration { rules: Some(vec![rule]) }),
        };
        client.call(api::PutBucketLifecycleConfiguration, input).await
    };
    let get_rules = || api::GetBucketLifecycleConfigurationInput { account_id: ACCOUNT.into(), bucket: bucket.clone() };
    let none = client.call(api::GetBucketLifecycleConfiguration, get_rules()).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchLifecycleConfiguration"));
    let down = api::Transition { days: Some(1), storage_class: Some(api::TransitionStorageClass::Glacier), date: None };
    let refused = configure(api::LifecycleRule { transitions: Some(vec![down]), ..rule() }).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequest");
    configure(rule()).await.unwrap();
    let kept = client.call(api::GetBucketLifecycleConfiguration, get_rules()).await.unwrap();
    assert_eq!(kept.rules, Some(vec![rule()]));
    put(&client, &arn, "logs/a", "x").await.unwrap();
    put(&client, &arn, "kept", "x").await.unwrap();
    stack.clock().advance(Duration::from_secs(3 * 86_400));
    wait_for("it has expired", || async { get(&client, &arn, "logs/a").await.is_err().then_some(()) }).await;
    assert_eq!(get(&client, &arn, "kept").await.unwrap(), "x");
    let delete = api::DeleteBucketLifecycleConfigurationInput { account_id: ACCOUNT.into(), bucket: bucket.clone() };
    client.call(api::DeleteBucketLifecycleConfiguration, delete).await.unwrap();
    client.call(api::GetBucketLifecycleConfiguration, get_rules()).await.unwrap_err();
}

#[tokio::test]
async fn versions_are_replicated_to_another_outpost() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let (bucket, arn, _) = reachable(&client, ACCOUNT, OUTPOST, "near").await;
    let (far_bucket, far, _) = reachable(&client, ACCOUNT, FAR, "far").await;
    let rule = |destination: &str| api::ReplicationRule {
        id: Some("all".into()),
        priority: Some(1),
        status: api::ReplicationRuleStatus::Enabled,
        filter: Some(api::ReplicationRuleFilter { prefix: Some("in/".into()), ..Default::default() }),
        delete_marker_replication: Some(api::DeleteMarkerReplication {
            status: api::DeleteMarkerReplicationStatus::Enabled,
        }),
        destination: api::Destination { bucket: destination.into(), ..Default::default() },
        bucket: arn.clone(),
        ..Default::default()
    };
    let configure = async |rule: api::ReplicationRule| {
        let role = "arn:aws:iam::000000000000:role/replication".into();
        let replication_configuration = api::ReplicationConfiguration { role, rules: vec![rule] };
        let (account_id, bucket) = (ACCOUNT.into(), bucket.clone());
        let input = api::PutBucketReplicationInput { account_id, bucket, replication_configuration };
        client.call(api::PutBucketReplication, input).await
    };
    assert!(configure(rule(&far)).await.unwrap_err().message.starts_with("Versioning must be 'Enabled'"));
    keep_versions(&client, ACCOUNT, &bucket).await;
    assert_eq!(configure(rule(&far)).await.unwrap_err().message, "Destination bucket must have versioning enabled.");
    keep_versions(&client, ACCOUNT, &far_bucket).await;
    assert_eq!(configure(rule("arn:aws:s3:::near")).await.unwrap_err().message, "Destination bucket must exist.");
    configure(rule(&far)).await.unwrap();
    let shown = api::GetBucketReplicationInput { account_id: ACCOUNT.into(), bucket: bucket.clone() };
    let shown = client.call(api::GetBucketReplication, shown.clone()).await.unwrap();
    assert_eq!(shown.replication_configuration.unwrap().rules, [rule(&far)]);

    let version = put(&client, &arn, "in/k", "copied").await.unwrap().version_id;
    put(&client, &arn, "out", "x").await.unwrap();
    wait_for("it is copied", || async { get(&client, &far, "in/k").await.ok() }).await;
    let replica = client.call(s3::HeadObject, head_input(&far, "in/k")).await.unwrap();
    assert_eq!((replica.version_id, replica.replication_status), (version, Some(s3::ReplicationStatus::Replica)));
    assert_eq!(replica.storage_class, Some(s3::StorageClass::Outposts));
    assert_eq!(get(&client, &far, "out").await.unwrap_err().code, "NoSuchKey");
    let delete = s3::DeleteObjectInput { bucket: arn.clone(), key: "in/k".into(), ..Default::default() };
    client.call(s3::DeleteObject, delete).await.unwrap();
    wait_for("it is marked there", || async { get(&client, &far, "in/k").await.is_err().then_some(()) }).await;

    // An access point that is gone leads nowhere.
    let gone = api::DeleteAccessPointInput { account_id: ACCOUNT.into(), name: far.clone() };
    client.call(api::DeleteAccessPoint, gone).await.unwrap();
    put(&client, &arn, "in/late", "x").await.unwrap();
    let failed = async || {
        let head = client.call(s3::HeadObject, head_input(&arn, "in/late")).await.unwrap();
        (head.replication_status == Some(s3::ReplicationStatus::Failed)).then_some(())
    };
    wait_for("its replication has failed", failed).await;

    // Versions are kept as long as they are copied.
    let suspend = || api::PutBucketVersioningInput {
        account_id: ACCOUNT.into(),
        bucket: bucket.clone(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Suspended),
            mfa_delete: None,
        },
        ..Default::default()
    };
    assert_eq!(client.call(api::PutBucketVersioning, suspend()).await.unwrap_err().code, "InvalidBucketState");
    let forget = api::DeleteBucketReplicationInput { account_id: ACCOUNT.into(), bucket: bucket.clone() };
    client.call(api::DeleteBucketReplication, forget).await.unwrap();
    client.call(api::PutBucketVersioning, suspend()).await.unwrap();
}

#[tokio::test]
async fn policies_speak_of_outposts_and_both_must_allow() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(OWNER);
    let other = client_of(&stack).as_account(OTHER);
    let (bucket, arn, _) = reachable(&owner, OWNER, OUTPOST, "data").await;
    put(&owner, &arn, "in/k", "inside").await.unwrap();
    put(&owner, &arn, "out", "outside").await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");
    let allow = |who: &str, action: &str, resource: &str| {
        policy(&format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "{who}"}}, "Action": "{action}", "Resource": "{resource}"}}"#
        ))
    };
    let put_point =
        |policy: String| api::PutAccessPointPolicyInput { account_id: OWNER.into(), name: arn.clone(), policy };
    let put_bucket = |policy: String| api::PutBucketPolicyInput {
        account_id: OWNER.into(),
        bucket: bucket.clone(),
        policy,
        ..Default::default()
    };
    for wrong in [allow(OTHER, "s3:GetObject", &format!("{arn}/object/*")), allow(OTHER, "s3-outposts:GetObject", "*")]
    {
        assert_eq!(owner.call(api::PutAccessPointPolicy, put_point(wrong)).await.unwrap_err().code, "MalformedPolicy");
    }
    let public = allow("*", "s3-outposts:GetObject", &format!("{bucket}/object/*"));
    assert_eq!(owner.call(api::PutBucketPolicy, put_bucket(public)).await.unwrap_err().code, "AccessDenied");

    let point = allow(OTHER, "s3-outposts:GetObject", &format!("{arn}/object/in/*"));
    owner.call(api::PutAccessPointPolicy, put_point(point)).await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");
    let delegated = policy(&format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "{OTHER}"}}, "Action": "s3-outposts:*", "Resource": "{bucket}/object/*", "Condition": {{"StringEquals": {{"s3-outposts:DataAccessPointArn": "{arn}"}}}}}}"#
    ));
    owner.call(api::PutBucketPolicy, put_bucket(delegated.clone())).await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap(), "inside");
    assert_eq!(get(&other, &arn, "out").await.unwrap_err().code, "AccessDenied");
    let shown = api::GetBucketPolicyInput { account_id: OWNER.into(), bucket: bucket.clone() };
    assert_eq!(owner.call(api::GetBucketPolicy, shown.clone()).await.unwrap().policy, Some(delegated));
    let delete = api::DeleteBucketPolicyInput { account_id: OWNER.into(), bucket: bucket.clone() };
    owner.call(api::DeleteBucketPolicy, delete).await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");
    assert_eq!(owner.call(api::GetBucketPolicy, shown).await.unwrap_err().code, "NoSuchBucketPolicy");
}
