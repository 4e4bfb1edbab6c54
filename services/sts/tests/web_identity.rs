//! Web identity through the wire, with STS itself as the identity provider that is found by discovery.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fractus_sts::Config;
use fractus_sts::config::OidcProvider;
use fractus_sts_api::*;
use fractus_testkit::{Client, Stack};
use http::Request;
use serde_json::Value;

async fn stack(config: Config) -> Stack {
    let start = move |host| fractus_sts::start(config.clone(), host);
    Stack::new().frozen_at("2026-01-01T00:00:00Z").with("sts", start).start().await
}

fn client(stack: &Stack) -> Client {
    stack.client("sts").api(&MODEL).as_account("111122223333")
}

async fn token(client: &Client, algorithm: &str) -> String {
    let input = GetWebIdentityTokenInput {
        audience: vec!["app".into()],
        signing_algorithm: algorithm.into(),
        tags: Some(vec![Tag { key: "team".into(), value: "a".into() }]),
        ..Default::default()
    };
    client.call(GetWebIdentityToken, input).await.unwrap().web_identity_token.unwrap()
}

fn input(token: &str) -> AssumeRoleWithWebIdentityInput {
    AssumeRoleWithWebIdentityInput {
        role_arn: "arn:aws:iam::444455556666:role/web".into(),
        role_session_name: "s1".into(),
        web_identity_token: token.into(),
        ..Default::default()
    }
}

async fn get(client: &Client, url: &str) -> Value {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    serde_json::from_slice(client.clone().unsigned().send(request).await.body()).unwrap()
}

#[tokio::test]
async fn a_token_of_the_stack_s_own_issuer_is_verified_by_discovery() {
    let stack = stack(Config::default()).await;
    let client = client(&stack);
    let token = token(&client, "ES384").await;
    let output = client.clone().unsigned().call(AssumeRoleWithWebIdentity, input(&token)).await.unwrap();
    let issuer = format!("{}/_aws/sts/issuers/main/111122223333", stack.url("sts"));
    let bare = issuer.strip_prefix("http://").unwrap();
    assert_eq!(output.provider, Some(format!("arn:aws:iam::444455556666:oidc-provider/{bare}")));
    assert_eq!(output.audience.as_deref(), Some("app"));
    assert_eq!(output.subject_from_web_identity_token.as_deref(), Some("arn:aws:iam::111122223333:root"));
    let credentials = output.credentials.unwrap();
    let session = client.clone().with_keys(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        Some(&credentials.session_token),
    );
    let identity = session.call(GetCallerIdentity, GetCallerIdentityInput::default()).await.unwrap();
    assert_eq!(identity.arn.as_deref(), Some("arn:aws:sts::444455556666:assumed-role/web/s1"));

    let discovery = get(&client, &format!("{issuer}/.well-known/openid-configuration")).await;
    assert_eq!(discovery["issuer"], issuer);
    let keys = get(&client, discovery["jwks_uri"].as_str().unwrap()).await;
    assert_eq!(keys["keys"][0]["alg"], "ES384");

    stack.clock().advance(Duration::from_secs(300));
    let failure = client.call(AssumeRoleWithWebIdentity, input(&token)).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        (
            "ExpiredTokenException",
            "Token expired: current date/time 1767225900 must be before the expiration date/time1767225900"
        )
    );
}

#[tokio::test]
async fn an_rsa_token_is_verified_too() {
    let stack = stack(Config::default()).await;
    let client = client(&stack);
    let token = token(&client, "RS256").await;
    client.call(AssumeRoleWithWebIdentity, input(&token)).await.unwrap();
}

#[tokio::test]
async fn a_forged_token_or_a_wrong_audience_is_refused() {
    let stack = stack(Config::default()).await;
    let plain = client(&stack);
    let good = token(&plain, "ES384").await;
    let (head, _) = good.rsplit_once('.').unwrap();
    let other = token(&plain.clone().as_account("999988887777"), "ES384").await;
    let (_, signature) = other.rsplit_once('.').unwrap();
    let failure = plain.call(AssumeRoleWithWebIdentity, input(&format!("{head}.{signature}"))).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("InvalidIdentityToken", 400), "{failure}");
    let failure = plain.call(AssumeRoleWithWebIdentity, input("opaque-access-token")).await.unwrap_err();
    assert!(failure.message.starts_with("The ID Token provided is not a valid JWT."), "{failure}");

    let issuer = format!("{}/_aws/sts/issuers/main/111122223333", stack.url("sts"));
    let provider = OidcProvider { jwks: None, client_ids: vec!["another-app".into()] };
    let config = Config { oidc_providers: BTreeMap::from([(issuer, provider)]), ..Config::default() };
    let strict = self::stack(config).await;
    let failure = client(&strict).call(AssumeRoleWithWebIdentity, input(&good)).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.message.as_str()), ("InvalidIdentityToken", "Incorrect token audience"));
}

#[tokio::test]
async fn an_issuer_that_nobody_answers_for_cannot_be_communicated_with() {
    let stack = stack(Config::default()).await;
    let client = client(&stack);
    let good = token(&client, "ES384").await;
    // The issuer goes away; another process that never saw it is asked.
    let issuer = format!("{}/_aws/sts/issuers/main/111122223333", stack.url("sts"));
    drop(stack);
    let config = Config { provider_timeout_secs: 1, ..Config::default() };
    let other = self::stack(config).await;
    let failure = self::client(&other).call(AssumeRoleWithWebIdentity, input(&good)).await.unwrap_err();
    assert_eq!(failure.code, "IDPCommunicationError", "{issuer}: {failure}");
}

#[tokio::test]
async fn a_token_outlives_no_session() {
    let stack = stack(Config::default()).await;
    let client = client(&stack);
    let role = AssumeRoleInput {
        role_arn: "arn:aws:iam::444455556666:role/web".into(),
        role_session_name: "s1".into(),
        duration_seconds: Some(900),
        ..Default::default()
    };
    let credentials = client.call(AssumeRole, role).await.unwrap().credentials.unwrap();
    let session =
        client.with_keys(&credentials.access_key_id, &credentials.secret_access_key, Some(&credentials.session_token));
    let input = |secs| GetWebIdentityTokenInput {
        audience: vec!["app".into()],
        signing_algorithm: "ES384".into(),
        duration_seconds: Some(secs),
        ..Default::default()
    };
    session.call(GetWebIdentityToken, input(900)).await.unwrap();
    let failure = session.call(GetWebIdentityToken, input(901)).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("SessionDurationEscalationException", 403));
}

#[tokio::test]
async fn issuers_documents_are_bounded_by_names() {
    let stack = stack(Config::default()).await;
    for path in ["", "x", "main/1234/.well-known/jwks.json", "UPPER/111122223333/.well-known/jwks.json", "../../etc"] {
        let url = format!("{}/_aws/sts/issuers/{path}", stack.url("sts"));
        let answer = client(&stack).unsigned().send(Request::get(&url).body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_trade_in_token_is_good_for_one_exchange() {
    use fractus_sts::store::{IssueTradeInToken, TradeIn};
    let stack = stack(Config::default()).await;
    let client = client(&stack);
    let sts = fractus_sts::Sts::new(stack.host("sts"), Config::default());
    let trade_in = |secs: u64| IssueTradeInToken {
        lane: fractus_aws::Lane::main(),
        partition: fractus_aws::Partition::Aws,
        trade_in: TradeIn {
            kind: fractus_bus::contracts::CredentialKind::User,
            account: fractus_aws::AccountId::new("111122223333").unwrap(),
            principal: "arn:aws:iam::111122223333:user/ann".parse().unwrap(),
            principal_id: "AIDAEXAMPLE".into(),
            role: None,
            policy: None,
            policy_arns: vec![],
            duration_secs: 3_600,
            expires_at: stack.clock().now().plus(Duration::from_secs(secs)),
        },
    };
    let token = sts.keep_trade_in(trade_in(60)).await.unwrap();
    let input = |token: &str| GetDelegatedAccessTokenInput { trade_in_token: token.into() };
    let output = client.call(GetDelegatedAccessToken, input(&token)).await.unwrap();
    assert_eq!(output.assumed_principal.as_deref(), Some("arn:aws:iam::111122223333:user/ann"));
    assert_eq!(client.call(GetDelegatedAccessToken, input(&token)).await.unwrap_err().code, "AccessDenied");
    let late = sts.keep_trade_in(trade_in(60)).await.unwrap();
    stack.clock().advance(Duration::from_secs(61));
    let failure = client.call(GetDelegatedAccessToken, input(&late)).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("ExpiredTradeInTokenException", 400));
}
