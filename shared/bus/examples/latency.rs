//! Measures the way of a delivery on this machine, with a nats-server of its own:
//! `cargo run --release -p fractus-bus --features testing --example latency`

#![allow(clippy::expect_used, clippy::print_stdout)] // A measurement for a person.

use std::time::Duration;

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Delivery, Source};
use fractus_bus::outbox::Outbox;
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusConfig, ConsumeConfig, DeliveryStorage, Outcome};
use fractus_clock::{Clocks, Random, Stopwatch, Timestamp};
use fractus_store::Store;
use tokio::sync::mpsc;

const ROUNDS: usize = 5_000;
const MANY: usize = 50_000;

fn delivery(id: String) -> Delivery {
    let account = AccountId::default_account();
    let source = Source { principal: "sender.amazonaws.com".to_owned(), arn: None, account, role: None };
    let target = "arn:aws:target:us-east-1:000000000000:jobs".parse().expect("an ARN");
    let body = "x".repeat(1_024);
    Delivery::new(id, Lane::main(), target, body.into(), source, Timestamp::EPOCH)
}

async fn connect(url: &str, service: &str, storage: DeliveryStorage) -> Bus {
    let mut config = BusConfig::new(Some(url.to_owned()), service, Random::system().uuid());
    config.delivery_storage = storage;
    let bus = Bus::connect(config);
    bus.connected().await;
    bus
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!("{what:44} p50 {:7.0} µs   p90 {:7.0} µs   p99 {:7.0} µs", at(0.5), at(0.9), at(0.99));
}

/// Resident kilobytes of a process.
fn resident(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.trim_start_matches("VmRSS:").trim().to_owned()
}

/// What an idle stack costs: first as one process that consumes and watches, then with many services beside it.
async fn idle() {
    let server = NatsServer::start().await;
    let pid = server.pid.to_string();
    println!("idle: this process {} before, nats-server {}", resident("self"), resident(&pid));
    let mut held = Vec::new();
    for count in 1..=39 {
        let bus = connect(&server.url, &format!("service-{count}"), DeliveryStorage::File).await;
        let consumption = bus.consume_deliveries(ConsumeConfig::default(), |_| std::future::ready(Outcome::Done));
        let watch = bus.wake_watch(&format!("asleep-{count}"));
        held.push((bus, consumption, watch));
        if count == 1 || count == 39 {
            fractus_clock::Clock::real().sleep(Duration::from_secs(1)).await;
            println!("idle: {count} services: this process {}, nats-server {}", resident("self"), resident(&pid));
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    idle().await;
    for storage in [DeliveryStorage::File, DeliveryStorage::Memory] {
        let server = NatsServer::start().await;
        let sender = connect(&server.url, "sender", storage).await;
        let target = connect(&server.url, "target", storage).await;
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let _consumption = target.consume_deliveries(ConsumeConfig::default(), move |_| {
            let _ = arrived.send(());
            std::future::ready(Outcome::Done)
        });
        for group in [None, Some("group".to_owned())] {
            let kind = if group.is_none() { "" } else { " in order" };
            let mut confirmed = Vec::new();
            let mut handled = Vec::new();
            for round in 0..ROUNDS {
                let mut delivery = delivery(format!("{storage:?}-{round}{kind}"));
                delivery.group_id = group.clone();
                let watch = Stopwatch::start();
                let (result, handling) = tokio::join!(
                    async {
                        let result = sender.deliver(&delivery).await;
                        (result, watch.elapsed())
                    },
                    async {
                        arrivals.recv().await;
                        watch.elapsed()
                    }
                );
                result.0.expect("delivered");
                confirmed.push(result.1);
                handled.push(handling);
            }
            tell(&format!("{storage:?}: deliver to handler{kind}"), handled.split_off(100));
            tell(&format!("{storage:?}: deliver to confirmation{kind}"), confirmed.split_off(100));
        }

        let store = Store::memory(Clocks::default());
        let outbox = Outbox::start(&sender, &store);
        let mut handled = Vec::new();
        for round in 0..ROUNDS {
            let delivery = delivery(format!("{storage:?}-outbox-{round}"));
            let watch = Stopwatch::start();
            drop(store.write(|tx| outbox.put(tx, &delivery)).await.expect("stored"));
            arrivals.recv().await;
            handled.push(watch.elapsed());
        }
        tell(&format!("{storage:?}: outbox put to handler"), handled.split_off(100));

        let watch = Stopwatch::start();
        for round in 0..MANY {
            let delivery = delivery(format!("{storage:?}-many-{round}"));
            drop(store.write(|tx| outbox.put(tx, &delivery)).await.expect("stored"));
            tokio::task::yield_now().await;
        }
        let put = watch.elapsed();
        for _ in 0..MANY {
            arrivals.recv().await;
        }
        let rate = |time: Duration| MANY as f64 / time.as_secs_f64();
        println!(
            "{storage:?}: {:.0} puts/s, {:.0} deliveries/s through outbox, queue and handler",
            rate(put),
            rate(watch.elapsed())
        );
    }
}
