//! Passing an accepted TCP connection from the router to the service that its first request names.
//!
//! A router that copies bytes between two sockets costs every request a second trip through the kernel. On one
//! machine it can do better: it reads the head of a connection's first request, decides the service, and gives the
//! connection away, together with the bytes already read, over a Unix socket ([`Sender`], [`Receiver`]). From then on
//! the service talks to the client itself and the router has no part in it.
//!
//! A client may reuse its connection for another service. So the service compares each later request with what the
//! router decided by ([`RouteKey::covers`]) and sends a request that is not its own back through the router over
//! ordinary HTTP ([`forward_to_router`]), then closes the connection, so that the client's next one is routed anew.
//!
//! Which names and paths belong to which service is no knowledge of this crate: it says only which parts of a head can
//! decide, and the router says how many of them it needed ([`Depth`]).
//!
//! Left out on purpose: TLS and HTTP/2 connections, which carry state that cannot be handed over, and machines without
//! Unix sockets. The router proxies these.

mod facts;
mod forward;
mod key;
mod packet;
mod prefixed;
mod receiver;
mod relay;
mod sender;

pub use facts::{RouteFacts, is_reserved};
pub use forward::{ForwardError, forward_to_router};
pub use key::{Depth, RouteKey, same_service};
pub use packet::{MAX_READ_AHEAD_BYTES, PacketError};
pub use prefixed::Prefixed;
pub use receiver::{HandedConnection, Receiver};
pub use relay::{is_upgrade, join_upgrades, strip_hop_headers};
pub use sender::Sender;

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task in a box: tokio's code for tasks is compiled for each type of them.
fn task(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(task)
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(task(work))
}
