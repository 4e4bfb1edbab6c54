//! AWS's own words for what is wrong with a request.

use fractus_dynamodb::Config;
use serde_json::{Value, json};

use super::{refused, stack, table};

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_the_words_of_aws() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    let values = json!({":a": {"S": "a"}});
    let key = json!({"pk": {"S": "a"}, "sk": {"N": "1"}});
    let partition = "KeyConditionExpression";
    let without = "ExpressionAttributeValues can only be specified when using expressions";
    let cases: [(&str, Value, String); 8] = [
        (
            "PutItem",
            json!({"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": "a", "N": "1"}}}),
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes".to_owned(),
        ),
        ("PutItem", json!({"Item": key, "ExpressionAttributeValues": values}), format!("{without}: ConditionExpression is null")),
        (
            "UpdateItem",
            json!({"Key": key, "ExpressionAttributeValues": values}),
            format!("{without}: UpdateExpression and ConditionExpression are null"),
        ),
        ("Scan", json!({"ExpressionAttributeValues": values}), format!("{without}: FilterExpression is null")),
        (
            "Query",
            json!({partition: "pk = :a", "ExpressionAttributeValues": values, "Select": "COUNT", "ProjectionExpression": "x"}),
            "Cannot specify the ProjectionExpression when choosing to get only the Count".to_owned(),
        ),
        (
            "Query",
            json!({partition: "pk = :a", "ExpressionAttributeValues": values, "ExclusiveStartKey": {"pk": {"S": "a"}}}),
            "The provided starting key is invalid: The provided key element does not match the schema".to_owned(),
        ),
        (
            "Scan",
            json!({"ExclusiveStartKey": {"pk": {"S": "a"}, "sk": {"S": "1"}}}),
            "The provided starting key is invalid: The provided key element does not match the schema".to_owned(),
        ),
        (
            "CreateTable",
            json!({
                "TableName": "ab", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            }),
            "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'".to_owned(),
        ),
    ];
    for (operation, mut input, words) in cases {
        if input.get("TableName").is_none() {
            input["TableName"] = json!("tunes");
        }
        let (code, message) = refused(&stack, operation, input).await;
        let message = message.strip_prefix("1 validation error detected: ").unwrap_or(&message);
        assert_eq!((code.as_str(), message), ("ValidationException", words.as_str()), "{operation}");
    }
}
