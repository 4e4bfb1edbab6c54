//! SQS and STS.

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use fractus_rust_clients::{config, endpoint, unique};

#[tokio::test]
async fn a_message_from_beginning_to_end() {
    let sqs = aws_sdk_sqs::Client::new(&config().await);
    let name = unique("rust");
    let url = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, format!("{}/000000000000/{name}", endpoint()));
    let number = MessageAttributeValue::builder().data_type("Number").string_value("7").build().unwrap();
    let sent = sqs
        .send_message()
        .queue_url(&url)
        .message_body("hello ü")
        .message_attributes("n", number)
        .send()
        .await
        .unwrap();
    let got = sqs
        .receive_message()
        .queue_url(&url)
        .wait_time_seconds(5)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let [message] = got.messages() else { panic!("{got:?}") };
    assert_eq!((message.body(), message.message_id()), (Some("hello ü"), sent.message_id()));
    assert_eq!(message.message_attributes().unwrap()["n"].string_value(), Some("7"));
    assert_eq!(message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    sqs.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    let counts =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await.unwrap();
    assert_eq!(counts.attributes().unwrap()[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible], "0");
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
}

#[tokio::test]
async fn batches_answer_entry_by_entry_and_errors_are_typed() {
    let sqs = aws_sdk_sqs::Client::new(&config().await);
    let url = sqs.create_queue().queue_name(unique("rust")).send().await.unwrap().queue_url.unwrap();
    let entry = |id: &str, delay| {
        SendMessageBatchRequestEntry::builder().id(id).message_body("x").delay_seconds(delay).build().unwrap()
    };
    let batch =
        sqs.send_message_batch().queue_url(&url).entries(entry("a", 0)).entries(entry("b", 901)).send().await.unwrap();
    assert_eq!((batch.successful()[0].id(), batch.failed()[0].id()), ("a", "b"));
    assert!(batch.failed()[0].sender_fault());
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let error = sqs.get_queue_url().queue_name(unique("missing")).send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    assert!(error.message().is_some_and(|message| message.contains("does not exist")), "{error:?}");
}

#[tokio::test]
async fn a_paginator_follows_the_tokens() {
    let sqs = aws_sdk_sqs::Client::new(&config().await);
    let prefix = unique("rust-pages");
    for number in 0..5 {
        sqs.create_queue().queue_name(format!("{prefix}-{number}")).send().await.unwrap();
    }
    let urls = sqs.list_queues().queue_name_prefix(&prefix).into_paginator().page_size(2).items().send();
    let urls = urls.collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(urls.len(), 5);
    for url in urls {
        sqs.delete_queue().queue_url(url).send().await.unwrap();
    }
}

#[tokio::test]
async fn whose_credentials_these_are() {
    let sts = aws_sdk_sts::Client::new(&config().await);
    assert_eq!(sts.get_caller_identity().send().await.unwrap().account(), Some("000000000000"));
    let role = "arn:aws:iam::000000000000:role/reader";
    let assumed = sts.assume_role().role_arn(role).role_session_name("me").send().await.unwrap();
    let credentials = assumed.credentials().unwrap();
    let as_role = aws_sdk_sts::config::Builder::from(&config().await)
        .credentials_provider(aws_sdk_sts::config::Credentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key(),
            Some(credentials.session_token().to_owned()),
            None,
            "assumed",
        ))
        .build();
    let identity = aws_sdk_sts::Client::from_conf(as_role).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::000000000000:assumed-role/reader/me"));
}
