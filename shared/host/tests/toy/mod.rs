//! A made-up service over the made-up API.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

pub mod api;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};

use fractus_aws::{Arn, Lane};
use fractus_bus::contracts::{Credential, CredentialKind};
use fractus_host::{Access, App, Context, Host, Operations, Service};
use fractus_store::{Collection, Order, Range, Scope, StoreError};
use fractus_testkit::{Client, Stack, StackBuilder};
use fractus_wire::{Failure, Fault};

use api::*;

const KEPT: Collection<(i64,), String> = Collection::new("kept");

/// A key that the toy itself has issued.
pub const KNOWN_SECRET: &str = "known/secret";

#[derive(Default)]
pub struct Toy {
    pub waiting: AtomicU64,
    pub arrived: Notify,
    pub go: watch::Sender<bool>,
    pub forgotten: AtomicU64,
    pub known: parking_lot::Mutex<Option<Credential>>,
    /// The policy on everything that Echo reaches for.
    pub policy: parking_lot::Mutex<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ToyError {
    #[error("the text is rude")]
    Rude,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Body(#[from] fractus_wire::BodyError),
}

impl From<ToyError> for Failure {
    fn from(error: ToyError) -> Self {
        match error {
            ToyError::Rude => Failure::new("RudeText", 418, "please mind your words"),
            ToyError::Store(error) => Failure::internal(error.to_string()),
            ToyError::Body(fractus_wire::BodyError::Refused(failure)) => *failure,
            ToyError::Body(error) => Failure::new("IncompleteBody", 400, error.to_string()),
        }
    }
}

impl Service for Toy {
    fn look_up_credential<'a>(&'a self, _: &'a Lane, key: &'a str) -> Option<BoxFuture<'a, Option<Credential>>> {
        let known = self.known.lock().clone().filter(|known| known.access_key_id == key);
        Some(Box::pin(std::future::ready(known)))
    }

    fn resource_policy<'a>(&'a self, _: &'a Context, _: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(std::future::ready(self.policy.lock().clone()))
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }

    fn failure(&self, _: &Context, failure: Failure) -> Failure {
        assert!(failure.status >= 500 || failure.fault == Fault::Sender);
        failure
    }
}

async fn echo(_: &Toy, cx: &Context, input: EchoInput) -> Result<EchoOutput, ToyError> {
    if input.text == "rude" {
        return Err(ToyError::Rude);
    }
    Ok(EchoOutput {
        text: Some(input.text),
        world: Some(cx.world.to_string()),
        region: Some(cx.region.to_string()),
        caller: Some(cx.caller.arn.clone()),
        endpoint: Some(cx.endpoint()),
        now: Some(cx.now().millis()),
    })
}

async fn keep(_: &Toy, cx: &Context, _: Nothing) -> Result<Nothing, ToyError> {
    let scope = Scope::regional(&cx.world, &cx.region);
    let at = cx.random().u64() as i64;
    cx.host().store().write(|tx| tx.put(&KEPT, &scope, &(at,), &"x".to_owned())).await?;
    Ok(Nothing {})
}

async fn count(_: &Toy, cx: &Context, _: Nothing) -> Result<CountOutput, ToyError> {
    let scope = Scope::regional(&cx.world, &cx.region);
    let store = cx.host().store();
    let count = store
        .read(|snap| Ok::<_, StoreError>(snap.keys(&KEPT, &scope, Range::all(), Order::Ascending)?.count()))
        .await?;
    Ok(CountOutput { count: Some(count as i64) })
}

async fn wait(toy: &Toy, _: &Context, _: Nothing) -> Result<Nothing, Failure> {
    toy.waiting.fetch_add(1, Ordering::SeqCst);
    toy.arrived.notify_one();
    let _ = toy.go.subscribe().wait_for(|go| *go).await;
    Ok(Nothing {})
}

async fn panic(_: &Toy, _: &Context, _: Nothing) -> Result<Nothing, Failure> {
    panic!("a defect")
}

async fn upload(_: &Toy, _: &Context, mut input: UploadInput) -> Result<CountOutput, ToyError> {
    let mut count = 0;
    while let Some(piece) = input.body.next().await {
        count += piece?.len() as i64;
    }
    Ok(CountOutput { count: Some(count) })
}

pub fn operations() -> Operations<Toy> {
    Operations::new(&[&MODEL, &UPLOADS])
        .body_limit_bytes(100_000)
        .on(Count, count)
        .on(Echo, echo)
        .access(Echo, |cx, input: &EchoInput| Ok::<_, Failure>(vec![Access::to(&echo_arn(cx, &input.text))]))
        .stored(Keep, keep)
        .on(Panic, panic)
        .on(Upload, upload)
        .modelled(Wait, wait)
}

fn echo_arn(cx: &Context, text: &str) -> Arn {
    Arn::new(cx.world.partition, "toy", cx.region.as_str(), cx.world.account.as_str(), format!("echo/{text}"))
}

/// A stack of the toy alone, and the toy.
pub fn stack(toy: &Arc<Toy>) -> StackBuilder {
    let toy = toy.clone();
    Stack::new().with("toy", move |_: Host| {
        let toy = toy.clone();
        async move { Ok::<_, String>(App::new(toy, operations())) }
    })
}

pub fn client(stack: &Stack) -> Client {
    stack.client("toy")
}

pub fn echo_of(text: &str) -> EchoInput {
    EchoInput { text: text.to_owned() }
}

/// A temporary key of account 123456789012 that the toy knows, for `lifetime` from the stack's now.
pub fn know_key(toy: &Toy, stack: &Stack, lifetime: Duration) -> String {
    let account = fractus_aws::AccountId::new("123456789012").unwrap();
    let key = fractus_host::access_key::issue_access_key_id("ASIA", &account, &fractus_clock::Random::seeded(3));
    *toy.known.lock() = Some(Credential {
        access_key_id: key.clone(),
        secret_access_key: KNOWN_SECRET.to_owned(),
        session_token: Some("the-token".to_owned()),
        kind: CredentialKind::AssumedRole,
        account,
        principal: "arn:aws:sts::123456789012:assumed-role/reader/me".parse().unwrap(),
        principal_id: "AROAEXAMPLE:me".to_owned(),
        role: Some("arn:aws:iam::123456789012:role/reader".parse().unwrap()),
        active: true,
        expiration: Some(stack.clock().now().plus(lifetime)),
        session_policies: Vec::new(),
        session_policy_arns: Vec::new(),
        session_tags: Vec::new(),
        session_context: Vec::new(),
    });
    key
}
