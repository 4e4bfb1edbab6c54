//! Destinations, policies, insights, auto-scaling.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_testkit::Client;

use super::*;

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/changes";
pub(super) const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/music";

fn destination() -> api::KinesisStreamingDestinationInput {
    api::KinesisStreamingDestinationInput {
        table_name: "music".into(),
        stream_arn: STREAM.into(),
        ..Default::default()
    }
}

async fn destinations(client: &Client) -> Vec<api::DestinationStatus> {
    let input = api::DescribeKinesisStreamingDestinationInput { table_name: "music".into() };
    let output = client.call(api::DescribeKinesisStreamingDestination, input).await.unwrap();
    let all = output.kinesis_data_stream_destinations.unwrap();
    all.into_iter().map(|own| own.destination_status.unwrap()).collect()
}

#[tokio::test]
async fn a_destination_comes_and_goes_by_the_clock() {
    let (stack, client) = started(Config { table_transition_secs: 10, ..Config::default() }).await;
    table(&client, "music").await;
    stack.clock().advance(secs(10));
    let enabled = client.call(api::EnableKinesisStreamingDestination, destination()).await.unwrap();
    assert_eq!(enabled.destination_status, Some(api::DestinationStatus::Enabling));
    let early = client.call(api::DisableKinesisStreamingDestination, destination()).await.unwrap_err();
    assert_eq!(early.code, "ResourceInUseException");
    stack.clock().advance(secs(10));
    assert_eq!(destinations(&client).await, [api::DestinationStatus::Active]);
    let twice = client.call(api::EnableKinesisStreamingDestination, destination()).await.unwrap_err();
    assert_eq!(twice.code, "ResourceInUseException");
    let update = api::UpdateKinesisStreamingDestinationInput {
        table_name: "music".into(),
        stream_arn: STREAM.into(),
        update_kinesis_streaming_configuration: Some(api::UpdateKinesisStreamingConfiguration {
            approximate_creation_date_time_precision: Some(api::ApproximateCreationDateTimePrecision::Microsecond),
        }),
    };
    client.call(api::UpdateKinesisStreamingDestination, update.clone()).await.unwrap();
    assert_eq!(destinations(&client).await, [api::DestinationStatus::Updating]);
    stack.clock().advance(secs(10));
    let same = client.call(api::UpdateKinesisStreamingDestination, update).await.unwrap_err();
    assert_eq!(same.code, "ValidationException");
    client.call(api::DisableKinesisStreamingDestination, destination()).await.unwrap();
    assert_eq!(destinations(&client).await, [api::DestinationStatus::Disabling]);
    stack.clock().advance(secs(10));
    assert_eq!(destinations(&client).await, [api::DestinationStatus::Disabled]);
}

pub(super) fn policy(action: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "111122223333"},
            "Action": action,
            "Resource": TABLE,
        }],
    })
    .to_string()
}

#[tokio::test]
async fn a_policy_has_revisions() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    let put = |policy: String, expected: Option<&str>| {
        let input = api::PutResourcePolicyInput {
            resource_arn: TABLE.into(),
            policy,
            expected_revision_id: expected.map(str::to_owned),
            ..Default::default()
        };
        let client = client.clone();
        async move { client.call(api::PutResourcePolicy, input).await.map(|output| output.revision_id.unwrap()) }
    };
    let get = || client.call(api::GetResourcePolicy, api::GetResourcePolicyInput { resource_arn: TABLE.into() });
    assert_eq!(get().await.unwrap_err().code, "PolicyNotFoundException");
    let first = put(policy("dynamodb:GetItem"), Some("NO_POLICY")).await.unwrap();
    assert_eq!(put(policy("dynamodb:GetItem"), None).await.unwrap(), first);
    assert_eq!(put(policy("dynamodb:PutItem"), Some("NO_POLICY")).await.unwrap_err().code, "PolicyNotFoundException");
    let second = put(policy("dynamodb:PutItem"), Some(&first)).await.unwrap();
    assert_ne!(first, second);
    let got = get().await.unwrap();
    assert_eq!((got.policy, got.revision_id.as_ref()), (Some(policy("dynamodb:PutItem")), Some(&second)));
    assert_eq!(put("{\"no\": \"policy\"}".into(), None).await.unwrap_err().code, "ValidationException");
    let delete = |expected: Option<String>| api::DeleteResourcePolicyInput {
        resource_arn: TABLE.into(),
        expected_revision_id: expected,
    };
    let wrong = client.call(api::DeleteResourcePolicy, delete(Some(first))).await.unwrap_err();
    assert_eq!(wrong.code, "PolicyNotFoundException");
    let gone = client.call(api::DeleteResourcePolicy, delete(Some(second.clone()))).await.unwrap();
    assert_eq!(gone.revision_id, Some(second));
    assert_eq!(client.call(api::DeleteResourcePolicy, delete(None)).await.unwrap().revision_id, None);
}

#[tokio::test]
async fn insights_and_auto_scaling_are_kept_and_told() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    let update = api::UpdateContributorInsightsInput {
        table_name: "music".into(),
        index_name: Some("by-n".into()),
        contributor_insights_action: api::ContributorInsightsAction::Enable,
        ..Default::default()
    };
    client.call(api::UpdateContributorInsights, update).await.unwrap();
    let listed = client.call(api::ListContributorInsights, api::ListContributorInsightsInput::default()).await.unwrap();
    let listed = listed.contributor_insights_summaries.unwrap();
    assert_eq!(listed[0].index_name.as_deref(), Some("by-n"));
    assert_eq!(listed[0].contributor_insights_status, Some(api::ContributorInsightsStatus::Enabled));
    let whole = api::DescribeContributorInsightsInput { table_name: "music".into(), index_name: None };
    let whole = client.call(api::DescribeContributorInsights, whole).await.unwrap();
    assert_eq!(whole.contributor_insights_status, Some(api::ContributorInsightsStatus::Disabled));

    let range =
        api::AutoScalingSettingsUpdate { minimum_units: Some(5), maximum_units: Some(50), ..Default::default() };
    let update = api::UpdateTableReplicaAutoScalingInput {
        table_name: "music".into(),
        provisioned_write_capacity_auto_scaling_update: Some(range),
        ..Default::default()
    };
    client.call(api::UpdateTableReplicaAutoScaling, update).await.unwrap();
    let told = api::DescribeTableReplicaAutoScalingInput { table_name: "music".into() };
    let told = client.call(api::DescribeTableReplicaAutoScaling, told).await.unwrap();
    let replicas = told.table_auto_scaling_description.unwrap().replicas.unwrap();
    let write = replicas[0].replica_provisioned_write_capacity_auto_scaling_settings.clone().unwrap();
    assert_eq!((write.minimum_units, write.maximum_units), (Some(5), Some(50)));
    let read = replicas[0].replica_provisioned_read_capacity_auto_scaling_settings.clone().unwrap();
    assert_eq!(read.auto_scaling_disabled, Some(true));
}

#[tokio::test]
async fn a_table_of_another_account_is_reached_by_its_arn() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    let guest = client.clone().as_account("111122223333");
    let input = api::PutItemInput { table_name: TABLE.into(), item: item("a", 1), ..Default::default() };
    guest.call(api::PutItem, input).await.unwrap();
    assert_eq!(number(&client, "music", "a").await.as_deref(), Some("1"));
    assert_eq!(number(&guest, TABLE, "a").await.as_deref(), Some("1"));
    let own = guest.call(api::DescribeTable, api::DescribeTableInput { table_name: "music".into() }).await.unwrap_err();
    assert_eq!(own.code, "ResourceNotFoundException");
    let scanned = api::ScanInput { table_name: TABLE.into(), ..Default::default() };
    assert_eq!(guest.call(api::Scan, scanned).await.unwrap().count, Some(1));
}

#[tokio::test]
async fn another_account_does_what_the_table_s_policy_allows() {
    let (_stack, client) = enforced().await;
    table(&client, "music").await;
    put(&client, "music", "a", 1).await;
    let guest = client.clone().as_account("111122223333");
    let get = || {
        let key = [("pk".to_owned(), S("a".into()))].into_iter().collect();
        let input = api::GetItemInput { table_name: TABLE.into(), key, ..Default::default() };
        let guest = guest.clone();
        async move { guest.call(api::GetItem, input).await }
    };
    assert_eq!(get().await.unwrap_err().code, "AccessDeniedException");
    let input = api::PutResourcePolicyInput {
        resource_arn: TABLE.into(),
        policy: policy("dynamodb:GetItem"),
        ..Default::default()
    };
    client.call(api::PutResourcePolicy, input).await.unwrap();
    assert!(get().await.unwrap().item.is_some());
    let write = api::PutItemInput { table_name: TABLE.into(), item: item("b", 1), ..Default::default() };
    assert_eq!(guest.call(api::PutItem, write).await.unwrap_err().code, "AccessDeniedException");
}

/// What a stream would get: the deliveries are taken where Kinesis would take them.
#[tokio::test(flavor = "multi_thread")]
async fn changes_go_to_the_stream_as_records() {
    use fractus_bus::{Bus, BusConfig, ConsumeConfig, Outcome};

    let mut stack = fractus_testkit::Stack::new()
        .with("dynamodb", |host| fractus_dynamodb::start(Config::default(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .with_nats()
        .start()
        .await;
    let client = stack.client("dynamodb").api(&api::MODEL);
    let bus = Bus::connect(BusConfig::new(Some(stack.nats().url.clone()), "kinesis", "a-stream".to_owned()));
    let (taken, mut records) = tokio::sync::mpsc::unbounded_channel();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        let taken = taken.clone();
        async move {
            taken.send(delivery).unwrap();
            Outcome::Done
        }
    });
    table(&client, "music").await;
    put(&client, "music", "before", 1).await;
    client.call(api::EnableKinesisStreamingDestination, destination()).await.unwrap();
    put(&client, "music", "a", 1).await;
    put(&client, "music", "a", 2).await;
    delete(&client, "music", "a").await;
    stack.clock().advance(secs(2));
    let mut told = Vec::new();
    for _ in 0..3 {
        let delivery = tokio::time::timeout(secs(20), records.recv()).await.unwrap().unwrap();
        assert_eq!((delivery.target.to_string().as_str(), delivery.action.as_str()), (STREAM, "kinesis:PutRecord"));
        assert!(delivery.parameters["PartitionKey"].is_string());
        told.push(serde_json::from_str::<serde_json::Value>(delivery.body.as_text().unwrap()).unwrap());
    }
    let names: Vec<_> = told.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"]);
    assert_eq!((&told[1]["eventSource"], &told[1]["tableName"]), (&"aws:dynamodb".into(), &"music".into()));
    let change = &told[1]["dynamodb"];
    assert_eq!(change["ApproximateCreationDateTime"], 1_767_225_600_000_u64);
    assert_eq!(change["Keys"], serde_json::json!({"pk": {"S": "a"}}));
    assert_eq!((&change["OldImage"]["n"]["N"], &change["NewImage"]["n"]["N"]), (&"1".into(), &"2".into()));
    client.call(api::DisableKinesisStreamingDestination, destination()).await.unwrap();
    put(&client, "music", "after", 1).await;
    stack.clock().advance(secs(2));
    tokio::time::timeout(Duration::from_millis(300), records.recv()).await.unwrap_err();
}
