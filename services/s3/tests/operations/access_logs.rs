//! Access logs: what their lines say of requests.

use std::time::Duration;

use fractus_testkit::wait_for;

use crate::*;

/// The fields of one line: quoted ones are one field each, and so is the time.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (field, after) = match rest.as_bytes()[0] {
            b'"' => rest[1..].split_once('"').map(|(field, after)| (field, after.trim_start())).unwrap(),
            b'[' => rest[1..].split_once(']').map(|(field, after)| (field, after.trim_start())).unwrap(),
            _ => rest.split_once(' ').unwrap_or((rest, "")),
        };
        fields.push(field.to_owned());
        rest = after;
    }
    fields
}

const OPERATION: usize = 6;
const KEY: usize = 7;
const STATUS: usize = 9;
const CODE: usize = 10;
const SENT: usize = 11;
const SIZE: usize = 12;
const TOTAL: usize = 13;
const TURN_AROUND: usize = 14;
const VERSION: usize = 17;
const SIGNATURE: usize = 19;
const AUTHENTICATION: usize = 21;
const FIELDS: usize = 27;

async fn logged_stack() -> (Stack, Client) {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    bucket(&client, "logs").await;
    log(&client, "bucket").await;
    (stack, client)
}

async fn log(client: &Client, bucket: &str) {
    let enabled =
        api::LoggingEnabled { target_bucket: "logs".into(), target_prefix: format!("{bucket}/"), ..Default::default() };
    let input = api::PutBucketLoggingInput {
        bucket: bucket.into(),
        bucket_logging_status: api::BucketLoggingStatus { logging_enabled: Some(enabled) },
        ..Default::default()
    };
    client.call(api::PutBucketLogging, input).await.unwrap();
}

/// The lines that were delivered below a prefix, when there are as many as expected.
async fn lines(stack: &Stack, client: &Client, prefix: &str, expected: usize) -> Vec<Vec<String>> {
    stack.clock().freeze();
    stack.clock().advance(Duration::from_secs(301));
    wait_for("the log is delivered", async || {
        let list = api::ListObjectsV2Input { bucket: "logs".into(), prefix: Some(prefix.into()), ..Default::default() };
        let found = client.call(api::ListObjectsV2, list).await.unwrap().contents.unwrap_or_default();
        let mut lines = Vec::new();
        for object in found {
            let input = api::GetObjectInput { bucket: "logs".into(), ..get_input(&object.key.unwrap()) };
            lines.extend(read(client, input).await.unwrap().lines().map(fields));
        }
        (lines.len() >= expected).then_some(lines)
    })
    .await
}

fn of<'a>(lines: &'a [Vec<String>], operation: &str) -> Vec<&'a Vec<String>> {
    lines.iter().filter(|line| line[OPERATION] == operation).collect()
}

#[tokio::test]
async fn a_line_has_every_field_of_the_format() {
    let (stack, client) = logged_stack().await;
    put(&client, "a key", &"x".repeat(100)).await;
    read(&client, api::GetObjectInput { range: Some("bytes=0-9".into()), ..get_input("a key") }).await.unwrap();
    read(&client, get_input("none")).await.unwrap_err();
    let head = api::HeadObjectInput { bucket: "bucket".into(), key: "a key".into(), ..Default::default() };
    client.call(api::HeadObject, head).await.unwrap();
    let status = api::GetBucketLoggingInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::GetBucketLogging, status).await.unwrap();
    let tls = [("x-forwarded-proto", "https"), ("x-forwarded-tls", "TLSv1.3 TLS_AES_128_GCM_SHA256")];
    plain(&stack, "GET", "/bucket/a%20key?versionId=null", &tls).await;
    let lines = lines(&stack, &client, "bucket/", 7).await;
    assert!(lines.iter().all(|line| line.len() == FIELDS), "{lines:?}");
    let put = of(&lines, "REST.PUT.OBJECT")[0];
    assert_eq!((put[KEY].as_str(), put[STATUS].as_str(), put[SENT].as_str()), ("a%20key", "200", "-"));
    assert_eq!(put[SIZE], "100");
    assert_eq!(put[2], "01/Mar/2026:12:00:00 +0000");
    assert_eq!((put[SIGNATURE].as_str(), put[AUTHENTICATION].as_str()), ("SigV4", "AuthHeader"));
    let reads = of(&lines, "REST.GET.OBJECT");
    assert_eq!((reads[0][STATUS].as_str(), reads[0][SENT].as_str(), reads[0][SIZE].as_str()), ("206", "10", "100"));
    // Nothing takes any time while the clock stands.
    assert_eq!((reads[0][TOTAL].as_str(), reads[0][TURN_AROUND].as_str()), ("0", "0"));
    assert_eq!((reads[1][STATUS].as_str(), reads[1][CODE].as_str()), ("404", "NoSuchKey"));
    assert!(reads[1][SENT].parse::<u64>().unwrap() > 100, "the error's own bytes: {}", reads[1][SENT]);
    assert_eq!(
        (reads[2][STATUS].as_str(), reads[2][SIGNATURE].as_str(), reads[2][VERSION].as_str()),
        ("403", "-", "null")
    );
    let (cipher, version) = (20, 23);
    assert_eq!((reads[2][cipher].as_str(), reads[2][version].as_str()), ("TLS_AES_128_GCM_SHA256", "TLSv1.3"));
    assert_eq!((reads[1][cipher].as_str(), reads[1][version].as_str()), ("-", "-"));
    let head = of(&lines, "REST.HEAD.OBJECT")[0];
    assert_eq!((head[SENT].as_str(), head[SIZE].as_str()), ("-", "100"));
    let status = of(&lines, "REST.GET.LOGGING_STATUS")[0];
    assert_eq!(
        (status[KEY].as_str(), status[TURN_AROUND].as_str()),
        ("-", "-"),
        "a bucket's requests have no turn-around"
    );
}

/// Those for which a list was needed, in the order in which they came.
fn needed(lines: &[Vec<String>], operation: &str) -> Vec<String> {
    let (list_needed, operation) = (25, of(lines, operation));
    operation.iter().map(|line| format!("{} {} {}", line[KEY], line[STATUS], line[list_needed])).collect()
}

#[tokio::test]
async fn lines_say_whether_a_list_was_needed() {
    let (stack, client) = logged_stack().await;
    open(&client).await;
    put(&client, "bare", "1").await;
    put(&client, "by policy", "1").await;
    let acl = Some(api::ObjectCannedACL::PublicRead);
    for key in ["listed", "by policy too"] {
        client.call(api::PutObject, api::PutObjectInput { acl: acl.clone(), ..put_input(key, "1") }).await.unwrap();
    }
    let everybody = api::PutBucketAclInput {
        bucket: "bucket".into(),
        acl: Some(api::BucketCannedACL::PublicReadWrite),
        ..Default::default()
    };
    client.call(api::PutBucketAcl, everybody).await.unwrap();
    // What a policy gives under conditions is given by it, and not by the list.
    let allow = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/by*",
        "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}"#;
    client.call(api::PutBucketPolicy, policy_input(allow)).await.unwrap();
    read(&client, get_input("listed")).await.unwrap();
    for (key, status) in
        [("bare", 403), ("by%20policy", 200), ("by%20policy%20too", 200), ("listed", 200), ("none", 404)]
    {
        assert_eq!(plain(&stack, "GET", &format!("/bucket/{key}"), &[]).await.status(), status, "{key}");
    }
    assert_eq!(plain(&stack, "GET", "/bucket?list-type=2", &[]).await.status(), 200);
    let lines = lines(&stack, &client, "bucket/", 9).await;
    let reads = [
        "listed 200 -",
        "bare 403 -",
        "by%20policy 200 -",
        "by%20policy%20too 200 -",
        "listed 200 Yes",
        "none 404 Yes",
    ];
    assert_eq!(needed(&lines, "REST.GET.OBJECT"), reads);
    assert_eq!(needed(&lines, "REST.GET.BUCKET"), ["- 200 Yes"]);
    assert!(needed(&lines, "REST.PUT.OBJECT").iter().all(|line| line.ends_with(" -")), "of the owner none is needed");
}

#[tokio::test]
async fn each_key_of_a_batch_says_whether_a_list_was_needed() {
    let evaluated = |config: &mut fractus_host::config::HostConfig| {
        config.auth = fractus_host::config::AuthMode::Enforced;
        config.root_secret = Some("test".into());
    };
    let stack = Stack::new().with("s3", |host| fractus_s3::start(config(), host)).configure(evaluated);
    let stack = stack.frozen_at("2026-03-01T12:00:00Z").start().await;
    let client = client_of(&stack);
    for name in ["bucket", "logs"] {
        bucket(&client, name).await;
    }
    let delivery = r#"{"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/*"}"#;
    let delivery = api::PutBucketPolicyInput { bucket: "logs".into(), ..policy_input(delivery) };
    client.call(api::PutBucketPolicy, delivery).await.unwrap();
    log(&client, "bucket").await;
    open(&client).await;
    let everybody = api::PutBucketAclInput {
        bucket: "bucket".into(),
        acl: Some(api::BucketCannedACL::PublicReadWrite),
        ..Default::default()
    };
    client.call(api::PutBucketAcl, everybody).await.unwrap();
    let listed = api::PutObjectInput { acl: Some(api::ObjectCannedACL::PublicRead), ..put_input("source", "1") };
    client.call(api::PutObject, listed).await.unwrap();
    let statements = r#"{"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:DeleteObject",
        "Resource": "arn:aws:s3:::bucket/by-policy"}, {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
        "Resource": "arn:aws:s3:::bucket/kept"}"#;
    client.call(api::PutBucketPolicy, policy_input(statements)).await.unwrap();
    let named = |key: &str| api::ObjectIdentifier { key: key.into(), ..Default::default() };
    let objects = ["by-list", "by-policy", "kept"].map(named).to_vec();
    let batch = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects, quiet: None },
        ..Default::default()
    };
    let other = client_of(&stack).as_account("222222222222");
    other.call(api::DeleteObjects, batch).await.unwrap();
    let copy = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "copy".into(),
        copy_source: "bucket/source".into(),
        ..Default::default()
    };
    other.call(api::CopyObject, copy).await.unwrap();
    let lines = lines(&stack, &client, "bucket/", 10).await;
    assert_eq!(needed(&lines, "REST.COPY.OBJECT_GET"), ["source 200 Yes"]);
    assert_eq!(needed(&lines, "REST.COPY.OBJECT"), ["copy 200 Yes"]);
    assert_eq!(needed(&lines, "BATCH.DELETE.OBJECT"), ["by-list 204 Yes", "by-policy 204 -", "kept - -"]);
    assert_eq!(needed(&lines, "REST.POST.MULTI_OBJECT_DELETE"), ["- 200 Yes"]);
}

#[tokio::test]
async fn times_are_those_of_the_lanes_clock() {
    let (stack, client) = logged_stack().await;
    // A request takes some microseconds, each of which is more than a day.
    stack.clock().scale(1e12);
    put(&client, "key", &"x".repeat(1 << 16)).await;
    read(&client, get_input("key")).await.unwrap();
    let lines = lines(&stack, &client, "bucket/", 2).await;
    for operation in ["REST.PUT.OBJECT", "REST.GET.OBJECT"] {
        let line = of(&lines, operation)[0];
        let (total, turn_around): (u64, u64) = (line[TOTAL].parse().unwrap(), line[TURN_AROUND].parse().unwrap());
        assert!(turn_around > 0 && total >= turn_around, "{operation}: {total} {turn_around}");
    }
}

#[tokio::test]
async fn a_copy_is_logged_where_it_reads_too() {
    let (stack, client) = logged_stack().await;
    bucket(&client, "elsewhere").await;
    put(&client, "from here", "12345").await;
    let input = api::CopyObjectInput {
        bucket: "elsewhere".into(),
        key: "to".into(),
        copy_source: "bucket/from%20here".into(),
        ..Default::default()
    };
    client.call(api::CopyObject, input).await.unwrap();
    let lines = lines(&stack, &client, "bucket/", 3).await;
    let read = of(&lines, "REST.COPY.OBJECT_GET")[0];
    assert_eq!((read[KEY].as_str(), read[STATUS].as_str(), read[SIZE].as_str()), ("from+here", "200", "5"));
    assert!(read[8].starts_with("PUT /elsewhere/to "), "{}", read[8]);
    assert!(of(&lines, "REST.COPY.OBJECT").is_empty(), "the bucket that is written to is not logged");
}

#[tokio::test]
async fn each_key_of_a_batch_delete_has_its_line() {
    let (stack, client) = logged_stack().await;
    put(&client, "a", "1").await;
    put(&client, "b", "2").await;
    let objects = ["a", "b"].map(|key| api::ObjectIdentifier { key: key.into(), ..Default::default() });
    let input = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects: objects.into(), quiet: Some(true) },
        ..Default::default()
    };
    client.call(api::DeleteObjects, input).await.unwrap();
    let lines = lines(&stack, &client, "bucket/", 6).await;
    let batch = of(&lines, "REST.POST.MULTI_OBJECT_DELETE")[0];
    let mut keys: Vec<_> =
        of(&lines, "BATCH.DELETE.OBJECT").into_iter().map(|line| (&line[5], &line[KEY], &line[STATUS])).collect();
    keys.sort();
    let id = &batch[5];
    assert_eq!(keys, [(id, &"a".to_owned(), &"204".to_owned()), (id, &"b".to_owned(), &"204".to_owned())]);
    assert!(lines.iter().all(|line| line.len() == FIELDS), "{lines:?}");
}

#[tokio::test]
async fn what_a_lifecycle_does_is_logged() {
    let (stack, client) = logged_stack().await;
    put(&client, "tmp/old one", "12345").await;
    put(&client, "cold/a", &"x".repeat(256 * 1024)).await;
    let rule = |prefix: &str| api::LifecycleRule {
        id: Some(prefix.into()),
        status: api::ExpirationStatus::Enabled,
        filter: Some(api::LifecycleRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        ..Default::default()
    };
    let expire = api::LifecycleRule {
        expiration: Some(api::LifecycleExpiration { days: Some(1), ..Default::default() }),
        ..rule("tmp/")
    };
    let transition = api::Transition {
        days: Some(30),
        storage_class: Some(api::TransitionStorageClass::StandardIa),
        ..Default::default()
    };
    let cool = api::LifecycleRule { transitions: Some(vec![transition]), ..rule("cold/") };
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules: vec![expire, cool] }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, input).await.unwrap();
    stack.clock().advance(Duration::from_secs(40 * 86_400));
    wait_for("the lifecycle has done its work", async || {
        read(&client, get_input("tmp/old one")).await.is_err().then_some(())
    })
    .await;
    let head = api::HeadObjectInput { bucket: "bucket".into(), key: "cold/a".into(), ..Default::default() };
    wait_for("the object is moved", async || {
        client.call(api::HeadObject, head.clone()).await.unwrap().storage_class.map(|_| ())
    })
    .await;
    let lines = lines(&stack, &client, "bucket/", 6).await;
    let own = |operation| of(&lines, operation)[0];
    let expired = own("S3.EXPIRE.OBJECT");
    assert_eq!((expired[4].as_str(), expired[KEY].as_str(), expired[SIZE].as_str()), ("AmazonS3", "tmp/old+one", "5"));
    let moved = own("S3.TRANSITION_SIA.OBJECT");
    assert_eq!((moved[KEY].as_str(), moved[SIZE].as_str(), moved.len()), ("cold/a", "262144", FIELDS));
}
