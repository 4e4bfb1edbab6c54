//! Slow, huge, malformed: an error or a closed connection, and the service goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod toy;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use fractus_clock::Stopwatch;
use fractus_testkit::Stack;
use fractus_testkit::http::{connect, raw};

use toy::api::*;
use toy::{client, echo_of};

const SHORT: Duration = Duration::from_secs(10);

async fn stack() -> Stack {
    toy::stack(&Arc::default())
        .configure(|config| {
            config.idle_timeout_secs = 1;
            config.body_timeout_secs = 1;
        })
        .start()
        .await
}

async fn goes_on(stack: &Stack) {
    assert!(client(stack).call(Echo, echo_of("fine")).await.is_ok());
}

fn status(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or("closed").to_owned()
}

const HEAD: &str =
    "POST / HTTP/1.1\r\nHost: toy\r\nX-Amz-Target: Toy.Echo\r\nContent-Type: application/x-amz-json-1.0\r\n";

#[tokio::test]
async fn too_many_and_too_long_headers_are_refused() {
    let stack = stack().await;
    let mut many = HEAD.to_owned();
    for number in 0..100_000 {
        many.push_str(&format!("X-Header-{number}: v\r\n"));
    }
    many.push_str("Content-Length: 0\r\n\r\n");
    let answer = status(&raw(stack.url("toy"), many.as_bytes(), SHORT).await);
    assert!(answer == "431" || answer == "closed", "{answer}");
    let long = format!("{HEAD}X-Long: {}\r\n\r\n", "y".repeat(1_000_000));
    let answer = status(&raw(stack.url("toy"), long.as_bytes(), SHORT).await);
    assert!(answer == "431" || answer == "closed", "{answer}");
    let long = format!("GET /{} HTTP/1.1\r\nHost: toy\r\n\r\n", "y".repeat(1_000_000));
    let answer = status(&raw(stack.url("toy"), long.as_bytes(), SHORT).await);
    assert!(["431", "414", "closed"].contains(&answer.as_str()), "{answer}");
    goes_on(&stack).await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let stack = stack().await;
    let watch = Stopwatch::start();
    let mut slow = connect(stack.url("toy")).await;
    slow.write_all(b"POST / HTTP/1.1\r\nHost: toy\r\nX-Slow: ").await.unwrap();
    // A byte now and then is no progress: only whole requests are.
    let (mut reader, mut writer) = slow.into_split();
    let dripping = tokio::spawn(async move {
        let real = fractus_clock::Clock::real();
        while writer.write_all(b"z").await.is_ok() {
            real.sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SHORT, reader.read_to_end(&mut answer)).await.expect("the connection is closed");
    assert!(watch.elapsed() < SHORT);
    dripping.abort();
    // One that says nothing at all, too.
    let mut silent = connect(stack.url("toy")).await;
    let closed = tokio::time::timeout(SHORT, silent.read(&mut [0; 1])).await.expect("the connection is closed");
    assert_eq!(closed.unwrap_or(0), 0);
    goes_on(&stack).await;
}

#[tokio::test]
async fn a_request_that_waits_for_the_service_is_not_silent() {
    let toy = Arc::default();
    let stack = toy::stack(&toy).configure(|config| config.idle_timeout_secs = 1).start().await;
    let waiting = client(&stack);
    let waiting = tokio::spawn(async move { waiting.call(Wait, Nothing {}).await });
    toy.arrived.notified().await;
    fractus_clock::Clock::real().sleep(Duration::from_millis(2_200)).await;
    toy.go.send_replace(true);
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn bodies_are_bounded_and_timed() {
    let stack = stack().await;
    let announced = format!("{HEAD}Content-Length: 99999999999\r\n\r\n{{");
    assert_eq!(status(&raw(stack.url("toy"), announced.as_bytes(), SHORT).await), "413");
    let endless = format!(
        "{HEAD}Transfer-Encoding: chunked\r\n\r\n{}",
        format!("1000\r\n{}\r\n", "x".repeat(4_096)).repeat(1_000)
    );
    assert_eq!(status(&raw(stack.url("toy"), endless.as_bytes(), SHORT).await), "413");
    let stuck = format!("{HEAD}Content-Length: 100\r\n\r\n{{");
    assert_eq!(status(&raw(stack.url("toy"), stuck.as_bytes(), SHORT).await), "400", "a body that stops is given up");
    let stuck = "PUT /upload HTTP/1.1\r\nHost: toy\r\nContent-Length: 100\r\n\r\nabc";
    assert_eq!(status(&raw(stack.url("toy"), stuck.as_bytes(), SHORT).await), "400");
    goes_on(&stack).await;
}

#[tokio::test]
async fn malformed_requests_get_an_error_or_nothing() {
    let stack = stack().await;
    let whole = |body: &[u8]| [format!("{HEAD}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(40_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("no method", b"\r\n\r\n\r\n /// HTTP/9.9\r\n\r\n".to_vec()),
        ("broken chunks", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n").into_bytes()),
        ("huge chunk", format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n").into_bytes()),
        ("two lengths", format!("{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab").into_bytes()),
        ("negative length", format!("{HEAD}Content-Length: -5\r\n\r\n").into_bytes()),
        ("no JSON", whole(b"{\"Text\":")),
        ("bad UTF-8", whole(b"{\"Text\":\"\xff\xfe\"}")),
        ("deep JSON", whole(format!("{{\"Text\":{deep}}}").as_bytes())),
        ("wrong type", whole(b"{\"Text\":{}}")),
        ("an array", whole(b"[]")),
        ("a Query of junk", b"POST / HTTP/1.1\r\nHost: toy\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\n%%%=%zz&&&=&=".to_vec()),
        ("bad authorization", format!("{HEAD}Authorization: AWS4-HMAC-SHA256 Credential=///\u{e4}\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes()),
        ("an odd path", b"GET /..%2f..%2f%00?%ff HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n".to_vec()),
        ("HTTP/2 cut short", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00".to_vec()),
    ];
    for (what, bytes) in cases {
        let answer = status(&raw(stack.url("toy"), &bytes, Duration::from_secs(4)).await);
        let is_error =
            answer == "closed" || answer.starts_with('4') || answer.starts_with('5') || what.starts_with("HTTP/2");
        assert!(is_error && answer != "500", "{what}: {answer}");
        goes_on(&stack).await;
    }
}

#[tokio::test]
async fn no_more_connections_than_allowed_and_the_rest_waits() {
    let stack = toy::stack(&Arc::default())
        .configure(|config| {
            config.max_connections = 2;
            config.idle_timeout_secs = 1;
        })
        .start()
        .await;
    let _holding = [connect(stack.url("toy")).await, connect(stack.url("toy")).await];
    // Served as soon as a silent one is closed.
    goes_on(&stack).await;
}
