//! Tables of other accounts, by their ARNs, in batches, transactions and statements.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_dynamodb_api::AttributeValue::S;
use fractus_testkit::Client;
use fractus_wire::Failure;

use super::settings::{TABLE, policy};
use super::{ApiItem, enforced, item, number, put, started, table};

fn key(pk: &str) -> ApiItem {
    [("pk".to_owned(), S(pk.into()))].into_iter().collect()
}

async fn batch_get(client: &Client, tables: &[&str]) -> Result<api::BatchGetItemOutput, Failure> {
    let keys =
        |name: &&str| ((*name).to_owned(), api::KeysAndAttributes { keys: vec![key("a")], ..Default::default() });
    let request_items = tables.iter().map(keys).collect();
    let return_consumed_capacity = Some(api::ReturnConsumedCapacity::Total);
    client.call(api::BatchGetItem, api::BatchGetItemInput { request_items, return_consumed_capacity }).await
}

async fn batch_put(client: &Client, tables: &[&str], pk: &str) -> Result<api::BatchWriteItemOutput, Failure> {
    let write = |name: &&str| {
        let put_request = Some(api::PutRequest { item: item(pk, 7) });
        ((*name).to_owned(), vec![api::WriteRequest { put_request, delete_request: None }])
    };
    let request_items = tables.iter().map(write).collect();
    client.call(api::BatchWriteItem, api::BatchWriteItemInput { request_items, ..Default::default() }).await
}

async fn transact_put(client: &Client, tables: &[&str], pk: &str) -> Result<api::TransactWriteItemsOutput, Failure> {
    let put = |(at, name): (usize, &&str)| api::TransactWriteItem {
        put: Some(api::Put {
            table_name: (*name).to_owned(),
            item: item(&format!("{pk}{at}"), 9),
            ..Default::default()
        }),
        ..Default::default()
    };
    let transact_items = tables.iter().enumerate().map(put).collect();
    let return_consumed_capacity = Some(api::ReturnConsumedCapacity::Total);
    let input = api::TransactWriteItemsInput { transact_items, return_consumed_capacity, ..Default::default() };
    client.call(api::TransactWriteItems, input).await
}

async fn transact_get(client: &Client, name: &str, pk: &str) -> Result<api::TransactGetItemsOutput, Failure> {
    let get = api::Get { table_name: name.into(), key: key(pk), ..Default::default() };
    let input = api::TransactGetItemsInput { transact_items: vec![api::TransactGetItem { get }], ..Default::default() };
    client.call(api::TransactGetItems, input).await
}

async fn statement(client: &Client, text: &str) -> Result<api::ExecuteStatementOutput, Failure> {
    let input = api::ExecuteStatementInput { statement: text.into(), ..Default::default() };
    client.call(api::ExecuteStatement, input).await
}

#[tokio::test]
async fn batches_and_transactions_reach_the_tables_of_others() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    put(&client, "music", "a", 1).await;
    let guest = client.clone().as_account("111122223333");
    table(&guest, "music").await;
    put(&guest, "music", "a", 2).await;

    let found = batch_get(&guest, &[TABLE, "music"]).await.unwrap();
    let responses = found.responses.unwrap();
    assert_eq!((responses[TABLE][0].clone(), responses["music"][0].clone()), (item("a", 1), item("a", 2)));
    let told: Vec<_> = found.consumed_capacity.unwrap().into_iter().filter_map(|one| one.table_name).collect();
    assert_eq!(told, [TABLE, "music"], "a table is told as it was named");

    batch_put(&guest, &[TABLE, "music"], "b").await.unwrap();
    assert_eq!(number(&client, "music", "b").await.as_deref(), Some("7"));
    assert_eq!(number(&guest, "music", "b").await.as_deref(), Some("7"));
    let described = |client: Client| async move {
        let input = api::DescribeTableInput { table_name: "music".into() };
        client.call(api::DescribeTable, input).await.unwrap().table.unwrap().item_count
    };
    assert_eq!((described(client.clone()).await, described(guest.clone()).await), (Some(2), Some(2)));

    let done = transact_put(&guest, &[TABLE, TABLE], "t").await.unwrap();
    let told: Vec<_> = done.consumed_capacity.unwrap().into_iter().filter_map(|one| one.table_name).collect();
    assert_eq!(told, [TABLE]);
    assert_eq!(number(&client, "music", "t1").await.as_deref(), Some("9"));
    assert_eq!(number(&guest, "music", "t1").await, None);
    let got = transact_get(&guest, TABLE, "t0").await.unwrap();
    assert_eq!(got.responses.unwrap()[0].item, Some(item("t0", 9)));
    // One transaction keeps to one account.
    let mixed = transact_put(&guest, &["music", TABLE], "m").await.unwrap_err();
    assert_eq!(mixed.code, "TransactionCanceledException");
    assert!(mixed.message.ends_with("[None, ValidationError]"), "{}", mixed.message);
    assert_eq!(number(&guest, "music", "m0").await, None);

    let select = |name: &str| format!("SELECT * FROM \"{name}\" WHERE pk = 'a'");
    assert_eq!(statement(&client, &select(TABLE)).await.unwrap().items, Some(vec![item("a", 1)]));
    assert_eq!(statement(&guest, &select(TABLE)).await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_denied_in_batches_and_transactions() {
    let (_stack, client) = enforced().await;
    table(&client, "music").await;
    put(&client, "music", "a", 1).await;
    let guest = client.clone().as_account("111122223333");
    let denied = "AccessDeniedException";
    assert_eq!(batch_get(&guest, &[TABLE]).await.unwrap_err().code, denied);
    assert_eq!(transact_get(&guest, TABLE, "a").await.unwrap_err().code, denied);
    let allow = |action: &'static str| {
        let client = client.clone();
        async move {
            let resource_arn = TABLE.to_owned();
            let input = api::PutResourcePolicyInput { resource_arn, policy: policy(action), ..Default::default() };
            client.call(api::PutResourcePolicy, input).await.unwrap();
        }
    };
    allow("dynamodb:BatchGetItem").await;
    assert!(batch_get(&guest, &[TABLE]).await.is_ok());
    assert_eq!(batch_put(&guest, &[TABLE], "b").await.unwrap_err().code, denied);
    // Actions of transactions are judged as the operations of their kind.
    allow("dynamodb:PutItem").await;
    transact_put(&guest, &[TABLE], "t").await.unwrap();
    assert_eq!(transact_get(&guest, TABLE, "t0").await.unwrap_err().code, denied);
}
