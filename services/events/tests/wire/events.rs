//! PutEvents: the event's form, refusals of single entries, limits, and nothing lost.

use std::time::Duration;

use fractus_events_api as api;
use fractus_testkit::wait_for;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn an_event_reaches_its_queue_in_awss_form() {
    let stack = stack().await;
    let client = stack.client("events");
    let wired = wired(&stack, None, "q").await;
    let mut sent = entry(" {\"b\": 1,\n \"a\": [\"x y\"]}");
    sent.resources = Some(vec!["arn:one".into()]);
    sent.trace_header = Some("Root=1-5759e988-bd862e3fe1be46a994272793".into());
    let results = put(&client, vec![sent]).await;
    let message = wired.queue.messages(1).await.remove(0);
    let id = results[0].event_id.clone().unwrap();
    let expected = format!(
        concat!(
            r#"{{"version":"0","id":"{}","detail-type":"happened","source":"my.app","account":"000000000000","#,
            r#""time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["arn:one"],"detail":{{"b":1,"a":["x y"]}}}}"#
        ),
        id
    );
    assert_eq!(message.body.as_deref(), Some(expected.as_str()));
    let attributes = message.attributes.unwrap();
    assert_eq!(attributes["AWSTraceHeader"], "Root=1-5759e988-bd862e3fe1be46a994272793");
}

#[tokio::test]
async fn entries_fail_one_by_one() {
    let stack = alone().await;
    let client = stack.client("events");
    let without = |change: fn(&mut api::PutEventsRequestEntry)| {
        let mut entry = entry("{}");
        change(&mut entry);
        entry
    };
    let entries = vec![
        entry("{}"),
        without(|entry| entry.source = None),
        without(|entry| entry.detail_type = None),
        without(|entry| entry.detail = None),
        entry("{\"a\":}"),
        entry("[1]"),
        entry("{},\"x\":{}"),
        without(|entry| entry.source = Some("aws.mine".into())),
        without(|entry| entry.event_bus_name = Some("nobody-has-made".into())),
    ];
    let input = api::PutEventsInput { entries, endpoint_id: None };
    let output = client.call(api::PutEvents, input).await.unwrap();
    assert_eq!(output.failed_entry_count, Some(7));
    let codes: Vec<_> = output.entries.iter().flatten().map(|entry| entry.error_code.as_deref()).collect();
    let expected = [
        None,
        Some("InvalidArgument"),
        Some("InvalidArgument"),
        Some("InvalidArgument"),
        Some("MalformedDetail"),
        Some("MalformedDetail"),
        Some("MalformedDetail"),
        Some("NotAuthorizedForSourceException"),
        None,
    ];
    assert_eq!(codes, expected);
    let message = output.entries.as_ref().unwrap()[1].error_message.clone().unwrap();
    assert_eq!(message, "Parameter Source is not valid. Reason: Source is a required argument.");
    assert!(output.entries.unwrap()[1].event_id.is_none());
}

#[tokio::test]
async fn requests_have_limits() {
    let stack = alone().await;
    let client = stack.client("events");
    let call = async |entries: Vec<api::PutEventsRequestEntry>| {
        client.call(api::PutEvents, api::PutEventsInput { entries, endpoint_id: None }).await
    };
    let eleven = call(vec![entry("{}"); 11]).await.unwrap_err();
    assert_eq!(eleven.code, "ValidationException");
    assert!(eleven.message.contains("'entries' failed to satisfy constraint"), "{}", eleven.message);
    let detail = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let frame = SOURCE.len() + "happened".len();
    call(vec![entry(&detail(1_048_576 - frame))]).await.unwrap();
    let large = call(vec![entry(&detail(1_048_577 - frame))]).await.unwrap_err();
    assert_eq!(large.message, "Total size of the entries in the request is over the limit.");
}

#[tokio::test]
async fn rules_change_at_once() {
    let stack = stack().await;
    let client = stack.client("events");
    let wired = wired(&stack, None, "q").await;
    put(&client, vec![entry(r#"{"n":1}"#)]).await;
    assert_eq!(wired.queue.body().await["detail"], json!({"n": 1}));
    let disable = api::DisableRuleInput { name: "q".into(), ..Default::default() };
    client.call(api::DisableRule, disable).await.unwrap();
    put(&client, vec![entry(r#"{"n":2}"#)]).await;
    let enable = api::EnableRuleInput { name: "q".into(), ..Default::default() };
    client.call(api::EnableRule, enable).await.unwrap();
    put(&client, vec![entry(r#"{"n":3}"#)]).await;
    assert_eq!(wired.queue.body().await["detail"], json!({"n": 3}));
    put_rule(&client, None, "q", r#"{"detail":{"n":[5]}}"#).await;
    put(&client, vec![entry(r#"{"n":4}"#), entry(r#"{"n":5}"#)]).await;
    assert_eq!(wired.queue.body().await["detail"], json!({"n": 5}));
}

#[tokio::test]
async fn what_was_accepted_arrives_over_a_restart_and_a_target_that_is_away() {
    let mut stack = builder().on_disk().with_nats().start().await;
    let wired = wired(&stack, None, "q").await;
    stack.stop("sqs").await;
    for n in 0..25 {
        put(&stack.client("events"), vec![entry(&format!("{{\"n\":{n}}}"))]).await;
    }
    stack.restart("events").await;
    stack.clock().advance(Duration::from_secs(60));
    stack.restart("sqs").await;
    let queue = Queue::at(&stack, &wired.queue);
    let bodies = queue.bodies(25).await;
    let mut numbers: Vec<i64> = bodies.iter().map(|body| body["detail"]["n"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_go_with_the_outbox_once_nats_is_there_again() {
    let mut stack = stack().await;
    let wired = wired(&stack, None, "q").await;
    stack.nats().kill().await;
    put(&stack.client("events"), vec![entry(r#"{"n":1}"#)]).await;
    stack.nats().restart().await;
    wait_for("it arrives", async || Some(wired.queue.receive().await).filter(|got| got.len() == 1)).await;
}

#[tokio::test]
async fn state_changes_are_events_of_the_default_bus() {
    use fractus_bus::contracts::{Cause, StateChange};
    let stack = stack().await;
    let client = stack.client("events");
    let queue = queue(&stack, "q").await;
    put_rule(&client, None, "r", r#"{"source":["aws.ec2"]}"#).await;
    put_targets(&client, None, "r", vec![target("q", &queue.arn)]).await;
    let change = StateChange {
        id: "1c1c1c1c-0000-4000-8000-000000000000".into(),
        lane: fractus_aws::Lane::main(),
        account: fractus_aws::AccountId::default_account(),
        region: fractus_aws::Region::us_east_1(),
        source: "aws.ec2".into(),
        detail_type: "EC2 Instance State-change Notification".into(),
        resources: vec!["arn:aws:ec2:us-east-1:000000000000:instance/i-1".parse().unwrap()],
        detail: json!({"state": "running"}),
        time: stack.clock().now(),
    };
    let bus = stack.host("sqs").bus().clone();
    let got = wait_for("the change arrives", async || {
        // Told again until the connection and the subscription stand; each telling is an event.
        let _ = bus.publish(&change, &Cause::default());
        queue.receive().await.into_iter().next()
    });
    let body: serde_json::Value = serde_json::from_str(got.await.body.as_ref().unwrap()).unwrap();
    assert_eq!(body["detail"], json!({"state": "running"}));
    assert_eq!(body["resources"], json!(["arn:aws:ec2:us-east-1:000000000000:instance/i-1"]));
}

#[tokio::test]
async fn recorded_calls_are_events_for_rules_that_want_them() {
    use fractus_bus::contracts::{ApiCallRecorded, Cause};
    let stack = stack().await;
    let client = stack.client("events");
    let queue = queue(&stack, "q").await;
    put_rule(&client, None, "r", r#"{"detail-type":["AWS API Call via CloudTrail"]}"#).await;
    put_targets(&client, None, "r", vec![target("q", &queue.arn)]).await;
    let call = |operation: &str, read_only: bool| ApiCallRecorded {
        request_id: "r".into(),
        lane: fractus_aws::Lane::main(),
        account: fractus_aws::AccountId::default_account(),
        region: fractus_aws::Region::us_east_1(),
        event_source: "sqs.amazonaws.com".into(),
        operation: operation.into(),
        principal: Some("arn:aws:iam::000000000000:root".into()),
        access_key_id: None,
        source_ip: None,
        user_agent: None,
        read_only,
        status: 200,
        error_code: None,
        error_message: None,
        duration_micros: 1,
        fidelity: "real".into(),
        request_parameters: json!({"queueName": "q"}),
        response_elements: json!(null),
        resources: Vec::new(),
        time: stack.clock().now(),
    };
    let bus = stack.host("sqs").bus().clone();
    let told = async |call: &ApiCallRecorded| {
        let got = wait_for("the call arrives", async || {
            let _ = bus.publish(call, &Cause::default());
            queue.receive().await.into_iter().next()
        });
        serde_json::from_str::<serde_json::Value>(got.await.body.as_ref().unwrap()).unwrap()
    };
    let event = told(&call("CreateQueue", false)).await;
    assert_eq!((&event["source"], &event["detail"]["eventName"]), (&json!("aws.sqs"), &json!("CreateQueue")));
    assert_eq!(event["detail"]["requestParameters"], json!({"queueName": "q"}));
    // A read goes before a write, and only the write is there: reads need a rule of another state.
    bus.publish(&call("ListQueues", true), &Cause::default()).unwrap();
    let next = told(&call("DeleteQueue", false)).await;
    assert_ne!(next["detail"]["eventName"], json!("ListQueues"));
    let state = api::PutRuleInput {
        name: "r".into(),
        event_pattern: Some(r#"{"detail":{"eventName":["ListQueues"]}}"#.into()),
        state: Some(api::RuleState::EnabledWithAllCloudtrailManagementEvents),
        ..Default::default()
    };
    client.call(api::PutRule, state).await.unwrap();
    wait_for("reads arrive too", async || {
        bus.publish(&call("ListQueues", true), &Cause::default()).unwrap();
        let bodies = queue.receive().await.into_iter().filter_map(|message| message.body);
        bodies.into_iter().find(|body| body.contains("ListQueues"))
    })
    .await;
}
