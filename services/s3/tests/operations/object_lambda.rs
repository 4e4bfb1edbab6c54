//! Object Lambda: a function of a Lambda that is none answers for objects.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::{Bus, BusConfig};
use fractus_clock::Random;
use fractus_host::config::AuthMode;
use fractus_host::{App, Context, Host, HostParts, Operations, Running, Service, launch};
use fractus_s3::object_lambda::lambda::invoke as lambda_api;
use fractus_s3::object_lambda::points::{self, Point, Transformation};
use fractus_store::{Scope, Store};
use fractus_testkit::wait_for;
use parking_lot::Mutex;
use serde_json::Value;

use crate::*;

const SECRET: &str = "a secret of the root";

/// Functions that S3 calls; the test looks at what they were told.
#[derive(Default)]
struct Functions {
    events: Mutex<Vec<Value>>,
    /// Where answers go, if not to who asked.
    answers_at: Mutex<Option<String>>,
}

impl Service for Functions {}

fn writer(url: &str) -> Client {
    Client::new(url).api(&api::MODEL).with_keys("000000000000", SECRET, None)
}

/// Does what the function's name says.
async fn invoke(
    functions: &Functions,
    _: &Context,
    input: lambda_api::InvokeInput,
) -> Result<lambda_api::InvokeOutput, Failure> {
    let event: Value = serde_json::from_slice(&input.payload.unwrap()).unwrap();
    functions.events.lock().push(event.clone());
    let context = &event["getObjectContext"];
    let text = |name: &str| context[name].as_str().unwrap().to_owned();
    let url = text("inputS3Url");
    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let answer = api::WriteGetObjectResponseInput {
        request_route: text("outputRoute"),
        request_token: text("outputToken"),
        ..Default::default()
    };
    let client = writer(functions.answers_at.lock().as_deref().unwrap_or(&origin));
    let name = input.function_name.rsplit(':').next().unwrap().to_owned();
    match name.as_str() {
        "upper" => {
            let request = Request::get(&url).body(Bytes::new()).unwrap();
            let original = fractus_testkit::http::send(request).await;
            assert_eq!(original.status(), 200, "{:?}", original.body());
            let body = Bytes::from(original.body().to_ascii_uppercase());
            let metadata = [("made-by".to_owned(), "upper".to_owned())].into_iter().collect();
            let answer = api::WriteGetObjectResponseInput {
                body: ByteStream::from(body),
                content_type: Some("text/shout".into()),
                e_tag: Some("\"loud\"".into()),
                metadata: Some(metadata),
                status_code: Some(206),
                ..answer
            };
            client.call(api::WriteGetObjectResponse, answer).await?;
        }
        "forbid" => {
            let answer = api::WriteGetObjectResponseInput {
                status_code: Some(403),
                error_code: Some("NotForYou".into()),
                error_message: Some("the function says no".into()),
                ..answer
            };
            client.call(api::WriteGetObjectResponse, answer).await?;
        }
        "wrong" => {
            let answer = api::WriteGetObjectResponseInput { status_code: Some(299), ..answer };
            let refused = client.call(api::WriteGetObjectResponse, answer).await.unwrap_err();
            assert_eq!((refused.code.as_ref(), refused.status), ("ValidationError", 400));
        }
        "silent" => {}
        "broken" => {
            let function_error = Some("Unhandled".to_owned());
            return Ok(lambda_api::InvokeOutput { function_error, ..Default::default() });
        }
        "stuck" => std::future::pending::<()>().await,
        _ => return Err(Failure::new("ResourceNotFoundException", 404, format!("Function not found: {name}"))),
    }
    Ok(lambda_api::InvokeOutput { status_code: Some(200), ..Default::default() })
}

fn point(name: &str, function: &str, features: &[&str]) -> Point {
    Point {
        name: name.into(),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        alias: format!("{name}-alias--ol-s3"),
        supporting: "arn:aws:s3:us-east-1:000000000000:accesspoint/behind".into(),
        bucket: "bucket".into(),
        allowed_features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        transformations: vec![Transformation {
            actions: vec!["GetObject".into()],
            function: format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
            payload: Some("{\"loud\":true}".into()),
        }],
    }
}

async fn put_point(stack: &Stack, point: Point) {
    let scope = Scope::partition(&fractus_aws::World::default_world());
    let put = stack.host("s3").store().write(|tx| points::put(tx, &scope, &point));
    put.await.unwrap();
}

async fn through(client: &Client, name: &str) -> Result<String, Failure> {
    let bucket = format!("arn:aws:s3-object-lambda:us-east-1:000000000000:accesspoint/{name}");
    read(client, api::GetObjectInput { bucket, ..get_input("a key") }).await
}

/// S3 and Lambda, both of which verify every signature, with a point for each function.
async fn stack_with(functions: &Arc<Functions>) -> (Stack, Client) {
    let functions = functions.clone();
    let lambda = move |_: Host| {
        let functions = functions.clone();
        let table = Operations::new(&[&lambda_api::MODEL]).on(lambda_api::Invoke, invoke);
        async move { Ok::<_, String>(App::new(functions, table)) }
    };
    let stack = Stack::new()
        .frozen_at("2026-03-01T00:00:00Z")
        .with("s3", |host| fractus_s3::start(config(), host))
        .with("lambda", lambda)
        .with_nats()
        .auth(AuthMode::Enforced)
        .configure(|config| config.root_secret = Some(SECRET.into()))
        .start()
        .await;
    let client = writer(stack.url("s3"));
    bucket(&client, "bucket").await;
    put(&client, "a key", "quiet words").await;
    for name in ["upper", "forbid", "wrong", "silent", "broken", "stuck", "nobody"] {
        put_point(&stack, point(name, name, &[])).await;
    }
    // As soon as S3 has heard of Lambda.
    wait_for("the function answers", || async { through(&client, "upper").await.ok() }).await;
    (stack, client)
}

#[tokio::test]
async fn a_function_makes_what_is_read() {
    let functions = Arc::default();
    let (_stack, client) = stack_with(&functions).await;
    let input = api::GetObjectInput { bucket: "upper-alias--ol-s3".into(), ..get_input("a key") };
    let (output, head) = client.call_with_head(api::GetObject, input).await.unwrap();
    assert_eq!(head.status, 206, "as the function says");
    assert_eq!((output.content_type.as_deref(), output.e_tag.as_deref()), (Some("text/shout"), Some("\"loud\"")));
    assert_eq!(output.metadata.unwrap()["made-by"], "upper");
    assert_eq!(output.body.collect(100).await.unwrap(), "QUIET WORDS");

    let event = functions.events.lock().pop().unwrap();
    let configuration = &event["configuration"];
    let arn = "arn:aws:s3-object-lambda:us-east-1:000000000000:accesspoint/upper";
    assert_eq!((&configuration["accessPointArn"], &configuration["payload"]), (&arn.into(), &"{\"loud\":true}".into()));
    assert_eq!((&event["userIdentity"]["type"], &event["protocolVersion"]), (&"Root".into(), &"1.00".into()));
    let asked = event["userRequest"]["url"].as_str().unwrap();
    assert!(asked.ends_with("/upper-alias--ol-s3/a key"), "{asked}");
    assert!(
        event["userRequest"]["headers"]["Host"].is_string()
            && event["userRequest"]["headers"]["Authorization"].is_null()
    );

    // Its token is of that request alone.
    let token = event["getObjectContext"]["outputToken"].as_str().unwrap().to_owned();
    let route = event["getObjectContext"]["outputRoute"].as_str().unwrap().to_owned();
    let late = api::WriteGetObjectResponseInput { request_route: route, request_token: token, ..Default::default() };
    let refused = client.call(api::WriteGetObjectResponse, late).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("ValidationError", 400));
}

#[tokio::test]
async fn what_a_function_does_not_do_is_told() {
    let functions = Arc::default();
    let (stack, client) = stack_with(&functions).await;
    for (name, code, status) in [
        ("forbid", "NotForYou", 403),
        ("wrong", "LambdaInvalidResponse", 400),
        ("silent", "LambdaResponseNotReceived", 500),
        ("broken", "LambdaRuntimeError", 500),
        ("nobody", "LambdaNotFound", 404),
    ] {
        let refused = through(&client, name).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), (code, status), "{name}: {}", refused.message);
    }
    let missing = through(&client, "no-such-point").await.unwrap_err();
    assert_eq!((missing.code.as_ref(), missing.status), ("NoSuchAccessPoint", 404));
    let anonymous = Client::new(stack.url("s3")).api(&api::MODEL).unsigned();
    assert_eq!(through(&anonymous, "upper").await.unwrap_err().code, "AccessDenied");
    // A minute of the lane's clock, however long the function takes.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { through(&client, "stuck").await }
    });
    wait_for("the function is called", || async {
        let is_stuck = |event: &Value| event["configuration"]["accessPointArn"].as_str().unwrap().ends_with("/stuck");
        functions.events.lock().iter().any(is_stuck).then_some(())
    })
    .await;
    stack.clock().advance(Duration::from_secs(61));
    assert_eq!(waiting.await.unwrap().unwrap_err().code, "LambdaTimeout");
}

#[tokio::test]
async fn ranges_are_for_functions_that_can() {
    let functions = Arc::default();
    let (stack, client) = stack_with(&functions).await;
    let ranged = |name: &str| {
        let bucket = format!("{name}-alias--ol-s3");
        read(&client, api::GetObjectInput { bucket, range: Some("bytes=0-1".into()), ..get_input("a key") })
    };
    let refused = ranged("upper").await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("NotImplemented", 501));
    put_point(&stack, point("ranges", "upper", &["GetObject-Range"])).await;
    assert_eq!(ranged("ranges").await.unwrap(), "QUIET WORDS", "the function makes what it likes of it");
    let event = functions.events.lock().pop().unwrap();
    assert_eq!(event["userRequest"]["headers"]["Range"], "bytes=0-1");
}

/// Another process of the same service, on a store of its own: what waits is in the first one.
async fn replica(stack: &Stack) -> Running {
    let (config, clocks) = (stack.host("s3").config().clone(), stack.host("s3").clocks().clone());
    let host = Host::new(HostParts {
        name: "s3",
        version: "0",
        bus: Bus::connect(BusConfig::new(config.nats_url.clone(), "s3", "another")),
        store: Store::memory(clocks.clone()),
        random: Random::seeded(7),
        config,
        clocks,
    });
    let app = fractus_s3::start(crate::config(), host.clone()).await.unwrap();
    let running = launch(&host, app).await.unwrap();
    running.ready().await;
    running
}

#[tokio::test]
async fn an_answer_may_come_to_another_replica() {
    let functions = Arc::<Functions>::default();
    let (stack, client) = stack_with(&functions).await;
    let other = replica(&stack).await;
    *functions.answers_at.lock() = Some(other.url.clone());
    // As soon as the replicas know of each other.
    let text = wait_for("the answer is passed on", || async { through(&client, "upper").await.ok() }).await;
    assert_eq!(text, "QUIET WORDS");
    other.stop().await;
}
