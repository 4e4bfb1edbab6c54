//! A router and services for it, in this process, on ports of their own.

#![allow(clippy::unwrap_used, dead_code, reason = "a helper of tests; not every test uses every helper")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_handoff::{HandedConnection, Receiver, forward_to_router};
use fractus_router::certificates::Certificates;
use fractus_router::proxy::credentials::Credentials;
use fractus_router::proxy::hybrid::Hybrid;
use fractus_router::{Router, edge};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

pub fn signed(scope: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0")
}

pub fn text(text: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync())
}

pub struct Running {
    pub router: Arc<Router>,
    pub address: SocketAddr,
    _drain: watch::Sender<bool>,
}

pub async fn start_router() -> Running {
    start_router_with(Hybrid::default(), Credentials::default()).await
}

pub async fn start_router_with(hybrid: Hybrid, credentials: Credentials) -> Running {
    let router = Arc::new(Router::new(Certificates::new(None), hybrid, credentials));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, draining) = watch::channel(false);
    tokio::spawn(edge::run(router.clone(), listener, draining, Duration::from_secs(1)));
    Running { router, address, _drain: drain }
}

/// A service on a port, that answers every request by `handler`.
pub async fn start_service<H, F>(handler: H) -> String
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    url
}

/// The same over connections that are handed over; what is foreign goes back to `router`.
pub fn start_handed_service<H, F>(socket: &Path, router: SocketAddr, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut receiver = Receiver::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Some(HandedConnection { stream, route_key, .. }) = receiver.recv().await {
            let (handler, key) = (handler.clone(), Arc::new(route_key));
            let service = service_fn(move |request: Request<Incoming>| {
                let (handler, key) = (handler.clone(), key.clone());
                async move {
                    let (parts, body) = request.into_parts();
                    let own = key.covers_request(&parts) || key.depth() == fractus_handoff::Depth::Once;
                    let request = Request::from_parts(parts, body);
                    Ok::<_, Infallible>(if own {
                        handler(request).await
                    } else {
                        let back = forward_to_router(request, &router.to_string()).await.unwrap();
                        back.map(|body| body.map_err(Into::into).boxed_unsync())
                    })
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
}

/// Sends `request` as it is and reads to the end of the connection.
pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request with `Connection: close`, and its answer.
pub async fn call(address: SocketAddr, head: &str, body: &str) -> String {
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    raw(address, request.replace('\n', "\r\n").replace("\r\r\n", "\r\n").as_bytes()).await
}

/// Says what reached the service `name`.
pub async fn echo(name: &'static str, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
    let (host, mut proto) = (header("host"), header("x-forwarded-proto"));
    if let Some(tls) = parts.headers.get("x-forwarded-tls") {
        proto = format!("{proto} tls={}", tls.to_str().unwrap());
    }
    let body = body.collect().await.unwrap().to_bytes();
    text(format!("{name} {} {} host={host} proto={proto} {}", parts.method, parts.uri, String::from_utf8_lossy(&body)))
}
