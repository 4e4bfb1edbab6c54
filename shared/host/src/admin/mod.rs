//! The paths under `/_fractus/`, which every service answers alike and the router merges.

mod clock;
mod faults;
mod reset;
mod state;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use fractus_aws::Lane;
use fractus_wire::ByteStream;

use crate::body;
use crate::metrics::{self, ProcessNumbers};
use crate::serve::Server;

/// Bodies of admin requests, other than a state to import.
const MAX_BODY_BYTES: u64 = 1 << 20;

type Answer = Response<ByteStream>;

/// Whether a path is the host's own.
pub(crate) fn is_admin(path: &str) -> bool {
    path.starts_with("/_fractus") && path.as_bytes().get(9).is_none_or(|byte| *byte == b'/')
}

/// Answers a request for one of the host's own paths.
pub(crate) async fn answer(server: &Arc<Server>, request: Request<Incoming>) -> Answer {
    let (head, incoming) = request.into_parts();
    let path = head.uri.path().trim_end_matches('/');
    let path = path.strip_prefix("/_fractus").unwrap_or(path).trim_start_matches('/').to_owned();
    if (path.as_str(), &head.method) == ("state", &Method::POST)
        || (path.as_str(), &head.method) == ("state", &Method::PUT)
    {
        return state::import(server, incoming).await;
    }
    let body = match body::collect(incoming, MAX_BODY_BYTES, server.body_timeout).await {
        Ok(body) => body,
        Err(error) => return wrong(&error.to_string()),
    };
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match path.as_str() {
        "clock" | "clock/freeze" | "clock/resume" | "clock/set" | "clock/advance" | "clock/scale" | "clock/reset" => {
            clock::answer(server, &head, path.strip_prefix("clock/"), &body)
        }
        "faults" => faults::answer(server, &head, &body),
        "reset" if !is_read => reset::answer(server, &head, &body).await,
        "state" if is_read => state::export(server),
        "state/collections" if is_read => state::collections(server, &head).await,
        "state/records" if is_read => state::records(server, &head).await,
        "state/fork" | "state/snapshot" | "state/rollback" if !is_read => {
            state::lanes(server, &path, &head, &body).await
        }
        _ if !is_read => not_found(&path),
        _ => read_only(server, &path, &head),
    }
}

fn read_only(server: &Server, path: &str, head: &Parts) -> Answer {
    match path {
        "" | "health" => json_answer(StatusCode::OK, &health(server)),
        "live" => json_answer(StatusCode::OK, &json!({ "live": true })),
        "ready" => ready(server),
        "metrics" => metrics_page(server),
        "operations" => json_answer(StatusCode::OK, &server.table.list()),
        "requests" => {
            let limit = query(head, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
            requests(server, limit)
        }
        "config" => json_answer(StatusCode::OK, &redacted(server)),
        "tasks" => json_answer(StatusCode::OK, &server.host.inner.tasks.names()),
        _ => not_found(path),
    }
}

fn health(server: &Server) -> serde_json::Value {
    let host = &server.host;
    let readiness = &host.inner.readiness;
    let status = match (readiness.is_draining(), readiness.is_ready()) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "starting",
    };
    json!({
        "service": host.name(),
        "version": host.version(),
        "status": status,
        "pending": readiness.pending(),
        "uptime_seconds": server.started.elapsed().as_secs(),
    })
}

fn ready(server: &Server) -> Answer {
    let readiness = &server.host.inner.readiness;
    let is_ready = readiness.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, &json!({ "ready": is_ready, "pending": readiness.pending() }))
}

fn metrics_page(server: &Server) -> Answer {
    let names = server.table.entries.iter().map(|entry| entry.schema.name).chain(std::iter::once("-"));
    let numbers = ProcessNumbers {
        connections: server.connections.load(Ordering::Relaxed),
        uptime: server.started.elapsed(),
        is_ready: server.host.inner.readiness.is_ready(),
        log_lines_dropped: server.requests.dropped(),
    };
    let page = metrics::page(server.host.name(), names.zip(&server.requests.metrics()), numbers);
    let mut response = Response::new(ByteStream::from(Bytes::from(page)));
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn requests(server: &Server, limit: usize) -> Answer {
    let list: Vec<serde_json::Value> = server
        .requests
        .latest(limit)
        .into_iter()
        .map(|record| {
            json!({
                "time": record.at.date_time_millis(),
                "service": server.host.name(),
                "operation": record.operation,
                "status": record.status,
                "ms": record.micros as f64 / 1_000.0,
                "fidelity": record.fidelity,
                "request_id": record.id.hyphenated(),
                "lane": record.identity.world.lane,
                "account": record.identity.world.account,
                "region": record.identity.region,
                "error": record.error,
            })
        })
        .collect();
    json_answer(StatusCode::OK, &json!({ "requests": list }))
}

/// The settings in force, without what a URL may carry of a password.
fn redacted(server: &Server) -> serde_json::Value {
    let mut config = serde_json::to_value(server.host.config()).unwrap_or_default();
    for key in ["store", "nats_url"] {
        if let Some(serde_json::Value::String(url)) = config.get_mut(key)
            && let Some((scheme, rest)) = url.clone().split_once("://")
            && let Some((_, host)) = rest.rsplit_once('@')
        {
            *url = format!("{scheme}://***@{host}");
        }
    }
    config
}

fn query<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = head.uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The lane that the query names, or `main`.
fn lane(head: &Parts) -> Result<Lane, Answer> {
    query(head, "lane")
        .map_or_else(|| Ok(Lane::main()), |name| Lane::new(name).map_err(|error| wrong(&error.to_string())))
}

/// A body as JSON; an empty one is an empty object.
fn read_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Answer> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))
}

fn json_answer(status: StatusCode, value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(ByteStream::from(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn wrong(why: &str) -> Answer {
    json_answer(StatusCode::BAD_REQUEST, &json!({ "message": why }))
}

fn failed(why: &str) -> Answer {
    json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": why }))
}

fn not_found(path: &str) -> Answer {
    json_answer(StatusCode::NOT_FOUND, &json!({ "message": format!("nothing is at /_fractus/{path} by this method") }))
}
