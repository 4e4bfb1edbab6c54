//! Jobs whose tasks a function does.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_host::{App, Context, Host, Operations, Service};
use fractus_s3::object_lambda::lambda::invoke as lambda_api;
use fractus_testkit::wait_for;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::jobs::{BUCKET_AND_KEY, EventBus, counts, create, input, manifest, prepared, reaches};
use crate::*;

/// What the function was told, and how often it was told of each key.
#[derive(Default)]
struct Function {
    events: Mutex<Vec<Value>>,
    calls: Mutex<HashMap<String, u32>>,
    /// Keys that begin with `hold` wait for it.
    open: watch::Sender<bool>,
}

impl Service for Function {}

/// Does what the key says.
async fn invoke(
    function: &Function,
    _: &Context,
    input: lambda_api::InvokeInput,
) -> Result<lambda_api::InvokeOutput, Failure> {
    let event: Value = serde_json::from_slice(&input.payload.unwrap()).unwrap();
    if input.function_name.ends_with(":nobody") {
        return Err(Failure::new("ResourceNotFoundException", 404, "Function not found"));
    }
    function.events.lock().push(event.clone());
    let task = &event["tasks"][0];
    let key = task["s3Key"].as_str().unwrap().to_owned();
    let times = {
        let mut calls = function.calls.lock();
        let times = calls.entry(key.clone()).or_default();
        *times += 1;
        *times
    };
    if key.starts_with("hold") {
        function.open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    }
    if key == "broken" {
        let payload = Some(Bytes::from_static(br#"{"errorMessage":"oh"}"#));
        return Ok(lambda_api::InvokeOutput {
            function_error: Some("Unhandled".into()),
            payload,
            ..Default::default()
        });
    }
    let code = match key.as_str() {
        "again" if times < 2 => "TemporaryFailure",
        "never" => "TemporaryFailure",
        "wrong" => "PermanentFailure",
        _ => "Succeeded",
    };
    let result =
        json!({"taskId": task["taskId"], "resultCode": code, "resultString": format!("did {key}, \"{code}\"")});
    let results = if key == "missing" { json!([]) } else { json!([result]) };
    let answer = json!({
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": event["invocationId"],
        "results": results,
    });
    let payload = Some(Bytes::from(answer.to_string()));
    Ok(lambda_api::InvokeOutput { status_code: Some(200), payload, ..Default::default() })
}

fn with_function(builder: StackBuilder, function: &Arc<Function>) -> StackBuilder {
    let function = function.clone();
    let lambda = move |_: Host| {
        let function = function.clone();
        let table = Operations::new(&[&lambda_api::MODEL]).on(lambda_api::Invoke, invoke);
        async move { Ok::<_, String>(App::new(function, table)) }
    };
    builder.with("lambda", lambda).with_nats()
}

async fn stack_with(function: &Arc<Function>) -> Stack {
    with_function(builder(), function).start().await
}

fn operation(function: &str, version: Option<&str>, arguments: &[(&str, &str)]) -> api::JobOperation {
    let pairs = arguments.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    api::JobOperation {
        lambda_invoke: Some(api::LambdaInvokeOperation {
            function_arn: Some(format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}")),
            invocation_schema_version: version.map(str::to_owned),
            user_arguments: (!arguments.is_empty()).then_some(pairs),
        }),
        ..Default::default()
    }
}

/// Rows of the report by their keys.
async fn report(client: &Client, id: &str) -> HashMap<String, String> {
    let mut rows = HashMap::new();
    for key in keys(client, "reports", &format!("done/job-{id}/results/")).await {
        for row in get(client, "reports", &key).await.unwrap().lines() {
            let (bucket_and_key, rest) = row.split_once(",,").unwrap();
            rows.insert(bucket_and_key.split_once(',').unwrap().1.to_owned(), rest.to_owned());
        }
    }
    rows
}

/// Waits until S3 has heard of Lambda: until then tasks fail.
async fn is_heard_of(stack: &Stack, client: &Client, etag: &str) {
    wait_for("Lambda is heard of", async || {
        let mut first = input(operation("f", None, &[]), ("list.csv", etag, &BUCKET_AND_KEY));
        first.client_request_token = stack.host("s3").random().uuid();
        let id = create(client, first).await;
        let job = reaches(client, &id, api::JobStatus::Complete).await;
        (counts(&job).1 > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn several_jobs_are_done_at_a_time_and_the_more_important_first() {
    let function = Arc::<Function>::default();
    let (builder, mut told) = EventBus::beside(with_function(builder(), &function));
    let stack = builder.start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    is_heard_of(&stack, &client, &etag).await;
    let held = async |list: String, lines: String, priority| {
        let etag = manifest(&client, &list, &lines).await;
        let asked = input(operation("f", None, &[]), (&list, &etag, &BUCKET_AND_KEY));
        create(&client, api::CreateJobInput { priority, ..asked }).await
    };
    let is_at_work = async |key: &str| {
        wait_for("the function is at work", async || function.calls.lock().contains_key(key).then_some(())).await;
    };
    let slow = held("slow.csv".into(), (0..60).map(|number| format!("bucket,hold{number}\n")).collect(), 1).await;
    is_at_work("hold0").await;
    // Each begins while those before it are at work.
    let mut important = Vec::new();
    for number in 0..4 {
        important.push(held(format!("{number}.csv"), format!("bucket,hold-{number}\n"), 10).await);
        is_at_work(&format!("hold-{number}")).await;
    }
    reaches(&client, &slow, api::JobStatus::Paused).await;
    function.open.send_replace(true);
    for id in &important {
        assert_eq!(counts(&reaches(&client, id, api::JobStatus::Complete).await), (1, 1, 0));
    }
    assert_eq!(counts(&reaches(&client, &slow, api::JobStatus::Complete).await), (60, 60, 0));
    let mut states = Vec::new();
    while states.last().is_none_or(|last| last != "Complete") {
        let (id, state) = told.next().await;
        if id == slow {
            states.push(state);
        }
    }
    let expected = ["New", "Preparing", "Ready", "Active", "Pausing", "Paused", "Active", "Completing", "Complete"];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn a_function_does_the_tasks_and_says_how_they_went() {
    let function = Arc::<Function>::default();
    let stack = stack_with(&function).await;
    let client = prepared(&stack).await;
    let listed = ["a+b", "again", "never", "wrong", "missing", "broken"];
    let lines: String = listed.iter().map(|key| format!("bucket,{key}\n")).collect();
    let etag = manifest(&client, "list.csv", &lines).await;
    is_heard_of(&stack, &client, &etag).await;
    function.events.lock().clear();
    function.calls.lock().clear();
    let id = create(&client, input(operation("f", None, &[]), ("list.csv", &etag, &BUCKET_AND_KEY))).await;
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!(counts(&job), (6, 2, 4));
    let rows = report(&client, &id).await;
    assert_eq!(rows["a+b"], "succeeded,200,,\"did a+b, \"\"Succeeded\"\"\"");
    assert_eq!(rows["again"], "succeeded,200,,\"did again, \"\"Succeeded\"\"\"");
    assert_eq!(rows["never"], "failed,200,TemporaryFailure,\"did never, \"\"TemporaryFailure\"\"\"");
    assert_eq!(rows["wrong"], "failed,200,PermanentFailure,\"did wrong, \"\"PermanentFailure\"\"\"");
    assert!(rows["missing"].starts_with("failed,200,PermanentFailure,"), "{}", rows["missing"]);
    let told = "failed,200,PermanentFailure,\"Lambda returned function error: {\"\"errorMessage\"\":\"\"oh\"\"}\"";
    assert_eq!(rows["broken"], told);
    let calls = function.calls.lock().clone();
    assert_eq!((calls["a+b"], calls["again"], calls["never"], calls["wrong"]), (1, 2, 3, 1));
    let events = std::mem::take(&mut *function.events.lock());
    let event = events.iter().find(|event| event["tasks"][0]["s3Key"] == "a+b").unwrap();
    assert_eq!((&event["invocationSchemaVersion"], &event["job"]), (&json!("1.0"), &json!({ "id": id })));
    assert_eq!(event["tasks"][0]["s3BucketArn"], "arn:aws:s3:::bucket");
    assert!(event["tasks"][0]["s3VersionId"].is_null() && event["tasks"][0]["taskId"].is_string());

    // The later form names the bucket and has the job's arguments.
    let mut second = input(operation("f", Some("2.0"), &[("k", "v")]), ("list.csv", &etag, &BUCKET_AND_KEY));
    second.client_request_token = "second".into();
    reaches(&client, &create(&client, second).await, api::JobStatus::Complete).await;
    let event = function.events.lock().pop().unwrap();
    assert_eq!(event["job"]["userArguments"], json!({"k": "v"}));
    assert_eq!((&event["tasks"][0]["s3Bucket"], &event["tasks"][0]["s3BucketArn"]), (&json!("bucket"), &Value::Null));

    // What Lambda says of a function that is none.
    let mut none = input(operation("nobody", None, &[]), ("list.csv", &etag, &BUCKET_AND_KEY));
    none.client_request_token = "none".into();
    let id = create(&client, none).await;
    reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!(report(&client, &id).await["wrong"], "failed,404,ResourceNotFoundException,Function not found");
}

#[tokio::test]
async fn a_job_says_what_its_function_needs() {
    let stack = builder().start().await;
    let client = prepared(&stack).await;
    let etag = manifest(&client, "list.csv", "bucket,c\n").await;
    let asked = |operation| client.call(api::CreateJob, input(operation, ("list.csv", &etag, &BUCKET_AND_KEY)));
    assert_eq!(asked(operation("f", None, &[("k", "v")])).await.unwrap_err().code, "InvalidRequest");
    assert_eq!(asked(operation("f", Some("3.0"), &[])).await.unwrap_err().code, "InvalidRequest");
    // Where there is no Lambda each task fails.
    let id = asked(operation("f", None, &[])).await.unwrap().job_id.unwrap();
    let job = reaches(&client, &id, api::JobStatus::Complete).await;
    assert_eq!(counts(&job), (1, 0, 1));
    assert!(report(&client, &id).await["c"].starts_with("failed,503,ServiceUnavailable,"));
}
