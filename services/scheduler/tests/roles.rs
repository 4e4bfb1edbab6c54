//! As whom targets are invoked, and under which key they are kept: with STS, with somebody who keeps roles as IAM does, and
//! with a KMS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{ROLE, bodies, create, get, messages, queue, queue_arn, refused, schedule, target, to_queue, update};
use fractus_aws::{AccountId, Lane, Partition, Region};
use fractus_bus::contracts::Cause;
use fractus_bus::{Bus, BusConfig, Serving};
use fractus_host::config::AuthMode;
use fractus_host::{AssumeServiceRole, LookUpPolicies, NamedPolicy, NoSession, PrincipalPolicies};
use fractus_scheduler_api as api;
use fractus_sqs_api as sqs_api;
use fractus_sts::roles::{LookUpRole, Role};
use fractus_testkit::{Kms, Stack, StackBuilder};
use parking_lot::Mutex;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);

fn with_sts() -> StackBuilder {
    common::builder(fractus_scheduler::Config::default())
        .with("sts", |host| fractus_sts::start(fractus_sts::Config::default(), host))
        .with_nats()
}

/// A schedule that sends a message at 13:00 by a universal target.
fn send(name: &str, url: &str, at: &str) -> api::CreateScheduleInput {
    let input = json!({"QueueUrl": url, "MessageBody": name}).to_string();
    let target = api::Target {
        input: Some(input),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(queue_arn("dead")) }),
        ..target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage")
    };
    schedule(name, &format!("at(2026-11-23T{at})"), target)
}

/// Waits until the scheduler reaches STS, by a role that nobody else asks for.
async fn sts_is_heard(stack: &Stack) {
    let wish = AssumeServiceRole {
        lane: Lane::main(),
        partition: Partition::Aws,
        region: Region::us_east_1(),
        role: "arn:aws:iam::000000000000:role/probe".parse().unwrap(),
        service: "scheduler.amazonaws.com".to_owned(),
        session_name: "probe".to_owned(),
        source_arn: None,
        source_account: AccountId::default_account(),
    };
    let host = stack.host("scheduler");
    fractus_testkit::wait_for("STS answers", async || match host.assume_role(&wish, &Cause::default()).await {
        Ok(Some(_)) | Err(NoSession::Denied { .. }) => Some(()),
        Ok(None) | Err(NoSession::Unanswered(_)) => None,
    })
    .await;
}

fn sender(message: &sqs_api::Message) -> &str {
    &message.attributes.as_ref().unwrap()["SenderId"]
}

fn attribute(message: &sqs_api::Message, name: &str) -> String {
    message.message_attributes.as_ref().unwrap()[name].string_value.clone().unwrap()
}

#[tokio::test]
async fn a_universal_target_is_called_by_a_session_of_its_role() {
    let stack = with_sts().start().await;
    sts_is_heard(&stack).await;
    let client = stack.client("scheduler");
    let url = queue(&stack, "q", &[]).await;
    for (name, at) in [("one", "13:00:00"), ("two", "13:30:00"), ("later", "23:00:00")] {
        create(&client, send(name, &url, at)).await;
    }
    let mut senders = Vec::new();
    for later in [HOUR, HOUR / 2] {
        stack.clock().advance(later);
        let message = messages(&stack, &url, 1).await.remove(0);
        senders.push(sender(&message).to_owned());
    }
    assert!(senders[0].starts_with("AROA") && senders[0].ends_with(":scheduler"), "{senders:?}");
    assert_eq!(senders[0], senders[1]);
    let before = sessions(&stack).await;
    assert_eq!(before, 2, "one that this test has asked for, and one that is used again while it lasts");
    stack.clock().advance(HOUR * 10);
    messages(&stack, &url, 1).await;
    assert_eq!(sessions(&stack).await, before + 1, "it has ended");
}

/// How many sessions STS has given out in this account.
async fn sessions(stack: &Stack) -> usize {
    let url = format!("{}/_fractus/state/records?collection=sessions&account=000000000000", stack.url("sts"));
    fractus_testkit::http::get_json(&url).await.1["records"].as_array().map_or(0, Vec::len)
}

/// Whoever keeps roles, as IAM does: what the role trusts, and what it may do.
struct Iam {
    trusts: Arc<Mutex<Value>>,
    allows: Arc<Mutex<Value>>,
    _serving: (Bus, Serving, Serving),
}

async fn iam(stack: &mut Stack) -> Iam {
    let bus = Bus::connect(BusConfig::new(Some(stack.nats().url.clone()), "iam", "test"));
    let (trusts, allows) = (Arc::new(Mutex::new(Value::Null)), Arc::new(Mutex::new(Value::Null)));
    let (trusted, allowed) = (trusts.clone(), allows.clone());
    let mut roles = bus.serve(4, move |question: LookUpRole, _| {
        let trust_policy = trusted.lock().to_string();
        let role = Role { role_id: "AROATEST".to_owned(), trust_policy, max_session_duration_secs: 3_600 };
        let is_there = question.role.to_string() == ROLE;
        async move { Ok(is_there.then_some(role)) }
    });
    let mut policies = bus.serve(4, move |_: LookUpPolicies, _| {
        let identity = vec![NamedPolicy { name: "inline".to_owned(), document: allowed.lock().to_string() }];
        async move { Ok(PrincipalPolicies { identity, ..PrincipalPolicies::default() }) }
    });
    roles.ready().await;
    policies.ready().await;
    Iam { trusts, allows, _serving: (bus, roles, policies) }
}

fn trust(group: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {
            "aws:SourceAccount": "000000000000",
            "aws:SourceArn": format!("arn:aws:scheduler:us-east-1:000000000000:schedule-group/{group}"),
        }},
    }]})
}

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

#[tokio::test]
async fn the_role_has_to_trust_the_scheduler_and_to_be_allowed_the_call() {
    let mut stack = with_sts().auth(AuthMode::Enforced).start().await;
    let iam = iam(&mut stack).await;
    sts_is_heard(&stack).await;
    let client = stack.client("scheduler");
    let (url, dead) = (queue(&stack, "q", &[]).await, queue(&stack, "dead", &[]).await);
    let validation = |message: &str| ("ValidationException".to_owned(), message.to_owned());
    let untrusted =
        validation("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.");
    *iam.trusts.lock() = trust("other");
    *iam.allows.lock() = allow("sqs:SendMessage");
    assert_eq!(refused(&client, send("s", &url, "13:00:00")).await, untrusted);
    let mut nobody = send("s", &url, "13:00:00");
    nobody.target.role_arn = "arn:aws:iam::000000000000:role/nobody".to_owned();
    assert_eq!(refused(&client, nobody).await, untrusted);

    *iam.trusts.lock() = trust("default");
    create(&client, send("allowed", &url, "13:00:00")).await;
    create(&client, send("denied", &url, "14:00:00")).await;
    stack.clock().advance(HOUR);
    let message = messages(&stack, &url, 1).await.remove(0);
    assert_eq!((message.body.as_deref(), sender(&message)), (Some("allowed"), "AROATEST:scheduler"));

    *iam.allows.lock() = allow("sqs:ReceiveMessage");
    // What SQS knows of the role is asked anew.
    stack.restart("sqs").await;
    let (url, dead_again) = (queue(&stack, "q", &[]).await, queue(&stack, "dead", &[]).await);
    assert_eq!(dead.rsplit('/').next(), dead_again.rsplit('/').next());
    stack.clock().advance(HOUR);
    let letter = messages(&stack, &dead_again, 1).await.remove(0);
    assert!(attribute(&letter, "ERROR_CODE").contains("AccessDenied"), "{letter:?}");
    assert_eq!(attribute(&letter, "RETRY_ATTEMPTS"), "0");
    assert!(common::received(&stack, &url).await.is_empty());
}

#[tokio::test]
async fn a_role_that_trusts_no_more_ends_in_the_dead_letter_queue() {
    let mut stack = with_sts().auth(AuthMode::Enforced).start().await;
    let iam = iam(&mut stack).await;
    sts_is_heard(&stack).await;
    let client = stack.client("scheduler");
    let (url, dead) = (queue(&stack, "q", &[]).await, queue(&stack, "dead", &[]).await);
    *iam.trusts.lock() = trust("default");
    create(&client, send("s", &url, "23:00:00")).await;
    *iam.trusts.lock() = trust("other");
    // The session that was opened when the schedule was made has ended by then.
    stack.clock().advance(HOUR * 11);
    let letter = messages(&stack, &dead, 1).await.remove(0);
    assert_eq!(attribute(&letter, "ERROR_CODE"), "AccessDenied");
    assert!(
        attribute(&letter, "ERROR_MESSAGE")
            .contains("scheduler.amazonaws.com is not authorized to perform: sts:AssumeRole")
    );
}

fn under_key(name: &str, at: &str, key: &str) -> api::CreateScheduleInput {
    let mut target = to_queue("q", name);
    target.dead_letter_config = Some(api::DeadLetterConfig { arn: Some(queue_arn("dead")) });
    api::CreateScheduleInput {
        kms_key_arn: Some(key.to_owned()),
        ..schedule(name, &format!("at(2026-11-23T{at})"), target)
    }
}

#[tokio::test]
async fn a_target_is_kept_under_a_key() {
    let kms = Kms::default();
    let stack = with_sts().with("kms", kms.start()).start().await;
    sts_is_heard(&stack).await;
    let client = stack.client("scheduler");
    let (url, dead) = (queue(&stack, "q", &[]).await, queue(&stack, "dead", &[]).await);
    create(&client, under_key("heard", "23:00:00", Kms::KEY)).await;
    kms.heard(|| client.call(api::UpdateSchedule, update(under_key("heard", "23:00:00", Kms::KEY)))).await;
    let arn = create(&client, under_key("s", "13:00:00", Kms::KEY)).await;
    let asked = kms.taken();
    assert_eq!((asked.len(), asked[0].operation), (1, "GenerateDataKey"));
    assert_eq!(asked[0].context, [("aws:scheduler:schedule:arn".to_owned(), arn)].into());
    stack.clock().advance(HOUR);
    assert_eq!(bodies(&stack, &url, 1).await, ["s"]);
    let asked = kms.taken();
    assert_eq!((asked.len(), asked[0].operation), (1, "Decrypt"));
    assert_eq!(asked[0].caller, "arn:aws:sts::000000000000:assumed-role/scheduler/scheduler", "the role opens it");

    let (code, _) =
        refused(&client, under_key("wrong", "14:00:00", "arn:aws:kms:us-east-1:000000000000:key/none")).await;
    assert_eq!(code, "ValidationException");
    create(&client, under_key("late", "14:00:00", Kms::KEY)).await;
    create(&client, under_key("lost", "14:30:00", Kms::KEY)).await;
    stack.clock().advance(HOUR / 4);
    kms.refuse(Some(("AccessDeniedException", 400, "not yours")));
    let denied = get(&client, "default", "late").await.unwrap_err();
    assert_eq!((denied.code.as_ref(), denied.status), ("AccessDeniedException", 403));
    // What passes is tried again by the clock; what does not is lost.
    kms.refuse(Some(("ThrottlingException", 400, "slowly")));
    stack.clock().advance(HOUR / 4 * 3);
    fractus_testkit::wait_for("it waits for the clock", async || {
        (stack.count("scheduler", "retries").await == 1).then_some(())
    })
    .await;
    kms.refuse(None);
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(bodies(&stack, &url, 1).await, ["late"]);
    kms.refuse(Some(("DisabledException", 400, "It is disabled.")));
    stack.clock().advance(HOUR);
    let letter = messages(&stack, &dead, 1).await.remove(0);
    assert_eq!(letter.body.as_deref(), Some("lost"));
    assert_eq!(attribute(&letter, "ERROR_CODE"), "DisabledException");
    assert_eq!(attribute(&letter, "ERROR_MESSAGE"), "It is disabled.");
}
