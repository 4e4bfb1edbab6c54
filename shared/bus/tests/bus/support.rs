//! What the tests share.

use std::time::Duration;

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Cause, Delivery, Presence, Source, Status};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusConfig, ConsumeConfig, Outcome};
use fractus_clock::{Random, Timestamp};
use tokio::sync::mpsc;

pub fn config(url: &str, service: &str) -> BusConfig {
    let mut config = BusConfig::new(Some(url.to_owned()), service, Random::system().uuid());
    config.heartbeat = Duration::from_millis(300);
    config
}

/// A bus on `server` for `service`, connected.
pub async fn bus(server: &NatsServer, service: &str) -> Bus {
    let bus = Bus::connect(config(&server.url, service));
    soon(bus.connected()).await;
    bus
}

/// Waits shorter than services do, so that tests need not wait long.
pub fn quick() -> ConsumeConfig {
    ConsumeConfig {
        acknowledge_within: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        ..ConsumeConfig::default()
    }
}

pub fn delivery(id: impl Into<String>, body: &str) -> Delivery {
    let source = Source {
        principal: "s3.amazonaws.com".to_owned(),
        arn: Some("arn:aws:s3:::bucket".parse().unwrap()),
        account: AccountId::default_account(),
        role: None,
    };
    let target = "arn:aws:sqs:us-east-1:000000000000:jobs".parse().unwrap();
    let mut delivery = Delivery::new(id, Lane::main(), target, body.into(), source, Timestamp::from_secs(1));
    delivery.cause = Cause::root("trace-1", "s3");
    delivery
}

/// A handler that passes every delivery on and is done with it.
pub fn collector()
-> (impl Fn(Delivery) -> std::future::Ready<Outcome> + Clone + Send + Sync + 'static, mpsc::UnboundedReceiver<Delivery>)
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = move |delivery| {
        let _ = sender.send(delivery);
        std::future::ready(Outcome::Done)
    };
    (handler, receiver)
}

pub fn presence(bus: &Bus) -> Presence {
    Presence {
        service: bus.service().to_owned(),
        replica: bus.instance().to_owned(),
        version: "0.1.0".to_owned(),
        status: Status::Ready,
        url: "http://127.0.0.1:1".to_owned(),
        socket: None,
        health: Some("/_fractus/ready".to_owned()),
        pid: Some(1),
        metadata: Default::default(),
    }
}

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it happens within 30 s")
}

/// Asserts that nothing comes for a moment.
pub async fn nothing<T: std::fmt::Debug>(what: impl Future<Output = T>) {
    let came = tokio::time::timeout(Duration::from_millis(300), what).await;
    assert!(came.is_err(), "{came:?}");
}

/// Starts this test binary again as another process that runs only `test`, with `url` in its environment.
pub fn another_process(test: &str, url: &str) -> tokio::process::Child {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("FRACTUS_BUS_TEST_URL", url)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The URL, in a process started by [`another_process`].
pub fn url_of_other_process() -> Option<String> {
    std::env::var("FRACTUS_BUS_TEST_URL").ok()
}
