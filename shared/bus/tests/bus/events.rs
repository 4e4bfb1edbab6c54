//! Events: heard by those who listen, and known to be missed by those who could not.

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Cause, CredentialRevoked, PolicyChanged};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusState, Heard, Hears, Publishers};

use crate::support::{bus, nothing, soon};

fn revoked(key: &str) -> CredentialRevoked {
    CredentialRevoked { lane: Lane::main(), account: AccountId::default_account(), access_key_id: key.to_owned() }
}

#[tokio::test]
async fn an_event_is_heard_with_its_cause_by_those_who_asked_for_its_kind() {
    let server = NatsServer::start().await;
    let (iam, s3) = (bus(&server, "iam").await, bus(&server, "s3").await);
    let mut all = s3.subscribe::<CredentialRevoked>(Publishers::Any, Hears::EveryReplica);
    let mut from_sts = s3.subscribe::<CredentialRevoked>(Publishers::Service("sts".into()), Hears::EveryReplica);
    let mut policies = s3.subscribe::<PolicyChanged>(Publishers::Any, Hears::EveryReplica);
    for subscription in [&mut all, &mut from_sts] {
        soon(subscription.ready()).await;
    }
    soon(policies.ready()).await;
    let cause = Cause::root("t-1", "ann").child("r-1");
    iam.publish(&revoked("AKIA1"), &cause).unwrap();
    let heard = soon(all.next()).await.unwrap();
    assert_eq!(heard, Heard::Event { event: revoked("AKIA1"), cause, publisher: "iam".to_owned() });
    nothing(from_sts.next()).await;
    nothing(policies.next()).await;
}

#[tokio::test]
async fn every_replica_hears_or_one() {
    let server = NatsServer::start().await;
    let (iam, one, two) = (bus(&server, "iam").await, bus(&server, "s3").await, bus(&server, "s3").await);
    let mut each = Vec::new();
    let mut shared = Vec::new();
    for bus in [&one, &two] {
        let mut subscription = bus.subscribe::<CredentialRevoked>(Publishers::Any, Hears::EveryReplica);
        soon(subscription.ready()).await;
        each.push(subscription);
        let mut subscription = bus.subscribe::<CredentialRevoked>(Publishers::Any, Hears::OneReplica);
        soon(subscription.ready()).await;
        shared.push(subscription);
    }
    for number in 0..20 {
        iam.publish(&revoked(&number.to_string()), &Cause::default()).unwrap();
    }
    for subscription in &mut each {
        for _ in 0..20 {
            assert!(matches!(soon(subscription.next()).await, Some(Heard::Event { .. })));
        }
    }
    let [first, second] = shared.as_mut_slice() else { unreachable!("there are two") };
    for _ in 0..20 {
        let either = async {
            tokio::select! { heard = first.next() => heard, heard = second.next() => heard }
        };
        assert!(matches!(soon(either).await, Some(Heard::Event { .. })));
    }
    nothing(first.next()).await;
    nothing(second.next()).await;
}

#[tokio::test]
async fn a_subscriber_learns_that_it_may_have_missed_something() {
    let mut server = NatsServer::start().await;
    let bus = bus(&server, "s3").await;
    let mut subscription = bus.subscribe::<CredentialRevoked>(Publishers::Any, Hears::EveryReplica);
    soon(subscription.ready()).await;
    let mut state = bus.state();
    server.kill().await;
    soon(state.wait_for(|state| *state == BusState::Away)).await.unwrap();
    assert!(bus.publish(&revoked("lost"), &Cause::default()).is_err());
    server.restart().await;
    assert_eq!(soon(subscription.next()).await, Some(Heard::Missed));
    soon(bus.connected()).await;
    bus.publish(&revoked("AKIA2"), &Cause::default()).unwrap();
    assert!(matches!(soon(subscription.next()).await, Some(Heard::Event { event, .. }) if event == revoked("AKIA2")));
}

#[tokio::test]
async fn a_subscription_made_before_the_server_is_there_stands_when_it_is() {
    let mut server = NatsServer::start().await;
    let url = server.url.clone();
    server.kill().await;
    let bus = Bus::connect(crate::support::config(&url, "s3"));
    let mut subscription = bus.subscribe::<CredentialRevoked>(Publishers::Any, Hears::EveryReplica);
    server.restart().await;
    soon(subscription.ready()).await;
    bus.publish(&revoked("AKIA3"), &Cause::default()).unwrap();
    assert!(matches!(soon(subscription.next()).await, Some(Heard::Event { .. })));
}
