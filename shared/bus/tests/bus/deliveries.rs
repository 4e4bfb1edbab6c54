//! Deliveries when all goes well, and when a process or the server is killed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fractus_bus::contracts::{Delivery, Gone};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusError, ConsumeConfig, Heard, Hears, Outcome, Publishers};

use crate::support::{another_process, bus, collector, config, delivery, nothing, quick, soon, url_of_other_process};

#[tokio::test]
async fn a_delivery_arrives_as_it_was_sent() {
    let server = NatsServer::start().await;
    let (sender, receiver) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _consumption = receiver.consume_deliveries(ConsumeConfig::default(), handler);
    let mut sent = delivery("d-1", "hello");
    soon(sender.deliver(&sent)).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap(), sent);
    sent.id = "d-2".to_owned();
    sent.group_id = Some("g".to_owned());
    soon(sender.deliver(&sent)).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap(), sent);
}

#[tokio::test]
async fn the_same_id_is_delivered_once() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    for _ in 0..3 {
        soon(bus.deliver(&delivery("same", "x"))).await.unwrap();
    }
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), handler);
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "same");
    nothing(arrived.recv()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_none_is_lost_and_none_handled_twice() {
    const COUNT: usize = 10_000;
    let server = NatsServer::start().await;
    let (sender, one, two) = (bus(&server, "s3").await, bus(&server, "sqs").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _one = one.consume_deliveries(ConsumeConfig::default(), handler.clone());
    let _two = two.consume_deliveries(ConsumeConfig::default(), handler);
    let deliveries: Vec<Delivery> = (0..COUNT).map(|number| delivery(format!("d-{number}"), "x")).collect();
    for batch in deliveries.chunks(1_000) {
        assert!(soon(sender.deliver_all(batch)).await.iter().all(Result::is_ok));
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for _ in 0..COUNT {
        *times.entry(soon(arrived.recv()).await.unwrap().id).or_default() += 1;
    }
    assert_eq!(times.len(), COUNT);
    assert!(times.values().all(|count| *count == 1));
    nothing(arrived.recv()).await;
}

#[tokio::test]
async fn a_handler_may_take_longer_than_the_queue_waits_for_a_silent_one() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let clock = fractus_clock::Clock::real();
    let consumption = bus.consume_deliveries(quick(), move |delivery| {
        let (started, clock) = (started.clone(), clock.clone());
        async move {
            started.send(delivery.attempt).unwrap();
            clock.sleep(Duration::from_millis(2_500)).await;
            Outcome::Done
        }
    });
    soon(bus.deliver(&delivery("slow", "x"))).await.unwrap();
    assert_eq!(soon(starts.recv()).await, Some(1));
    let again = tokio::time::timeout(Duration::from_millis(2_400), starts.recv()).await;
    assert!(again.is_err(), "given out again while it was being handled");
    soon(consumption.drain()).await;
    assert_eq!(soon(starts.recv()).await, None);
}

/// Only runs as the other process of the test below: takes a delivery and never ends with it.
#[tokio::test]
async fn other_process_takes_and_hangs() {
    let Some(url) = url_of_other_process() else { return };
    let bus = Bus::connect(config(&url, "sqs"));
    let teller = bus.clone();
    let _consumption = bus.consume_deliveries(quick(), move |delivery| {
        let taken = Gone { service: "test".to_owned(), replica: delivery.id };
        teller.publish(&taken, &delivery.cause).unwrap();
        std::future::pending()
    });
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_delivery_survives_its_consumer_killed_in_the_middle() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let mut taken = bus.subscribe::<Gone>(Publishers::Any, Hears::EveryReplica);
    soon(taken.ready()).await;
    let mut other = another_process("deliveries::other_process_takes_and_hangs", &server.url);
    let mut ids: HashSet<String> = (0..20).map(|number| format!("d-{number}")).collect();
    for id in &ids {
        soon(bus.deliver(&delivery(id, "x"))).await.unwrap();
    }
    for _ in 0..ids.len() {
        assert!(matches!(soon(taken.next()).await, Some(Heard::Event { .. })));
    }
    other.kill().await.unwrap();
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(quick(), handler);
    while !ids.is_empty() {
        let delivery = soon(arrived.recv()).await.unwrap();
        assert_eq!(delivery.attempt, 2);
        assert!(ids.remove(&delivery.id), "{} came twice", delivery.id);
    }
}

#[tokio::test]
async fn deliveries_survive_the_server_killed_and_flow_when_it_is_back() {
    let mut server = NatsServer::start().await;
    let (sender, receiver) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    for number in 0..100 {
        soon(sender.deliver(&delivery(format!("before-{number}"), "x"))).await.unwrap();
    }
    server.kill().await;
    let mut state = sender.state();
    soon(state.wait_for(|state| *state == fractus_bus::BusState::Away)).await.unwrap();
    assert_eq!(soon(sender.deliver(&delivery("away", "x"))).await, Err(BusError::Away));
    let (handler, mut arrived) = collector();
    let _consumption = receiver.consume_deliveries(quick(), handler);
    server.restart().await;
    soon(state.wait_for(|state| *state == fractus_bus::BusState::Connected)).await.unwrap();
    soon(sender.deliver(&delivery("after", "x"))).await.unwrap();
    let mut ids = HashSet::new();
    while ids.len() < 101 {
        assert!(ids.insert(soon(arrived.recv()).await.unwrap().id));
    }
}

#[tokio::test]
async fn a_consumer_works_on_after_the_server_was_killed_and_has_lost_everything() {
    let mut server = NatsServer::start().await;
    let mut memory = config(&server.url, "sqs");
    memory.delivery_storage = fractus_bus::DeliveryStorage::Memory;
    let bus = Bus::connect(memory);
    soon(bus.connected()).await;
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(quick(), handler);
    soon(bus.deliver(&delivery("one", "x"))).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "one");
    let mut state = bus.state();
    server.kill().await;
    soon(state.wait_for(|state| *state == fractus_bus::BusState::Away)).await.unwrap();
    server.restart().await;
    soon(state.wait_for(|state| *state == fractus_bus::BusState::Connected)).await.unwrap();
    for group in [None, Some("g".to_owned())] {
        let mut two = delivery(format!("two-{group:?}"), "x");
        two.group_id = group;
        soon(bus.deliver(&two)).await.unwrap();
        assert_eq!(soon(arrived.recv()).await.unwrap().id, two.id);
    }
}

#[tokio::test]
async fn the_largest_message_fits_and_a_larger_is_refused() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), handler);
    // Quotes double in JSON: the worst that a text of 1 MiB can become.
    let largest = delivery("large", &"\"".repeat(1 << 20));
    soon(bus.deliver(&largest)).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap(), largest);
    let result = soon(bus.deliver(&delivery("huge", &"x".repeat(9 << 20)))).await;
    assert!(matches!(result, Err(BusError::TooLarge { .. })), "{result:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_what_is_new() {
    let server = NatsServer::start().await;
    let mut small = config(&server.url, "s3");
    small.delivery_max_bytes = 64 << 10;
    let bus = Bus::connect(small);
    soon(bus.connected()).await;
    let deliveries: Vec<Delivery> =
        (0..10).map(|number| delivery(format!("d-{number}"), &"x".repeat(10 << 10))).collect();
    let results = soon(bus.deliver_all(&deliveries)).await;
    assert!(results[0].is_ok());
    assert_eq!(results[9], Err(BusError::QueueFull));
}

#[tokio::test]
async fn any_nats_client_can_deliver() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), handler);
    // Makes the queue.
    soon(bus.deliver(&delivery("first", "x"))).await.unwrap();
    let client = async_nats::connect(&server.url).await.unwrap();
    let text = r#"{"id":"by-hand","lane":"main","target":"arn:aws:sqs:us-east-1:000000000000:q","service":"sqs",
        "account":"000000000000","region":"us-east-1","body":"hello","created_at":0,
        "source":{"principal":"me","account":"000000000000"}}"#;
    client.publish("deliver.sqs.main.any", "not JSON".into()).await.unwrap();
    client.publish("deliver.sqs.main.any", text.into()).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "first");
    assert_eq!(soon(arrived.recv()).await.unwrap().body.as_text(), Some("hello"));
}

#[tokio::test]
async fn a_reset_forgets_what_waits_in_its_lane() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let mut other = delivery("other", "x");
    other.lane = fractus_aws::Lane::new("other").unwrap();
    soon(bus.deliver(&delivery("main", "x"))).await.unwrap();
    soon(bus.deliver(&other)).await.unwrap();
    soon(bus.forget_deliveries(Some(&fractus_aws::Lane::main()), None)).await.unwrap();
    let (handler, mut arrived) = collector();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), handler);
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "other");
    nothing(arrived.recv()).await;
}

#[tokio::test]
async fn a_draining_replica_finishes_what_it_has_and_leaves_the_rest() {
    let server = NatsServer::start().await;
    let (one, two) = (bus(&server, "sqs").await, bus(&server, "sqs").await);
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let (open, gate) = tokio::sync::watch::channel(false);
    let config = ConsumeConfig { in_flight: 3, ..ConsumeConfig::default() };
    let consumption = one.consume_deliveries(config, move |delivery| {
        let (started, mut gate) = (started.clone(), gate.clone());
        async move {
            started.send(delivery.id).unwrap();
            gate.wait_for(|open| *open).await.unwrap();
            Outcome::Done
        }
    });
    let all: Vec<Delivery> = (0..10).map(|number| delivery(format!("d-{number}"), "x")).collect();
    assert!(soon(one.deliver_all(&all)).await.iter().all(Result::is_ok));
    let mut seen = HashSet::new();
    for _ in 0..3 {
        seen.insert(soon(starts.recv()).await.unwrap());
    }
    let draining = tokio::spawn(consumption.drain());
    let (handler, mut arrived) = collector();
    let _consumption = two.consume_deliveries(ConsumeConfig::default(), handler);
    for _ in 0..7 {
        assert!(seen.insert(soon(arrived.recv()).await.unwrap().id));
    }
    assert!(!draining.is_finished());
    open.send(true).unwrap();
    soon(draining).await.unwrap();
    nothing(arrived.recv()).await;
}
