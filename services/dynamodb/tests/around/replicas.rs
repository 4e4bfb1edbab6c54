//! Global tables: what is written in one region comes to the others.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_testkit::{Client, Stack, wait_for};

use super::*;

const WEST: &str = "eu-west-1";

fn region(name: &str) -> api::Replica {
    api::Replica { region_name: Some(name.into()) }
}

async fn streaming_table(client: &Client, name: &str) {
    let input = api::CreateTableInput {
        stream_specification: Some(api::StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some(api::StreamViewType::NewAndOldImages),
        }),
        ..table_input(name)
    };
    client.call(api::CreateTable, input).await.unwrap();
}

async fn comes(stack: &Stack, client: &Client, pk: &str, n: Option<&str>) {
    stack.clock().advance(secs(2));
    wait_for(&format!("{pk} to be {n:?}"), || async {
        (number(client, "music", pk).await.as_deref() == n).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_first_version_tell_each_other() {
    let (stack, east) = started(Config::default()).await;
    let west = east.clone().in_region(WEST);
    let create = api::CreateGlobalTableInput {
        global_table_name: "music".into(),
        replication_group: vec![region("us-east-1"), region(WEST)],
    };
    streaming_table(&east, "music").await;
    let lacking = east.call(api::CreateGlobalTable, create.clone()).await.unwrap_err();
    assert_eq!((lacking.code.as_ref(), lacking.message.as_str()), ("TableNotFoundException", "Table not found: music"));
    streaming_table(&west, "music").await;
    let made = east.call(api::CreateGlobalTable, create.clone()).await.unwrap().global_table_description.unwrap();
    assert_eq!(made.global_table_arn.as_deref(), Some("arn:aws:dynamodb::000000000000:global-table/music"));
    let twice = east.call(api::CreateGlobalTable, create).await.unwrap_err();
    assert_eq!(twice.code, "GlobalTableAlreadyExistsException");

    put(&east, "music", "a", 1).await;
    assert_eq!(get(&west, "music", "a").await, None);
    comes(&stack, &west, "a", Some("1")).await;
    let found = get(&west, "music", "a").await.unwrap();
    assert_eq!(found["aws:rep:updateregion"], S("us-east-1".into()));
    assert_eq!(found["aws:rep:deleting"], api::AttributeValue::Bool(false));
    assert_eq!(found["aws:rep:updatetime"], N("1767225600".into()));
    // The later write stays, wherever it is told first.
    put(&east, "music", "b", 1).await;
    stack.clock().advance(Duration::from_millis(10));
    put(&west, "music", "b", 2).await;
    comes(&stack, &east, "b", Some("2")).await;
    comes(&stack, &west, "b", Some("2")).await;
    delete(&west, "music", "a").await;
    comes(&stack, &east, "a", None).await;

    let update = |update: api::ReplicaUpdate| api::UpdateGlobalTableInput {
        global_table_name: "music".into(),
        replica_updates: vec![update],
    };
    let add = api::ReplicaUpdate { create: Some(api::CreateReplicaAction { region_name: WEST.into() }), delete: None };
    assert_eq!(east.call(api::UpdateGlobalTable, update(add)).await.unwrap_err().code, "ReplicaAlreadyExistsException");
    let remove =
        api::ReplicaUpdate { create: None, delete: Some(api::DeleteReplicaAction { region_name: WEST.into() }) };
    east.call(api::UpdateGlobalTable, update(remove.clone())).await.unwrap();
    assert_eq!(east.call(api::UpdateGlobalTable, update(remove)).await.unwrap_err().code, "ReplicaNotFoundException");
    let described = api::DescribeGlobalTableInput { global_table_name: "music".into() };
    let described = east.call(api::DescribeGlobalTable, described).await.unwrap().global_table_description.unwrap();
    assert_eq!(described.replication_group.unwrap().len(), 1);
    put(&east, "music", "c", 3).await;
    stack.clock().advance(secs(5));
    assert_eq!(get(&west, "music", "c").await, None);
    let listed = api::ListGlobalTablesInput { region_name: Some(WEST.into()), ..Default::default() };
    assert_eq!(east.call(api::ListGlobalTables, listed).await.unwrap().global_tables.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_global_table_reach_every_replica() {
    let (_stack, east) = started(Config::default()).await;
    let west = east.clone().in_region(WEST);
    for client in [&east, &west] {
        streaming_table(client, "music").await;
    }
    let create = api::CreateGlobalTableInput {
        global_table_name: "music".into(),
        replication_group: vec![region("us-east-1"), region(WEST)],
    };
    east.call(api::CreateGlobalTable, create).await.unwrap();
    let update = api::UpdateGlobalTableSettingsInput {
        global_table_name: "music".into(),
        global_table_billing_mode: Some(api::BillingMode::Provisioned),
        global_table_provisioned_write_capacity_units: Some(7),
        replica_settings_update: Some(vec![api::ReplicaSettingsUpdate {
            region_name: WEST.into(),
            replica_provisioned_read_capacity_units: Some(9),
            ..Default::default()
        }]),
        ..Default::default()
    };
    east.call(api::UpdateGlobalTableSettings, update).await.unwrap();
    let units = described(&west, "music").await.provisioned_throughput.unwrap();
    assert_eq!((units.read_capacity_units, units.write_capacity_units), (Some(9), Some(7)));
    let told = api::DescribeGlobalTableSettingsInput { global_table_name: "music".into() };
    let told = east.call(api::DescribeGlobalTableSettings, told).await.unwrap().replica_settings.unwrap();
    let west_settings = told.iter().find(|own| own.region_name == WEST).unwrap();
    assert_eq!(west_settings.replica_provisioned_read_capacity_units, Some(9));
}

async fn update_replicas(client: &Client, update: api::ReplicationGroupUpdate) -> Result<(), String> {
    let input =
        api::UpdateTableInput { table_name: "music".into(), replica_updates: Some(vec![update]), ..Default::default() };
    client.call(api::UpdateTable, input).await.map(|_| ()).map_err(|failure| failure.code.to_string())
}

fn add(region: &str) -> api::ReplicationGroupUpdate {
    let create = api::CreateReplicationGroupMemberAction { region_name: region.into(), ..Default::default() };
    api::ReplicationGroupUpdate { create: Some(create), ..Default::default() }
}

fn replicas_of(table: &api::TableDescription) -> Vec<(String, api::ReplicaStatus)> {
    let all = table.replicas.iter().flatten();
    all.map(|own| (own.region_name.clone().unwrap(), own.replica_status.clone().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_added_filled_followed_and_removed() {
    let (stack, east) = started(Config { table_transition_secs: 10, ..Config::default() }).await;
    let (west, south) = (east.clone().in_region(WEST), east.clone().in_region("ap-southeast-2"));
    table(&east, "music").await;
    stack.clock().advance(secs(10));
    put(&east, "music", "old", 1).await;
    update_replicas(&east, add(WEST)).await.unwrap();
    let described_east = described(&east, "music").await;
    assert_eq!(described_east.global_table_version.as_deref(), Some("2019.11.21"));
    assert_eq!(
        described_east.stream_specification.unwrap().stream_view_type,
        Some(api::StreamViewType::NewAndOldImages)
    );
    assert_eq!(replicas_of(&described(&east, "music").await), [(WEST.to_owned(), api::ReplicaStatus::Creating)]);
    assert_eq!(status(&west, "music").await, api::TableStatus::Creating);
    stack.clock().advance(secs(10));
    assert_eq!(replicas_of(&described(&east, "music").await), [(WEST.to_owned(), api::ReplicaStatus::Active)]);
    assert_eq!(replicas_of(&described(&west, "music").await), [("us-east-1".to_owned(), api::ReplicaStatus::Active)]);
    assert_eq!(number(&west, "music", "old").await.as_deref(), Some("1"));
    assert_eq!(update_replicas(&east, add(WEST)).await, Err("ValidationException".into()));

    put(&west, "music", "new", 2).await;
    comes(&stack, &east, "new", Some("2")).await;
    assert_eq!(get(&east, "music", "new").await.unwrap().len(), 2);
    // A third region is known to both, and takes from both.
    update_replicas(&west, add("ap-southeast-2")).await.unwrap();
    stack.clock().advance(secs(10));
    assert_eq!(replicas_of(&described(&east, "music").await).len(), 2);
    assert_eq!(replicas_of(&described(&south, "music").await).len(), 2);
    assert_eq!(number(&south, "music", "old").await.as_deref(), Some("1"));
    put(&east, "music", "third", 3).await;
    comes(&stack, &south, "third", Some("3")).await;
    comes(&stack, &west, "third", Some("3")).await;
    // Two regions write at one moment: both keep the same one.
    put(&east, "music", "both", 4).await;
    put(&west, "music", "both", 5).await;
    comes(&stack, &south, "both", Some("4")).await;
    comes(&stack, &west, "both", Some("4")).await;
    assert_eq!(number(&east, "music", "both").await.as_deref(), Some("4"));

    let delete = api::DeleteReplicationGroupMemberAction { region_name: WEST.into() };
    let delete = api::ReplicationGroupUpdate { delete: Some(delete), ..Default::default() };
    // What another one was made from a moment ago stays for a day.
    assert_eq!(update_replicas(&east, delete.clone()).await, Err("ValidationException".into()));
    stack.clock().advance(secs(86_400));
    update_replicas(&east, delete.clone()).await.unwrap();
    assert!(replicas_of(&described(&east, "music").await).contains(&(WEST.to_owned(), api::ReplicaStatus::Deleting)));
    stack.clock().advance(secs(10));
    assert_eq!(replicas_of(&described(&east, "music").await).len(), 1);
    let gone = west.call(api::DescribeTable, api::DescribeTableInput { table_name: "music".into() }).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
    assert_eq!(update_replicas(&east, delete).await, Err("ValidationException".into()));
}
