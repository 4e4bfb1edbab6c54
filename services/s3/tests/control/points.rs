//! Access points, and block public access of accounts.

use crate::*;

async fn create(
    client: &Client,
    account: &str,
    name: &str,
    bucket: &str,
) -> Result<api::CreateAccessPointOutput, Failure> {
    let input = api::CreateAccessPointInput {
        account_id: account.into(),
        name: name.into(),
        bucket: bucket.into(),
        ..Default::default()
    };
    client.call(api::CreateAccessPoint, input).await
}

#[tokio::test]
async fn the_account_s_block_holds_beside_the_bucket_s() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "bucket", "k", "hello").await.unwrap();
    let open = s3::DeletePublicAccessBlockInput { bucket: "bucket".into(), ..Default::default() };
    client.call(s3::DeletePublicAccessBlock, open).await.unwrap();
    let public =
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}"#;
    put_bucket_policy(&client, "bucket", public).await.unwrap();
    let seen = async || plain(&stack, "GET", "/bucket/k", &[]).await.status().as_u16();
    assert_eq!(seen().await, 200);

    let get = || api::GetPublicAccessBlockInput { account_id: ACCOUNT.into() };
    let none = client.call(api::GetPublicAccessBlock, get()).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchPublicAccessBlockConfiguration"));
    let block = api::PublicAccessBlockConfiguration { restrict_public_buckets: Some(true), ..Default::default() };
    let input = api::PutPublicAccessBlockInput { account_id: ACCOUNT.into(), public_access_block_configuration: block };
    client.call(api::PutPublicAccessBlock, input).await.unwrap();
    let shown = client.call(api::GetPublicAccessBlock, get()).await.unwrap().public_access_block_configuration.unwrap();
    assert_eq!((shown.restrict_public_buckets, shown.block_public_acls), (Some(true), Some(false)));
    assert_eq!(seen().await, 403);

    let delete = api::DeletePublicAccessBlockInput { account_id: ACCOUNT.into() };
    client.call(api::DeletePublicAccessBlock, delete).await.unwrap();
    assert_eq!(seen().await, 200);
}

#[tokio::test]
async fn an_account_is_named_and_is_the_caller_s_own() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    let path = "/v20180820/configuration/publicAccessBlock";
    let missing = plain(&stack, "GET", path, &[]).await;
    assert_eq!(missing.status(), 400);
    // S3 Control's own form of errors, and not S3's.
    assert!(text(&missing).contains("<ErrorResponse"), "{}", text(&missing));
    assert!(text(&missing).contains("<Code>InvalidRequest</Code>"), "{}", text(&missing));
    let bad = plain(&stack, "GET", path, &[("x-amz-account-id", "12")]).await;
    assert_eq!(bad.status(), 400);
    let other = api::GetPublicAccessBlockInput { account_id: OTHER.into() };
    let refused = client.call(api::GetPublicAccessBlock, other).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (403, "AccessDenied"));
    // A bucket of the version's name is still one.
    bucket(&client, "v20180820").await;
    put(&client, "v20180820", "key", "value").await.unwrap();
    assert_eq!(get(&client, "v20180820", "key").await.unwrap(), "value");
}

#[tokio::test]
async fn objects_are_reached_by_arn_alias_and_host() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let made = create(&client, ACCOUNT, "my-ap", "bucket").await.unwrap();
    let (arn, alias) = (made.access_point_arn.unwrap(), made.alias.unwrap());
    assert_eq!(arn, format!("arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/my-ap"));
    assert!(alias.starts_with("my-ap-") && alias.ends_with("-s3alias") && alias.len() <= 63, "{alias}");
    put(&client, &arn, "a b/c", "through").await.unwrap();
    assert_eq!(get(&client, "bucket", "a b/c").await.unwrap(), "through");
    assert_eq!(get(&client, &alias, "a b/c").await.unwrap(), "through");
    assert_eq!(keys(&client, &alias, "").await, ["a b/c"]);
    for host in ["my-ap-000000000000.localhost", "my-ap-000000000000.s3-accesspoint.us-east-1.amazonaws.com"] {
        let by_host = client_of(&stack).with_header("host", host);
        let answer = by_host.send(http::Request::get("/a%20b/c").body(Bytes::new()).unwrap()).await;
        assert_eq!((answer.status().as_u16(), text(&answer).as_str()), (200, "through"), "{host}");
    }
    let head = s3::HeadBucketInput { bucket: alias.clone(), ..Default::default() };
    assert_eq!(client.call(s3::HeadBucket, head).await.unwrap().access_point_alias, Some(true));

    // The source of a copy, too.
    let copy = s3::CopyObjectInput {
        bucket: "bucket".into(),
        key: "copy".into(),
        copy_source: format!("{}/object/a%20b%2Fc", arn.replace(':', "%3A")),
        ..Default::default()
    };
    client.call(s3::CopyObject, copy).await.unwrap();
    assert_eq!(get(&client, "bucket", "copy").await.unwrap(), "through");

    // What is a bucket's own does not go through.
    let refused = put_bucket_policy(&client, &alias, "").await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (405, "MethodNotAllowed"));
    let delete = s3::DeleteBucketInput { bucket: "bucket".into(), ..Default::default() };
    for key in ["a b/c", "copy"] {
        let input = s3::DeleteObjectInput { bucket: arn.clone(), key: key.into(), ..Default::default() };
        client.call(s3::DeleteObject, input).await.unwrap();
    }
    let attached = client.call(s3::DeleteBucket, delete.clone()).await.unwrap_err();
    assert_eq!(attached.code, "BucketHasAccessPointsAttached");

    let gone = api::DeleteAccessPointInput { account_id: ACCOUNT.into(), name: "my-ap".into() };
    client.call(api::DeleteAccessPoint, gone.clone()).await.unwrap();
    assert_eq!(client.call(api::DeleteAccessPoint, gone).await.unwrap_err().code, "NoSuchAccessPoint");
    assert_eq!(get(&client, &alias, "k").await.unwrap_err().code, "NoSuchBucket");
    client.call(s3::DeleteBucket, delete).await.unwrap();
}

#[tokio::test]
async fn access_points_are_listed_by_page_and_bucket() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    bucket(&client, "one").await;
    bucket(&client, "two").await;
    for (name, bucket) in [("aaa", "one"), ("bbb", "two"), ("ccc", "one")] {
        create(&client, ACCOUNT, name, bucket).await.unwrap();
    }
    let list = |bucket: Option<&str>, next_token: Option<String>| api::ListAccessPointsInput {
        account_id: ACCOUNT.into(),
        bucket: bucket.map(Into::into),
        max_results: Some(2),
        next_token,
        ..Default::default()
    };
    let names = |list: Option<Vec<api::AccessPoint>>| -> Vec<String> {
        list.unwrap().into_iter().map(|point| point.name).collect()
    };
    let page = client.call(api::ListAccessPoints, list(None, None)).await.unwrap();
    assert_eq!(names(page.access_point_list), ["aaa", "bbb"]);
    let page = client.call(api::ListAccessPoints, list(None, page.next_token)).await.unwrap();
    assert_eq!((names(page.access_point_list), page.next_token), (vec!["ccc".to_owned()], None));
    let page = client.call(api::ListAccessPoints, list(Some("one"), None)).await.unwrap();
    assert_eq!((names(page.access_point_list), page.next_token), (vec!["aaa".to_owned(), "ccc".into()], None));
    let twice = create(&client, ACCOUNT, "aaa", "two").await.unwrap_err();
    assert_eq!((twice.status, twice.code.as_ref()), (409, "AccessPointAlreadyOwnedByYou"));
    assert_eq!(create(&client, ACCOUNT, "No", "two").await.unwrap_err().code, "InvalidAccessPoint");
    assert_eq!(create(&client, ACCOUNT, "none", "nowhere").await.unwrap_err().code, "NoSuchBucket");
}

#[tokio::test]
async fn both_policies_must_allow_and_a_bucket_may_delegate() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(OWNER);
    let other = client_of(&stack).as_account(OTHER);
    bucket(&owner, "bucket").await;
    put(&owner, "bucket", "in/k", "inside").await.unwrap();
    put(&owner, "bucket", "out", "outside").await.unwrap();
    let arn = create(&owner, OWNER, "shared", "bucket").await.unwrap().access_point_arn.unwrap();
    assert_eq!(get(&owner, &arn, "in/k").await.unwrap(), "inside");
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");

    let statement = format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "{OTHER}"}}, "Action": "s3:GetObject", "Resource": "{arn}/object/in/*"}}"#
    );
    let input =
        api::PutAccessPointPolicyInput { account_id: OWNER.into(), name: "shared".into(), policy: policy(&statement) };
    owner.call(api::PutAccessPointPolicy, input).await.unwrap();
    // The access point allows it, its bucket does not.
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");
    let delegate = format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "*"}}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*", "Condition": {{"StringEquals": {{"s3:DataAccessPointAccount": "{OWNER}"}}}}}}"#
    );
    put_bucket_policy(&owner, "bucket", &delegate).await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap(), "inside");
    // The bucket delegates everything; the access point gives one prefix, and only what comes through it.
    assert_eq!(get(&other, &arn, "out").await.unwrap_err().code, "AccessDenied");
    assert_eq!(get(&other, "bucket", "in/k").await.unwrap_err().code, "AccessDenied");

    let delete = api::DeleteAccessPointPolicyInput { account_id: OWNER.into(), name: "shared".into() };
    owner.call(api::DeleteAccessPointPolicy, delete).await.unwrap();
    assert_eq!(get(&other, &arn, "in/k").await.unwrap_err().code, "AccessDenied");
}

#[tokio::test]
async fn an_access_point_blocks_public_policies_and_tells_whether_it_is_public() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "bucket", "k", "hello").await.unwrap();
    let open = s3::DeletePublicAccessBlockInput { bucket: "bucket".into(), ..Default::default() };
    client.call(s3::DeletePublicAccessBlock, open).await.unwrap();
    create(&client, ACCOUNT, "closed", "bucket").await.unwrap();
    let opened = api::CreateAccessPointInput {
        account_id: ACCOUNT.into(),
        name: "opened".into(),
        bucket: "bucket".into(),
        public_access_block_configuration: Some(api::PublicAccessBlockConfiguration::default()),
        ..Default::default()
    };
    let opened = client.call(api::CreateAccessPoint, opened).await.unwrap().alias.unwrap();
    let put_policy = |name: &str| {
        let arn = format!("arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/{name}");
        let statement = format!(
            r#"{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "{arn}/object/*"}}"#
        );
        api::PutAccessPointPolicyInput { account_id: ACCOUNT.into(), name: name.into(), policy: policy(&statement) }
    };
    let refused = client.call(api::PutAccessPointPolicy, put_policy("closed")).await.unwrap_err();
    assert!(refused.code == "AccessDenied" && refused.message.contains("BlockPublicPolicy"), "{}", refused.message);
    client.call(api::PutAccessPointPolicy, put_policy("opened")).await.unwrap();
    let status = api::GetAccessPointPolicyStatusInput { account_id: ACCOUNT.into(), name: "opened".into() };
    let status = client.call(api::GetAccessPointPolicyStatus, status).await.unwrap();
    assert_eq!(status.policy_status.unwrap().is_public, Some(true));
    // For everybody it takes the bucket's policy as well.
    let path = format!("/{opened}/k");
    assert_eq!(plain(&stack, "GET", &path, &[]).await.status(), 403);
    let public =
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}"#;
    put_bucket_policy(&client, "bucket", public).await.unwrap();
    assert_eq!(plain(&stack, "GET", &path, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_scope_narrows_an_access_point_of_a_directory_bucket() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(OWNER);
    let name = "base--use1-az4--x-s3";
    let create_bucket = s3::CreateBucketInput {
        bucket: name.into(),
        create_bucket_configuration: Some(s3::CreateBucketConfiguration {
            location: Some(s3::LocationInfo {
                r#type: Some(s3::LocationType::AvailabilityZone),
                name: Some("use1-az4".into()),
            }),
            bucket: Some(s3::BucketInfo {
                r#type: Some(s3::BucketType::Directory),
                data_redundancy: Some(s3::DataRedundancy::SingleAvailabilityZone),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    owner.call(s3::CreateBucket, create_bucket).await.unwrap();
    put(&owner, name, "in/k", "inside").await.unwrap();
    put(&owner, name, "out/k", "outside").await.unwrap();
    let point = "scoped--use1-az4--xa-s3";
    let scope =
        api::Scope { prefixes: Some(vec!["in/".into()]), permissions: Some(vec![api::ScopePermission::GetObject]) };
    let input = api::CreateAccessPointInput {
        account_id: OWNER.into(),
        name: point.into(),
        bucket: name.into(),
        scope: Some(scope),
        ..Default::default()
    };
    let arn = owner.call(api::CreateAccessPoint, input).await.unwrap().access_point_arn.unwrap();
    assert_eq!(get(&owner, &arn, "in/k").await.unwrap(), "inside");
    assert_eq!(get(&owner, &arn, "out/k").await.unwrap_err().code, "AccessDenied");
    assert_eq!(put(&owner, &arn, "in/new", "x").await.unwrap_err().code, "AccessDenied");
    let delete = api::DeleteAccessPointScopeInput { account_id: OWNER.into(), name: point.into() };
    owner.call(api::DeleteAccessPointScope, delete).await.unwrap();
    assert_eq!(get(&owner, &arn, "out/k").await.unwrap(), "outside");
}
