//! A connection goes from a router's task to a service's, is used there for several requests, and a foreign request
//! comes back through the router.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use fractus_handoff::{Depth, HandedConnection, Receiver, RouteFacts, RouteKey, Sender, forward_to_router};
use http::header::CONNECTION;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SQS: &str =
    "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
const S3: &str =
    "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// Accepts one client after the other and gives each to the service, by the facts of what it has read.
async fn hand_over(listener: TcpListener, socket: PathBuf) {
    let sender = Sender::connect(&socket).unwrap();
    while let Ok((mut stream, peer)) = listener.accept().await {
        let mut read = vec![0; 4096];
        let length = stream.read(&mut read).await.unwrap();
        let headers = [("authorization", SQS.strip_prefix("Authorization: ").unwrap().as_bytes())];
        let facts = RouteFacts::of("POST", None, "/", headers.into_iter());
        sender.send(&stream, peer, &RouteKey::new(&facts, Depth::Scope), &read[..length]).await.unwrap();
    }
}

/// The service: echoes what is its own, sends the rest to `router`.
async fn serve(mut receiver: Receiver, router: String) {
    while let Some(HandedConnection { stream, peer, route_key }) = receiver.recv().await {
        let router = router.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| answer(request, &route_key, &router, peer));
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    key: &RouteKey,
    router: &str,
    peer: SocketAddr,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let (parts, body) = request.into_parts();
    if !key.covers_request(&parts) {
        let response = forward_to_router(Request::from_parts(parts, body), router).await.unwrap();
        return Ok(response.map(BodyExt::boxed));
    }
    let body = body.collect().await.unwrap().to_bytes();
    let text = format!("{peer} {} {}", parts.uri, String::from_utf8_lossy(&body));
    Ok(Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()))
}

/// Stands for the router's ordinary port: says what reached it.
async fn router_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let host = parts.headers["host"].to_str().unwrap().to_owned();
                let answer = format!("routed {} {host} {} bytes", parts.uri, body.len());
                let mut response = Response::new(Full::new(Bytes::from(answer)));
                *response.status_mut() = StatusCode::CREATED;
                Ok::<_, Infallible>(response)
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}")
}

async fn start() -> (SocketAddr, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("service.sock");
    let receiver = Receiver::bind(&socket).unwrap();
    tokio::spawn(serve(receiver, router_port().await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(hand_over(listener, socket));
    (address, folder)
}

async fn read_answer(client: &mut TcpStream) -> (String, String) {
    let mut answer = Vec::new();
    let mut portion = [0; 4096];
    loop {
        let length = client.read(&mut portion).await.unwrap();
        answer.extend_from_slice(&portion[..length]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if body.len() >= length {
            return (head.to_owned(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn a_handed_connection_serves_its_own_and_returns_the_foreign() {
    let (address, _folder) = start().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let own = client.local_addr().unwrap();

    // The body's second half comes after the hand-off, so that the seam lies within a request.
    client
        .write_all(format!("POST /1 HTTP/1.1\r\nHost: q\r\nContent-Length: 10\r\n{SQS}\r\n\r\nhello").as_bytes())
        .await
        .unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"world").await.unwrap();
    assert_eq!(read_answer(&mut client).await.1, format!("{own} /1 helloworld"));

    client
        .write_all(format!("POST /2 HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n{SQS}\r\n\r\n2").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_answer(&mut client).await.1, format!("{own} /2 2"));

    let body = "x".repeat(100_000);
    client
        .write_all(
            format!("PUT /b/k HTTP/1.1\r\nHost: b.s3.localhost:1\r\nContent-Length: 100000\r\n{S3}\r\n\r\n{body}")
                .as_bytes(),
        )
        .await
        .unwrap();
    let (head, body) = read_answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert!(head.contains(&format!("{CONNECTION}: close")), "{head}");
    assert_eq!(body, "routed /b/k b.s3.localhost:1 100000 bytes");
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "the connection ends after a foreign request");
}

#[tokio::test]
async fn a_service_that_is_gone_is_an_error_and_the_connection_stays_with_the_sender() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("service.sock");
    assert!(Sender::connect(&socket).is_err());
    let receiver = Receiver::bind(&socket).unwrap();
    let sender = Sender::connect(&socket).unwrap();
    drop(receiver);
    assert!(!socket.exists());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut stream, peer) = listener.accept().await.unwrap();
    let key = RouteKey::new(&RouteFacts::of("GET", None, "/", std::iter::empty()), Depth::Once);
    // The abort of the receiving task is seen as soon as it has run.
    while sender.send(&stream, peer, &key, b"").await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"mine").await.unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"mine");
}

#[tokio::test]
async fn many_connections_arrive_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("service.sock");
    let mut receiver = Receiver::bind(&socket).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sending = tokio::spawn(async move {
        let sender = Sender::connect(&socket).unwrap();
        let mut clients = Vec::new();
        for number in 0..300_u32 {
            clients.push(TcpStream::connect(address).await.unwrap());
            let (stream, peer) = listener.accept().await.unwrap();
            let facts = RouteFacts::of("GET", Some("h"), "/", std::iter::empty());
            let read = [number.to_be_bytes().as_slice(), &vec![7; 60_000]].concat();
            sender.send(&stream, peer, &RouteKey::new(&facts, Depth::Host), &read).await.unwrap();
        }
        clients
    });
    for number in 0..300_u32 {
        let handed = receiver.recv().await.unwrap();
        let (prefix, stream) = handed.stream.into_parts();
        assert_eq!(prefix.len(), 60_004);
        assert_eq!(prefix[..4], number.to_be_bytes());
        assert_eq!(stream.peer_addr().unwrap(), handed.peer);
    }
    assert_eq!(sending.await.unwrap().len(), 300);
}
