//! One bounded GET: an identity provider's documents.

use std::time::Duration;

use bytes::Bytes;
use fractus_outgoing::{Bounds, Outgoing, OutgoingError};
use http::{Request, StatusCode, header};

/// No provider's document is longer.
const MAX_BYTES: usize = 512 * 1024;

/// Why a document did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is no http or https URL")]
    Url(String),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    NoAnswer(OutgoingError),
}

/// The body of the 200 answer to a GET of `url`. Redirects are not followed: keys come from where the issuer says.
pub async fn get(url: &str, timeout: Duration) -> Result<Bytes, FetchError> {
    let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
    let request = request.map_err(|_| FetchError::Url(url.to_owned()))?;
    match Outgoing::new(Bounds { timeout, max_answer_bytes: MAX_BYTES }).send(request).await {
        Ok(answer) if answer.status == StatusCode::OK => Ok(answer.body),
        Ok(answer) => Err(FetchError::Status(answer.status)),
        Err(OutgoingError::Url(url)) => Err(FetchError::Url(url)),
        Err(error) => Err(FetchError::NoAnswer(error)),
    }
}
