//! Configurations that are kept and returned, and what a bucket says of itself before anything is configured.

use crate::*;

/// What `aws_s3_bucket` reads after it has made a bucket.
#[tokio::test]
async fn a_new_bucket_says_what_aws_says() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    macro_rules! refused {
        ($operation:ident, $input:ident) => {
            client
                .call(api::$operation, api::$input { bucket: "bucket".into(), ..Default::default() })
                .await
                .unwrap_err()
                .code
        };
    }
    assert_eq!(refused!(GetBucketPolicy, GetBucketPolicyInput), "NoSuchBucketPolicy");
    assert_eq!(refused!(GetBucketCors, GetBucketCorsInput), "NoSuchCORSConfiguration");
    assert_eq!(refused!(GetBucketWebsite, GetBucketWebsiteInput), "NoSuchWebsiteConfiguration");
    assert_eq!(refused!(GetBucketReplication, GetBucketReplicationInput), "ReplicationConfigurationNotFoundError");
    assert_eq!(refused!(GetBucketTagging, GetBucketTaggingInput), "NoSuchTagSet");
    let analytics =
        api::GetBucketAnalyticsConfigurationInput { bucket: "bucket".into(), id: "a".into(), ..Default::default() };
    let none = client.call(api::GetBucketAnalyticsConfiguration, analytics).await.unwrap_err();
    assert_eq!((none.code.as_ref(), none.status), ("NoSuchConfiguration", 404));
    macro_rules! said {
        ($operation:ident, $input:ident) => {
            client.call(api::$operation, api::$input { bucket: "bucket".into(), ..Default::default() }).await.unwrap()
        };
    }
    let encryption = said!(GetBucketEncryption, GetBucketEncryptionInput).server_side_encryption_configuration.unwrap();
    let rule = encryption.rules[0].apply_server_side_encryption_by_default.clone().unwrap();
    assert_eq!(rule.sse_algorithm, api::ServerSideEncryption::Aes256);
    let payer = said!(GetBucketRequestPayment, GetBucketRequestPaymentInput).payer;
    assert_eq!(payer, Some(api::Payer::BucketOwner));
    assert_eq!(said!(GetBucketAccelerateConfiguration, GetBucketAccelerateConfigurationInput).status, None);
    assert_eq!(said!(GetBucketLogging, GetBucketLoggingInput).logging_enabled, None);
    let block = said!(GetPublicAccessBlock, GetPublicAccessBlockInput).public_access_block_configuration.unwrap();
    assert_eq!(block.restrict_public_buckets, Some(true));
    let ownership = said!(GetBucketOwnershipControls, GetBucketOwnershipControlsInput).ownership_controls.unwrap();
    assert_eq!(ownership.rules[0].object_ownership, api::ObjectOwnership::BucketOwnerEnforced);
    assert_eq!(said!(GetBucketAcl, GetBucketAclInput).grants.unwrap().len(), 1);
}

#[tokio::test]
async fn series_are_kept_paged_and_deleted() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let metrics = |id: &str| api::PutBucketMetricsConfigurationInput {
        bucket: "bucket".into(),
        id: id.into(),
        metrics_configuration: api::MetricsConfiguration {
            id: id.into(),
            filter: Some(api::MetricsFilter { prefix: Some(format!("{id}/")), ..Default::default() }),
        },
        ..Default::default()
    };
    for number in 0..103 {
        client.call(api::PutBucketMetricsConfiguration, metrics(&format!("m{number:03}"))).await.unwrap();
    }
    let list = |token: Option<String>| api::ListBucketMetricsConfigurationsInput {
        bucket: "bucket".into(),
        continuation_token: token,
        ..Default::default()
    };
    let first = client.call(api::ListBucketMetricsConfigurations, list(None)).await.unwrap();
    assert_eq!((first.metrics_configuration_list.unwrap().len(), first.is_truncated), (100, Some(true)));
    let next = first.next_continuation_token;
    let second = client.call(api::ListBucketMetricsConfigurations, list(next)).await.unwrap();
    let rest = second.metrics_configuration_list.unwrap();
    assert_eq!((rest.len(), rest[2].id.as_str(), second.is_truncated), (3, "m102", Some(false)));
    let delete = || api::DeleteBucketMetricsConfigurationInput {
        bucket: "bucket".into(),
        id: "m000".into(),
        ..Default::default()
    };
    client.call(api::DeleteBucketMetricsConfiguration, delete()).await.unwrap();
    let again = client.call(api::DeleteBucketMetricsConfiguration, delete()).await.unwrap_err();
    assert_eq!(again.code, "NoSuchConfiguration");
    let get =
        api::GetBucketMetricsConfigurationInput { bucket: "bucket".into(), id: "m001".into(), ..Default::default() };
    let got = client.call(api::GetBucketMetricsConfiguration, get).await.unwrap();
    assert_eq!(got.metrics_configuration.unwrap().filter.unwrap().prefix.as_deref(), Some("m001/"));
    let delete = api::DeleteBucketInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucket, delete).await.unwrap();
    bucket(&client, "bucket").await;
    let none = client.call(api::ListBucketMetricsConfigurations, list(None)).await.unwrap();
    assert_eq!(none.metrics_configuration_list.unwrap_or_default().len(), 0, "a new bucket has nothing of an old one");
}

#[tokio::test]
async fn encryption_defaults_are_replaced_and_come_back() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let put = |algorithm: api::ServerSideEncryption, key: Option<&str>| api::PutBucketEncryptionInput {
        bucket: "bucket".into(),
        server_side_encryption_configuration: api::ServerSideEncryptionConfiguration {
            rules: vec![api::ServerSideEncryptionRule {
                apply_server_side_encryption_by_default: Some(api::ServerSideEncryptionByDefault {
                    sse_algorithm: algorithm,
                    kms_master_key_id: key.map(str::to_owned),
                }),
                bucket_key_enabled: Some(true),
                ..Default::default()
            }],
        },
        ..Default::default()
    };
    let key = Some("arn:aws:kms:us-east-1:000000000000:key/k");
    let odd = client.call(api::PutBucketEncryption, put(api::ServerSideEncryption::Aes256, key)).await.unwrap_err();
    assert_eq!(odd.code, "InvalidArgument");
    client.call(api::PutBucketEncryption, put(api::ServerSideEncryption::AwsKms, key)).await.unwrap();
    let get = || api::GetBucketEncryptionInput { bucket: "bucket".into(), ..Default::default() };
    let algorithm = |output: api::GetBucketEncryptionOutput| {
        let rules = output.server_side_encryption_configuration.unwrap().rules;
        rules[0].apply_server_side_encryption_by_default.clone().unwrap().sse_algorithm
    };
    let kept = client.call(api::GetBucketEncryption, get()).await.unwrap();
    assert_eq!(algorithm(kept), api::ServerSideEncryption::AwsKms);
    let delete = api::DeleteBucketEncryptionInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucketEncryption, delete).await.unwrap();
    let kept = client.call(api::GetBucketEncryption, get()).await.unwrap();
    assert_eq!(algorithm(kept), api::ServerSideEncryption::Aes256);
}
