//! Rules: what PutRule asks, lists, limits, and TestEventPattern.

use fractus_events_api as api;
use fractus_wire::Failure;

use crate::support::*;

fn said(failure: &Failure) -> (&str, &str) {
    (failure.code.as_ref(), failure.message.as_str())
}

#[tokio::test]
async fn put_rule_asks_for_a_pattern_or_a_schedule() {
    let stack = alone().await;
    let client = stack.client("events");
    create_bus(&client, "b").await;
    let call = async |input: api::PutRuleInput| client.call(api::PutRule, input).await;
    let rule = || api::PutRuleInput { name: "r".into(), ..Default::default() };
    let neither = call(rule()).await.unwrap_err();
    assert_eq!(
        said(&neither),
        ("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
    );
    let on_a_bus = api::PutRuleInput {
        schedule_expression: Some("rate(1 minute)".into()),
        event_bus_name: Some("b".into()),
        ..rule()
    };
    let on_a_bus = call(on_a_bus).await.unwrap_err();
    assert_eq!(
        said(&on_a_bus),
        ("ValidationException", "ScheduleExpression is supported only on the default event bus.")
    );
    let no_schedule =
        call(api::PutRuleInput { schedule_expression: Some("often".into()), ..rule() }).await.unwrap_err();
    assert_eq!(said(&no_schedule), ("ValidationException", "Parameter ScheduleExpression is not valid."));
    let no_pattern =
        call(api::PutRuleInput { event_pattern: Some("{\"source\":\"a\"}".into()), ..rule() }).await.unwrap_err();
    assert_eq!(no_pattern.code, "InvalidEventPatternException");
    assert!(
        no_pattern.message.starts_with("Event pattern is not valid. Reason: \"source\" must be an object or an array"),
        "{}",
        no_pattern.message
    );
    let nowhere = api::PutRuleInput {
        event_pattern: Some("{\"source\":[\"a\"]}".into()),
        event_bus_name: Some("x".into()),
        ..rule()
    };
    assert_eq!(said(&call(nowhere).await.unwrap_err()), ("ResourceNotFoundException", "Event bus x does not exist."));
}

#[tokio::test]
async fn a_rule_with_targets_stays_and_lists_say_all() {
    let stack = alone().await;
    let client = stack.client("events");
    for name in ["a1", "a2", "b1"] {
        put_rule(&client, None, name, r#"{"source":["x"]}"#).await;
    }
    let arn = "arn:aws:sqs:us-east-1:000000000000:q";
    put_targets(&client, None, "a1", vec![target("t", arn), target("u", arn)]).await;
    put_targets(&client, None, "b1", vec![target("t", arn)]).await;
    let delete = || api::DeleteRuleInput { name: "a1".into(), ..Default::default() };
    let refused = client.call(api::DeleteRule, delete()).await.unwrap_err();
    assert_eq!(said(&refused), ("ValidationException", "Rule can't be deleted since it has targets."));
    let list = api::ListRulesInput { name_prefix: Some("a".into()), limit: Some(1), ..Default::default() };
    let first = client.call(api::ListRules, list.clone()).await.unwrap();
    let second =
        client.call(api::ListRules, api::ListRulesInput { next_token: first.next_token, ..list }).await.unwrap();
    assert_eq!(second.rules.unwrap()[0].name.as_deref(), Some("a2"));
    assert_eq!(second.next_token, None);
    let by_target = || api::ListRuleNamesByTargetInput { target_arn: arn.into(), ..Default::default() };
    let names = client.call(api::ListRuleNamesByTarget, by_target()).await.unwrap().rule_names.unwrap();
    assert_eq!(names, ["a1", "b1"]);
    let remove = api::RemoveTargetsInput {
        rule: "a1".into(),
        ids: vec!["t".into(), "u".into(), "x".into()],
        ..Default::default()
    };
    let removed = client.call(api::RemoveTargets, remove).await.unwrap();
    assert_eq!(removed.failed_entry_count, Some(1));
    client.call(api::DeleteRule, delete()).await.unwrap();
    let names = client.call(api::ListRuleNamesByTarget, by_target()).await.unwrap().rule_names.unwrap();
    assert_eq!(names, ["b1"]);
    client.call(api::DeleteRule, delete()).await.unwrap();
    let describe = api::DescribeRuleInput { name: "a1".into(), ..Default::default() };
    assert_eq!(
        said(&client.call(api::DescribeRule, describe).await.unwrap_err()),
        ("ResourceNotFoundException", "Rule a1 does not exist on EventBus default.")
    );
}

#[tokio::test]
async fn quotas_hold() {
    let stack = alone().await;
    let client = stack.client("events");
    for number in 0..300 {
        put_rule(&client, None, &format!("r{number}"), r#"{"source":["x"]}"#).await;
    }
    let one_more = api::PutRuleInput {
        name: "one-more".into(),
        event_pattern: Some(r#"{"source":["x"]}"#.into()),
        ..Default::default()
    };
    let refused = client.call(api::PutRule, one_more).await.unwrap_err();
    assert_eq!(
        said(&refused),
        ("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    );
    put_rule(&client, None, "r0", r#"{"source":["y"]}"#).await;
    let targets = (0..6).map(|n| target(&format!("t{n}"), "arn:aws:sqs:us-east-1:000000000000:q")).collect();
    let six = api::PutTargetsInput { rule: "r0".into(), targets, event_bus_name: None };
    assert_eq!(client.call(api::PutTargets, six).await.unwrap_err().code, "LimitExceededException");
}

#[tokio::test]
async fn patterns_are_tested_against_whole_events() {
    let stack = alone().await;
    let client = stack.client("events");
    let event = r#"{"id":"1","account":"123456789012","source":"aws.ec2","time":"2026-01-01T00:00:00Z",
        "region":"us-east-1","resources":[],"detail-type":"t","detail":{"state":"running","n":7}}"#;
    let test = async |pattern: &str, event: &str| {
        let input = api::TestEventPatternInput { event_pattern: pattern.into(), event: event.into() };
        client.call(api::TestEventPattern, input).await
    };
    for (pattern, expected) in [
        (r#"{"source":["aws.ec2"]}"#, true),
        (r#"{"detail":{"state":[{"anything-but":"running"}]}}"#, false),
        (r#"{"detail":{"n":[{"numeric":[">",5,"<=",7]}]}}"#, true),
        (r#"{"$or":[{"source":["x"]},{"detail":{"state":[{"prefix":"run"}]}}]}"#, true),
        (r#"{"$or":[{"source":["x"]},{"detail":{"state":["stopped"]}}]}"#, false),
        (r#"{"detail":{"missing":[{"exists":false}]}}"#, true),
        (r#"{"source":[{"wildcard":"aws.*2"}]}"#, true),
    ] {
        assert_eq!(test(pattern, event).await.unwrap().result, Some(expected), "{pattern}");
    }
    let incomplete = test(r#"{"source":["a"]}"#, r#"{"source":"a"}"#).await.unwrap_err();
    assert_eq!(said(&incomplete), ("ValidationException", "Parameter Event is not valid."));
    let broken = test("{", event).await.unwrap_err();
    assert_eq!(broken.code, "InvalidEventPatternException");
}

/// Another replica's index, over the same store.
#[tokio::test]
async fn an_index_elsewhere_follows_each_change() {
    use fractus_aws::{Region, World};
    use fractus_events::index::Indexes;
    use fractus_events::model::names::{BusRef, Place};
    use fractus_patterns::Event;

    let stack = alone().await;
    let client = stack.client("events");
    let store = stack.host("events").store().clone();
    let bus = BusRef { place: Place::new(World::default_world(), Region::us_east_1()), name: "default".into() };
    let elsewhere = Indexes::default();
    let matched = async || {
        let event = Event::parse(r#"{"source":"a","detail":{"n":1}}"#).unwrap();
        let read = store.read(|snapshot| {
            let index = elsewhere.of(snapshot, &bus)?;
            let names = index.map(|index| index.matches(&event).iter().map(|rule| rule.name.clone()).collect());
            Ok::<Vec<String>, fractus_events::error::Error>(names.unwrap_or_default())
        });
        read.await.unwrap()
    };
    assert!(matched().await.is_empty());
    put_rule(&client, None, "one", r#"{"source":["a"]}"#).await;
    put_rule(&client, None, "two", r#"{"detail":{"n":[1]}}"#).await;
    assert_eq!(matched().await, ["one", "two"]);
    put_rule(&client, None, "one", r#"{"source":["b"]}"#).await;
    assert_eq!(matched().await, ["two"]);
    let disable = api::DisableRuleInput { name: "two".into(), ..Default::default() };
    client.call(api::DisableRule, disable).await.unwrap();
    assert!(matched().await.is_empty());
    put_rule(&client, None, "two", r#"{"source":["a"]}"#).await;
    client.call(api::DeleteRule, api::DeleteRuleInput { name: "one".into(), ..Default::default() }).await.unwrap();
    assert_eq!(matched().await, ["two"]);
}
