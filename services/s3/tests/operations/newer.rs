//! Queries, annotations, digests of documents, older versions that move down, and the ends of restores.

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use fractus_testkit::wait_for;
use futures::StreamExt;

use crate::versions::{of_version, set_versioning};
use crate::*;

const DAY: Duration = Duration::from_secs(86_400);

async fn ask(client: &Client, key: &str, query: &str, input: api::InputSerialization) -> Result<String, Failure> {
    let input = api::SelectObjectContentInput {
        bucket: "bucket".into(),
        key: key.into(),
        expression: query.into(),
        expression_type: api::ExpressionType::Sql,
        input_serialization: input,
        output_serialization: api::OutputSerialization { csv: Some(Default::default()), json: None },
        ..Default::default()
    };
    let answer = client.call(api::SelectObjectContent, input).await?;
    let (mut records, mut last) = (Vec::new(), String::new());
    let mut events = answer.payload.0;
    while let Some(event) = events.next().await {
        last = match event? {
            api::SelectObjectContentEventStream::Records(part) => {
                records.extend(part.payload.unwrap_or_default());
                "records".into()
            }
            api::SelectObjectContentEventStream::Stats(stats) => {
                let details = stats.details.unwrap_or_default();
                assert_eq!(details.bytes_returned, Some(records.len() as i64));
                "stats".into()
            }
            api::SelectObjectContentEventStream::End(_) => "end".into(),
            _ => "other".into(),
        };
    }
    assert_eq!(last, "end");
    Ok(String::from_utf8(records).unwrap())
}

fn csv(compression: Option<api::CompressionType>) -> api::InputSerialization {
    let csv = api::CSVInput { file_header_info: Some(api::FileHeaderInfo::Use), ..Default::default() };
    api::InputSerialization { csv: Some(csv), compression_type: compression, ..Default::default() }
}

#[tokio::test]
async fn a_query_over_many_packed_records_comes_in_pieces() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"id,text\n").unwrap();
    for id in 0..20_000 {
        writeln!(packed, "{id},row number {id}").unwrap();
    }
    let body = ByteStream::from(Bytes::from(packed.finish().unwrap()));
    let input = api::PutObjectInput { bucket: "bucket".into(), key: "rows.gz".into(), body, ..Default::default() };
    client.call(api::PutObject, input).await.unwrap();
    let gzip = || csv(Some(api::CompressionType::Gzip));
    let all = ask(&client, "rows.gz", "SELECT * FROM S3Object", gzip()).await.unwrap();
    assert_eq!(all.lines().count(), 20_000);
    let some = "SELECT s.id FROM S3Object s WHERE s.id >= 19998 OR s.text LIKE '% 7' LIMIT 2";
    assert_eq!(ask(&client, "rows.gz", some, gzip()).await.unwrap(), "7\n19998\n");
    let sum = "SELECT SUM(CAST(s.id AS INT)) FROM S3Object s";
    assert_eq!(ask(&client, "rows.gz", sum, gzip()).await.unwrap(), "199990000\n");
    let wrong = ask(&client, "rows.gz", "SELECT s.id FROM S3Object s", csv(None)).await.unwrap_err();
    assert_eq!(wrong.code, "InvalidTextEncoding");
    let missing = ask(&client, "rows.gz", "SELECT s.height FROM S3Object s", gzip()).await.unwrap_err();
    assert_eq!(missing.code, "MissingHeaders");
    let refused = ask(&client, "rows.gz", "SELECT s.id FROM S3Object s ORDER BY s.id", gzip()).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("UnsupportedSyntax", 400));
}

#[tokio::test]
async fn documents_are_held_against_their_digests() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "k", "x").await;
    let objects = vec![api::ObjectIdentifier { key: "k".into(), ..Default::default() }];
    let input = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects, quiet: None },
        ..Default::default()
    };
    let wrong = || client_of(&stack).with_header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    let refused = wrong().call(api::DeleteObjects, input.clone()).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("BadDigest", 400));
    let wrong = client_of(&stack).with_header("x-amz-checksum-crc32", "AAAAAA==");
    let refused = wrong.call(api::DeleteObjects, input.clone()).await.unwrap_err();
    assert_eq!(refused.code, "BadDigest");
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "x");
    client.call(api::DeleteObjects, input).await.unwrap();
    assert!(read(&client, get_input("k")).await.is_err());
}

#[tokio::test]
async fn older_versions_move_down_by_the_clock() {
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .frozen_at("2030-01-15T10:30:00Z")
        .start()
        .await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let to = api::NoncurrentVersionTransition {
        noncurrent_days: Some(30),
        storage_class: Some(api::TransitionStorageClass::Glacier),
        newer_noncurrent_versions: Some(1),
    };
    let rule = api::LifecycleRule {
        id: Some("down".into()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some(String::new()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        noncurrent_version_transitions: Some(vec![to]),
        ..Default::default()
    };
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules: vec![rule] }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, input).await.unwrap();
    let large = "x".repeat(200_000);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(put(&client, "k", &large).await.version_id.unwrap());
    }
    stack.clock().advance(DAY * 32);
    let class = async |id: &str| {
        let input = api::HeadObjectInput {
            bucket: "bucket".into(),
            key: "k".into(),
            version_id: Some(id.into()),
            ..Default::default()
        };
        client.call(api::HeadObject, input).await.unwrap().storage_class
    };
    wait_for("the oldest has moved", || async {
        (class(&ids[0]).await == Some(api::StorageClass::Glacier)).then_some(())
    })
    .await;
    assert_eq!(class(&ids[1]).await, None, "one newer older version stays");
    assert_eq!(read(&client, of_version("k", &ids[1])).await.unwrap(), large);
    assert_eq!(read(&client, of_version("k", &ids[0])).await.unwrap_err().code, "InvalidObjectState");
}

#[tokio::test]
async fn annotations_hang_on_a_version_and_have_bounds() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let first = put(&client, "k", "one").await.version_id.unwrap();
    let annotate = |name: &str, text: &str| api::PutObjectAnnotationInput {
        bucket: "bucket".into(),
        key: "k".into(),
        annotation_name: name.into(),
        annotation_payload: ByteStream::from(Bytes::from(text.to_owned())),
        ..Default::default()
    };
    client.call(api::PutObjectAnnotation, annotate("a", "of the first")).await.unwrap();
    put(&client, "k", "two").await;
    let get = |version_id: Option<String>| api::GetObjectAnnotationInput {
        bucket: "bucket".into(),
        key: "k".into(),
        annotation_name: "a".into(),
        version_id,
        ..Default::default()
    };
    assert_eq!(client.call(api::GetObjectAnnotation, get(None)).await.unwrap_err().code, "NoSuchAnnotation");
    let found = client.call(api::GetObjectAnnotation, get(Some(first))).await.unwrap();
    assert_eq!(found.annotation_payload.collect(100).await.unwrap(), "of the first");
    let code = async |name: &str, text: &str| {
        client.call(api::PutObjectAnnotation, annotate(name, text)).await.unwrap_err().code.into_owned()
    };
    assert_eq!(code(&"n".repeat(513), "x").await, "AnnotationNameTooLong");
    assert_eq!(code("a\u{7}", "x").await, "InvalidAnnotationName");
    assert_eq!(code("a", "").await, "InvalidRequest");
    assert_eq!(code("a", &"x".repeat(1024 * 1024 + 1)).await, "EntityTooLarge");
}

const ZONED: &str = "logs--use1-az4--x-s3";

async fn directory(client: &Client) {
    let configuration = api::CreateBucketConfiguration {
        location: Some(api::LocationInfo {
            r#type: Some(api::LocationType::AvailabilityZone),
            name: Some("use1-az4".into()),
        }),
        bucket: Some(api::BucketInfo {
            r#type: Some(api::BucketType::Directory),
            data_redundancy: Some(api::DataRedundancy::SingleAvailabilityZone),
        }),
        ..Default::default()
    };
    let input = api::CreateBucketInput {
        bucket: ZONED.into(),
        create_bucket_configuration: Some(configuration),
        ..Default::default()
    };
    client.call(api::CreateBucket, input).await.unwrap();
}

fn at(offset: i64, body: &str) -> api::PutObjectInput {
    api::PutObjectInput { bucket: ZONED.into(), write_offset_bytes: Some(offset), ..put_input("log", body) }
}

#[tokio::test]
async fn objects_of_directory_buckets_grow_at_their_end() {
    let stack = stack().await;
    let client = client_of(&stack);
    directory(&client).await;
    assert_eq!(client.call(api::PutObject, at(3, "x")).await.unwrap_err().code, "InvalidWriteOffset");
    // Beyond what stays small, and with pieces on both sides of that.
    let pieces = ["one ".to_owned(), "two ".repeat(20), "three ".to_owned(), "four ".repeat(400)];
    let (mut offset, mut tags) = (0, Vec::new());
    for piece in &pieces {
        let put = client.call(api::PutObject, at(offset, piece)).await.unwrap();
        offset += piece.len() as i64;
        assert_eq!(put.size, Some(offset));
        tags.push(put.e_tag.unwrap());
    }
    tags.dedup();
    assert_eq!(tags.len(), pieces.len());
    let get = api::GetObjectInput {
        bucket: ZONED.into(),
        checksum_mode: Some(api::ChecksumMode::Enabled),
        ..get_input("log")
    };
    let got = client.call(api::GetObject, get.clone()).await.unwrap();
    let whole = pieces.concat();
    // Of the whole, joined from what each write brought.
    let mut crc = crc64fast_nvme::Digest::new();
    crc.write(whole.as_bytes());
    let crc = base64::engine::general_purpose::STANDARD.encode(crc.sum64().to_be_bytes());
    assert_eq!((got.checksum_crc64_nvme, got.checksum_type), (Some(crc), Some(api::ChecksumType::FullObject)));
    assert_eq!(read(&client, get.clone()).await.unwrap(), whole);
    let part = api::GetObjectInput { part_number: Some(2), ..get };
    assert_eq!(read(&client, part).await.unwrap(), pieces[1]);
    let late = client.call(api::PutObject, at(4, "x")).await.unwrap_err();
    assert_eq!((late.code.as_ref(), late.status), ("InvalidWriteOffset", 400));
    let other =
        api::PutObjectInput { server_side_encryption: Some(api::ServerSideEncryption::AwsKms), ..at(offset, "x") };
    assert_eq!(client.call(api::PutObject, other).await.unwrap_err().code, "EncryptionTypeMismatch");
    bucket(&client, "bucket").await;
    let elsewhere = api::PutObjectInput { write_offset_bytes: Some(0), ..put_input("log", "x") };
    assert_eq!(client.call(api::PutObject, elsewhere).await.unwrap_err().code, "NotImplemented");
}
