//! From topics to queues, over the bus, on a clock that only the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::*;
use fractus_sns_api as api;

#[tokio::test]
async fn a_queue_gets_the_envelope_or_the_message_itself() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, arn) = queue(&stack, "q").await;
    let (raw_url, raw_arn) = queue(&stack, "raw").await;
    let subscription = subscribe(&client, &topic, "sqs", &arn, &[]).await;
    subscribe(&client, &topic, "sqs", &raw_arn, &[("RawMessageDelivery", "true")]).await;
    let input = api::PublishInput {
        subject: Some("s".into()),
        message_attributes: Some([text_attribute("colour", "red")].into_iter().collect()),
        ..message(&topic, "hello")
    };
    let published = publish(&client, input).await;
    let received = body(&receive(&stack, &url, 1).await[0]);
    assert_eq!(received["Type"], "Notification");
    assert_eq!(received["MessageId"], *published.message_id.as_ref().unwrap());
    assert_eq!((&received["TopicArn"], &received["Subject"]), (&topic.clone().into(), &"s".into()));
    assert_eq!((&received["Message"], &received["SignatureVersion"]), (&"hello".into(), &"1".into()));
    assert_eq!(received["Timestamp"], "2026-01-01T00:00:00.000Z");
    assert_eq!(received["MessageAttributes"]["colour"]["Value"], "red");
    assert!(received["UnsubscribeURL"].as_str().unwrap().ends_with(&subscription), "{received}");
    let raw = &receive(&stack, &raw_url, 1).await[0];
    assert_eq!(raw.body.as_deref(), Some("hello"));
    assert_eq!(raw.message_attributes.as_ref().unwrap()["colour"].string_value.as_deref(), Some("red"));
}

#[tokio::test]
async fn filter_policies_let_through_what_they_name() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (red_url, red) = queue(&stack, "red").await;
    let (body_url, by_body) = queue(&stack, "body").await;
    let policy = [("FilterPolicy", r#"{"colour": ["red"]}"#), ("RawMessageDelivery", "true")];
    let subscription = subscribe(&client, &topic, "sqs", &red, &policy).await;
    let policy = [
        ("FilterPolicy", r#"{"n": [{"numeric": [">", 1]}]}"#),
        ("FilterPolicyScope", "MessageBody"),
        ("RawMessageDelivery", "true"),
    ];
    subscribe(&client, &topic, "sqs", &by_body, &policy).await;
    let coloured = |text: &str, colour: &str| api::PublishInput {
        message_attributes: Some([text_attribute("colour", colour)].into_iter().collect()),
        ..message(&topic, text)
    };
    publish(&client, coloured("one", "blue")).await;
    publish(&client, coloured(r#"{"n": 2}"#, "red")).await;
    assert_eq!(receive(&stack, &red_url, 1).await[0].body.as_deref(), Some(r#"{"n": 2}"#));
    assert_eq!(receive(&stack, &body_url, 1).await[0].body.as_deref(), Some(r#"{"n": 2}"#));
    // A changed policy holds from the next message on.
    let input = api::SetSubscriptionAttributesInput {
        subscription_arn: subscription,
        attribute_name: "FilterPolicy".into(),
        attribute_value: Some(r#"{"colour": ["blue"]}"#.into()),
    };
    client.call(api::SetSubscriptionAttributes, input).await.unwrap();
    publish(&client, coloured("two", "red")).await;
    publish(&client, coloured("three", "blue")).await;
    assert_eq!(receive(&stack, &red_url, 1).await[0].body.as_deref(), Some("three"));
}

#[tokio::test]
async fn fifo_topics_keep_order_and_accept_once() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t.fifo", &[("FifoTopic", "true"), ("ContentBasedDeduplication", "true")]).await;
    let (url, arn) = queue(&stack, "q.fifo").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    let grouped = |text: &str| api::PublishInput { message_group_id: Some("g".into()), ..message(&topic, text) };
    let first = publish(&client, grouped("0")).await;
    assert_eq!(first.sequence_number.as_deref(), Some("10000000000000001000"));
    let again = publish(&client, grouped("0")).await;
    assert_eq!((again.message_id, again.sequence_number), (first.message_id, first.sequence_number));
    for number in 1..6 {
        publish(&client, grouped(&number.to_string())).await;
    }
    let received = receive(&stack, &url, 6).await;
    let bodies: Vec<&str> = received.iter().filter_map(|message| message.body.as_deref()).collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(received[0].attributes.as_ref().unwrap()["MessageGroupId"], "g");
    // After five minutes the same content is a new message.
    stack.clock().advance(Duration::from_secs(301));
    let later = publish(&client, grouped("0")).await;
    assert_eq!(later.sequence_number.as_deref(), Some("10000000000000007000"));
    let missing = client.call(api::Publish, message(&topic, "x")).await.unwrap_err();
    assert!(missing.message.contains("MessageGroupId parameter is required"), "{missing}");
}

#[tokio::test]
async fn an_archive_is_replayed() {
    let stack = with_queues().await;
    let client = client(&stack);
    let archive = ("ArchivePolicy", r#"{"MessageRetentionPeriod": "30"}"#);
    let topic = topic(&client, "t.fifo", &[("FifoTopic", "true"), archive]).await;
    for number in 0..3 {
        let id = number.to_string();
        let input = api::PublishInput {
            message_group_id: Some("g".into()),
            message_deduplication_id: Some(id.clone()),
            ..message(&topic, &id)
        };
        publish(&client, input).await;
        stack.clock().advance(Duration::from_secs(60));
    }
    let (url, arn) = queue(&stack, "q.fifo").await;
    let window = r#"{"PointType": "Timestamp", "StartingPoint": "2026-01-01T00:00:30.000Z"}"#;
    let subscription = subscribe(&client, &topic, "sqs", &arn, &[("ReplayPolicy", window)]).await;
    let received: Vec<_> = receive(&stack, &url, 2).await.iter().map(body).collect();
    assert_eq!((&received[0]["Message"], &received[1]["Message"]), (&"1".into(), &"2".into()));
    assert_eq!(
        (&received[0]["Replayed"], &received[0]["Timestamp"]),
        (&"true".into(), &"2026-01-01T00:01:00.000Z".into())
    );
    let input = api::GetSubscriptionAttributesInput { subscription_arn: subscription };
    let attributes = client.call(api::GetSubscriptionAttributes, input).await.unwrap().attributes.unwrap();
    assert_eq!(attributes["ReplayStatus"], "Completed");
    let active = client.call(api::DeleteTopic, api::DeleteTopicInput { topic_arn: topic.clone() }).await.unwrap_err();
    assert_eq!(active.code, "InvalidState");
}

#[tokio::test]
async fn what_cannot_be_delivered_goes_to_the_dead_letter_queue() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, dead) = queue(&stack, "dead").await;
    let policy = format!(r#"{{"deadLetterTargetArn": "{dead}"}}"#);
    let nowhere = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:nowhere");
    subscribe(&client, &topic, "sqs", &nowhere, &[("RedrivePolicy", &policy)]).await;
    publish(&client, message(&topic, "lost")).await;
    assert_eq!(body(&receive(&stack, &url, 1).await[0])["Message"], "lost");
}

#[tokio::test]
async fn what_an_http_endpoint_refuses_goes_to_the_dead_letter_queue() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, dead) = queue(&stack, "dead").await;
    let endpoint = Endpoint::start().await;
    let policy = format!(r#"{{"deadLetterTargetArn": "{dead}"}}"#);
    let attributes = [("RedrivePolicy", policy.as_str()), ("RawMessageDelivery", "true")];
    subscribe(&client, &topic, "http", &endpoint.url, &attributes).await;
    let token = endpoint.wait(1).await[0].json()["Token"].as_str().unwrap().to_owned();
    let confirm = api::ConfirmSubscriptionInput { topic_arn: topic.clone(), token, ..Default::default() };
    client.call(api::ConfirmSubscription, confirm).await.unwrap();
    endpoint.will_answer(&[404]);
    let input = api::PublishInput {
        message_attributes: Some([text_attribute("colour", "red")].into_iter().collect()),
        ..message(&topic, "unwanted")
    };
    publish(&client, input).await;
    let letter = &receive(&stack, &url, 1).await[0];
    assert_eq!(letter.body.as_deref(), Some("unwanted"));
    assert_eq!(letter.message_attributes.as_ref().unwrap()["colour"].string_value.as_deref(), Some("red"));
    // A refusal is not tried again.
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn a_batch_tells_of_each_entry() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, arn) = queue(&stack, "q").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    let entry = |id: &str, text: &str| api::PublishBatchRequestEntry {
        id: id.into(),
        message: text.into(),
        ..Default::default()
    };
    let input = api::PublishBatchInput {
        topic_arn: topic.clone(),
        publish_batch_request_entries: vec![entry("a", "one"), entry("b", ""), entry("c", "three")],
    };
    let output = client.call(api::PublishBatch, input).await.unwrap();
    let ids: Vec<_> = output.successful.unwrap().into_iter().filter_map(|entry| entry.id).collect();
    assert_eq!(ids, ["a", "c"]);
    let failed = &output.failed.unwrap()[0];
    assert_eq!((failed.id.as_str(), failed.code.as_str(), failed.sender_fault), ("b", "InvalidParameter", true));
    let mut bodies: Vec<_> = receive(&stack, &url, 2).await.into_iter().filter_map(|message| message.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["one", "three"]);
    let large = "x".repeat(140_000);
    let input = api::PublishBatchInput {
        topic_arn: topic,
        publish_batch_request_entries: vec![entry("a", &large), entry("b", &large)],
    };
    assert_eq!(client.call(api::PublishBatch, input).await.unwrap_err().code, "BatchRequestTooLong");
}

#[tokio::test]
async fn many_subscriptions_are_served_in_parts() {
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, arn) = queue(&stack, "q").await;
    // The same queue under many regions' names would be other queues; dead letters of missing ones all come to one.
    let policy = format!(r#"{{"deadLetterTargetArn": "{arn}"}}"#);
    for number in 0..260 {
        let missing = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:missing-{number}");
        let attributes = [("RedrivePolicy", policy.as_str()), ("RawMessageDelivery", "true")];
        subscribe(&client, &topic, "sqs", &missing, &attributes).await;
    }
    publish(&client, message(&topic, "to all")).await;
    assert_eq!(receive(&stack, &url, 260).await.len(), 260);
    let input = api::ListSubscriptionsByTopicInput { topic_arn: topic, next_token: None };
    let first = client.call(api::ListSubscriptionsByTopic, input).await.unwrap();
    assert_eq!((first.subscriptions.unwrap().len(), first.next_token.is_some()), (100, true));
}

#[tokio::test]
async fn a_published_message_survives_a_restart_of_a_bus_that_was_away() {
    let mut stack = builder()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .on_disk()
        .start()
        .await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (_, arn) = queue(&stack, "q").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    stack.stop("sqs").await;
    publish(&client, message(&topic, "kept")).await;
    stack.restart("sns").await;
    stack.restart("sqs").await;
    let (url, _) = queue(&stack, "q").await;
    assert_eq!(receive(&stack, &url, 1).await[0].body.as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_delivery_from_another_service_is_published_once() {
    use fractus_bus::contracts::{Delivery, Source};
    let stack = with_queues().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let (url, arn) = queue(&stack, "q").await;
    subscribe(&client, &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    let source = Source {
        principal: "s3.amazonaws.com".into(),
        arn: Some("arn:aws:s3:::b".parse().unwrap()),
        account: fractus_aws::AccountId::default_account(),
        role: None,
    };
    let at = |id: &str, body: &str| {
        let lane = fractus_aws::Lane::main();
        Delivery::new(id, lane, topic.parse().unwrap(), body.into(), source.clone(), stack.clock().now())
    };
    let bus = stack.host("sqs").bus().clone();
    bus.connected().await;
    bus.deliver(&at("one", "first")).await.unwrap();
    assert_eq!(receive(&stack, &url, 1).await[0].body.as_deref(), Some("first"));
    // The queue drops the same id within two minutes, so it comes again as another service's own retry would bring it.
    let sns = fractus_sns::Sns::new(stack.host("sns"), fractus_sns::Config::default()).unwrap();
    fractus_sns::events::deliver(&sns, at("one", "first")).await.unwrap();
    bus.deliver(&at("two", "second")).await.unwrap();
    assert_eq!(receive(&stack, &url, 1).await[0].body.as_deref(), Some("second"));
}

#[tokio::test]
async fn there_are_only_so_many_topics_subscriptions_and_filter_policies() {
    let config = || fractus_sns::Config {
        topic_quota: 3,
        fifo_topic_quota: 0,
        subscription_quota: 4,
        filter_policies_per_topic: 2,
        filter_policies: 3,
        ..Default::default()
    };
    let stack = fractus_testkit::Stack::new()
        .with("sns", move |host| fractus_sns::start(config(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await;
    let client = client(&stack);
    let (one, two) = (topic(&client, "one", &[]).await, topic(&client, "two", &[]).await);
    topic(&client, "three", &[]).await;
    let create = async |name: &str, fifo: bool| {
        let attributes = fifo.then(|| [("FifoTopic".to_owned(), "true".to_owned())].into_iter().collect());
        client
            .call(api::CreateTopic, api::CreateTopicInput { name: name.into(), attributes, ..Default::default() })
            .await
    };
    assert_eq!(create("four", false).await.unwrap_err().code, "TopicLimitExceeded");
    assert_eq!(create("f.fifo", true).await.unwrap_err().code, "TopicLimitExceeded");
    // One that is there already is no new one, and one that goes makes room.
    create("one", false).await.unwrap();
    let three = api::DeleteTopicInput { topic_arn: one.replace("one", "three") };
    client.call(api::DeleteTopic, three).await.unwrap();
    create("four", false).await.unwrap();

    let try_subscribe = async |topic: &str, number: u32, filtered: bool| {
        let policy = ("FilterPolicy".to_owned(), r#"{"a": ["b"]}"#.to_owned());
        let input = api::SubscribeInput {
            topic_arn: topic.into(),
            protocol: "sqs".into(),
            endpoint: Some(format!("arn:aws:sqs:us-east-1:{ACCOUNT}:q-{number}")),
            attributes: Some(filtered.then_some(policy).into_iter().collect()),
            return_subscription_arn: Some(true),
        };
        client.call(api::Subscribe, input).await.map(|made| made.subscription_arn.unwrap())
    };
    let set = async |subscription: &str, policy: &str| {
        let input = api::SetSubscriptionAttributesInput {
            subscription_arn: subscription.into(),
            attribute_name: "FilterPolicy".into(),
            attribute_value: Some(policy.into()),
        };
        client.call(api::SetSubscriptionAttributes, input).await
    };
    let first = try_subscribe(&one, 1, true).await.unwrap();
    try_subscribe(&one, 2, true).await.unwrap();
    let limit = "FilterPolicyLimitExceeded";
    assert_eq!(try_subscribe(&one, 3, true).await.unwrap_err().code, limit);
    let plain = try_subscribe(&one, 3, false).await.unwrap();
    assert_eq!(set(&plain, r#"{"a": ["b"]}"#).await.unwrap_err().code, limit);
    // A policy that is changed is no new one; the account's number is reached by another topic's.
    set(&first, r#"{"a": ["c"]}"#).await.unwrap();
    let other = try_subscribe(&two, 1, true).await.unwrap();
    assert_eq!(try_subscribe(&two, 2, true).await.unwrap_err().code, limit);
    set(&other, "").await.unwrap();
    try_subscribe(&two, 2, true).await.unwrap();
    client.call(api::Unsubscribe, api::UnsubscribeInput { subscription_arn: first }).await.unwrap();
    set(&plain, r#"{"a": ["b"]}"#).await.unwrap();
    for number in 4..6 {
        try_subscribe(&one, number, false).await.unwrap();
    }
    assert_eq!(try_subscribe(&one, 6, false).await.unwrap_err().code, "SubscriptionLimitExceeded");
}
