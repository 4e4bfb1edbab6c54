//! A service that points to AWS: what arrives there is signed with real credentials, and verifies.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod common;

use common::{Answer, Running, call, raw, signed, start_router_with, start_service, text};
use fractus_clock::Clock;
use fractus_router::proxy::credentials::Credentials;
use fractus_router::proxy::hybrid::Hybrid;
use fractus_router::proxy::targets::TargetKind;
use fractus_sigv4::{Body, Expectation, KeyCache, RequestSignature, RequestView};
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// AWS for this test: verifies every signature as AWS would and says what it saw.
async fn fake_aws(request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let view = RequestView::from(&parts);
    let signature = RequestSignature::parse(&view).unwrap();
    let services = [signature.credential.service];
    let expected = Expectation::new(&services, Clock::real().now());
    let verified = signature.verify(&view, Body::Bytes(&body), "real-secret", &expected, &KeyCache::default());
    let seen = match verified {
        Ok(_) => format!("verified {} {}", signature.access_key(), signature.credential.region),
        Err(error) => format!("refused: {error}"),
    };
    let token = parts.headers.get("x-amz-security-token").map_or("-", |token| token.to_str().unwrap());
    text(format!("{seen} token={token} {} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body)))
}

async fn start(services: &[&str], variables: &[(&str, &str)]) -> Running {
    let url = start_service(fake_aws).await;
    let hybrid = Hybrid::new(services.iter().map(|service| ((*service).to_owned(), url.clone())));
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let running = start_router_with(hybrid, Credentials { variables, home: None }).await;
    for service in services {
        running.router.targets.set_kind(service, TargetKind::Aws).unwrap();
    }
    running
}

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIAREAL"), ("AWS_SECRET_ACCESS_KEY", "real-secret"), ("AWS_SESSION_TOKEN", "session")];

#[tokio::test]
async fn a_request_is_signed_anew_for_its_region() {
    let running = start(&["sqs"], &KEYS).await;
    let head = format!(
        "POST / HTTP/1.1\nHost: localhost\nX-Amz-Target: AmazonSQS.SendMessage\nX-Amz-Date: 20200101T000000Z\nAuthorization: {}",
        signed("sqs").replace("us-east-1", "eu-west-1")
    );
    let answer = call(running.address, &head, "{\"a\":1}").await;
    assert!(answer.ends_with("verified AKIAREAL eu-west-1 token=session POST / {\"a\":1}"), "{answer}");
}

#[tokio::test]
async fn a_presigned_url_and_a_signed_stream_become_plain_signed_requests() {
    let running = start(&["s3"], &KEYS).await;
    let presigned = "GET /b/a%20key?versionId=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20200101%2Fus-west-2%2Fs3%2Faws4_request\
                     &X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\nHost: localhost";
    let answer = call(running.address, presigned, "").await;
    assert!(
        answer.contains("verified AKIAREAL us-west-2") && answer.contains("GET /b/a%20key?versionId=1 "),
        "{answer}"
    );

    let signature = "0".repeat(64);
    let body = format!("5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n");
    let request = format!(
        "PUT /b/k HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: aws-chunked\r\nX-Amz-Decoded-Content-Length: 5\r\n\
         X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nAuthorization: {}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        signed("s3"),
        body.len()
    );
    let answer = raw(running.address, request.as_bytes()).await;
    assert!(answer.ends_with("verified AKIAREAL us-east-1 token=session PUT /b/k hello"), "{answer}");
}

#[tokio::test]
async fn without_credentials_the_error_says_what_to_do() {
    let running = start(&["sqs"], &[]).await;
    let head = format!(
        "POST / HTTP/1.1\nHost: localhost\nX-Amz-Target: AmazonSQS.SendMessage\nAuthorization: {}",
        signed("sqs")
    );
    let answer = call(running.address, &head, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("AWS_ACCESS_KEY_ID"), "{answer}");
}
