//! Metadata tables: what is in their files, as their catalog leads to them.

use std::collections::BTreeMap;
use std::time::Duration;

use fractus_testkit::wait_for;
use serde_json::Value;

use crate::replication::replicated;
use crate::versions::{delete_input, set_versioning};
use crate::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn enabled() -> api::InventoryTableConfiguration {
    api::InventoryTableConfiguration { configuration_state: "ENABLED".into(), encryption_configuration: None }
}

async fn configure(client: &Client, bucket: &str, days: Option<i32>, inventory: bool, annotations: bool) {
    let expiration = if days.is_some() { "ENABLED" } else { "DISABLED" };
    let journal = api::JournalTableConfiguration {
        record_expiration: api::RecordExpiration { expiration: expiration.into(), days },
        encryption_configuration: None,
    };
    let annotation = api::AnnotationTableConfiguration { configuration_state: "ENABLED".into(), ..Default::default() };
    let input = api::CreateBucketMetadataConfigurationInput {
        bucket: bucket.into(),
        metadata_configuration: api::MetadataConfiguration {
            journal_table_configuration: journal,
            inventory_table_configuration: inventory.then(enabled),
            annotation_table_configuration: annotations.then_some(annotation),
        },
        ..Default::default()
    };
    client.call(api::CreateBucketMetadataConfiguration, input).await.unwrap();
}

/// A request to the catalog.
async fn ask(stack: &Stack, method: &str, path: &str) -> (u16, Value) {
    let signature =
        "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/s3tables/aws4_request, SignedHeaders=host, Signature=0";
    let warehouse = "arn%3Aaws%3As3tables%3Aus-east-1%3A000000000000%3Abucket%2Faws-s3";
    let path = format!("/iceberg/v1/{}", path.replace("{}", warehouse));
    let response = plain(stack, method, &path, &[("authorization", signature)]).await;
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status().as_u16(), body)
}

/// A table's metadata, if there is such a table.
async fn load(stack: &Stack, bucket: &str, table: &str) -> Option<Value> {
    let (status, loaded) = ask(stack, "GET", &format!("{{}}/namespaces/b_{bucket}/tables/{table}")).await;
    (status == 200).then(|| loaded["metadata"].clone())
}

fn current(metadata: &Value) -> Option<&Value> {
    let id = metadata["current-snapshot-id"].as_i64()?;
    metadata["snapshots"].as_array()?.iter().find(|snapshot| snapshot["snapshot-id"] == id)
}

async fn bytes_at(client: &Client, location: &str) -> Vec<u8> {
    let (bucket, key) = location.trim_start_matches("s3://").split_once('/').unwrap();
    let input = api::GetObjectInput { bucket: bucket.into(), key: key.into(), ..Default::default() };
    client.call(api::GetObject, input).await.unwrap().body.collect(1 << 26).await.unwrap().to_vec()
}

/// Reads an Avro file's one block, as far as its values are numbers and texts.
struct Avro<'a>(&'a [u8]);

impl<'a> Avro<'a> {
    fn block(file: &'a [u8]) -> (i64, Self) {
        let sync = file[file.len() - 16..].to_vec();
        let at = file.windows(16).position(|window| window == sync).unwrap() + 16;
        let mut block = Avro(&file[at..]);
        let count = block.long();
        assert_eq!(block.long() as usize, block.0.len() - 16, "the block is as long as it says");
        (count, block)
    }

    fn long(&mut self) -> i64 {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.0[0];
            self.0 = &self.0[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return (value >> 1) as i64 ^ -((value & 1) as i64);
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.long() as usize;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// A map by numbers that may be absent.
    fn map<T>(&mut self, value: fn(&mut Self) -> T) -> BTreeMap<i64, T> {
        let mut found = BTreeMap::new();
        if self.long() == 1 {
            while let count @ 1.. = self.long() {
                found.extend((0..count).map(|_| (self.long(), value(self))));
            }
        }
        found
    }
}

/// A data file as the manifest has it.
#[derive(Debug, PartialEq)]
struct File {
    path: String,
    rows: i64,
    nulls: BTreeMap<i64, i64>,
    bounds: [BTreeMap<i64, Vec<u8>>; 2],
}

/// The data files of a table.
async fn files(client: &Client, metadata: &Value) -> Vec<File> {
    let Some(snapshot) = current(metadata) else { return Vec::new() };
    let list = bytes_at(client, snapshot["manifest-list"].as_str().unwrap()).await;
    let (count, mut list) = Avro::block(&list);
    assert_eq!(count, 1);
    let (location, length) = (list.text(), list.long());
    let manifest = bytes_at(client, &location).await;
    assert_eq!(manifest.len() as i64, length);
    let (count, mut entries) = Avro::block(&manifest);
    let mut found = Vec::new();
    for _ in 0..count {
        let status = entries.long();
        for _ in 0..3 {
            assert_eq!(entries.long(), 1);
            entries.long();
        }
        entries.long();
        let (path, format, rows, bytes) = (entries.text(), entries.text(), entries.long(), entries.long());
        assert_eq!(format, "PARQUET");
        let (values, nulls) = (entries.map(Avro::long), entries.map(Avro::long));
        let bounds = [entries.map(Avro::bytes), entries.map(Avro::bytes)];
        assert!(values.values().all(|count| *count == rows), "each column has a value for each row");
        // Those that were removed are told of once more.
        if status != 2 {
            assert_eq!(bytes_at(client, &path).await.len() as i64, bytes);
            found.push(File { path, rows, nulls, bounds });
        }
    }
    found
}

/// The rows of a table.
async fn rows(stack: &Stack, client: &Client, bucket: &str, table: &str) -> Vec<Value> {
    let Some(metadata) = load(stack, bucket, table).await else { return Vec::new() };
    let mut found = Vec::new();
    for file in files(client, &metadata).await {
        let records = fractus_s3_columns::read::all(&bytes_at(client, &file.path).await).unwrap();
        assert_eq!(records.len() as i64, file.rows);
        found.extend(records.iter().map(|record| serde_json::from_str::<Value>(&record.json()).unwrap()));
    }
    found
}

/// The rows of a journal in their order, once there are so many.
async fn journal(stack: &Stack, client: &Client, bucket: &str, count: usize) -> Vec<Value> {
    let found = wait_for("the journal has its rows", || async {
        let found = rows(stack, client, bucket, "journal").await;
        (found.len() >= count).then_some(found)
    });
    let mut found = found.await;
    assert_eq!(found.len(), count, "{found:#?}");
    found.sort_by_key(|row| row["sequence_number"].as_str().unwrap().to_owned());
    found
}

fn shown<'a>(rows: &'a [Value], names: &[&str]) -> Vec<Vec<&'a str>> {
    rows.iter().map(|row| names.iter().map(|name| row[*name].as_str().unwrap_or("-")).collect()).collect()
}

#[tokio::test]
async fn what_s3_does_itself_stands_in_the_journal() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put(&client, "old/a", "x").await;
    put(&client, "down/b", &"x".repeat(200_000)).await;
    configure(&client, "bucket", None, false, false).await;
    let rule = |prefix: &str| api::LifecycleRule {
        id: Some(prefix.into()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        ..Default::default()
    };
    let transition = api::Transition { days: Some(1), storage_class: Some("GLACIER".into()), date: None };
    let rules = vec![
        api::LifecycleRule {
            expiration: Some(api::LifecycleExpiration { days: Some(1), ..Default::default() }),
            ..rule("old/")
        },
        api::LifecycleRule { transitions: Some(vec![transition]), ..rule("down/") },
    ];
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, input).await.unwrap();
    stack.clock().advance(DAY * 2);
    wait_for("it has expired", || async { read(&client, get_input("old/a")).await.is_err().then_some(()) }).await;
    stack.clock().advance(MINUTE * 2);
    let found = journal(&stack, &client, "bucket", 2).await;
    let mut kinds = shown(&found, &["record_type", "key", "storage_class", "requester"]);
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [vec!["DELETE", "old/a", "-", "-"], vec!["UPDATE_METADATA", "down/b", "GLACIER", "s3.amazonaws.com"]]
    );
    assert!(found.iter().all(|row| row["source_ip_address"].is_null()));
}

#[tokio::test]
async fn replicas_and_their_markers_stand_in_the_journal_of_their_bucket() {
    let (stack, client) = frozen().await;
    replicated(&client).await;
    configure(&client, "copies", None, false, false).await;
    let version = put(&client, "in/k", "one").await.version_id.unwrap();
    let marker = client.call(api::DeleteObject, delete_input("in/k", None)).await.unwrap().version_id.unwrap();
    stack.clock().advance(MINUTE * 6);
    let found = journal(&stack, &client, "copies", 2).await;
    assert_eq!(
        shown(&found, &["record_type", "key", "version_id", "requester"]),
        [
            ["CREATE", "in/k", version.as_str(), "s3.amazonaws.com"],
            ["DELETE", "in/k", marker.as_str(), "s3.amazonaws.com"]
        ]
    );
    assert_eq!(found[1]["is_delete_marker"], true);
}

#[tokio::test]
async fn what_of_an_object_changes_stands_in_the_journal() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    configure(&client, "bucket", None, false, false).await;
    put(&client, "k", "x").await;
    let key = "arn:aws:kms:us-east-1:000000000000:key/12345678-1234-1234-1234-123456789012";
    let to_kms = api::SSEKMSEncryption { kms_key_arn: key.into(), bucket_key_enabled: Some(true) };
    let update = api::UpdateObjectEncryptionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        object_encryption: api::ObjectEncryption::Ssekms(to_kms),
        ..Default::default()
    };
    client.call(api::UpdateObjectEncryption, update).await.unwrap();
    let untag = api::DeleteObjectTaggingInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    client.call(api::DeleteObjectTagging, untag).await.unwrap();
    let named = api::ObjectIdentifier { key: "k".into(), ..Default::default() };
    let batch = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects: vec![named], quiet: None },
        ..Default::default()
    };
    client.call(api::DeleteObjects, batch).await.unwrap();
    stack.clock().advance(MINUTE * 6);
    let found = journal(&stack, &client, "bucket", 4).await;
    let names = ["record_type", "encryption_status", "kms_key_arn", "requester"];
    assert_eq!(
        shown(&found, &names),
        [
            ["CREATE", "SSE-S3", "-", "000000000000"],
            ["UPDATE_METADATA", "SSE-KMS", key, "000000000000"],
            ["UPDATE_METADATA", "SSE-KMS", key, "000000000000"],
            ["DELETE", "-", "-", "-"]
        ]
    );
    assert_eq!((&found[0]["is_bucket_key_enabled"], &found[1]["is_bucket_key_enabled"]), (&false.into(), &true.into()));
}

/// The clock stands still: what orders the records of a key is their number alone.
#[tokio::test]
async fn later_records_of_a_key_have_greater_numbers() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    configure(&client, "bucket", None, true, false).await;
    for round in 0..3 {
        put(&client, "k", &round.to_string()).await;
        client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    }
    put(&client, "k", "last").await;
    stack.clock().advance(MINUTE * 21);
    let found = journal(&stack, &client, "bucket", 7).await;
    let kinds = shown(&found, &["record_type"]).concat();
    assert_eq!(kinds, ["CREATE", "DELETE", "CREATE", "DELETE", "CREATE", "DELETE", "CREATE"]);
    let inventory = wait_for("the inventory is filled", || async {
        let found = rows(&stack, &client, "bucket", "inventory").await;
        (!found.is_empty()).then_some(found)
    });
    let inventory = inventory.await;
    assert_eq!((inventory.len(), &inventory[0]["size"]), (1, &Value::from(4)));
    assert!(inventory[0]["sequence_number"].as_str() <= found[6]["sequence_number"].as_str());
}

/// An inventory's file has a range of keys; a change writes its own anew, and no other.
#[tokio::test]
async fn a_change_writes_the_file_of_its_range_anew() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let annotate = |key: String, text: String| api::PutObjectAnnotationInput {
        bucket: "bucket".into(),
        key,
        annotation_name: "a".into(),
        annotation_payload: ByteStream::from(Bytes::from(text)),
        ..Default::default()
    };
    // A file ends with the key at which it has 16 MiB.
    for number in 0..20 {
        put(&client, &format!("k{number:02}"), "x").await;
        let input = annotate(format!("k{number:02}"), "t".repeat(1 << 20));
        client.call(api::PutObjectAnnotation, input).await.unwrap();
    }
    configure(&client, "bucket", None, false, true).await;
    stack.clock().advance(MINUTE * 21);
    let filled = wait_for("annotations are listed", || async {
        let metadata = load(&stack, "bucket", "annotation").await?;
        current(&metadata).is_some().then_some(metadata)
    });
    let before = files(&client, &filled.await).await;
    let counts: Vec<_> = before.iter().map(|file| file.rows).collect();
    assert_eq!(counts, [16, 4]);
    // By their keys, readers pass over files; long texts are cut, and versions that are null are counted.
    let bounds =
        |at: usize, id: i64| before[at].bounds.each_ref().map(|all| String::from_utf8(all[&id].clone()).unwrap());
    assert_eq!([bounds(0, 2), bounds(1, 2)], [["k00", "k15"], ["k16", "k19"]]);
    assert_eq!(bounds(0, 12), ["t".repeat(64), format!("{}u", "t".repeat(63))]);
    assert_eq!((before[0].nulls[&3], before[0].nulls[&11]), (0, 16));
    assert!(!before[0].bounds[0].contains_key(&11), "a column of nulls has no bounds");
    client.call(api::PutObjectAnnotation, annotate("k18".into(), "short".into())).await.unwrap();
    put(&client, "k19", "of another version").await;
    stack.clock().advance(MINUTE * 20);
    let changed = wait_for("a change is shown", || async {
        let metadata = load(&stack, "bucket", "annotation").await?;
        (metadata["snapshots"].as_array()?.len() == 2).then_some(metadata)
    });
    let after = files(&client, &changed.await).await;
    assert_eq!(after.iter().filter(|file| before.contains(file)).count(), 1, "{before:?} {after:?}");
    let shown = rows(&stack, &client, "bucket", "annotation").await;
    // The older version still has its own.
    assert_eq!(shown.len(), 20);
    let text = shown.iter().find(|row| row["object_key"] == "k18").unwrap();
    assert_eq!((&text["text_value"], &text["size"]), (&Value::from("short"), &Value::from(5)));
}

#[tokio::test]
async fn what_a_bucket_did_last_is_shown_when_its_configuration_is_gone() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    configure(&client, "bucket", None, true, false).await;
    stack.clock().advance(MINUTE * 21);
    wait_for("the table is there", || load(&stack, "bucket", "inventory")).await;
    put(&client, "k", "x").await;
    let input = api::DeleteBucketMetadataConfigurationInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucketMetadataConfiguration, input).await.unwrap();
    put(&client, "later", "x").await;
    let found = journal(&stack, &client, "bucket", 1).await;
    assert_eq!(found[0]["key"], "k");
    stack.clock().advance(DAY);
    // Nobody writes to it any more.
    put(&client, "much-later", "x").await;
    assert_eq!(rows(&stack, &client, "bucket", "journal").await.len(), 1);
}

/// A bucket that goes has been emptied first, and its journal says so.
#[tokio::test]
async fn what_a_bucket_did_last_is_shown_when_it_is_gone() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    configure(&client, "bucket", None, false, false).await;
    stack.clock().advance(MINUTE * 6);
    wait_for("the table is there", || load(&stack, "bucket", "journal")).await;
    put(&client, "k", "x").await;
    client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    let input = api::DeleteBucketInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucket, input).await.unwrap();
    stack.clock().advance(MINUTE * 2);
    let found = journal(&stack, &client, "bucket", 2).await;
    assert_eq!(shown(&found, &["record_type"]).concat(), ["CREATE", "DELETE"]);
    let nothing_waits = || async {
        let (changes, last) =
            (stack.count("s3", "metadata-changes").await, stack.count("s3", "metadata-last-changes").await);
        (changes + last == 0).then_some(())
    };
    wait_for("its changes are let go", nothing_waits).await;
}

#[tokio::test]
async fn a_version_that_is_deleted_by_its_id_is_named() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    put(&client, "k", "of no version").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    configure(&client, "bucket", None, false, false).await;
    let version = put(&client, "k", "x").await.version_id.unwrap();
    for id in [version.as_str(), "null"] {
        client.call(api::DeleteObject, delete_input("k", Some(id))).await.unwrap();
    }
    stack.clock().advance(MINUTE * 6);
    let found = journal(&stack, &client, "bucket", 3).await;
    let named = shown(&found, &["record_type", "version_id"]);
    assert_eq!(named, [["CREATE", version.as_str()], ["DELETE", version.as_str()], ["DELETE", "-"]]);
}

#[tokio::test]
async fn the_catalog_says_what_there_is_and_is_not() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    assert_eq!(ask(&stack, "GET", "{}/namespaces").await.0, 404);
    configure(&client, "bucket", None, false, false).await;
    stack.clock().advance(MINUTE * 6);
    wait_for("the table is there", || load(&stack, "bucket", "journal")).await;
    let (status, config) = ask(&stack, "GET", "config?warehouse={}").await;
    assert_eq!(
        (status, config["overrides"]["prefix"].as_str().map(|prefix| prefix.contains("%2Faws"))),
        (200, Some(true))
    );
    assert_eq!(ask(&stack, "GET", "{}/namespaces").await.1["namespaces"][0][0], "b_bucket");
    let (_, tables) = ask(&stack, "GET", "{}/namespaces/b_bucket/tables").await;
    assert_eq!(tables["identifiers"][0]["name"], "journal");
    for (method, path, status, kind) in [
        ("HEAD", "{}/namespaces/b_bucket", 204, None),
        ("HEAD", "{}/namespaces/b_bucket/tables/journal", 204, None),
        ("HEAD", "{}/namespaces/b_bucket/tables/none", 404, None),
        ("GET", "{}/namespaces/none", 404, Some("NoSuchNamespaceException")),
        ("GET", "{}/namespaces/none/tables", 404, Some("NoSuchNamespaceException")),
        ("GET", "{}/namespaces/b_bucket/tables/none", 404, Some("NoSuchTableException")),
        ("POST", "{}/namespaces", 403, Some("ForbiddenException")),
        ("POST", "{}/namespaces/b_bucket/tables/journal", 403, Some("ForbiddenException")),
        ("DELETE", "{}/namespaces/b_bucket/tables/journal", 400, Some("BadRequestException")),
        (
            "GET",
            "arn%3Aaws%3As3tables%3Aus-east-1%3A111111111111%3Abucket%2Faws-s3/namespaces",
            400,
            Some("BadRequestException"),
        ),
    ] {
        let (answered, body) = ask(&stack, method, path).await;
        assert_eq!((answered, body["error"]["type"].as_str()), (status, kind), "{method} {path}");
    }
    // A bucket may be called as the catalog is.
    bucket(&client, "iceberg").await;
    let input = api::PutObjectInput { bucket: "iceberg".into(), ..put_input("v1/config", "an object") };
    client.call(api::PutObject, input).await.unwrap();
    let get = api::GetObjectInput { bucket: "iceberg".into(), ..get_input("v1/config") };
    assert_eq!(read(&client, get).await.unwrap(), "an object");
}

/// A busy journal has the files of its last snapshots, and what a commit that was broken off left behind goes with the next.
#[tokio::test]
async fn files_that_nothing_leads_to_go() {
    let (stack, client) = frozen().await;
    bucket(&client, "bucket").await;
    configure(&client, "bucket", None, false, false).await;
    stack.clock().advance(MINUTE * 6);
    wait_for("the table is there", || load(&stack, "bucket", "journal")).await;
    let rounds = 14;
    for round in 1..=rounds {
        put(&client, "k", "x").await;
        stack.clock().advance(MINUTE + Duration::from_secs(1));
        journal(&stack, &client, "bucket", round).await;
    }
    // Of ten snapshots a list, a manifest, the metadata and one data file each; and the object.
    let expected = 10 * 4 + 1;
    let only_those = || async { (stack.count("s3", "objects").await == expected).then_some(()) };
    wait_for("older files are gone", only_those).await;

    let store = stack.host("s3").store().clone();
    let lane = fractus_aws::Lane::main();
    let account = fractus_aws::AccountId::default_account();
    let partition = fractus_aws::Partition::Aws;
    let scope = fractus_store::Scope::partition(&fractus_aws::World { lane, partition, account });
    let left = store.write(|tx| {
        use fractus_s3::metadata::{TABLES, publish};
        use fractus_s3::store::{BUCKETS, Content, OBJECTS};
        let all = fractus_store::Range::all();
        let (place, mut kept) = tx.first(&TABLES, &scope, all, fractus_store::Order::Ascending)?.unwrap();
        let bucket = tx.get(&BUCKETS, &scope, &(kept.storage().as_str(),))?.unwrap();
        let mut object = tx.get(&OBJECTS, &scope, &(bucket.id, kept.table.metadata.as_str()))?.unwrap();
        object.content = Content::Empty;
        tx.put(&OBJECTS, &scope, &(bucket.id, "data/left.parquet"), &object)?;
        kept.writing.push("data/left.parquet".into());
        publish::write(tx, &scope, &place, &kept)
    });
    left.await.unwrap();
    assert_eq!(stack.count("s3", "objects").await, expected + 1);
    stack.clock().advance(MINUTE + Duration::from_secs(1));
    wait_for("what was left is gone", only_those).await;
    assert_eq!(journal(&stack, &client, "bucket", rounds).await.len(), rounds);
}
