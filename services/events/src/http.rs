//! Calls to HTTP endpoints outside: one connection a call, bounded in time and size. Redirects are answers like any other:
//! what goes along (headers, tokens) is for the endpoint alone.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// No answer that matters is longer.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{0} is no http or https URL")]
    Url(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed: {0}")]
    Connection(#[source] BoxError),
}

/// What an endpoint said.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone, Debug)]
pub struct HttpClient {
    timeout: Duration,
}

impl HttpClient {
    pub fn new(timeout: Duration) -> Self {
        HttpClient { timeout }
    }

    /// Sends a request whose URI is a whole URL.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, HttpError> {
        let answering = tokio::time::timeout(self.timeout, send(request));
        answering.await.unwrap_or(Err(HttpError::TimedOut(self.timeout)))
    }
}

async fn send(request: Request<Bytes>) -> Result<Answer, HttpError> {
    let uri = request.uri().clone();
    let wrong = || HttpError::Url(uri.to_string());
    let authority = uri.authority().ok_or_else(wrong)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong()),
    };
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let failed = |error: std::io::Error| HttpError::Connection(error.into());
    // `*.localhost` is this machine, whatever the resolver says of it.
    let address = if host.ends_with(".localhost") { "localhost".to_owned() } else { host.clone() };
    let socket = TcpStream::connect((address, port)).await.map_err(failed)?;
    if !tls {
        return exchange(socket, request).await;
    }
    let name = ServerName::try_from(host).map_err(|_| wrong())?;
    let socket = TlsConnector::from(TLS.clone()).connect(name, socket).await.map_err(failed)?;
    exchange(socket, request).await
}

async fn exchange<S>(socket: S, request: Request<Bytes>) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| HttpError::Connection(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(failed)?;
    let connection = AbortOnDrop(tokio::spawn(connection));
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().map_or("", |authority| authority.as_str()).to_owned();
    let host = authority.parse().map_err(|_| HttpError::Url(authority))?;
    head.headers.insert(header::HOST, host);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().map_err(|_| HttpError::Url(path.to_owned()))?;
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await.map_err(failed)?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(HttpError::Connection)?;
    drop(connection);
    Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
}

/// The connection's task ends with the call, however that ends.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    #[allow(clippy::expect_used)]
    // The provider and the versions are both of this build.
    let config = versions.expect("ring knows the default versions").with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
});
