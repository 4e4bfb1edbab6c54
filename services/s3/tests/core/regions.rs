//! A bucket has a region, and any client can use it.

use fractus_s3_api as api;

use crate::{bucket, client_of, plain, s3};

fn create(name: &str, location: Option<&str>) -> api::CreateBucketInput {
    let configuration = location.map(|location| api::CreateBucketConfiguration {
        location_constraint: Some(location.into()),
        ..Default::default()
    });
    api::CreateBucketInput { bucket: name.into(), create_bucket_configuration: configuration, ..Default::default() }
}

#[tokio::test]
async fn a_bucket_says_its_region_to_clients_of_any() {
    let stack = s3().start().await;
    let (east, ireland) = (client_of(&stack), client_of(&stack).in_region("eu-west-1"));
    ireland.call(api::CreateBucket, create("bucket", Some("eu-west-1"))).await.unwrap();
    for client in [&east, &ireland] {
        let input = api::HeadBucketInput { bucket: "bucket".into(), ..Default::default() };
        let head = client.call(api::HeadBucket, input).await.unwrap();
        assert_eq!(head.bucket_region.as_deref(), Some("eu-west-1"));
        let input = api::GetBucketLocationInput { bucket: "bucket".into(), ..Default::default() };
        let location = client.call(api::GetBucketLocation, input).await.unwrap().location_constraint;
        assert_eq!(location.as_ref().map(api::BucketLocationConstraint::as_str), Some("eu-west-1"));
    }
    let signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-west-2/s3/aws4_request";
    let request = http::Request::builder().method("HEAD").header("authorization", signed);
    let head = plain(&stack, request, "/bucket", String::new()).await;
    assert_eq!(head.headers()["x-amz-bucket-region"], "eu-west-1");
    bucket(&east, "eastern").await;
    let input = api::GetBucketLocationInput { bucket: "eastern".into(), ..Default::default() };
    assert_eq!(ireland.call(api::GetBucketLocation, input).await.unwrap().location_constraint, None);
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
