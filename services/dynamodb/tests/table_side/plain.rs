//! A table that nothing follows, whose items are replaced without a look at them, is told as one whose changes are followed.

use fractus_dynamodb::Config;
use serde_json::{Value, json};

use super::{call, stack};

#[tokio::test]
async fn counts_and_capacities_do_not_depend_on_what_follows_a_table() {
    let stack = stack(Config::default()).await;
    let stack = &stack;
    let make = |name: &'static str, stream: Value| {
        call(
            stack,
            "CreateTable",
            json!({
                "TableName": name, "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": stream,
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            }),
        )
    };
    make("plain", json!({"StreamEnabled": false})).await;
    make("followed", json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"})).await;
    let item =
        |pk: &str, length: usize| json!({"pk": {"S": pk}, "fill": {"S": "x".repeat(length)}, "n": {"NS": ["2", "1"]}});
    let put =
        |name, pk, length| json!({"TableName": name, "Item": item(pk, length), "ReturnConsumedCapacity": "TOTAL"});
    let delete = |name| json!({"TableName": name, "Key": {"pk": {"S": "a"}}, "ReturnConsumedCapacity": "TOTAL"});
    let both = async |operation: &str, body: &dyn Fn(&'static str) -> Value| {
        let mut told = Vec::new();
        for name in ["plain", "followed"] {
            let mut answer = call(stack, operation, body(name)).await;
            let one = answer["ConsumedCapacity"].get_mut(0);
            let own = match one {
                Some(first) => first.take(),
                None => answer["ConsumedCapacity"].take(),
            };
            let table = call(stack, "DescribeTable", json!({"TableName": name})).await["Table"].take();
            told.push((own["CapacityUnits"].clone(), table["ItemCount"].clone(), table["TableSizeBytes"].clone()));
        }
        assert_eq!(told[0], told[1], "{operation}");
        told.swap_remove(0)
    };
    let a = "pk".len() + 1 + "fill".len() + "n".len() + 4;
    let (_, count, bytes) = both("PutItem", &|name| put(name, "a", 3_000)).await;
    assert_eq!((count, bytes), (1.into(), (a + 3_000).into()));
    // As it was; then smaller, which costs what the larger one did.
    assert_eq!(both("PutItem", &|name| put(name, "a", 3_000)).await.0, 3.0);
    let (units, count, bytes) = both("PutItem", &|name| put(name, "a", 10)).await;
    assert_eq!((units, count, bytes), (3.into(), 1.into(), (a + 10).into()));
    let actions = |name| {
        json!({"ReturnConsumedCapacity": "TOTAL", "TransactItems": [
            {"Put": {"TableName": name, "Item": item("b", 2_000)}}, {"Put": {"TableName": name, "Item": item("a", 20)}},
        ]})
    };
    let (units, count, bytes) = both("TransactWriteItems", &actions).await;
    assert_eq!((units, count, bytes), (6.into(), 2.into(), (2 * a + 2_020).into()));
    assert_eq!(both("DeleteItem", &delete).await.1, 1);
    let (units, count, bytes) = both("DeleteItem", &delete).await;
    assert_eq!((units, count, bytes), (1.into(), 1.into(), (a + 2_000).into()));
}
