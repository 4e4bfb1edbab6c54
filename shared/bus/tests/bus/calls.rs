//! Calls: answered by one replica, or failing in a way that the caller can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fractus_aws::{AccountId, Lane};
use fractus_bus::contracts::{Cause, Credential, CredentialKind, LookUpCredential};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusError, CallError, CallFailure};

use crate::support::{bus, soon};

fn question(key: &str) -> LookUpCredential {
    LookUpCredential { lane: Lane::main(), access_key_id: key.to_owned() }
}

fn credential(key: &str) -> Credential {
    Credential {
        access_key_id: key.to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: Some("token".to_owned()),
        kind: CredentialKind::AssumedRole,
        account: AccountId::default_account(),
        principal: "arn:aws:sts::000000000000:assumed-role/r/s".parse().unwrap(),
        principal_id: "AROA:s".to_owned(),
        role: None,
        active: true,
        expiration: None,
        session_policies: Vec::new(),
        session_policy_arns: Vec::new(),
        session_tags: vec![("team".to_owned(), "a".to_owned())],
        session_context: Vec::new(),
    }
}

#[tokio::test]
async fn a_call_is_answered_by_one_replica_with_its_cause_at_hand() {
    let server = NatsServer::start().await;
    let (s3, one, two) = (bus(&server, "s3").await, bus(&server, "sts").await, bus(&server, "sts").await);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut serving = Vec::new();
    for sts in [&one, &two] {
        let answered = Arc::clone(&answered);
        let mut served = sts.serve::<LookUpCredential, _, _>(8, move |question, context| {
            answered.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_eq!(context.cause, Cause::root("t-1", "ann"));
                assert_eq!(context.lane, Some(Lane::main()));
                Ok((question.access_key_id == "ASIA1").then(|| credential("ASIA1")))
            }
        });
        soon(served.ready()).await;
        serving.push(served);
    }
    let cause = Cause::root("t-1", "ann");
    assert_eq!(soon(s3.call("sts", &question("ASIA1"), &cause)).await, Ok(Some(credential("ASIA1"))));
    assert_eq!(soon(s3.call("sts", &question("ASIA2"), &cause)).await, Ok(None));
    assert_eq!(answered.load(Ordering::Relaxed), 2);
    assert!(!format!("{:?}", credential("ASIA1")).contains("secret"));
}

#[tokio::test]
async fn a_call_to_nobody_says_at_once_that_the_service_is_not_running() {
    let server = NatsServer::start().await;
    let s3 = bus(&server, "s3").await;
    // One that waited would be told that it timed out.
    let result = soon(s3.call("sts", &question("k"), &Cause::default())).await;
    assert_eq!(result, Err(CallError::NotRunning { service: "sts".to_owned() }));
    let off = Bus::off("s3").call("sts", &question("k"), &Cause::default()).await;
    assert_eq!(off, Err(CallError::Bus(BusError::Off)));
}

#[tokio::test]
async fn a_failure_and_a_late_answer_are_told_apart() {
    let server = NatsServer::start().await;
    let (s3, sts) = (bus(&server, "s3").await, bus(&server, "sts").await);
    let mut serving = sts.serve::<LookUpCredential, _, _>(8, |question, _| async move {
        if question.access_key_id == "never" {
            std::future::pending::<()>().await;
        }
        Err(CallFailure { code: "ServiceFailure".to_owned(), message: "no store\nsecond line".to_owned() })
    });
    soon(serving.ready()).await;
    let failed = soon(s3.call("sts", &question("k"), &Cause::default())).await;
    let expected = CallError::Failed { code: "ServiceFailure".to_owned(), message: "no store".to_owned() };
    assert_eq!(failed, Err(expected));
    let short = Duration::from_millis(100);
    let late = soon(s3.call_within("sts", &question("never"), &Cause::default(), short)).await;
    assert_eq!(late, Err(CallError::TimedOut { service: "sts".to_owned() }));
}

#[tokio::test]
async fn no_more_calls_are_handled_at_a_time_than_allowed() {
    let server = NatsServer::start().await;
    let (s3, sts) = (bus(&server, "s3").await, bus(&server, "sts").await);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let mut serving = sts.serve::<LookUpCredential, _, _>(3, move |_, _| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            fractus_clock::Clock::real().sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(None)
        }
    });
    soon(serving.ready()).await;
    let calls = (0..30).map(|number| {
        let s3 = s3.clone();
        tokio::spawn(async move { s3.call("sts", &question(&number.to_string()), &Cause::default()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(soon(call).await.unwrap(), Ok(None));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_draining_service_answers_what_it_has_and_then_is_not_running() {
    let server = NatsServer::start().await;
    let (s3, sts) = (bus(&server, "s3").await, bus(&server, "sts").await);
    let entered = Arc::new(tokio::sync::Notify::new());
    let (inside, go) = (Arc::clone(&entered), Arc::new(tokio::sync::Notify::new()));
    let gate = Arc::clone(&go);
    let mut serving = sts.serve::<LookUpCredential, _, _>(1, move |_, _| {
        let (entered, go) = (Arc::clone(&inside), Arc::clone(&gate));
        async move {
            entered.notify_one();
            go.notified().await;
            Ok(None)
        }
    });
    soon(serving.ready()).await;
    let caller = s3.clone();
    let call = tokio::spawn(async move { caller.call("sts", &question("k"), &Cause::default()).await });
    soon(entered.notified()).await;
    let ending = tokio::spawn(async move { sts.shutdown().await });
    let refused = soon(async {
        loop {
            let short = Duration::from_millis(200);
            if let Err(CallError::NotRunning { .. }) =
                s3.call_within("sts", &question("late"), &Cause::default(), short).await
            {
                return true;
            }
            go.notify_one();
        }
    });
    assert!(refused.await);
    go.notify_one();
    assert_eq!(soon(call).await.unwrap(), Ok(None));
    soon(ending).await.unwrap();
    drop(serving);
}
