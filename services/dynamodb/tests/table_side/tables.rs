use std::time::Duration;

use fractus_dynamodb::Config;
use fractus_testkit::wait_for;
use serde_json::{Value, json};

use crate::{call, described, put, refused, stack, table};

fn create_index(name: &str) -> Value {
    json!({
        "TableName": "tunes",
        "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": name,
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }}],
    })
}

async fn count_in(stack: &fractus_testkit::Stack, index: &str) -> Value {
    call(
        stack,
        "Query",
        json!({
            "TableName": "tunes", "IndexName": index, "Select": "COUNT",
            "KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "a"}},
        }),
    )
    .await["Count"]
        .clone()
}

#[tokio::test]
async fn an_index_is_filled_with_what_the_table_has() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    for number in 0..1_200 {
        let g = if number % 3 == 0 { json!({"g": {"S": "a"}}) } else { json!({"g": {"N": "1"}}) };
        put(&stack, &format!("p{}", number % 7), number, g).await;
    }
    let answer = call(&stack, "UpdateTable", create_index("gsi")).await["TableDescription"].clone();
    assert_eq!(answer["TableStatus"], "UPDATING");
    let index = &answer["GlobalSecondaryIndexes"][0];
    assert_eq!((&index["IndexStatus"], &index["Backfilling"]), (&json!("CREATING"), &json!(false)));
    let (code, _) = refused(&stack, "UpdateTable", create_index("gsi")).await;
    assert!(["LimitExceededException", "ValidationException"].contains(&code.as_str()), "{code}");
    let index = wait_for("the index to be filled", || async {
        let index = described(&stack).await["GlobalSecondaryIndexes"][0].clone();
        (index["IndexStatus"] == "ACTIVE").then_some(index)
    })
    .await;
    assert_eq!(index["ItemCount"], 400);
    assert_eq!(index["Backfilling"], Value::Null);
    assert_eq!(count_in(&stack, "gsi").await, 400);
    let (code, message) = refused(&stack, "UpdateTable", create_index("gsi")).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ValidationException", "Attempting to create an index which already exists")
    );
    put(&stack, "p0", 0, json!({})).await;
    assert_eq!(count_in(&stack, "gsi").await, 399);
    let delete = json!({"TableName": "tunes", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "gsi"}}]});
    let answer = call(&stack, "UpdateTable", delete.clone()).await["TableDescription"].clone();
    assert_eq!(answer["GlobalSecondaryIndexes"][0]["IndexStatus"], "DELETING");
    let table = described(&stack).await;
    assert_eq!(table["GlobalSecondaryIndexes"], Value::Null);
    assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 2);
    assert_eq!(refused(&stack, "UpdateTable", delete).await.0, "ResourceNotFoundException");
    // A new index of the name has nothing of the old one.
    put(&stack, "p3", 3, json!({})).await;
    call(&stack, "UpdateTable", create_index("gsi")).await;
    wait_for("the index to be filled again", || async {
        let table = described(&stack).await;
        (table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE").then_some(())
    })
    .await;
    assert_eq!(count_in(&stack, "gsi").await, 398);
}

#[tokio::test]
async fn an_index_comes_and_goes_by_the_clock() {
    let stack = stack(Config { table_transition_secs: 30, ..Config::default() }).await;
    table(&stack, json!({})).await;
    stack.clock().advance(Duration::from_secs(30));
    put(&stack, "p", 1, json!({"g": {"S": "a"}})).await;
    call(&stack, "UpdateTable", create_index("gsi")).await;
    let table = described(&stack).await;
    assert_eq!(
        (&table["TableStatus"], &table["GlobalSecondaryIndexes"][0]["Backfilling"]),
        (&json!("UPDATING"), &json!(false))
    );
    let query = json!({
        "TableName": "tunes", "IndexName": "gsi",
        "KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "a"}},
    });
    let (_, message) = refused(&stack, "Query", query).await;
    assert_eq!(message, "Cannot read from backfilling global secondary index: gsi");
    assert_eq!(refused(&stack, "UpdateTable", create_index("other")).await.0, "ResourceInUseException");
    // What is written meanwhile is in it once.
    put(&stack, "p", 2, json!({"g": {"S": "a"}})).await;
    stack.clock().advance(Duration::from_secs(30));
    wait_for("the index to be filled", || async {
        let table = described(&stack).await;
        assert_eq!(table["TableStatus"], "ACTIVE");
        (table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE").then_some(())
    })
    .await;
    assert_eq!(count_in(&stack, "gsi").await, 2);
    assert_eq!(described(&stack).await["GlobalSecondaryIndexes"][0]["ItemCount"], 2);
    let delete = json!({"TableName": "tunes", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "gsi"}}]});
    call(&stack, "UpdateTable", delete).await;
    assert_eq!(described(&stack).await["GlobalSecondaryIndexes"][0]["IndexStatus"], "DELETING");
}

#[tokio::test]
async fn what_a_table_is_made_with_is_shown() {
    let stack = stack(Config::default()).await;
    table(
        &stack,
        json!({
            "Tags": [{"Key": "team", "Value": "blue"}],
            "SSESpecification": {"Enabled": true},
            "TableClass": "STANDARD_INFREQUENT_ACCESS",
            "DeletionProtectionEnabled": true,
            "OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": -1},
            "WarmThroughput": {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 5_000},
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"},
        }),
    )
    .await;
    let table = described(&stack).await;
    assert_eq!(table["SSEDescription"]["SSEType"], "KMS");
    assert!(
        table["SSEDescription"]["KMSMasterKeyArn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:kms:us-east-1:000000000000:key/")
    );
    assert_eq!(table["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    assert_eq!(table["OnDemandThroughput"], json!({"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": -1}));
    assert_eq!(
        table["WarmThroughput"],
        json!({"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 5_000, "Status": "ACTIVE"})
    );
    assert_eq!(table["StreamSpecification"], json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}));
    assert_eq!(table["LatestStreamLabel"], "2026-01-01T00:00:00.000");
    let arn = table["TableArn"].as_str().unwrap().to_owned();
    assert_eq!(table["LatestStreamArn"], format!("{arn}/stream/2026-01-01T00:00:00.000"));
    let tags = || async { call(&stack, "ListTagsOfResource", json!({"ResourceArn": arn})).await["Tags"].clone() };
    assert_eq!(tags().await, json!([{"Key": "team", "Value": "blue"}]));
    call(
        &stack,
        "TagResource",
        json!({"ResourceArn": arn, "Tags": [{"Key": "team", "Value": "red"}, {"Key": "a", "Value": ""}]}),
    )
    .await;
    assert_eq!(tags().await, json!([{"Key": "a", "Value": ""}, {"Key": "team", "Value": "red"}]));
    call(&stack, "UntagResource", json!({"ResourceArn": arn, "TagKeys": ["team", "no"]})).await;
    assert_eq!(tags().await, json!([{"Key": "a", "Value": ""}]));
    let gone = arn.replace("/t", "/gone");
    assert_eq!(
        refused(&stack, "ListTagsOfResource", json!({"ResourceArn": gone})).await.1,
        format!("Requested resource not found: ResourcArn: {gone} not found")
    );
    assert_eq!(refused(&stack, "DeleteTable", json!({"TableName": "tunes"})).await.0, "ValidationException");
    call(
        &stack,
        "UpdateTable",
        json!({"TableName": "tunes", "DeletionProtectionEnabled": false, "SSESpecification": {"Enabled": false}}),
    )
    .await;
    assert_eq!(described(&stack).await["SSEDescription"], Value::Null);
    call(&stack, "DeleteTable", json!({"TableName": "tunes"})).await;
}

#[tokio::test]
async fn throughput_and_billing_change() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}})).await;
    assert_eq!(described(&stack).await["BillingModeSummary"], Value::Null);
    let change = |read: u64, write: u64| json!({"TableName": "tunes", "ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}});
    let (code, message) = refused(&stack, "UpdateTable", change(5, 5)).await;
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with("The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5."), "{message}");
    let mut both = change(7, 5);
    both["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"});
    let (_, message) = refused(&stack, "UpdateTable", both).await;
    assert_eq!(
        message,
        "One or more parameter values were invalid: You cannot modify stream status while updating table IOPS"
    );
    call(&stack, "UpdateTable", change(7, 5)).await;
    call(&stack, "UpdateTable", change(7, 2)).await;
    call(&stack, "UpdateTable", change(1, 2)).await;
    let throughput = described(&stack).await["ProvisionedThroughput"].clone();
    assert_eq!((&throughput["ReadCapacityUnits"], &throughput["WriteCapacityUnits"]), (&json!(1), &json!(2)));
    assert_eq!(throughput["NumberOfDecreasesToday"], 2);
    assert!(throughput["LastIncreaseDateTime"].is_number());
    call(&stack, "UpdateTable", json!({"TableName": "tunes", "BillingMode": "PAY_PER_REQUEST"})).await;
    let table = described(&stack).await;
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 0);
    assert!(refused(&stack, "UpdateTable", change(3, 3)).await.1.contains("BillingMode is PAY_PER_REQUEST"));
    for name in ["with space", "a/b", "ü", &"x".repeat(256)] {
        let input = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        });
        assert!(refused(&stack, "CreateTable", input).await.1.starts_with("Invalid table/index name."), "{name}");
    }
    let nothing = refused(&stack, "UpdateTable", json!({"TableName": "tunes"})).await.1;
    assert!(nothing.starts_with("At least one of ProvisionedThroughput, BillingMode,"), "{nothing}");
    let limits = call(&stack, "DescribeLimits", json!({})).await;
    assert_eq!(limits["TableMaxReadCapacityUnits"], 40_000);
}

#[tokio::test]
async fn beyond_the_throughput_requests_are_refused_where_that_is_set() {
    let stack = stack(Config { throttle: true, ..Config::default() }).await;
    table(&stack, json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}})).await;
    put(&stack, "p", 1, json!({})).await;
    put(&stack, "p", 2, json!({"text": {"S": "x".repeat(3_000)}})).await;
    let item = json!({"TableName": "tunes", "Item": crate::key("p", 3)});
    let (code, message) = refused(&stack, "PutItem", item.clone()).await;
    assert_eq!(code, "ProvisionedThroughputExceededException");
    assert!(
        message.starts_with("The level of configured provisioned throughput for the table was exceeded."),
        "{message}"
    );
    assert_eq!(crate::get(&stack, "p", 3).await, Value::Null);
    // The debt of the large item is paid after a second and a half.
    stack.clock().advance(Duration::from_secs(2));
    call(&stack, "PutItem", item).await;
    let writes: Vec<Value> = (10..15).map(|sk| json!({"PutRequest": {"Item": crate::key("b", sk)}})).collect();
    stack.clock().advance(Duration::from_secs(1));
    let answer = call(&stack, "BatchWriteItem", json!({"RequestItems": {"tunes": writes}})).await;
    assert_eq!(answer["UnprocessedItems"]["tunes"].as_array().map(Vec::len), Some(2), "{answer}");
}

#[tokio::test]
async fn a_local_index_wants_a_table_with_a_range_key() {
    let stack = stack(Config::default()).await;
    let hash = json!({"AttributeName": "pk", "KeyType": "HASH"});
    let body = json!({
        "TableName": "flat",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
        "KeySchema": [hash],
        "BillingMode": "PAY_PER_REQUEST",
        "LocalSecondaryIndexes": [{
            "IndexName": "by-n",
            "KeySchema": [hash, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
    });
    let (code, message) = refused(&stack, "CreateTable", body).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "One or more parameter values were invalid: Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
    );
}
