//! The client of a running stack's admin paths.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use crate::proxy::body::{BoxError, RouterBody};
use crate::proxy::endpoint::{Endpoint, SendError};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Nobody listens where the stack should be.
#[derive(Debug, thiserror::Error)]
#[error(
    "no stack answers at {url}. Start one with `fractus up` (`scripts/up` where it is built from source), or name where it is with \
     --endpoint or FRACTUS_ENDPOINT"
)]
pub struct NoStack {
    url: String,
    #[source]
    why: std::io::Error,
}

/// A running stack.
pub struct Client {
    endpoint: Arc<Endpoint>,
    host: String,
}

impl Client {
    pub fn new(url: &str) -> Result<Self, BoxError> {
        let host = url.parse::<http::Uri>()?.authority().map_or("localhost".to_owned(), ToString::to_string);
        Ok(Client { endpoint: Arc::new(Endpoint::new(url.trim_end_matches('/'), None)?), host })
    }

    /// Asks, and reads the whole answer as JSON; an answer that is no success is an error.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, BoxError> {
        let (status, value) = self.ask_any(method, path, body).await?;
        if status.is_success() {
            return Ok(value);
        }
        let why = value.get("message").and_then(Value::as_str).map_or_else(|| value.to_string(), str::to_owned);
        let services = value.get("services").map(|services| format!(": {services}")).unwrap_or_default();
        Err(format!("{path} answered {status}: {why}{services}").into())
    }

    /// Asks, whatever the status of the answer.
    pub async fn ask_any(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), BoxError> {
        let body = body.map_or(RouterBody::empty(), |body| RouterBody::full(body.to_string()));
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let bytes: Bytes = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await?.to_bytes();
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await?
    }

    /// Sends a request whose answer is read as it comes.
    pub async fn send(&self, method: Method, path: &str, body: RouterBody) -> Result<Response<RouterBody>, BoxError> {
        let request = Request::builder().method(method).uri(path).header(HOST, &self.host).body(body)?;
        match self.endpoint.send(request).await {
            Ok(response) => Ok(response),
            Err(SendError::NotSent(_, why)) => Err(NoStack { url: self.endpoint.url.clone(), why }.into()),
            Err(broken @ SendError::Broken(..)) => Err(format!("{}: {broken}", self.endpoint.url).into()),
        }
    }
}
