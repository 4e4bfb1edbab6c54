//! A bucket has a region, and takes the requests that are signed for it.

use bytes::Bytes;
use fractus_s3_api as api;
use fractus_wire::{ByteStream, Failure};

use crate::{bucket, client_of, plain, s3};

fn create(name: &str, location: Option<&str>) -> api::CreateBucketInput {
    let configuration = location.map(|location| api::CreateBucketConfiguration {
        location_constraint: Some(location.into()),
        ..Default::default()
    });
    api::CreateBucketInput { bucket: name.into(), create_bucket_configuration: configuration, ..Default::default() }
}

fn told(refused: &Failure) -> (&str, u16) {
    (refused.code.as_ref(), refused.status)
}

#[tokio::test]
async fn a_bucket_tells_its_region_to_requests_for_another() {
    let stack = s3().start().await;
    let (east, ireland) = (client_of(&stack), client_of(&stack).in_region("eu-west-1"));
    ireland.call(api::CreateBucket, create("bucket", Some("eu-west-1"))).await.unwrap();
    let put = || api::PutObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        body: ByteStream::from(Bytes::from_static(b"x")),
        ..Default::default()
    };
    ireland.call(api::PutObject, put()).await.unwrap();
    let get = || api::GetObjectInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    let settings = api::GetBucketVersioningInput { bucket: "bucket".into(), ..Default::default() };
    for refused in [
        east.call(api::PutObject, put()).await.unwrap_err(),
        east.call(api::GetObject, get()).await.unwrap_err(),
        east.call(api::GetBucketVersioning, settings).await.unwrap_err(),
    ] {
        assert_eq!(told(&refused), ("PermanentRedirect", 301));
        assert!(
            refused.message.starts_with("The bucket you are attempting to access must be addressed"),
            "{refused:?}"
        );
    }
    // Whoever copies from elsewhere is at the right place: that of the copy.
    bucket(&east, "eastern").await;
    let copy = api::CopyObjectInput {
        bucket: "eastern".into(),
        key: "copy".into(),
        copy_source: "bucket/k".into(),
        ..Default::default()
    };
    east.call(api::CopyObject, copy).await.unwrap();
    // The endpoint of us-east-1 says where any bucket is, and no other does.
    let location = |name: &str| api::GetBucketLocationInput { bucket: name.into(), ..Default::default() };
    let found = east.call(api::GetBucketLocation, location("bucket")).await.unwrap().location_constraint;
    assert_eq!(found.as_ref().map(api::BucketLocationConstraint::as_str), Some("eu-west-1"));
    let refused = ireland.call(api::GetBucketLocation, location("eastern")).await.unwrap_err();
    assert_eq!(told(&refused), ("PermanentRedirect", 301));
    let head = api::HeadBucketInput { bucket: "bucket".into(), ..Default::default() };
    let found = ireland.call(api::HeadBucket, head).await.unwrap();
    assert_eq!(found.bucket_region.as_deref(), Some("eu-west-1"));
}

/// What a request is answered that is signed so.
async fn answer(
    stack: &fractus_testkit::Stack,
    method: &str,
    path: &str,
    region: &str,
    host: Option<&str>,
) -> http::Response<Bytes> {
    let signed = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{region}/s3/aws4_request");
    let mut request = http::Request::builder().method(method).header("authorization", signed);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    plain(stack, request, path, String::new()).await
}

#[tokio::test]
async fn what_is_told_of_a_region_is_in_the_answer_s_head() {
    let stack = s3().start().await;
    client_of(&stack)
        .in_region("eu-west-1")
        .call(api::CreateBucket, create("bucket", Some("eu-west-1")))
        .await
        .unwrap();
    client_of(&stack)
        .in_region("af-south-1")
        .call(api::CreateBucket, create("cape", Some("af-south-1")))
        .await
        .unwrap();
    let head = answer(&stack, "HEAD", "/bucket", "us-west-2", None).await;
    assert_eq!((head.status().as_u16(), head.body().len()), (301, 0));
    assert_eq!(head.headers()["x-amz-bucket-region"], "eu-west-1");
    let got = answer(&stack, "GET", "/bucket/k", "us-west-2", None).await;
    assert_eq!((got.status().as_u16(), &got.headers()["x-amz-bucket-region"]), (301, &"eu-west-1".parse().unwrap()));
    let body = crate::text(&got);
    assert!(body.contains("<Code>PermanentRedirect</Code>") && body.contains("<Bucket>bucket</Bucket>"), "{body}");
    assert!(body.contains("<Endpoint>bucket.s3.eu-west-1.localhost"), "{body}");
    let got = answer(&stack, "GET", "/", "us-east-1", Some("bucket.s3.eu-west-1.localhost")).await;
    let body = crate::text(&got);
    assert!(body.contains("<Code>AuthorizationHeaderMalformed</Code>"), "{body}");
    assert!(body.contains("<Region>eu-west-1</Region>"), "{body}");
    let got = answer(&stack, "GET", "/cape", "us-east-1", None).await;
    assert_eq!((got.status().as_u16(), &got.headers()["x-amz-bucket-region"]), (400, &"af-south-1".parse().unwrap()));
    assert!(crate::text(&got).contains("<Code>IllegalLocationConstraintException</Code>"));
    // What names no region is where it has to be.
    let anonymous = plain(&stack, http::Request::builder().method("GET"), "/bucket/k", String::new()).await;
    assert_eq!(anonymous.status().as_u16(), 403);
}

#[tokio::test]
async fn a_location_is_judged_by_the_region_that_is_called() {
    let stack = s3().start().await;
    let (east, ireland) = (client_of(&stack), client_of(&stack).in_region("eu-west-1"));
    let code = async |client: &fractus_testkit::Client, location| {
        client.call(api::CreateBucket, create("bucket", location)).await.err().map(|refused| refused.code.into_owned())
    };
    assert_eq!(code(&ireland, None).await.as_deref(), Some("IllegalLocationConstraintException"));
    assert_eq!(code(&ireland, Some("us-west-2")).await.as_deref(), Some("IllegalLocationConstraintException"));
    let refused = ireland.call(api::CreateBucket, create("bucket", Some("us-west-2"))).await.unwrap_err();
    assert!(refused.message.starts_with("The us-west-2 location constraint is incompatible"), "{}", refused.message);
    assert_eq!(code(&east, Some("us-east-1")).await.as_deref(), Some("InvalidLocationConstraint"));
    // Making one's own bucket again is fine in us-east-1 alone.
    assert_eq!(code(&east, None).await, None);
    assert_eq!(code(&east, None).await, None);
    assert_eq!(code(&ireland, Some("eu-west-1")).await.as_deref(), Some("BucketAlreadyOwnedByYou"));
}
