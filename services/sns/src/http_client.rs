//! POSTs to endpoints: bounded in time and in what is read of an answer. Redirects are not followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::store::HttpRequest;

/// An endpoint has so long to answer.
/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html>
const TIMEOUT: Duration = Duration::from_secs(15);
/// No more of an answer is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a POST has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("{0} is no http or https URL")]
    Url(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed: {0}")]
    Connection(#[source] BoxError),
}

/// The client; clones share its TLS configuration.
#[derive(Clone)]
pub struct HttpClient {
    tls: Arc<ClientConfig>,
}

impl HttpClient {
    /// `trusted`: a file of PEM certificates beside the public authorities.
    pub fn new(trusted: Option<&str>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = trusted {
            let unusable =
                |error: &dyn std::fmt::Display| Error::Internal(format!("trusted_certificates, {path}: {error}"));
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(HttpClient { tls: Arc::new(config.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// The status of the answer.
    pub async fn post(&self, request: &HttpRequest) -> Result<StatusCode, PostError> {
        let uri: Uri = request.url.parse().map_err(|_| PostError::Url(request.url.clone()))?;
        match tokio::time::timeout(TIMEOUT, self.post_at(&uri, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(PostError::TimedOut(TIMEOUT)),
        }
    }

    async fn post_at(&self, uri: &Uri, request: &HttpRequest) -> Result<StatusCode, PostError> {
        let wrong = || PostError::Url(uri.to_string());
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let failed = |error: std::io::Error| PostError::Connection(error.into());
        // `*.localhost` is this machine, whatever the resolver says of it.
        let address = if host.ends_with(".localhost") { "localhost".to_owned() } else { host.clone() };
        let socket = TcpStream::connect((address, port)).await.map_err(failed)?;
        if !tls {
            return exchange(socket, uri, request).await;
        }
        let name = ServerName::try_from(host).map_err(|_| wrong())?;
        let socket = TlsConnector::from(self.tls.clone()).connect(name, socket).await.map_err(failed)?;
        exchange(socket, uri, request).await
    }
}

async fn exchange<S>(socket: S, uri: &Uri, request: &HttpRequest) -> Result<StatusCode, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| PostError::Connection(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let mut builder = Request::post(path).header(header::HOST, host);
    if let Some(credentials) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')) {
        builder = builder.header(header::AUTHORIZATION, basic(credentials.0));
    }
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(request.body.clone()));
    let post = builder.body(body).map_err(|error| PostError::Connection(error.into()))?;
    let answer = sender.send_request(post).await.map_err(failed)?;
    let status = answer.status();
    // What it says is nobody's affair; reading it is polite.
    let _ = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    connection.abort();
    Ok(status)
}

/// Endpoints may carry a name and a password.
/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.subscribe.html>
fn basic(credentials: &str) -> String {
    use base64::Engine;
    let plain = percent_encoding::percent_decode_str(credentials).decode_utf8_lossy().into_owned();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
}
