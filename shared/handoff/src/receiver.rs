//! The service's side: takes connections over.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::key::RouteKey;
use crate::packet::{self, MAX_PACKET_BYTES};
use crate::prefixed::Prefixed;

/// Routers that may be connected at once. A stack has one; the rest is room for tests and restarts.
const MAX_ROUTERS: usize = 16;

/// Connections taken over but not yet served. When it is full the router waits, as with a full listen queue.
const WAITING_CONNECTIONS: usize = 64;

/// A connection that the router gave to this service.
#[derive(Debug)]
pub struct HandedConnection {
    /// Reads the bytes that the router had read, then on from the connection.
    pub stream: Prefixed<TcpStream>,
    /// The client, as the router saw it.
    pub peer: SocketAddr,
    /// What decided for this service. A later request that it does not cover goes back through the router.
    pub route_key: RouteKey,
}

/// Takes connections over; ends, and removes its socket, when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    connections: mpsc::Receiver<HandedConnection>,
    accepting: JoinHandle<()>,
    path: PathBuf,
}

impl Receiver {
    /// Binds the socket at `path`; a socket left there by an earlier process is replaced.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        net::bind(&listener, &SocketAddrUnix::new(path)?)?;
        net::listen(&listener, 128)?;
        // tokio's listener and streams only wait and accept; the packets are read below.
        let listener = UnixListener::from_std(listener.into())?;
        let (sender, connections) = mpsc::channel(WAITING_CONNECTIONS);
        Ok(Receiver { connections, accepting: crate::spawn(accept_routers(listener, sender)), path: path.to_owned() })
    }

    /// The next connection; `None` when the socket has failed for good. May be cancelled without losing one.
    pub async fn recv(&mut self) -> Option<HandedConnection> {
        self.connections.recv().await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
        // Already gone is as good as removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept_routers(listener: UnixListener, sender: mpsc::Sender<HandedConnection>) {
    let room = Arc::new(Semaphore::new(MAX_ROUTERS));
    let mut routers = tokio::task::JoinSet::new();
    while let Ok(place) = room.clone().acquire_owned().await {
        let router = match listener.accept().await {
            Ok((router, _)) => router,
            Err(error) => {
                tracing::warn!(%error, "the hand-off socket cannot accept; connections will be proxied");
                return;
            }
        };
        while routers.try_join_next().is_some() {}
        let sender = sender.clone();
        let receiving = async move {
            let _place = place;
            if let Err(error) = receive_from_router(router, sender).await {
                tracing::warn!(%error, "a router's hand-off socket failed");
            }
        };
        routers.spawn(crate::task(receiving));
    }
}

async fn receive_from_router(router: UnixStream, sender: mpsc::Sender<HandedConnection>) -> io::Result<()> {
    let mut buffer = vec![0; MAX_PACKET_BYTES];
    loop {
        let received = router.async_io(Interest::READABLE, || receive_packet(router.as_fd(), &mut buffer)).await?;
        match received {
            Received::Closed => return Ok(()),
            Received::Unusable(why) => tracing::warn!(why, "a handed-off connection was dropped"),
            Received::Connection(connection, length) => match take_over(connection, &buffer[..length]) {
                Ok(handed) => {
                    if sender.send(handed).await.is_err() {
                        return Ok(());
                    }
                }
                Err(error) => tracing::warn!(%error, "a handed-off connection was dropped"),
            },
        }
    }
}

enum Received {
    Connection(OwnedFd, usize),
    Unusable(&'static str),
    Closed,
}

fn receive_packet(router: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = net::recvmsg(router, &mut [IoSliceMut::new(buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut connection = None;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = part {
            connection = descriptors.next();
        }
    }
    Ok(match connection {
        _ if message.flags.contains(ReturnFlags::TRUNC) => Received::Unusable("its packet is too long"),
        Some(connection) => Received::Connection(connection, message.bytes),
        None if message.bytes == 0 => Received::Closed,
        None => Received::Unusable("its packet carries no connection; is the limit of open files reached?"),
    })
}

fn take_over(connection: OwnedFd, packet: &[u8]) -> io::Result<HandedConnection> {
    let (peer, route_key, read_at) =
        packet::decode(packet).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let connection = std::net::TcpStream::from(connection);
    // The flag is shared with the sender's copy and set already, but a stranger's router may be written otherwise.
    connection.set_nonblocking(true)?;
    let stream = TcpStream::from_std(connection)?;
    Ok(HandedConnection { stream: Prefixed::new(Bytes::copy_from_slice(&packet[read_at..]), stream), peer, route_key })
}
