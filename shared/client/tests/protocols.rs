//! One call in each protocol, by name: what is sent is what the service reads, and back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use bytes::Bytes;
use common::{Server, serve};
use fractus_aws::{Region, World};
use fractus_client::{Calls, Client, Endpoints};
use fractus_clock::Timestamp;
use fractus_models::{Api, folder};
use fractus_s3_api::{GetObject, GetObjectInput, PutObject, PutObjectInput};
use fractus_wire::document_io::to_document;
use fractus_wire::{ByteStream, Document, DynamicShape, Payload, ServiceSchema, Shape, dynamic};
use http_body::Frame;
use http_body_util::StreamBody;

fn schema(api: &str) -> &'static ServiceSchema {
    dynamic::leak(&Api::read(&folder(), api).unwrap()).unwrap()
}

fn calls(server: &Server) -> Calls {
    Client::new(Endpoints::at(server.url.parse().unwrap())).on_behalf(World::default_world(), Region::us_east_1())
}

fn text(text: &str) -> Document {
    Document::String(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Document); N]) -> Document {
    Document::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Calls once; the service expects `input` and answers `output`.
async fn exchange(api: &'static str, operation: &str, input: Document, output: Document) -> (Document, common::Seen) {
    let schema = schema(api);
    let (expected, members) = (input.clone(), output);
    let server = serve(schema, "test", move |seen, input| {
        assert_eq!(to_document(&input).unwrap(), expected);
        let Document::Map(members) = members.clone() else { panic!("not a map") };
        Ok(DynamicShape::from_members(schema.operation(seen.operation).unwrap().output, members))
    })
    .await;
    let answer = calls(&server).call_dynamic(api, operation, input).await.unwrap();
    let seen = server.seen.lock().remove(0);
    (answer, seen)
}

#[tokio::test]
async fn cbor() {
    let input = map([
        ("Namespace", text("App")),
        ("MetricName", text("Latency")),
        ("StartTime", Document::Timestamp(Timestamp::from_secs(1_700_000_000))),
        ("EndTime", Document::Timestamp(Timestamp::from_secs(1_700_003_600))),
        ("Period", Document::Integer(60)),
        ("Statistics", Document::List(vec![text("Average")])),
    ]);
    let point = map([
        ("Timestamp", Document::Timestamp(Timestamp::from_secs(1_700_000_060))),
        ("Average", Document::Double(1.5)),
    ]);
    let output = map([("Label", text("Latency")), ("Datapoints", Document::List(vec![point]))]);
    let (answer, seen) = exchange("cloudwatch", "GetMetricStatistics", input, output.clone()).await;
    assert_eq!(answer, output);
    assert_eq!(seen.head.uri.path(), "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics");
    assert_eq!(seen.head.headers["content-type"], "application/cbor");
}

#[tokio::test]
async fn rest_json_with_labels_queries_and_headers() {
    let input = map([("GroupName", text("my group/1")), ("Name", text("nightly"))]);
    let output = map([("Name", text("nightly")), ("ScheduleExpression", text("rate(1 hour)"))]);
    let (answer, seen) = exchange("scheduler", "GetSchedule", input, output.clone()).await;
    assert_eq!(answer, output);
    assert_eq!(seen.head.uri.to_string(), "/schedules/nightly?groupName=my%20group%2F1");
    assert_eq!(seen.access_key.as_deref(), Some("000000000000"));
}

#[tokio::test]
async fn json_of_version_1_1_and_a_document_of_a_union() {
    let item =
        map([("id", map([("S", text("a"))])), ("tags", map([("L", Document::List(vec![map([("N", text("1"))])]))]))]);
    let input = map([("TableName", text("t")), ("Item", item.clone())]);
    let (answer, _) = exchange("dynamodb", "PutItem", input, map([("Attributes", item.clone())])).await;
    assert_eq!(answer, map([("Attributes", item)]));
    let input = map([("Name", text("bus"))]);
    let (answer, seen) = exchange("events", "CreateEventBus", input, map([("EventBusArn", text("arn"))])).await;
    assert_eq!(answer, map([("EventBusArn", text("arn"))]));
    assert_eq!(seen.head.headers["x-amz-target"], "AWSEvents.CreateEventBus");
    assert_eq!(seen.head.headers["content-type"], "application/x-amz-json-1.1");
}

#[tokio::test]
async fn tokens_are_filled_in_and_hosts_get_their_prefix() {
    let schema = schema("scheduler");
    let server = serve(schema, "test", move |seen, input| {
        let Some(Document::String(token)) = input.members.get("ClientToken") else { panic!("no token") };
        assert_eq!(token.len(), 36);
        let members = map([("ScheduleGroupArn", text("arn"))]);
        let Document::Map(members) = members else { panic!() };
        Ok(DynamicShape::from_members(schema.operation(seen.operation).unwrap().output, members))
    })
    .await;
    let answer = calls(&server).call_dynamic("scheduler", "CreateScheduleGroup", map([("Name", text("g"))])).await;
    assert_eq!(answer.unwrap(), map([("ScheduleGroupArn", text("arn"))]));
    let input = map([("stateMachineArn", text("arn")), ("input", text("{}"))]);
    let (_, seen) = exchange("stepfunctions", "StartSyncExecution", input, map([("output", text("{}"))])).await;
    assert!(seen.head.headers["host"].to_str().unwrap().starts_with("sync-127.0.0.1:"));
}

#[tokio::test]
async fn query() {
    let tag = |key: &str| map([("Key", text(key)), ("Value", text("v"))]);
    let input = map([
        ("RoleArn", text("arn:aws:iam::123456789012:role/r")),
        ("RoleSessionName", text("s")),
        ("DurationSeconds", Document::Integer(900)),
        ("Tags", Document::List(vec![tag("a"), tag("b")])),
    ]);
    let credentials = map([
        ("AccessKeyId", text("ASIA")),
        ("SecretAccessKey", text("secret")),
        ("SessionToken", text("token")),
        ("Expiration", Document::Timestamp(Timestamp::from_secs(1_700_000_000))),
    ]);
    let output = map([("Credentials", credentials)]);
    let (answer, _) = exchange("sts", "AssumeRole", input, output.clone()).await;
    assert_eq!(answer, output);
}

#[tokio::test]
async fn unsigned_operations_are_not_signed() {
    let input = map([
        ("RoleArn", text("arn:aws:iam::123456789012:role/r")),
        ("RoleSessionName", text("s")),
        ("WebIdentityToken", text("jwt")),
    ]);
    let (_, seen) = exchange("sts", "AssumeRoleWithWebIdentity", input, map([("Audience", text("a"))])).await;
    assert_eq!((seen.access_key, seen.head.headers.get("authorization")), (None, None));
}

#[tokio::test]
async fn ec2_query() {
    let input =
        map([("InstanceIds", Document::List(vec![text("i-1"), text("i-2")])), ("DryRun", Document::Boolean(true))]);
    let change = map([("InstanceId", text("i-1"))]);
    let output = map([("StartingInstances", Document::List(vec![change]))]);
    let (answer, _) = exchange("ec2", "StartInstances", input, output.clone()).await;
    assert_eq!(answer, output);
}

#[tokio::test]
async fn rest_xml_with_a_checksum() {
    let object = |key: &str| map([("Key", text(key))]);
    let input = map([
        ("Bucket", text("b")),
        (
            "Delete",
            map([
                ("Objects", Document::List(vec![object("a & b"), object("<c>")])),
                ("Quiet", Document::Boolean(true)),
            ]),
        ),
    ]);
    let output = map([("Deleted", Document::List(vec![object("a & b")]))]);
    let (answer, seen) = exchange("s3", "DeleteObjects", input, output.clone()).await;
    assert_eq!(answer, output);
    assert_eq!((seen.head.uri.to_string().as_str(), seen.head.headers["content-md5"].len()), ("/b?delete", 24));
}

/// S3, as far as it takes an object, gives one, and selects from one.
async fn s3() -> Server {
    let s3 = schema("s3");
    serve(s3, "test", move |seen, mut input| {
        let mut output = DynamicShape::new(s3.operation(seen.operation).unwrap().output);
        match (seen.operation, input.take_payload()) {
            ("PutObject", Payload::Bytes(body)) => {
                output.members.insert("ETag".to_owned(), text(&format!("{:?}", body.length_bytes())));
            }
            ("GetObject", _) => output.set_payload(Payload::Bytes(ByteStream::Whole("hello".into()))),
            ("SelectObjectContent", _) => {
                let union = s3.operation(seen.operation).unwrap().output.members[0].target;
                let event = |members: Document| {
                    let Document::Map(members) = members else { panic!("not a map") };
                    Ok(Box::new(DynamicShape::from_members(union, members)) as Box<dyn Shape>)
                };
                let records = map([("Payload", Document::Blob("a,b".into()))]);
                let events = [event(map([("Records", records)])), event(map([("End", map([]))]))];
                output.set_payload(Payload::Events(Box::pin(futures::stream::iter(events))));
            }
            other => panic!("{other:?}"),
        }
        Ok(output)
    })
    .await
}

#[tokio::test]
async fn bodies_that_flow_are_blobs_in_documents() {
    let server = s3().await;
    let input = map([("Bucket", text("b")), ("Key", text("a folder/ü+?")), ("Body", text("hello"))]);
    let put = calls(&server).call_dynamic("s3", "PutObject", input).await.unwrap();
    assert_eq!(put, map([("ETag", text("Some(5)"))]));
    assert_eq!(server.seen.lock()[0].head.uri.path(), "/b/a%20folder/%C3%BC%2B%3F");
    let get =
        calls(&server).call_dynamic("s3", "GetObject", map([("Bucket", text("b")), ("Key", text("k"))])).await.unwrap();
    assert_eq!(get.get("Body"), Some(&Document::Blob("hello".into())));
}

#[tokio::test]
async fn events_are_a_list_in_documents() {
    let server = s3().await;
    let input = map([
        ("Bucket", text("b")),
        ("Key", text("k")),
        ("Expression", text("SELECT * FROM S3Object")),
        ("ExpressionType", text("SQL")),
        ("InputSerialization", map([("CSV", map([]))])),
        ("OutputSerialization", map([("CSV", map([]))])),
    ]);
    let answer = calls(&server).call_dynamic("s3", "SelectObjectContent", input).await.unwrap();
    let records = map([("Records", map([("Payload", Document::Blob("a,b".into()))]))]);
    assert_eq!(answer, map([("Payload", Document::List(vec![records, map([("End", map([]))])]))]));
}

#[tokio::test]
async fn typed_bodies_flow_both_ways() {
    let server = s3().await;
    let pieces = ["hel", "lo ", "world"].map(|piece| Ok(Frame::data(Bytes::from(piece))));
    let body = StreamBody::new(futures::stream::iter(pieces));
    let input = PutObjectInput {
        bucket: "b".to_owned(),
        key: "k".to_owned(),
        body: ByteStream::from_body(body, Some(11)),
        ..Default::default()
    };
    let put = calls(&server).call::<PutObject>(input).await.unwrap();
    assert_eq!(put.e_tag.as_deref(), Some("Some(11)"));
    assert_eq!(server.seen.lock()[0].head.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    let input = GetObjectInput { bucket: "b".to_owned(), key: "k".to_owned(), ..Default::default() };
    let get = calls(&server).call::<GetObject>(input).await.unwrap();
    assert_eq!(get.body.length_bytes(), Some(5));
    assert_eq!(get.body.collect(100).await.unwrap(), "hello");
}
