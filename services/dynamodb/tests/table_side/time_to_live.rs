use std::time::Duration;

use fractus_dynamodb::Config;
use fractus_testkit::{Stack, wait_for};
use serde_json::{Value, json};

use crate::streams::{all_records, stream_arn};
use crate::{call, described, get, put, refused, stack, table};

const START: u64 = 1_767_225_600;

async fn switch(stack: &Stack, on: bool) {
    let specification = json!({"Enabled": on, "AttributeName": "until"});
    call(stack, "UpdateTimeToLive", json!({"TableName": "tunes", "TimeToLiveSpecification": specification})).await;
}

fn until(second: u64) -> Value {
    json!({"until": {"N": second.to_string()}})
}

async fn gone(stack: &Stack, pk: &str, sk: u64) {
    wait_for("an item to expire", || async { get(stack, pk, sk).await.is_null().then_some(()) }).await;
}

#[tokio::test]
async fn items_expire_by_the_clock_and_the_stream_says_by_whom() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}))
        .await;
    put(&stack, "before", 1, until(START + 50)).await;
    switch(&stack, true).await;
    assert_eq!(
        call(&stack, "DescribeTimeToLive", json!({"TableName": "tunes"})).await["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "until"})
    );
    put(&stack, "soon", 1, until(START + 60)).await;
    put(&stack, "later", 1, until(START + 600)).await;
    put(&stack, "moved", 1, until(START + 60)).await;
    put(&stack, "moved", 1, until(START + 900)).await;
    put(&stack, "never", 1, json!({"until": {"S": "1"}})).await;
    put(&stack, "ancient", 1, until(START - 6 * 365 * 86_400)).await;
    stack.clock().advance(Duration::from_secs(61));
    gone(&stack, "before", 1).await;
    gone(&stack, "soon", 1).await;
    for there in ["later", "moved", "never", "ancient"] {
        assert!(get(&stack, there, 1).await.is_object(), "{there}");
    }
    assert_eq!(described(&stack).await["ItemCount"], 4);
    let records = all_records(&stack, &stream_arn(&stack).await).await;
    let expired: Vec<&Value> = records.iter().filter(|record| record["eventName"] == "REMOVE").collect();
    assert_eq!(expired.len(), 2);
    for record in expired {
        assert_eq!(record["userIdentity"], json!({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}));
        assert!(record["dynamodb"]["OldImage"]["until"]["N"].is_string());
    }
    assert!(
        records.iter().filter(|record| record["eventName"] != "REMOVE").all(|record| record["userIdentity"].is_null())
    );
    // A large step takes both that are left.
    stack.clock().advance(Duration::from_secs(10_000));
    gone(&stack, "later", 1).await;
    gone(&stack, "moved", 1).await;
    assert!(get(&stack, "never", 1).await.is_object());
}

#[tokio::test]
async fn it_is_switched_once_and_nothing_expires_after() {
    let stack = stack(Config::default()).await;
    table(&stack, json!({})).await;
    let asked = |on: bool, attribute: &str| json!({"TableName": "tunes", "TimeToLiveSpecification": {"Enabled": on, "AttributeName": attribute}});
    let says = |body: Value| {
        let stack = &stack;
        async move { refused(stack, "UpdateTimeToLive", body).await.1 }
    };
    assert_eq!(says(asked(false, "until")).await, "TimeToLive is already disabled");
    switch(&stack, true).await;
    assert_eq!(says(asked(true, "until")).await, "TimeToLive is already enabled");
    assert_eq!(
        says(asked(false, "other")).await,
        "TimeToLive is active on a different AttributeName: current AttributeName is until"
    );
    put(&stack, "p", 1, until(START + 60)).await;
    switch(&stack, false).await;
    assert_eq!(
        call(&stack, "DescribeTimeToLive", json!({"TableName": "tunes"})).await["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "DISABLED"})
    );
    put(&stack, "q", 1, until(START + 70)).await;
    stack.clock().advance(Duration::from_secs(120));
    assert!(get(&stack, "p", 1).await.is_object());
    switch(&stack, true).await;
    gone(&stack, "p", 1).await;
    gone(&stack, "q", 1).await;
}
