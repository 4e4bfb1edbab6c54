//! Connections and API destinations, against an endpoint of the test's own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_events_api as api;
use fractus_testkit::{Client, Stack, wait_for};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use crate::support::*;

/// What the endpoint was asked: the head and the body.
type Asked = Arc<Mutex<Vec<(http::request::Parts, String)>>>;

/// An endpoint whose answers follow from the path.
async fn endpoint() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request| answer(seen.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    (url, asked)
}

async fn answer(seen: Asked, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
    let path = head.uri.path().to_owned();
    let (times, is_up) = {
        let mut seen = seen.lock();
        seen.push((head, body));
        let of = |path: &str| seen.iter().filter(|(head, _)| head.uri.path() == path).count();
        (of(&path), of("/up") > 0)
    };
    let (status, text) = match path.as_str() {
        "/token" => (200, r#"{"access_token":"the-token","token_type":"Bearer","expires_in":3600}"#),
        "/no-token" => (403, "{}"),
        "/busy" if times < 3 => (503, ""),
        "/down" if !is_up => (503, ""),
        "/moved" => (302, ""),
        _ => (200, "{}"),
    };
    let answer = Response::builder().status(status).header("location", "/elsewhere");
    Ok(answer.body(Full::from(text)).unwrap())
}

fn connection(kind: api::ConnectionAuthorizationType) -> api::CreateConnectionInput {
    api::CreateConnectionInput { name: "c".into(), authorization_type: kind, ..Default::default() }
}

/// A rule that sends to `endpoint` by a connection.
async fn wire(
    client: &Client,
    connection: api::CreateConnectionInput,
    endpoint: &str,
    change: impl FnOnce(&mut api::Target),
) {
    let connection = client.call(api::CreateConnection, connection).await.unwrap();
    let destination = api::CreateApiDestinationInput {
        name: "d".into(),
        connection_arn: connection.connection_arn.unwrap(),
        invocation_endpoint: endpoint.into(),
        http_method: api::ApiDestinationHttpMethod::Post,
        ..Default::default()
    };
    let destination = client.call(api::CreateApiDestination, destination).await.unwrap();
    put_rule(client, None, "r", r#"{"source":["my.app"]}"#).await;
    let mut target = target("d", &destination.api_destination_arn.unwrap());
    target.role_arn = Some("arn:aws:iam::000000000000:role/r".into());
    change(&mut target);
    put_targets(client, None, "r", vec![target]).await;
}

async fn seen(asked: &Asked, count: usize) -> Vec<(http::request::Parts, String)> {
    wait_for("the endpoint is asked", async || (asked.lock().len() >= count).then_some(())).await;
    asked.lock().clone()
}

fn api_key() -> api::CreateConnectionInput {
    let mut input = connection(api::ConnectionAuthorizationType::ApiKey);
    input.auth_parameters.api_key_auth_parameters = Some(api::CreateConnectionApiKeyAuthRequestParameters {
        api_key_name: "X-Key".into(),
        api_key_value: "secret".into(),
    });
    input
}

#[tokio::test]
async fn an_endpoint_is_called_as_connection_and_target_say() {
    let stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    let mut connection = api_key();
    let parameter = |key: &str, value: &str| api::ConnectionBodyParameter {
        key: Some(key.into()),
        value: Some(value.into()),
        is_value_secret: Some(true),
    };
    connection.auth_parameters.invocation_http_parameters = Some(api::ConnectionHttpParameters {
        body_parameters: Some(vec![parameter("added", "by connection")]),
        header_parameters: Some(vec![api::ConnectionHeaderParameter {
            key: Some("X-Both".into()),
            value: Some("connection".into()),
            is_value_secret: Some(false),
        }]),
        ..Default::default()
    });
    wire(&client, connection, &format!("{url}/items/*?a=1"), |target| {
        target.input_path = Some("$.detail".into());
        target.http_parameters = Some(api::HttpParameters {
            path_parameter_values: Some(vec!["$.detail.id".into()]),
            header_parameters: Some([("X-Both", "target"), ("X-Own", "$.source")].map(owned).into_iter().collect()),
            query_string_parameters: Some([("q", "x y")].map(owned).into_iter().collect()),
        });
    })
    .await;
    put(&client, vec![entry(r#"{"id":"a/b"}"#)]).await;
    let (head, body) = seen(&asked, 1).await.remove(0);
    assert_eq!(head.uri.to_string(), "/items/a%2Fb?a=1&q=x%20y");
    assert_eq!(
        (head.headers["x-key"].as_bytes(), head.headers["x-both"].as_bytes()),
        (b"secret" as &[u8], b"connection" as &[u8])
    );
    assert_eq!((head.headers["x-own"].as_bytes(), head.method.as_str()), (b"my.app" as &[u8], "POST"));
    assert_eq!(head.headers["user-agent"], "Amazon/EventBridge/ApiDestinations");
    assert_eq!(body, r#"{"id":"a/b","added":"by connection"}"#);
    let describe = api::DescribeConnectionInput { name: "c".into() };
    let shown = client.call(api::DescribeConnection, describe).await.unwrap();
    let key = shown.auth_parameters.unwrap().api_key_auth_parameters.unwrap();
    assert_eq!(key.api_key_name.as_deref(), Some("X-Key"));
    assert!(
        shown
            .secret_arn
            .unwrap()
            .starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:events!connection/c/")
    );
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_busy_endpoint_is_asked_again_and_a_redirect_is_not_followed() {
    let stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    let dead = queue(&stack, "dead").await;
    wire(&client, api_key(), &format!("{url}/busy"), |_| {}).await;
    put(&client, vec![entry("{}")]).await;
    seen_in_time(&stack, &asked, 3).await;
    let update = api::UpdateApiDestinationInput {
        name: "d".into(),
        invocation_endpoint: Some(format!("{url}/moved")),
        ..Default::default()
    };
    let destination = client.call(api::UpdateApiDestination, update).await.unwrap().api_destination_arn.unwrap();
    let with_letter = api::Target {
        role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("d", &destination)
    };
    put_targets(&client, None, "r", vec![with_letter]).await;
    put(&client, vec![entry("{}")]).await;
    let letter = dead.messages(1).await.remove(0);
    let attributes = letter.message_attributes.unwrap();
    assert_eq!(attributes["ERROR_MESSAGE"].string_value.as_deref(), Some("The endpoint answered 302."));
    assert!(asked.lock().iter().all(|(head, _)| head.uri.path() != "/elsewhere"));
}

/// Lets time pass, a second at each look, until the endpoint was asked so often.
async fn seen_in_time(stack: &Stack, asked: &Asked, count: usize) {
    wait_for("the endpoint is asked again", async || {
        stack.clock().advance(Duration::from_secs(1));
        (asked.lock().len() >= count).then_some(())
    })
    .await;
}

/// Twenty events for an endpoint that is down for a minute of virtual time: it gets all of them.
#[tokio::test]
async fn an_endpoint_that_was_down_for_a_minute_gets_everything() {
    let stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    wire(&client, api_key(), &format!("{url}/down"), |target| target.input_path = Some("$.detail".into())).await;
    for first in [0, 10] {
        put(&client, (first..first + 10).map(|n| entry(&format!(r#"{{"n":{n}}}"#))).collect()).await;
    }
    let begun = stack.clock().now();
    wait_for("a minute", async || {
        stack.clock().advance(Duration::from_secs(1));
        (stack.clock().now().since(begun) >= Duration::from_secs(60)).then_some(())
    })
    .await;
    assert!(seen(&asked, 40).await.len() >= 40, "each was tried more than once");
    fractus_testkit::http::send(Request::get(format!("{url}/up")).body(Bytes::new()).unwrap()).await;
    let since_up = |asked: &Asked| {
        let asked = asked.lock();
        let up = asked.iter().position(|(head, _)| head.uri.path() == "/up").unwrap();
        asked[up + 1..].iter().map(|(_, body)| body.clone()).collect::<Vec<_>>()
    };
    wait_for("all events", async || {
        stack.clock().advance(Duration::from_secs(1));
        (since_up(&asked).len() >= 20).then_some(())
    })
    .await;
    let mut bodies = since_up(&asked);
    bodies.sort();
    bodies.dedup();
    assert_eq!((bodies.len(), since_up(&asked).len()), (20, 20));
}

/// By the number of attempts, and by the age of the event.
#[tokio::test]
async fn the_dead_letter_queue_gets_what_the_policy_has_given_up() {
    let stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    let dead = queue(&stack, "dead").await;
    let mut arn = String::new();
    wire(&client, api_key(), &format!("{url}/down"), |target| {
        arn.clone_from(&target.arn);
        target.retry_policy =
            Some(api::RetryPolicy { maximum_retry_attempts: Some(2), maximum_event_age_in_seconds: Some(3600) });
        target.dead_letter_config = Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) });
    })
    .await;
    let letter = async |condition: &str| {
        let letters = wait_for("a letter", async || {
            stack.clock().advance(Duration::from_secs(1));
            let came = dead.receive().await;
            (!came.is_empty()).then_some(came)
        });
        let attributes = letters.await.remove(0).message_attributes.unwrap();
        assert_eq!(attributes["EXHAUSTED_RETRY_CONDITION"].string_value.as_deref(), Some(condition));
        assert_eq!(attributes["ERROR_MESSAGE"].string_value.as_deref(), Some("The endpoint answered 503."));
        attributes["RETRY_ATTEMPTS"].string_value.clone().unwrap().parse::<usize>().unwrap()
    };
    put(&client, vec![entry("{}")]).await;
    assert_eq!(letter("MaximumRetryAttempts").await, 2);
    assert_eq!(asked.lock().len(), 3);
    let old = api::Target {
        role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
        retry_policy: Some(api::RetryPolicy { maximum_retry_attempts: None, maximum_event_age_in_seconds: Some(60) }),
        dead_letter_config: Some(api::DeadLetterConfig { arn: Some(dead.arn.clone()) }),
        ..target("d", &arn)
    };
    put_targets(&client, None, "r", vec![old]).await;
    put(&client, vec![entry("{}")]).await;
    // Waits of 1, 2, 4, 8 and 16 seconds fit into the minute; the next one does not.
    let retries = letter("MaximumEventAgeInSeconds").await;
    assert!(retries <= 5, "{retries}");
}

async fn state(client: &Client) -> (api::ConnectionState, Option<String>) {
    wait_for("the connection is settled", async || {
        let input = api::DescribeConnectionInput { name: "c".into() };
        let connection = client.call(api::DescribeConnection, input).await.unwrap();
        let state = connection.connection_state.unwrap();
        (state != api::ConnectionState::Authorizing).then_some((state, connection.state_reason))
    })
    .await
}

fn oauth(url: &str, path: &str) -> api::CreateConnectionInput {
    let mut input = connection(api::ConnectionAuthorizationType::OauthClientCredentials);
    input.auth_parameters.o_auth_parameters = Some(api::CreateConnectionOAuthRequestParameters {
        client_parameters: api::CreateConnectionOAuthClientRequestParameters {
            client_id: "me".into(),
            client_secret: "a&b".into(),
        },
        authorization_endpoint: format!("{url}{path}"),
        http_method: api::ConnectionOAuthHttpMethod::Post,
        o_auth_http_parameters: None,
    });
    input
}

#[tokio::test]
async fn oauth_asks_for_a_token_and_sends_it() {
    let stack: Stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    wire(&client, oauth(&url, "/token"), &format!("{url}/hook"), |_| {}).await;
    assert_eq!(state(&client).await, (api::ConnectionState::Authorized, None));
    put(&client, vec![entry("{}")]).await;
    let seen = seen(&asked, 2).await;
    assert_eq!(seen[0].1, "grant_type=client_credentials&client_id=me&client_secret=a%26b");
    assert_eq!(seen[1].0.headers["authorization"], "Bearer the-token");
    let deauthorize = api::DeauthorizeConnectionInput { name: "c".into() };
    client.call(api::DeauthorizeConnection, deauthorize).await.unwrap();
    assert_eq!(state(&client).await.0, api::ConnectionState::Deauthorized);
    let describe = api::DescribeApiDestinationInput { name: "d".into() };
    let destination = client.call(api::DescribeApiDestination, describe).await.unwrap();
    assert_eq!(destination.api_destination_state, Some(api::ApiDestinationState::Inactive));
}

#[tokio::test]
async fn a_refused_client_is_deauthorized_with_the_reason() {
    let stack = alone().await;
    let client = stack.client("events");
    let (url, _) = endpoint().await;
    client.call(api::CreateConnection, oauth(&url, "/no-token")).await.unwrap();
    let (state, reason) = state(&client).await;
    assert_eq!(state, api::ConnectionState::Deauthorized);
    assert_eq!(reason.as_deref(), Some("The authorization endpoint answered 403."));
}

#[tokio::test]
async fn an_endpoint_gets_so_many_a_second_by_the_lane_s_clock() {
    let stack = stack().await;
    let client = stack.client("events");
    let (url, asked) = endpoint().await;
    wire(&client, api_key(), &format!("{url}/hook"), |_| {}).await;
    let slower = api::UpdateApiDestinationInput {
        name: "d".into(),
        invocation_rate_limit_per_second: Some(2),
        ..Default::default()
    };
    client.call(api::UpdateApiDestination, slower).await.unwrap();
    put(&client, (0..6).map(|n| entry(&format!(r#"{{"n":{n}}}"#))).collect()).await;
    // A second's worth goes at once; the others have their turns, half a second apart, on a clock that stands still.
    let url = format!("{}/_fractus/state/records?collection=retries", stack.url("events"));
    let waiting = async || fractus_testkit::http::get_json(&url).await.1["records"].as_array().map_or(0, Vec::len);
    for (calls, left) in [(2, 4), (4, 2), (6, 0)] {
        wait_for("turns are given", async || (waiting().await == left && asked.lock().len() == calls).then_some(()))
            .await;
        stack.clock().advance(Duration::from_secs(1));
    }
}
