//! The whole stack's state as one stream: each service's export after the other.
//!
//! `FRACTUS-STATE 1\n`, then for each service a line `{"service": "sqs"}\n` and its export in pieces, each after its
//! length (u32, big-endian); a length of 0 ends the service. Nothing is collected: a state larger than memory passes
//! through in both directions.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{bad_request, fan};
use crate::answer;
use crate::proxy::body::{BoxError, RouterBody};
use crate::proxy::endpoint::Endpoint;
use crate::proxy::targets::TargetKind;
use crate::router::Router;

const OPENING: &[u8] = b"FRACTUS-STATE 1\n";
const STATE_PATH: &str = "/_fractus/state";
/// Pieces that wait between the reader of one side and the writer of the other.
const PIECES_BETWEEN: usize = 4;
const MAX_LINE_BYTES: usize = 1024;
/// A piece is passed on in parts, so its length bounds nothing but nonsense.
const MAX_PIECE_BYTES: usize = 1 << 30;

type Piece = Result<Frame<Bytes>, BoxError>;

/// Streams the state of all services that have one.
pub async fn export(router: &Arc<Router>, parts: &Parts) -> Response<RouterBody> {
    router.targets.start_those_with_state(None).await;
    let query = parts.uri.query().map_or(String::new(), |query| format!("?{query}"));
    let path = format!("{STATE_PATH}{query}");
    let services: Vec<_> =
        router.targets.services().into_iter().filter(|target| target.kind == TargetKind::Auto).collect();
    let (sender, receiver) = mpsc::channel::<Piece>(PIECES_BETWEEN);
    tokio::spawn(async move {
        let whole = async {
            send(&sender, Bytes::from_static(OPENING)).await?;
            for target in services {
                // Replicas share their state; one of them tells it.
                let Some(replica) = target.pick(&[]) else { continue };
                export_service(&target.service, &replica, &path, &sender).await?;
            }
            Ok::<(), BoxError>(())
        };
        if let Err(error) = whole.await {
            tracing::warn!(error, "an export broke off");
            // Ends the answer with an error, so that half a state is never taken for a whole one.
            let _ = sender.send(Err(error)).await;
        }
    });
    let mut response = Response::new(RouterBody::boxed(StreamBody::new(ReceiverStream::new(receiver))));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/octet-stream"));
    response
}

async fn export_service(
    service: &str,
    replica: &Arc<Endpoint>,
    path: &str,
    sender: &mpsc::Sender<Piece>,
) -> Result<(), BoxError> {
    let response = replica.ask(fan::request(Method::GET, path, RouterBody::empty())?).await?;
    if !response.status().is_success() {
        return Err(format!("{service} answered {} to {path}", response.status()).into());
    }
    send(sender, Bytes::from(format!("{}\n", json!({ "service": service })))).await?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if !data.is_empty() {
            send(sender, Bytes::copy_from_slice(&u32::try_from(data.len())?.to_be_bytes())).await?;
            send(sender, data).await?;
        }
    }
    send(sender, Bytes::from_static(&[0; 4])).await
}

async fn send(sender: &mpsc::Sender<Piece>, bytes: Bytes) -> Result<(), BoxError> {
    sender.send(Ok(Frame::data(bytes))).await.map_err(|_| "the reader of the state is gone".into())
}

/// Gives each service its part, starting those that are idle.
pub async fn import(router: &Arc<Router>, body: Incoming) -> Response<RouterBody> {
    let mut source = Source { body, read: BytesMut::new() };
    match import_all(router, &mut source).await {
        Ok(services) => answer::json(StatusCode::OK, &json!({ "imported": services })),
        Err(error) => bad_request(&format!("the state is not taken: {error}")),
    }
}

async fn import_all(router: &Arc<Router>, source: &mut Source) -> Result<Vec<String>, BoxError> {
    if source.line().await?.as_deref() != Some(OPENING) {
        return Err("it is no export of a stack".into());
    }
    let mut services = Vec::new();
    while let Some(line) = source.line().await? {
        let head: serde_json::Value = serde_json::from_slice(&line)?;
        let service = head["service"].as_str().ok_or("a part names no service")?.to_owned();
        import_service(router, &service, source).await.map_err(|error| format!("{service}: {error}"))?;
        services.push(service);
    }
    Ok(services)
}

async fn import_service(router: &Arc<Router>, service: &str, source: &mut Source) -> Result<(), BoxError> {
    let target = router.targets.started(service).await?;
    let replica = target.pick(&[]).ok_or("it has no replica")?;
    let (sender, receiver) = mpsc::channel::<Piece>(PIECES_BETWEEN);
    let body = RouterBody::boxed(StreamBody::new(ReceiverStream::new(receiver)));
    let request = fan::request(Method::POST, STATE_PATH, body)?;
    let sending = tokio::spawn(async move {
        let response = replica.ask(request).await?;
        let status = response.status();
        let said = response.into_body().collect().await?.to_bytes();
        Ok::<_, BoxError>((status, String::from_utf8_lossy(&said).into_owned()))
    });
    loop {
        let length = source.length().await?;
        if length == 0 {
            break;
        }
        let mut left = length;
        while left > 0 {
            let part = source.part(left).await?;
            left -= part.len();
            // A service that refuses stops reading; the rest of its part is passed over.
            let _ = sender.send(Ok(Frame::data(part))).await;
        }
    }
    drop(sender);
    let (status, said) = sending.await??;
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}: {said}").into()) }
}

/// The stream being imported, read by lines, lengths and parts.
struct Source {
    body: Incoming,
    read: BytesMut,
}

impl Source {
    /// Reads on; false at the end.
    async fn more(&mut self) -> Result<bool, BoxError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame?.into_data() {
                self.read.extend_from_slice(&data);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A line with its end; none at the end of all.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.read) {
                return Ok(Some(self.read.split_to(at + 1).to_vec()));
            }
            if self.read.len() > MAX_LINE_BYTES {
                return Err("it is no export of a stack".into());
            }
            if !self.more().await? {
                return if self.read.is_empty() { Ok(None) } else { Err("it is cut short".into()) };
            }
        }
    }

    async fn length(&mut self) -> Result<usize, BoxError> {
        while self.read.len() < 4 {
            if !self.more().await? {
                return Err("it is cut short".into());
            }
        }
        let length = usize::try_from(self.read.get_u32())?;
        if length > MAX_PIECE_BYTES { Err("it is malformed".into()) } else { Ok(length) }
    }

    /// At most `wanted` bytes, at least one.
    async fn part(&mut self, wanted: usize) -> Result<Bytes, BoxError> {
        while self.read.is_empty() {
            if !self.more().await? {
                return Err("it is cut short".into());
            }
        }
        Ok(self.read.split_to(self.read.len().min(wanted)).freeze())
    }
}
