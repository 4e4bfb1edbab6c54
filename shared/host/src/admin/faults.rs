//! `/_fractus/faults`: the rules by which a lane's requests fail or wait.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use fractus_aws::Lane;

use super::{Answer, json_answer, lane, read_json, wrong};
use crate::faults::FaultRule;
use crate::serve::Server;

/// More rules than that are a mistake.
const MAX_RULES: usize = 1_000;

/// `GET` shows them, `PUT` or `POST` replaces them (a list, or `{"lane": ..., "rules": [...]}`), `DELETE` removes them.
pub(super) fn answer(server: &Server, head: &Parts, body: &Bytes) -> Answer {
    match change(head, body) {
        Ok((lane, None)) => shown(server, &lane),
        Ok((lane, Some(rules))) => {
            server.host.inner.faults.replace(&lane, rules);
            shown(server, &lane)
        }
        Err(answer) => answer,
    }
}

fn change(head: &Parts, body: &Bytes) -> Result<(Lane, Option<Vec<FaultRule>>), Answer> {
    let mut lane = lane(head)?;
    match head.method {
        Method::GET | Method::HEAD => Ok((lane, None)),
        Method::DELETE => Ok((lane, Some(Vec::new()))),
        _ => {
            let rules = match read_json::<Value>(body)? {
                Value::Object(mut object) => {
                    if let Some(name) = object.get("lane").and_then(Value::as_str) {
                        lane = Lane::new(name).map_err(|error| wrong(&error.to_string()))?;
                    }
                    object.remove("rules").unwrap_or_default()
                }
                list => list,
            };
            let rules: Vec<FaultRule> = serde_json::from_value(rules).map_err(|error| wrong(&error.to_string()))?;
            if rules.len() > MAX_RULES {
                return Err(wrong(&format!("more than {MAX_RULES} rules")));
            }
            Ok((lane, Some(rules)))
        }
    }
}

fn shown(server: &Server, lane: &Lane) -> Answer {
    json_answer(StatusCode::OK, &json!({ "lane": lane, "rules": server.host.inner.faults.rules(lane) }))
}
