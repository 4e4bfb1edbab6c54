//! Sessions through the wire: what is issued, who it is, how long it holds.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::time::Duration;

use fractus_aws::Lane;
use fractus_clock::Timestamp;
use fractus_sts::Config;
use fractus_sts_api::*;
use fractus_testkit::{Client, Stack};

async fn stack() -> Stack {
    Stack::new()
        .frozen_at("2026-01-01T00:00:00Z")
        .with("sts", |host| fractus_sts::start(Config::default(), host))
        .start()
        .await
}

fn client(stack: &Stack) -> Client {
    stack.client("sts").api(&MODEL).as_account("111122223333")
}

fn with(client: &Client, credentials: &Credentials) -> Client {
    client.clone().with_keys(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        Some(&credentials.session_token),
    )
}

fn role_input(role: &str) -> AssumeRoleInput {
    AssumeRoleInput { role_arn: role.to_owned(), role_session_name: "s1".to_owned(), ..Default::default() }
}

async fn assume(client: &Client, input: AssumeRoleInput) -> AssumeRoleOutput {
    client.call(AssumeRole, input).await.unwrap()
}

async fn identity(client: &Client) -> GetCallerIdentityOutput {
    client.call(GetCallerIdentity, GetCallerIdentityInput::default()).await.unwrap()
}

const READER: &str = "arn:aws:iam::444455556666:role/team/reader";

#[tokio::test]
async fn the_caller_is_the_real_principal() {
    let stack = stack().await;
    let client = client(&stack);
    let root = identity(&client).await;
    assert_eq!(root.arn.as_deref(), Some("arn:aws:iam::111122223333:root"));
    assert_eq!((root.account.as_deref(), root.user_id.as_deref()), (Some("111122223333"), Some("111122223333")));

    let assumed = assume(&client, role_input(READER)).await;
    let user = assumed.assumed_role_user.unwrap();
    assert_eq!(user.arn, "arn:aws:sts::444455556666:assumed-role/reader/s1");
    let reader = identity(&with(&client, &assumed.credentials.unwrap())).await;
    assert_eq!(reader.arn.as_deref(), Some(user.arn.as_str()));
    assert_eq!(reader.account.as_deref(), Some("444455556666"));
    assert_eq!(reader.user_id, Some(user.assumed_role_id.clone()));

    let again = assume(&client, role_input(READER)).await;
    assert_eq!(again.assumed_role_user.unwrap().assumed_role_id, user.assumed_role_id);
}

#[tokio::test]
async fn a_session_ends_by_the_lane_s_clock() {
    let stack = stack().await;
    let client = client(&stack);
    let input = AssumeRoleInput { duration_seconds: Some(900), ..role_input(READER) };
    let credentials = assume(&client, input).await.credentials.unwrap();
    assert_eq!(credentials.expiration, Timestamp::parse_date_time("2026-01-01T00:15:00Z").unwrap());
    let session = with(&client, &credentials);
    stack.clock().advance(Duration::from_secs(899));
    identity(&session).await;
    stack.clock().advance(Duration::from_secs(1));
    let failure = session.call(GetCallerIdentity, GetCallerIdentityInput::default()).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("ExpiredToken", 403), "{failure}");
}

#[tokio::test]
async fn roles_chain_for_an_hour_at_most_and_hand_tags_on() {
    let stack = stack().await;
    let client = client(&stack);
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    let first = AssumeRoleInput {
        tags: Some(vec![tag("team", "a"), tag("job", "b")]),
        transitive_tag_keys: Some(vec!["team".into()]),
        source_identity: Some("ann".into()),
        ..role_input(READER)
    };
    let first = assume(&client, first).await;
    assert!(first.packed_policy_size.is_some_and(|percent| (1..20).contains(&percent)));
    let session = with(&client, first.credentials.as_ref().unwrap());

    let long = AssumeRoleInput { duration_seconds: Some(3_601), ..role_input(READER) };
    let failure = session.call(AssumeRole, long).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    );
    let changed = AssumeRoleInput { source_identity: Some("bob".into()), ..role_input(READER) };
    assert_eq!(session.call(AssumeRole, changed).await.unwrap_err().code, "AccessDenied");
    let overwritten = AssumeRoleInput { tags: Some(vec![tag("TEAM", "x")]), ..role_input(READER) };
    assert_eq!(session.call(AssumeRole, overwritten).await.unwrap_err().code, "InvalidParameterValue");

    let next = assume(&session, role_input("arn:aws:iam::777788889999:role/writer")).await;
    assert_eq!(next.source_identity.as_deref(), Some("ann"));
    let key = next.credentials.unwrap().access_key_id;
    let question = fractus_bus::contracts::LookUpCredential { lane: Lane::main(), access_key_id: key };
    let sts = fractus_sts::Sts::new(stack.host("sts"), Config::default());
    let credential = sts.find_credential(&question.lane, &question.access_key_id).await.unwrap();
    assert_eq!(credential.session_tags, [("team".to_owned(), "a".to_owned())]);
    assert_eq!(credential.account.as_str(), "777788889999");
    assert!(credential.session_context.contains(&("aws:SourceIdentity".into(), "ann".into())));
}

#[tokio::test]
async fn what_is_no_role_or_name_or_policy_is_refused_as_on_aws() {
    let stack = stack().await;
    let client = client(&stack);
    let cases = [
        (
            role_input("arn:aws:iam::444455556666:user/u"),
            "ValidationError",
            "arn:aws:iam::444455556666:user/u is invalid",
        ),
        (
            AssumeRoleInput { duration_seconds: Some(60), ..role_input(READER) },
            "ValidationError",
            "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
        ),
        (
            AssumeRoleInput { policy: Some("{".into()), ..role_input(READER) },
            "MalformedPolicyDocument",
            "This policy contains invalid Json",
        ),
        (
            AssumeRoleInput { serial_number: Some("GAHT12345678".into()), ..role_input(READER) },
            "AccessDenied",
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ",
        ),
    ];
    for (input, code, message) in cases {
        let failure = client.call(AssumeRole, input).await.unwrap_err();
        assert_eq!((failure.code.as_ref(), failure.message.as_str()), (code, message));
    }
    let input = AssumeRoleInput { role_session_name: "a/b:c".into(), ..role_input(READER) };
    assert_eq!(client.call(AssumeRole, input).await.unwrap_err().code, "ValidationError");
}

#[tokio::test]
async fn session_and_federation_tokens_are_for_long_term_keys() {
    let stack = stack().await;
    let client = client(&stack);
    let output = client.call(GetSessionToken, GetSessionTokenInput::default()).await.unwrap();
    let credentials = output.credentials.unwrap();
    // An account's root gets an hour, whatever the default is.
    assert_eq!(credentials.expiration, Timestamp::parse_date_time("2026-01-01T01:00:00Z").unwrap());
    assert_eq!(output.session_token_size, Some(credentials.session_token.len() as i32));
    let session = with(&client, &credentials);
    assert_eq!(identity(&session).await.arn.as_deref(), Some("arn:aws:iam::111122223333:root"));
    let failure = session.call(GetSessionToken, GetSessionTokenInput::default()).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.status, failure.message.as_str()),
        ("AccessDenied", 403, "Cannot call GetSessionToken with session credentials")
    );

    let input = GetFederationTokenInput { name: "Bob".into(), ..Default::default() };
    let output = client.call(GetFederationToken, input).await.unwrap();
    let user = output.federated_user.unwrap();
    assert_eq!(user.arn, "arn:aws:sts::111122223333:federated-user/Bob");
    assert_eq!(user.federated_user_id, "111122223333:Bob");
    let bob = identity(&with(&client, &output.credentials.unwrap())).await;
    assert_eq!((bob.arn, bob.user_id), (Some(user.arn), Some(user.federated_user_id)));
}

#[tokio::test]
async fn a_key_says_its_account() {
    let stack = stack().await;
    let client = client(&stack);
    let credentials = assume(&client, role_input(READER)).await.credentials.unwrap();
    for (key, account) in
        [(credentials.access_key_id.as_str(), "444455556666"), ("AKIAIOSFODNN7EXAMPLE", "000000000000")]
    {
        let input = GetAccessKeyInfoInput { access_key_id: key.to_owned() };
        let output = client.call(GetAccessKeyInfo, input).await.unwrap();
        assert_eq!(output.account.as_deref(), Some(account));
    }
}

#[tokio::test]
async fn an_authorization_message_is_decoded() {
    let stack = stack().await;
    let client = client(&stack);
    let document = serde_json::json!({ "allowed": false, "explicitDeny": false });
    let encoded_message = fractus_sts::model::authorization_message::encode(&document).unwrap();
    let input = DecodeAuthorizationMessageInput { encoded_message };
    let output = client.call(DecodeAuthorizationMessage, input).await.unwrap();
    assert_eq!(output.decoded_message, Some(document.to_string()));
    let input = DecodeAuthorizationMessageInput { encoded_message: "bm90IG91cnM".into() };
    let failure = client.call(DecodeAuthorizationMessage, input).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("InvalidAuthorizationMessageException", 400));
}

#[tokio::test]
async fn a_management_account_acts_as_a_member_s_root_for_a_task() {
    let stack = stack().await;
    let client = client(&stack);
    let input = |task: &str| AssumeRootInput {
        target_principal: "444455556666".into(),
        task_policy_arn: PolicyDescriptorType { arn: Some(format!("arn:aws:iam::aws:policy/root-task/{task}")) },
        ..Default::default()
    };
    let output = client.call(AssumeRoot, input("S3UnlockBucketPolicy")).await.unwrap();
    let credentials = output.credentials.unwrap();
    assert_eq!(credentials.expiration, Timestamp::parse_date_time("2026-01-01T00:15:00Z").unwrap());
    let root = identity(&with(&client, &credentials)).await;
    assert_eq!(root.arn.as_deref(), Some("arn:aws:iam::444455556666:root"));
    assert_eq!(client.call(AssumeRoot, input("AdministratorAccess")).await.unwrap_err().code, "ValidationError");
}

#[tokio::test]
async fn sessions_survive_a_restart_on_disk() {
    let mut stack =
        Stack::new().on_disk().with("sts", |host| fractus_sts::start(Config::default(), host)).start().await;
    let credentials = assume(&client(&stack), role_input(READER)).await.credentials.unwrap();
    stack.restart("sts").await;
    let arn = identity(&with(&client(&stack), &credentials)).await.arn;
    assert_eq!(arn.as_deref(), Some("arn:aws:sts::444455556666:assumed-role/reader/s1"));
}

#[tokio::test]
async fn lanes_do_not_know_each_other_s_sessions() {
    let stack = stack().await;
    let client = client(&stack);
    let credentials = assume(&client, role_input(READER)).await.credentials.unwrap();
    let elsewhere = identity(&with(&client, &credentials).in_lane("blue")).await;
    // There it is a key that nobody issued: its account's root.
    assert_eq!(elsewhere.arn.as_deref(), Some("arn:aws:iam::444455556666:root"));
}
