use std::time::Duration;

use fractus_dynamodb::Config;
use fractus_testkit::Stack;
use serde_json::{Value, json};

use crate::{call, call_streams, described, key, put, stack, streams_refused, table};

pub async fn stream_arn(stack: &Stack) -> Value {
    described(stack).await["LatestStreamArn"].clone()
}

async fn streamed(view: &str) -> Stack {
    let stack = stack(Config::default()).await;
    table(&stack, json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": view}})).await;
    stack
}

async fn shards(stack: &Stack, arn: &Value) -> Vec<Value> {
    let answer = call_streams(stack, "DescribeStream", json!({"StreamArn": arn})).await;
    answer["StreamDescription"]["Shards"].as_array().unwrap().clone()
}

async fn iterator(stack: &Stack, arn: &Value, shard: &Value, kind: &str, number: Option<&Value>) -> Value {
    let mut input = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind});
    if let Some(number) = number {
        input["SequenceNumber"] = number.clone();
    }
    call_streams(stack, "GetShardIterator", input).await["ShardIterator"].clone()
}

async fn read(stack: &Stack, iterator: &Value) -> (Vec<Value>, Value) {
    let answer = call_streams(stack, "GetRecords", json!({"ShardIterator": iterator})).await;
    (answer["Records"].as_array().unwrap().clone(), answer["NextShardIterator"].clone())
}

/// Every record of a stream, shard by shard.
pub async fn all_records(stack: &Stack, arn: &Value) -> Vec<Value> {
    let mut records = Vec::new();
    for shard in shards(stack, arn).await {
        let mut at = iterator(stack, arn, &shard, "TRIM_HORIZON", None).await;
        loop {
            let (found, next) = read(stack, &at).await;
            let is_end = found.is_empty();
            records.extend(found);
            if is_end || next.is_null() {
                break;
            }
            at = next;
        }
    }
    records
}

#[tokio::test]
async fn a_record_tells_what_changed_in_the_view_of_its_stream() {
    for (view, has_new, has_old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let stack = streamed(view).await;
        put(&stack, "a", 1, json!({"x": {"N": "1"}})).await;
        put(&stack, "a", 1, json!({"x": {"N": "1"}})).await;
        put(&stack, "a", 1, json!({"x": {"N": "2"}})).await;
        call(&stack, "DeleteItem", json!({"TableName": "tunes", "Key": key("a", 1)})).await;
        call(&stack, "DeleteItem", json!({"TableName": "tunes", "Key": key("a", 1)})).await;
        let records = all_records(&stack, &stream_arn(&stack).await).await;
        let names: Vec<&Value> = records.iter().map(|record| &record["eventName"]).collect();
        assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"], "{view}");
        let mut numbers = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let told = &record["dynamodb"];
            assert_eq!(told["Keys"], key("a", 1));
            assert_eq!(told["StreamViewType"], view);
            assert_eq!(told["NewImage"].is_object(), has_new && number < 2, "{record}");
            assert_eq!(told["OldImage"].is_object(), has_old && number > 0, "{record}");
            assert_eq!(told["ApproximateCreationDateTime"], 1_767_225_600);
            assert_eq!(record["eventVersion"], "1.1");
            assert_eq!(record["awsRegion"], "us-east-1");
            numbers.push(told["SequenceNumber"].as_str().unwrap().to_owned());
        }
        assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 21), "{numbers:?}");
        let keys_bytes = 2 + 1 + 2 + 2;
        let image_bytes = keys_bytes + 1 + 2;
        let images = |new: bool, old: bool| {
            keys_bytes + i64::from(has_new && new) * image_bytes + i64::from(has_old && old) * image_bytes
        };
        let told: Vec<i64> = records.iter().map(|record| record["dynamodb"]["SizeBytes"].as_i64().unwrap()).collect();
        assert_eq!(told, [images(true, false), images(true, true), images(false, true)], "{view}");
    }
}

#[tokio::test]
async fn iterators_begin_where_they_are_told() {
    let stack = streamed("NEW_IMAGE").await;
    let arn = stream_arn(&stack).await;
    for number in 0..5 {
        put(&stack, "a", number, json!({})).await;
        stack.clock().advance(Duration::from_secs(10));
    }
    let shard = shards(&stack, &arn).await.remove(0);
    let sort_keys = |records: &[Value]| -> Vec<String> {
        records.iter().map(|record| record["dynamodb"]["Keys"]["sk"]["N"].as_str().unwrap().to_owned()).collect()
    };
    let begin = iterator(&stack, &arn, &shard, "TRIM_HORIZON", None).await;
    let (records, next) = read(&stack, &begin).await;
    assert_eq!(sort_keys(&records), ["0", "1", "2", "3", "4"]);
    assert_eq!(read(&stack, &next).await.0.len(), 0);
    let third = &records[2]["dynamodb"]["SequenceNumber"];
    let at = iterator(&stack, &arn, &shard, "AT_SEQUENCE_NUMBER", Some(third)).await;
    assert_eq!(sort_keys(&read(&stack, &at).await.0), ["2", "3", "4"]);
    let after = iterator(&stack, &arn, &shard, "AFTER_SEQUENCE_NUMBER", Some(third)).await;
    assert_eq!(sort_keys(&read(&stack, &after).await.0), ["3", "4"]);
    let latest = iterator(&stack, &arn, &shard, "LATEST", None).await;
    put(&stack, "b", 7, json!({})).await;
    assert_eq!(sort_keys(&read(&stack, &latest).await.0), ["7"]);
    let from = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1_767_225_625});
    let from = call_streams(&stack, "GetShardIterator", from).await["ShardIterator"].clone();
    assert_eq!(sort_keys(&read(&stack, &from).await.0), ["3", "4", "7"]);
    let two = call_streams(&stack, "GetRecords", json!({"ShardIterator": begin, "Limit": 2})).await;
    assert_eq!(two["Records"].as_array().unwrap().len(), 2);
    assert_eq!(sort_keys(&read(&stack, &two["NextShardIterator"]).await.0), ["2", "3", "4", "7"]);
    stack.clock().advance(Duration::from_secs(15 * 60));
    assert_eq!(
        streams_refused(&stack, "GetRecords", json!({"ShardIterator": begin})).await.0,
        "ExpiredIteratorException"
    );
    for wrong in ["x", "arn|1|zz"] {
        let (code, _) = streams_refused(&stack, "GetRecords", json!({"ShardIterator": wrong})).await;
        assert_eq!(code, "ValidationException");
    }
    let (code, message) = streams_refused(&stack, "GetRecords", json!({"ShardIterator": begin, "Limit": 1_001})).await;
    assert_eq!(code, "ValidationException", "{message}");
    let unknown = json!({"StreamArn": arn.as_str().unwrap().replace("2026", "2025")});
    assert_eq!(streams_refused(&stack, "DescribeStream", unknown).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn shards_close_and_are_followed() {
    let stack = streamed("KEYS_ONLY").await;
    let arn = stream_arn(&stack).await;
    put(&stack, "a", 1, json!({})).await;
    stack.clock().advance(Duration::from_secs(4 * 3_600));
    put(&stack, "a", 2, json!({})).await;
    let all = shards(&stack, &arn).await;
    let [parent, child] = &all[..] else { panic!("{all:?}") };
    assert_eq!(child["ParentShardId"], parent["ShardId"]);
    assert!(parent["SequenceNumberRange"]["EndingSequenceNumber"].is_string());
    assert!(child["SequenceNumberRange"]["EndingSequenceNumber"].is_null());
    let begin = iterator(&stack, &arn, parent, "TRIM_HORIZON", None).await;
    let (records, next) = read(&stack, &begin).await;
    assert_eq!((records.len(), next), (1, Value::Null), "a closed shard ends");
    let children = json!({"StreamArn": arn, "ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]}});
    let children = call_streams(&stack, "DescribeStream", children).await["StreamDescription"]["Shards"].clone();
    assert_eq!(children, json!([child]));
    let page = call_streams(&stack, "DescribeStream", json!({"StreamArn": arn, "Limit": 1})).await["StreamDescription"]
        .clone();
    assert_eq!(page["LastEvaluatedShardId"], parent["ShardId"]);
    let rest = json!({"StreamArn": arn, "ExclusiveStartShardId": parent["ShardId"]});
    let rest = call_streams(&stack, "DescribeStream", rest).await["StreamDescription"].clone();
    assert_eq!((&rest["Shards"], &rest["LastEvaluatedShardId"]), (&json!([child]), &Value::Null));
    // A day later the first record is trimmed, and with it its shard.
    let first = records[0]["dynamodb"]["SequenceNumber"].clone();
    stack.clock().advance(Duration::from_secs(20 * 3_600));
    let trimmed = json!({"StreamArn": arn, "ShardId": parent["ShardId"], "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first});
    assert_eq!(streams_refused(&stack, "GetShardIterator", trimmed).await.0, "TrimmedDataAccessException");
    let begin = iterator(&stack, &arn, child, "TRIM_HORIZON", None).await;
    stack.clock().advance(Duration::from_secs(4 * 3_600));
    let all = shards(&stack, &arn).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let (code, _) = streams_refused(&stack, "GetRecords", json!({"ShardIterator": begin})).await;
    assert_eq!(code, "ExpiredIteratorException");
    let begin = iterator(&stack, &arn, child, "TRIM_HORIZON", None).await;
    assert_eq!(read(&stack, &begin).await.0.len(), 0);
}

#[tokio::test]
async fn a_disabled_stream_is_read_for_a_day() {
    let stack = streamed("NEW_IMAGE").await;
    let arn = stream_arn(&stack).await;
    put(&stack, "a", 1, json!({})).await;
    let enable =
        json!({"TableName": "tunes", "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "OLD_IMAGE"}});
    assert_eq!(
        crate::refused(&stack, "UpdateTable", enable.clone()).await.1,
        "Table already has an enabled stream: TableName: tunes"
    );
    call(&stack, "UpdateTable", json!({"TableName": "tunes", "StreamSpecification": {"StreamEnabled": false}})).await;
    put(&stack, "a", 2, json!({})).await;
    let stream = call_streams(&stack, "DescribeStream", json!({"StreamArn": arn})).await["StreamDescription"].clone();
    assert_eq!(stream["StreamStatus"], "DISABLED");
    assert_eq!(all_records(&stack, &arn).await.len(), 1);
    let table = described(&stack).await;
    assert_eq!((&table["StreamSpecification"], &table["LatestStreamArn"]), (&Value::Null, &arn));
    stack.clock().advance(Duration::from_secs(1));
    call(&stack, "UpdateTable", enable).await;
    let other = stream_arn(&stack).await;
    assert_ne!(other, arn);
    let list = |body: Value| {
        let stack = &stack;
        async move { call_streams(stack, "ListStreams", body).await }
    };
    let both = list(json!({})).await;
    assert_eq!(both["Streams"].as_array().unwrap().len(), 2);
    let page = list(json!({"Limit": 1})).await;
    assert_eq!(page["LastEvaluatedStreamArn"], arn);
    let rest = list(json!({"Limit": 1, "ExclusiveStartStreamArn": arn})).await;
    assert_eq!((&rest["Streams"][0]["StreamArn"], &rest["LastEvaluatedStreamArn"]), (&other, &Value::Null));
    call(&stack, "DeleteTable", json!({"TableName": "tunes"})).await;
    assert_eq!(list(json!({})).await["Streams"].as_array().unwrap().len(), 2);
    stack.clock().advance(Duration::from_secs(24 * 3_600));
    assert_eq!(list(json!({})).await["Streams"], json!([]));
}

#[tokio::test]
async fn several_shards_keep_the_order_of_each_item() {
    let stack = stack(Config { stream_shards: 4, ..Config::default() }).await;
    table(&stack, json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}})).await;
    for round in 0..5 {
        for item in 0..10 {
            put(&stack, &format!("p{item}"), 1, json!({"round": {"N": round.to_string()}})).await;
        }
    }
    let arn = stream_arn(&stack).await;
    assert_eq!(shards(&stack, &arn).await.len(), 4);
    let records = all_records(&stack, &arn).await;
    assert_eq!(records.len(), 50);
    for item in 0..10 {
        let rounds: Vec<&str> = records
            .iter()
            .filter(|record| record["dynamodb"]["Keys"]["pk"]["S"] == format!("p{item}"))
            .map(|record| record["dynamodb"]["NewImage"]["round"]["N"].as_str().unwrap())
            .collect();
        assert_eq!(rounds, ["0", "1", "2", "3", "4"]);
    }
    let mut ids: Vec<&str> = records.iter().map(|record| record["eventID"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}
