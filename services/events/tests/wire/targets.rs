//! What targets get: inputs, groups, dead letters, other buses.

use std::time::Duration;

use fractus_events_api as api;
use fractus_testkit::{Stack, wait_for};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_target_s_input_is_what_it_says() {
    let stack = stack().await;
    let client = stack.client("events");
    let rule = put_rule(&client, None, "r", r#"{"source":["my.app"]}"#).await;
    let mut queues = Vec::new();
    for name in ["constant", "part", "template", "text"] {
        queues.push(queue(&stack, name).await);
    }
    let transformer = |template: &str| api::InputTransformer {
        input_paths_map: Some([("who".to_owned(), "$.detail.who".to_owned())].into_iter().collect()),
        input_template: template.into(),
    };
    let of = |at: usize| target(["c", "p", "t", "x"][at], &queues[at].arn);
    let targets = vec![
        api::Target { input: Some(r#"{"fixed":true}"#.into()), ..of(0) },
        api::Target { input_path: Some("$.detail".into()), ..of(1) },
        api::Target {
            input_transformer: Some(transformer(
                r#"{"who":<who>,"rule":"<aws.events.rule-name>","arn":<aws.events.rule-arn>,"at":<aws.events.event.ingestion-time>,"event":<aws.events.event.json>}"#,
            )),
            ..of(2)
        },
        api::Target { input_transformer: Some(transformer("\"<who> did it\"")), ..of(3) },
    ];
    put_targets(&client, None, "r", targets).await;
    let sent = put(&client, vec![entry(r#"{"who":"ann","n":[1,2]}"#)]).await;
    assert_eq!(queues[0].body().await, json!({"fixed": true}));
    assert_eq!(queues[1].body().await, json!({"who": "ann", "n": [1, 2]}));
    let filled = queues[2].body().await;
    assert_eq!((&filled["who"], &filled["rule"], &filled["arn"]), (&json!("ann"), &json!("r"), &json!(rule)));
    assert_eq!(filled["at"], json!("2026-01-01T00:00:00Z"));
    assert_eq!(filled["event"]["id"], json!(sent[0].event_id));
    assert_eq!(queues[3].messages(1).await[0].body.as_deref(), Some("\"ann did it\""));
}

#[tokio::test]
async fn what_cannot_be_delivered_goes_to_the_dead_letter_queue() {
    let stack = stack().await;
    let client = stack.client("events");
    let dead = queue(&stack, "dead").await;
    let rule = put_rule(&client, None, "r", r#"{"source":["my.app"]}"#).await;
    let nobody = "arn:aws:sqs:us-east-1:000000000000:nobody";
    let target = api::Target {
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("t", nobody)
    };
    put_targets(&client, None, "r", vec![target]).await;
    put(&client, vec![entry("{}")]).await;
    let letter = dead.messages(1).await.remove(0);
    let attributes = letter.message_attributes.unwrap();
    let text = |name: &str| attributes[name].string_value.clone().unwrap();
    assert_eq!((text("RULE_ARN"), text("TARGET_ARN")), (rule, nobody.to_owned()));
    assert!(attributes.contains_key("ERROR_CODE") && attributes.contains_key("ERROR_MESSAGE"));
}

fn down() -> Option<Value> {
    Some(json!({"code": "THROTTLING", "status": 503, "message": "not now"}))
}

/// Waits until so many deliveries wait in EventBridge for another attempt.
async fn wait_until_waiting(stack: &Stack, count: usize) {
    wait_for("deliveries wait", async || (stack.count("events", "retries").await == count).then_some(())).await;
}

#[tokio::test]
async fn a_target_that_is_down_for_a_minute_gets_everything() {
    let stack = stack().await;
    let client = stack.client("events");
    let wired = wired(&stack, None, "q").await;
    stack.fail("sqs", "SendMessage", down()).await;
    put(&client, (0..3).map(|n| entry(&format!(r#"{{"n":{n}}}"#))).collect()).await;
    // Nothing is tried while the clock stands still.
    wait_until_waiting(&stack, 3).await;
    for _ in 0..6 {
        stack.clock().advance(Duration::from_secs(10));
        wait_until_waiting(&stack, 3).await;
    }
    assert!(wired.queue.receive().await.is_empty());
    stack.fail("sqs", "SendMessage", None).await;
    stack.clock().advance(Duration::from_secs(480));
    let mut numbers: Vec<_> = wired.queue.bodies(3).await.iter().map(|body| body["detail"]["n"].clone()).collect();
    numbers.sort_by_key(Value::as_u64);
    assert_eq!(numbers, [0, 1, 2]);
    wait_until_waiting(&stack, 0).await;
}

#[tokio::test]
async fn the_policy_of_a_target_ends_by_the_clock() {
    let stack = stack().await;
    let client = stack.client("events");
    let (queue, dead) = (queue(&stack, "q").await, queue(&stack, "dead").await);
    let rule = put_rule(&client, None, "r", r#"{"source":["my.app"]}"#).await;
    let policy = |retries: i32, age: i32| api::Target {
        retry_policy: Some(api::RetryPolicy {
            maximum_retry_attempts: Some(retries),
            maximum_event_age_in_seconds: Some(age),
        }),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("t", &queue.arn)
    };
    stack.fail("sqs", "SendMessage", down()).await;
    for (retries, age, condition) in [(2, 3_600, "MaximumRetryAttempts"), (185, 60, "MaximumEventAgeInSeconds")] {
        put_targets(&client, None, "r", vec![policy(retries, age)]).await;
        put(&client, vec![entry(r#"{"n":1}"#)]).await;
        let letters = wait_for("a letter", async || {
            stack.clock().advance(Duration::from_secs(1));
            Some(dead.receive().await).filter(|letters| !letters.is_empty())
        });
        let letter = letters.await.remove(0);
        let attributes = letter.message_attributes.unwrap();
        let text = |name: &str| attributes[name].string_value.clone().unwrap();
        let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
        for name in
            ["ERROR_CODE", "ERROR_MESSAGE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS", "RULE_ARN", "TARGET_ARN"]
        {
            assert!(names.contains(&name), "{names:?}");
        }
        assert_eq!(names.len(), 6, "{names:?}");
        assert_eq!((text("RULE_ARN"), text("TARGET_ARN")), (rule.clone(), queue.arn.clone()));
        assert_eq!((text("ERROR_CODE").as_str(), text("ERROR_MESSAGE").as_str()), ("THROTTLING", "not now"));
        assert_eq!(text("EXHAUSTED_RETRY_CONDITION"), condition);
        let attempts: i32 = text("RETRY_ATTEMPTS").parse().unwrap();
        assert!(if retries == 2 { attempts == 2 } else { attempts <= 5 }, "{attempts}");
        let body: Value = serde_json::from_str(letter.body.as_deref().unwrap()).unwrap();
        assert_eq!(body["detail"], json!({"n": 1}));
    }
}

#[tokio::test]
async fn events_go_to_another_bus_and_no_further() {
    let stack = stack().await;
    let (client, away) = (stack.client("events"), stack.client("events").in_region("eu-west-1"));
    let second = create_bus(&away, "second").await;
    let third = create_bus(&client, "third").await;
    put_rule(&client, None, "to-second", r#"{"source":["my.app"]}"#).await;
    put_targets(&client, None, "to-second", vec![target("b", &second)]).await;
    put_rule(&away, Some("second"), "to-third", r#"{"source":["my.app"]}"#).await;
    let (here, there) = (queue(&stack, "here").await, queue(&stack, "there").await);
    put_targets(&away, Some("second"), "to-third", vec![target("b", &third), target("q", &here.arn)]).await;
    put_rule(&client, Some("third"), "to-queue", r#"{"source":["my.app"]}"#).await;
    put_targets(&client, Some("third"), "to-queue", vec![target("q", &there.arn)]).await;
    let sent = put(&client, vec![entry(r#"{"n":1}"#)]).await;
    let forwarded = here.body().await;
    assert_eq!((&forwarded["id"], &forwarded["region"]), (&json!(sent[0].event_id), &json!("us-east-1")));
    // An event that came straight to the third bus shows that nothing was before it.
    let to_third = api::PutEventsRequestEntry { event_bus_name: Some("third".into()), ..entry(r#"{"n":2}"#) };
    put(&client, vec![to_third]).await;
    assert_eq!(there.body().await["detail"], json!({"n": 2}));
}

#[tokio::test]
async fn a_bus_of_another_account_asks_its_policy() {
    let stack = stack().await;
    let (sender, owner) = (stack.client("events").as_account("111122223333"), stack.client("events"));
    let wired = wired(&stack, None, "q").await;
    put_rule(&sender, None, "out", r#"{"source":["my.app"]}"#).await;
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    put_targets(&sender, None, "out", vec![target("b", bus)]).await;
    put(&sender, vec![entry(r#"{"n":1}"#)]).await;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "s", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "events:PutEvents", "Resource": bus,
    }]});
    // The first is refused for good; wait until it is, so that the permission cannot save it.
    let dead = queue(&stack, "dead").await;
    let with_letter = api::Target {
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("b", bus)
    };
    put_targets(&sender, None, "out", vec![with_letter]).await;
    put(&sender, vec![entry(r#"{"n":2}"#)]).await;
    let letter = dead.messages(1).await.remove(0);
    assert_eq!(letter.message_attributes.unwrap()["ERROR_CODE"].string_value.as_deref(), Some("NO_PERMISSIONS"));
    let allow = api::PutPermissionInput { policy: Some(policy.to_string()), ..Default::default() };
    owner.call(api::PutPermission, allow).await.unwrap();
    put(&sender, vec![entry(r#"{"n":3}"#)]).await;
    let got = wired.queue.body().await;
    assert_eq!((&got["detail"], &got["account"]), (&json!({"n": 3}), &json!("111122223333")));
}
