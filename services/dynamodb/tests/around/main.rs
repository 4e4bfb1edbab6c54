//! What is around a table's items, as a caller sees it over the wire: backups, moments, files in S3, replicas, destinations,
//! policies. The clock is the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod accounts;
mod backups;
mod bulk;
mod exchange;
mod global;
mod replicas;
mod replication;
mod scaling;
mod settings;
mod vectors;

use std::time::Duration;

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_dynamodb_api::AttributeValue::{N, S};
use fractus_testkit::{Client, Stack, StackBuilder};

pub type ApiItem = indexmap::IndexMap<String, api::AttributeValue>;

fn builder(config: Config) -> StackBuilder {
    Stack::new()
        .with("dynamodb", move |host| fractus_dynamodb::start(config.clone(), host))
        .frozen_at("2026-01-01T00:00:00Z")
}

async fn begun(builder: StackBuilder) -> (Stack, Client) {
    let stack = builder.start().await;
    let client = stack.client("dynamodb").api(&api::MODEL);
    (stack, client)
}

pub async fn started(config: Config) -> (Stack, Client) {
    begun(builder(config)).await
}

/// One with every caller judged by policies.
pub async fn enforced() -> (Stack, Client) {
    begun(builder(Config::default()).auth(fractus_host::config::AuthMode::Enforced)).await
}

/// One with its state in memory, and one with it on disk.
pub async fn on_both(config: Config) -> [(Stack, Client); 2] {
    [begun(builder(config.clone())).await, begun(builder(config).on_disk()).await]
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn key_schema() -> Vec<api::KeySchemaElement> {
    vec![api::KeySchemaElement { attribute_name: "pk".into(), key_type: api::KeyType::Hash }]
}

pub fn definition(name: &str, kind: api::ScalarAttributeType) -> api::AttributeDefinition {
    api::AttributeDefinition { attribute_name: name.into(), attribute_type: kind }
}

/// A table with a key `pk` of text and a global index `by-n` on the number `n`.
pub fn table_input(name: &str) -> api::CreateTableInput {
    let index = api::GlobalSecondaryIndex {
        index_name: "by-n".into(),
        key_schema: vec![api::KeySchemaElement { attribute_name: "n".into(), key_type: api::KeyType::Hash }],
        projection: api::Projection { projection_type: Some(api::ProjectionType::All), ..Default::default() },
        ..Default::default()
    };
    api::CreateTableInput {
        table_name: name.into(),
        attribute_definitions: Some(vec![
            definition("pk", api::ScalarAttributeType::S),
            definition("n", api::ScalarAttributeType::N),
        ]),
        key_schema: Some(key_schema()),
        global_secondary_indexes: Some(vec![index]),
        billing_mode: Some(api::BillingMode::PayPerRequest),
        ..Default::default()
    }
}

pub async fn table(client: &Client, name: &str) {
    client.call(api::CreateTable, table_input(name)).await.unwrap();
}

pub fn item(pk: &str, n: u64) -> ApiItem {
    [("pk".to_owned(), S(pk.to_owned())), ("n".to_owned(), N(n.to_string()))].into_iter().collect()
}

pub async fn put(client: &Client, table: &str, pk: &str, n: u64) {
    let input = api::PutItemInput { table_name: table.into(), item: item(pk, n), ..Default::default() };
    client.call(api::PutItem, input).await.unwrap();
}

fn key(pk: &str) -> ApiItem {
    [("pk".to_owned(), S(pk.to_owned()))].into_iter().collect()
}

pub async fn delete(client: &Client, table: &str, pk: &str) {
    let input = api::DeleteItemInput { table_name: table.into(), key: key(pk), ..Default::default() };
    client.call(api::DeleteItem, input).await.unwrap();
}

pub async fn get(client: &Client, table: &str, pk: &str) -> Option<ApiItem> {
    let input = api::GetItemInput { table_name: table.into(), key: key(pk), ..Default::default() };
    client.call(api::GetItem, input).await.unwrap().item
}

pub async fn number(client: &Client, table: &str, pk: &str) -> Option<String> {
    match get(client, table, pk).await?.shift_remove("n") {
        Some(N(number)) => Some(number),
        _ => None,
    }
}

pub async fn described(client: &Client, table: &str) -> api::TableDescription {
    let input = api::DescribeTableInput { table_name: table.into() };
    client.call(api::DescribeTable, input).await.unwrap().table.unwrap()
}

pub async fn status(client: &Client, table: &str) -> api::TableStatus {
    described(client, table).await.table_status.unwrap()
}

pub async fn count(client: &Client, table: &str) -> i64 {
    described(client, table).await.item_count.unwrap()
}

pub async fn recover(client: &Client, table: &str, days: Option<i32>) -> api::PointInTimeRecoveryDescription {
    let input = api::UpdateContinuousBackupsInput {
        table_name: table.into(),
        point_in_time_recovery_specification: api::PointInTimeRecoverySpecification {
            point_in_time_recovery_enabled: true,
            recovery_period_in_days: days,
        },
    };
    let output = client.call(api::UpdateContinuousBackups, input).await.unwrap();
    output.continuous_backups_description.unwrap().point_in_time_recovery_description.unwrap()
}
