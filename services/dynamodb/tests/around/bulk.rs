//! Items put in bulk from S3.

use fractus_dynamodb_api as api;
use fractus_testkit::{Client, wait_for};
use serde_json::{Value as Json, json};

use super::exchange::{keys, object, put_object, with_s3};
use super::*;

fn input() -> api::StartBulkPutItemsInput {
    api::StartBulkPutItemsInput {
        table_name: "music".into(),
        input_s3_configuration: api::InputS3Configuration {
            s3_bucket: "files".into(),
            s3_key_prefix: Some("in/".into()),
            input_format: api::BulkOperationInputFormat::DynamodbJson,
            ..Default::default()
        },
        output_s3_configuration: api::OutputS3Configuration {
            s3_key_prefix: Some("out".into()),
            output_type: vec![api::OutputTypeEnum::Error, api::OutputTypeEnum::ConditionCheckFailure],
            ..Default::default()
        },
        ..Default::default()
    }
}

async fn start(client: &Client, input: api::StartBulkPutItemsInput) -> api::BulkOperationDescription {
    client.call(api::StartBulkPutItems, input).await.unwrap().bulk_operation_description
}

async fn described(client: &Client, arn: &str) -> api::BulkOperationDescription {
    let input = api::DescribeBulkOperationInput { bulk_operation_arn: arn.into() };
    client.call(api::DescribeBulkOperation, input).await.unwrap().bulk_operation_description
}

async fn reaches(client: &Client, arn: &str, status: api::BulkOperationStatus) -> api::BulkOperationDescription {
    wait_for(&format!("the operation to be {status:?}"), || async {
        let described = described(client, arn).await;
        (described.bulk_operation_status.as_ref() == Some(&status)).then_some(described)
    })
    .await
}

fn line(pk: &str, n: u64) -> String {
    json!({"Item": {"pk": {"S": pk}, "n": {"N": n.to_string()}}}).to_string() + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_put_is_reported_with_its_line() {
    let (_stack, client, s3) = with_s3().await;
    table(&client, "music").await;
    put(&client, "music", "taken", 1).await;
    let unless_there = json!({
        "Item": {"pk": {"S": "taken"}, "n": {"N": "2"}},
        "ConditionExpression": "attribute_not_exists(pk) OR #n > :most",
        "ExpressionAttributeNames": {"#n": "n"},
        "ExpressionAttributeValues": {":most": {"N": "7"}},
    });
    let text = format!("{}{unless_there}\nno json\n{}", line("a", 1), line("b", 2));
    put_object(&s3, "in/1.json", text).await;
    put_object(&s3, "in/2.json", format!("{{\"Item\":{{\"n\":{{\"N\":\"1\"}}}}}}\n{}", line("c", 3))).await;
    let begun = start(&client, input()).await;
    assert_eq!(begun.bulk_operation_status, Some(api::BulkOperationStatus::InProgress));
    let arn = begun.bulk_operation_arn.unwrap();
    let done = reaches(&client, &arn, api::BulkOperationStatus::CompletedWithErrors).await;
    assert_eq!((done.processed_item_count, done.failed_item_count), (Some(6), Some(2)));
    assert_eq!(done.processed_input_bytes, done.total_input_bytes);
    let usage = &done.bulk_operation_usage.unwrap()[0];
    // "pk" and "a", "n" and a number of one digit: six bytes in each of three items; the index has the same.
    let index = usage.global_secondary_indexes.as_ref().unwrap()["by-n"].bulk_put_bytes;
    assert_eq!((usage.table.as_ref().unwrap().bulk_put_bytes, index), (Some(18), Some(18)));
    for (pk, n) in [("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("taken", Some("1"))] {
        assert_eq!(number(&client, "music", pk).await.as_deref(), n, "{pk}");
    }
    let id = arn.rsplit('/').next().unwrap();
    let folder = format!("out/AWSDynamoDB/{id}");
    let files = keys(&s3, &folder).await;
    assert!(files.contains(&format!("{folder}/manifest.json")), "{files:?}");
    let manifest: Json = serde_json::from_slice(&object(&s3, &format!("{folder}/manifest.json")).await).unwrap();
    assert_eq!((&manifest["failedItemCount"], &manifest["conditionCheckFailureCount"]), (&json!(2), &json!(1)));
    let unmet = object(&s3, &format!("{folder}/condition-check-failures/00000000.json")).await;
    let unmet: Json = serde_json::from_slice(&unmet).unwrap();
    assert_eq!((&unmet["S3Key"], &unmet["LineNumber"]), (&json!("in/1.json"), &json!(2)));
    assert_eq!(unmet["Line"], unless_there.to_string());
    let errors = String::from_utf8(object(&s3, &format!("{folder}/errors/00000000.json")).await).unwrap();
    assert_eq!(errors.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_begins_an_operation_once_and_the_latest_are_listed_first() {
    let (stack, client, s3) = with_s3().await;
    table(&client, "music").await;
    put_object(&s3, "in/1.json", line("a", 1)).await;
    let with_token = api::StartBulkPutItemsInput { client_token: Some("once".into()), ..input() };
    let first = start(&client, with_token.clone()).await.bulk_operation_arn.unwrap();
    assert_eq!(start(&client, with_token.clone()).await.bulk_operation_arn.unwrap(), first);
    let other = api::StartBulkPutItemsInput { max_write_request_units: Some(2_000), ..with_token };
    let other = client.call(api::StartBulkPutItems, other).await.unwrap_err();
    assert_eq!(other.code, "IdempotentParameterMismatchException");
    stack.clock().advance(secs(1));
    let second = start(&client, input()).await.bulk_operation_arn.unwrap();
    let page = |token: Option<String>| api::ListBulkOperationsInput { max_results: Some(1), next_token: token };
    let listed = client.call(api::ListBulkOperations, page(None)).await.unwrap();
    assert_eq!(listed.bulk_operations_summary_list.unwrap()[0].bulk_operation_arn, second);
    let listed = client.call(api::ListBulkOperations, page(listed.next_token)).await.unwrap();
    assert_eq!(
        (listed.bulk_operations_summary_list.unwrap()[0].bulk_operation_arn.clone(), listed.next_token),
        (first, None)
    );
    let unknown = api::DescribeBulkOperationInput { bulk_operation_arn: format!("{second}x") };
    assert_eq!(client.call(api::DescribeBulkOperation, unknown).await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_to_its_rate_by_the_clock_goes_on_where_it_was_and_is_cancelled() {
    let (stack, client, s3) = with_s3().await;
    table(&client, "music").await;
    // Each line is two write units: one of the table, one of the index.
    let text: String = (0..5_000).map(|n| line(&format!("key-{n}"), n)).collect();
    put_object(&s3, "in/1.json", text).await;
    let slow = api::StartBulkPutItemsInput { max_write_request_units: Some(1_024), ..input() };
    let arn = start(&client, slow).await.bulk_operation_arn.unwrap();
    let mut before = 0;
    for _ in 0..3 {
        let processed = wait_for("some more to be put", || async {
            let processed = described(&client, &arn).await.processed_item_count.unwrap();
            // Each line is put once: there are as many items as lines.
            (processed > before && count(&client, "music").await == processed).then_some(processed)
        })
        .await;
        before = processed;
        stack.clock().advance(secs(1));
    }
    assert!(before <= 1_700, "three seconds of 1,024 units: {before}");
    let cancel = api::CancelBulkOperationInput { bulk_operation_arn: arn.clone() };
    let cancelled = client.call(api::CancelBulkOperation, cancel).await.unwrap();
    assert_eq!(cancelled.bulk_operation_status, api::BulkOperationStatus::Cancelling);
    let done = reaches(&client, &arn, api::BulkOperationStatus::Cancelled).await;
    assert!(done.end_time.is_some() && done.processed_item_count.unwrap() < 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_or_fails() {
    let (_stack, client, _s3) = with_s3().await;
    let none = client.call(api::StartBulkPutItems, input()).await.unwrap_err();
    assert_eq!(none.code, "ResourceNotFoundException");
    table(&client, "music").await;
    let empty = start(&client, input()).await.bulk_operation_arn.unwrap();
    let failed = reaches(&client, &empty, api::BulkOperationStatus::Failed).await;
    assert!(failed.failure_code.is_some() && failed.failure_message.is_some());
    let mut elsewhere = input();
    elsewhere.input_s3_configuration.s3_bucket = "nowhere".into();
    let elsewhere = start(&client, elsewhere).await.bulk_operation_arn.unwrap();
    let failed = reaches(&client, &elsewhere, api::BulkOperationStatus::Failed).await;
    assert_eq!(failed.failure_code.as_deref(), Some("S3NoSuchBucket"));
}
