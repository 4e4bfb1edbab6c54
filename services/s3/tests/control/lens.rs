//! Storage Lens: what configurations report, and the default dashboard.

use std::time::Duration;

use fractus_testkit::wait_for;

use crate::*;

const DAY: Duration = Duration::from_secs(86_400);

async fn frozen() -> (Stack, Client) {
    let stack = builder().frozen_at("2026-03-01T12:00:00Z").start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    (stack, client)
}

/// A configuration of what is in one bucket, exported as CSV.
fn configuration(id: &str, account_level: api::AccountLevel) -> api::StorageLensConfiguration {
    api::StorageLensConfiguration {
        id: id.into(),
        is_enabled: true,
        account_level,
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
    }
}

async fn put_configuration(client: &Client, configuration: api::StorageLensConfiguration) -> Result<(), Failure> {
    let input = api::PutStorageLensConfigurationInput {
        account_id: ACCOUNT.into(),
        config_id: configuration.id.clone(),
        storage_lens_configuration: configuration,
        tags: None,
    };
    client.call(api::PutStorageLensConfiguration, input).await.map(drop)
}

async fn get_configuration(client: &Client, id: &str) -> Result<api::StorageLensConfiguration, Failure> {
    let input = api::GetStorageLensConfigurationInput { account_id: ACCOUNT.into(), config_id: id.into() };
    let output = client.call(api::GetStorageLensConfiguration, input).await?;
    Ok(output.storage_lens_configuration.unwrap())
}

/// The report of a day, when it has come.
async fn report(client: &Client, id: &str, date: &str) -> String {
    let manifest = format!("lens/StorageLens/{ACCOUNT}/{id}/V_1/manifests/dt={date}/manifest.json");
    let manifest = wait_for("the report of the day", async || get(client, "reports", &manifest).await.ok()).await;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["configId"], id);
    get(client, "reports", manifest["reportFiles"][0]["key"].as_str().unwrap()).await.unwrap()
}

/// The value that a report gives a metric of `record`, which is the columns from the class to the bucket.
fn value(report: &str, record: &str, metric: &str) -> Option<u64> {
    let line = report.lines().find_map(|row| row.split_once(&format!("us-east-1,{record},{metric},")))?;
    Some(line.1.parse().unwrap())
}

/// Every category, at both levels, and prefixes.
fn everything() -> api::AccountLevel {
    let prefixes = api::PrefixLevelStorageMetrics {
        is_enabled: Some(true),
        selection_criteria: Some(api::SelectionCriteria { max_depth: Some(1), ..Default::default() }),
    };
    api::AccountLevel {
        activity_metrics: Some(api::ActivityMetrics { is_enabled: Some(true) }),
        detailed_status_codes_metrics: Some(api::DetailedStatusCodesMetrics { is_enabled: Some(true) }),
        advanced_cost_optimization_metrics: Some(api::AdvancedCostOptimizationMetrics { is_enabled: Some(true) }),
        advanced_data_protection_metrics: Some(api::AdvancedDataProtectionMetrics { is_enabled: Some(true) }),
        advanced_performance_metrics: Some(api::AdvancedPerformanceMetrics { is_enabled: Some(true) }),
        bucket_level: api::BucketLevel {
            activity_metrics: Some(api::ActivityMetrics { is_enabled: Some(true) }),
            detailed_status_codes_metrics: Some(api::DetailedStatusCodesMetrics { is_enabled: Some(true) }),
            advanced_cost_optimization_metrics: Some(api::AdvancedCostOptimizationMetrics { is_enabled: Some(true) }),
            advanced_data_protection_metrics: Some(api::AdvancedDataProtectionMetrics { is_enabled: Some(true) }),
            advanced_performance_metrics: Some(api::AdvancedPerformanceMetrics { is_enabled: Some(true) }),
            prefix_level: Some(api::PrefixLevel { storage_metrics: prefixes }),
        },
        ..Default::default()
    }
}

#[tokio::test]
async fn a_report_of_what_lies_there_comes_every_day() {
    let (stack, client) = frozen().await;
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
    let level = api::AccountLevel {
        storage_lens_group_level: Some(api::StorageLensGroupLevel::default()),
        ..Default::default()
    };
    put_configuration(&client, configuration("daily", level)).await.unwrap();
    assert!(keys(&client, "reports", "").await.is_empty());
    stack.clock().advance(DAY / 2 + Duration::from_secs(60));
    let report = report(&client, "daily", "2026-03-01").await;
    let has = |line: &str| {
        report.lines().any(|row| row == format!("V_1,daily,2026-03-01,{ACCOUNT},us-east-1,STANDARD,{line}"))
    };
    assert!(has("BUCKET,,bucket,StorageBytes,8") && has("BUCKET,,bucket,ObjectCount,2"), "{report}");
    assert!(has("ACCOUNT,,,StorageBytes,8"), "{report}");
    let arn = format!("arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens-group/logs");
    assert!(has(&format!("STORAGE_LENS_GROUP_BUCKET,{arn},bucket,StorageBytes,5")), "{report}");
    assert!(has(&format!("STORAGE_LENS_GROUP_ACCOUNT,{arn},,StorageBytes,5")), "{report}");
    assert!(has("BUCKET,,bucket,ObjectOwnershipBucketOwnerEnforcedBucketCount,1"), "settings are free: {report}");
    assert!(!report.contains("reports"), "a bucket that is not included is in the report");
    for nobody_asked in ["AllRequests", "200OKStatusCount", "TotalLifecycleRuleCount", "Object0KBCount"] {
        assert!(!report.contains(nobody_asked), "{nobody_asked} in {report}");
    }
}

#[tokio::test]
async fn requests_are_reported_by_class_and_prefix_and_outlive_a_restart() {
    let mut stack = builder().on_disk().frozen_at("2026-03-01T12:00:00Z").start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    put(&client, "bucket", "before", "nobody counts yet").await.unwrap();
    put_configuration(&client, configuration("all", everything())).await.unwrap();
    put(&client, "bucket", "logs/a", "12345").await.unwrap();
    let cold = s3::PutObjectInput {
        bucket: "bucket".into(),
        key: "logs/cold".into(),
        body: ByteStream::from(Bytes::from("x".repeat(200))),
        storage_class: Some(s3::StorageClass::StandardIa),
        server_side_encryption: Some(s3::ServerSideEncryption::AwsKms),
        ..Default::default()
    };
    client.call(s3::PutObject, cold).await.unwrap();
    stack.restart("s3").await;
    let client = client_of(&stack);
    for _ in 0..2 {
        get(&client, "bucket", "logs/a").await.unwrap();
    }
    get(&client, "bucket", "logs/cold").await.unwrap();
    get(&client, "bucket", "logs/none").await.unwrap_err();
    keys(&client, "bucket", "").await;
    plain(&stack, "GET", "/bucket/logs/a", &[]).await;
    stack.clock().advance(DAY / 2 + Duration::from_secs(60));
    let report = report(&client, "all", "2026-03-01").await;
    let bucket = "STANDARD,BUCKET,,bucket";
    for (metric, expected) in [
        ("AllRequests", 6),
        ("GetRequests", 4),
        ("PutRequests", 1),
        ("ListRequests", 1),
        ("4xxErrors", 2),
        ("200OKStatusCount", 4),
        ("403ForbiddenErrorCount", 1),
        ("404NotFoundErrorCount", 1),
        ("BytesUploaded", 5),
        ("Read0KBTo128KBRequestCount", 2),
        ("UniqueObjectsAccessedDailyCount", 1),
        ("AverageFirstByteLatency", 0),
        ("AllSSEKMSRequests", 0),
        ("Object0KBTo128KBCount", 2),
        ("TotalLifecycleRuleCount", 0),
        ("VersioningEnabledBucketCount", 0),
    ] {
        assert_eq!(value(&report, bucket, metric), Some(expected), "{metric} in {report}");
    }
    let cold = |metric| value(&report, "STANDARD_IA,BUCKET,,bucket", metric);
    assert_eq!([cold("PutRequests"), cold("GetRequests"), cold("AllSSEKMSRequests")], [Some(1), Some(1), Some(1)]);
    assert_eq!((cold("BytesDownloaded"), cold("VersioningEnabledBucketCount")), (Some(200), None), "{report}");
    let below = |metric| value(&report, "STANDARD,PREFIX,logs/,bucket", metric);
    assert_eq!(
        [below("AllRequests"), below("404NotFoundErrorCount"), below("StorageBytes")],
        [Some(5), Some(1), Some(5)]
    );
    assert_eq!(value(&report, "STANDARD,ACCOUNT,,", "AllRequests"), Some(6), "{report}");
    stack.clock().advance(DAY);
    let next = self::report(&client, "all", "2026-03-02").await;
    // The reads of this report's predecessor are of another bucket.
    assert_eq!(value(&next, bucket, "AllRequests"), Some(0), "a day's requests are reported once: {next}");
}

#[tokio::test]
async fn settings_and_rules_are_counted_by_category() {
    let (stack, client) = frozen().await;
    bucket(&client, "copies").await;
    for name in ["bucket", "copies"] {
        let versions = s3::PutBucketVersioningInput {
            bucket: name.into(),
            versioning_configuration: s3::VersioningConfiguration {
                status: Some(s3::BucketVersioningStatus::Enabled),
                ..Default::default()
            },
            ..Default::default()
        };
        client.call(s3::PutBucketVersioning, versions).await.unwrap();
    }
    let rule = |id: &str, to: &str| s3::ReplicationRule {
        id: Some(id.into()),
        priority: Some(id.len() as i32),
        status: s3::ReplicationRuleStatus::Enabled,
        filter: Some(s3::ReplicationRuleFilter { prefix: Some(id.into()), ..Default::default() }),
        delete_marker_replication: Some(s3::DeleteMarkerReplication {
            status: Some(s3::DeleteMarkerReplicationStatus::Disabled),
        }),
        destination: s3::Destination { bucket: format!("arn:aws:s3:::{to}"), ..Default::default() },
        ..Default::default()
    };
    let replication = s3::PutBucketReplicationInput {
        bucket: "bucket".into(),
        replication_configuration: s3::ReplicationConfiguration {
            role: format!("arn:aws:iam::{ACCOUNT}:role/replicator"),
            rules: vec![rule("a", "copies"), rule("bb", "copies")],
        },
        ..Default::default()
    };
    client.call(s3::PutBucketReplication, replication).await.unwrap();
    let expire = s3::LifecycleRule {
        id: Some("expire".into()),
        status: s3::ExpirationStatus::Enabled,
        filter: Some(s3::LifecycleRuleFilter { prefix: Some("tmp/".into()), ..Default::default() }),
        expiration: Some(s3::LifecycleExpiration { days: Some(10), ..Default::default() }),
        abort_incomplete_multipart_upload: Some(s3::AbortIncompleteMultipartUpload { days_after_initiation: Some(20) }),
        ..Default::default()
    };
    let lifecycle = s3::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(s3::BucketLifecycleConfiguration { rules: vec![expire] }),
        ..Default::default()
    };
    client.call(s3::PutBucketLifecycleConfiguration, lifecycle).await.unwrap();
    let upload = s3::CreateMultipartUploadInput { bucket: "bucket".into(), key: "up".into(), ..Default::default() };
    client.call(s3::CreateMultipartUpload, upload).await.unwrap();
    put(&client, "bucket", "gone", "1").await.unwrap();
    let delete = s3::DeleteObjectInput { bucket: "bucket".into(), key: "gone".into(), ..Default::default() };
    client.call(s3::DeleteObject, delete).await.unwrap();
    put_configuration(&client, configuration("all", everything())).await.unwrap();
    stack.clock().advance(DAY);
    let first = report(&client, "all", "2026-03-01").await;
    let of = |report: &str, metric| value(report, "STANDARD,BUCKET,,bucket", metric);
    for (metric, expected) in [
        ("VersioningEnabledBucketCount", 1),
        ("MFADeleteEnabledBucketCount", 0),
        ("ExpirationLifecycleRuleCount", 1),
        ("AbortIncompleteMPULifecycleRuleCount", 1),
        ("TransitionLifecycleRuleCount", 0),
        ("TotalLifecycleRuleCount", 1),
        ("SameRegionReplicationRuleCount", 2),
        ("SameAccountReplicationRuleCount", 2),
        ("InvalidDestinationReplicationRuleCount", 0),
        ("DeleteMarkerObjectCount", 1),
        ("DeleteMarkerStorageBytes", 4),
        ("NonCurrentVersionObjectCount", 1),
        ("StorageBytes", 5),
        ("IncompleteMultipartUploadObjectCount", 1),
        ("IncompleteMPUObjectCountOlderThan7Days", 0),
    ] {
        assert_eq!(of(&first, metric), Some(expected), "{metric} in {first}");
    }
    let input = s3::DeleteBucketInput { bucket: "copies".into(), ..Default::default() };
    client.call(s3::DeleteBucket, input).await.unwrap();
    stack.clock().advance(DAY * 7);
    let later = report(&client, "all", "2026-03-08").await;
    let counted = ["IncompleteMPUObjectCountOlderThan7Days", "InvalidDestinationReplicationRuleCount"];
    assert_eq!(counted.map(|metric| of(&later, metric)), [Some(1), Some(2)], "{later}");
    assert_eq!(of(&later, "SameRegionReplicationRuleCount"), Some(0), "{later}");
}

/// What the catalog has of a table of the account's own table bucket.
async fn table(stack: &Stack, namespace: &str, table: &str) -> Option<serde_json::Value> {
    let signature =
        "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/s3tables/aws4_request, SignedHeaders=host, Signature=0";
    let warehouse = "arn%3Aaws%3As3tables%3Aus-east-1%3A000000000000%3Abucket%2Faws-s3";
    let path = format!("/iceberg/v1/{warehouse}/namespaces/{namespace}/tables/{table}");
    let response = plain(stack, "GET", &path, &[("authorization", signature)]).await;
    let loaded: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    (response.status() == 200).then(|| loaded["metadata"].clone())
}

/// How many rows each snapshot of a table has.
fn totals(metadata: &serde_json::Value) -> Vec<&str> {
    let snapshots = metadata["snapshots"].as_array().unwrap();
    snapshots.iter().map(|snapshot| snapshot["summary"]["total-records"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_prefix_is_reported_in_as_many_files_as_it_takes() {
    const PREFIXES: usize = 1_800;
    let (stack, client) = frozen().await;
    let mut all = configuration("all", everything());
    let destination = all.data_export.clone().unwrap().s3_bucket_destination;
    let enabled = api::StorageLensTableDestination { is_enabled: true, encryption: None };
    all.expanded_prefixes_data_export = Some(api::StorageLensExpandedPrefixesDataExport {
        s3_bucket_destination: destination,
        storage_lens_table_destination: Some(enabled),
    });
    put(&client, "bucket", "big/1", &"x".repeat(PREFIXES * 1_000)).await.unwrap();
    put_configuration(&client, all).await.unwrap();
    for number in 0..PREFIXES - 2 {
        put(&client, "bucket", &format!("{number}/x"), "x").await.unwrap();
    }
    put(&client, "bucket", "big/deep/1", "x").await.unwrap();
    stack.clock().advance(DAY / 2 + Duration::from_secs(60));
    let key = format!("lens/StorageLensExpandedPrefixes/{ACCOUNT}/all/V_1/manifests/dt=2026-03-01/manifest.json");
    let manifest = wait_for("the report of all prefixes", async || get(&client, "reports", &key).await.ok()).await;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let files = manifest["reportFiles"].as_array().unwrap();
    assert!(files.len() > 1, "{manifest}");
    let mut rows = Vec::new();
    for file in files {
        let text = get(&client, "reports", file["key"].as_str().unwrap()).await.unwrap();
        assert_eq!(file["size"].as_u64(), Some(text.len() as u64));
        rows.extend(text.lines().skip(1).filter(|row| row.contains(",StorageBytes,")).map(str::to_owned));
    }
    assert_eq!(rows.len(), PREFIXES);
    assert!(rows.iter().all(|row| row.contains("STANDARD,PREFIX,")), "prefixes alone");
    let deep = format!("V_1,all,2026-03-01,{ACCOUNT},us-east-1,STANDARD,PREFIX,big/deep/,bucket,StorageBytes,1");
    assert!(rows.contains(&deep));
    // Of the default report they are no part, nor what is deeper than it goes.
    let default = report(&client, "all", "2026-03-01").await;
    assert_eq!(value(&default, "STANDARD,PREFIX,big/,bucket", "StorageBytes"), Some(PREFIXES as u64 * 1_000 + 1));
    assert_eq!(value(&default, "STANDARD,PREFIX,big/deep/,bucket", "StorageBytes"), None);
    assert_eq!(value(&default, "STANDARD,PREFIX,7/,bucket", "StorageBytes"), None);
    let expected = [PREFIXES.to_string()];
    for name in ["expanded_prefixes_storage_metrics", "expanded_prefixes_activity_metrics"] {
        let found = wait_for("the table", async || table(&stack, "lens_all_exp", name).await).await;
        assert_eq!(totals(&found), expected, "{name}");
    }
    // Nobody asked for tables of the default report.
    assert_eq!(table(&stack, "lens_all_exp", "default_storage_metrics").await, None);
}

#[tokio::test]
async fn tables_have_the_rows_of_each_day() {
    let (stack, client) = frozen().await;
    put(&client, "bucket", "a", "12345").await.unwrap();
    let mut free = configuration("My-own", api::AccountLevel::default());
    let export = free.data_export.as_mut().unwrap();
    export.storage_lens_table_destination =
        Some(api::StorageLensTableDestination { is_enabled: true, encryption: None });
    // What cannot be written elsewhere is in nobody's way.
    export.s3_bucket_destination.as_mut().unwrap().arn = "arn:aws:s3:::nowhere".into();
    put_configuration(&client, free.clone()).await.unwrap();
    let namespace = "lens_my-own_exp_a977dbe";
    let storage = async || table(&stack, namespace, "default_storage_metrics").await;
    assert_eq!(storage().await, None);
    stack.clock().advance(DAY);
    let first = wait_for("the first day", async || storage().await.filter(|found| !totals(found).is_empty())).await;
    // The account and the bucket.
    assert_eq!(totals(&first), ["2"]);
    let fields = first["schemas"][0]["fields"].as_array().unwrap();
    assert_eq!((&fields[2]["type"], &fields[10]["type"]), (&"timestamptz".into(), &"decimal(38, 0)".into()));
    let properties = table(&stack, namespace, "bucket_property_metrics").await.unwrap();
    assert_eq!(totals(&properties), ["2"]);
    // Free metrics are none of requests.
    assert_eq!(table(&stack, namespace, "default_activity_metrics").await, None);
    stack.clock().advance(DAY);
    let second =
        wait_for("the second day", async || storage().await.filter(|found| totals(found).last() == Some(&"4")));
    let second = second.await;
    assert_eq!(second["table-uuid"], first["table-uuid"]);

    // It stays behind its configuration, and nothing is added any more.
    let table = free.data_export.as_mut().unwrap().storage_lens_table_destination.as_mut().unwrap();
    table.is_enabled = false;
    put_configuration(&client, free).await.unwrap();
    stack.clock().advance(DAY);
    put_configuration(&client, configuration("other", api::AccountLevel::default())).await.unwrap();
    stack.clock().advance(DAY);
    report(&client, "other", "2026-03-04").await;
    assert_eq!(totals(&storage().await.unwrap()).last(), Some(&"4"));
}

#[tokio::test]
async fn each_day_that_a_clock_passes_over_has_its_report() {
    let (stack, client) = frozen().await;
    put_configuration(&client, configuration("all", everything())).await.unwrap();
    put(&client, "bucket", "a", "1").await.unwrap();
    stack.clock().advance(DAY * 3);
    let requests = async |date| value(&report(&client, "all", date).await, "STANDARD,BUCKET,,bucket", "PutRequests");
    assert_eq!(requests("2026-03-01").await, Some(1));
    assert_eq!(requests("2026-03-03").await, Some(0));
    // Years pass, and a week is reported.
    stack.clock().advance(DAY * 1_000);
    assert_eq!(requests("2028-11-27").await, Some(0));
    let manifests = keys(&client, "reports", &format!("lens/StorageLens/{ACCOUNT}/all/V_1/manifests/")).await;
    assert!(manifests.len() < 12, "{manifests:?}");
    // Those of today are of the reports, which were just read.
    wait_for("old counts to go", async || (stack.count("s3", "control.lens-tallies").await == 1).then_some(())).await;
    let delete = api::DeleteStorageLensConfigurationInput { account_id: ACCOUNT.into(), config_id: "all".into() };
    client.call(api::DeleteStorageLensConfiguration, delete).await.unwrap();
    wait_for("all counts to go", async || (stack.count("s3", "control.lens-activity").await == 0).then_some(())).await;
}

#[tokio::test]
async fn every_account_has_a_default_dashboard() {
    let (stack, client) = frozen().await;
    let id = "default-account-dashboard";
    let default = get_configuration(&client, id).await.unwrap();
    let arn = format!("arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens/{id}");
    assert_eq!((default.is_enabled, default.storage_lens_arn.as_deref()), (true, Some(arn.as_str())));
    let listed = async |client: &Client| {
        let input = api::ListStorageLensConfigurationsInput { account_id: ACCOUNT.into(), next_token: None };
        let output = client.call(api::ListStorageLensConfigurations, input).await.unwrap();
        let list = output.storage_lens_configuration_list.unwrap_or_default();
        list.into_iter().map(|entry| (entry.id, entry.is_enabled)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&client).await, [(id.to_owned(), Some(true))]);
    let delete = api::DeleteStorageLensConfigurationInput { account_id: ACCOUNT.into(), config_id: id.into() };
    let refused = client.call(api::DeleteStorageLensConfiguration, delete).await.unwrap_err();
    assert_eq!((&*refused.code, refused.status), ("DefaultConfigurationDeleteForbidden", 403));
    let filtered = configuration(id, api::AccountLevel::default());
    let refused = put_configuration(&client, filtered.clone()).await.unwrap_err();
    assert_eq!(refused.code, "InvalidFilterForDefaultConfiguration");
    let elsewhere = client_of(&stack).in_region("eu-west-1");
    assert_eq!(get_configuration(&elsewhere, id).await.unwrap_err().code, "NoSuchConfiguration");
    assert!(listed(&elsewhere).await.is_empty());
    let all = api::StorageLensConfiguration { include: None, ..filtered };
    let refused = put_configuration(&elsewhere, all.clone()).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRegionForDefaultConfiguration");
    // Upgraded, as it was got.
    let upgraded =
        api::StorageLensConfiguration { account_level: everything(), ..get_configuration(&client, id).await.unwrap() };
    put_configuration(&client, api::StorageLensConfiguration { data_export: all.data_export.clone(), ..upgraded })
        .await
        .unwrap();
    put(&client, "bucket", "a", "1").await.unwrap();
    stack.clock().advance(DAY);
    let report = report(&client, id, "2026-03-01").await;
    assert_eq!(value(&report, "STANDARD,BUCKET,,bucket", "PutRequests"), Some(1), "{report}");
    let disabled = api::StorageLensConfiguration { is_enabled: false, ..all };
    put_configuration(&client, disabled).await.unwrap();
    assert_eq!(listed(&client).await, [(id.to_owned(), Some(false))]);
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused() {
    let (_stack, client) = frozen().await;
    let refused = async |change: fn(&mut api::StorageLensConfiguration)| {
        let mut configuration = configuration("all", everything());
        change(&mut configuration);
        put_configuration(&client, configuration).await.unwrap_err().code.into_owned()
    };
    let code = refused(|all| all.account_level.activity_metrics = None).await;
    assert_eq!(code, "MissingAccountLevelActivityMetrics");
    let code = refused(|all| all.account_level.bucket_level.activity_metrics = None).await;
    assert_eq!(code, "MissingBucketLevelActivityMetrics");
    let code = refused(|all| all.include = Some(api::Include::default())).await;
    assert_eq!(code, "EmptyIncludeContainer");
    let code =
        refused(|all| all.storage_lens_arn = Some("arn:aws:s3:us-east-1:000000000000:storage-lens/other".into())).await;
    assert_eq!(code, "InvalidStorageLensArn");
    let code = refused(|all| {
        let prefixes = all.account_level.bucket_level.prefix_level.as_mut().unwrap();
        prefixes.storage_metrics.is_enabled = Some(false);
    })
    .await;
    assert_eq!(code, "StorageMetricsMustEnabled");
    let code = refused(|all| {
        let prefixes = all.account_level.bucket_level.prefix_level.as_mut().unwrap();
        prefixes.storage_metrics.selection_criteria.as_mut().unwrap().delimiter = Some("-".into());
        all.prefix_delimiter = Some("/".into());
    })
    .await;
    assert_eq!(code, "InvalidRequest");
    let code = refused(|all| {
        let export = all.data_export.as_mut().unwrap();
        let ssekms = Some(api::SSEKMS { key_id: "arn:aws:kms:us-east-1:000000000000:key/k".into() });
        let encryption = Some(api::StorageLensDataExportEncryption { sses3: Some(Default::default()), ssekms });
        export.storage_lens_table_destination = Some(api::StorageLensTableDestination { is_enabled: true, encryption });
    })
    .await;
    assert_eq!(code, "InvalidEncryptionMethod");
    let code = refused(|all| {
        let twice = vec!["arn:aws:s3:us-east-1:000000000000:storage-lens-group/a".to_owned(); 2];
        let criteria = api::StorageLensGroupLevelSelectionCriteria { include: Some(twice), exclude: None };
        all.account_level.storage_lens_group_level =
            Some(api::StorageLensGroupLevel { selection_criteria: Some(criteria) });
    })
    .await;
    assert_eq!(code, "DuplicateStorageLensGroupARN");
}

#[tokio::test]
async fn a_group_that_says_too_little_or_too_much_is_refused() {
    let (_stack, client) = frozen().await;
    let refused = async |filter: api::StorageLensGroupFilter| {
        let group = api::StorageLensGroup { name: "g".into(), filter, storage_lens_group_arn: None };
        let input =
            api::CreateStorageLensGroupInput { account_id: ACCOUNT.into(), storage_lens_group: group, tags: None };
        client.call(api::CreateStorageLensGroup, input).await.unwrap_err().code.into_owned()
    };
    let filter = || api::StorageLensGroupFilter::default();
    assert_eq!(refused(filter()).await, "InvalidFilter");
    let eleven = (0..11).map(|number| format!("{number}/")).collect();
    assert_eq!(
        refused(api::StorageLensGroupFilter { match_any_prefix: Some(eleven), ..filter() }).await,
        "TooManyElements"
    );
    let twice = Some(vec![".log".to_owned(); 2]);
    assert_eq!(refused(api::StorageLensGroupFilter { match_any_suffix: twice, ..filter() }).await, "DuplicateElement");
    let size = Some(api::MatchObjectSize { bytes_greater_than: Some(10), bytes_less_than: Some(5) });
    assert_eq!(
        refused(api::StorageLensGroupFilter { match_object_size: size, ..filter() }).await,
        "InvalidNumericCombination"
    );
    let age = Some(api::MatchObjectAge { days_greater_than: Some(-1), days_less_than: None });
    assert_eq!(refused(api::StorageLensGroupFilter { match_object_age: age, ..filter() }).await, "InvalidAge");
}

#[tokio::test]
async fn where_policies_are_enforced_a_report_needs_its_destination() {
    let stack = enforced().await;
    stack.clock().set(fractus_clock::Timestamp::parse_date_time("2026-03-01T12:00:00Z").unwrap());
    stack.clock().freeze();
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    bucket(&client, "open").await;
    for (id, to) in [("daily", "reports"), ("then", "open")] {
        let mut configuration = configuration(id, api::AccountLevel::default());
        let export = configuration.data_export.as_mut().unwrap().s3_bucket_destination.as_mut().unwrap();
        export.arn = format!("arn:aws:s3:::{to}");
        export.encryption =
            Some(api::StorageLensDataExportEncryption { sses3: Some(api::SSES3::default()), ssekms: None });
        put_configuration(&client, configuration).await.unwrap();
    }
    let allow = async |id: &str, to: &str| {
        let statement = format!(
            r#"{{"Effect": "Allow", "Principal": {{"Service": "storage-lens.s3.amazonaws.com"}}, "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::{to}/lens/StorageLens/{ACCOUNT}/*", "Condition": {{"StringEquals": {{
            "aws:SourceArn": "arn:aws:s3:us-east-1:{ACCOUNT}:storage-lens/{id}", "aws:SourceAccount": "{ACCOUNT}"}}}}}}"#
        );
        put_bucket_policy(&client, to, &statement).await.unwrap();
    };
    let manifest =
        |id: &str, day: u8| format!("lens/StorageLens/{ACCOUNT}/{id}/V_1/manifests/dt=2026-03-{day:02}/manifest.json");
    allow("then", "open").await;
    stack.clock().advance(DAY);
    // Exports are made one after the other: once the second is there, the first has been tried.
    wait_for("the report that may be", async || get(&client, "open", &manifest("then", 1)).await.ok()).await;
    allow("daily", "reports").await;
    stack.clock().advance(DAY);
    report(&client, "daily", "2026-03-02").await;
    assert_eq!(get(&client, "reports", &manifest("daily", 1)).await.unwrap_err().code, "NoSuchKey");
}
