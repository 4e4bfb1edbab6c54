//! The router's side: gives connections away.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::net::{
    self, AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::key::RouteKey;
use crate::packet;

/// An open way to one service process. Any number of tasks may send at once.
#[derive(Debug)]
pub struct Sender {
    /// Of type SOCK_SEQPACKET; tokio's stream only waits for it and never reads or writes.
    socket: UnixStream,
}

impl Sender {
    /// Connects to the socket that the service's [`crate::Receiver`] is bound to. Does not wait: a service that does
    /// not take connections fast enough is an error like one that is not there, and the caller proxies instead.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Sender { socket: UnixStream::from_std(socket.into())? })
    }

    /// Gives the service a copy of `connection`, whose first `read` bytes the caller has taken off it. The caller drops
    /// its own copy when this succeeds, and still has everything when it fails.
    pub async fn send(&self, connection: impl AsFd, peer: SocketAddr, key: &RouteKey, read: &[u8]) -> io::Result<()> {
        let packet = packet::encode(peer, key, read);
        if packet.len() > packet::MAX_PACKET_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more was read than a hand-off may carry"));
        }
        self.socket.async_io(Interest::WRITABLE, || send_packet(self.socket.as_fd(), connection.as_fd(), &packet)).await
    }
}

fn send_packet(socket: BorrowedFd<'_>, connection: BorrowedFd<'_>, packet: &[u8]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let connections = [connection];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&connections)) {
        return Err(io::Error::other("no room for the connection beside the packet"));
    }
    let sent = net::sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
