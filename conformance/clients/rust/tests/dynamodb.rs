//! DynamoDB.

use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use fractus_rust_clients::{config, unique};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn a_table_from_beginning_to_end() {
    let dynamodb = aws_sdk_dynamodb::Client::new(&config().await);
    let table = unique("rust");
    let attribute =
        |name, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    dynamodb
        .create_table()
        .table_name(&table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("p", ScalarAttributeType::S))
        .attribute_definitions(attribute("s", ScalarAttributeType::N))
        .key_schema(key("p", KeyType::Hash))
        .key_schema(key("s", KeyType::Range))
        .send()
        .await
        .unwrap();
    dynamodb.wait_until_table_exists().table_name(&table).wait(std::time::Duration::from_secs(30)).await.unwrap();
    for number in 0..5 {
        let put = dynamodb
            .put_item()
            .table_name(&table)
            .item("p", text("a"))
            .item("s", AttributeValue::N(number.to_string()));
        put.send().await.unwrap();
    }
    let again =
        dynamodb.put_item().table_name(&table).item("p", text("a")).item("s", AttributeValue::N("0".to_owned()));
    let error = again.condition_expression("attribute_not_exists(p)").send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    let query = dynamodb.query().table_name(&table).key_condition_expression("p = :p AND s > :s");
    let query = query
        .expression_attribute_values(":p", text("a"))
        .expression_attribute_values(":s", AttributeValue::N("0".to_owned()));
    let items = query.into_paginator().page_size(2).items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let numbers: Vec<_> = items.iter().map(|item| item["s"].as_n().unwrap().as_str()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    dynamodb.delete_table().table_name(&table).send().await.unwrap();
    dynamodb.wait_until_table_not_exists().table_name(&table).wait(std::time::Duration::from_secs(30)).await.unwrap();
}
