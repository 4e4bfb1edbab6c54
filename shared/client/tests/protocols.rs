//! One call in each protocol, by name: what is sent is what the service reads, and back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Server, serve};
use fractus_aws::{Region, World};
use fractus_client::{Calls, Client, Endpoints};
use fractus_clock::Timestamp;
use fractus_models::{Api, folder};
use fractus_wire::document_io::to_document;
use fractus_wire::{Document, DynamicShape, ServiceSchema, dynamic};

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
