//! Against endpoints of the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_outgoing::{Bounds, Outgoing, OutgoingError};
use http::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(5), max_answer_bytes: 1_000 };

async fn read_head(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let count = socket.read(&mut some).await.unwrap();
        assert!(count > 0, "the request ended early");
        read.extend_from_slice(&some[..count]);
    }
    String::from_utf8(read).unwrap()
}

async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, answer: String) -> String {
    let head = read_head(&mut socket).await;
    socket.write_all(answer.as_bytes()).await.unwrap();
    socket.flush().await.unwrap();
    head
}

/// Answers one request; its head.
async fn endpoint(answer: String) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        serve(socket, answer).await
    });
    (port, asked)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_credentials_stay_out_of_the_host() {
    let (port, asked) = endpoint(answer("302 Found", "moved")).await;
    let request = get(&format!("http://me:s%20t@some.localhost:{port}/a?b=c"));
    let answer = Outgoing::new(BOUNDS).send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::FOUND, &b"moved"[..]));
    assert_eq!(answer.headers["location"], "/elsewhere");
    let head = asked.await.unwrap();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: some.localhost:{port}\r\n")), "{head}");
    // `me:s t`
    assert!(head.contains("authorization: Basic bWU6cyB0\r\n"), "{head}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_none_but_has_a_status() {
    let long = "x".repeat(BOUNDS.max_answer_bytes + 1);
    let (port, _asked) = endpoint(answer("200 OK", &long)).await;
    let refused = Outgoing::new(BOUNDS).send(get(&format!("http://127.0.0.1:{port}"))).await.unwrap_err();
    assert!(matches!(refused, OutgoingError::TooLong(1_000)), "{refused}");
    let (port, _asked) = endpoint(answer("503 Busy", &long)).await;
    let status = Outgoing::new(BOUNDS).status_of(get(&format!("http://127.0.0.1:{port}"))).await.unwrap();
    assert_eq!(status, 503);
}

#[tokio::test]
async fn silence_and_nonsense_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let short = Outgoing::new(Bounds { timeout: Duration::from_millis(50), ..BOUNDS });
    assert!(matches!(short.send(get(&url)).await, Err(OutgoingError::TimedOut(_))));
    for url in ["ftp://127.0.0.1/", "/path"] {
        assert!(matches!(short.send(get(url)).await, Err(OutgoingError::Url(_))), "{url}");
    }
    drop(listener);
    assert!(matches!(Outgoing::new(BOUNDS).send(get(&url)).await, Err(OutgoingError::Connection(_))));
}

#[tokio::test]
async fn only_trusted_certificates_are_taken() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trusted.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(socket) = acceptor.accept(socket).await {
                serve(socket, answer("200 OK", "hello")).await;
            }
        }
    });
    let trusting = Outgoing::trusting(BOUNDS, &file).unwrap();
    assert_eq!(&trusting.send(get(&url)).await.unwrap().body[..], b"hello");
    assert!(matches!(Outgoing::new(BOUNDS).send(get(&url)).await, Err(OutgoingError::Connection(_))));
    assert!(Outgoing::trusting(BOUNDS, &folder.path().join("missing.pem")).is_err());
}
