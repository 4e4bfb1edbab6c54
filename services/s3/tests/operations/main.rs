//! S3's operations beyond the core, each shown by what another call sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod access;
mod access_logs;
mod archive;
mod keys;
mod lifecycle;
mod metadata;
mod newer;
mod object_lambda;
mod protection;
mod replication;
mod reports;
mod settings;
mod versions;
mod web;

use bytes::Bytes;
use fractus_s3_api as api;
use fractus_testkit::{Client, Stack};
use fractus_wire::{ByteStream, Failure};
use http::{Request, Response};

pub async fn stack() -> Stack {
    Stack::new().with("s3", |host| fractus_s3::start(config(), host)).start().await
}

/// A stack whose clock stands at a day's noon.
pub async fn frozen() -> (Stack, Client) {
    let stack = Stack::new()
        .frozen_at("2026-03-01T12:00:00Z")
        .with("s3", |host| fractus_s3::start(config(), host))
        .start()
        .await;
    let client = client_of(&stack);
    (stack, client)
}

/// Small bounds, so that small bodies reach the large paths.
pub fn config() -> fractus_s3::Config {
    fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() }
}

pub fn client_of(stack: &Stack) -> Client {
    stack.client("s3").api(&api::MODEL)
}

pub async fn bucket(client: &Client, name: &str) {
    let input = api::CreateBucketInput { bucket: name.into(), ..Default::default() };
    client.call(api::CreateBucket, input).await.unwrap();
}

/// With a digest, as the SDKs send one, and as buckets with locks demand it.
pub fn put_input(key: &str, body: &str) -> api::PutObjectInput {
    use base64::Engine;
    use md5::Digest;
    let content_md5 = Some(base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(body)));
    let body = ByteStream::from(Bytes::from(body.to_owned()));
    api::PutObjectInput { bucket: "bucket".into(), key: key.into(), body, content_md5, ..Default::default() }
}

pub async fn put(client: &Client, key: &str, body: &str) -> api::PutObjectOutput {
    client.call(api::PutObject, put_input(key, body)).await.unwrap()
}

pub fn get_input(key: &str) -> api::GetObjectInput {
    api::GetObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() }
}

pub async fn read(client: &Client, input: api::GetObjectInput) -> Result<String, Failure> {
    let output = client.call(api::GetObject, input).await?;
    let body = output.body.collect(1 << 20).await.unwrap();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// A request as it is, without a signature.
pub async fn plain(stack: &Stack, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let uri = format!("{}{path}", stack.url("s3").trim_end_matches('/'));
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    fractus_testkit::http::send(request.body(Bytes::new()).unwrap()).await
}

pub fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// Opens a bucket to lists and public policies.
pub async fn open(client: &Client) {
    let block = api::DeletePublicAccessBlockInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeletePublicAccessBlock, block).await.unwrap();
    let rules = vec![api::OwnershipControlsRule { object_ownership: api::ObjectOwnership::ObjectWriter }];
    let ownership = api::PutBucketOwnershipControlsInput {
        bucket: "bucket".into(),
        ownership_controls: api::OwnershipControls { rules },
        ..Default::default()
    };
    client.call(api::PutBucketOwnershipControls, ownership).await.unwrap();
}

/// New buckets take nothing under a caller's own key.
pub async fn let_callers_bring_keys(client: &Client) {
    let types = api::BlockedEncryptionTypes { encryption_type: Some(vec![api::EncryptionType::None]) };
    let rule = api::ServerSideEncryptionRule { blocked_encryption_types: Some(types), ..Default::default() };
    let input = api::PutBucketEncryptionInput {
        bucket: "bucket".into(),
        server_side_encryption_configuration: api::ServerSideEncryptionConfiguration { rules: vec![rule] },
        ..Default::default()
    };
    client.call(api::PutBucketEncryption, input).await.unwrap();
}

pub fn policy_input(statement: &str) -> api::PutBucketPolicyInput {
    let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    api::PutBucketPolicyInput { bucket: "bucket".into(), policy, ..Default::default() }
}

pub const PUBLIC_READ: &str =
    r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}"#;
