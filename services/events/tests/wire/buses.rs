//! Buses, their policies and their tags; partner event sources; global endpoints.

use fractus_events_api as api;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn the_default_bus_is_there_and_stays() {
    let stack = alone().await;
    let client = stack.client("events");
    let described = client.call(api::DescribeEventBus, api::DescribeEventBusInput::default()).await.unwrap();
    assert_eq!(described.arn.as_deref(), Some("arn:aws:events:us-east-1:000000000000:event-bus/default"));
    let delete = api::DeleteEventBusInput { name: "default".into() };
    let refused = client.call(api::DeleteEventBus, delete).await.unwrap_err();
    assert_eq!(
        (refused.code.as_ref(), refused.message.as_str()),
        ("ValidationException", "Cannot delete event bus default.")
    );
    create_bus(&client, "orders").await;
    let again = api::CreateEventBusInput { name: "orders".into(), ..Default::default() };
    let taken = client.call(api::CreateEventBus, again).await.unwrap_err();
    assert_eq!(
        (taken.code.as_ref(), taken.message.as_str()),
        ("ResourceAlreadyExistsException", "Event bus orders already exists.")
    );
    let listed = client.call(api::ListEventBuses, api::ListEventBusesInput::default()).await.unwrap();
    let names: Vec<_> = listed.event_buses.unwrap().into_iter().filter_map(|bus| bus.name).collect();
    assert_eq!(names, ["default", "orders"]);
    let page = api::ListEventBusesInput { limit: Some(1), ..Default::default() };
    let first = client.call(api::ListEventBuses, page).await.unwrap();
    let rest = api::ListEventBusesInput { next_token: first.next_token, ..Default::default() };
    let rest = client.call(api::ListEventBuses, rest).await.unwrap();
    assert_eq!(rest.event_buses.unwrap()[0].name.as_deref(), Some("orders"));
}

#[tokio::test]
async fn a_deleted_bus_takes_its_rules_with_it() {
    let stack = stack().await;
    let client = stack.client("events");
    create_bus(&client, "b").await;
    let wired = wired(&stack, Some("b"), "q").await;
    client.call(api::DeleteEventBus, api::DeleteEventBusInput { name: "b".into() }).await.unwrap();
    let describe = api::DescribeRuleInput { name: "q".into(), event_bus_name: Some("b".into()) };
    let missing = client.call(api::DescribeRule, describe).await.unwrap_err();
    assert_eq!(missing.message, "Event bus b does not exist.");
    create_bus(&client, "b").await;
    let to_b = || api::PutEventsRequestEntry { event_bus_name: Some("b".into()), ..entry("{}") };
    put(&client, vec![to_b()]).await;
    put_rule(&client, Some("b"), "q", r#"{"source":["my.app"]}"#).await;
    put_targets(&client, Some("b"), "q", vec![target("q", &wired.queue.arn)]).await;
    put(&client, vec![to_b()]).await;
    wired.queue.messages(1).await;
}

#[tokio::test]
async fn another_account_needs_the_bus_s_permission() {
    let stack = stack().await;
    let (owner, guest) = (stack.client("events"), stack.client("events").as_account("111122223333"));
    let wired = wired(&stack, None, "q").await;
    let to_default = || api::PutEventsInput {
        entries: vec![api::PutEventsRequestEntry {
            event_bus_name: Some("arn:aws:events:us-east-1:000000000000:event-bus/default".into()),
            ..entry("{}")
        }],
        endpoint_id: None,
    };
    let denied = guest.call(api::PutEvents, to_default()).await.unwrap_err();
    assert_eq!((denied.code.as_ref(), denied.status), ("AccessDeniedException", 400));
    assert!(
        denied.message.contains("no resource-based policy allows the events:PutEvents action"),
        "{}",
        denied.message
    );
    let permission = api::PutPermissionInput {
        statement_id: Some("guest".into()),
        action: Some("events:PutEvents".into()),
        principal: Some("111122223333".into()),
        ..Default::default()
    };
    owner.call(api::PutPermission, permission).await.unwrap();
    let described = owner.call(api::DescribeEventBus, api::DescribeEventBusInput::default()).await.unwrap();
    let policy: Value = serde_json::from_str(&described.policy.unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"], json!({"AWS": "arn:aws:iam::111122223333:root"}));
    guest.call(api::PutEvents, to_default()).await.unwrap();
    assert_eq!(wired.queue.body().await["account"], json!("111122223333"));
    let remove = api::RemovePermissionInput { statement_id: Some("guest".into()), ..Default::default() };
    owner.call(api::RemovePermission, remove).await.unwrap();
    assert!(guest.call(api::PutEvents, to_default()).await.is_err());
}

#[tokio::test]
async fn tags_come_and_go() {
    let stack = alone().await;
    let client = stack.client("events");
    let arn = create_bus(&client, "b").await;
    let rule = put_rule(&client, Some("b"), "r", r#"{"source":["a"]}"#).await;
    let tag = |key: &str, value: &str| api::Tag { key: key.into(), value: value.into() };
    for arn in [arn, rule] {
        let add = api::TagResourceInput { resource_arn: arn.clone(), tags: vec![tag("a", "1"), tag("b", "2")] };
        client.call(api::TagResource, add).await.unwrap();
        let take = api::UntagResourceInput { resource_arn: arn.clone(), tag_keys: vec!["a".into()] };
        client.call(api::UntagResource, take).await.unwrap();
        let list = api::ListTagsForResourceInput { resource_arn: arn };
        assert_eq!(client.call(api::ListTagsForResource, list).await.unwrap().tags, Some(vec![tag("b", "2")]));
    }
    let missing =
        api::ListTagsForResourceInput { resource_arn: "arn:aws:events:us-east-1:000000000000:rule/no".into() };
    let error = client.call(api::ListTagsForResource, missing).await.unwrap_err();
    assert_eq!(error.message, "Rule no does not exist on EventBus default.");
}

#[tokio::test]
async fn a_partner_s_events_reach_the_customer_s_bus() {
    const NAME: &str = "aws.partner/example.com/orders/1";
    let stack = stack().await;
    let (customer, partner) = (stack.client("events"), stack.client("events").as_account("999999999999"));
    let create = api::CreatePartnerEventSourceInput { name: NAME.into(), account: "000000000000".into() };
    let arn = partner.call(api::CreatePartnerEventSource, create).await.unwrap().event_source_arn.unwrap();
    assert_eq!(arn, format!("arn:aws:events:us-east-1::event-source/{NAME}"));
    let describe = || api::DescribeEventSourceInput { name: NAME.into() };
    let source = customer.call(api::DescribeEventSource, describe()).await.unwrap();
    assert_eq!(source.state, Some(api::EventSourceState::Pending));
    let put = || api::PutPartnerEventsInput {
        entries: vec![api::PutPartnerEventsRequestEntry {
            source: Some(NAME.into()),
            detail_type: Some("order".into()),
            detail: Some("{\"n\":1}".into()),
            ..Default::default()
        }],
    };
    partner.call(api::PutPartnerEvents, put()).await.unwrap();
    let bus =
        api::CreateEventBusInput { name: NAME.into(), event_source_name: Some(NAME.into()), ..Default::default() };
    customer.call(api::CreateEventBus, bus).await.unwrap();
    let source = customer.call(api::DescribeEventSource, describe()).await.unwrap();
    assert_eq!(source.state, Some(api::EventSourceState::Active));
    let queue = queue(&stack, "q").await;
    put_rule(&customer, Some(NAME), "r", &format!("{{\"source\":[\"{NAME}\"]}}")).await;
    put_targets(&customer, Some(NAME), "r", vec![target("q", &queue.arn)]).await;
    let result = partner.call(api::PutPartnerEvents, put()).await.unwrap();
    assert_eq!(result.failed_entry_count, Some(0));
    assert_eq!(queue.body().await["detail"], json!({"n": 1}));
    let deactivate = api::DeactivateEventSourceInput { name: NAME.into() };
    customer.call(api::DeactivateEventSource, deactivate).await.unwrap();
    partner.call(api::PutPartnerEvents, put()).await.unwrap();
    customer.call(api::ActivateEventSource, api::ActivateEventSourceInput { name: NAME.into() }).await.unwrap();
    partner.call(api::PutPartnerEvents, put()).await.unwrap();
    queue.messages(1).await;
    let accounts = api::ListPartnerEventSourceAccountsInput { event_source_name: NAME.into(), ..Default::default() };
    let accounts = partner.call(api::ListPartnerEventSourceAccounts, accounts).await.unwrap();
    assert_eq!(accounts.partner_event_source_accounts.unwrap()[0].account.as_deref(), Some("000000000000"));
    let delete = api::DeletePartnerEventSourceInput { name: NAME.into(), account: "000000000000".into() };
    partner.call(api::DeletePartnerEventSource, delete).await.unwrap();
    let source = customer.call(api::DescribeEventSource, describe()).await.unwrap();
    assert_eq!(source.state, Some(api::EventSourceState::Deleted));
}

#[tokio::test]
async fn an_endpoint_leads_to_both_its_buses() {
    let stack = stack().await;
    let (home, away) = (stack.client("events"), stack.client("events").in_region("eu-west-1"));
    let arns = [create_bus(&home, "b").await, create_bus(&away, "b").await];
    let queue = queue(&stack, "q").await;
    for client in [&home, &away] {
        put_rule(client, Some("b"), "r", r#"{"source":["my.app"]}"#).await;
        put_targets(client, Some("b"), "r", vec![target("q", &queue.arn)]).await;
    }
    let create = api::CreateEndpointInput {
        name: "e".into(),
        routing_config: api::RoutingConfig {
            failover_config: api::FailoverConfig {
                primary: api::Primary { health_check: "arn:aws:route53:::healthcheck/h".into() },
                secondary: api::Secondary { route: "eu-west-1".into() },
            },
        },
        event_buses: arns.iter().map(|arn| api::EndpointEventBus { event_bus_arn: arn.clone() }).collect(),
        role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
        ..Default::default()
    };
    home.call(api::CreateEndpoint, create).await.unwrap();
    let describe = api::DescribeEndpointInput { name: "e".into(), home_region: None };
    let endpoint = home.call(api::DescribeEndpoint, describe).await.unwrap();
    let id = endpoint.endpoint_id.unwrap();
    assert_eq!(endpoint.endpoint_url, Some(format!("https://{id}.endpoint.events.amazonaws.com")));
    let put = || api::PutEventsInput { entries: vec![entry("{}")], endpoint_id: Some(id.clone()) };
    home.call(api::PutEvents, put()).await.unwrap();
    queue.messages(2).await;
    let update = api::UpdateEndpointInput {
        name: "e".into(),
        replication_config: Some(api::ReplicationConfig { state: Some(api::ReplicationState::Disabled) }),
        ..Default::default()
    };
    home.call(api::UpdateEndpoint, update).await.unwrap();
    home.call(api::PutEvents, put()).await.unwrap();
    queue.messages(1).await;
}

#[tokio::test]
async fn a_rule_on_another_account_s_bus_is_its_owner_s_to_allow() {
    let stack = alone().await;
    let (owner, guest) = (stack.client("events"), stack.client("events").as_account("111122223333"));
    let bus = create_bus(&owner, "b").await;
    let rule = || api::PutRuleInput {
        name: "r".into(),
        event_pattern: Some(r#"{"source":["a"]}"#.into()),
        event_bus_name: Some(bus.clone()),
        ..Default::default()
    };
    let describe = || api::DescribeEventBusInput { name: Some(bus.clone()) };
    assert_eq!(guest.call(api::PutRule, rule()).await.unwrap_err().code, "AccessDeniedException");
    assert_eq!(guest.call(api::DescribeEventBus, describe()).await.unwrap_err().code, "AccessDeniedException");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "s", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
        "Action": ["events:PutRule", "events:DescribeEventBus"],
        "Resource": [bus, "arn:aws:events:us-east-1:000000000000:rule/b/r"],
    }]});
    let allow = api::PutPermissionInput {
        event_bus_name: Some("b".into()),
        policy: Some(policy.to_string()),
        ..Default::default()
    };
    owner.call(api::PutPermission, allow).await.unwrap();
    guest.call(api::DescribeEventBus, describe()).await.unwrap();
    guest.call(api::PutRule, rule()).await.unwrap();
    let made = api::DescribeRuleInput { name: "r".into(), event_bus_name: Some("b".into()) };
    let made = owner.call(api::DescribeRule, made).await.unwrap();
    assert_eq!(made.created_by.as_deref(), Some("111122223333"));
    let other = api::PutRuleInput { name: "other".into(), ..rule() };
    assert_eq!(guest.call(api::PutRule, other).await.unwrap_err().code, "AccessDeniedException");
}
