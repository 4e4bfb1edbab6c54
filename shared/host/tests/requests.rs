//! The way of a request: table, identity, errors, admin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod toy;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::json;

use fractus_host::config::AuthMode;
use fractus_testkit::http::{get_json, post_json, send};
use fractus_wire::Protocol;

use toy::api::*;
use toy::{Toy, client, echo_of, know_key, stack};

#[tokio::test]
async fn an_operation_is_answered_in_every_protocol_and_says_how_faithfully() {
    let stack = stack(&Arc::default()).start().await;
    for protocol in [Protocol::AwsJson10, Protocol::AwsQuery] {
        let client = client(&stack).speaking(protocol);
        let (output, head) = client.call_with_head(Echo, echo_of("hello")).await.unwrap();
        assert_eq!(output.text.as_deref(), Some("hello"), "{protocol:?}");
        assert_eq!(head.headers["x-fractus-fidelity"], "real");
        let id = head.headers["x-amzn-requestid"].to_str().unwrap();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        let (_, head) = client.call_with_head(Keep, Nothing {}).await.unwrap();
        assert_eq!(head.headers["x-fractus-fidelity"], "stored");
    }
    let uploads = stack.client("toy");
    let input = UploadInput { body: Bytes::from(vec![7; 300_000]).into(), mode: None };
    assert_eq!(uploads.call(Upload, input).await.unwrap().count, Some(300_000), "a stream has no bound of the host's");
}

#[tokio::test]
async fn errors_have_their_codes() {
    let stack = stack(&Arc::default()).start().await;
    for (protocol, unknown) in
        [(Protocol::AwsJson10, "UnknownOperationException"), (Protocol::AwsQuery, "InvalidAction")]
    {
        let client = client(&stack).speaking(protocol);
        let rude = client.call(Echo, echo_of("rude")).await.unwrap_err();
        assert_eq!((rude.code.as_ref(), rude.status), ("RudeText", 418), "{protocol:?}");
        assert_eq!(rude.message, "please mind your words");
        let missing = client.call(Miss, Nothing {}).await.unwrap_err();
        assert_eq!((missing.code.as_ref(), missing.status), (unknown, 501), "{protocol:?}");
        let panicked = client.call(Panic, Nothing {}).await.unwrap_err();
        assert_eq!((panicked.code.as_ref(), panicked.status), ("InternalFailure", 500), "{protocol:?}");
        assert!(client.call(Echo, echo_of("still there")).await.is_ok());
        let empty = client.call(Echo, echo_of("")).await.unwrap_err();
        let code = if protocol == Protocol::AwsQuery { "ValidationError" } else { "ValidationException" };
        assert_eq!((empty.code.as_ref(), empty.status), (code, 400), "{protocol:?}");
        assert_eq!(
            empty.message,
            "1 validation error detected: Value '' at 'text' failed to satisfy constraint: Member must have length greater \
             than or equal to 1"
        );
        let long = client.call(Echo, echo_of(&"x".repeat(200_000))).await.unwrap_err();
        assert_eq!(long.status, 413, "{protocol:?} {long:?}");
    }
}

#[tokio::test]
async fn the_key_the_header_and_the_host_say_who_and_where() {
    let stack = stack(&Arc::default()).start().await;
    let client = client(&stack);
    let world = async |client: fractus_testkit::Client| client.call(Echo, echo_of("x")).await.unwrap();
    assert_eq!(world(client.clone()).await.world.unwrap(), "main/aws/000000000000");
    let other = world(client.clone().as_account("123456789012").in_region("eu-west-1")).await;
    assert_eq!(other.world.unwrap(), "main/aws/123456789012");
    assert_eq!(other.region.unwrap(), "eu-west-1");
    assert_eq!(other.caller.unwrap(), "arn:aws:iam::123456789012:root");
    assert_eq!(other.endpoint.unwrap(), stack.url("toy"));
    assert_eq!(world(client.clone().in_region("cn-north-1")).await.world.unwrap(), "main/aws-cn/000000000000");
    assert_eq!(world(client.clone().in_lane("blue")).await.world.unwrap(), "blue/aws/000000000000");
    assert_eq!(world(client.clone().as_account("test@green")).await.world.unwrap(), "green/aws/000000000000");
    let by_host = client.clone().with_header("host", "red.lane.localhost:4566");
    let by_host = world(by_host).await;
    assert_eq!(by_host.world.unwrap(), "red/aws/000000000000");
    assert_eq!(by_host.endpoint.unwrap(), "http://red.lane.localhost:4566");
    let wrong = client.in_lane("no lane").call(Echo, echo_of("x")).await.unwrap_err();
    assert_eq!((wrong.code.as_ref(), wrong.status), ("InvalidLane", 400));
}

#[tokio::test]
async fn a_known_key_is_its_principal_until_it_expires() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).frozen_at("2026-01-01T00:00:00Z").start().await;
    let key = know_key(&toy, &stack, Duration::from_secs(3_600));
    let client = client(&stack).with_keys(&key, "any secret", Some("the-token"));
    let echoed = client.call(Echo, echo_of("x")).await.unwrap();
    assert_eq!(echoed.world.unwrap(), "main/aws/123456789012");
    assert_eq!(echoed.caller.unwrap(), "arn:aws:sts::123456789012:assumed-role/reader/me");
    stack.clock().advance(Duration::from_secs(3_600));
    let expired = client.call(Echo, echo_of("x")).await.unwrap_err();
    assert_eq!((expired.code.as_ref(), expired.status), ("ExpiredTokenException", 400));
    let expired = client.speaking(Protocol::AwsQuery).call(Echo, echo_of("x")).await.unwrap_err();
    assert_eq!((expired.code.as_ref(), expired.status), ("ExpiredToken", 403));
}

#[tokio::test]
async fn signatures_are_verified_where_they_count() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).auth(AuthMode::Signed).start().await;
    let key = know_key(&toy, &stack, Duration::from_secs(3_600));
    let with = |secret: &str, token: &str| client(&stack).with_keys(&key, secret, Some(token));
    assert!(with(toy::KNOWN_SECRET, "the-token").call(Echo, echo_of("x")).await.is_ok());
    let cases = [
        (with("wrong", "the-token"), "InvalidSignatureException"),
        (with(toy::KNOWN_SECRET, "another"), "UnrecognizedClientException"),
        (client(&stack).as_account("AKIDUNKNOWN"), "UnrecognizedClientException"),
        (client(&stack).with_keys("123456789012", "guessed", None), "InvalidSignatureException"),
        (client(&stack).unsigned(), "MissingAuthenticationTokenException"),
    ];
    for (client, code) in cases {
        let refused = client.call(Echo, echo_of("x")).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    assert!(
        client(&stack).as_account("123456789012").call(Echo, echo_of("x")).await.is_ok(),
        "the root's secret is test"
    );
    let uploads = stack.client("toy").with_keys(&key, toy::KNOWN_SECRET, Some("the-token"));
    let input = UploadInput { body: Bytes::from(vec![7; 3_000]).into(), mode: None };
    assert_eq!(uploads.call(Upload, input).await.unwrap().count, Some(3_000));
}

#[tokio::test]
async fn soft_mode_lets_pass_what_it_would_refuse() {
    let stack = stack(&Arc::default()).auth(AuthMode::Signed).configure(|config| config.auth_soft = true).start().await;
    assert!(client(&stack).as_account("AKIDUNKNOWN").call(Echo, echo_of("x")).await.is_ok());
}

#[tokio::test]
async fn a_compressed_body_is_unpacked_and_bounded() {
    use std::io::Write as _;
    let stack = stack(&Arc::default()).start().await;
    let pack = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        Bytes::from(packer.finish().unwrap())
    };
    let request = |body: Bytes| {
        Request::post(stack.url("toy"))
            .header("x-amz-target", "Toy.Echo")
            .header("content-type", "application/x-amz-json-1.0")
            .header("content-encoding", "gzip")
            .body(body)
            .unwrap()
    };
    let answer = send(request(pack(r#"{"Text":"small"}"#))).await;
    assert_eq!(answer.status(), 200);
    let bomb = pack(&format!(r#"{{"Text":"{}"}}"#, "x".repeat(10_000_000)));
    assert!(bomb.len() < 100_000);
    assert_eq!(send(request(bomb)).await.status(), 413);
    assert_eq!(send(request(Bytes::from_static(b"no gzip"))).await.status(), 400);
}

#[tokio::test]
async fn clocks_move_by_request_each_lane_for_itself() {
    let stack = stack(&Arc::default()).start().await;
    let clock = format!("{}/_fractus/clock", stack.url("toy"));
    let (status, shown) =
        post_json(&clock, &json!({ "lane": "blue", "action": "freeze", "to": "2030-01-01T00:00:00Z" })).await;
    assert_eq!(
        (status, shown["now"].as_str(), shown["frozen"].as_bool()),
        (200, Some("2030-01-01T00:00:00.000Z"), Some(true))
    );
    let (_, shown) = post_json(&format!("{clock}/advance?lane=blue"), &json!({ "seconds": 90.5 })).await;
    assert_eq!(shown["now"], "2030-01-01T00:01:30.500Z");
    let echoed = client(&stack).in_lane("blue").call(Echo, echo_of("x")).await.unwrap();
    assert_eq!(echoed.now, Some(1_893_456_090_500));
    let (_, main) = get_json(&clock).await;
    assert_eq!(main["real"], true);
    for wrong in [
        json!({ "action": "explode" }),
        json!({ "action": "set" }),
        json!({ "action": "scale", "scale": -1 }),
        json!([]),
    ] {
        assert_eq!(post_json(&clock, &wrong).await.0, 400, "{wrong}");
    }
    let (_, shown) = post_json(&clock, &json!({ "lane": "blue", "action": "reset" })).await;
    assert_eq!(shown["real"], true);
}

#[tokio::test]
async fn state_is_shown_and_forgotten_by_lane_and_account() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).start().await;
    let base = format!("{}/_fractus", stack.url("toy"));
    let clients = [client(&stack), client(&stack).in_lane("blue"), client(&stack).as_account("123456789012")];
    let counts = async || {
        let mut counts = Vec::new();
        for client in &clients {
            counts.push(client.call(Count, Nothing {}).await.unwrap().count.unwrap());
        }
        counts
    };
    for client in &clients {
        client.call(Keep, Nothing {}).await.unwrap();
    }
    assert_eq!(counts().await, [1, 1, 1]);
    let (_, shown) = get_json(&format!("{base}/state/collections")).await;
    assert_eq!(shown["collections"].as_array().unwrap().len(), 3, "{shown}");
    let (_, records) =
        get_json(&format!("{base}/state/records?collection=kept&lane=blue&account=000000000000&region=us-east-1"))
            .await;
    assert_eq!(records["records"][0]["value"], "x", "{records}");
    let (_, _) = post_json(&format!("{base}/state/fork"), &json!({ "lane": "main", "to": "green" })).await;
    assert_eq!(client(&stack).in_lane("green").call(Count, Nothing {}).await.unwrap().count, Some(1));
    assert_eq!(post_json(&format!("{base}/reset?account=123456789012"), &json!({})).await.0, 200);
    assert_eq!(counts().await, [1, 1, 0]);
    assert_eq!(post_json(&format!("{base}/reset"), &json!({ "lane": "blue" })).await.0, 200);
    assert_eq!(counts().await, [1, 0, 0]);
    assert_eq!(post_json(&format!("{base}/reset"), &json!({})).await.0, 200);
    assert_eq!(counts().await, [0, 0, 0]);
    assert!(toy.forgotten.load(std::sync::atomic::Ordering::Relaxed) >= 4);
    assert_eq!(post_json(&format!("{base}/reset"), &json!({ "account": "x" })).await.0, 400);
}

#[tokio::test]
async fn state_moves_from_one_stack_to_another() {
    let (one, other) = (stack(&Arc::default()).start().await, stack(&Arc::default()).start().await);
    for _ in 0..3 {
        client(&one).call(Keep, Nothing {}).await.unwrap();
    }
    let state = |stack: &fractus_testkit::Stack| format!("{}/_fractus/state", stack.url("toy"));
    let exported = send(Request::get(state(&one)).body(Bytes::new()).unwrap()).await;
    assert_eq!(exported.status(), 200);
    let imported = send(Request::post(state(&other)).body(exported.into_body()).unwrap()).await;
    assert_eq!(imported.status(), 200, "{imported:?}");
    assert_eq!(client(&other).call(Count, Nothing {}).await.unwrap().count, Some(3));
    let junk = send(Request::post(state(&other)).body(Bytes::from_static(b"junk")).unwrap()).await;
    assert_eq!(junk.status(), 400);
    assert_eq!(client(&other).call(Count, Nothing {}).await.unwrap().count, Some(3), "junk changes nothing");
}

#[tokio::test]
async fn faults_hit_the_operation_they_name() {
    let stack = stack(&Arc::default()).start().await;
    let faults = format!("{}/_fractus/faults", stack.url("toy"));
    let rule = json!([{ "operation": "Echo", "error": { "code": "ThrottlingException", "status": 400, "message": "slow down" } }]);
    assert_eq!(post_json(&faults, &rule).await.0, 200);
    let hit = client(&stack).call(Echo, echo_of("x")).await.unwrap_err();
    assert_eq!((hit.code.as_ref(), hit.status, hit.message.as_str()), ("ThrottlingException", 400, "slow down"));
    assert!(client(&stack).call(Keep, Nothing {}).await.is_ok());
    assert!(client(&stack).in_lane("blue").call(Echo, echo_of("x")).await.is_ok());
    assert_eq!(post_json(&faults, &json!([])).await.0, 200);
    assert!(client(&stack).call(Echo, echo_of("x")).await.is_ok());
    assert_eq!(post_json(&faults, &json!([{ "operaton": "Echo" }])).await.0, 400);
}

#[tokio::test]
async fn what_was_asked_is_listed_counted_and_remembered() {
    let stack = stack(&Arc::default()).start().await;
    let base = format!("{}/_fractus", stack.url("toy"));
    client(&stack).call(Echo, echo_of("x")).await.unwrap();
    client(&stack).call(Echo, echo_of("rude")).await.unwrap_err();
    let (_, operations) = get_json(&format!("{base}/operations")).await;
    assert_eq!(operations[1], json!({ "api": "toy", "operation": "Echo", "fidelity": "real" }));
    assert_eq!(operations[3], json!({ "api": "toy", "operation": "Miss", "fidelity": "missing" }));
    let (_, requests) = get_json(&format!("{base}/requests?limit=5")).await;
    assert_eq!(requests["requests"][0]["error"], "RudeText");
    assert_eq!(requests["requests"][1]["operation"], "Echo");
    let metrics = send(Request::get(format!("{base}/metrics")).body(Bytes::new()).unwrap()).await;
    let metrics = String::from_utf8_lossy(metrics.body()).into_owned();
    assert!(
        metrics.contains("fractus_requests_total{service=\"toy\",operation=\"Echo\",status=\"200\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("operation=\"Echo\",status=\"4xx\"} 1\n"), "{metrics}");
    let (status, health) = get_json(&format!("{base}/health")).await;
    assert_eq!((status, health["status"].as_str()), (200, Some("ready")));
    assert_eq!(get_json(&format!("{base}/live")).await.0, 200);
    assert_eq!(get_json(&format!("{base}/nothing")).await.0, 404);
    assert_eq!(get_json(&format!("{base}/config")).await.1["auth"], "off");
}

#[tokio::test]
async fn readiness_waits_for_the_last_hold() {
    let stack = stack(&Arc::default()).start().await;
    let ready = format!("{}/_fractus/ready", stack.url("toy"));
    let hold = stack.host("toy").hold_ready("seeds");
    assert_eq!(get_json(&ready).await, (503, json!({ "ready": false, "pending": ["seeds"] })));
    drop(hold);
    assert_eq!(get_json(&ready).await, (200, json!({ "ready": true, "pending": [] })));
}
