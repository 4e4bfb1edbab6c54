//! A server that answers nonsense of the right shape to every operation of every API: what no scenario may pass against.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use fractus_clock::{Clock, Random};
use fractus_sigv4::{CredentialScope, RequestView};
use fractus_wire::document_io::{DocumentReader, to_document};
use fractus_wire::protocol::{self, Answer};
use fractus_wire::{ByteStream, DynamicShape};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use tokio::net::TcpListener;

use super::{apis, nonsense};
use crate::models;

const MAX_BODY_BYTES: usize = 64 << 20;

/// What the stub knows: nothing but its own chance.
struct Stub {
    random: Random,
    /// Services by their name in signatures; where several share one, the first that knows the request answers.
    by_signing_name: Vec<(String, Vec<&'static str>)>,
}

/// Serves on a free port of this machine until the program ends; gives the URL.
pub async fn start(seed: u64) -> std::io::Result<String> {
    serve(TcpListener::bind("127.0.0.1:0").await?, seed).await
}

/// Serves on a listener in the background.
pub async fn serve(listener: TcpListener, seed: u64) -> std::io::Result<String> {
    let url = format!("http://localhost:{}", listener.local_addr()?.port());
    let stub = Arc::new(Stub { random: Random::seeded(seed), by_signing_name: signing_names() });
    let router = Router::new().fallback(answer).with_state(stub);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

fn signing_names() -> Vec<(String, Vec<&'static str>)> {
    let mut names: Vec<(String, Vec<&'static str>)> = Vec::new();
    for api in models::names() {
        let Ok(facts) = models::load(api) else { continue };
        let signing = facts.metadata.signing();
        match names.iter_mut().find(|(name, _)| name == signing) {
            Some((_, apis)) => apis.push(api),
            None => names.push((signing.to_owned(), vec![api])),
        }
    }
    names
}

async fn answer(State(stub): State<Arc<Stub>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path().starts_with("/_fractus/") {
        return admin();
    }
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else { return plain(StatusCode::PAYLOAD_TOO_LARGE) };
    let scope = CredentialScope::of(&RequestView::from(&parts));
    // Requests without a signature name no service: those that scenarios send are STS's and S3's.
    let signing = scope.map_or_else(|| unsigned_service(&parts), |scope| scope.service.to_owned());
    let apis = stub.by_signing_name.iter().find(|(name, _)| *name == signing);
    for api in apis.into_iter().flat_map(|(_, apis)| apis) {
        if let Some(response) = answer_as(&stub, api, &parts, &body) {
            let (mut head, body) = response.into_parts();
            // The length is HTTP's here, whatever the member of that name says.
            head.headers.remove(CONTENT_LENGTH);
            let whole = body.collect(MAX_BODY_BYTES as u64).await.unwrap_or_default();
            return Response::from_parts(head, Body::from(whole));
        }
    }
    plain(StatusCode::OK)
}

fn unsigned_service(parts: &Parts) -> String {
    let is_form =
        parts.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
    if is_form { "sts" } else { "s3" }.to_owned()
}

/// `None` where the API has no such operation.
fn answer_as(stub: &Stub, api: &str, parts: &Parts, body: &Bytes) -> Option<Response<ByteStream>> {
    let service = apis::service(api).ok()?;
    let form = protocol::action_is_in_body(service, parts).then_some(&body[..]);
    let identified = protocol::identify(service, parts, form).ok()?;
    let mut input = DynamicShape::new(identified.operation.input);
    // What cannot be read is answered all the same: a stub refuses nothing.
    let _ = protocol::read_request(&identified, service, parts, ByteStream::Whole(body.clone()), &mut input);
    let sent = to_document(&input).unwrap_or_default();
    let made = nonsense::output(identified.operation.output, &sent, &stub.random);
    let mut output = DynamicShape::new(identified.operation.output);
    DocumentReader::new(&made).read_shape(&mut output).ok()?;
    let request_id = stub.random.uuid();
    let answer = Answer { request_id: &request_id, ..Answer::default() };
    protocol::write_response(identified.protocol, service, identified.operation, &mut output, &answer).ok()
}

/// The stub's clock does not move.
fn admin() -> Response {
    let now = Clock::real().now().date_time_millis();
    let mut response = Response::new(Body::from(format!(r#"{{"now":"{now}","frozen":false}}"#)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
