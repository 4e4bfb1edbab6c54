//! TLS on the same port.

use std::sync::Arc;

use bytes::Bytes;
use fractus_handoff::Prefixed;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::opening::HEAD_TIMEOUT;
use crate::router::Router;

/// What was agreed on with a caller, as S3's access logs write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub version: &'static str,
    /// OpenSSL's name.
    pub cipher: &'static str,
}

impl Agreed {
    fn of(connection: &ServerConnection) -> Agreed {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let cipher = match connection.negotiated_cipher_suite().map(|suite| suite.suite()) {
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) => "ECDHE-RSA-AES128-GCM-SHA256",
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) => "ECDHE-RSA-AES256-GCM-SHA384",
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-RSA-CHACHA20-POLY1305",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-ECDSA-CHACHA20-POLY1305",
            _ => "-",
        };
        Agreed { version, cipher }
    }
}

/// Completes the handshake that begins with `read`; says what was agreed on, and whether HTTP/2 was.
pub async fn accept(
    router: &Arc<Router>,
    read: Bytes,
    stream: TcpStream,
) -> Option<(TlsStream<Prefixed<TcpStream>>, Agreed, bool)> {
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
            let connection = stream.get_ref().1;
            let (agreed, http2) = (Agreed::of(connection), connection.alpn_protocol() == Some(b"h2"));
            Some((stream, agreed, http2))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
