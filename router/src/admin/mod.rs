//! The stack's own paths.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::answer;
use crate::edge::Caller;
use crate::proxy::body::RouterBody;
use crate::proxy::targets::TargetKind;
use crate::router::Router;

pub async fn answer(router: &Arc<Router>, parts: Parts, _body: Incoming, _caller: Caller) -> Response<RouterBody> {
    match parts.uri.path() {
        "/_fractus/health" => answer::json(StatusCode::OK, &health(router)),
        "/_fractus/ca.pem" => match router.certificates.authority_pem() {
            Ok(pem) => answer::text(StatusCode::OK, "application/x-pem-file", pem),
            Err(error) => answer::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": error.to_string() })),
        },
        path => answer::json(StatusCode::NOT_FOUND, &json!({ "message": format!("nothing is at {path}") })),
    }
}

fn health(router: &Router) -> Value {
    let services = router.targets.services().into_iter().map(|target| {
        let replicas = target.replicas();
        let (status, url) = match &target.kind {
            TargetKind::Aws => ("ready", Some("aws".to_owned())),
            _ => (if replicas.is_empty() { "down" } else { "ready" }, replicas.first().map(|one| one.url.clone())),
        };
        (target.service.clone(), json!({ "status": status, "url": url }))
    });
    json!({ "services": services.collect::<serde_json::Map<_, _>>() })
}
