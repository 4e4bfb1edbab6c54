//! Uploads that are hashed together.

use fractus_s3_api as api;
use fractus_wire::ByteStream;
use http::Request;

use crate::{bucket, client_of, plain, read, s3, text};

/// Bytes that differ from body to body.
fn content(seed: usize, length: usize) -> String {
    (0..length).map(|at| char::from(b'a' + ((at * 7 + at / 251 + seed) % 26) as u8)).collect()
}

fn md5(content: &str) -> String {
    use md5::Digest;
    format!("\"{}\"", hex::encode(md5::Md5::digest(content)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uploads_at_once_each_get_their_own_digest() {
    let stack = s3().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let lengths = [0, 1, 64, 1_000, 65_535, 65_537, 200_000, 1_000_003, 3_000_000, 3_000_001, 2_500_000, 70_000];
    let uploads = lengths.iter().enumerate().map(|(seed, length)| {
        let (client, content) = (&client, content(seed, *length));
        async move {
            let (key, expected) = (format!("k{seed}"), md5(&content));
            let body = ByteStream::from(bytes::Bytes::from(content.clone()));
            let input = api::PutObjectInput { bucket: "bucket".into(), key: key.clone(), body, ..Default::default() };
            let output = client.call(api::PutObject, input).await.unwrap();
            assert_eq!(output.e_tag.unwrap(), expected, "{} bytes", content.len());
            assert_eq!(read(client, &key).await, content);
        }
    });
    futures::future::join_all(uploads).await;
}

#[tokio::test]
async fn a_large_body_that_is_not_what_it_was_said_to_be_leaves_nothing() {
    let stack = s3().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let content = content(1, 500_000);
    let input = |bucket: &str, md5: &str| api::PutObjectInput {
        bucket: bucket.into(),
        key: "k".into(),
        content_md5: Some(md5.into()),
        body: ByteStream::from(bytes::Bytes::from(content.clone())),
        ..Default::default()
    };
    let refused = client.call(api::PutObject, input("bucket", "AAAAAAAAAAAAAAAAAAAAAA==")).await.unwrap_err();
    assert_eq!(refused.code, "BadDigest");
    let get = api::GetObjectInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    assert_eq!(client.call(api::GetObject, get).await.unwrap_err().code, "NoSuchKey");
}

#[tokio::test]
async fn of_a_wrong_body_without_a_bucket_the_bucket_is_what_is_said() {
    let stack = s3().start().await;
    for length in [10, 100] {
        let request = Request::builder()
            .method("PUT")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
            .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
        let response = plain(&stack, request, "/nowhere/k", content(0, length)).await;
        assert!(text(&response).contains("<Code>NoSuchBucket</Code>"), "{length} bytes: {}", text(&response));
    }
}

#[tokio::test]
async fn a_small_object_takes_the_place_of_another() {
    let stack = s3().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    for length in [10, 60, 0, 30, 1_000, 20, 2_000] {
        let content = content(length, length);
        let body = ByteStream::from(bytes::Bytes::from(content.clone()));
        let input = api::PutObjectInput { bucket: "bucket".into(), key: "k".into(), body, ..Default::default() };
        client.call(api::PutObject, input).await.unwrap();
        assert_eq!(read(&client, "k").await, content);
        let records = stack.host("s3").store().collections(10).await.unwrap();
        let contents = records.iter().find(|info| info.collection == "contents").map_or(0, |info| info.records);
        assert_eq!(contents, usize::from((1..=64).contains(&length)), "after {length} bytes");
    }
}
