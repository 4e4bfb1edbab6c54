//! The probes that tools written for LocalStack look for: wait strategies of Testcontainers, scripts in CI, `awslocal`.

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::statuses;
use crate::answer;
use crate::proxy::body::RouterBody;
use crate::router::Router;

/// LocalStack's release whose answers these have the shape of; tools compare it.
const SHAPE_OF: &str = "4.14.0";

pub fn answer(router: &Router, method: &Method, rest: &str) -> Response<RouterBody> {
    if *method != Method::GET && *method != Method::HEAD {
        return answer::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "message": "read by GET" }));
    }
    match rest {
        "/health" => answer::json(StatusCode::OK, &health(router)),
        "/info" => answer::json(StatusCode::OK, &info()),
        "/init" => answer::json(StatusCode::OK, &json!({ "completed": completed(), "scripts": [] })),
        "/init/boot" | "/init/start" | "/init/ready" | "/init/shutdown" => {
            let stage = rest.trim_start_matches("/init/").to_uppercase();
            answer::json(StatusCode::OK, &json!({ "completed": stage != "SHUTDOWN", "scripts": [], "stage": stage }))
        }
        _ => answer::json(StatusCode::NOT_FOUND, &json!({ "message": format!("nothing is at /_localstack{rest}") })),
    }
}

/// Nothing is left to run when the port answers: seeds are the services' own to finish before they are ready.
fn completed() -> Value {
    json!({ "BOOT": true, "START": true, "READY": true, "SHUTDOWN": false })
}

fn health(router: &Router) -> Value {
    let services = statuses(router).into_iter().map(|(service, status, _)| {
        let status = match status {
            "ready" => "running",
            "idle" => "available",
            "starting" => "starting",
            _ => "error",
        };
        (service, Value::from(status))
    });
    json!({ "services": services.collect::<Map<_, _>>(), "edition": "fractus", "version": SHAPE_OF })
}

fn info() -> Value {
    json!({
        "version": SHAPE_OF,
        "edition": "fractus",
        "is_license_activated": false,
        "session_id": "",
        "machine_id": "",
        "system": std::env::consts::OS,
        "is_docker": false,
        "server_time_utc": fractus_clock::Clock::real().now().date_time(),
        "uptime": 0,
    })
}
