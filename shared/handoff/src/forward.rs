//! Sending a request that came to the wrong service back through the router.

use std::io;
use std::time::Duration;

use http::header::CONNECTION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::relay::{join_upgrades, strip_hop_headers};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request could not be sent back.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("the router at {address} does not answer")]
    Connect { address: String, source: io::Error },
    #[error("the router at {address} broke off")]
    Exchange { address: String, source: hyper::Error },
}

/// Sends `request` to the router at `router` (`host:port`, or its URL) over a connection of its own and gives its
/// answer, both streamed. The answer bears `Connection: close`: hyper then ends the caller's connection after it, and
/// the caller's next request is routed anew.
///
/// Upgrades are joined, so the caller's connection must be served with upgrades.
pub async fn forward_to_router<B>(mut request: Request<B>, router: &str) -> Result<Response<Incoming>, ForwardError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let address = address_of(router);
    let connect_error = |source| ForwardError::Connect { address: address.to_owned(), source };
    let exchange_error = |source| ForwardError::Exchange { address: address.to_owned(), source };
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(connect_error)?;
    stream.set_nodelay(true).map_err(connect_error)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(exchange_error)?;
    crate::spawn(async move {
        // What goes wrong is seen by the request, too.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection back to the router failed");
        }
    });
    let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    prepare(&mut request);
    let mut response = sender.send_request(request).await.map_err(exchange_error)?;
    if let Some(upgrade) = upgrade {
        let mut caller = Request::new(());
        caller.extensions_mut().insert(upgrade);
        join_upgrades(&mut caller, &mut response);
    }
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        strip_hop_headers(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// `http://127.0.0.1:4566/` and `127.0.0.1:4566` mean the same.
fn address_of(router: &str) -> &str {
    let after_scheme = router.split_once("://").map_or(router, |(_, rest)| rest);
    after_scheme.split('/').next().unwrap_or(after_scheme)
}

/// Origin form, the caller's own Host, and nothing of the hop it came by.
fn prepare<B>(request: &mut Request<B>) {
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(http::header::HOST, host);
    }
    let path_and_query = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path_and_query);
    *request.version_mut() = Version::HTTP_11;
    strip_hop_headers(request.headers_mut());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_a_url_too() {
        for router in ["127.0.0.1:4566", "http://127.0.0.1:4566", "http://127.0.0.1:4566/"] {
            assert_eq!(address_of(router), "127.0.0.1:4566");
        }
    }
}
