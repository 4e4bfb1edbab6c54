//! The end: running requests finish, new ones are not taken, tasks are awaited.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod toy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use fractus_bus::contracts::ClockChanged;
use fractus_bus::{Hears, Publishers};
use fractus_testkit::http::{exchange, get_json, post_json};
use fractus_testkit::wait_for;

use toy::api::*;
use toy::{Toy, client, echo_of, stack};

#[tokio::test]
async fn drain_lets_running_requests_finish_and_takes_no_new_ones() {
    let toy: Arc<Toy> = Arc::default();
    let mut stack = stack(&toy).start().await;
    let url = stack.url("toy").to_owned();
    let ended = Arc::new(AtomicBool::new(false));
    let (draining, ending) = (stack.host("toy").draining(), ended.clone());
    stack.host("toy").spawn("poller", async move {
        draining.cancelled().await;
        ending.store(true, Ordering::SeqCst);
    });
    let waiting = client(&stack);
    let waiting = tokio::spawn(async move { waiting.call_with_head(Wait, Nothing {}).await });
    toy.arrived.notified().await;
    let host = stack.host("toy").clone();
    let stopping = tokio::spawn(async move { stack.stop("toy").await });
    host.draining().cancelled().await;
    // The listener is closed once the accepting task has seen the end.
    wait_for("new connections are refused", || async {
        exchange(Request::get(format!("{url}/_fractus/live")).body(Bytes::new()).unwrap()).await.err()
    })
    .await;
    assert!(!stopping.is_finished(), "a request is still running");
    toy.go.send_replace(true);
    let (_, head) = waiting.await.unwrap().unwrap();
    assert_eq!(head.headers["x-fractus-fidelity"], "modelled");
    assert_eq!(stopping.await.unwrap(), Vec::<String>::new());
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn what_does_not_end_within_the_grace_is_named() {
    let toy: Arc<Toy> = Arc::default();
    let mut stack = stack(&toy).configure(|config| config.drain_grace_secs = 1).start().await;
    stack.host("toy").spawn("deaf", std::future::pending());
    let waiting = client(&stack);
    let _waiting = tokio::spawn(async move { waiting.call(Wait, Nothing {}).await });
    toy.arrived.notified().await;
    let late = stack.stop("toy").await;
    assert!(late.contains(&"deaf".to_owned()), "{late:?}");
    assert!(late.iter().any(|name| name.contains("connection")), "{late:?}");
}

#[tokio::test]
async fn the_clock_is_told_to_the_stack_and_heard_from_it() {
    let toy: Arc<Toy> = Arc::default();
    let stack = stack(&toy).with_nats().start().await;
    let bus = stack.host("toy").bus().clone();
    bus.connected().await;
    let mut changes = bus.subscribe::<ClockChanged>(Publishers::Any, Hears::EveryReplica);
    changes.ready().await;
    let clock = format!("{}/_fractus/clock", stack.url("toy"));
    post_json(&clock, &serde_json::json!({ "lane": "blue", "action": "scale", "scale": 60 })).await;
    let Some(fractus_bus::Heard::Event { event, .. }) = changes.next().await else { panic!("no event") };
    assert_eq!((event.lane.as_str(), event.settings.scale), ("blue", 60.0));
    let told = ClockChanged {
        lane: fractus_aws::Lane::new("green").unwrap(),
        settings: fractus_clock::ClockSettings { scale: 0.0, ..event.settings },
    };
    wait_for("the event is obeyed", || async {
        // Again and again: the host's own subscription may be younger than this bus's connection.
        bus.publish(&told, &fractus_bus::contracts::Cause::default()).unwrap();
        let (_, shown) = get_json(&format!("{clock}?lane=green")).await;
        (shown["frozen"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn http2_and_a_unix_socket_are_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.sock").to_string_lossy().into_owned();
    let stack = stack(&Arc::default()).configure(|config| config.listen_unix = Some(path.clone())).start().await;
    let request = || {
        Request::post(stack.url("toy"))
            .header("x-amz-target", "Toy.Echo")
            .header("content-type", "application/x-amz-json-1.0")
            .body(http_body_util::Full::new(Bytes::from_static(br#"{"Text":"hi"}"#)))
            .unwrap()
    };
    let stream = tokio::net::TcpStream::connect(stack.url("toy").trim_start_matches("http://")).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (one, two) = tokio::join!(sender.clone().send_request(request()), sender.send_request(request()));
    assert_eq!((one.unwrap().status(), two.unwrap().status()), (200.try_into().unwrap(), 200.try_into().unwrap()));
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request();
    *request.uri_mut() = "/".parse().unwrap();
    request.headers_mut().insert("host", "toy".parse().unwrap());
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_handed_over_connection_serves_its_own_and_sends_the_rest_back() {
    use fractus_handoff::{Depth, RouteFacts, RouteKey, Sender};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handoff.sock");
    // The router's part is played by a second toy: it answers what comes back.
    let router = stack(&Arc::default()).start().await;
    let router_url = router.url("toy").to_owned();
    let served = stack(&Arc::default())
        .configure(|config| {
            config.handoff_socket = Some(path.to_string_lossy().into_owned());
            config.router_url = Some(router_url);
        })
        .start()
        .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let head = |service: &str, more: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Toy.Echo\r\nContent-Type: application/x-amz-json-1.0\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n{more}Content-Length: 12\r\n\r\n{{\"Text\":\"a\"}}"
        )
    };
    let first = head("toy", "");
    let authorization =
        "AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/toy/aws4_request, SignedHeaders=host, Signature=0";
    let facts = RouteFacts::of("POST", None, "/", [("authorization", authorization.as_bytes())].into_iter());
    let sender = Sender::connect(&path).unwrap();
    sender.send(&stream, peer, &RouteKey::new(&facts, Depth::Scope), first.as_bytes()).await.unwrap();
    drop(stream);
    let mut answers = Vec::new();
    client.write_all(head("toy", "").as_bytes()).await.unwrap();
    client.write_all(head("other", "X-Fractus-Lane: routed\r\n").as_bytes()).await.unwrap();
    client.read_to_end(&mut answers).await.unwrap();
    let answers = String::from_utf8_lossy(&answers).into_owned();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    assert_eq!(answers.matches("main/aws/123456789012").count(), 2, "{answers}");
    assert_eq!(answers.matches("routed/aws/123456789012").count(), 1, "{answers}");
    assert!(client_is_fine(&served).await && client_is_fine(&router).await);
}

async fn client_is_fine(stack: &fractus_testkit::Stack) -> bool {
    client(stack).call(Echo, echo_of("x")).await.is_ok()
}

#[tokio::test]
async fn background_work_wakes_by_the_lane_s_clock_and_ends_on_drain() {
    let toy: Arc<Toy> = Arc::default();
    let mut stack = stack(&toy).frozen_at("2026-01-01T00:00:00Z").start().await;
    let runs: Arc<parking_lot::Mutex<Vec<i64>>> = Arc::default();
    let (host, seen) = (stack.host("toy").clone(), runs.clone());
    let waker = stack.host("toy").background("timer", move |lane| {
        let (clock, seen) = (host.clocks().lane(lane.as_str()), seen.clone());
        async move {
            let now = clock.now();
            seen.lock().push(now.secs());
            Some(now.plus(Duration::from_secs(900)))
        }
    });
    let ran = |times: usize| {
        let runs = runs.clone();
        async move { wait_for("the work runs", || async { (runs.lock().len() >= times).then_some(()) }).await }
    };
    ran(1).await;
    let start = runs.lock()[0];
    stack.clock().advance(Duration::from_secs(900));
    ran(2).await;
    waker.wake();
    ran(3).await;
    assert_eq!(*runs.lock(), [start, start + 900, start + 900]);
    assert_eq!(stack.stop("toy").await, Vec::<String>::new());
}
