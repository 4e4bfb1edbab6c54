//! Health checks that global endpoints route by.
//!
//! On AWS a check is Route 53's, mostly over a CloudWatch alarm. Until such a service tells, whoever tests a failover says it:
//! `POST /_aws/events/health-checks` with `{"health_check": ARN or id, "healthy": false}`; `GET` lists what is not healthy.
//! A check of which nothing was said is healthy.

use bytes::Bytes;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};
use fractus_wire::ByteStream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::service::Events;

pub const PATH: &str = "/_aws/events/health-checks";

/// The checks of an account that are not healthy, by id.
const UNHEALTHY: Collection<(String,), ()> = Collection::new("unhealthy-checks");

const MAX_BODY_BYTES: u64 = 64 * 1024;
/// Checks that may be not healthy in an account, and that are listed.
const MAX_CHECKS: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    health_check: String,
    healthy: bool,
}

/// The id in `arn:aws:route53:::healthcheck/ID`, or an id as it is.
fn id_of(check: &str) -> &str {
    check.rsplit_once("healthcheck/").map_or(check, |(_, id)| id)
}

/// Whether events may go where a check watches.
pub fn is_healthy(snapshot: &Snapshot<'_>, account: &Scope, check: &str) -> Result<bool> {
    Ok(!snapshot.contains(&UNHEALTHY, account, &(id_of(check),))?)
}

/// Answers what was asked at [`PATH`].
pub async fn answer(events: &Events, cx: &Context, request: Request<ByteStream>) -> Response<ByteStream> {
    let (head, body) = request.into_parts();
    let answered = match head.method {
        Method::GET => list(events, cx).await,
        Method::POST => change(events, cx, body).await,
        _ => Err(Error::validation("Health checks are read with GET and changed with POST.")),
    };
    let (status, value) = match answered {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "message": error.to_string() })),
    };
    let mut response = Response::new(ByteStream::from(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn list(events: &Events, cx: &Context) -> Result<Value> {
    let scope = Scope::account(&cx.world);
    let read = events.store.read(|snapshot| {
        let keys = snapshot.keys(&UNHEALTHY, &scope, Range::all(), Order::Ascending)?.take(MAX_CHECKS);
        Ok::<_, Error>(keys.map(|key| key.map(|(id,)| id)).collect::<std::result::Result<Vec<_>, _>>()?)
    });
    Ok(json!({ "unhealthy": read.await? }))
}

async fn change(events: &Events, cx: &Context, body: ByteStream) -> Result<Value> {
    let wrong = |_| Error::validation("A change is {\"health_check\": ARN or id, \"healthy\": true or false}.");
    let body = body.collect(MAX_BODY_BYTES).await.map_err(|_| Error::validation("The body cannot be read."))?;
    let change: Change = serde_json::from_slice(&body).map_err(wrong)?;
    let (scope, id) = (Scope::account(&cx.world), id_of(&change.health_check));
    let write = events.store.write(|tx| {
        if change.healthy {
            return Ok(tx.delete(&UNHEALTHY, &scope, &(id,))?);
        }
        let known = tx.keys(&UNHEALTHY, &scope, Range::all(), Order::Ascending)?.take(MAX_CHECKS).count();
        if known >= MAX_CHECKS {
            return Err(Error::limit());
        }
        Ok::<_, Error>(tx.put(&UNHEALTHY, &scope, &(id,), &())?)
    });
    write.await?;
    Ok(json!({ "health_check": id, "healthy": change.healthy }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_one_id() {
        assert_eq!(id_of("arn:aws:route53:::healthcheck/abc-1"), "abc-1");
        assert_eq!(id_of("abc-1"), "abc-1");
    }
}
