//! What the tests share.

use std::time::Duration;

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Cause, Delivery, Source};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusConfig};
use fractus_clock::{Random, Timestamp};

pub fn config(url: &str, service: &str) -> BusConfig {
    BusConfig::new(Some(url.to_owned()), service, Random::system().uuid())
}

/// A bus on `server` for `service`, connected.
pub async fn bus(server: &NatsServer, service: &str) -> Bus {
    let bus = Bus::connect(config(&server.url, service));
    bus.connected().await;
    bus
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

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it happens within 30 s")
}
