//! The outbox: sent if and only if the transaction is kept, whatever happens in between.

use std::collections::HashSet;
use std::time::Duration;

use fractus_aws::{Lane, World};
use fractus_bus::outbox::{Handoff, Outbox};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusState, ConsumeConfig};
use fractus_clock::Clocks;
use fractus_store::{Collection, ResetScope, Scope, Store, StoreError};

use crate::support::{bus, collector, config, delivery, nothing, soon};

const OBJECTS: Collection<(String,), u32> = Collection::new("objects");

#[derive(Debug)]
enum Refused {
    ByTheService,
    Store,
}

impl From<StoreError> for Refused {
    fn from(_: StoreError) -> Self {
        Refused::Store
    }
}

async fn put(store: &Store, outbox: &Outbox, id: &str) {
    put_delivery(store, outbox, &delivery(id, "x")).await;
}

async fn put_delivery(store: &Store, outbox: &Outbox, delivery: &fractus_bus::contracts::Delivery) {
    let handoff = store
        .write(|tx| {
            tx.put(&OBJECTS, &Scope::partition(&World::default_world()), &(delivery.id.as_str(),), &1)?;
            outbox.put(tx, delivery)
        })
        .await;
    let _: Handoff = handoff.unwrap();
}

/// Waits until nothing waits.
async fn empty(outbox: &Outbox) {
    soon(async {
        while outbox.waiting() > 0 {
            fractus_clock::Clock::real().sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_kept_transaction_sends_at_once_and_another_never() {
    let server = NatsServer::start().await;
    let (s3, sqs) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&s3, &store);
    let refused: Result<(), Refused> = store
        .write(|tx| {
            drop(outbox.put(tx, &delivery("not kept", "x"))?);
            Err(Refused::ByTheService)
        })
        .await;
    assert!(matches!(refused, Err(Refused::ByTheService)));
    put(&store, &outbox, "kept").await;
    assert_eq!(soon(arrived.recv()).await.unwrap(), delivery("kept", "x"));
    nothing(arrived.recv()).await;
    empty(&outbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handoffs_that_are_dropped_too_early_go_out_all_the_same_and_in_order() {
    const COUNT: usize = 500;
    let server = NatsServer::start().await;
    let (s3, sqs) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&s3, &store);
    for number in 0..COUNT {
        let mut ordered = delivery(format!("d-{number}"), "x");
        ordered.group_id = Some("g".to_owned());
        let put = store.write(|tx| {
            drop(outbox.put(tx, &ordered)?);
            // The pump gets the time to look before the transaction is kept.
            std::thread::yield_now();
            tx.put(&OBJECTS, &Scope::partition(&World::default_world()), &(ordered.id.as_str(),), &1)
        });
        put.await.unwrap();
    }
    for number in 0..COUNT {
        assert_eq!(soon(arrived.recv()).await.unwrap().id, format!("d-{number}"));
    }
    empty(&outbox).await;
}

async fn put_ordered(store: &Store, outbox: &Outbox, id: &str) -> Handoff {
    let mut ordered = delivery(id, "x");
    ordered.group_id = Some("g".to_owned());
    store.write(|tx| outbox.put(tx, &ordered)).await.unwrap()
}

/// Two requests are done with their transactions in one order, and come to drop their handoffs in the other.
#[tokio::test]
async fn a_group_goes_out_in_the_order_of_its_transactions() {
    let server = NatsServer::start().await;
    let (sns, sqs) = (bus(&server, "sns").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&sns, &store);
    let first = put_ordered(&store, &outbox, "d-1").await;
    let second = put_ordered(&store, &outbox, "d-2").await;
    let third = put_ordered(&store, &outbox, "d-3").await;
    drop(third);
    for id in ["d-1", "d-2", "d-3"] {
        assert_eq!(soon(arrived.recv()).await.unwrap().id, id);
    }
    drop((second, first));
    put(&store, &outbox, "after").await;
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "after");
    nothing(arrived.recv()).await;
    empty(&outbox).await;
}

/// A replica has something to send while another one has not sent yet what came before it.
#[tokio::test]
async fn a_group_goes_out_in_order_over_replicas() {
    let server = NatsServer::start().await;
    let (one, two, sqs) = (bus(&server, "sns").await, bus(&server, "sns").await, bus(&server, "sqs").await);
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    let store = Store::memory(Clocks::default());
    let (one, two) = (Outbox::start(&one, &store), Outbox::start(&two, &store));
    let mut slow = Vec::new();
    for number in 0..1_000 {
        slow.push(put_ordered(&store, &one, &format!("d-{number}")).await);
    }
    drop(put_ordered(&store, &two, "d-1000").await);
    for number in 0..=1_000 {
        assert_eq!(soon(arrived.recv()).await.unwrap().id, format!("d-{number}"));
    }
    drop(slow);
    drop(put_ordered(&store, &one, "d-1001").await);
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "d-1001");
    nothing(arrived.recv()).await;
}

#[tokio::test]
async fn what_waits_while_nats_is_away_flows_in_order_when_it_is_back() {
    const COUNT: usize = 1_000;
    let mut server = NatsServer::start().await;
    let (s3, sqs) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&s3, &store);
    let mut state = s3.state();
    server.kill().await;
    soon(state.wait_for(|state| *state == BusState::Away)).await.unwrap();
    for number in 0..COUNT {
        let mut ordered = delivery(format!("d-{number}"), "x");
        ordered.group_id = Some("g".to_owned());
        put_delivery(&store, &outbox, &ordered).await;
    }
    assert_eq!(outbox.waiting(), COUNT);
    server.restart().await;
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    for number in 0..COUNT {
        assert_eq!(soon(arrived.recv()).await.unwrap().id, format!("d-{number}"));
    }
    empty(&outbox).await;
    put(&store, &outbox, "after").await;
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "after");
}

/// A process ended between its transaction and the sending, and another between the queue's confirmation and the
/// removal of the entry: both leave the entry in the store, and the next process sends it.
#[tokio::test]
async fn what_an_earlier_process_left_is_sent_and_what_it_had_sent_is_not_sent_twice() {
    let server = NatsServer::start().await;
    let sqs = bus(&server, "sqs").await;
    let (handler, mut arrived) = collector();
    let consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler.clone());
    let store = Store::memory(Clocks::default());
    let early = bus(&server, "s3").await;
    soon(early.deliver(&delivery("d-3", "x"))).await.unwrap();
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "d-3");
    soon(consumption.drain()).await;
    {
        // It never reaches NATS, and ends with all entries in the store.
        let dead = Bus::connect(config("nats://127.0.0.1:1", "s3"));
        let outbox = Outbox::start(&dead, &store);
        for number in 0..300 {
            put(&store, &outbox, &format!("d-{number}")).await;
        }
        soon(dead.shutdown()).await;
    }
    let alive = bus(&server, "s3").await;
    let outbox = Outbox::start(&alive, &store);
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    let mut ids = HashSet::new();
    while ids.len() < 299 {
        assert!(ids.insert(soon(arrived.recv()).await.unwrap().id));
    }
    nothing(arrived.recv()).await;
    empty(&outbox).await;
}

#[tokio::test]
async fn a_forks_copies_are_not_sent_and_a_reset_forgets() {
    let mut server = NatsServer::start().await;
    let (s3, sqs) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&s3, &store);
    let mut state = s3.state();
    server.kill().await;
    soon(state.wait_for(|state| *state == BusState::Away)).await.unwrap();
    let reset = Lane::new("reset").unwrap();
    let mut forgotten = delivery("forgotten", "x");
    forgotten.lane = reset.clone();
    put_delivery(&store, &outbox, &forgotten).await;
    put(&store, &outbox, "d-1").await;
    store.fork(&Lane::main(), &Lane::new("fork").unwrap()).await.unwrap();
    store.reset(&ResetScope::Lane(reset)).await.unwrap();
    server.restart().await;
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "d-1");
    nothing(arrived.recv()).await;
}

#[tokio::test]
async fn without_a_bus_nothing_is_kept() {
    let store = Store::memory(Clocks::default());
    let outbox = Outbox::start(&Bus::off("s3"), &store);
    put(&store, &outbox, "d-1").await;
    assert_eq!(outbox.waiting(), 0);
    let collections = soon(store.lanes()).await.unwrap();
    assert_eq!(collections, [Lane::main()]);
}
