//! Throughput that follows what is consumed, keys that are counted, replicas with settings of their own.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_testkit::{Client, wait_for};

use super::*;

async fn provisioned(client: &Client, units: i64) {
    let throughput = api::ProvisionedThroughput { read_capacity_units: units, write_capacity_units: units };
    let mut input = table_input("music");
    (input.billing_mode, input.provisioned_throughput) = (None, Some(throughput.clone()));
    input.global_secondary_indexes.as_mut().unwrap()[0].provisioned_throughput = Some(throughput);
    client.call(api::CreateTable, input).await.unwrap();
}

fn scaled(minimum: i64, maximum: i64) -> api::AutoScalingSettingsUpdate {
    let policy =
        api::AutoScalingTargetTrackingScalingPolicyConfigurationUpdate { target_value: 50.0, ..Default::default() };
    api::AutoScalingSettingsUpdate {
        minimum_units: Some(minimum),
        maximum_units: Some(maximum),
        scaling_policy_update: Some(api::AutoScalingPolicyUpdate {
            policy_name: None,
            target_tracking_scaling_policy_configuration: policy,
        }),
        ..Default::default()
    }
}

/// Writes of so many units, once in each of some minutes.
async fn write_each_minute(stack: &fractus_testkit::Stack, client: &Client, units: usize, minutes: usize) {
    for minute in 0..minutes {
        let mut item = item("a", minute as u64);
        item.insert("v".into(), S("x".repeat(units * 1_024 - 100)));
        let input = api::PutItemInput { table_name: "music".into(), item, ..Default::default() };
        client.call(api::PutItem, input).await.unwrap();
        stack.clock().advance(secs(60));
    }
}

async fn write_units(client: &Client, of_index: bool, wanted: i64) {
    wait_for(&format!("{wanted} units"), || async {
        let described = described(client, "music").await;
        let index = described.global_secondary_indexes.unwrap().remove(0).provisioned_throughput;
        let units = if of_index { index } else { described.provisioned_throughput };
        (units.unwrap().write_capacity_units == Some(wanted)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_go_up_with_what_is_written_and_down_again() {
    let (stack, client) = started(Config::default()).await;
    provisioned(&client, 2).await;
    let update = api::UpdateTableReplicaAutoScalingInput {
        table_name: "music".into(),
        provisioned_write_capacity_auto_scaling_update: Some(scaled(2, 100)),
        global_secondary_index_updates: Some(vec![api::GlobalSecondaryIndexAutoScalingUpdate {
            index_name: Some("by-n".into()),
            provisioned_write_capacity_auto_scaling_update: Some(scaled(2, 5)),
        }]),
        ..Default::default()
    };
    client.call(api::UpdateTableReplicaAutoScaling, update).await.unwrap();
    // 300 units in a minute are 5 a second: at half of what is provisioned that is 10.
    write_each_minute(&stack, &client, 300, 2).await;
    write_units(&client, false, 10).await;
    write_units(&client, true, 5).await;
    let changed = described(&client, "music").await.provisioned_throughput.unwrap();
    assert!(changed.last_increase_date_time.is_some() && changed.read_capacity_units == Some(2));
    // A quarter of an hour at one unit a second.
    write_each_minute(&stack, &client, 60, 16).await;
    write_units(&client, false, 2).await;
    let changed = described(&client, "music").await.provisioned_throughput.unwrap();
    assert_eq!(changed.number_of_decreases_today, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_out_of_its_bounds_is_refused() {
    let (_stack, client) = started(Config::default()).await;
    provisioned(&client, 2).await;
    let mut wrong = scaled(1, 10);
    wrong.scaling_policy_update.as_mut().unwrap().target_tracking_scaling_policy_configuration.target_value = 95.0;
    let update = api::UpdateTableReplicaAutoScalingInput {
        table_name: "music".into(),
        provisioned_write_capacity_auto_scaling_update: Some(wrong),
        ..Default::default()
    };
    assert_eq!(client.call(api::UpdateTableReplicaAutoScaling, update).await.unwrap_err().code, "ValidationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn global_settings_scale_each_replica() {
    let (stack, east) = started(Config::default()).await;
    let west = east.clone().in_region("eu-west-1");
    for client in [&east, &west] {
        let throughput = api::ProvisionedThroughput { read_capacity_units: 2, write_capacity_units: 2 };
        let mut input = table_input("music");
        (input.billing_mode, input.provisioned_throughput) = (None, Some(throughput.clone()));
        input.global_secondary_indexes.as_mut().unwrap()[0].provisioned_throughput = Some(throughput);
        input.stream_specification = Some(api::StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some(api::StreamViewType::NewAndOldImages),
        });
        client.call(api::CreateTable, input).await.unwrap();
    }
    let region = |name: &str| api::Replica { region_name: Some(name.into()) };
    let global = api::CreateGlobalTableInput {
        global_table_name: "music".into(),
        replication_group: vec![region("us-east-1"), region("eu-west-1")],
    };
    east.call(api::CreateGlobalTable, global).await.unwrap();
    let settings = api::UpdateGlobalTableSettingsInput {
        global_table_name: "music".into(),
        global_table_provisioned_write_capacity_auto_scaling_settings_update: Some(scaled(7, 9)),
        ..Default::default()
    };
    east.call(api::UpdateGlobalTableSettings, settings).await.unwrap();
    stack.clock().advance(secs(60));
    write_units(&west, false, 7).await;
    write_units(&east, false, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_none_has_no_replica() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    for region in ["mars-north-1", "us-east-99", "nowhere"] {
        let create = api::CreateReplicationGroupMemberAction { region_name: region.into(), ..Default::default() };
        let update = api::UpdateTableInput {
            table_name: "music".into(),
            replica_updates: Some(vec![api::ReplicationGroupUpdate { create: Some(create), ..Default::default() }]),
            ..Default::default()
        };
        assert_eq!(client.call(api::UpdateTable, update).await.unwrap_err().code, "ValidationException", "{region}");
    }
}

/// A client that discovers the endpoint is sent where it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_that_is_told_answers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    let told = client.call(api::DescribeEndpoints, api::DescribeEndpointsInput::default()).await.unwrap();
    let address = told.endpoints[0].address.clone();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"TableNames\":[\"music\"]"), "{answer}");
}
