//! One bounded GET: an identity provider's documents.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// No provider's document is longer.
const MAX_BYTES: usize = 512 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a document did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is no http or https URL")]
    Url(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("it answered {0}")]
    Status(http::StatusCode),
    #[error("the connection failed: {0}")]
    Connection(#[source] BoxError),
}

/// The body of the 200 answer to a GET of `url`. Redirects are not followed: keys come from where the issuer says.
pub async fn get(url: &str, timeout: Duration) -> Result<Bytes, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Url(url.to_owned()))?;
    match tokio::time::timeout(timeout, get_at(&uri)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::TimedOut(timeout)),
    }
}

async fn get_at(uri: &Uri) -> Result<Bytes, FetchError> {
    let wrong = || FetchError::Url(uri.to_string());
    let authority = uri.authority().ok_or_else(wrong)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong()),
    };
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let failed = |error: std::io::Error| FetchError::Connection(error.into());
    // `*.localhost` is this machine, whatever the resolver says of it.
    let address = if host.ends_with(".localhost") { "localhost".to_owned() } else { host.clone() };
    let socket = TcpStream::connect((address, port)).await.map_err(failed)?;
    if !tls {
        return exchange(socket, uri).await;
    }
    let name = ServerName::try_from(host).map_err(|_| wrong())?;
    let socket = TlsConnector::from(TLS.clone()).connect(name, socket).await.map_err(failed)?;
    exchange(socket, uri).await
}

async fn exchange<S>(socket: S, uri: &Uri) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| FetchError::Connection(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| FetchError::Connection(error.into()))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    if answer.status() != http::StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await.map_err(FetchError::Connection)?;
    connection.abort();
    Ok(body.to_bytes())
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
