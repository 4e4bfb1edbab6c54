//! Transactions that take their time, and what meets them on their items.

use std::time::Duration;

use fractus_dynamodb::Config;
use fractus_testkit::{Stack, wait_for};
use serde_json::{Value, json};

use super::{asked, call, refused, stack};

const ONGOING: &str = "Transaction is ongoing for the item";

fn put(pk: &str, by: &str) -> Value {
    json!({"Put": {"TableName": "tunes", "Item": {"pk": {"S": pk}, "by": {"S": by}}}})
}

async fn ask(stack: &Stack, operation: &str, body: Value) -> (u16, Value) {
    asked(stack, format!("DynamoDB_20120810.{operation}"), body).await
}

async fn started() -> Stack {
    let stack = stack(Config { transaction_ms: 1_000, ..Config::default() }).await;
    let table = json!({
        "TableName": "tunes", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    });
    call(&stack, "CreateTable", table).await;
    stack
}

async fn by(stack: &Stack, pk: &str) -> Value {
    call(stack, "GetItem", json!({"TableName": "tunes", "Key": {"pk": {"S": pk}}})).await["Item"]["by"]["S"].clone()
}

/// Waits until a transaction holds an item, which a write of it that could not succeed shows.
async fn until_held(stack: &Stack, pk: &str) {
    let probe = || async {
        let body = json!({
            "TableName": "tunes", "Key": {"pk": {"S": pk}}, "UpdateExpression": "SET a = :a",
            "ConditionExpression": "attribute_exists(nothing)", "ExpressionAttributeValues": {":a": {"S": ""}},
        });
        let (code, _) = refused(stack, "UpdateItem", body).await;
        (code == "TransactionConflictException").then_some(())
    };
    wait_for("the transaction holds its items", probe).await;
}

/// Runs `meanwhile` while a transaction is under way, then lets that end.
async fn during(
    stack: &Stack,
    operation: &str,
    body: Value,
    held: &str,
    meanwhile: impl AsyncFnOnce(),
) -> (u16, Value) {
    let underway = ask(stack, operation, body);
    let others = async {
        until_held(stack, held).await;
        meanwhile().await;
        stack.clock().advance(Duration::from_secs(1));
    };
    tokio::join!(underway, others).0
}

fn reasons(answer: &Value) -> Vec<&str> {
    answer["CancellationReasons"].as_array().into_iter().flatten().filter_map(|one| one["Code"].as_str()).collect()
}

#[tokio::test]
async fn what_meets_a_transaction_on_an_item_is_refused() {
    let stack = started().await;
    let stack = &stack;
    let actions = json!({"TransactItems": [put("a", "first"), put("b", "first")], "ClientRequestToken": "one"});
    let meanwhile = async || {
        let key = json!({"pk": {"S": "a"}});
        let conflict = ("TransactionConflictException".to_owned(), ONGOING.to_owned());
        let item = json!({"TableName": "tunes", "Item": {"pk": {"S": "a"}}});
        assert_eq!(refused(stack, "PutItem", item).await, conflict);
        assert_eq!(refused(stack, "DeleteItem", json!({"TableName": "tunes", "Key": key})).await, conflict);
        let statement = json!({"Statement": "DELETE FROM tunes WHERE pk = 'b'"});
        assert_eq!(refused(stack, "ExecuteStatement", statement.clone()).await, conflict);
        let batch = call(stack, "BatchExecuteStatement", json!({"Statements": [statement]})).await;
        assert_eq!(batch["Responses"][0]["Error"]["Code"], "TransactionConflict");

        let (status, other) =
            ask(stack, "TransactWriteItems", json!({"TransactItems": [put("c", "other"), put("b", "other")]})).await;
        assert_eq!((status, reasons(&other)), (400, vec!["None", "TransactionConflict"]));
        assert_eq!(other["CancellationReasons"][1]["Message"], ONGOING);
        let reads = json!({"TransactItems": [
            {"Get": {"TableName": "tunes", "Key": {"pk": {"S": "c"}}}}, {"Get": {"TableName": "tunes", "Key": {"pk": {"S": "a"}}}},
        ]});
        let (_, other) = ask(stack, "TransactGetItems", reads).await;
        assert_eq!(reasons(&other), ["None", "TransactionConflict"]);
        let statements = json!({"TransactStatements": [
            {"Statement": "SELECT * FROM tunes WHERE pk = 'a'"}, {"Statement": "SELECT * FROM tunes WHERE pk = 'c'"},
        ]});
        let (_, other) = ask(stack, "ExecuteTransaction", statements).await;
        assert_eq!(reasons(&other), ["TransactionConflict", "None"]);
        let statements = json!({"TransactStatements": [{"Statement": "INSERT INTO tunes VALUE {'pk': 'a'}"}]});
        let (_, other) = ask(stack, "ExecuteTransaction", statements).await;
        assert_eq!(reasons(&other), ["TransactionConflict"]);

        let writes = json!({"RequestItems": {"tunes": [
            {"PutRequest": {"Item": {"pk": {"S": "a"}, "by": {"S": "batch"}}}}, {"PutRequest": {"Item": {"pk": {"S": "d"}, "by": {"S": "batch"}}}},
        ]}});
        let batch = call(stack, "BatchWriteItem", writes).await;
        assert_eq!(batch["UnprocessedItems"]["tunes"][0]["PutRequest"]["Item"]["pk"]["S"], "a");
        assert_eq!(batch["UnprocessedItems"]["tunes"].as_array().map(Vec::len), Some(1));
        assert_eq!(by(stack, "d").await, "batch");

        // The same token is in progress, whatever is asked with it.
        let same = json!({"TransactItems": [put("z", "other")], "ClientRequestToken": "one"});
        assert_eq!(refused(stack, "TransactWriteItems", same).await.0, "TransactionInProgressException");
        // Reads that are no transactions see what was there before, and other items are free.
        assert_eq!(by(stack, "a").await, Value::Null);
        call(stack, "PutItem", json!({"TableName": "tunes", "Item": {"pk": {"S": "e"}}})).await;
    };
    let (status, done) = during(stack, "TransactWriteItems", actions.clone(), "a", meanwhile).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(
        (by(stack, "a").await, by(stack, "b").await, by(stack, "c").await),
        ("first".into(), "first".into(), Value::Null)
    );
    // Nothing is held any longer; the token stands for what it came with, and takes no time again.
    call(stack, "PutItem", json!({"TableName": "tunes", "Item": {"pk": {"S": "a"}, "by": {"S": "later"}}})).await;
    call(stack, "TransactWriteItems", actions).await;
    assert_eq!(by(stack, "a").await, "later");
    let other = json!({"TransactItems": [put("a", "other")], "ClientRequestToken": "one"});
    assert_eq!(refused(stack, "TransactWriteItems", other).await.0, "IdempotentParameterMismatchException");
}

#[tokio::test]
async fn a_transaction_that_is_cancelled_holds_nothing() {
    let stack = started().await;
    let stack = &stack;
    let check = json!({"ConditionCheck": {
        "TableName": "tunes", "Key": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_exists(pk)",
    }});
    let actions = json!({"TransactItems": [check, put("b", "first")], "ClientRequestToken": "one"});
    let (status, cancelled) = during(stack, "TransactWriteItems", actions, "a", async || ()).await;
    assert_eq!((status, reasons(&cancelled)), (400, vec!["ConditionalCheckFailed", "None"]));
    call(stack, "PutItem", json!({"TableName": "tunes", "Item": {"pk": {"S": "a"}, "by": {"S": "free"}}})).await;
    let statements = json!({"TransactStatements": [{"Statement": "UPDATE tunes SET by='statement' WHERE pk='a'"}], "ClientRequestToken": "one"});
    let (status, done) = during(stack, "ExecuteTransaction", statements, "a", async || ()).await;
    assert_eq!((status, by(stack, "a").await), (200, "statement".into()), "{done}");
}
