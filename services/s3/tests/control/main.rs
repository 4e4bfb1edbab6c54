//! S3 Control, and what it changes for S3's own callers, over the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod functions;
mod grants;
mod jobs;
mod lens;
mod outposts;
mod points;
mod regions;
mod roles;

use bytes::Bytes;
use fractus_host::config::AuthMode;
use fractus_s3_api as s3;
use fractus_s3control_api as api;
use fractus_testkit::{Client, Stack, StackBuilder};
use fractus_wire::{ByteStream, Failure};
use http::Response;

pub const ACCOUNT: &str = "000000000000";
pub const OWNER: &str = "111111111111";
pub const OTHER: &str = "222222222222";

pub fn builder() -> StackBuilder {
    let config = || fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() };
    Stack::new().with("s3", move |host| fractus_s3::start(config(), host))
}

/// Where every policy is evaluated.
pub async fn enforced() -> Stack {
    let evaluated = |config: &mut fractus_host::config::HostConfig| {
        config.auth = AuthMode::Enforced;
        config.root_secret = Some("test".into());
    };
    builder().configure(evaluated).start().await
}

pub fn client_of(stack: &Stack) -> Client {
    stack.client("s3")
}

pub async fn bucket(client: &Client, name: &str) {
    let input = s3::CreateBucketInput { bucket: name.into(), ..Default::default() };
    client.call(s3::CreateBucket, input).await.unwrap();
}

pub async fn put(client: &Client, bucket: &str, key: &str, body: &str) -> Result<s3::PutObjectOutput, Failure> {
    let body = ByteStream::from(Bytes::from(body.to_owned()));
    let input = s3::PutObjectInput { bucket: bucket.into(), key: key.into(), body, ..Default::default() };
    client.call(s3::PutObject, input).await
}

pub async fn get(client: &Client, bucket: &str, key: &str) -> Result<String, Failure> {
    let input = s3::GetObjectInput { bucket: bucket.into(), key: key.into(), ..Default::default() };
    let output = client.call(s3::GetObject, input).await?;
    Ok(String::from_utf8(output.body.collect(1 << 30).await.unwrap().to_vec()).unwrap())
}

pub async fn keys(client: &Client, bucket: &str, prefix: &str) -> Vec<String> {
    let prefix = Some(prefix.to_owned());
    let input = s3::ListObjectsV2Input { bucket: bucket.into(), prefix, ..Default::default() };
    let output = client.call(s3::ListObjectsV2, input).await.unwrap();
    output.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
}

/// A request as it is, unsigned.
pub async fn plain(stack: &Stack, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request = http::Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let uri = format!("{}{path}", stack.url("s3").trim_end_matches('/'));
    fractus_testkit::http::send(request.uri(uri).body(Bytes::new()).unwrap()).await
}

pub fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

pub fn policy(statement: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#)
}

pub async fn put_bucket_policy(client: &Client, bucket: &str, statement: &str) -> Result<(), Failure> {
    let input = s3::PutBucketPolicyInput { bucket: bucket.into(), policy: policy(statement), ..Default::default() };
    client.call(s3::PutBucketPolicy, input).await.map(drop)
}
