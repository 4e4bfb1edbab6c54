//! Object Lambda: a function of a Lambda that is none answers for objects.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::{Bus, BusConfig};
use fractus_clock::Random;
use fractus_host::config::AuthMode;
use fractus_host::{App, Context, Host, HostParts, Operations, Running, Service, launch};
use fractus_s3::object_lambda::lambda::invoke as lambda_api;
use fractus_s3control_api as control;
use fractus_store::Store;
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
    Client::new(url).with_keys("000000000000", SECRET, None)
}

/// What functions before HeadObject and the listings return, by their names.
async fn answer(name: &str, event: &Value) -> Result<lambda_api::InvokeOutput, Failure> {
    let head = event["headObjectContext"]["inputS3Url"].as_str();
    let list = event["listObjectsContext"]["inputS3Url"].as_str();
    let url = head.or(list).or(event["listObjectsV2Context"]["inputS3Url"].as_str()).unwrap();
    let method = if head.is_some() { http::Method::HEAD } else { http::Method::GET };
    let request = Request::builder().method(method).uri(url).body(Bytes::new()).unwrap();
    let original = fractus_testkit::http::send(request).await;
    let status = original.status().as_u16();
    let payload = match name {
        "passes" if head.is_some() => {
            let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.to_string(), Value::from(value.to_str().unwrap()))
            };
            let mut headers: serde_json::Map<String, Value> = original.headers().iter().map(header).collect();
            headers.insert("x-amz-meta-made-by".into(), "passes".into());
            headers.insert("content-length".into(), 4_242.into());
            serde_json::json!({"statusCode": status, "headers": headers})
        }
        "passes" => {
            let text = String::from_utf8(original.body().to_vec()).unwrap();
            let text = text.replace("<Key>a key</Key>", "<Key>another key</Key>");
            serde_json::json!({"statusCode": status, "listResultXml": text})
        }
        "members" => serde_json::json!({
            "statusCode": 200,
            "listBucketResult": {
                "name": "made up", "keyCount": 1, "isTruncated": false,
                "contents": [{"key": "only & this", "size": 7, "eTag": "\"e\""}],
            },
        }),
        "forbid" => {
            serde_json::json!({"statusCode": 403, "errorCode": "NotForYou", "errorMessage": "the function says no"})
        }
        "wrong" => serde_json::json!({"headers": {}}),
        "broken" => {
            let function_error = Some("Unhandled".to_owned());
            return Ok(lambda_api::InvokeOutput { function_error, ..Default::default() });
        }
        _ => return Err(Failure::new("ResourceNotFoundException", 404, format!("Function not found: {name}"))),
    };
    let payload = Some(Bytes::from(payload.to_string()));
    Ok(lambda_api::InvokeOutput { status_code: Some(200), payload, ..Default::default() })
}

/// Does what the function's name says.
async fn invoke(
    functions: &Functions,
    _: &Context,
    input: lambda_api::InvokeInput,
) -> Result<lambda_api::InvokeOutput, Failure> {
    let event: Value = serde_json::from_slice(&input.payload.unwrap()).unwrap();
    functions.events.lock().push(event.clone());
    let name = input.function_name.rsplit(':').next().unwrap().to_owned();
    if event["getObjectContext"].is_null() {
        return answer(&name, &event).await;
    }
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

const ACCOUNT: &str = "000000000000";
const BEHIND: &str = "arn:aws:s3:us-east-1:000000000000:accesspoint/behind";

fn configuration(actions: &[&str], function: &str, features: &[&str]) -> control::ObjectLambdaConfiguration {
    let lambda = control::AwsLambdaTransformation {
        function_arn: format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}"),
        function_payload: Some("{\"loud\":true}".into()),
    };
    control::ObjectLambdaConfiguration {
        supporting_access_point: BEHIND.into(),
        cloud_watch_metrics_enabled: None,
        allowed_features: Some(features.iter().map(|feature| (*feature).into()).collect()),
        transformation_configurations: vec![control::ObjectLambdaTransformationConfiguration {
            actions: actions.iter().map(|action| (*action).into()).collect(),
            content_transformation: control::ObjectLambdaContentTransformation::AwsLambda(lambda),
        }],
    }
}

/// Makes a point; gives its alias.
async fn make_point(client: &Client, name: &str, configuration: control::ObjectLambdaConfiguration) -> String {
    let input =
        control::CreateAccessPointForObjectLambdaInput { account_id: ACCOUNT.into(), name: name.into(), configuration };
    let output = client.call(control::CreateAccessPointForObjectLambda, input).await.unwrap();
    output.alias.unwrap().value.unwrap()
}

/// The access point that all of them are supported by.
async fn make_supporting(client: &Client) {
    let input = control::CreateAccessPointInput {
        account_id: ACCOUNT.into(),
        name: "behind".into(),
        bucket: "bucket".into(),
        ..Default::default()
    };
    client.call(control::CreateAccessPoint, input).await.unwrap();
}

async fn alias_of(client: &Client, name: &str) -> String {
    let input = control::GetAccessPointForObjectLambdaInput { account_id: ACCOUNT.into(), name: name.into() };
    let output = client.call(control::GetAccessPointForObjectLambda, input).await.unwrap();
    output.alias.unwrap().value.unwrap()
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
    make_supporting(&client).await;
    for name in ["upper", "forbid", "wrong", "silent", "broken", "stuck", "nobody"] {
        make_point(&client, name, configuration(&["GetObject"], name, &[])).await;
    }
    // As soon as S3 has heard of Lambda.
    wait_for("the function answers", || async { through(&client, "upper").await.ok() }).await;
    (stack, client)
}

#[tokio::test]
async fn a_function_makes_what_is_read() {
    let functions = Arc::default();
    let (_stack, client) = stack_with(&functions).await;
    let alias = alias_of(&client, "upper").await;
    let input = api::GetObjectInput { bucket: alias.clone(), ..get_input("a key") };
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
    assert!(asked.ends_with(&format!("/{alias}/a key")), "{asked}");
    assert_eq!(configuration["supportingAccessPointArn"], BEHIND);
    let original = event["getObjectContext"]["inputS3Url"].as_str().unwrap();
    assert!(original.contains("/behind-") && original.contains("-s3alias/a%20key?"), "{original}");
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
    let (_stack, client) = stack_with(&functions).await;
    let ranged = |bucket: String| {
        read(&client, api::GetObjectInput { bucket, range: Some("bytes=0-1".into()), ..get_input("a key") })
    };
    let refused = ranged(alias_of(&client, "upper").await).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("NotImplemented", 501));
    let ranges = make_point(&client, "ranges", configuration(&["GetObject"], "upper", &["GetObject-Range"])).await;
    assert_eq!(ranged(ranges).await.unwrap(), "QUIET WORDS", "the function makes what it likes of it");
    let event = functions.events.lock().pop().unwrap();
    assert_eq!(event["userRequest"]["headers"]["Range"], "bytes=0-1");
}

#[tokio::test]
async fn without_a_function_before_it_an_object_is_as_it_is() {
    let functions = Arc::default();
    let (stack, client) = stack_with(&functions).await;
    let arn = "arn:aws:s3-object-lambda:us-east-1:000000000000:accesspoint/heads";
    let alias = make_point(&client, "heads", configuration(&["HeadObject"], "upper", &[])).await;
    assert_eq!(through(&client, "heads").await.unwrap(), "quiet words");
    // What no function stands before goes to the bucket.
    let write = api::PutObjectInput { bucket: arn.into(), ..put_input("new", "words") };
    client.call(api::PutObject, write).await.unwrap();
    assert_eq!(read(&client, get_input("new")).await.unwrap(), "words");
    let location = api::GetBucketLocationInput { bucket: alias.clone(), ..Default::default() };
    assert_eq!(client.call(api::GetBucketLocation, location).await.unwrap_err().status, 405);
    // By its host, and by a host of one's own that is signed for Object Lambda.
    let by_host = |host: &'static str| {
        let stack = &stack;
        async move {
            let uri = format!("{}/a%20key", stack.url("s3").trim_end_matches('/'));
            let request = Request::get(uri).header("host", host).body(Bytes::new()).unwrap();
            fractus_testkit::http::send(request).await
        }
    };
    // Nobody may read it without a signature: but it was found.
    assert_eq!(by_host("heads-000000000000.s3-object-lambda.us-east-1.localhost").await.status(), 403);
    assert_eq!(by_host("none-000000000000.s3-object-lambda.us-east-1.localhost").await.status(), 404);
    // The configuration of now counts, and a point without what supports it leads nowhere.
    let input = control::PutAccessPointConfigurationForObjectLambdaInput {
        account_id: ACCOUNT.into(),
        name: "heads".into(),
        configuration: configuration(&["GetObject"], "forbid", &[]),
    };
    client.call(control::PutAccessPointConfigurationForObjectLambda, input).await.unwrap();
    assert_eq!(through(&client, "heads").await.unwrap_err().code, "NotForYou");
    let behind = control::DeleteAccessPointInput { account_id: ACCOUNT.into(), name: "behind".into() };
    client.call(control::DeleteAccessPoint, behind).await.unwrap();
    assert_eq!(through(&client, "heads").await.unwrap_err().code, "NoSuchAccessPoint");
    let input = control::DeleteAccessPointForObjectLambdaInput { account_id: ACCOUNT.into(), name: "heads".into() };
    client.call(control::DeleteAccessPointForObjectLambda, input).await.unwrap();
    let gone = read(&client, api::GetObjectInput { bucket: alias, ..get_input("new") }).await.unwrap_err();
    assert_eq!((gone.code.as_ref(), gone.status), ("NoSuchBucket", 404));
}

/// Functions before HeadObject and both listings, each by its own name.
async fn answering(client: &Client) {
    for name in ["passes", "members", "forbid", "wrong", "broken", "nobody"] {
        let point = format!("all-{name}");
        let features = ["HeadObject-Range"];
        make_point(client, &point, configuration(&["HeadObject", "ListObjects", "ListObjectsV2"], name, &features))
            .await;
    }
}

fn point_arn(name: &str) -> String {
    format!("arn:aws:s3-object-lambda:us-east-1:{ACCOUNT}:accesspoint/all-{name}")
}

#[tokio::test]
async fn what_a_function_returns_is_the_head_of_an_object() {
    let functions = Arc::default();
    let (_stack, client) = stack_with(&functions).await;
    answering(&client).await;
    let head = |name: &str, range: Option<&str>, part_number: Option<i32>| {
        let (bucket, range) = (point_arn(name), range.map(str::to_owned));
        let input = api::HeadObjectInput { bucket, key: "a key".into(), range, part_number, ..Default::default() };
        client.call(api::HeadObject, input)
    };
    let output = head("passes", None, None).await.unwrap();
    assert_eq!(
        (output.content_length, output.content_type.as_deref()),
        (Some(4_242), Some("application/octet-stream"))
    );
    assert_eq!(output.metadata.unwrap()["made-by"], "passes");
    assert!(output.e_tag.is_some() && output.last_modified.is_some());
    let event = functions.events.lock().pop().unwrap();
    assert_eq!(event["configuration"]["supportingAccessPointArn"], BEHIND);
    assert!(event["headObjectContext"]["outputToken"].is_null(), "there is nothing to write to");
    assert!(event["userRequest"]["url"].as_str().unwrap().ends_with("/a key"));
    for (name, status) in [("forbid", 403), ("wrong", 400), ("broken", 500), ("nobody", 404)] {
        assert_eq!(head(name, None, None).await.unwrap_err().status, status, "{name}");
    }
    // What the function can do of a part is what the point's configuration says.
    head("passes", Some("bytes=0-1"), None).await.unwrap();
    assert_eq!(head("passes", None, Some(1)).await.unwrap_err().status, 501);
}

#[tokio::test]
async fn what_a_function_returns_is_the_listing() {
    let functions = Arc::default();
    let (stack, client) = stack_with(&functions).await;
    answering(&client).await;
    put(&client, "b key", "more").await;
    let v1 = |name: &str| {
        let (bucket, prefix) = (point_arn(name), Some("a ".to_owned()));
        client.call(api::ListObjects, api::ListObjectsInput { bucket, prefix, ..Default::default() })
    };
    let v2 = |client: Client, name: &str| {
        let input = api::ListObjectsV2Input { bucket: point_arn(name), max_keys: Some(1), ..Default::default() };
        async move { client.call(api::ListObjectsV2, input).await }
    };
    // The URL of the original asks for what the caller asked for.
    let output = v1("passes").await.unwrap();
    let keys: Vec<_> = output.contents.unwrap().into_iter().map(|object| object.key.unwrap()).collect();
    assert_eq!((keys, output.prefix.as_deref()), (vec!["another key".to_owned()], Some("a ")));
    let event = functions.events.lock().pop().unwrap();
    assert!(event["listObjectsContext"]["inputS3Url"].as_str().unwrap().contains("prefix=a"));
    let output = v2(client.clone(), "passes").await.unwrap();
    assert_eq!((output.key_count, output.is_truncated), (Some(1), Some(true)));
    assert!(functions.events.lock().pop().unwrap()["listObjectsV2Context"].is_object());
    // A document of members is made a listing.
    let output = v2(client.clone(), "members").await.unwrap();
    let object = output.contents.unwrap().remove(0);
    assert_eq!((output.name.as_deref(), object.key.as_deref()), (Some("made up"), Some("only & this")));
    assert_eq!((object.size, object.e_tag.as_deref()), (Some(7), Some("\"e\"")));
    for (name, code, status) in [
        ("forbid", "NotForYou", 403),
        ("wrong", "LambdaInvalidResponse", 400),
        ("broken", "LambdaRuntimeError", 500),
        ("nobody", "LambdaNotFound", 404),
    ] {
        let refused = v1(name).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), (code, status), "{name}: {}", refused.message);
        assert_eq!(v2(client.clone(), name).await.unwrap_err().code, code);
    }
    // The point's policy decides who may ask the function.
    let other = Client::new(stack.url("s3")).with_keys("222222222222", SECRET, None);
    assert_eq!(v2(other.clone(), "members").await.unwrap_err().code, "AccessDenied");
    let input = control::PutAccessPointPolicyForObjectLambdaInput {
        account_id: ACCOUNT.into(),
        name: "all-members".into(),
        policy: statement("222222222222", "s3-object-lambda:ListBucket", &point_arn("members")),
    };
    client.call(control::PutAccessPointPolicyForObjectLambda, input).await.unwrap();
    assert_eq!(v2(other, "members").await.unwrap().name.as_deref(), Some("made up"));
}

fn statement(account: &str, action: &str, resource: &str) -> String {
    let statement = serde_json::json!({
        "Effect": "Allow", "Principal": {"AWS": account}, "Action": action, "Resource": resource,
    });
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Another account needs the point, what supports it and the bucket to say yes; where a function answers, the point alone.
#[tokio::test]
async fn each_policy_on_the_way_counts() {
    const OTHER: &str = "222222222222";
    let functions = Arc::default();
    let (stack, client) = stack_with(&functions).await;
    make_point(&client, "heads", configuration(&["HeadObject"], "upper", &[])).await;
    let other = Client::new(stack.url("s3")).with_keys(OTHER, SECRET, None);
    assert_eq!(through(&other, "heads").await.unwrap_err().code, "AccessDenied");
    let arn = |name: &str| format!("arn:aws:s3-object-lambda:us-east-1:{ACCOUNT}:accesspoint/{name}");
    for name in ["heads", "forbid"] {
        let input = control::PutAccessPointPolicyForObjectLambdaInput {
            account_id: ACCOUNT.into(),
            name: name.into(),
            policy: statement(OTHER, "s3-object-lambda:GetObject", &arn(name)),
        };
        client.call(control::PutAccessPointPolicyForObjectLambda, input).await.unwrap();
    }
    assert_eq!(through(&other, "heads").await.unwrap_err().code, "AccessDenied", "the supporting one says nothing");
    assert_eq!(through(&other, "upper").await.unwrap_err().code, "AccessDenied");
    assert_eq!(through(&other, "forbid").await.unwrap_err().code, "NotForYou", "the function is asked");
    let input = control::PutAccessPointPolicyInput {
        account_id: ACCOUNT.into(),
        name: "behind".into(),
        policy: statement(OTHER, "s3:GetObject", &format!("{BEHIND}/object/*")),
    };
    client.call(control::PutAccessPointPolicy, input).await.unwrap();
    assert_eq!(through(&other, "heads").await.unwrap_err().code, "AccessDenied", "the bucket says nothing");
    let input = api::PutBucketPolicyInput {
        bucket: "bucket".into(),
        policy: statement(OTHER, "s3:GetObject", "arn:aws:s3:::bucket/*"),
        ..Default::default()
    };
    client.call(api::PutBucketPolicy, input).await.unwrap();
    assert_eq!(through(&other, "heads").await.unwrap(), "quiet words");
    let input =
        control::DeleteAccessPointPolicyForObjectLambdaInput { account_id: ACCOUNT.into(), name: "heads".into() };
    client.call(control::DeleteAccessPointPolicyForObjectLambda, input).await.unwrap();
    assert_eq!(through(&other, "heads").await.unwrap_err().code, "AccessDenied", "the point says nothing");
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
