//! Buses, archives and connections under a key of KMS.

use std::time::Duration;

use fractus_events_api as api;
use fractus_testkit::{Client, Kms, Stack, wait_for};

use crate::support::*;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

async fn stack_with(kms: &Kms) -> (Stack, Client) {
    let stack = builder().with("kms", kms.start()).with_nats().start().await;
    let client = stack.client("events");
    let input = api::CreateEventBusInput {
        name: "heard".into(),
        kms_key_identifier: Some(Kms::KEY.into()),
        ..Default::default()
    };
    client.call(api::CreateEventBus, input).await.unwrap();
    kms.heard(|| put(&client, vec![on("heard")])).await;
    (stack, client)
}

fn on(bus: &str) -> api::PutEventsRequestEntry {
    api::PutEventsRequestEntry { event_bus_name: Some(bus.into()), ..entry(r#"{"n":1}"#) }
}

/// A bus under the key, with a queue for what cannot be kept.
async fn sealed(stack: &Stack, client: &Client, name: &str) -> Queue {
    let dead = queue(stack, &format!("{name}-dead")).await;
    let input = api::CreateEventBusInput {
        name: name.into(),
        kms_key_identifier: Some(Kms::KEY.into()),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..Default::default()
    };
    client.call(api::CreateEventBus, input).await.unwrap();
    dead
}

#[tokio::test]
async fn an_event_that_cannot_be_kept_goes_to_the_bus_s_dead_letter_queue() {
    let kms = Kms::default();
    let (stack, client) = stack_with(&kms).await;
    let dead = sealed(&stack, &client, "b").await;
    let wired = wired(&stack, Some("b"), "q").await;
    put(&client, vec![on("b"), on("b"), entry("{}")]).await;
    wired.queue.messages(2).await;
    let asked = kms.taken();
    assert_eq!((asked.len(), asked[0].operation), (1, "GenerateDataKey"), "one key serves for five minutes");
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/b".to_owned();
    assert_eq!(asked[0].context, [("aws:events:event-bus:arn".to_owned(), bus.clone())].into());

    stack.clock().advance(FIVE_MINUTES);
    for (refusal, code) in [
        ("DisabledException", "SDK_CLIENT_ERROR"),
        ("AccessDeniedException", "NO_PERMISSIONS"),
        ("NotFoundException", "RESOURCE_NOT_FOUND"),
    ] {
        kms.refuse(Some((refusal, 400, "KMS says why.")));
        let answered = put(&client, vec![on("b")]).await;
        let id = answered[0].event_id.clone().unwrap();
        let letter = dead.messages(1).await.remove(0);
        let event: serde_json::Value = serde_json::from_str(letter.body.as_ref().unwrap()).unwrap();
        assert_eq!((event["id"].as_str(), event["source"].as_str()), (Some(id.as_str()), Some(SOURCE)));
        let attributes = letter.message_attributes.unwrap();
        let text = |name: &str| attributes[name].string_value.clone().unwrap();
        assert_eq!((text("ERROR_CODE"), text("ERROR_MESSAGE")), (code.to_owned(), "KMS says why.".to_owned()));
        assert_eq!((text("TARGET_ARN"), text("RETRY_ATTEMPTS")), (bus.clone(), "0".to_owned()));
    }
    assert!(wired.queue.receive().await.is_empty());

    // Without a queue it is lost, and without a rule it is lost as well.
    let input = api::UpdateEventBusInput {
        name: Some("b".into()),
        dead_letter_config: Some(api::DeadLetterConfig { arn: None }),
        ..Default::default()
    };
    client.call(api::UpdateEventBus, input).await.unwrap();
    put(&client, vec![on("b")]).await;
    kms.refuse(None);
    put(&client, vec![on("b")]).await;
    wired.queue.messages(1).await;
    assert!(dead.receive().await.is_empty());
}

#[tokio::test]
async fn what_passes_is_tried_again_by_the_clock() {
    let kms = Kms::default();
    let (stack, client) = stack_with(&kms).await;
    let dead = sealed(&stack, &client, "b").await;
    let wired = wired(&stack, Some("b"), "q").await;
    kms.refuse(Some(("ThrottlingException", 400, "slowly")));
    put(&client, vec![on("b")]).await;
    wait_for("it waits for the clock", async || (stack.count("events", "retries").await == 1).then_some(())).await;
    assert!(wired.queue.receive().await.is_empty());
    kms.refuse(None);
    stack.clock().advance(Duration::from_secs(60));
    assert_eq!(wired.queue.body().await["detail"]["n"], 1);
    // A key that is gone for good ends it.
    kms.refuse(Some(("ThrottlingException", 400, "slowly")));
    stack.clock().advance(FIVE_MINUTES);
    put(&client, vec![on("b")]).await;
    wait_for("it waits for the clock", async || (stack.count("events", "retries").await == 1).then_some(())).await;
    kms.refuse(Some(("DisabledException", 400, "disabled")));
    stack.clock().advance(Duration::from_secs(60));
    dead.messages(1).await;
}

#[tokio::test]
async fn an_archive_that_cannot_be_opened_is_not_replayed() {
    let kms = Kms::default();
    let (stack, client) = stack_with(&kms).await;
    let wired = wired(&stack, None, "q").await;
    let archive = |name: &str, key: &str| api::CreateArchiveInput {
        archive_name: name.into(),
        event_source_arn: "arn:aws:events:us-east-1:000000000000:event-bus/default".into(),
        kms_key_identifier: Some(key.into()),
        ..Default::default()
    };
    let refused = client.call(api::CreateArchive, archive("none", "alias/none")).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
    let made = client.call(api::CreateArchive, archive("a", Kms::KEY)).await.unwrap();
    let start = stack.clock().now();
    put(&client, vec![entry("{}")]).await;
    wired.queue.messages(1).await;
    kms.taken();
    stack.clock().advance(FIVE_MINUTES);
    kms.refuse(Some(("DisabledException", 400, "It is disabled.")));
    let mut ended = Vec::new();
    for name in ["closed", "open"] {
        let input = api::StartReplayInput {
            replay_name: name.into(),
            event_source_arn: made.archive_arn.clone().unwrap(),
            event_start_time: start,
            event_end_time: start.plus(FIVE_MINUTES),
            destination: api::ReplayDestination {
                arn: "arn:aws:events:us-east-1:000000000000:event-bus/default".into(),
                filter_arns: None,
            },
            ..Default::default()
        };
        client.call(api::StartReplay, input).await.unwrap();
        let over = wait_for("the replay ends", async || {
            let input = api::DescribeReplayInput { replay_name: name.into() };
            let replay = client.call(api::DescribeReplay, input).await.unwrap();
            let is_over = !matches!(replay.state, Some(api::ReplayState::Starting | api::ReplayState::Running));
            is_over.then_some(replay)
        });
        ended.push(over.await);
        kms.refuse(None);
    }
    assert_eq!(
        (&ended[0].state, ended[0].state_reason.as_deref()),
        (&Some(api::ReplayState::Failed), Some("It is disabled."))
    );
    assert_eq!(ended[1].state, Some(api::ReplayState::Completed));
    assert_eq!(wired.queue.body().await["replay-name"], "open");
    assert!(kms.taken().iter().all(|asked| asked.operation == "Decrypt"));
}

#[tokio::test]
async fn a_connection_s_secret_is_under_a_key() {
    let kms = Kms::default();
    let (_stack, client) = stack_with(&kms).await;
    let connection = |name: &str, key: &str| api::CreateConnectionInput {
        name: name.into(),
        authorization_type: api::ConnectionAuthorizationType::Basic,
        auth_parameters: api::CreateConnectionAuthRequestParameters {
            basic_auth_parameters: Some(api::CreateConnectionBasicAuthRequestParameters {
                username: "u".into(),
                password: "p".into(),
            }),
            ..Default::default()
        },
        kms_key_identifier: Some(key.into()),
        ..Default::default()
    };
    client.call(api::CreateConnection, connection("c", Kms::KEY)).await.unwrap();
    let described =
        client.call(api::DescribeConnection, api::DescribeConnectionInput { name: "c".into() }).await.unwrap();
    let asked = kms.taken();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].context["SecretARN"], described.secret_arn.unwrap());
    kms.refuse(Some(("AccessDeniedException", 400, "not yours")));
    let refused = client.call(api::CreateConnection, connection("d", Kms::KEY)).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.message.as_str()), ("AccessDeniedException", "not yours"));
    let missing = client.call(api::DescribeConnection, api::DescribeConnectionInput { name: "d".into() }).await;
    assert_eq!(missing.unwrap_err().code, "ResourceNotFoundException");
}
