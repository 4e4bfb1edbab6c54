//! The API as a caller sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use common::{alone, create, get, group, queue_arn, refused, schedule, target, to_queue, update};
use fractus_clock::Timestamp;
use fractus_scheduler_api as api;
use fractus_testkit::{Client, wait_for};

fn validation(message: &str) -> (String, String) {
    ("ValidationException".to_owned(), message.to_owned())
}

#[tokio::test]
async fn a_schedule_is_told_with_what_aws_fills_in() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    let arn = create(&client, schedule("s", "rate(1 day)", to_queue("q", "hi"))).await;
    assert_eq!(arn, "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s");
    let told = get(&client, "default", "s").await.unwrap();
    assert_eq!(told.arn, Some(arn));
    assert_eq!(told.schedule_expression_timezone.as_deref(), Some("UTC"));
    assert_eq!(told.state, Some(api::ScheduleState::Enabled));
    assert_eq!(told.action_after_completion, Some(api::ActionAfterCompletion::None));
    assert_eq!(told.creation_date, Some(Timestamp::parse_date_time(common::START).unwrap()));
    let retry = api::RetryPolicy { maximum_event_age_in_seconds: Some(86_400), maximum_retry_attempts: Some(185) };
    let kept = told.target.unwrap();
    assert_eq!((kept.retry_policy, kept.input.as_deref()), (Some(retry), Some("hi")));

    stack.clock().advance(Duration::from_secs(60));
    let mut changed = schedule("s", "cron(0 12 * * ? *)", target(&queue_arn("q")));
    changed.schedule_expression_timezone = Some("Europe/Berlin".to_owned());
    changed.description = Some("noon".to_owned());
    client.call(api::UpdateSchedule, update(changed)).await.unwrap();
    let told = get(&client, "default", "s").await.unwrap();
    assert_eq!(told.schedule_expression_timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(told.last_modification_date.unwrap().since(told.creation_date.unwrap()).as_secs(), 60);
    // An update is the whole schedule: what it does not say is gone.
    assert_eq!(told.target.unwrap().input, None);

    let delete = api::DeleteScheduleInput { name: "s".to_owned(), ..Default::default() };
    client.call(api::DeleteSchedule, delete.clone()).await.unwrap();
    let gone = client.call(api::DeleteSchedule, delete).await.unwrap_err();
    // AWS's own words.
    assert_eq!(
        (gone.status, gone.code.as_ref(), gone.message.as_str()),
        (404, "ResourceNotFoundException", "Schedule s does not exist.")
    );
}

#[tokio::test]
async fn what_is_no_schedule_is_refused() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    let with = |change: &dyn Fn(&mut api::CreateScheduleInput)| {
        let mut input = schedule("s", "rate(1 minute)", to_queue("q", "x"));
        change(&mut input);
        input
    };
    let cases: Vec<(api::CreateScheduleInput, &str)> = vec![
        (with(&|s| s.schedule_expression = "rate(30 seconds)".into()), "Invalid Schedule Expression rate(30 seconds)."),
        (
            with(&|s| s.schedule_expression_timezone = Some("Mars/Olympus".into())),
            "Invalid ScheduleExpressionTimezone Mars/Olympus.",
        ),
        (
            with(&|s| s.start_date = Some(Timestamp::EPOCH)),
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ),
        (with(&|s| s.target.arn = "nonsense".into()), "Provided Arn is not in correct format."),
        (
            with(&|s| s.target = target("arn:aws:scheduler:::aws-sdk:sqs:getQueueUrl")),
            "getQueueUrl is not a supported api for the service sqs.",
        ),
        (
            with(&|s| s.target = target("arn:aws:scheduler:::aws-sdk:sqs:sendMassage")),
            "sendMassage is not a supported api for the service sqs.",
        ),
        (
            with(&|s| {
                s.target = api::Target {
                    input: Some("{\"messageBody\":\"x\"}".into()),
                    ..target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage")
                }
            }),
            "Invalid RequestJson provided. Reason Request payload is missing the following field(s): QueueUrl, MessageBody.",
        ),
    ];
    for (input, message) in cases {
        assert_eq!(refused(&client, input).await, validation(message));
    }
    let (code, message) = refused(&client, with(&|s| s.target.role_arn = "role".into())).await;
    assert_eq!(code, "ValidationException");
    assert!(
        message
            .starts_with("1 validation error detected: Value 'role' at 'target.roleArn' failed to satisfy constraint:"),
        "{message}"
    );
    let (_, message) =
        refused(&client, with(&|s| s.flexible_time_window.mode = api::FlexibleTimeWindowMode::Flexible)).await;
    assert!(message.starts_with("MaximumWindowInMinutes is required"), "{message}");
    let nowhere = refused(&client, with(&|s| s.group_name = Some("nowhere".into()))).await;
    assert_eq!(nowhere, ("ResourceNotFoundException".to_owned(), "Schedule group nowhere does not exist.".to_owned()));
}

#[tokio::test]
async fn a_token_makes_a_repeated_request_harmless() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    let mut input = schedule("s", "rate(1 day)", to_queue("q", "x"));
    input.client_token = Some("one".to_owned());
    let arn = create(&client, input.clone()).await;
    assert_eq!(create(&client, input.clone()).await, arn);
    // AWS's own words are said of the same name with another token.
    let other = api::CreateScheduleInput { client_token: Some("two".to_owned()), ..input.clone() };
    let exists = ("ConflictException".to_owned(), "Schedule s already exists.".to_owned());
    assert_eq!(refused(&client, other).await, exists);
    let changed = api::CreateScheduleInput { name: "t".to_owned(), ..input };
    assert_eq!(refused(&client, changed).await.0, "ConflictException");
    let delete = api::DeleteScheduleInput { name: "s".to_owned(), client_token: Some("gone".into()), group_name: None };
    client.call(api::DeleteSchedule, delete.clone()).await.unwrap();
    client.call(api::DeleteSchedule, delete).await.unwrap();
}

#[tokio::test]
async fn a_group_goes_with_its_schedules() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    group(&client, "g").await;
    for index in 0..120 {
        let input = api::CreateScheduleInput {
            group_name: Some("g".to_owned()),
            ..schedule(&format!("s{index}"), "rate(1 day)", to_queue("q", "x"))
        };
        create(&client, input).await;
    }
    let named = || api::GetScheduleGroupInput { name: "g".to_owned() };
    let delete = || api::DeleteScheduleGroupInput { name: "g".to_owned(), client_token: None };
    client.call(api::DeleteScheduleGroup, delete()).await.unwrap();
    // Until the lane's clock moves it stays where it is.
    let state = client.call(api::GetScheduleGroup, named()).await.unwrap().state;
    assert_eq!(state, Some(api::ScheduleGroupState::Deleting));
    let late = api::CreateScheduleInput {
        group_name: Some("g".to_owned()),
        ..schedule("late", "rate(1 day)", to_queue("q", "x"))
    };
    assert_eq!(refused(&client, late).await.0, "ConflictException");
    stack.clock().advance(Duration::from_secs(1));
    let gone = wait_for("the group is gone", async || client.call(api::GetScheduleGroup, named()).await.err()).await;
    assert_eq!((gone.status, gone.message.as_str()), (404, "Schedule group g does not exist."));
    assert!(list(&client, api::ListSchedulesInput::default()).await.is_empty());
    group(&client, "g").await;

    let default = api::DeleteScheduleGroupInput { name: "default".to_owned(), client_token: None };
    assert_eq!(client.call(api::DeleteScheduleGroup, default).await.unwrap_err().code, "ValidationException");
    let again = api::CreateScheduleGroupInput { name: "default".to_owned(), ..Default::default() };
    assert_eq!(client.call(api::CreateScheduleGroup, again).await.unwrap_err().code, "ConflictException");
}

/// `group/name` of all pages.
async fn list(client: &Client, mut input: api::ListSchedulesInput) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = client.call(api::ListSchedules, input.clone()).await.unwrap();
        assert!(input.max_results.is_none_or(|max| page.schedules.len() <= usize::try_from(max).unwrap()));
        names
            .extend(page.schedules.into_iter().map(|one| format!("{}/{}", one.group_name.unwrap(), one.name.unwrap())));
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            return names;
        }
    }
}

#[tokio::test]
async fn lists_are_sorted_filtered_and_paged() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    group(&client, "other").await;
    for (group, name, state) in [
        ("default", "b", api::ScheduleState::Enabled),
        ("default", "a1", api::ScheduleState::Disabled),
        ("other", "a2", api::ScheduleState::Enabled),
        ("other", "a1", api::ScheduleState::Enabled),
        ("other", "c", api::ScheduleState::Disabled),
    ] {
        let input = api::CreateScheduleInput {
            group_name: Some(group.to_owned()),
            state: Some(state),
            ..schedule(name, "rate(1 day)", to_queue("q", "x"))
        };
        create(&client, input).await;
    }
    let all = ["default/a1", "other/a1", "other/a2", "default/b", "other/c"];
    for size in [1, 2, 3, 100] {
        let input = api::ListSchedulesInput { max_results: Some(size), ..Default::default() };
        assert_eq!(list(&client, input).await, all);
    }
    let input =
        |group: Option<&str>, prefix: Option<&str>, state: Option<api::ScheduleState>| api::ListSchedulesInput {
            group_name: group.map(str::to_owned),
            name_prefix: prefix.map(str::to_owned),
            state,
            max_results: Some(1),
            ..Default::default()
        };
    assert_eq!(list(&client, input(Some("other"), None, None)).await, ["other/a1", "other/a2", "other/c"]);
    assert_eq!(list(&client, input(Some("other"), Some("a"), None)).await, ["other/a1", "other/a2"]);
    assert_eq!(list(&client, input(None, Some("a"), None)).await, ["default/a1", "other/a1", "other/a2"]);
    let disabled = Some(api::ScheduleState::Disabled);
    assert_eq!(list(&client, input(None, None, disabled)).await, ["default/a1", "other/c"]);
    let nowhere = client.call(api::ListSchedules, input(Some("nowhere"), None, None)).await.unwrap_err();
    assert_eq!(nowhere.code, "ResourceNotFoundException");
    // Another account sees none of it.
    assert!(list(&client.clone().as_account("111111111111"), Default::default()).await.is_empty());

    let mut groups = Vec::new();
    let mut next_token = None;
    loop {
        let input = api::ListScheduleGroupsInput { max_results: Some(1), next_token, name_prefix: None };
        let page = client.call(api::ListScheduleGroups, input).await.unwrap();
        groups.extend(page.schedule_groups.into_iter().filter_map(|group| group.name));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(groups, ["default", "other"]);
}

#[tokio::test]
async fn groups_carry_tags() {
    let stack = alone().await;
    let client = stack.client("scheduler");
    let tag = |key: &str, value: &str| api::Tag { key: key.to_owned(), value: value.to_owned() };
    let input =
        api::CreateScheduleGroupInput { name: "g".to_owned(), tags: Some(vec![tag("team", "a")]), client_token: None };
    let arn = client.call(api::CreateScheduleGroup, input).await.unwrap().schedule_group_arn;
    let tags = async || {
        let input = api::ListTagsForResourceInput { resource_arn: arn.clone() };
        client.call(api::ListTagsForResource, input).await.unwrap().tags.unwrap()
    };
    let input = api::TagResourceInput { resource_arn: arn.clone(), tags: vec![tag("team", "b"), tag("stage", "x")] };
    client.call(api::TagResource, input).await.unwrap();
    assert_eq!(tags().await, [tag("team", "b"), tag("stage", "x")]);
    let input = api::UntagResourceInput { resource_arn: arn.clone(), tag_keys: vec!["team".to_owned()] };
    client.call(api::UntagResource, input).await.unwrap();
    assert_eq!(tags().await, [tag("stage", "x")]);
    let input = api::ListTagsForResourceInput { resource_arn: arn.replace("/g", "/nowhere") };
    assert_eq!(client.call(api::ListTagsForResource, input).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn quotas_hold_and_are_given_back() {
    let config = fractus_scheduler::Config { schedule_quota: 2, schedule_group_quota: 1, ..Default::default() };
    let stack = common::builder(config).start().await;
    let client = stack.client("scheduler");
    create(&client, schedule("a", "rate(1 day)", to_queue("q", "x"))).await;
    create(&client, schedule("b", "rate(1 day)", to_queue("q", "x"))).await;
    let (code, _) = refused(&client, schedule("c", "rate(1 day)", to_queue("q", "x"))).await;
    assert_eq!(code, "ServiceQuotaExceededException");
    let delete = api::DeleteScheduleInput { name: "a".to_owned(), ..Default::default() };
    client.call(api::DeleteSchedule, delete).await.unwrap();
    create(&client, schedule("c", "rate(1 day)", to_queue("q", "x"))).await;
    group(&client, "g").await;
    let input = api::CreateScheduleGroupInput { name: "h".to_owned(), ..Default::default() };
    let refused = client.call(api::CreateScheduleGroup, input).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (402, "ServiceQuotaExceededException"));
}
