//! TLS on the same port.

use std::sync::Arc;

use bytes::Bytes;
use fractus_handoff::Prefixed;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::opening::HEAD_TIMEOUT;
use crate::router::Router;

/// Completes the handshake that begins with `read`; says whether HTTP/2 was agreed on.
pub async fn accept(
    router: &Arc<Router>,
    read: Bytes,
    stream: TcpStream,
) -> Option<(TlsStream<Prefixed<TcpStream>>, bool)> {
    let config = match router.certificates.server_config() {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no TLS");
            return None;
        }
    };
    let handshake = TlsAcceptor::from(config).accept(Prefixed::new(read, stream));
    match tokio::time::timeout(HEAD_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Some((stream, http2))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
