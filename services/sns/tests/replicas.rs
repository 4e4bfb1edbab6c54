//! Two replicas on one store, neither with a lease: nothing is lost, nothing comes twice, groups keep their order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use common::*;
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_sns_api as api;
use fractus_testkit::{Client, SharedStore, Stack, replica};

const EACH: usize = 60;
const PUBLISHERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_deliver_once_and_in_order() {
    let mut stack = Stack::new()
        .with("sqs", |host| fractus_sqs::start(fractus_sqs::Config::default(), host))
        .with_nats()
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await;
    let nats = stack.nats().url.clone();
    let clocks = Clocks::default();
    clocks.insert("main", Clock::frozen_at(Timestamp::parse_date_time("2026-01-01T00:00:00Z").unwrap()));
    for (number, store) in SharedStore::each(&clocks, "sns_replicas").iter().enumerate() {
        let start = |host| fractus_sns::start(fractus_sns::Config::default(), host);
        // Ids that were had before would be taken for what comes twice.
        let seed = 2 * number as u64;
        let one = replica("sns", store, &clocks, &nats, seed + 1, start).await;
        let two = replica("sns", store, &clocks, &nats, seed + 2, start).await;
        let clients = [&one.url, &two.url].map(|url| Client::new(url.as_str()).api(&api::MODEL));
        standard(&stack, &clients, &format!("s{number}")).await;
        fifo(&stack, &clients, &format!("f{number}.fifo")).await;
        one.stop().await;
        two.stop().await;
    }
}

/// What comes at either replica reaches both queues, once.
async fn standard(stack: &Stack, clients: &[Client; 2], name: &str) {
    let topic = topic(&clients[0], name, &[]).await;
    let mut urls = Vec::new();
    for queue_name in [format!("{name}-a"), format!("{name}-b")] {
        let (url, arn) = queue(stack, &queue_name).await;
        // Made at the second, and known to the first.
        subscribe(&clients[1], &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
        urls.push(url);
    }
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let (client, topic) = (clients[publisher % 2].clone(), topic.clone());
        tokio::spawn(async move {
            for number in 0..EACH {
                publish(&client, message(&topic, &format!("{publisher}/{number}"))).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    for url in urls {
        let mut came = bodies(stack, &url, PUBLISHERS * EACH).await;
        came.sort();
        came.dedup();
        assert_eq!(came.len(), PUBLISHERS * EACH);
    }
}

/// A group's messages go to one replica and the other in turn, the next one as soon as the one before is answered.
async fn fifo(stack: &Stack, clients: &[Client; 2], name: &str) {
    let topic = topic(&clients[0], name, &[("FifoTopic", "true")]).await;
    let (url, arn) = queue(stack, name).await;
    subscribe(&clients[1], &topic, "sqs", &arn, &[("RawMessageDelivery", "true")]).await;
    for number in 0..EACH {
        let text = number.to_string();
        let input = api::PublishInput {
            message_group_id: Some("g".into()),
            message_deduplication_id: Some(text.clone()),
            ..message(&topic, &text)
        };
        let first = publish(&clients[number % 2], input.clone()).await;
        // Sent again to the other one, it is the same message.
        let again = publish(&clients[(number + 1) % 2], input).await;
        assert_eq!(first.message_id, again.message_id);
    }
    let wanted: Vec<String> = (0..EACH).map(|number| number.to_string()).collect();
    assert_eq!(bodies(stack, &url, EACH).await, wanted);
}

async fn bodies(stack: &Stack, url: &str, count: usize) -> Vec<String> {
    let messages = receive(stack, url, count).await;
    assert_eq!(messages.len(), count);
    messages.into_iter().map(|message| message.body.unwrap()).collect()
}
