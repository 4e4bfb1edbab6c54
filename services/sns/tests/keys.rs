//! Topics under a key of KMS: what KMS is asked, and what publishers are told of its answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use fractus_sns_api as api;
use fractus_testkit::{Client, Kms, Stack};

use common::*;

async fn with_kms(kms: &Kms) -> (Stack, Client) {
    let sqs = |host| fractus_sqs::start(fractus_sqs::Config::default(), host);
    let stack = builder().with("sqs", sqs).with("kms", kms.start()).with_nats().start().await;
    let client = client(&stack);
    let heard = topic(&client, "heard", &[("KmsMasterKeyId", Kms::KEY)]).await;
    kms.heard(|| publish(&client, message(&heard, "x"))).await;
    (stack, client)
}

#[tokio::test]
async fn kms_gives_a_data_key_to_who_publishes() {
    let kms = Kms::default();
    let (stack, client) = with_kms(&kms).await;
    let plain = topic(&client, "plain", &[]).await;
    publish(&client, message(&plain, "x")).await;
    assert_eq!(kms.taken(), [], "a topic without a key asks nobody");
    let arn = topic(&client, "t", &[("KmsMasterKeyId", Kms::KEY)]).await;
    publish(&client, message(&arn, "x")).await;
    let asked = kms.taken();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].operation, asked[0].caller.as_str()), ("GenerateDataKey", "arn:aws:iam::000000000000:root"));
    assert_eq!(asked[0].context, [("aws:sns:topicArn".to_owned(), arn.clone())].into());
    publish(&client, message(&arn, "x")).await;
    assert_eq!(kms.taken(), [], "one data key serves for five minutes");
    stack.clock().advance(Duration::from_secs(300));
    publish(&client, message(&arn, "x")).await;
    assert_eq!(kms.taken().len(), 1);
}

#[tokio::test]
async fn what_kms_refuses_is_not_published() {
    let kms = Kms::default();
    let (stack, client) = with_kms(&kms).await;
    let (url, queue_arn) = queue(&stack, "q").await;
    let arn = topic(&client, "t", &[("KmsMasterKeyId", Kms::KEY)]).await;
    subscribe(&client, &arn, "sqs", &queue_arn, &[]).await;
    for (code, told, status) in [
        ("AccessDeniedException", "KMSAccessDenied", 400),
        ("DisabledException", "KMSDisabled", 400),
        ("KMSInvalidStateException", "KMSInvalidState", 400),
        ("NotFoundException", "KMSNotFound", 400),
        ("OptInRequired", "KMSOptInRequired", 403),
        ("ThrottlingException", "KMSThrottling", 400),
    ] {
        kms.refuse(Some((code, 400, "KMS says why.")));
        let entry = api::PublishBatchRequestEntry { id: "a".into(), message: "x".into(), ..Default::default() };
        let batch = api::PublishBatchInput { topic_arn: arn.clone(), publish_batch_request_entries: vec![entry] };
        for refused in [
            client.call(api::Publish, message(&arn, "x")).await.unwrap_err(),
            client.call(api::PublishBatch, batch).await.unwrap_err(),
        ] {
            assert_eq!((refused.code.as_ref(), refused.status), (told, status));
            assert_eq!(refused.message, "KMS says why.");
        }
    }
    kms.refuse(None);
    publish(&client, message(&arn, "after")).await;
    let messages = receive(&stack, &url, 1).await;
    assert_eq!(body(&messages[0])["Message"], "after");
}

/// A queue that cannot be written to for its key's sake: what does not pass goes to the subscription's dead letters, what
/// passes is tried again by the clock.
#[tokio::test]
async fn a_queue_under_a_key_that_fails_gets_nothing() {
    let kms = Kms::default();
    let (stack, client) = with_kms(&kms).await;
    let sqs = stack.client("sqs").api(&fractus_sqs_api::MODEL);
    let input = fractus_sqs_api::CreateQueueInput {
        queue_name: "sealed".into(),
        attributes: Some([("KmsMasterKeyId".to_owned(), Kms::KEY.to_owned())].into_iter().collect()),
        ..Default::default()
    };
    let url = sqs.call(fractus_sqs_api::CreateQueue, input).await.unwrap().queue_url.unwrap();
    let send = || {
        let input = fractus_sqs_api::SendMessageInput {
            queue_url: url.clone(),
            message_body: "x".into(),
            ..Default::default()
        };
        sqs.call(fractus_sqs_api::SendMessage, input)
    };
    kms.heard(send).await;
    let purge = fractus_sqs_api::PurgeQueueInput { queue_url: url.clone() };
    sqs.call(fractus_sqs_api::PurgeQueue, purge).await.unwrap();
    let (dead_url, dead_arn) = queue(&stack, "dead").await;
    let arn = topic(&client, "t", &[]).await;
    let redrive = format!(r#"{{"deadLetterTargetArn":"{dead_arn}"}}"#);
    let sealed = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:sealed");
    subscribe(&client, &arn, "sqs", &sealed, &[("RedrivePolicy", &redrive)]).await;
    stack.clock().advance(Duration::from_secs(300));
    kms.refuse(Some(("DisabledException", 400, "disabled")));
    publish(&client, message(&arn, "refused")).await;
    assert_eq!(body(&receive(&stack, &dead_url, 1).await[0])["Message"], "refused");
    kms.refuse(Some(("ThrottlingException", 400, "slowly")));
    publish(&client, message(&arn, "later")).await;
    fractus_testkit::wait_for("it waits for the clock", || async {
        (stack.count("sns", "retries").await == 1).then_some(())
    })
    .await;
    kms.refuse(None);
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(body(&receive(&stack, &url, 1).await[0])["Message"], "later");
}
