//! Queues under a key of KMS: what KMS is asked, and what callers are told of its answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::time::Duration;

use fractus_sqs_api as api;
use fractus_testkit::{Client, Kms, Stack};
use fractus_wire::{Failure, Protocol};

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

async fn stack(kms: &Kms) -> (Stack, Client) {
    let stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with("kms", kms.start())
        .frozen_at("2026-01-01T00:00:00Z")
        .with_nats()
        .start()
        .await;
    let client = stack.client("sqs").api(&api::MODEL);
    (stack, client)
}

async fn queue(client: &Client, name: &str, attributes: &[(&str, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = api::CreateQueueInput { queue_name: name.into(), attributes: Some(attributes), tags: None };
    client.call(api::CreateQueue, input).await.unwrap().queue_url.unwrap()
}

async fn send(client: &Client, url: &str) -> Result<api::SendMessageOutput, Failure> {
    let input = api::SendMessageInput { queue_url: url.into(), message_body: "x".into(), ..Default::default() };
    client.call(api::SendMessage, input).await
}

async fn receive(client: &Client, url: &str) -> Result<usize, Failure> {
    let input = api::ReceiveMessageInput {
        queue_url: url.into(),
        max_number_of_messages: Some(10),
        visibility_timeout: Some(0),
        ..Default::default()
    };
    Ok(client.call(api::ReceiveMessage, input).await?.messages.unwrap_or_default().len())
}

fn operations(kms: &Kms) -> Vec<&'static str> {
    kms.taken().iter().map(|asked| asked.operation).collect()
}

#[tokio::test]
async fn kms_judges_who_sends_and_who_receives() {
    let kms = Kms::default();
    let (stack, client) = stack(&kms).await;
    let heard = queue(&client, "heard", &[("KmsMasterKeyId", Kms::KEY)]).await;
    kms.heard(|| async { send(&client, &heard).await.unwrap() }).await;
    let plain = queue(&client, "plain", &[]).await;
    send(&client, &plain).await.unwrap();
    assert_eq!(receive(&client, &plain).await.unwrap(), 1);
    assert_eq!(operations(&kms), Vec::<&str>::new(), "SQS's own keys are no affair of KMS");

    let attributes = [("KmsMasterKeyId", Kms::KEY), ("KmsDataKeyReusePeriodSeconds", "60")];
    let url = queue(&client, "q", &attributes).await;
    send(&client, &url).await.unwrap();
    let asked = kms.taken();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].operation, asked[0].caller.as_str()), ("GenerateDataKey", "arn:aws:iam::000000000000:root"));
    assert_eq!(asked[0].context, [("aws:sqs:arn".to_owned(), QUEUE.to_owned())].into());
    send(&client, &url).await.unwrap();
    assert_eq!(receive(&client, &url).await.unwrap(), 2);
    assert_eq!(operations(&kms), Vec::<&str>::new(), "one data key serves for a minute");
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(receive(&client, &url).await.unwrap(), 2);
    assert_eq!(operations(&kms), ["Decrypt"], "both messages have one key");
    send(&client, &url).await.unwrap();
    assert_eq!(operations(&kms), ["GenerateDataKey"]);
    // Who is somebody else asks for himself.
    let other = stack.client("sqs").api(&api::MODEL).as_account("111122223333");
    send(&other, &url).await.unwrap();
    assert_eq!(kms.taken()[0].caller, "arn:aws:iam::111122223333:root");
}

#[tokio::test]
async fn what_kms_refuses_stays_where_it_is() {
    let kms = Kms::default();
    let (stack, client) = stack(&kms).await;
    // What is sent before KMS is heard of lies under no key.
    let heard = queue(&client, "heard", &[("KmsMasterKeyId", Kms::KEY)]).await;
    kms.heard(|| async { send(&client, &heard).await.unwrap() }).await;
    let url = queue(&client, "q", &[("KmsMasterKeyId", Kms::KEY), ("KmsDataKeyReusePeriodSeconds", "60")]).await;
    send(&client, &url).await.unwrap();
    let sent = receive(&client, &url).await.unwrap();
    stack.clock().advance(Duration::from_secs(60));
    for (code, status, told, older) in [
        ("DisabledException", 400, "KmsDisabled", "KMS.DisabledException"),
        ("KMSInvalidStateException", 400, "KmsInvalidState", "KMS.InvalidStateException"),
        ("NotFoundException", 400, "KmsNotFound", "KMS.NotFoundException"),
        ("AccessDeniedException", 400, "KmsAccessDenied", "KMS.AccessDeniedException"),
        ("InvalidKeyUsageException", 400, "KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException"),
        ("ThrottlingException", 400, "KmsThrottled", "KMS.ThrottlingException"),
    ] {
        kms.refuse(Some((code, status, "KMS says why.")));
        let query = stack.client("sqs").api(&api::MODEL).speaking(Protocol::AwsQuery);
        for (client, code) in [(&client, told), (&query, older)] {
            for refused in [send(client, &url).await.unwrap_err(), receive(client, &url).await.unwrap_err()] {
                assert_eq!((refused.code.as_ref(), refused.status), (code, 400));
                assert_eq!(refused.message, "KMS says why.");
            }
        }
        let entry =
            api::SendMessageBatchRequestEntry { id: "a".into(), message_body: "x".into(), ..Default::default() };
        let input = api::SendMessageBatchInput { queue_url: url.clone(), entries: vec![entry] };
        let refused = client.call(api::SendMessageBatch, input).await.unwrap_err();
        assert_eq!(refused.code, told, "a batch has one key, so it fails as a whole");
    }
    kms.refuse(Some(("KMSInternalException", 500, "")));
    assert_eq!(send(&client, &url).await.unwrap_err().status, 503);
    kms.refuse(None);
    assert_eq!(receive(&client, &url).await.unwrap(), sent, "nothing was lost, and nothing came");
    let wrong = queue(&client, "wrong", &[("KmsMasterKeyId", "alias/nobody")]).await;
    assert_eq!(send(&client, &wrong).await.unwrap_err().code, "KmsNotFound");
}
