//! Storage Lens counts at midnight.

use std::time::Duration;

use fractus_testkit::wait_for;

use crate::*;

#[tokio::test]
async fn a_report_of_what_lies_there_comes_every_day() {
    let stack = builder().frozen_at("2026-03-01T12:00:00Z").start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    put(&client, "bucket", "logs/a", "12345").await.unwrap();
    put(&client, "bucket", "b", "123").await.unwrap();
    let group = api::CreateStorageLensGroupInput {
        account_id: ACCOUNT.into(),
        storage_lens_group: api::StorageLensGroup {
            name: "logs".into(),
            filter: api::StorageLensGroupFilter { match_any_prefix: Some(vec!["logs/".into()]), ..Default::default() },
            storage_lens_group_arn: None,
        },
        tags: None,
    };
    client.call(api::CreateStorageLensGroup, group).await.unwrap();
    let configuration = api::StorageLensConfiguration {
        id: "daily".into(),
        is_enabled: true,
        account_level: api::AccountLevel {
            storage_lens_group_level: Some(api::StorageLensGroupLevel::default()),
            ..Default::default()
        },
        include: Some(api::Include { buckets: Some(vec!["arn:aws:s3:::bucket".into()]), regions: None }),
        data_export: Some(api::StorageLensDataExport {
            s3_bucket_destination: Some(api::S3BucketDestination {
                format: api::Format::Csv,
                output_schema_version: api::OutputSchemaVersion::V1,
                account_id: ACCOUNT.into(),
                arn: "arn:aws:s3:::reports".into(),
                prefix: Some("lens".into()),
                encryption: None,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let input = api::PutStorageLensConfigurationInput {
        account_id: ACCOUNT.into(),
        config_id: "daily".into(),
        storage_lens_configuration: configuration,
        tags: None,
    };
    client.call(api::PutStorageLensConfiguration, input).await.unwrap();
    assert!(keys(&client, "reports", "").await.is_empty());
    stack.clock().advance(Duration::from_secs(12 * 3_600 + 60));
    let folder = format!("lens/StorageLens/{ACCOUNT}/daily/V_1");
    let manifest = format!("{folder}/manifests/dt=2026-03-01/manifest.json");
    let manifest = wait_for("the report of the day", async || get(&client, "reports", &manifest).await.ok()).await;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["configId"], "daily");
    let report = get(&client, "reports", manifest["reportFiles"][0]["key"].as_str().unwrap()).await.unwrap();
    let has = |line: &str| {
        report.lines().any(|row| row == format!("V_1,daily,2026-03-01,{ACCOUNT},us-east-1,STANDARD,{line}"))
    };
    assert!(has("BUCKET,,bucket,StorageBytes,8") && has("BUCKET,,bucket,ObjectCount,2"), "{report}");
    assert!(has("ACCOUNT,,,StorageBytes,8"), "{report}");
    let arn = format!("arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens-group/logs");
    assert!(has(&format!("STORAGE_LENS_GROUP_BUCKET,{arn},bucket,StorageBytes,5")), "{report}");
    assert!(!report.contains("reports"), "a bucket that is not included is in the report");
}
