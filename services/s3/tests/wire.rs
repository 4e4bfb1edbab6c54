//! S3 as a caller sees it, over the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use bytes::Bytes;
use fractus_s3_api as api;
use fractus_sqs_api as sqs_api;
use fractus_testkit::{Client, Stack, wait_for};
use fractus_wire::ByteStream;

/// Small bounds, so that small bodies reach the large paths.
fn config() -> fractus_s3::Config {
    fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() }
}

async fn stack() -> Stack {
    Stack::new().with("s3", |host| fractus_s3::start(config(), host)).start().await
}

fn client_of(stack: &Stack) -> Client {
    stack.client("s3").api(&api::MODEL)
}

async fn bucket(client: &Client, name: &str) {
    client.call(api::CreateBucket, api::CreateBucketInput { bucket: name.into(), ..Default::default() }).await.unwrap();
}

fn put_input(key: &str, body: impl Into<Bytes>) -> api::PutObjectInput {
    let body = ByteStream::from(body.into());
    api::PutObjectInput { bucket: "bucket".into(), key: key.into(), body, ..Default::default() }
}

async fn put(client: &Client, key: &str, body: &str) -> api::PutObjectOutput {
    client.call(api::PutObject, put_input(key, body.to_owned())).await.unwrap()
}

fn get_input(key: &str) -> api::GetObjectInput {
    api::GetObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() }
}

async fn get(client: &Client, key: &str, range: Option<&str>) -> (api::GetObjectOutput, String) {
    let input = api::GetObjectInput {
        range: range.map(str::to_owned),
        checksum_mode: Some(api::ChecksumMode::Enabled),
        ..get_input(key)
    };
    let mut output = client.call(api::GetObject, input).await.unwrap();
    let body = std::mem::take(&mut output.body).collect(1 << 30).await.unwrap();
    (output, String::from_utf8(body.to_vec()).unwrap())
}

fn delete_input(key: &str) -> api::DeleteObjectInput {
    api::DeleteObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() }
}

#[tokio::test]
async fn objects_small_and_large_come_back_whole_and_in_pieces() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let large = "0123456789".repeat(1000);
    for (key, body) in [("small", "hello world"), ("large", large.as_str()), ("empty", "")] {
        let sent = put(&client, key, body).await;
        let (read, text) = get(&client, key, None).await;
        assert_eq!((text.as_str(), &read.e_tag), (body, &sent.e_tag));
        assert!(read.checksum_crc64_nvme.is_some() && read.checksum_crc64_nvme == sent.checksum_crc64_nvme);
        assert_eq!(read.content_type.as_deref(), Some("application/octet-stream"), "as the client sent it");
        if !body.is_empty() {
            let (piece, text) = get(&client, key, Some("bytes=2-5")).await;
            assert_eq!(text, body[2..=5]);
            assert_eq!(piece.content_range, Some(format!("bytes 2-5/{}", body.len())));
            assert_eq!(piece.checksum_crc64_nvme, None, "a piece has no checksum of the whole");
        }
    }
    assert_eq!(get(&client, "small", Some("bytes=-5")).await.1, "world");
    let beyond = api::GetObjectInput { range: Some("bytes=100-".into()), ..get_input("small") };
    let refused = client.call(api::GetObject, beyond).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (416, "InvalidRange"));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let stack = stack().await;
    let client = client_of(&stack);
    let no_bucket = client.call(api::GetObject, get_input("k")).await.unwrap_err();
    assert_eq!((no_bucket.status, no_bucket.code.as_ref()), (404, "NoSuchBucket"));
    bucket(&client, "bucket").await;
    let no_key = client.call(api::GetObject, get_input("k")).await.unwrap_err();
    assert_eq!((no_key.status, no_key.code.as_ref()), (404, "NoSuchKey"));
    let bad = api::CreateBucketInput { bucket: "Bad_Name".into(), ..Default::default() };
    assert_eq!(client.call(api::CreateBucket, bad).await.unwrap_err().code, "InvalidBucketName");
}

#[tokio::test]
async fn a_body_that_is_not_what_it_was_said_to_be_is_not_kept() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let md5 = |value: &str| api::PutObjectInput { content_md5: Some(value.into()), ..put_input("k", "x") };
    let refused = client.call(api::PutObject, md5("AAAAAAAAAAAAAAAAAAAAAA==")).await.unwrap_err();
    assert_eq!(refused.code, "BadDigest");
    assert_eq!(client.call(api::PutObject, md5("nonsense")).await.unwrap_err().code, "InvalidDigest");
    let crc = api::PutObjectInput { checksum_crc32: Some("AAAAAA==".into()), ..put_input("k", "x") };
    assert_eq!(client.call(api::PutObject, crc).await.unwrap_err().code, "BadDigest");
    assert_eq!(client.call(api::GetObject, get_input("k")).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn conditions_guard_reads_writes_and_deletes() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let create = || api::PutObjectInput { if_none_match: Some("*".into()), ..put_input("k", "one") };
    let etag = client.call(api::PutObject, create()).await.unwrap().e_tag.unwrap();
    assert_eq!(client.call(api::PutObject, create()).await.unwrap_err().status, 412);
    let replace = api::PutObjectInput { if_match: Some("\"other\"".into()), ..put_input("k", "two") };
    assert_eq!(client.call(api::PutObject, replace).await.unwrap_err().status, 412);
    let read = api::GetObjectInput { if_none_match: Some(etag.clone()), ..get_input("k") };
    assert_eq!(client.call_with_head(api::GetObject, read).await.unwrap().1.status, 304);
    let delete = |etag: &str| api::DeleteObjectInput { if_match: Some(etag.into()), ..delete_input("k") };
    assert_eq!(client.call(api::DeleteObject, delete("\"other\"")).await.unwrap_err().status, 412);
    client.call(api::DeleteObject, delete(&etag)).await.unwrap();
}

#[tokio::test]
async fn listings_roll_up_page_and_encode() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    for key in ["a/1", "a/2", "b", "c d+e", "z/\u{1}"] {
        put(&client, key, "x").await;
    }
    let list = |token: Option<String>| api::ListObjectsV2Input {
        bucket: "bucket".into(),
        delimiter: Some("/".into()),
        max_keys: Some(2),
        continuation_token: token,
        encoding_type: Some(api::EncodingType::Url),
        ..Default::default()
    };
    let texts = |output: &api::ListObjectsV2Output| {
        let prefixes = output.common_prefixes.iter().flatten().filter_map(|prefix| prefix.prefix.clone());
        let keys = output.contents.iter().flatten().filter_map(|object| object.key.clone());
        (prefixes.collect::<Vec<_>>(), keys.collect::<Vec<_>>())
    };
    let first = client.call(api::ListObjectsV2, list(None)).await.unwrap();
    assert_eq!(texts(&first), (vec!["a/".to_owned()], vec!["b".to_owned()]));
    assert_eq!((first.is_truncated, first.key_count), (Some(true), Some(2)));
    let second = client.call(api::ListObjectsV2, list(first.next_continuation_token)).await.unwrap();
    assert_eq!(texts(&second), (vec!["z/".to_owned()], vec!["c+d%2Be".to_owned()]));
    assert_eq!(second.is_truncated, Some(false));
}

fn crc32(body: &str) -> String {
    let mut hasher = fractus_s3::model::checksum::Algorithm::Crc32.hasher();
    hasher.update(body.as_bytes());
    fractus_s3::model::checksum::encode(&hasher.finish())
}

#[tokio::test]
async fn multipart_uploads_become_one_object() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let create = api::CreateMultipartUploadInput {
        bucket: "bucket".into(),
        key: "k".into(),
        checksum_algorithm: Some(api::ChecksumAlgorithm::Crc32),
        ..Default::default()
    };
    let upload_id = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, body) in [(1, "0123456789"), (2, "abcdefghij"), (3, "end")] {
        let part = api::UploadPartInput {
            bucket: "bucket".into(),
            key: "k".into(),
            upload_id: upload_id.clone(),
            part_number: number,
            body: ByteStream::from(Bytes::from(body)),
            checksum_crc32: Some(crc32(body)),
            ..Default::default()
        };
        let sent = client.call(api::UploadPart, part).await.unwrap();
        parts.push(api::CompletedPart {
            e_tag: sent.e_tag,
            checksum_crc32: sent.checksum_crc32,
            part_number: Some(number),
            ..Default::default()
        });
    }
    let complete = |parts: Vec<api::CompletedPart>| api::CompleteMultipartUploadInput {
        bucket: "bucket".into(),
        key: "k".into(),
        upload_id: upload_id.clone(),
        multipart_upload: Some(api::CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    };
    let backwards: Vec<_> = parts.iter().rev().cloned().collect();
    let refused = client.call(api::CompleteMultipartUpload, complete(backwards)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidPartOrder");
    let done = client.call(api::CompleteMultipartUpload, complete(parts)).await.unwrap();
    assert!(done.e_tag.unwrap().ends_with("-3\""));
    assert!(done.checksum_crc32.unwrap().ends_with("-3"));
    assert_eq!(get(&client, "k", None).await.1, "0123456789abcdefghijend");
    assert_eq!(get(&client, "k", Some("bytes=8-12")).await.1, "89abc");
    let second = api::GetObjectInput { part_number: Some(2), ..get_input("k") };
    let second = client.call(api::GetObject, second).await.unwrap();
    assert_eq!((second.parts_count, second.content_range.as_deref()), (Some(3), Some("bytes 10-19/23")));
    let abort = api::AbortMultipartUploadInput {
        bucket: "bucket".into(),
        key: "k".into(),
        upload_id: upload_id.clone(),
        ..Default::default()
    };
    assert_eq!(client.call(api::AbortMultipartUpload, abort).await.unwrap_err().code, "NoSuchUpload");
}

#[tokio::test]
async fn copies_keep_their_metadata_and_need_no_source_afterwards() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let metadata = [("color".to_owned(), "blue".to_owned())].into_iter().collect();
    let input = api::PutObjectInput { metadata: Some(metadata), ..put_input("a b", "0123456789".repeat(10)) };
    client.call(api::PutObject, input).await.unwrap();
    let copy = |source: &str| api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "kept".into(),
        copy_source: source.into(),
        ..Default::default()
    };
    client.call(api::CopyObject, copy("bucket/a%20b")).await.unwrap();
    client.call(api::DeleteObject, delete_input("a b")).await.unwrap();
    let (read, text) = get(&client, "kept", None).await;
    assert_eq!((text.len(), read.metadata.unwrap()["color"].as_str()), (100, "blue"));
    assert_eq!(client.call(api::CopyObject, copy("bucket/kept")).await.unwrap_err().code, "InvalidRequest");
}

fn notification(prefix: &str, suffix: &str) -> api::PutBucketNotificationConfigurationInput {
    let rule = |name: &str, value: &str| api::FilterRule { name: Some(name.into()), value: Some(value.into()) };
    let rules = vec![rule("prefix", prefix), rule("suffix", suffix)];
    let queue = api::QueueConfiguration {
        id: Some("c".into()),
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:events".into(),
        events: vec!["s3:ObjectCreated:*".into(), "s3:ObjectRemoved:*".into()],
        filter: Some(api::NotificationConfigurationFilter {
            key: Some(api::S3KeyFilter { filter_rules: Some(rules) }),
        }),
    };
    api::PutBucketNotificationConfigurationInput {
        bucket: "bucket".into(),
        notification_configuration: api::NotificationConfiguration {
            queue_configurations: Some(vec![queue]),
            ..Default::default()
        },
        ..Default::default()
    }
}

#[tokio::test]
async fn every_change_that_matches_is_told_to_its_queue() {
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .start()
        .await;
    let (s3, sqs) = (client_of(&stack), stack.client("sqs").api(&sqs_api::MODEL));
    let create = sqs_api::CreateQueueInput { queue_name: "events".into(), ..Default::default() };
    let url = sqs.call(sqs_api::CreateQueue, create).await.unwrap().queue_url.unwrap();
    bucket(&s3, "bucket").await;
    s3.call(api::PutBucketNotificationConfiguration, notification("in/", ".txt")).await.unwrap();
    for key in ["in/a.txt", "out/a.txt", "in/a.jpg", "in/b c.txt"] {
        put(&s3, key, "x").await;
    }
    s3.call(api::DeleteObject, delete_input("in/a.txt")).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        let input = sqs_api::ReceiveMessageInput {
            queue_url: url.clone(),
            max_number_of_messages: Some(10),
            wait_time_seconds: Some(10),
            ..Default::default()
        };
        let messages = sqs.call(sqs_api::ReceiveMessage, input).await.unwrap().messages.unwrap_or_default();
        assert!(!messages.is_empty(), "only {told:?} arrived");
        told.extend(messages.iter().map(|message| summary(message.body.as_deref().unwrap())));
    }
    told.sort();
    let expected =
        ["ObjectCreated:Put in/a.txt", "ObjectCreated:Put in/b+c.txt", "ObjectRemoved:Delete in/a.txt", "s3:TestEvent"];
    assert_eq!(told, expected);
}

/// What an event message tells: its name and key.
fn summary(body: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    let record = &event["Records"][0];
    match event["Event"].as_str() {
        Some(test) => test.to_owned(),
        None => {
            let key = record["s3"]["object"]["key"].as_str().unwrap();
            format!("{} {key}", record["eventName"].as_str().unwrap())
        }
    }
}

#[tokio::test]
async fn an_overwritten_object_gives_its_room_back() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "k", &"a".repeat(10_000)).await;
    put(&client, "k", &"b".repeat(10_000)).await;
    assert_eq!(get(&client, "k", None).await.1, "b".repeat(10_000));
    let store = stack.host("s3").store().clone();
    wait_for("the first bytes are referred to no more", || async {
        let left = store.collections(10).await.unwrap();
        let referenced = left.iter().find(|info| info.collection == "_blobs").map_or(0, |info| info.records);
        (referenced == 1).then_some(())
    })
    .await;
}
