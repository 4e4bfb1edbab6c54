//! What S3's core checks before it believes a caller, each seen over the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod destinations;
mod events;
mod forms;
mod heads;
mod regions;
mod tiers;
mod uploads;

use bytes::Bytes;
use fractus_s3_api as api;
use fractus_testkit::{Client, Stack, StackBuilder};
use http::{Request, Response};

/// Small bounds, so that small bodies reach the large paths.
pub fn s3() -> StackBuilder {
    let config = || fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() };
    Stack::new().with("s3", move |host| fractus_s3::start(config(), host))
}

pub fn client_of(stack: &Stack) -> Client {
    stack.client("s3").api(&api::MODEL)
}

pub async fn bucket(client: &Client, name: &str) {
    let input = api::CreateBucketInput { bucket: name.into(), ..Default::default() };
    client.call(api::CreateBucket, input).await.unwrap();
}

pub async fn let_lists_count(client: &Client) {
    let rules = vec![api::OwnershipControlsRule { object_ownership: api::ObjectOwnership::ObjectWriter }];
    let ownership = api::PutBucketOwnershipControlsInput {
        bucket: "bucket".into(),
        ownership_controls: api::OwnershipControls { rules },
        ..Default::default()
    };
    client.call(api::PutBucketOwnershipControls, ownership).await.unwrap();
}

pub async fn read(client: &Client, key: &str) -> String {
    let input = api::GetObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() };
    let output = client.call(api::GetObject, input).await.unwrap();
    String::from_utf8(output.body.collect(1 << 30).await.unwrap().to_vec()).unwrap()
}

/// A request as it is.
pub async fn plain(stack: &Stack, request: http::request::Builder, path: &str, body: String) -> Response<Bytes> {
    let uri = format!("{}{path}", stack.url("s3").trim_end_matches('/'));
    let request: Request<Bytes> = request.uri(uri).body(body.into()).unwrap();
    fractus_testkit::http::send(request).await
}

pub fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}
