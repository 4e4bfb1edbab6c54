//! What is reported of buckets: request metrics, storage class analysis, inventories as Parquet and ORC.

use std::time::Duration;

use fractus_testkit::wait_for;
use serde_json::Value;

use crate::*;

const DAY: Duration = Duration::from_secs(86_400);

async fn put_metrics(client: &Client, id: &str, prefix: Option<&str>) {
    let filter = prefix.map(|prefix| api::MetricsFilter { prefix: Some(prefix.into()), ..Default::default() });
    let input = api::PutBucketMetricsConfigurationInput {
        bucket: "bucket".into(),
        id: id.into(),
        metrics_configuration: api::MetricsConfiguration { id: id.into(), filter },
        ..Default::default()
    };
    client.call(api::PutBucketMetricsConfiguration, input).await.unwrap();
}

/// Sums by metric.
async fn metrics(stack: &Stack, filter: &str) -> Vec<(String, f64)> {
    let url = format!("{}/_aws/s3/metrics?bucket=bucket&filter={filter}", stack.url("s3").trim_end_matches('/'));
    let (status, page) = fractus_testkit::http::get_json(&url).await;
    assert_eq!(status, 200);
    let all = page["metrics"].as_array().unwrap().iter();
    all.map(|one| (one["metric"].as_str().unwrap().to_owned(), one["sum"].as_f64().unwrap())).collect()
}

fn of(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(metric, _)| metric == name).map(|(_, sum)| *sum)
}

#[tokio::test]
async fn requests_are_counted_by_filter() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put(&client, "logs/before", "nobody counts yet").await;
    put_metrics(&client, "all", None).await;
    put_metrics(&client, "logs", Some("logs/")).await;
    put(&client, "logs/a", "12345").await;
    put(&client, "other", "123").await;
    read(&client, get_input("logs/a")).await.unwrap();
    read(&client, get_input("logs/none")).await.unwrap_err();
    let list = api::ListObjectsV2Input { bucket: "bucket".into(), ..Default::default() };
    client.call(api::ListObjectsV2, list).await.unwrap();
    let logs = metrics(&stack, "logs").await;
    let expected =
        [("AllRequests", 3.0), ("PutRequests", 1.0), ("GetRequests", 2.0), ("4xxErrors", 1.0), ("5xxErrors", 0.0)];
    for (name, sum) in expected {
        assert_eq!(of(&logs, name), Some(sum), "{name} in {logs:?}");
    }
    assert_eq!((of(&logs, "BytesUploaded"), of(&logs, "ListRequests")), (Some(5.0), None), "{logs:?}");
    let all = metrics(&stack, "all").await;
    assert_eq!((of(&all, "PutRequests"), of(&all, "ListRequests")), (Some(2.0), Some(1.0)), "{all:?}");
    let input =
        api::DeleteBucketMetricsConfigurationInput { bucket: "bucket".into(), id: "logs".into(), ..Default::default() };
    client.call(api::DeleteBucketMetricsConfiguration, input).await.unwrap();
    put(&client, "logs/b", "x").await;
    assert_eq!(of(&metrics(&stack, "logs").await, "PutRequests"), Some(1.0), "nobody counts any more");
    let url = format!("{}/_aws/s3/metrics?bucket=nowhere", stack.url("s3").trim_end_matches('/'));
    assert_eq!(fractus_testkit::http::get_json(&url).await.0, 404);
}

#[tokio::test]
async fn latencies_are_measured_by_the_lanes_clock() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put_metrics(&client, "all", None).await;
    put(&client, "key", "12345").await;
    let all = metrics(&stack, "all").await;
    let latencies =
        |all: &[(String, f64)]| (of(all, "FirstByteLatency").unwrap(), of(all, "TotalRequestLatency").unwrap());
    assert_eq!(latencies(&all), (0.0, 0.0), "nothing takes any time while the clock stands");
    stack.clock().scale(1_000.0);
    read(&client, get_input("key")).await.unwrap();
    stack.clock().freeze();
    let all = metrics(&stack, "all").await;
    let (first, total) = latencies(&all);
    assert!(first > 0.0 && total >= first, "{all:?}");
}

#[tokio::test]
async fn an_answer_that_flows_counts_what_went_out() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put_metrics(&client, "long", Some("long")).await;
    let long = "x".repeat(3 << 20);
    put(&client, "long", &long).await;
    let input = api::GetObjectInput { range: Some("bytes=0-1999999".into()), ..get_input("long") };
    let answer = client.call(api::GetObject, input).await.unwrap();
    assert_eq!(answer.body.collect(1 << 22).await.unwrap().len(), 2_000_000);
    // Told before the last byte went out: there is nothing to wait for.
    let all = metrics(&stack, "long").await;
    let counted = ["BytesDownloaded", "GetRequests", "BytesUploaded"].map(|name| of(&all, name));
    assert_eq!(counted, [Some(2_000_000.0), Some(1.0), Some(long.len() as f64)], "{all:?}");
    let head = api::HeadObjectInput { bucket: "bucket".into(), key: "long".into(), ..Default::default() };
    client.call(api::HeadObject, head).await.unwrap();
    let all = metrics(&stack, "long").await;
    assert_eq!((of(&all, "HeadRequests"), of(&all, "BytesDownloaded")), (Some(1.0), Some(2_000_000.0)), "{all:?}");
}

#[tokio::test]
async fn queries_count_what_they_read() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put_metrics(&client, "all", None).await;
    put(&client, "table", "a,b\nc,d\n").await;
    let input = api::SelectObjectContentInput {
        bucket: "bucket".into(),
        key: "table".into(),
        expression: "SELECT s._1 FROM S3Object s".into(),
        expression_type: api::ExpressionType::Sql,
        input_serialization: api::InputSerialization { csv: Some(Default::default()), ..Default::default() },
        output_serialization: api::OutputSerialization { csv: Some(Default::default()), json: None },
        ..Default::default()
    };
    let answer = client.call(api::SelectObjectContent, input).await.unwrap();
    let mut events = answer.payload.0;
    while let Some(event) = futures::StreamExt::next(&mut events).await {
        event.unwrap();
    }
    let all = metrics(&stack, "all").await;
    let read = ["SelectRequests", "SelectBytesScanned", "SelectBytesReturned"].map(|name| of(&all, name));
    assert_eq!(read, [Some(1.0), Some(8.0), Some(4.0)], "{all:?}");
}

async fn text(client: &Client, bucket: &str, key: &str) -> Result<String, Failure> {
    read(client, api::GetObjectInput { bucket: bucket.into(), ..get_input(key) }).await
}

#[tokio::test]
async fn what_is_read_is_analysed_by_age() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    put(&client, "docs/old", &"o".repeat(256 * 1024)).await;
    put(&client, "docs/small", "s").await;
    put(&client, "elsewhere", &"e".repeat(256 * 1024)).await;
    stack.clock().advance(DAY * 20);
    let destination = api::AnalyticsS3BucketDestination {
        format: api::AnalyticsS3ExportFileFormat::Csv,
        bucket: "arn:aws:s3:::reports".into(),
        prefix: Some("analysis".into()),
        bucket_account_id: None,
    };
    let export = api::StorageClassAnalysisDataExport {
        output_schema_version: api::StorageClassAnalysisSchemaVersion::V1,
        destination: api::AnalyticsExportDestination { s3_bucket_destination: destination },
    };
    let input = api::PutBucketAnalyticsConfigurationInput {
        bucket: "bucket".into(),
        id: "docs".into(),
        analytics_configuration: api::AnalyticsConfiguration {
            id: "docs".into(),
            filter: Some(api::AnalyticsFilter { prefix: Some("docs/".into()), ..Default::default() }),
            storage_class_analysis: api::StorageClassAnalysis { data_export: Some(export) },
        },
        ..Default::default()
    };
    client.call(api::PutBucketAnalyticsConfiguration, input).await.unwrap();
    for _ in 0..2 {
        read(&client, get_input("docs/old")).await.unwrap();
    }
    read(&client, get_input("elsewhere")).await.unwrap();
    put(&client, "docs/new", &"n".repeat(512 * 1024)).await;
    let key = "analysis/bucket/docs.csv";
    stack.clock().advance(DAY / 2);
    assert_eq!(text(&client, "reports", key).await.unwrap_err().code, "NoSuchKey", "the first comes after a day");
    stack.clock().advance(DAY);
    let report = wait_for("the report is there", || async { text(&client, "reports", key).await.ok() }).await;
    let rows: Vec<&str> = report.lines().collect();
    assert_eq!(rows[0].split(',').count(), 13);
    let expected = [
        "03-23-2026,docs,docs/,STANDARD,000-014,1,0.5,0.5,0,0,0.666667,,",
        "03-23-2026,docs,docs/,STANDARD,015-029,1,0,0.25,0.5,2,2,,",
        "03-23-2026,docs,docs/,STANDARD,ALL,3,0.5,0.750001,0.5,2,0.666666,,",
    ];
    assert_eq!(rows[1..], expected);
    stack.clock().advance(DAY);
    let longer = wait_for("the next day is added", || async {
        let report = text(&client, "reports", key).await.unwrap();
        (report.lines().count() == 7).then_some(report)
    })
    .await;
    let dates: Vec<&str> = longer.lines().skip(1).map(|row| &row[..5]).collect();
    assert_eq!(dates, ["03-23", "03-24", "03-23", "03-24", "03-23", "03-24"], "by date within age group");
}

async fn inventory(client: &Client, format: api::InventoryFormat) -> Result<(), Failure> {
    inventory_to(client, "list", "reports", format).await
}

async fn inventory_to(client: &Client, id: &str, to: &str, format: api::InventoryFormat) -> Result<(), Failure> {
    let destination =
        api::InventoryS3BucketDestination { bucket: format!("arn:aws:s3:::{to}"), format, ..Default::default() };
    let input = api::PutBucketInventoryConfigurationInput {
        bucket: "bucket".into(),
        id: id.into(),
        inventory_configuration: api::InventoryConfiguration {
            id: id.into(),
            is_enabled: true,
            destination: api::InventoryDestination { s3_bucket_destination: destination },
            included_object_versions: api::InventoryIncludedObjectVersions::All,
            optional_fields: Some(vec![
                api::InventoryOptionalField::Size,
                api::InventoryOptionalField::LastModifiedDate,
                api::InventoryOptionalField::ETag,
            ]),
            schedule: api::InventorySchedule { frequency: api::InventoryFrequency::Daily },
            ..Default::default()
        },
        ..Default::default()
    };
    client.call(api::PutBucketInventoryConfiguration, input).await.map(drop)
}

#[tokio::test]
async fn an_inventory_in_parquet_can_be_queried() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    put(&client, "a key with spaces", "12345").await;
    put(&client, "b", "1").await;
    inventory(&client, api::InventoryFormat::Parquet).await.unwrap();
    stack.clock().advance(DAY);
    let key = "bucket/list/2026-03-02T12-00Z/manifest.json";
    let manifest = wait_for("the inventory is made", || async { text(&client, "reports", key).await.ok() }).await;
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["fileFormat"], "Parquet");
    let schema = manifest["fileSchema"].as_str().unwrap();
    assert!(schema.starts_with("message s3.inventory { required binary bucket (UTF8);"), "{schema}");
    assert!(schema.contains("optional int64 last_modified_date (TIMESTAMP_MILLIS);"), "{schema}");
    let file = manifest["files"][0]["key"].as_str().unwrap();
    assert!(file.ends_with(".parquet"), "{file}");
    let query =
        "SELECT s.key, s.size, s.is_latest, s.version_id, s.last_modified_date FROM S3Object s WHERE s.size > 1";
    assert_eq!(
        ask_parquet(&client, "reports", file, query).await.unwrap(),
        "a key with spaces,5,true,null,2026-03-01T12:00:00Z\n"
    );
}

#[tokio::test]
async fn an_inventory_in_orc_says_its_schema() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    bucket(&client, "reports").await;
    put(&client, "a key with spaces", "12345").await;
    inventory(&client, api::InventoryFormat::Orc).await.unwrap();
    stack.clock().advance(DAY);
    let key = "bucket/list/2026-03-02T12-00Z/manifest.json";
    let manifest = wait_for("the inventory is made", || async { text(&client, "reports", key).await.ok() }).await;
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["fileFormat"], "ORC");
    assert_eq!(
        manifest["fileSchema"],
        "struct<bucket:string,key:string,version_id:string,is_latest:boolean,is_delete_marker:boolean,size:bigint,last_modified_date:timestamp,e_tag:string>"
    );
    let file = manifest["files"][0]["key"].as_str().unwrap();
    assert!(file.ends_with(".orc"), "{file}");
    let input = api::GetObjectInput { bucket: "reports".into(), key: file.into(), ..Default::default() };
    let bytes = client.call(api::GetObject, input).await.unwrap().body.collect(1 << 20).await.unwrap();
    assert!(bytes.starts_with(b"ORC"));
}

pub async fn ask_parquet(client: &Client, bucket: &str, key: &str, query: &str) -> Result<String, Failure> {
    let input = api::SelectObjectContentInput {
        bucket: bucket.into(),
        key: key.into(),
        expression: query.into(),
        expression_type: api::ExpressionType::Sql,
        input_serialization: api::InputSerialization { parquet: Some(Default::default()), ..Default::default() },
        output_serialization: api::OutputSerialization { csv: Some(Default::default()), json: None },
        ..Default::default()
    };
    let answer = client.call(api::SelectObjectContent, input).await?;
    let (mut records, mut events) = (Vec::new(), answer.payload.0);
    while let Some(event) = futures::StreamExt::next(&mut events).await {
        if let api::SelectObjectContentEventStream::Records(part) = event? {
            records.extend(part.payload.unwrap_or_default());
        }
    }
    Ok(String::from_utf8(records).unwrap())
}

#[tokio::test]
async fn parquet_of_other_hands_can_be_queried() {
    let (_stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    let files: [(&str, &[u8]); 4] = [
        ("dictionary-snappy", include_bytes!("../../columns/tests/dictionary-snappy.parquet")),
        ("plain-gzip-v2", include_bytes!("../../columns/tests/plain-gzip-v2.parquet")),
        ("deltas-uncompressed", include_bytes!("../../columns/tests/deltas-uncompressed.parquet")),
        ("zstd", include_bytes!("../../columns/tests/zstd.parquet")),
    ];
    for (key, bytes) in files {
        let body = ByteStream::from(Bytes::from_static(bytes));
        let input = api::PutObjectInput { bucket: "bucket".into(), key: key.into(), body, ..Default::default() };
        client.call(api::PutObject, input).await.unwrap();
    }
    put(&client, "text", "not Parquet at all").await;
    for key in ["dictionary-snappy", "plain-gzip-v2", "deltas-uncompressed"] {
        let ask = |query: &'static str| ask_parquet(&client, "bucket", key, query);
        let sum = ask("SELECT COUNT(*), SUM(s.id), SUM(s.small), MAX(s.price) FROM S3Object s").await.unwrap();
        assert_eq!(sum, "300,44850,720,2.99\n", "{key}");
        let nested = ask("SELECT s.name, s.place.city, s.tags[1], s.single FROM S3Object s WHERE s.id = 10").await;
        assert_eq!(nested.unwrap(), "name 10,c1,t1,1.0\n", "{key}");
        let limited = ask("SELECT s.id FROM S3Object s WHERE s.even AND s.name IS NULL LIMIT 2").await.unwrap();
        assert_eq!(limited, "0\n6\n", "{key}");
    }
    let ask = |key: &'static str| ask_parquet(&client, "bucket", key, "SELECT * FROM S3Object");
    assert_eq!(ask("zstd").await.unwrap_err().code, "ParquetUnsupportedCompressionCodec");
    assert_eq!(ask("text").await.unwrap_err().code, "ParquetParsingError");
}

#[tokio::test]
async fn where_policies_are_enforced_a_report_needs_its_destinations() {
    let stack = Stack::new()
        .frozen_at("2026-03-01T12:00:00Z")
        .with("s3", |host| fractus_s3::start(config(), host))
        .auth(fractus_host::config::AuthMode::Enforced)
        .start()
        .await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    for name in ["reports", "open"] {
        bucket(&client, name).await;
    }
    put(&client, "k", "x").await;
    inventory_to(&client, "a", "reports", api::InventoryFormat::Csv).await.unwrap();
    inventory_to(&client, "b", "open", api::InventoryFormat::Csv).await.unwrap();
    let allow = async |name: &str| {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"Service": "s3.amazonaws.com"}},
            "Action": "s3:PutObject", "Resource": "arn:aws:s3:::{name}/*",
            "Condition": {{"ArnLike": {{"aws:SourceArn": "arn:aws:s3:::bucket"}}}}}}]}}"#
        );
        let input = api::PutBucketPolicyInput { bucket: name.into(), policy, ..Default::default() };
        client.call(api::PutBucketPolicy, input).await.unwrap();
    };
    let manifest = |id: &str, day: u8| format!("bucket/{id}/2026-03-{day:02}T12-00Z/manifest.json");
    allow("open").await;
    stack.clock().advance(DAY);
    // Reports are made one after the other: once the second is there, the first has been tried.
    let second = manifest("b", 2);
    wait_for("a report is made where it may be", || async { text(&client, "open", &second).await.ok() }).await;
    allow("reports").await;
    stack.clock().advance(DAY);
    let made = manifest("a", 3);
    wait_for("the other is made once it may be", || async { text(&client, "reports", &made).await.ok() }).await;
    assert_eq!(text(&client, "reports", &manifest("a", 2)).await.unwrap_err().code, "NoSuchKey");
}
