//! Asking every running service the same thing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use crate::proxy::body::{BoxError, RouterBody};
use crate::proxy::endpoint::Endpoint;
use crate::proxy::targets::TargetKind;
use crate::router::Router;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What one replica said; its text where that is no JSON.
#[derive(Debug)]
pub struct Answered {
    pub service: String,
    pub status: StatusCode,
    pub value: Value,
}

pub async fn ask_all(router: &Arc<Router>, method: &Method, path: &str, body: &Bytes) -> Vec<Answered> {
    ask(router, method, path, body, |_| true).await
}

/// Asks every replica of ours; URLs that point elsewhere and AWS have no such paths.
pub async fn ask(
    router: &Arc<Router>,
    method: &Method,
    path: &str,
    body: &Bytes,
    which: impl Fn(&str) -> bool,
) -> Vec<Answered> {
    let mut asking = tokio::task::JoinSet::new();
    for target in router.targets.services() {
        if target.kind != TargetKind::Auto || !which(&target.service) {
            continue;
        }
        for replica in target.replicas().iter() {
            let (service, method) = (target.service.clone(), method.clone());
            let (replica, path, body) = (replica.clone(), path.to_owned(), body.clone());
            asking.spawn(async move {
                let (status, value) = ask_one(&replica, method, &path, body).await;
                Answered { service, status, value }
            });
        }
    }
    let mut answers = asking.join_all().await;
    answers.sort_by(|a, b| a.service.cmp(&b.service));
    answers
}

/// One replica's answer; a replica that gives none counts as one that answered 502.
pub async fn ask_one(replica: &Arc<Endpoint>, method: Method, path: &str, body: Bytes) -> (StatusCode, Value) {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange(replica, method, path, body)).await;
    match answer {
        Ok(Ok((status, bytes))) => {
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
        }
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, Value::String(error.to_string())),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, Value::String(format!("no answer within {ANSWER_TIMEOUT:?}"))),
    }
}

async fn exchange(
    replica: &Arc<Endpoint>,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), BoxError> {
    let request = request(method, path, if body.is_empty() { RouterBody::empty() } else { RouterBody::full(body) })?;
    let response = replica.ask(request).await?;
    let status = response.status();
    Ok((status, Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await?.to_bytes()))
}

/// A request of the router's own.
pub fn request(method: Method, path: &str, body: RouterBody) -> Result<Request<RouterBody>, http::Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, HeaderValue::from_static("localhost"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body)
}
