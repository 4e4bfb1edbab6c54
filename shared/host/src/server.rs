//! Listening, and the life of a connection.
//!
//! Three ways in, one way on: TCP, a Unix socket, and connections that the router hands over. The first bytes tell
//! HTTP/2 from HTTP/1.1. Each connection has one slow timer that closes it when nothing happens on it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use fractus_handoff::{HandedConnection, Prefixed, Receiver, RouteKey, forward_to_router};

use crate::activity::Activity;
use crate::admin;
use crate::body::ResponseBody;
use crate::config::HostConfig;
use crate::identity::LatestIdentity;
use crate::reading::BoundedReads;
use crate::serve::{Connection, Server};
use crate::socket::Socket;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FIRST_READ_BYTES: usize = 8 * 1024;
#[cfg(feature = "http2")]
const HTTP2_MAX_STREAMS: u32 = 250;
/// Bounds what hyper gathers of an answer before it writes. What it reads at once is bounded in `reading`.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// The bound sockets.
pub(crate) struct Sockets {
    pub tcp: TcpListener,
    unix: Option<(UnixListener, PathBuf)>,
    handoff: Option<Receiver>,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    pub address: String,
    pub source: std::io::Error,
}

impl Sockets {
    pub async fn bind(config: &HostConfig) -> Result<Self, ListenError> {
        let failed = |address: &str| {
            let address = address.to_owned();
            move |source| ListenError { address, source }
        };
        let tcp = TcpListener::bind(&config.listen).await.map_err(failed(&config.listen))?;
        let unix = match &config.listen_unix {
            None => None,
            Some(path) => {
                remove_stale(Path::new(path)).map_err(failed(path))?;
                Some((UnixListener::bind(path).map_err(failed(path))?, PathBuf::from(path)))
            }
        };
        let handoff = match &config.handoff_socket {
            None => None,
            Some(path) => Some(Receiver::bind(Path::new(path)).map_err(failed(path))?),
        };
        Ok(Sockets { tcp, unix, handoff })
    }

    /// Accepts until `draining`, in the background.
    pub fn serve(self, server: &Arc<Server>, connections: &Connections) {
        let Sockets { tcp, unix, handoff } = self;
        connections.tracker.spawn(accept_tcp(tcp, server.clone(), connections.clone()).boxed());
        if let Some((listener, path)) = unix {
            connections.tracker.spawn(accept_unix(listener, path, server.clone(), connections.clone()).boxed());
        }
        if let Some(receiver) = handoff {
            connections.tracker.spawn(accept_handed(receiver, server.clone(), connections.clone()).boxed());
        }
    }
}

fn remove_stale(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs what HTTP/2 has to do besides, as every task is: in a box.
#[derive(Clone, Copy)]
#[cfg(feature = "http2")]
pub(crate) struct BoxedTasks;

#[cfg(feature = "http2")]
impl<F> hyper::rt::Executor<F> for BoxedTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(task.map(drop).boxed());
    }
}

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Connections {
    pub tracker: TaskTracker,
    pub draining: CancellationToken,
    pub room: Arc<Semaphore>,
    pub http1: http1::Builder,
    #[cfg(feature = "http2")]
    pub http2: http2::Builder<BoxedTasks>,
    pub idle: Duration,
}

impl Connections {
    pub fn new(config: &HostConfig) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .half_close(false)
            .max_header_size(config.max_head_bytes)
            .max_buf_size(WRITE_BUFFER_BYTES.max(config.max_head_bytes));
        if config.max_headers != 100 {
            http1.max_headers(config.max_headers);
        }
        Connections {
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            room: Arc::new(Semaphore::new(config.max_connections)),
            http1,
            #[cfg(feature = "http2")]
            http2: http2(config),
            idle: Duration::from_secs(config.idle_timeout_secs),
        }
    }

    /// A place for one more connection; `None` when it is time to stop.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.draining.cancelled() => None,
            place = self.room.clone().acquire_owned() => place.ok(),
        }
    }
}

/// Running out of descriptors must not spin; some connection will end soon.
async fn after_failed_accept(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    // Real time: this is about the machine.
    #[allow(clippy::disallowed_methods)]
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn accept_tcp(listener: TcpListener, server: Arc<Server>, connections: Connections) {
    while let Some(place) = connections.place().await {
        let accepted = tokio::select! {
            biased;
            () = connections.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it small answers wait for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                serve(unread(Socket::Tcp(stream)), Some(peer), None, place, &server, &connections);
            }
            Err(error) => after_failed_accept(&error).await,
        }
    }
}

async fn accept_unix(listener: UnixListener, path: PathBuf, server: Arc<Server>, connections: Connections) {
    while let Some(place) = connections.place().await {
        let accepted = tokio::select! {
            biased;
            () = connections.draining.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                serve(unread(Socket::Unix(stream)), None, None, place, &server, &connections);
            }
            Err(error) => after_failed_accept(&error).await,
        }
    }
    // Already gone is as good as removed.
    let _ = std::fs::remove_file(path);
}

async fn accept_handed(mut receiver: Receiver, server: Arc<Server>, connections: Connections) {
    while let Some(place) = connections.place().await {
        let handed = tokio::select! {
            biased;
            () = connections.draining.cancelled() => return,
            handed = receiver.recv() => handed,
        };
        let Some(HandedConnection { stream, peer, route_key }) = handed else {
            tracing::warn!("the hand-off socket has failed; requests come through the router's proxy from now on");
            return;
        };
        let (read, stream) = stream.into_parts();
        let _ = stream.set_nodelay(true);
        let stream = Prefixed::new(read, Socket::Tcp(stream));
        serve(stream, Some(peer), Some(route_key), place, &server, &connections);
    }
}

/// Nothing was read of it before.
fn unread(socket: Socket) -> Prefixed<Socket> {
    Prefixed::new(Bytes::new(), socket)
}

fn serve(
    stream: Prefixed<Socket>,
    peer: Option<SocketAddr>,
    route_key: Option<RouteKey>,
    place: OwnedSemaphorePermit,
    server: &Arc<Server>,
    connections: &Connections,
) {
    let (server, connections) = (server.clone(), connections.clone());
    let tracker = connections.tracker.clone();
    let serving = async move {
        let _place = place;
        server.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Served {
            server: server.clone(),
            connection: Connection { peer, latest: LatestIdentity::default(), activity: Arc::default() },
            route_key,
            is_first: AtomicBool::new(true),
        });
        run(stream, connection, &connections).await;
        server.connections.fetch_sub(1, Ordering::Relaxed);
    };
    tracker.spawn(serving.boxed());
}

/// A connection and what its requests are answered with.
struct Served {
    server: Arc<Server>,
    connection: Connection,
    route_key: Option<RouteKey>,
    is_first: AtomicBool,
}

#[cfg(feature = "http2")]
fn http2(config: &HostConfig) -> http2::Builder<BoxedTasks> {
    let mut http2 = http2::Builder::new(BoxedTasks);
    let head_bytes = u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX);
    http2.max_concurrent_streams(HTTP2_MAX_STREAMS).max_header_list_size(head_bytes);
    http2
}

macro_rules! drive {
    ($connection:expr, $served:expr, $connections:expr) => {{
        let mut connection = std::pin::pin!($connection);
        // Its own node of the token tree, so that connections do not meet at one lock.
        let draining = $connections.draining.child_token();
        let mut silence = std::pin::pin!(silence(&$served.connection.activity, $connections.idle));
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, peer = ?$served.connection.peer, "a connection ended with an error");
                    }
                    return;
                }
                () = draining.cancelled(), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = silence.as_mut() => {
                    tracing::debug!(peer = ?$served.connection.peer, "a silent connection is closed");
                    return;
                }
            }
        }
    }};
}

async fn run(stream: Prefixed<Socket>, served: Arc<Served>, connections: &Connections) {
    let opened = tokio::select! {
        opened = tokio::time::timeout(connections.idle, open(stream)) => opened,
        () = connections.draining.cancelled() => return,
    };
    let Ok(Some((stream, is_http2))) = opened else { return };
    let answering = served.clone();
    let service = service_fn(move |request| {
        let served = answering.clone();
        async move { Ok::<_, Infallible>(served.respond(request).await) }
    });
    let io = TokioIo::new(BoundedReads::new(stream, served.server.clone()));
    if is_http2 {
        #[cfg(feature = "http2")]
        drive!(connections.http2.serve_connection(io, service), served, connections);
        #[cfg(not(feature = "http2"))]
        return tracing::debug!(peer = ?served.connection.peer, "HTTP/2 is not spoken here");
    }
    drive!(connections.http1.serve_connection(io, service).with_upgrades(), served, connections);
}

/// Reads enough to tell the protocol.
async fn open(stream: Prefixed<Socket>) -> Option<(Prefixed<Socket>, bool)> {
    let (prefix, mut stream) = stream.into_parts();
    let mut read = BytesMut::with_capacity(FIRST_READ_BYTES.max(prefix.len()));
    read.extend_from_slice(&prefix);
    loop {
        let compared = read.len().min(HTTP2_PREFACE.len());
        if compared > 0 && (read[..compared] != HTTP2_PREFACE[..compared] || compared == HTTP2_PREFACE.len()) {
            let is_http2 = read[..compared] == *HTTP2_PREFACE;
            return Some((Prefixed::new(read.freeze(), stream), is_http2));
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Completes when nothing has happened for `idle`, while nothing waited for the service.
async fn silence(activity: &Activity, idle: Duration) {
    let mut ticks = tokio::time::interval((idle / 2).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = None;
    let mut unchanged = 0;
    loop {
        ticks.tick().await;
        let now = activity.silent_since();
        unchanged = if now.is_some() && now == last { unchanged + 1 } else { 0 };
        last = now;
        if unchanged >= 2 {
            return;
        }
    }
}

impl Served {
    async fn respond(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let busy = self.connection.activity.begin();
        if let Some(key) = &self.route_key
            && !self.is_first.swap(false, Ordering::AcqRel)
        {
            let (head, body) = request.into_parts();
            let is_own = key.covers_request(&head);
            let request = Request::from_parts(head, body);
            if !is_own {
                return self.forward(request).await.map(|body| match body {
                    Ok(incoming) => ResponseBody::forwarded(incoming, busy),
                    Err(text) => ResponseBody::whole(text),
                });
            }
            return self.respond_own(request).await.map(|body| ResponseBody::of(body, busy));
        }
        self.respond_own(request).await.map(|body| ResponseBody::of(body, busy))
    }

    async fn respond_own(&self, request: Request<Incoming>) -> Response<fractus_wire::ByteStream> {
        if admin::is_admin(request.uri().path()) {
            return admin::answer(&self.server, request).await;
        }
        self.server.answer(&self.connection, request).await
    }

    /// A request for another service, on a connection that was handed over to this one.
    async fn forward(&self, request: Request<Incoming>) -> Response<Result<Incoming, String>> {
        let failed = |text: String| {
            let mut response = Response::new(Err(text));
            *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
            response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            response
        };
        let Some(router) = &self.server.host.config().router_url else {
            return failed("this request is for another service, and there is no router to send it to".to_owned());
        };
        match forward_to_router(request, router).await {
            Ok(response) => response.map(Ok),
            Err(error) => failed(error.to_string()),
        }
    }
}
