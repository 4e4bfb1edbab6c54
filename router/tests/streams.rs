//! Long bodies, other protocols, and callers that mean no good.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use common::{BoxError, echo, raw, signed, start_router, start_service, text};
use fractus_router::proxy::targets::TargetKind;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const MEBIBYTE: usize = 1 << 20;
const BODY_MEBIBYTES: usize = 100;

/// A body made as it is read; `made` counts its mebibytes.
fn counted_body(made: Arc<AtomicUsize>) -> impl http_body::Body<Data = Bytes, Error = BoxError> + Send {
    let chunk = Bytes::from(vec![7; MEBIBYTE]);
    StreamBody::new(stream::iter((0..BODY_MEBIBYTES).map(move |_| {
        made.fetch_add(1, Ordering::SeqCst);
        Ok::<_, BoxError>(Frame::data(chunk.clone()))
    })))
}

async fn http1(
    address: SocketAddr,
) -> hyper::client::conn::http1::SendRequest<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    sender
}

#[tokio::test]
async fn a_hundred_mebibytes_up_are_never_held() {
    let running = start_router().await;
    // The service takes one frame each time it is told to, so what the router holds is seen by how far the client got.
    let (go, gone) = mpsc::unbounded_channel::<()>();
    let gone = Arc::new(tokio::sync::Mutex::new(gone));
    let url = start_service(move |request| {
        let gone = gone.clone();
        async move {
            let mut body = request.into_body();
            gone.lock().await.recv().await;
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                length += frame.unwrap().into_data().map_or(0, |data| data.len());
            }
            text(length.to_string())
        }
    })
    .await;
    running.router.targets.set_kind("s3", TargetKind::Url(url)).unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let body = counted_body(made.clone()).boxed_unsync();
    let request =
        Request::put("/b/k").header("host", "localhost").header("authorization", signed("s3")).body(body).unwrap();
    let mut sender = http1(running.address).await;
    let sending = tokio::spawn(async move { sender.send_request(request).await.unwrap() });
    // Everything settles when no more is made; then only socket buffers and a frame or two are filled.
    let mut before = usize::MAX;
    loop {
        fractus_clock::Clock::real().sleep(std::time::Duration::from_millis(150)).await;
        let now = made.load(Ordering::SeqCst);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < 30, "{before} MiB went into a service that reads nothing");
    go.send(()).unwrap();
    let response = sending.await.unwrap();
    let said = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(said, (BODY_MEBIBYTES * MEBIBYTE).to_string());
}

#[tokio::test]
async fn a_hundred_mebibytes_down_come_whole() {
    let running = start_router().await;
    let made = Arc::new(AtomicUsize::new(0));
    let counting = made.clone();
    let url = start_service(move |_| {
        let body = counted_body(counting.clone()).boxed_unsync();
        async move { Response::new(body) }
    })
    .await;
    running.router.targets.set_kind("s3", TargetKind::Url(url)).unwrap();
    let mut sender = http1(running.address).await;
    let request = Request::get("/b/k")
        .header("host", "localhost")
        .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
        .unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    assert!(made.load(Ordering::SeqCst) < 30, "the answer is not collected");
    let rest = body.collect().await.unwrap().to_bytes().len();
    assert_eq!(first + rest, BODY_MEBIBYTES * MEBIBYTE);
}

#[tokio::test]
async fn an_upgrade_joins_both_sides() {
    let running = start_router().await;
    let url = start_service(|mut request: Request<Incoming>| async move {
        let asked = request.headers()["upgrade"].clone();
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let mut answer = text("");
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
        answer.headers_mut().insert("upgrade", asked);
        answer
    })
    .await;
    running.router.targets.set_kind("apigateway", TargetKind::Url(url)).unwrap();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head =
        "GET /prod HTTP/1.1\r\nHost: abc.execute-api.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("upgrade: websocket"), "{answer}");
    for word in [b"hello", b"again"] {
        stream.write_all(word).await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, word);
    }
}

#[tokio::test]
async fn http2_without_tls_carries_many_requests_at_once() {
    let running = start_router().await;
    let url = start_service(|request| echo("sqs", request)).await;
    running.router.targets.set_kind("sqs", TargetKind::Url(url)).unwrap();
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for number in 0..50 {
        let mut sender = sender.clone();
        let request = Request::post(format!("http://sqs.us-east-1.localhost:4566/{number}"))
            .header("authorization", signed("sqs"))
            .body(Full::new(Bytes::from(format!("body {number}"))))
            .unwrap();
        answers.push(tokio::spawn(async move { sender.send_request(request).await.unwrap() }));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, format!("sqs POST /{number} host=sqs.us-east-1.localhost:4566 proto=http body {number}"));
    }
}

#[tokio::test]
async fn tls_speaks_both_versions_with_a_certificate_for_each_name() {
    let running = start_router().await;
    let url = start_service(|request| echo("s3", request)).await;
    running.router.targets.set_kind("s3", TargetKind::Url(url)).unwrap();
    let pem = running.router.certificates.authority_pem().unwrap();
    for name in ["localhost", "my-bucket.s3.localhost", "b.s3.us-west-2.amazonaws.com"] {
        for protocol in ["http/1.1", "h2"] {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
            let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            let tcp = TcpStream::connect(running.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = connector.connect(ServerName::try_from(name).unwrap(), tcp).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
            let suite = format!("{:?}", stream.get_ref().1.negotiated_cipher_suite().unwrap().suite());
            let request =
                Request::get(format!("https://{name}/k")).header("host", name).body(Empty::<Bytes>::new()).unwrap();
            let said = if protocol == "h2" {
                let io = TokioIo::new(stream);
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await.unwrap()
            } else {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await.unwrap()
            };
            let said = said.into_body().collect().await.unwrap().to_bytes();
            let tls = suite.replace("TLS13_", "TLSv1.3 TLS_");
            assert_eq!(said, format!("s3 GET /k host={name} proto=https tls={tls} "));
        }
    }
}

#[tokio::test]
async fn a_client_that_expects_a_continue_gets_one() {
    let running = start_router().await;
    let url = start_service(|request| echo("s3", request)).await;
    running.router.targets.set_kind("s3", TargetKind::Url(url)).unwrap();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = "PUT /b/k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn hostile_heads_are_refused_and_the_port_goes_on() {
    let running = start_router().await;
    let url = start_service(|request| echo("s3", request)).await;
    running.router.targets.set_kind("s3", TargetKind::Url(url)).unwrap();
    let many: String = (0..100_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let some: String = (0..150).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = "x".repeat(100_000);
    for (what, request, expected) in [
        ("100,000 headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "RequestHeaderSectionTooLarge"),
        ("150 headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{some}\r\n"), "RequestHeaderSectionTooLarge"),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "RequestHeaderSectionTooLarge"),
        ("no HTTP", "\0\u{1}\u{2}\u{3}".to_owned(), "BadRequest"),
        ("a broken head", "GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_owned(), "BadRequest"),
        ("a header without a name", "GET / HTTP/1.1\r\n: a\r\n\r\n".to_owned(), "BadRequest"),
    ] {
        let answer = raw(running.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(expected), "{what}: {answer}");
    }
    // These reach hyper or the service, which answer or close.
    for (what, request) in [
        ("two lengths", "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("a length and chunks", "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nab"),
        ("bad bytes in the path", "GET /\u{7f}\u{80} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let answer = raw(running.address, request.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
            "{what}: {answer}"
        );
    }
    let chunked = "PUT /b/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in ["zz\r\nhello\r\n", "ffffffffffffffffff\r\nhello\r\n", "5\r\nhello\r\nx\r\n"] {
        let answer = raw(running.address, format!("{chunked}{chunks}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BadRequest"), "{chunks}: {answer}");
    }
    let well = raw(running.address, b"GET /b/k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(well.starts_with("HTTP/1.1 200"), "{well}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off() {
    let running = start_router().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    // Paused time jumps to the timeout as soon as nothing else is left to do.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
}

/// What the router has to read itself to know where it goes, or what it asks for.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let running = start_router().await;
    let form = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let clock = "POST /_fractus/clock HTTP/1.1\r\nHost: a\r\n";
    for (what, head, expected) in
        [("a form", form, "<Code>RequestTimeout</Code>"), ("an admin request", clock, "did not come within")]
    {
        for length in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(format!("{head}{length}\r\n\r\n2\r\nAc").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(expected), "{what}, {length}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_browser_may_call_the_shared_path() {
    let running = start_router().await;
    let answer = raw(
        running.address,
        b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n\
          Access-Control-Request-Headers: authorization,x-amz-target\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 204")
            && answer.contains("access-control-allow-headers: authorization,x-amz-target"),
        "{answer}"
    );
}
