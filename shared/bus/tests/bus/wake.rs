//! A launcher starts a service at its first delivery or call.

use std::time::Duration;

use fractus_aws::Lane;
use fractus_bus::contracts::{Cause, LookUpCredential};
use fractus_bus::testing::NatsServer;
use fractus_bus::{CallError, ConsumeConfig, Wake};

use crate::support::{bus, collector, delivery, nothing, presence, soon};

#[tokio::test]
async fn a_delivery_wakes_its_service_and_finds_it() {
    let server = NatsServer::start().await;
    let (launcher, s3) = (bus(&server, "launcher").await, bus(&server, "s3").await);
    let mut watch = launcher.wake_watch("sqs");
    let mut other = launcher.wake_watch("sns");
    soon(watch.ready()).await;
    soon(other.ready()).await;
    soon(s3.deliver(&delivery("d-1", "x"))).await.unwrap();
    assert!(matches!(soon(watch.next()).await, Some(Wake::Delivery)));
    nothing(other.next()).await;
    assert!(soon(watch.stop()).await.is_empty());
    let sqs = bus(&server, "sqs").await;
    let (handler, mut arrived) = collector();
    let _consumption = sqs.consume_deliveries(ConsumeConfig::default(), handler);
    assert_eq!(soon(arrived.recv()).await.unwrap().id, "d-1");
}

#[tokio::test]
async fn deliveries_that_wait_already_wake_a_new_watch() {
    let mut server = NatsServer::start().await;
    let s3 = bus(&server, "s3").await;
    soon(s3.deliver(&delivery("d-1", "x"))).await.unwrap();
    let launcher = bus(&server, "launcher").await;
    let mut watch = launcher.wake_watch("sqs");
    assert!(matches!(soon(watch.next()).await, Some(Wake::Delivery)));
    server.restart().await;
    assert!(matches!(soon(watch.next()).await, Some(Wake::Delivery)), "it looks again after a reconnection");
    let mut other = launcher.wake_watch("sns");
    soon(other.ready()).await;
    nothing(other.next()).await;
}

#[tokio::test]
async fn a_call_waits_for_its_service_and_the_answer_goes_to_the_caller() {
    let server = NatsServer::start().await;
    let (launcher, s3) = (bus(&server, "launcher").await, bus(&server, "s3").await);
    let directory = launcher.directory();
    let mut watch = launcher.wake_watch("sts");
    soon(watch.ready()).await;
    let call = |key: &str| {
        let (s3, key) = (s3.clone(), key.to_owned());
        let question = LookUpCredential { lane: Lane::main(), access_key_id: key };
        tokio::spawn(async move { s3.call("sts", &question, &Cause::root("t-1", "ann")).await })
    };
    let first = call("ASIA1");
    let Some(Wake::Call(held)) = soon(watch.next()).await else { panic!("no call") };
    // The service starts; a second call meets the launcher or the service.
    let sts = bus(&server, "sts").await;
    let mut serving = sts.serve::<LookUpCredential, _, _>(8, |_, context| async move {
        assert_eq!(context.cause.trace_id, "t-1");
        Ok(None)
    });
    soon(serving.ready()).await;
    let second = call("ASIA2");
    let handing_over = tokio::spawn(watch.hand_over(Duration::from_secs(20)));
    nothing(directory.wait_for("sts")).await;
    assert!(!handing_over.is_finished());
    let announced = sts.announce(presence(&sts));
    let mut all_held = vec![held];
    all_held.extend(soon(handing_over).await.unwrap());
    for held in all_held {
        soon(held.issue_again()).await.unwrap();
    }
    assert_eq!(soon(first).await.unwrap(), Ok(None));
    assert_eq!(soon(second).await.unwrap(), Ok(None));
    drop(announced);
}

#[tokio::test]
async fn a_held_call_can_be_refused() {
    let server = NatsServer::start().await;
    let (launcher, s3) = (bus(&server, "launcher").await, bus(&server, "s3").await);
    let mut watch = launcher.wake_watch("sts");
    soon(watch.ready()).await;
    let question = LookUpCredential { lane: Lane::main(), access_key_id: "k".to_owned() };
    let call = tokio::spawn(async move { s3.call("sts", &question, &Cause::default()).await });
    let Some(Wake::Call(held)) = soon(watch.next()).await else { panic!("no call") };
    held.refuse("the binary is missing").await;
    let expected = CallError::Failed { code: "503".to_owned(), message: "the binary is missing".to_owned() };
    assert_eq!(soon(call).await.unwrap(), Err(expected));
}
