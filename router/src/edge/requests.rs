//! One request that is answered or passed on here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fractus_handoff::RouteFacts;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::tls;
use crate::admin;
use crate::answer::{self, Failure};
use crate::proxy::body::RouterBody;
use crate::proxy::forward::{self, ForwardError};
use crate::proxy::hold::Hold;
use crate::proxy::targets::{StartError, TargetKind, Unavailable};
use crate::route::{self, Form, Routing, ServiceName};
use crate::router::Router;

const ACCESS_CONTROL_REQUEST_METHOD: HeaderName = HeaderName::from_static("access-control-request-method");

/// Within this a body that the router reads itself must have come: a form's beginning, an admin request. Those that it passes on
/// are timed by who reads them.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub peer: SocketAddr,
    pub tls: Option<tls::Agreed>,
}

/// Answers every request, whatever it is.
pub async fn answer(router: Arc<Router>, request: Request<Incoming>, caller: Caller) -> Response<RouterBody> {
    let (mut parts, body) = request.into_parts();
    let facts = RouteFacts::of_parts(&parts);
    let preflight = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let bearer = route::is_bearer(parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes));
    match route::route(&facts, preflight, bearer) {
        Routing::Reserved => admin::answer(&router, parts, body, caller).await,
        Routing::Preflight => allow_browser(&parts.headers),
        Routing::Service(service, _) => pass_on(&router, parts, RouterBody::Incoming(body), service, caller).await,
        Routing::Form => match tokio::time::timeout(BODY_TIMEOUT, peek(body, &mut parts)).await {
            Ok(Ok((form, body))) => {
                let facts = RouteFacts::of_parts(&parts);
                let service = match route::route_form(&facts, &form) {
                    Routing::Service(service, _) => service,
                    Routing::Reserved | Routing::Form | Routing::Preflight => ServiceName::Borrowed("s3"),
                };
                pass_on(&router, parts, body, service, caller).await
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a form could not be read");
                Failure::malformed("The request body could not be read.")
                    .answer(route::tables::ErrorForm::Query, &router.request_id())
            }
            Err(_) => Failure::too_slow().answer(route::tables::ErrorForm::Query, &router.request_id()),
        },
    }
}

async fn pass_on(
    router: &Arc<Router>,
    parts: Parts,
    body: RouterBody,
    service: ServiceName,
    caller: Caller,
) -> Response<RouterBody> {
    let form = answer::error_form(&RouteFacts::of_parts(&parts), &parts.headers, &service);
    let request = Request::from_parts(parts, body);
    let answered = if router.targets.get(&service).kind == TargetKind::Aws {
        router.hybrid.send(&service, request, &router.credentials).await.map_err(|error| {
            tracing::info!(%service, %error, "no answer from AWS");
            Failure::unavailable(format!("The service {service} points to AWS: {error}."))
        })
    } else {
        pass_to_replica(router, &service, request, caller).await
    };
    answered.unwrap_or_else(|failure| failure.answer(form, &router.request_id()))
}

/// Sends the request to a replica; while the service comes back after its death, it is held.
async fn pass_to_replica(
    router: &Arc<Router>,
    service: &str,
    mut request: Request<RouterBody>,
    caller: Caller,
) -> Result<Response<RouterBody>, Failure> {
    let upgrade = forward::prepare(&mut request, caller);
    let mut hold = Hold::new(&router.targets);
    let mut broke_once = false;
    loop {
        let target = match router.targets.ready(service).await {
            Ok(target) => target,
            Err(Unavailable::NotRunning) if wait(router, service, &mut hold).await => continue,
            Err(why) => return Err(unavailable(service, &why)),
        };
        match forward::send_to_any(&target, request).await {
            Ok(response) => return Ok(upgrade.finish(response)),
            Err(ForwardError::Unreachable(unsent, error)) => {
                request = *unsent;
                if !wait(router, service, &mut hold).await {
                    tracing::info!(%service, error = error.as_ref().map(tracing::field::display), "no answer");
                    return Err(unavailable(service, &Unavailable::NotRunning));
                }
            }
            // Its own body: chunks that are none, or one that ends before its length. To try it again would be of no use.
            Err(ForwardError::Broken(_, error)) if error.is_user() => {
                tracing::debug!(%service, %error, "a request's body could not be read");
                return Err(Failure::malformed("An error occurred when parsing the HTTP request."));
            }
            Err(ForwardError::Broken(again, error)) => {
                // What changes nothing is sent once more; not again and again, since the service may have died of it.
                request = match again {
                    Some(again) if !broke_once => *again,
                    _ => return Err(broke_off(service, &error)),
                };
                broke_once = true;
                if !wait(router, service, &mut hold).await {
                    return Err(broke_off(service, &error));
                }
            }
        }
    }
}

/// The request may have been acted on, which only its sender can judge: SDKs send it again.
fn broke_off(service: &str, error: &hyper::Error) -> Failure {
    tracing::info!(%service, %error, "a service broke off");
    Failure::unavailable(format!("The service {service} broke off before it answered."))
}

/// Waits until a service that is expected back may be there. One at a fixed URL is nobody's to start again.
async fn wait(router: &Router, service: &str, hold: &mut Hold<'_>) -> bool {
    let target = router.targets.get(service);
    target.kind == TargetKind::Auto && target.is_expected() && hold.wait(&target).await
}

/// Who may be there soon is worth another try, which SDKs make by themselves at 503. At 501 they do not: what is not part of
/// the stack will not come, and its caller is told at once and not after ten tries.
fn unavailable(service: &str, why: &Unavailable) -> Failure {
    let is_known = route::tables::known_service(service).is_some();
    let elsewhere = format!("point it elsewhere in fractus.toml (`[targets]`, `{service} = \"aws\"` or a URL)");
    match why {
        _ if !is_known => Failure::absent(format!("The service {service} is none of Fractus's: {elsewhere}.")),
        Unavailable::NotStarted(why @ StartError::NotAsked) => Failure::absent(format!(
            "The service {service} is not in this stack: {why}. Name it too, `fractus up {service} ...`, or no service to have all."
        )),
        Unavailable::NotStarted(why @ StartError::NotInstalled) => Failure::absent(format!(
            "The service {service} is not in this stack: {why} (fractus-{service}). Install it, or {elsewhere}."
        )),
        Unavailable::Starting(_) => Failure::unavailable(format!("The service {service} has no answer yet: {why}.")),
        _ => Failure::unavailable(format!(
            "The service {service} has no answer: {why}. Start it with `fractus up {service}` or `docker compose --profile {service} up -d`."
        )),
    }
}

/// Reads the beginning of a form, as much as is needed to know its Action.
async fn peek(mut body: Incoming, parts: &mut Parts) -> Result<(Form, RouterBody), hyper::Error> {
    let mut read = BytesMut::new();
    let form = loop {
        let whole = body.is_end_stream();
        let form = route::read_form(&read, whole);
        if whole || form.is_decided() || read.len() >= route::MAX_FORM_PEEK_BYTES {
            break form;
        }
        match body.frame().await {
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    read.extend_from_slice(&data);
                }
            }
            None => break route::read_form(&read, true),
        }
    };
    // The body's length is known to hyper no longer, once a part of it is taken off; the header still says it.
    if !parts.headers.contains_key(http::header::CONTENT_LENGTH) && body.is_end_stream() {
        parts.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(read.len()));
    }
    let first: Option<Bytes> = (!read.is_empty()).then(|| read.freeze());
    Ok((form, RouterBody::Peeked(first, body)))
}

/// At a path that all services share a browser may call from anywhere, as it may call AWS's endpoints.
fn allow_browser(asked: &HeaderMap) -> Response<RouterBody> {
    let mut response = Response::new(RouterBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let echo = |name: HeaderName| asked.get(name).cloned().unwrap_or(HeaderValue::from_static("*"));
    let headers = response.headers_mut();
    headers.insert("access-control-allow-origin", echo(ORIGIN));
    headers.insert(
        "access-control-allow-methods",
        HeaderValue::from_static("GET, POST, PUT, DELETE, HEAD, OPTIONS, PATCH"),
    );
    headers.insert("access-control-allow-headers", echo(HeaderName::from_static("access-control-request-headers")));
    headers.insert("access-control-max-age", HeaderValue::from_static("172800"));
    headers.insert("vary", HeaderValue::from_static("Origin"));
    response
}
