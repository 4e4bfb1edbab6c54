//! How much of a connection is read at once.
//!
//! hyper keeps room for one read of each connection, and doubles it as long as reads fill it. Large reads make large
//! bodies fast, but what a connection has room for it keeps when its peer falls silent in the midst of a body. So all
//! connections together have one amount, of which each reads its part at a time: a few as much as pays, many little.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::serve::Server;

/// What all connections together have room for. Those that come one by one, each falling silent when it has taken its part,
/// take a multiple of it: a thousand of them four and a half times as much.
const TOGETHER_BYTES: u64 = 4 * 1024 * 1024;
/// More at once is not faster.
const MOST_BYTES: u64 = 256 * 1024;
/// Less hyper does not have.
const LEAST_BYTES: u64 = 8 * 1024;

/// How much one of so many connections may read at once: just less than the power of two up to which hyper's room for it
/// then grows.
fn at_once(connections: usize) -> u64 {
    let part = (TOGETHER_BYTES / (connections as u64).max(1)).clamp(LEAST_BYTES, MOST_BYTES);
    (1 << part.ilog2()) - 1
}

/// A stream whose reads are no longer than its part.
pub(crate) struct BoundedReads<S> {
    stream: Take<S>,
    server: Arc<Server>,
}

impl<S: AsyncRead> BoundedReads<S> {
    pub fn new(stream: S, server: Arc<Server>) -> Self {
        BoundedReads { stream: stream.take(LEAST_BYTES), server }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedReads<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connections = self.server.connections.load(Ordering::Relaxed);
        self.stream.set_limit(at_once(connections));
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for BoundedReads<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_connections_read_much_and_many_read_little() {
        assert_eq!([0, 1, 16, 17, 1_000, 1_000_000].map(at_once), [262_143, 262_143, 262_143, 131_071, 8_191, 8_191]);
        // Each that comes takes room for the next power of two, and keeps it.
        let kept = |connections: usize| (1..=connections).map(|number| at_once(number) + 1).sum::<u64>();
        assert!(kept(1_000) < 18 << 20, "{}", kept(1_000));
    }
}
