//! Global tables: what all replicas have alike, and strong consistency over regions.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_testkit::Client;

use super::*;

const WEST: &str = "us-west-2";

fn create(region: &str) -> api::ReplicationGroupUpdate {
    let create = api::CreateReplicationGroupMemberAction { region_name: region.into(), ..Default::default() };
    api::ReplicationGroupUpdate { create: Some(create), ..Default::default() }
}

fn delete_of(region: &str) -> api::ReplicationGroupUpdate {
    let delete = api::DeleteReplicationGroupMemberAction { region_name: region.into() };
    api::ReplicationGroupUpdate { delete: Some(delete), ..Default::default() }
}

async fn update(client: &Client, input: api::UpdateTableInput) -> Result<(), (String, String)> {
    let input = api::UpdateTableInput { table_name: "music".into(), ..input };
    let told = |failure: fractus_wire::Failure| (failure.code.to_string(), failure.message.clone());
    client.call(api::UpdateTable, input).await.map(|_| ()).map_err(told)
}

async fn strong_table(client: &Client) {
    table(client, "music").await;
    let input = api::UpdateTableInput {
        multi_region_consistency: Some(api::MultiRegionConsistency::Strong),
        replica_updates: Some(vec![create(WEST), create("us-east-2")]),
        ..Default::default()
    };
    update(client, input).await.unwrap();
}

async fn streamed(client: &Client) -> Vec<api::streams::Record> {
    let streams = client.clone().api(&api::streams::MODEL);
    let arn = described(client, "music").await.latest_stream_arn.unwrap();
    let described = api::streams::DescribeStreamInput { stream_arn: arn.clone(), ..Default::default() };
    let shards = streams.call(api::streams::DescribeStream, described).await.unwrap().stream_description.unwrap();
    let input = api::streams::GetShardIteratorInput {
        stream_arn: arn,
        shard_id: shards.shards.unwrap()[0].shard_id.clone().unwrap(),
        shard_iterator_type: api::streams::ShardIteratorType::TrimHorizon,
        ..Default::default()
    };
    let iterator = streams.call(api::streams::GetShardIterator, input).await.unwrap().shard_iterator.unwrap();
    let input = api::streams::GetRecordsInput { shard_iterator: iterator, ..Default::default() };
    streams.call(api::streams::GetRecords, input).await.unwrap().records.unwrap()
}

#[tokio::test]
async fn strongly_consistent_replicas_are_one_table() {
    let (_stack, east) = started(Config::default()).await;
    let (west, middle) = (east.clone().in_region(WEST), east.clone().in_region("us-east-2"));
    strong_table(&east).await;
    let stream =
        api::StreamSpecification { stream_enabled: true, stream_view_type: Some(api::StreamViewType::KeysOnly) };
    for client in [&east, &west] {
        let input = api::UpdateTableInput { stream_specification: Some(stream.clone()), ..Default::default() };
        update(client, input).await.unwrap();
    }
    put(&east, "music", "a", 1).await;
    put(&west, "music", "b", 2).await;
    put(&middle, "music", "a", 3).await;
    delete(&west, "music", "b").await;
    for client in [&east, &west, &middle] {
        assert_eq!(number(client, "music", "a").await.as_deref(), Some("3"));
        assert_eq!(get(client, "music", "b").await, None);
        assert_eq!(count(client, "music").await, 1);
    }
    // A stream is a replica's own; what there is of it is the same in the same order.
    assert_eq!(described(&middle, "music").await.stream_specification, None);
    let told = |records: Vec<api::streams::Record>| {
        let one = |own: api::streams::Record| (own.event_name, own.dynamodb.and_then(|change| change.keys));
        records.into_iter().map(one).collect::<Vec<_>>()
    };
    let (here, there) = (told(streamed(&east).await), told(streamed(&west).await));
    assert_eq!(here.len(), 4);
    assert_eq!(here, there);
    // It ends as a whole, and what was in the table stays.
    let one =
        update(&east, api::UpdateTableInput { replica_updates: Some(vec![delete_of(WEST)]), ..Default::default() });
    assert!(one.await.unwrap_err().1.starts_with("Deletion of only one table replica"));
    let both = vec![delete_of(WEST), delete_of("us-east-2")];
    update(&east, api::UpdateTableInput { replica_updates: Some(both), ..Default::default() }).await.unwrap();
    assert_eq!(described(&east, "music").await.multi_region_consistency, None);
    put(&east, "music", "c", 4).await;
    let gone = west.call(api::DescribeTable, api::DescribeTableInput { table_name: "music".into() }).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_write_meets_another_region_s_write_of_the_item() {
    let (stack, east) = started(Config { replicated_write_ms: 200, ..Config::default() }).await;
    let west = east.clone().in_region(WEST);
    strong_table(&east).await;
    put(&east, "music", "a", 1).await;
    let write = |pk: &str| api::PutItemInput { table_name: "music".into(), item: item(pk, 2), ..Default::default() };
    let met = west.call(api::PutItem, write("a")).await.unwrap_err();
    assert_eq!(
        (met.code.as_ref(), met.message.as_str()),
        (
            "ReplicatedWriteConflictException",
            "One or more items in this request are being modified by a request in another Region."
        )
    );
    let put_request =
        api::WriteRequest { put_request: Some(api::PutRequest { item: item("a", 2) }), ..Default::default() };
    let batch = api::BatchWriteItemInput {
        request_items: [("music".to_owned(), vec![put_request])].into_iter().collect(),
        ..Default::default()
    };
    assert_eq!(west.call(api::BatchWriteItem, batch).await.unwrap_err().code, "ReplicatedWriteConflictException");
    // Neither other items nor the region itself meet it, and it passes.
    west.call(api::PutItem, write("b")).await.unwrap();
    put(&east, "music", "a", 3).await;
    stack.clock().advance(Duration::from_millis(201));
    west.call(api::PutItem, write("a")).await.unwrap();
    assert_eq!(number(&east, "music", "a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_table_is_fit_for_strong_consistency_or_not() {
    let (_stack, east) = started(Config::default()).await;
    table(&east, "music").await;
    put(&east, "music", "a", 1).await;
    let strong = || api::UpdateTableInput {
        multi_region_consistency: Some(api::MultiRegionConsistency::Strong),
        replica_updates: Some(vec![create(WEST), create("us-east-2")]),
        ..Default::default()
    };
    assert!(update(&east, strong()).await.unwrap_err().1.contains("must be empty"));
    delete(&east, "music", "a").await;
    update(&east, strong()).await.unwrap();
    let again = update(&east, api::UpdateTableInput { replica_updates: Some(vec![create("eu-west-1")]), ..strong() });
    assert!(again.await.unwrap_err().1.starts_with("Unsupported replica count"));
    let key = [("pk".to_owned(), S("a".into()))].into_iter().collect();
    let get = api::TransactGetItem { get: api::Get { table_name: "music".into(), key, ..Default::default() } };
    let input = api::TransactGetItemsInput { transact_items: vec![get], ..Default::default() };
    assert_eq!(east.call(api::TransactGetItems, input).await.unwrap_err().code, "ValidationException");
}

fn provisioned(read: i64, write: i64) -> Option<api::ProvisionedThroughput> {
    Some(api::ProvisionedThroughput { read_capacity_units: read, write_capacity_units: write })
}

async fn units(client: &Client) -> (Option<i64>, Option<i64>) {
    let units = described(client, "music").await.provisioned_throughput.unwrap();
    (units.read_capacity_units, units.write_capacity_units)
}

#[tokio::test]
async fn what_a_replica_has_otherwise_holds_until_it_is_set_elsewhere() {
    let (_stack, east) = started(Config::default()).await;
    let west = east.clone().in_region(WEST);
    let index = table_input("music").global_secondary_indexes.unwrap().remove(0);
    let input = api::CreateTableInput {
        billing_mode: Some(api::BillingMode::Provisioned),
        provisioned_throughput: provisioned(200, 20),
        global_secondary_indexes: Some(vec![api::GlobalSecondaryIndex {
            provisioned_throughput: provisioned(5, 5),
            ..index
        }]),
        ..table_input("music")
    };
    east.call(api::CreateTable, input).await.unwrap();
    let mut with = create(WEST);
    with.create.as_mut().unwrap().provisioned_throughput_override =
        Some(api::ProvisionedThroughputOverride { read_capacity_units: Some(100) });
    update(&east, api::UpdateTableInput { replica_updates: Some(vec![with]), ..Default::default() }).await.unwrap();
    let overridden = || async {
        let replicas = described(&east, "music").await.replicas.unwrap();
        replicas[0].provisioned_throughput_override.as_ref().and_then(|own| own.read_capacity_units)
    };
    assert_eq!((units(&west).await, overridden().await), ((Some(100), Some(20)), Some(100)));
    let writes = api::UpdateTableInput { provisioned_throughput: provisioned(200, 30), ..Default::default() };
    update(&east, writes).await.unwrap();
    assert_eq!((units(&west).await, overridden().await), ((Some(100), Some(30)), Some(100)));
    let reads = api::UpdateTableInput { provisioned_throughput: provisioned(300, 30), ..Default::default() };
    update(&east, reads).await.unwrap();
    assert_eq!((units(&west).await, overridden().await), ((Some(300), Some(30)), None));
}

#[tokio::test]
async fn nothing_else_is_changed_while_a_replica_comes_or_goes() {
    let (stack, east) = started(Config { table_transition_secs: 10, ..Config::default() }).await;
    table(&east, "music").await;
    stack.clock().advance(secs(10));
    let replica = |update| api::UpdateTableInput { replica_updates: Some(vec![update]), ..Default::default() };
    update(&east, replica(create(WEST))).await.unwrap();
    let class =
        || api::UpdateTableInput { table_class: Some(api::TableClass::StandardInfrequentAccess), ..Default::default() };
    assert_eq!(update(&east, class()).await.unwrap_err().0, "ResourceInUseException");
    stack.clock().advance(secs(10));
    update(&east, class()).await.unwrap();
    stack.clock().advance(secs(10));
    update(&east, replica(delete_of(WEST))).await.unwrap();
    stack.clock().advance(secs(10));
    // All that there was of a group is gone with it.
    let after = described(&east, "music").await;
    assert_eq!((after.global_table_version, after.replicas), (None, None));
    update(&east, replica(create(WEST))).await.unwrap();
    stack.clock().advance(secs(10));
    assert_eq!(described(&east, "music").await.replicas.unwrap().len(), 1);
}
