//! SNS, told through queues of SQS.

use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use aws_sdk_sqs::types::Message;
use fractus_rust_clients::{config, unique};

/// A topic and a queue that is subscribed to it.
struct Pair {
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    topic: String,
    queue: String,
    subscription: String,
}

impl Pair {
    async fn new(attributes: &[(&str, &str)]) -> Pair {
        let config = config().await;
        let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let name = unique("rust");
        let queue = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        let topic = sns.create_topic().name(&name).send().await.unwrap().topic_arn.unwrap();
        assert_eq!(topic, format!("arn:aws:sns:us-east-1:000000000000:{name}"));
        let subscribed = sns.subscribe().topic_arn(&topic).protocol("sqs");
        let subscribed = subscribed.endpoint(format!("arn:aws:sqs:us-east-1:000000000000:{name}"));
        let subscribed = attributes.iter().fold(subscribed, |request, (name, value)| request.attributes(*name, *value));
        let subscription = subscribed.return_subscription_arn(true).send().await.unwrap().subscription_arn.unwrap();
        Pair { sns, sqs, topic, queue, subscription }
    }

    /// The next messages, deleted.
    async fn receive(&self) -> Vec<Message> {
        let asked = self.sqs.receive_message().queue_url(&self.queue).wait_time_seconds(10).max_number_of_messages(10);
        let messages = asked.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        for message in &messages {
            let handle = message.receipt_handle().unwrap();
            self.sqs.delete_message().queue_url(&self.queue).receipt_handle(handle).send().await.unwrap();
        }
        messages
    }

    async fn end(self) {
        self.sns.delete_topic().topic_arn(&self.topic).send().await.unwrap();
        self.sqs.delete_queue().queue_url(&self.queue).send().await.unwrap();
    }
}

fn attribute(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_filter_lets_pass_what_it_names_and_raw_messages_keep_their_attributes() {
    let filter = r#"{"kind": ["news"], "n": [{"numeric": [">", 3]}]}"#;
    let pair = Pair::new(&[("RawMessageDelivery", "true"), ("FilterPolicy", filter)]).await;
    for (body, kind, n) in [("not this one", "noise", "7"), ("nor this one", "news", "3"), ("this one ü", "news", "7")]
    {
        let publish = pair.sns.publish().topic_arn(&pair.topic).message(body);
        let publish = publish.message_attributes("kind", attribute("String", kind));
        publish.message_attributes("n", attribute("Number", n)).send().await.unwrap();
    }
    let received = pair.receive().await;
    let [message] = &received[..] else { panic!("{received:?}") };
    assert_eq!(message.body(), Some("this one ü"));
    assert_eq!(message.message_attributes().unwrap()["n"].string_value(), Some("7"));
    pair.sns.unsubscribe().subscription_arn(&pair.subscription).send().await.unwrap();
    let error = pair.sns.get_subscription_attributes().subscription_arn(&pair.subscription).send().await;
    let error = error.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");
    pair.end().await;
}

#[tokio::test]
async fn an_envelope_says_what_was_published() {
    let pair = Pair::new(&[]).await;
    let publish = pair.sns.publish().topic_arn(&pair.topic).subject("about").message("line\n\"two\"");
    let sent = publish.send().await.unwrap().message_id.unwrap();
    let received = pair.receive().await;
    let [message] = &received[..] else { panic!("{received:?}") };
    let envelope = message.body().unwrap();
    for told in [&sent, &pair.topic, r#""Subject" : "about""#, r#""Message" : "line\n\"two\"""#] {
        assert!(envelope.contains(told), "{told} in {envelope}");
    }
    pair.end().await;
}

#[tokio::test]
async fn batches_answer_entry_by_entry_and_pages_are_followed() {
    let pair = Pair::new(&[("RawMessageDelivery", "true")]).await;
    let entry = |id: &str, n: &str| {
        let entry =
            PublishBatchRequestEntry::builder().id(id).message(id).message_attributes("n", attribute("Number", n));
        entry.build().unwrap()
    };
    let batch = pair.sns.publish_batch().topic_arn(&pair.topic);
    let batch = batch.publish_batch_request_entries(entry("a", "1")).publish_batch_request_entries(entry("b", "one"));
    let batch = batch.send().await.unwrap();
    assert_eq!((batch.successful()[0].id(), batch.failed()[0].id()), (Some("a"), "b"));
    let received = pair.receive().await;
    assert_eq!(received.iter().map(|message| message.body()).collect::<Vec<_>>(), [Some("a")]);
    let topics = pair.sns.list_topics().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    assert!(topics.iter().any(|topic| topic.topic_arn() == Some(&pair.topic)));
    let error = pair.sns.publish().topic_arn(&pair.topic).message("").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameter"), "{error:?}");
    pair.end().await;
}
