//! The smallest program that the launcher can run as a service: what `fractus-host` does for real ones, in one page.
//! Tests and benchmarks use it.
//!
//! It answers every request with `<name> <pid> <clock> <path>`, a request whose path is `/fixed` with a fixed body, and
//! ends at once on `/crash`, and tells on `/config` which file it was given. It takes connections that are handed over, and sends back what is foreign.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example fails by panicking, and says where it listens"
)]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fractus_handoff::{Depth, HandedConnection, Receiver, RouteFacts, RouteKey, forward_to_router};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

struct Tiny {
    name: String,
    router: String,
    /// The last change of the clock that the router told.
    clock: Mutex<String>,
}

#[tokio::main]
async fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let program = std::env::args().next().unwrap_or_default();
    let name = program.rsplit("fractus-").next().unwrap_or("tiny").to_owned();
    let tiny = Arc::new(Tiny { name, router: variable("FRACTUS_ROUTER_URL"), clock: Mutex::default() });
    let listen = Some(variable("FRACTUS_LISTEN")).filter(|listen| !listen.is_empty());
    let listener = TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:0")).await.unwrap();
    let handoff = variable("FRACTUS_HANDOFF_SOCKET");
    if !handoff.is_empty() {
        let receiver = Receiver::bind(handoff.as_ref()).unwrap();
        tokio::spawn(serve_handed(tiny.clone(), receiver));
    }
    println!("ready http://{}", listener.local_addr().unwrap());
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let tiny = tiny.clone();
        let service = service_fn(move |request| answer(tiny.clone(), request));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn serve_handed(tiny: Arc<Tiny>, mut receiver: Receiver) {
    while let Some(HandedConnection { stream, route_key, .. }) = receiver.recv().await {
        let tiny = tiny.clone();
        let state = Arc::new((route_key, std::sync::atomic::AtomicBool::new(true)));
        let service = service_fn(move |request| answer_own(tiny.clone(), state.clone(), request));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// The first request is the service's own, since the router said so; each later one is looked at.
async fn answer_own(
    tiny: Arc<Tiny>,
    state: Arc<(RouteKey, std::sync::atomic::AtomicBool)>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let first = state.1.swap(false, std::sync::atomic::Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let own = first || (state.0.depth() != Depth::Once && state.0.covers(&RouteFacts::of_parts(&parts)));
    let request = Request::from_parts(parts, body);
    if own {
        return answer(tiny, request).await;
    }
    let back = forward_to_router(request, &tiny.router).await.unwrap();
    Ok(back.map(BodyExt::boxed_unsync))
}

async fn answer(tiny: Arc<Tiny>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = match parts.uri.path() {
        "/crash" => std::process::exit(3),
        "/fixed" => return Ok(fixed()),
        "/_fractus/clock" => {
            *tiny.clock.lock().unwrap() = String::from_utf8_lossy(&body).into_owned();
            "{}".to_owned()
        }
        "/config" => std::env::var("FRACTUS_CONFIG").unwrap_or_default(),
        "/_fractus/ready" | "/_fractus/reset" => "{}".to_owned(),
        "/_fractus/state" if parts.method == "GET" => format!("state of {}", tiny.name),
        "/_fractus/state" => {
            let expected = format!("state of {}", tiny.name);
            if body == expected { "{}".to_owned() } else { std::process::exit(4) }
        }
        path => format!("{} {} {} {path}", tiny.name, std::process::id(), tiny.clock.lock().unwrap()),
    };
    Ok(Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()))
}

fn fixed() -> Answer {
    const BODY: Bytes = Bytes::from_static(&[b'x'; 400]);
    let mut response = Response::new(Full::new(BODY).map_err(|never| match never {}).boxed_unsync());
    let json = http::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
