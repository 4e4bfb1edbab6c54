//! `auth = "enforced"`: policies of identities, asked over the bus, and of resources, asked of the service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod toy;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Cause, CredentialKind, PolicyChanged};
use fractus_bus::{Bus, BusConfig};
use fractus_host::config::AuthMode;
use fractus_host::{LookUpPolicies, NamedPolicy, PrincipalPolicies};
use fractus_testkit::{Client, wait_for};

use toy::api::*;
use toy::{Toy, client, echo_of, know_key, stack};

fn allow(resource: &str) -> String {
    let statement = json!({ "Effect": "Allow", "Action": "toy:Echo", "Resource": resource });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

async fn refusal(client: &Client, text: &str) -> Option<String> {
    let answer = client.call(Echo, echo_of(text)).await;
    answer.err().map(|failure| {
        assert_eq!((failure.code.as_ref(), failure.status), ("AccessDeniedException", 400));
        failure.message
    })
}

#[tokio::test]
async fn without_identities_only_a_resource_s_policy_allows() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).auth(AuthMode::Enforced).start().await;
    let key = know_key(&toy, &stack, Duration::from_secs(3_600));
    let reader = client(&stack).with_keys(&key, toy::KNOWN_SECRET, Some("the-token"));
    let root = client(&stack).as_account("123456789012");
    assert_eq!(refusal(&root, "x").await, None, "the root may do everything in its account");
    assert_eq!(
        refusal(&reader, "x").await.unwrap(),
        "User: arn:aws:sts::123456789012:assumed-role/reader/me is not authorized to perform: toy:Echo on resource: \
         arn:aws:toy:us-east-1:123456789012:echo/x because no identity-based policy allows the toy:Echo action"
    );
    *toy.policy.lock() = Some(
        json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:role/reader" },
            "Action": "toy:*", "Resource": "*",
            "Condition": { "IpAddress": { "aws:SourceIp": "127.0.0.0/8" } },
        }] })
        .to_string(),
    );
    assert_eq!(refusal(&reader, "x").await, None);
}

#[tokio::test]
async fn whom_a_root_has_federated_may_do_what_the_session_s_policies_say() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).auth(AuthMode::Enforced).start().await;
    let key = know_key(&toy, &stack, Duration::from_secs(3_600));
    if let Some(credential) = &mut *toy.known.lock() {
        credential.kind = CredentialKind::FederatedUser;
        credential.principal = "arn:aws:sts::123456789012:federated-user/ann".parse().unwrap();
        credential.role = Some("arn:aws:iam::123456789012:root".parse().unwrap());
        credential.session_policies = vec![allow("arn:aws:toy:*:*:echo/allowed")];
    }
    let ann = client(&stack).with_keys(&key, toy::KNOWN_SECRET, Some("the-token"));
    assert_eq!(refusal(&ann, "allowed").await, None);
    let refused = refusal(&ann, "another").await.unwrap();
    assert!(refused.contains("no session policy allows"), "{refused}");
}

#[tokio::test]
async fn an_identity_s_policies_are_asked_for_and_forgotten_when_they_change() {
    let toy: Arc<Toy> = Arc::default();
    let mut stack = stack(&toy).auth(AuthMode::Enforced).with_nats().start().await;
    let iam = Bus::connect(BusConfig::new(Some(stack.nats().url.clone()), "iam", "test"));
    let resource: Arc<parking_lot::Mutex<String>> =
        Arc::new(parking_lot::Mutex::new("arn:aws:toy:*:*:echo/allowed".to_owned()));
    let answered = resource.clone();
    let mut serving = iam.serve(4, move |question: LookUpPolicies, _| {
        assert_eq!(question.principal.to_string(), "arn:aws:iam::123456789012:role/reader");
        let document = allow(&answered.lock());
        let identity = vec![NamedPolicy { name: "inline".to_owned(), document }];
        async move { Ok(PrincipalPolicies { identity, ..PrincipalPolicies::default() }) }
    });
    serving.ready().await;
    stack.host("toy").bus().connected().await;
    let key = know_key(&toy, &stack, Duration::from_secs(3_600));
    let reader = client(&stack).with_keys(&key, toy::KNOWN_SECRET, Some("the-token"));
    let allowed = refusal(&reader, "allowed").await;
    assert_eq!(allowed, None);
    assert!(refusal(&reader, "another").await.is_some());
    *resource.lock() = "arn:aws:toy:*:*:echo/another".to_owned();
    assert!(refusal(&reader, "another").await.is_some(), "nobody has said that anything changed");
    let changed =
        PolicyChanged { lane: Lane::main(), account: AccountId::new("123456789012").unwrap(), affected: Vec::new() };
    wait_for("the change is heard", || async {
        iam.publish(&changed, &Cause::default()).unwrap();
        refusal(&reader, "another").await.is_none().then_some(())
    })
    .await;
}
