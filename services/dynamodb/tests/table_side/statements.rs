use fractus_dynamodb::Config;
use serde_json::{Value, json};

use crate::{call, get, key, put, refused, stack, table};

fn statement(text: &str) -> Value {
    json!({"Statement": text})
}

#[tokio::test]
async fn a_batch_tells_the_error_of_each_statement() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    put(&stack, "a", 1, json!({"x": {"N": "1"}})).await;
    let answer = call(
        &stack,
        "BatchExecuteStatement",
        json!({
            "Statements": [
                statement("INSERT INTO tunes VALUE {'pk': 'b', 'sk': 1, 'x': 5}"),
                statement("INSERT INTO tunes VALUE {'pk': 'a', 'sk': 1}"),
                {"Statement": "UPDATE tunes SET x = ? WHERE pk = 'a' AND sk = 1 AND x = 7", "Parameters": [{"N": "9"}], "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
                statement("UPDATE tunes SET x = 2 WHERE pk = 'a' AND sk = 1"),
                statement("DELETE FROM nowhere WHERE pk = 'a'"),
                statement("UPDATE tunes SET x = 2 WHERE pk = 'a'"),
                statement("DELETE t"),
            ],
            "ReturnConsumedCapacity": "TOTAL",
        }),
    )
    .await;
    let codes: Vec<&Value> =
        answer["Responses"].as_array().unwrap().iter().map(|response| &response["Error"]["Code"]).collect();
    assert_eq!(
        json!(codes),
        json!([
            null,
            "DuplicateItem",
            "ConditionalCheckFailed",
            null,
            "ResourceNotFound",
            "ValidationError",
            "ValidationError"
        ])
    );
    assert_eq!(answer["Responses"][2]["Error"]["Item"]["x"], json!({"N": "1"}));
    assert_eq!(answer["ConsumedCapacity"], json!([{"TableName": "tunes", "CapacityUnits": 2}]));
    assert_eq!(get(&stack, "a", 1).await["x"], json!({"N": "2"}));
    let answer = call(
        &stack,
        "BatchExecuteStatement",
        json!({"Statements": [
            statement("SELECT x FROM tunes WHERE pk = 'a' AND sk = 1"),
            statement("SELECT * FROM tunes WHERE pk = 'no' AND sk = 1"),
            statement("SELECT * FROM tunes WHERE pk = 'a'"),
        ]}),
    )
    .await;
    let responses = &answer["Responses"];
    assert_eq!(responses[0]["Item"], json!({"x": {"N": "2"}}));
    assert_eq!(responses[1], json!({"TableName": "tunes"}));
    assert_eq!(
        responses[2]["Error"]["Message"],
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    );
    let mixed = json!({"Statements": [statement("SELECT * FROM tunes WHERE pk = 'a' AND sk = 1"), statement("INSERT INTO tunes VALUE {'pk': 'c', 'sk': 1}")]});
    assert_eq!(refused(&stack, "BatchExecuteStatement", mixed).await.0, "ValidationException");
}

#[tokio::test]
async fn a_transaction_of_statements_is_all_or_nothing() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    put(&stack, "a", 1, json!({"x": {"N": "1"}})).await;
    let transaction = |statements: &[&str], token: Option<&str>| {
        let statements: Vec<Value> = statements.iter().map(|text| statement(text)).collect();
        let mut body = json!({"TransactStatements": statements, "ReturnConsumedCapacity": "TOTAL"});
        if let Some(token) = token {
            body["ClientRequestToken"] = json!(token);
        }
        body
    };
    let failing = transaction(
        &[
            "INSERT INTO tunes VALUE {'pk': 'b', 'sk': 1}",
            "INSERT INTO tunes VALUE {'pk': 'a', 'sk': 1}",
            "EXISTS(SELECT * FROM tunes WHERE pk = 'c' AND sk = 1)",
        ],
        None,
    );
    let (code, message) = refused(&stack, "ExecuteTransaction", failing).await;
    assert_eq!(code, "TransactionCanceledException");
    assert!(message.ends_with("[None, DuplicateItem, ConditionalCheckFailed]"), "{message}");
    assert_eq!(get(&stack, "b", 1).await, Value::Null);
    let going = transaction(
        &["UPDATE tunes SET x = 2 WHERE pk = 'a' AND sk = 1", "INSERT INTO tunes VALUE {'pk': 'b', 'sk': 1}"],
        Some("token"),
    );
    let answer = call(&stack, "ExecuteTransaction", going.clone()).await;
    assert_eq!(
        answer["ConsumedCapacity"],
        json!([{"TableName": "tunes", "CapacityUnits": 4, "WriteCapacityUnits": 4}])
    );
    // Asked again it is not done again, and costs its reading.
    call(&stack, "DeleteItem", json!({"TableName": "tunes", "Key": key("b", 1)})).await;
    let answer = call(&stack, "ExecuteTransaction", going).await;
    assert_eq!(answer["ConsumedCapacity"], json!([{"TableName": "tunes", "CapacityUnits": 4, "ReadCapacityUnits": 4}]));
    assert_eq!(get(&stack, "b", 1).await, Value::Null);
    let other = transaction(&["INSERT INTO tunes VALUE {'pk': 'd', 'sk': 1}"], Some("token"));
    assert_eq!(refused(&stack, "ExecuteTransaction", other).await.0, "IdempotentParameterMismatchException");
    let reads = transaction(
        &["SELECT x FROM tunes WHERE pk = 'a' AND sk = 1", "SELECT * FROM tunes WHERE pk = 'b' AND sk = 1"],
        None,
    );
    let answer = call(&stack, "ExecuteTransaction", reads).await;
    assert_eq!(answer["Responses"], json!([{"Item": {"x": {"N": "2"}}}, {}]));
    let twice = transaction(
        &["DELETE FROM tunes WHERE pk = 'a' AND sk = 1", "UPDATE tunes SET x = 3 WHERE pk = 'a' AND sk = 1"],
        None,
    );
    assert_eq!(
        refused(&stack, "ExecuteTransaction", twice).await.1,
        "Transaction request cannot include multiple operations on one item"
    );
}

#[tokio::test]
async fn a_statement_gives_back_what_it_is_told_to() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    put(&stack, "a", 1, json!({"x": {"N": "1"}, "y": {"S": "same"}})).await;
    let run = |text: &str| {
        let (stack, body) = (&stack, statement(text));
        async move { call(stack, "ExecuteStatement", body).await["Items"].clone() }
    };
    let of = "pk = 'a' AND sk = 1";
    assert_eq!(
        run(&format!("UPDATE tunes SET x = 2 WHERE {of} RETURNING MODIFIED OLD *")).await,
        json!([{"x": {"N": "1"}}])
    );
    assert_eq!(
        run(&format!("UPDATE tunes SET x = 3 WHERE {of} RETURNING MODIFIED NEW *")).await,
        json!([{"x": {"N": "3"}}])
    );
    let all = run(&format!("UPDATE tunes SET x = 4 WHERE {of} RETURNING ALL NEW *")).await;
    assert_eq!(all[0]["y"], json!({"S": "same"}));
    let failing = json!({"Statement": format!("DELETE FROM tunes WHERE {of} AND x = 1"), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    assert_eq!(refused(&stack, "ExecuteStatement", failing).await.0, "ConditionalCheckFailedException");
    assert_eq!(run(&format!("DELETE FROM tunes WHERE {of} RETURNING ALL OLD *")).await[0]["x"], json!({"N": "4"}));
    assert_eq!(get(&stack, "a", 1).await, Value::Null);
}
