//! Exports to S3 and imports from it.

use std::io::Read;

use flate2::read::GzDecoder;
use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_s3_api as s3_api;
use fractus_testkit::{Client, Stack, wait_for};
use fractus_wire::ByteStream;
use serde_json::{Value as Json, json};

use super::*;

pub async fn with_s3() -> (Stack, Client, Client) {
    let config = || fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() };
    let stack = Stack::new()
        .with("s3", move |host| fractus_s3::start(config(), host))
        .with("dynamodb", |host| fractus_dynamodb::start(Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .with_nats()
        .start()
        .await;
    let (client, s3) = (stack.client("dynamodb").api(&api::MODEL), stack.client("s3").api(&s3_api::MODEL));
    let bucket = s3_api::CreateBucketInput { bucket: "files".into(), ..Default::default() };
    s3.call(s3_api::CreateBucket, bucket).await.unwrap();
    (stack, client, s3)
}

pub async fn keys(s3: &Client, prefix: &str) -> Vec<String> {
    let input =
        s3_api::ListObjectsV2Input { bucket: "files".into(), prefix: Some(prefix.into()), ..Default::default() };
    let listed = s3.call(s3_api::ListObjectsV2, input).await.unwrap().contents.unwrap_or_default();
    listed.into_iter().filter_map(|object| object.key).collect()
}

pub async fn object(s3: &Client, key: &str) -> Vec<u8> {
    let input = s3_api::GetObjectInput { bucket: "files".into(), key: key.into(), ..Default::default() };
    let mut output = s3.call(s3_api::GetObject, input).await.unwrap();
    std::mem::take(&mut output.body).collect(1 << 24).await.unwrap().to_vec()
}

async fn text(s3: &Client, key: &str) -> String {
    let mut text = String::new();
    GzDecoder::new(&object(s3, key).await[..]).read_to_string(&mut text).unwrap();
    text
}

pub async fn put_object(s3: &Client, key: &str, body: impl Into<bytes::Bytes>) {
    let body = ByteStream::from(body.into());
    let input = s3_api::PutObjectInput { bucket: "files".into(), key: key.into(), body, ..Default::default() };
    s3.call(s3_api::PutObject, input).await.unwrap();
}

fn export_input(bucket: &str) -> api::ExportTableToPointInTimeInput {
    api::ExportTableToPointInTimeInput {
        table_arn: "arn:aws:dynamodb:us-east-1:000000000000:table/music".into(),
        s3_bucket: bucket.into(),
        ..Default::default()
    }
}

async fn exported(client: &Client, input: api::ExportTableToPointInTimeInput) -> api::ExportDescription {
    let begun = client.call(api::ExportTableToPointInTime, input).await.unwrap().export_description.unwrap();
    assert_eq!(begun.export_status, Some(api::ExportStatus::InProgress));
    let arn = begun.export_arn.unwrap();
    wait_for("the export to end", || async {
        let input = api::DescribeExportInput { export_arn: arn.clone() };
        let described = client.call(api::DescribeExport, input).await.unwrap().export_description.unwrap();
        (described.export_status != Some(api::ExportStatus::InProgress)).then_some(described)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_export_is_laid_out_as_on_aws_and_comes_back_by_an_import() {
    let (stack, client, s3) = with_s3().await;
    table(&client, "music").await;
    let off = client.call(api::ExportTableToPointInTime, export_input("files")).await.unwrap_err();
    assert_eq!(off.code, "PointInTimeRecoveryUnavailableException");
    recover(&client, "music", None).await;
    for n in 0..20 {
        put(&client, "music", &format!("key-{n}"), n).await;
    }
    let then = stack.clock().now();
    stack.clock().advance(secs(60));
    put(&client, "music", "later", 1).await;
    let input = api::ExportTableToPointInTimeInput {
        export_time: Some(then),
        s3_prefix: Some("backup".into()),
        ..export_input("files")
    };
    let done = exported(&client, input).await;
    assert_eq!((done.export_status, done.item_count), (Some(api::ExportStatus::Completed), Some(20)));
    let id = done.export_arn.as_deref().unwrap().rsplit('/').next().unwrap().to_owned();
    let folder = format!("backup/AWSDynamoDB/{id}");
    assert_eq!(done.export_manifest.as_deref(), Some(format!("{folder}/manifest-summary.json").as_str()));
    let all = keys(&s3, "").await;
    for name in
        ["_started", "manifest-files.json", "manifest-files.md5", "manifest-summary.json", "manifest-summary.md5"]
    {
        assert!(all.contains(&format!("{folder}/{name}")), "{name} in {all:?}");
    }
    let summary: Json = serde_json::from_slice(&object(&s3, &format!("{folder}/manifest-summary.json")).await).unwrap();
    assert_eq!((&summary["itemCount"], &summary["outputFormat"]), (&json!(20), &json!("DYNAMODB_JSON")));
    let files = object(&s3, summary["manifestFilesS3Key"].as_str().unwrap()).await;
    let files: Vec<Json> = files
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let data_key = files[0]["dataFileS3Key"].as_str().unwrap();
    assert!(data_key.starts_with(&format!("{folder}/data/")) && data_key.ends_with(".json.gz"), "{data_key}");
    let lines = text(&s3, data_key).await;
    assert_eq!(lines.lines().count(), 20);
    assert!(lines.contains("{\"Item\":{\"n\":{\"N\":\"7\"},\"pk\":{\"S\":\"key-7\"}}}"), "{lines}");

    let import = api::ImportTableInput {
        s3_bucket_source: api::S3BucketSource {
            s3_bucket: "files".into(),
            s3_key_prefix: Some(format!("{folder}/data/")),
            s3_bucket_owner: None,
        },
        input_format: api::InputFormat::DynamodbJson,
        input_compression_type: Some(api::InputCompressionType::Gzip),
        ..import_input("copy")
    };
    let done = imported(&client, import).await;
    assert_eq!(
        (done.import_status, done.imported_item_count, done.error_count),
        (Some(api::ImportStatus::Completed), Some(20), Some(0))
    );
    assert_eq!(number(&client, "copy", "key-7").await.as_deref(), Some("7"));
    assert_eq!((count(&client, "copy").await, get(&client, "copy", "later").await), (20, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_export_tells_what_has_changed_in_between() {
    let (stack, client, s3) = with_s3().await;
    table(&client, "music").await;
    recover(&client, "music", None).await;
    for name in ["changed", "removed", "same"] {
        put(&client, "music", name, 1).await;
    }
    stack.clock().advance(secs(60));
    let from = stack.clock().now();
    put(&client, "music", "changed", 2).await;
    put(&client, "music", "new", 3).await;
    delete(&client, "music", "removed").await;
    put(&client, "music", "passing", 4).await;
    delete(&client, "music", "passing").await;
    stack.clock().advance(secs(1_000));
    let to = stack.clock().now();
    put(&client, "music", "new", 5).await;
    let specification = api::IncrementalExportSpecification {
        export_from_time: Some(from),
        export_to_time: Some(to),
        export_view_type: Some(api::ExportViewType::NewAndOldImages),
    };
    let input = api::ExportTableToPointInTimeInput {
        export_type: Some(api::ExportType::IncrementalExport),
        incremental_export_specification: Some(specification),
        ..export_input("files")
    };
    let done = exported(&client, input.clone()).await;
    assert_eq!((done.export_status, done.item_count), (Some(api::ExportStatus::Completed), Some(3)));
    let data = keys(&s3, "AWSDynamoDB/data/").await;
    let mut lines: Vec<Json> =
        text(&s3, &data[0]).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["Keys"]["pk"]["S"].to_string());
    let micros = from.micros().to_string();
    let record = |pk: &str| json!({"Metadata": {"WriteTimestampMicros": {"N": micros}}, "Keys": {"pk": {"S": pk}}});
    let image = |pk: &str, n: &str| json!({"pk": {"S": pk}, "n": {"N": n}});
    let mut expected = [record("changed"), record("new"), record("removed")];
    (expected[0]["OldImage"], expected[0]["NewImage"]) = (image("changed", "1"), image("changed", "2"));
    expected[1]["NewImage"] = image("new", "3");
    expected[2]["OldImage"] = image("removed", "1");
    assert_eq!(lines, expected);

    let ion = api::ExportTableToPointInTimeInput {
        export_format: Some(api::ExportFormat::Ion),
        s3_prefix: Some("ion".into()),
        ..export_input("files")
    };
    exported(&client, ion).await;
    let data = keys(&s3, "ion/AWSDynamoDB/").await.into_iter().find(|key| key.ends_with(".ion.gz")).unwrap();
    assert!(text(&s3, &data).await.contains("$ion_1_0 {Item:{n:5.,pk:\"new\"}}"));
    let list = client.call(api::ListExports, api::ListExportsInput { max_results: Some(1), ..Default::default() });
    let page = list.await.unwrap();
    assert_eq!(page.export_summaries.unwrap().len(), 1);
    let rest = api::ListExportsInput { next_token: page.next_token, ..Default::default() };
    assert_eq!(client.call(api::ListExports, rest).await.unwrap().export_summaries.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_a_bucket_fails_and_a_token_begins_one_export() {
    let (_stack, client, _s3) = with_s3().await;
    table(&client, "music").await;
    recover(&client, "music", None).await;
    let input = api::ExportTableToPointInTimeInput { client_token: Some("once".into()), ..export_input("nowhere") };
    let done = exported(&client, input.clone()).await;
    assert_eq!(done.export_status, Some(api::ExportStatus::Failed));
    assert_eq!(done.failure_code.as_deref(), Some("S3NoSuchBucket"));
    let again = client.call(api::ExportTableToPointInTime, input.clone()).await.unwrap().export_description.unwrap();
    assert_eq!(again.export_arn, done.export_arn);
    let other = api::ExportTableToPointInTimeInput { s3_prefix: Some("x".into()), ..input };
    let conflict = client.call(api::ExportTableToPointInTime, other).await.unwrap_err();
    assert_eq!(conflict.code, "ExportConflictException");
    let unknown = api::DescribeExportInput {
        export_arn: "arn:aws:dynamodb:us-east-1:000000000000:table/music/export/01234567890123-a1b2c3d4".into(),
    };
    assert_eq!(client.call(api::DescribeExport, unknown).await.unwrap_err().code, "ExportNotFoundException");
}

fn import_input(table: &str) -> api::ImportTableInput {
    let parameters = api::TableCreationParameters {
        table_name: table.into(),
        attribute_definitions: vec![definition("pk", api::ScalarAttributeType::S)],
        key_schema: key_schema(),
        billing_mode: Some(api::BillingMode::PayPerRequest),
        ..Default::default()
    };
    api::ImportTableInput {
        s3_bucket_source: api::S3BucketSource { s3_bucket: "files".into(), ..Default::default() },
        input_format: api::InputFormat::Csv,
        table_creation_parameters: parameters,
        ..Default::default()
    }
}

async fn imported(client: &Client, input: api::ImportTableInput) -> api::ImportTableDescription {
    let begun = client.call(api::ImportTable, input).await.unwrap().import_table_description;
    assert_eq!(begun.import_status, Some(api::ImportStatus::InProgress));
    let arn = begun.import_arn.unwrap();
    wait_for("the import to end", || async {
        let input = api::DescribeImportInput { import_arn: arn.clone() };
        let described = client.call(api::DescribeImport, input).await.unwrap().import_table_description;
        (described.import_status != Some(api::ImportStatus::InProgress)).then_some(described)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_is_imported_and_what_cannot_be_is_counted() {
    let (_stack, client, s3) = with_s3().await;
    put_object(&s3, "in/one.csv", "pk,n,note\na,1,first\nb,2,\"with, comma\"\n,3,no key\nshort\n").await;
    put_object(&s3, "in/two.csv", "pk,n,note\nc,4,last\n").await;
    put_object(&s3, "other.csv", "pk\nz\n").await;
    let mut input = import_input("music");
    input.s3_bucket_source.s3_key_prefix = Some("in/".into());
    input.client_token = Some("once".into());
    let done = imported(&client, input.clone()).await;
    assert_eq!(done.import_status, Some(api::ImportStatus::Completed));
    assert_eq!((done.processed_item_count, done.imported_item_count, done.error_count), (Some(5), Some(3), Some(2)));
    assert_eq!(status(&client, "music").await, api::TableStatus::Active);
    let found = get(&client, "music", "b").await.unwrap();
    assert_eq!((&found["n"], &found["note"]), (&S("2".into()), &S("with, comma".into())));
    let again = client.call(api::ImportTable, input.clone()).await.unwrap().import_table_description;
    assert_eq!(again.import_arn, done.import_arn);
    input.client_token = Some("twice".into());
    assert_eq!(client.call(api::ImportTable, input).await.unwrap_err().code, "ResourceInUseException");
    let listed = client.call(api::ListImports, api::ListImportsInput::default()).await.unwrap();
    assert_eq!(listed.import_summary_list.unwrap()[0].import_arn, done.import_arn);
    let mut nowhere = import_input("films");
    nowhere.s3_bucket_source.s3_bucket = "nowhere".into();
    let failed = imported(&client, nowhere).await;
    assert_eq!(
        (failed.import_status, failed.failure_code.as_deref()),
        (Some(api::ImportStatus::Failed), Some("S3NoSuchBucket"))
    );
    let gone =
        client.call(api::DescribeTable, api::DescribeTableInput { table_name: "films".into() }).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
}
