//! What targets get: inputs, groups, dead letters, other buses.

use fractus_events_api as api;
use serde_json::json;

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
