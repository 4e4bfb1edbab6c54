//! The port: accepts connections, looks at their first bytes, and hands over or serves.
//!
//! A connection's way: [`opening`] reads its first bytes; plain HTTP/1.1 whose service can take it is given away
//! ([`handover`]); all else is served here by hyper ([`serve`]) and each request is passed on by itself ([`requests`]).

mod handover;
pub mod opening;
mod requests;
mod serve;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::router::Router;

pub use requests::{BODY_TIMEOUT, Caller};

/// Connections that the router itself may hold at once; one that is handed over no longer counts.
pub const MAX_CONNECTIONS: usize = 8192;

/// A pause after an accept that failed, so that a full table of open files does not spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves `listener` until `drain` says true, then lets open exchanges end within `grace`.
pub async fn run(router: Arc<Router>, listener: TcpListener, mut drain: watch::Receiver<bool>, grace: Duration) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = drain.wait_for(|drain| *drain) => break,
        };
        let Some((stream, peer, place)) = accepted else { return };
        let (router, drain) = (router.clone(), drain.clone());
        connections.spawn(async move {
            let _place = place;
            serve_connection(router, stream, peer, drain).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::info!(open = connections.len(), "the grace period is over; open connections are cut");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                Clock::real().sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(router: Arc<Router>, stream: TcpStream, peer: SocketAddr, drain: watch::Receiver<bool>) {
    // Answers are written in few large pieces already; waiting for more would only add to latency.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some((opening, stream)) = opening::read(stream).await else { return };
    let caller = Caller { peer, tls: None };
    match opening {
        opening::Opening::Tls(read) => {
            if let Some((stream, agreed, http2)) = tls::accept(&router, read, stream).await {
                serve::serve(router, stream, http2, Caller { peer, tls: Some(agreed) }, drain).await;
            }
        }
        opening::Opening::Http2(read) => {
            let stream = fractus_handoff::Prefixed::new(read, stream);
            serve::serve(router, stream, true, caller, drain).await;
        }
        opening::Opening::Http1(read) => {
            if let Some((read, stream)) = handover::hand_over(&router, read, stream, peer).await {
                let stream = fractus_handoff::Prefixed::new(read, stream);
                serve::serve(router, stream, false, caller, drain).await;
            }
        }
        opening::Opening::Refused(why) => opening::refuse(stream, why, &router.request_id()).await,
    }
}
