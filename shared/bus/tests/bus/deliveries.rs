//! Deliveries: none lost, none handled twice when all goes well, retried, given up.

use fractus_bus::contracts::Delivery;
use fractus_bus::testing::NatsServer;
use fractus_bus::{ConsumeConfig, Outcome};
use tokio::sync::mpsc;

use crate::support::{bus, delivery, soon};

/// A handler that passes every delivery on and is done with it.
fn collector()
-> (impl Fn(Delivery) -> std::future::Ready<Outcome> + Send + Sync + 'static, mpsc::UnboundedReceiver<Delivery>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = move |delivery| {
        sender.send(delivery).unwrap();
        std::future::ready(Outcome::Done)
    };
    (handler, receiver)
}

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
