//! Serving a connection here, request by request.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::opening::MAX_HEADERS;
use super::requests::{self, Caller};
use crate::proxy::body::RouterBody;
use crate::router::Router;

/// Within this a kept-alive connection must send its next head.
const NEXT_HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HTTP1_BUFFER_BYTES: usize = 64 * 1024;
const MAX_HTTP2_STREAMS: u32 = 256;
const MAX_HTTP2_HEADER_BYTES: u32 = 64 * 1024;
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// The two kinds of connection have the same methods and no common trait.
macro_rules! serve_until {
    ($connection:ident, $drain:ident) => {{
        let mut drain = $drain;
        let ended = tokio::select! {
            ended = $connection.as_mut() => Some(ended),
            _ = drain.wait_for(|drain| *drain) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                $connection.as_mut().graceful_shutdown();
                $connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }};
}

/// Serves until the client ends, or `drain` says true and open exchanges are done.
pub async fn serve<S>(router: Arc<Router>, stream: S, http2: bool, caller: Caller, drain: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<Response<RouterBody>, Infallible>(requests::answer(router, request, caller).await) }
    });
    let io = TokioIo::new(stream);
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_HTTP2_STREAMS)
            .max_header_list_size(MAX_HTTP2_HEADER_BYTES)
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .enable_connect_protocol();
        let mut connection = pin!(builder.serve_connection(io, service));
        serve_until!(connection, drain);
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(NEXT_HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HTTP1_BUFFER_BYTES);
        let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
        serve_until!(connection, drain);
    }
}
