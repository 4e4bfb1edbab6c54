//! Requests to HTTP endpoints outside: one connection a request, bounded in time and size. Redirects are answers like any
//! other: what goes along (headers, tokens) is for the endpoint alone.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("{0} is no http or https URL")]
    Url(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the connection failed: {0}")]
    Connection(#[source] BoxError),
}

impl From<std::io::Error> for OutgoingError {
    fn from(error: std::io::Error) -> Self {
        OutgoingError::Connection(error.into())
    }
}

impl From<hyper::Error> for OutgoingError {
    fn from(error: hyper::Error) -> Self {
        OutgoingError::Connection(error.into())
    }
}

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct TrustError {
    pub path: String,
    #[source]
    pub cause: BoxError,
}

/// What an endpoint said.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Bounds of a request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For all of it, from the connection to the end of the answer.
    pub timeout: Duration,
    /// Of the answer's body.
    pub max_answer_bytes: usize,
}

/// Sends requests; clones share the TLS configuration.
#[derive(Clone, Debug)]
pub struct Outgoing {
    bounds: Bounds,
    tls: Arc<ClientConfig>,
}

impl Outgoing {
    /// Trusts the public authorities.
    pub fn new(bounds: Bounds) -> Self {
        Outgoing { bounds, tls: PUBLIC.clone() }
    }

    /// Trusts the certificates of a PEM file beside the public authorities.
    pub fn trusting(bounds: Bounds, pem_file: &Path) -> Result<Self, TrustError> {
        let unusable = |cause: BoxError| TrustError { path: pem_file.display().to_string(), cause };
        let mut roots = public_roots();
        let certificates = CertificateDer::pem_file_iter(pem_file).map_err(|error| unusable(error.into()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(error.into()))?;
            roots.add(certificate).map_err(|error| unusable(error.into()))?;
        }
        Ok(Outgoing { bounds, tls: configuration(roots) })
    }

    /// Sends a request whose URI is a whole URL. The answer's body is read to its end.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, OutgoingError> {
        self.within(self.exchange(request, true)).await
    }

    /// The same where only the status counts: of the body no more is read than the bound, and its end is nobody's affair.
    pub async fn status_of(&self, request: Request<Bytes>) -> Result<StatusCode, OutgoingError> {
        self.within(self.exchange(request, false)).await.map(|answer| answer.status)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, OutgoingError>>) -> Result<T, OutgoingError> {
        let timeout = self.bounds.timeout;
        tokio::time::timeout(timeout, work).await.unwrap_or(Err(OutgoingError::TimedOut(timeout)))
    }

    async fn exchange(&self, request: Request<Bytes>, whole: bool) -> Result<Answer, OutgoingError> {
        let uri = request.uri().clone();
        let wrong = || OutgoingError::Url(uri.to_string());
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let request = addressed(request, authority).ok_or_else(wrong)?;
        // `*.localhost` is this machine, whatever the resolver says of it.
        let address = if host.ends_with(".localhost") { "localhost".to_owned() } else { host.clone() };
        let socket = TcpStream::connect((address, port)).await?;
        if !tls {
            return self.over(socket, request, whole).await;
        }
        let name = ServerName::try_from(host).map_err(|_| wrong())?;
        let socket = TlsConnector::from(self.tls.clone()).connect(name, socket).await?;
        self.over(socket, request, whole).await
    }

    async fn over<S>(&self, socket: S, request: Request<Full<Bytes>>, whole: bool) -> Result<Answer, OutgoingError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let _connection = AbortOnDrop(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await?.into_parts();
        let max = self.bounds.max_answer_bytes;
        let body = match Limited::new(body, max).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) if !whole => Bytes::new(),
            Err(error) if error.is::<LengthLimitError>() => return Err(OutgoingError::TooLong(max)),
            Err(error) => return Err(OutgoingError::Connection(error)),
        };
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// The request as it stands on its connection: the path alone, the host as a header, a name and a password in the URL as
/// basic authorization.
fn addressed(request: Request<Bytes>, authority: &Authority) -> Option<Request<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let (user, host) = match authority.as_str().rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority.as_str()),
    };
    head.headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
    if let Some(user) = user.filter(|_| !head.headers.contains_key(header::AUTHORIZATION)) {
        let plain = percent_encoding::percent_decode_str(user).decode_utf8_lossy();
        let basic = format!("Basic {}", STANDARD.encode(plain.as_bytes()));
        head.headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&basic).ok()?);
    }
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    Some(Request::from_parts(head, Full::new(body)))
}

/// The connection's task ends with the request, however that ends.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

static PUBLIC: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| configuration(public_roots()));

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn configuration(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    #[allow(clippy::expect_used)]
    // The provider and the versions are both of this build.
    let config = versions.expect("ring knows the default versions").with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}
