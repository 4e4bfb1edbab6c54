//! The stack's own paths, answered for all services at once.
//!
//! Each service answers the same paths for itself; the router asks all that run and merges. What must hold for services
//! that are idle too (the clock, the faults) is kept here and told to each service before its first request
//! ([`control`]).

pub mod control;
mod fan;
mod localstack;
mod services;
mod state;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::edge::{BODY_TIMEOUT, Caller};
use crate::proxy::body::RouterBody;
use crate::proxy::targets::TargetKind;
use crate::route::tables;
use crate::router::Router;

/// Bodies of admin requests, other than a state to import.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Answers a request for one of the stack's own paths.
pub async fn answer(router: &Arc<Router>, parts: Parts, body: Incoming, _caller: Caller) -> Response<RouterBody> {
    let path = parts.uri.path().trim_end_matches('/');
    if let Some(rest) = path.strip_prefix("/_localstack") {
        return localstack::answer(router, &parts.method, rest);
    }
    match (path, &parts.method) {
        ("/_fractus/health", &Method::GET | &Method::HEAD) => answer::json(StatusCode::OK, &health(router)),
        ("/_fractus/ready", &Method::GET | &Method::HEAD) => ready(router).await,
        ("/_fractus/ca.pem", &Method::GET) => authority(router),
        ("/_fractus/requests", &Method::GET) => requests(router, &parts).await,
        ("/_fractus/state", &Method::GET) => state::export(router, &parts).await,
        ("/_fractus/state", &Method::POST | &Method::PUT) => state::import(router, body).await,
        (
            "/_fractus/config" | "/_fractus/operations" | "/_fractus/tasks" | "/_fractus/state/collections",
            &Method::GET,
        ) => services::told(router, &parts).await,
        ("/_fractus/state/records", &Method::GET) => services::records(router, &parts).await,
        ("/_fractus/metrics", &Method::GET) => services::metrics(router, &parts).await,
        (path, method) if is_change(path, method) => match collect(body).await {
            Ok(body) => change(router, &parts, path, body).await,
            Err(why) => bad_request(&why),
        },
        (path, _) => answer::json(StatusCode::NOT_FOUND, &json!({ "message": format!("nothing is at {path}") })),
    }
}

/// Paths whose requests have a body.
fn is_change(path: &str, method: &Method) -> bool {
    match path {
        "/_fractus/reset" | "/_fractus/clock" | "/_fractus/faults" => true,
        "/_fractus/state/fork" | "/_fractus/state/snapshot" | "/_fractus/state/rollback" => method == Method::POST,
        path => path.starts_with("/_fractus/clock/") && method == Method::POST,
    }
}

async fn change(router: &Arc<Router>, parts: &Parts, path: &str, body: Bytes) -> Response<RouterBody> {
    match path {
        "/_fractus/reset" => reset(router, parts, body).await,
        "/_fractus/faults" => control::faults(router, parts, body).await,
        path if path.starts_with("/_fractus/state/") => services::lanes(router, path, body).await,
        path => control::clock(router, parts, path.strip_prefix("/_fractus/clock/"), &body).await,
    }
}

pub(crate) fn bad_request(why: &str) -> Response<RouterBody> {
    answer::json(StatusCode::BAD_REQUEST, &json!({ "message": why }))
}

async fn collect(body: Incoming) -> Result<Bytes, String> {
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let body = body.map_err(|_| format!("the body did not come within {BODY_TIMEOUT:?}"))?;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| format!("the body cannot be read: {error}"))
}

fn authority(router: &Router) -> Response<RouterBody> {
    match router.certificates.authority_pem() {
        Ok(pem) => answer::text(StatusCode::OK, "application/x-pem-file", pem),
        Err(error) => answer::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": error.to_string() })),
    }
}

/// Status (`ready`, `idle`, `starting`, `down`) and URL of every service that is known.
pub(crate) fn statuses(router: &Router) -> Vec<(String, &'static str, Option<String>)> {
    let mut found = std::collections::BTreeMap::new();
    for target in router.targets.services() {
        let replicas = target.replicas();
        let url = replicas.first().map(|replica| replica.url.clone());
        let status = if target.kind == TargetKind::Aws || !replicas.is_empty() { "ready" } else { "down" };
        let url = if target.kind == TargetKind::Aws { Some("aws".to_owned()) } else { url };
        found.insert(target.service.clone(), (status, url));
    }
    for (service, status) in router.targets.launched() {
        // A target that was pointed elsewhere counts, not the program that is not used.
        if router.targets.get(&service).kind == TargetKind::Auto {
            let url = found.remove(&service).and_then(|(_, url)| url);
            found.insert(service, (status.name(), url));
        }
    }
    found.into_iter().map(|(service, (status, url))| (service, status, url)).collect()
}

fn health(router: &Router) -> Value {
    let services = statuses(router).into_iter().map(|(service, status, url)| {
        let mut facts = Map::new();
        facts.insert("status".to_owned(), status.into());
        if let Some(url) = url {
            facts.insert("url".to_owned(), url.into());
        }
        (service, Value::Object(facts))
    });
    json!({ "services": services.collect::<Map<_, _>>(), "version": env!("CARGO_PKG_VERSION") })
}

/// Ready when every service that runs says so; an idle one is, since its first request starts it.
async fn ready(router: &Arc<Router>) -> Response<RouterBody> {
    let answers = fan::ask_all(router, &Method::GET, "/_fractus/ready", &Bytes::new()).await;
    let mut all = answers.iter().all(|answer| answer.status.is_success());
    let mut services: Map<String, Value> = answers
        .into_iter()
        .map(|answer| (answer.service, json!({ "ready": answer.status.is_success(), "detail": answer.value })))
        .collect();
    for (service, status, _) in statuses(router) {
        if status == "starting" || status == "down" {
            all = false;
            services.insert(service, json!({ "ready": false, "detail": status }));
        }
    }
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(status, &json!({ "ready": all, "services": services }))
}

/// Forgets state: of all services, or of one (`?service=`); scope by `lane`, `account` and `region`, which are the
/// services' own parameters.
async fn reset(router: &Arc<Router>, parts: &Parts, body: Bytes) -> Response<RouterBody> {
    if parts.method != Method::POST && parts.method != Method::DELETE {
        return answer::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "message": "reset by POST" }));
    }
    let query = parts.uri.query().unwrap_or("");
    let only = query.split('&').find_map(|pair| pair.strip_prefix("service="));
    if let Some(service) = only
        && tables::known_service(service).is_none()
    {
        return bad_request(&format!("there is no service {service:?}"));
    }
    // An idle service may have state on disk; it must be running to forget it.
    router.targets.start_those_with_state(only).await;
    let path = parts.uri.path_and_query().map_or("/_fractus/reset", |path| path.as_str());
    let mut answers =
        fan::ask(router, &Method::POST, path, &body, |service| only.is_none_or(|only| only == service)).await;
    answers.retain(|answer| !answer.status.is_success());
    if answers.is_empty() {
        return answer::json(StatusCode::OK, &json!({ "reset": only.unwrap_or("all") }));
    }
    let failed: Map<String, Value> = answers.into_iter().map(|answer| (answer.service, answer.value)).collect();
    answer::json(StatusCode::BAD_GATEWAY, &json!({ "message": "some services could not reset", "services": failed }))
}

/// The latest requests of all services, the newest first.
async fn requests(router: &Arc<Router>, parts: &Parts) -> Response<RouterBody> {
    let path = parts.uri.path_and_query().map_or("/_fractus/requests", |path| path.as_str());
    let answers = fan::ask_all(router, &Method::GET, path, &Bytes::new()).await;
    let mut merged = Vec::new();
    for answer in answers {
        let list = match answer.value {
            Value::Array(list) => list,
            Value::Object(mut object) => match object.remove("requests") {
                Some(Value::Array(list)) => list,
                _ => continue,
            },
            _ => continue,
        };
        merged.extend(list.into_iter().map(|mut one| {
            if let Value::Object(facts) = &mut one {
                facts.entry("service").or_insert_with(|| answer.service.clone().into());
            }
            one
        }));
    }
    let time_of = |one: &Value| one.get("time").or_else(|| one.get("at")).map(Value::to_string).unwrap_or_default();
    merged.sort_by_key(|one| std::cmp::Reverse(time_of(one)));
    answer::json(StatusCode::OK, &json!({ "requests": merged }))
}
