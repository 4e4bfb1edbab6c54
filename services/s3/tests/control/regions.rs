//! Multi-region access points by the clock.

use std::time::Duration;

use fractus_sigv4::{KeyCache, Payload, Scheme, Signer};

use crate::*;

async fn regional(stack: &Stack, region: &str, name: &str) {
    let client = client_of(stack).in_region(region);
    let constraint = (region != "us-east-1").then(|| region.into());
    let input = s3::CreateBucketInput {
        bucket: name.into(),
        create_bucket_configuration: constraint.map(|location_constraint| s3::CreateBucketConfiguration {
            location_constraint: Some(location_constraint),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.call(s3::CreateBucket, input).await.unwrap();
    put(&client, name, "k", region).await.unwrap();
}

#[tokio::test]
async fn requests_go_to_the_nearest_region_that_is_active() {
    let stack = builder().frozen_at("2026-01-01T00:00:00Z").start().await;
    let client = client_of(&stack);
    regional(&stack, "us-east-1", "american").await;
    regional(&stack, "eu-west-1", "european").await;
    let region = |bucket: &str| api::Region { bucket: bucket.into(), bucket_account_id: None };
    let create = api::CreateMultiRegionAccessPointRequest {
        account_id: ACCOUNT.into(),
        client_token: "create".into(),
        details: api::CreateMultiRegionAccessPointInput {
            name: "world".into(),
            public_access_block: None,
            regions: vec![region("american"), region("european")],
        },
    };
    let token =
        client.call(api::CreateMultiRegionAccessPoint, create.clone()).await.unwrap().request_token_arn.unwrap();
    let again = client.call(api::CreateMultiRegionAccessPoint, create).await.unwrap().request_token_arn.unwrap();
    assert_eq!(again, token);
    let state = async || {
        let input = api::DescribeMultiRegionAccessPointOperationInput {
            account_id: ACCOUNT.into(),
            request_token_arn: token.clone(),
        };
        let output = client.call(api::DescribeMultiRegionAccessPointOperation, input).await.unwrap();
        output.async_operation.unwrap().request_status.unwrap()
    };
    let get_point = async || {
        let input = api::GetMultiRegionAccessPointInput { account_id: ACCOUNT.into(), name: "world".into() };
        client.call(api::GetMultiRegionAccessPoint, input).await.map(|output| output.access_point.unwrap())
    };
    assert_eq!(state().await, "INPROGRESS");
    let point = get_point().await.unwrap();
    assert_eq!(point.status, Some(api::MultiRegionAccessPointStatus::Creating));
    let alias = point.alias.unwrap();
    assert!(alias.ends_with(".mrap"));
    let arn = format!("arn:aws:s3::{ACCOUNT}:accesspoint/{alias}");
    assert_eq!(get(&client, &arn, "k").await.unwrap_err().code, "NoSuchMultiRegionAccessPoint");

    stack.clock().advance(Duration::from_secs(11));
    assert_eq!(state().await, "SUCCEEDED");
    assert_eq!(get_point().await.unwrap().status, Some(api::MultiRegionAccessPointStatus::Ready));
    assert_eq!(get(&client, &arn, "k").await.unwrap(), "us-east-1");
    let european = client_of(&stack).in_region("eu-central-1");
    assert_eq!(get(&european, &arn, "k").await.unwrap(), "eu-west-1");
    let host = format!("{alias}.accesspoint.s3-global.amazonaws.com");
    let answer = european.with_header("host", &host).send(http::Request::get("/k").body(Bytes::new()).unwrap()).await;
    assert_eq!(text(&answer), "eu-west-1");

    let turn = |region: &str, dial: i32| api::SubmitMultiRegionAccessPointRoutesInput {
        account_id: ACCOUNT.into(),
        mrap: format!("arn:aws:s3::{ACCOUNT}:accesspoint:{alias}"),
        route_updates: vec![api::MultiRegionAccessPointRoute {
            bucket: None,
            region: Some(region.into()),
            traffic_dial_percentage: dial,
        }],
    };
    client.call(api::SubmitMultiRegionAccessPointRoutes, turn("us-east-1", 0)).await.unwrap();
    assert_eq!(get(&client, &arn, "k").await.unwrap(), "eu-west-1");
    let refused = client.call(api::SubmitMultiRegionAccessPointRoutes, turn("eu-west-1", 0)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequest");

    let delete = api::DeleteMultiRegionAccessPointRequest {
        account_id: ACCOUNT.into(),
        client_token: "delete".into(),
        details: api::DeleteMultiRegionAccessPointInput { name: "world".into() },
    };
    client.call(api::DeleteMultiRegionAccessPoint, delete).await.unwrap();
    assert_eq!(get_point().await.unwrap().status, Some(api::MultiRegionAccessPointStatus::Deleting));
    stack.clock().advance(Duration::from_secs(11));
    assert_eq!(get_point().await.unwrap_err().code, "NoSuchMultiRegionAccessPoint");
}

/// A read of `k` as the SDKs send it to a multi-region access point: to its host, signed once for a set of regions.
async fn read_signed_for(stack: &Stack, alias: &str, regions: &str, secret: &str) -> Response<Bytes> {
    let uri = format!("{}/k", stack.url("s3").trim_end_matches('/'));
    let host = format!("{alias}.accesspoint.s3-global.amazonaws.com");
    let request = http::Request::get(uri).header("host", host).body(Bytes::new()).unwrap();
    let (mut parts, body) = request.into_parts();
    let signer = Signer {
        access_key: ACCOUNT,
        secret,
        token: None,
        service: "s3",
        region: regions,
        time: stack.clock().now(),
        scheme: Scheme::V4a,
    };
    signer.sign(&mut parts, &Payload::Unsigned, &KeyCache::with_capacity(1)).unwrap();
    assert_eq!(parts.headers["x-amz-region-set"], regions);
    fractus_testkit::http::send(http::Request::from_parts(parts, body)).await
}

#[tokio::test]
async fn a_signature_for_many_regions_is_verified() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(ACCOUNT);
    let bucket = s3::CreateBucketInput { bucket: "american".into(), ..Default::default() };
    owner.call(s3::CreateBucket, bucket).await.unwrap();
    put(&owner, "american", "k", "there").await.unwrap();
    let create = api::CreateMultiRegionAccessPointRequest {
        account_id: ACCOUNT.into(),
        client_token: "create".into(),
        details: api::CreateMultiRegionAccessPointInput {
            name: "world".into(),
            public_access_block: None,
            regions: vec![api::Region { bucket: "american".into(), bucket_account_id: None }],
        },
    };
    owner.call(api::CreateMultiRegionAccessPoint, create).await.unwrap();
    stack.clock().advance(Duration::from_secs(11));
    let input = api::GetMultiRegionAccessPointInput { account_id: ACCOUNT.into(), name: "world".into() };
    let point = owner.call(api::GetMultiRegionAccessPoint, input).await.unwrap().access_point.unwrap();
    let alias = point.alias.unwrap();
    for regions in ["*", "us-east-1,eu-west-1", "us-*"] {
        let answer = read_signed_for(&stack, &alias, regions, "test").await;
        assert_eq!((answer.status().as_u16(), text(&answer).as_str()), (200, "there"), "{regions}");
    }
    let wrong = read_signed_for(&stack, &alias, "*", "another secret").await;
    assert!(wrong.status() == 403 && text(&wrong).contains("<Code>SignatureDoesNotMatch</Code>"), "{}", text(&wrong));
}
