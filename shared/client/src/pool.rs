//! Connections to services, kept for a while for the next call. HTTP/1.1 alone, which every service speaks: a client that could
//! speak HTTP/2 too would be as large as all the rest of this crate.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Stopwatch;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::send::OutgoingBody;

/// Connections are made at once on one machine and quickly in its network.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Shorter than servers keep idle connections, so that a kept one is rarely found closed.
const IDLE: Duration = Duration::from_secs(20);
const MAX_IDLE_PER_HOST: usize = 32;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("the address is no host's")]
    Address,
    #[error("no connection within {CONNECT_WITHIN:?}")]
    Slow,
    #[error("no connection")]
    Connect(#[from] io::Error),
    #[error("the connection failed")]
    Connection(#[from] hyper::Error),
}

type Sender = SendRequest<OutgoingBody>;

/// A connection that nobody uses.
struct Idle {
    sender: Sender,
    since: Stopwatch,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.sender.is_ready() && self.since.elapsed() < IDLE
    }
}

/// Connections by their hosts; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    idle: Arc<Mutex<HashMap<Authority, Vec<Idle>>>>,
}

impl Pool {
    /// Sends a request whose URI names its host, over a kept connection or a new one.
    pub async fn request(&self, request: Request<OutgoingBody>) -> Result<Response<Incoming>, PoolError> {
        let authority = request.uri().authority().cloned().ok_or(PoolError::Address)?;
        let mut request = addressed(request, &authority)?;
        while let Some(mut sender) = self.take(&authority) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answered(authority, sender, response)),
                // It was closed while nobody looked, before anything of the request went out.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(failed.into_error().into()),
                },
            }
        }
        let mut sender = connect(&authority).await?;
        let response = sender.send_request(request).await?;
        Ok(self.answered(authority, sender, response))
    }

    fn take(&self, authority: &Authority) -> Option<Sender> {
        let mut idle = self.idle.lock();
        let kept = idle.get_mut(authority)?;
        while let Some(last) = kept.pop() {
            if last.is_usable() {
                return Some(last.sender);
            }
        }
        idle.remove(authority);
        None
    }

    fn keep(&self, authority: Authority, sender: Sender) {
        let mut idle = self.idle.lock();
        // Whoever is asked no more is not remembered.
        idle.retain(|_, kept| {
            kept.retain(Idle::is_usable);
            !kept.is_empty()
        });
        let kept = idle.entry(authority).or_default();
        if kept.len() < MAX_IDLE_PER_HOST {
            kept.push(Idle { sender, since: Stopwatch::start() });
        }
    }

    /// A connection is free when its answer has been read to the end; one that is not read to the end is closed.
    fn answered(&self, authority: Authority, mut sender: Sender, response: Response<Incoming>) -> Response<Incoming> {
        if sender.is_ready() {
            self.keep(authority, sender);
        } else {
            let pool = self.clone();
            tokio::spawn(async move {
                if sender.ready().await.is_ok() {
                    pool.keep(authority, sender);
                }
            });
        }
        response
    }
}

async fn connect(authority: &Authority) -> Result<Sender, PoolError> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let connecting = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
    let socket = tokio::time::timeout(CONNECT_WITHIN, connecting).await.map_err(|_| PoolError::Slow)??;
    socket.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(async move {
        // Who waits for an answer is told by its own end.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The request as it stands on its connection: the path alone, and the host as a header where it has none.
fn addressed(request: Request<OutgoingBody>, authority: &Authority) -> Result<Request<OutgoingBody>, PoolError> {
    let (mut head, body) = request.into_parts();
    if !head.headers.contains_key(HOST) {
        let host = match authority.port_u16() {
            Some(80) => authority.host(),
            _ => authority.as_str(),
        };
        head.headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| PoolError::Address)?);
    }
    head.uri = Uri::from(head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(Request::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn request(address: std::net::SocketAddr) -> Request<OutgoingBody> {
        let body = OutgoingBody::Whole(Full::new(Bytes::new()));
        Request::get(format!("http://{address}/a?b")).body(body).unwrap()
    }

    /// Answers so many requests on each connection, then closes it; the heads that came, by their connection.
    async fn serve(listener: TcpListener, each: usize, heads: tokio::sync::mpsc::UnboundedSender<(usize, String)>) {
        for connection in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            for _ in 0..each {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                heads.send((connection, String::from_utf8(head).unwrap())).unwrap();
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_a_closed_one_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(listener, 2, sender));
        let pool = Pool::default();
        let mut seen = Vec::new();
        for _ in 0..5 {
            let answer = pool.request(request(address)).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
            let (connection, head) = heads.recv().await.unwrap();
            assert!(
                head.starts_with("GET /a?b HTTP/1.1\r\n") && head.contains(&format!("host: {address}\r\n")),
                "{head}"
            );
            seen.push(connection);
            // The connection is put back by its own task.
            while pool.idle.lock().values().map(Vec::len).sum::<usize>() == 0 && seen.len() % 2 == 1 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(seen, [0, 0, 1, 1, 2]);
    }

    #[tokio::test]
    async fn nobody_there_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(Pool::default().request(request(address)).await, Err(PoolError::Connect(_))));
    }
}
