//! Deliveries with an ordering key: in order, whatever happens.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fractus_bus::contracts::Delivery;
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, Outcome};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::{bus, config, delivery, quick, soon};

const GROUPS: usize = 20;
const EACH: usize = 40;

fn deliveries() -> Vec<Delivery> {
    let numbered = (0..EACH).flat_map(|number| (0..GROUPS).map(move |group| (group, number)));
    numbered
        .map(|(group, number)| {
            let mut delivery = delivery(format!("{group}-{number}"), &number.to_string());
            delivery.group_id = Some(format!("g{group}"));
            delivery
        })
        .collect()
}

fn number(delivery: &Delivery) -> usize {
    delivery.body.as_text().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_group_keeps_its_order_over_retries_and_replicas() {
    let server = NatsServer::start().await;
    let (sender, one, two) = (bus(&server, "s3").await, bus(&server, "sqs").await, bus(&server, "sqs").await);
    let (done, mut through) = mpsc::unbounded_channel();
    let failed_once: Arc<Mutex<HashSet<String>>> = Arc::default();
    let handler = move |delivery: Delivery| {
        let (done, failed_once) = (done.clone(), Arc::clone(&failed_once));
        async move {
            tokio::task::yield_now().await;
            if number(&delivery) % 7 == 3 && failed_once.lock().insert(delivery.id.clone()) {
                return Outcome::RetryIn { delay: Duration::from_millis(5), reason: "busy".to_owned() };
            }
            done.send(delivery).unwrap();
            Outcome::Done
        }
    };
    let _one = one.consume_deliveries(quick(), handler.clone());
    let _two = two.consume_deliveries(quick(), handler);
    assert!(soon(sender.deliver_all(&deliveries())).await.iter().all(Result::is_ok));
    let mut next: HashMap<String, usize> = HashMap::new();
    for _ in 0..GROUPS * EACH {
        let delivery = soon(through.recv()).await.unwrap();
        let next = next.entry(delivery.group_id.clone().unwrap()).or_default();
        assert_eq!(number(&delivery), *next, "{}", delivery.id);
        *next += 1;
    }
}

/// The first replica dies with deliveries in hand; the second must not let a later one overtake them.
#[test]
fn a_group_keeps_its_order_when_its_replica_dies() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (main, doomed) = (runtime(), runtime());
    let server = main.block_on(NatsServer::start());
    let (done, mut through) = mpsc::unbounded_channel();
    let url = server.url.clone();
    let (taken, mut takes) = mpsc::unbounded_channel();
    let first_done = done.clone();
    doomed.spawn(async move {
        let bus = Bus::connect(config(&url, "sqs"));
        let _consumption = bus.consume_deliveries(quick(), move |delivery| {
            let (done, taken) = (first_done.clone(), taken.clone());
            async move {
                // Gets through a few of each group, then hangs.
                if number(&delivery) >= 5 {
                    taken.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                done.send(delivery).unwrap();
                Outcome::Done
            }
        });
        std::future::pending::<()>().await;
    });
    main.block_on(async {
        let sender = bus(&server, "s3").await;
        assert!(soon(sender.deliver_all(&deliveries())).await.iter().all(Result::is_ok));
        for _ in 0..GROUPS {
            soon(takes.recv()).await.unwrap();
        }
        let second = bus(&server, "sqs").await;
        let _consumption = second.consume_deliveries(quick(), move |delivery| {
            done.send(delivery).unwrap();
            async { Outcome::Done }
        });
        doomed.shutdown_background();
        let mut next: HashMap<String, usize> = HashMap::new();
        while next.values().sum::<usize>() < GROUPS * EACH {
            let delivery = soon(through.recv()).await.unwrap();
            let next = next.entry(delivery.group_id.clone().unwrap()).or_default();
            // What was done and not yet acknowledged may come again; nothing may be skipped.
            assert!(number(&delivery) <= *next, "{} came before {next}", delivery.id);
            *next = (*next).max(number(&delivery) + 1);
        }
    });
}

#[tokio::test]
async fn a_full_and_slow_owner_keeps_its_lease() {
    let server = NatsServer::start().await;
    let (one, two) = (bus(&server, "sqs").await, bus(&server, "sqs").await);
    let (started, mut starts) = mpsc::unbounded_channel();
    let handler = move |delivery: Delivery| {
        started.send(delivery.id).unwrap();
        std::future::pending()
    };
    let mut small = quick();
    small.in_flight = 2;
    let _one = one.consume_deliveries(small.clone(), handler.clone());
    let sent: Vec<Delivery> = deliveries().into_iter().take(5).collect();
    assert!(soon(one.deliver_all(&sent)).await.iter().all(Result::is_ok));
    for _ in 0..2 {
        soon(starts.recv()).await.unwrap();
    }
    let _two = two.consume_deliveries(small, handler);
    let more = tokio::time::timeout(Duration::from_secs(4), starts.recv()).await;
    assert!(more.is_err(), "another replica took over from a live one: {more:?}");
}

/// The server dies with deliveries on the way: what was lost in transit must not be overtaken by what follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_keeps_its_order_over_a_crash_of_the_server() {
    let mut server = NatsServer::start().await;
    let (sender, sqs) = (bus(&server, "s3").await, bus(&server, "sqs").await);
    let (done, mut through) = mpsc::unbounded_channel();
    assert!(soon(sender.deliver_all(&deliveries())).await.iter().all(Result::is_ok));
    let mut small = quick();
    small.in_flight = 50;
    let _consumption = sqs.consume_deliveries(small, move |delivery| {
        let done = done.clone();
        async move {
            fractus_clock::Clock::real().sleep(Duration::from_millis(2)).await;
            done.send(delivery).unwrap();
            Outcome::Done
        }
    });
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut arrivals = 0;
    while next.values().sum::<usize>() < GROUPS * EACH {
        let delivery = soon(through.recv()).await.unwrap();
        arrivals += 1;
        if arrivals == 60 || arrivals == 200 {
            server.restart().await;
        }
        let next = next.entry(delivery.group_id.clone().unwrap()).or_default();
        assert!(number(&delivery) <= *next, "{} came before {next}", delivery.id);
        *next = (*next).max(number(&delivery) + 1);
    }
}
