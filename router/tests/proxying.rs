//! The port from outside: proxied and handed over, over HTTP/1.1, HTTP/2 and TLS, well-behaved and hostile.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod common;

use common::{call, echo, signed, start_handed_service, start_router, start_service, text};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use fractus_router::Router;
use fractus_router::launcher::ServiceStatus;
use fractus_router::proxy::hold::MOST_HELD;
use fractus_router::proxy::targets::{StartError, Starter, TargetKind};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test]
async fn requests_reach_their_service_with_the_callers_host() {
    let running = start_router().await;
    for service in ["sqs", "sts"] {
        let url = start_service(move |request| echo(service, request)).await;
        running.router.targets.set_kind(service, TargetKind::Url(url)).unwrap();
    }
    let sqs = format!("POST / HTTP/1.1\nHost: sqs.us-east-1.localhost:4566\nAuthorization: {}", signed("sqs"));
    let answer = call(running.address, &sqs, "hello").await;
    assert!(answer.ends_with("sqs POST / host=sqs.us-east-1.localhost:4566 proto=http hello"), "{answer}");

    let form = "POST / HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded";
    let body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=x";
    let answer = call(running.address, form, body).await;
    assert!(answer.ends_with(&format!("sts POST / host=localhost proto=http {body}")), "{answer}");
}

#[tokio::test]
async fn a_service_that_does_not_run_is_an_error_in_the_callers_protocol() {
    let running = start_router().await;
    let json = "POST / HTTP/1.1\nHost: localhost\nX-Amz-Target: AmazonSQS.SendMessage";
    let answer = call(running.address, json, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"__type\":\"ServiceUnavailable\""), "{answer}");
    assert!(answer.contains("fractus up sqs"), "{answer}");

    let answer = call(running.address, "GET /bucket/key HTTP/1.1\nHost: localhost", "").await;
    assert!(answer.contains("<Error><Code>ServiceUnavailable</Code>") && answer.contains("fractus up s3"), "{answer}");

    let query = "POST / HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded";
    let answer = call(running.address, query, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(answer.contains("<ErrorResponse><Error><Type>Receiver</Type><Code>ServiceUnavailable</Code>"), "{answer}");

    let unknown = format!("POST / HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("ec2"));
    let answer = call(running.address, &unknown, "").await;
    assert!(answer.starts_with("HTTP/1.1 501"), "SDKs would try 503 again and again: {answer}");
    assert!(answer.contains("ec2") && answer.contains("fractus.toml"), "{answer}");
}

/// Has a service start slowly: nobody's request waits for it to the end.
struct SlowStarter {
    router: std::sync::Weak<Router>,
    url: String,
    has_started: AtomicBool,
}

impl Starter for SlowStarter {
    fn start<'a>(&'a self, service: &'a str) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>> {
        if !self.has_started.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StartError::Slow)));
        }
        let router = self.router.upgrade().unwrap();
        router.targets.set_replicas(service, vec![(self.url.clone(), None)]);
        Box::pin(std::future::ready(Ok(())))
    }

    fn statuses(&self) -> Vec<(String, ServiceStatus)> {
        Vec::new()
    }

    fn has_state(&self, _service: &str) -> bool {
        false
    }
}

#[tokio::test]
async fn a_service_that_starts_slowly_is_worth_another_try() {
    let running = start_router().await;
    let url = start_service(|request| echo("sqs", request)).await;
    let router = std::sync::Arc::downgrade(&running.router);
    let starter = std::sync::Arc::new(SlowStarter { router, url, has_started: AtomicBool::new(false) });
    running.router.targets.set_starter(starter.clone());
    let head = format!("POST / HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("sqs"));
    let answer = call(running.address, &head, "x").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("ServiceUnavailable") && answer.contains("still starting"), "{answer}");
    starter.has_started.store(true, Ordering::SeqCst);
    let answer = call(running.address, &head, "x").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("x"), "{answer}");
}

/// A service answers by the head alone and closes with the body unread, so that what is still written is reset.
#[tokio::test]
async fn a_refusal_in_the_midst_of_a_body_comes_through() {
    let running = start_router().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    running.router.targets.set_replicas("s3", vec![(url, None)]);
    let head = format!("PUT /b/k HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("s3"));
    let body = "x".repeat(1 << 20);
    for round in 0..40 {
        let answer = call(running.address, &head, &body).await;
        // Who writes it all before reading may miss an answer, as with any server; none is another one.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 404") && answer.ends_with("gone"),
            "{round}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_replica_that_is_gone_is_passed_over() {
    let running = start_router().await;
    let url = start_service(|request| echo("sqs", request)).await;
    let gone = "http://127.0.0.1:1".to_owned();
    running.router.targets.set_replicas("sqs", vec![(gone, None), (url, None)]);
    for _ in 0..4 {
        let head = format!("POST / HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("sqs"));
        let answer = call(running.address, &head, "x").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn handed_over_connections_reach_the_service_and_foreign_requests_come_back() {
    let running = start_router().await;
    let folder = tempfile::tempdir().unwrap();
    for service in ["sqs", "s3"] {
        let socket = folder.path().join(format!("{service}.sock"));
        start_handed_service(&socket, running.address, move |request| echo(service, request));
        // The port is no service's: a request that is proxied instead of handed over fails.
        running.router.targets.set_replicas(service, vec![("http://127.0.0.1:1".to_owned(), Some(socket))]);
    }
    let mut stream = BufReader::new(TcpStream::connect(running.address).await.unwrap());
    for (number, scope) in ["sqs", "sqs", "s3"].into_iter().enumerate() {
        let request = format!(
            "PUT /{number} HTTP/1.1\r\nHost: h\r\nAuthorization: {}\r\nContent-Length: 2\r\n\r\nhi",
            signed(scope)
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let body = read_answer(&mut stream).await;
        assert_eq!(body, format!("{scope} PUT /{number} host=h proto=- hi"));
    }
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "closed after the foreign request");

    let health = call(running.address, "GET /_fractus/health HTTP/1.1\nHost: h", "").await;
    assert!(health.contains("\"sqs\":{\"status\":\"ready\""), "{health}");
}

async fn read_answer(stream: &mut BufReader<TcpStream>) -> String {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        assert!(!line.is_empty(), "the connection ended within a head");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn services_learn_who_called() {
    let running = start_router().await;
    let url = start_service(|request| async move {
        let header = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        text(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map(header).join(" | "))
    })
    .await;
    running.router.targets.set_kind("sqs", TargetKind::Url(url)).unwrap();
    let head = format!("POST / HTTP/1.1\nHost: sqs.localhost:1\nAuthorization: {}", signed("sqs"));
    let answer = call(running.address, &head, "").await;
    assert!(answer.ends_with("\r\n127.0.0.1 | http | sqs.localhost:1"), "{answer}");

    // A proxy before the router has said more than the router can know.
    let behind =
        format!("{head}\nX-Forwarded-For: 203.0.113.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: example.org");
    let answer = call(running.address, &behind, "").await;
    assert!(answer.ends_with("\r\n203.0.113.7, 127.0.0.1 | https | example.org"), "{answer}");
}

#[tokio::test]
async fn a_request_is_held_until_its_service_is_back() {
    let running = start_router().await;
    let targets = &running.router.targets;
    targets.set_replicas("sqs", vec![("http://127.0.0.1:1".to_owned(), None)]);
    let head = format!("POST / HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("sqs"));
    let held: Vec<_> = (0..20)
        .map(|_| {
            let (address, head) = (running.address, head.clone());
            tokio::spawn(async move { call(address, &head, "hello").await })
        })
        .collect();
    // All of them have found nobody, and then that there is nobody.
    while targets.places_to_wait() > MOST_HELD - 20 {
        tokio::task::yield_now().await;
    }
    targets.set_replicas("sqs", Vec::new());
    let url = start_service(|request| echo("sqs", request)).await;
    targets.set_replicas("sqs", vec![(url, None)]);
    for answer in held {
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
    assert_eq!(targets.places_to_wait(), MOST_HELD);
}

#[tokio::test]
async fn what_may_have_been_acted_on_is_an_error_to_retry_and_reads_are_sent_again() {
    let running = start_router().await;
    // It reads a request and dies without a word, as a killed process does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dying = format!("http://{}", listener.local_addr().unwrap());
    let targets = running.router.clone();
    tokio::spawn(async move {
        let targets = &targets.targets;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 4096];
            let length = stream.read(&mut read).await.unwrap();
            if read[..length].starts_with(b"GET") {
                let url = start_service(|request| echo("s3", request)).await;
                targets.set_replicas("s3", vec![(url, None)]);
            }
        }
    });
    running.router.targets.set_replicas("s3", vec![(dying, None)]);
    let put = format!("PUT /b/k HTTP/1.1\nHost: localhost\nAuthorization: {}", signed("s3"));
    let answer = call(running.address, &put, "x").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("<Code>ServiceUnavailable</Code>"), "{answer}");
    let answer = call(running.address, &put.replace("PUT", "GET"), "").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("s3 GET /b/k"), "{answer}");
}
