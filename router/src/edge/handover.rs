//! Giving a plain HTTP/1.1 connection to the service that its first request names.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fractus_handoff::{Depth, MAX_READ_AHEAD_BYTES, RouteFacts, RouteKey};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::opening::{HEAD_TIMEOUT, MAX_HEADERS, Refusal, refuse};
use crate::route::{self, Routing};
use crate::router::Router;

/// Processes that a connection is offered to.
const MAX_ATTEMPTS: usize = 2;
/// The end of a process is known after this, if it has ended.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// Hands the connection over if its service can take it; else gives it back, to be served here.
pub async fn hand_over(
    router: &Arc<Router>,
    mut read: BytesMut,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Option<(Bytes, TcpStream)> {
    let decided = match decide(&read) {
        Ok(decided) => decided,
        Err(why) => {
            refuse(stream, why, &router.request_id()).await;
            return None;
        }
    };
    let decided = match decided {
        Decided::ByForm { body_at, length } => {
            read_form_body(&mut stream, &mut read, body_at, length).await;
            decide_by_form(&read, body_at, length)
        }
        Decided::Service(service, key) => Some((service, key)),
        Decided::Here => None,
    };
    let Some((service, key)) = decided else { return Some((read.freeze(), stream)) };
    match give(router, &service, &key, &read, &stream, peer).await {
        Given::Away => None,
        Given::Kept => Some((read.freeze(), stream)),
    }
}

enum Given {
    Away,
    /// There is an error to tell, or the service takes no connections: both are done where requests are served.
    Kept,
}

/// Gives the connection to the service; to the process that follows, when the one that was known has died.
async fn give(
    router: &Router,
    service: &str,
    key: &RouteKey,
    read: &[u8],
    stream: &TcpStream,
    peer: SocketAddr,
) -> Given {
    for _ in 0..MAX_ATTEMPTS {
        let Ok(target) = router.targets.ready(service).await else { return Given::Kept };
        let Some(replica) = target.pick(&[]) else { return Given::Kept };
        let changed = target.changed();
        let failed = match replica.handoff() {
            Ok(None) => return Given::Kept,
            Ok(Some(sender)) => match sender.send(stream, peer, key, read).await {
                Ok(()) => return Given::Away,
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::debug!(%service, url = replica.url, error = %failed, "a hand-off failed");
        replica.forget_handoff();
        if !is_death(&failed) {
            return Given::Kept;
        }
        // Its end is noticed any moment; a process that lives on without its socket is proxied.
        let _ = tokio::time::timeout(NOTICE_TIMEOUT, changed).await;
    }
    Given::Kept
}

fn is_death(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected, NotFound};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | NotConnected | NotFound)
}

enum Decided {
    Service(route::ServiceName, RouteKey),
    ByForm { body_at: usize, length: Option<usize> },
    Here,
}

fn decide(read: &[u8]) -> Result<Decided, Refusal> {
    with_head(read, |facts, head| match head.routing(facts) {
        Routing::Service(service, depth) => Decided::Service(service, RouteKey::new(facts, depth)),
        Routing::Form => Decided::ByForm { body_at: head.length, length: head.content_length },
        Routing::Reserved | Routing::Preflight => Decided::Here,
    })
}

fn decide_by_form(read: &[u8], body_at: usize, length: Option<usize>) -> Option<(route::ServiceName, RouteKey)> {
    let body = read.get(body_at..)?;
    let form = route::read_form(body, length.is_some_and(|length| body.len() >= length));
    let routed = with_head(read, |facts, _| match route::route_form(facts, &form) {
        // The host or the path stands in only once the whole form is known to say nothing.
        Routing::Service(service, _) if form.service().is_some() => Some((service, RouteKey::new(facts, Depth::Once))),
        _ => None,
    });
    routed.ok().flatten()
}

/// Reads on until the form is whole, decides, or is more than may be handed over.
async fn read_form_body(stream: &mut TcpStream, read: &mut BytesMut, body_at: usize, length: Option<usize>) {
    let whole = length.map_or(0, |length| body_at.saturating_add(length)).min(MAX_READ_AHEAD_BYTES);
    let reading = async {
        while read.len() < whole && !route::read_form(&read[body_at..], false).is_decided() {
            read.reserve(whole - read.len());
            if !matches!(stream.read_buf(read).await, Ok(1..)) {
                return;
            }
        }
    };
    // What is there is served; a body that does not come is the service's to wait for.
    let _ = tokio::time::timeout(HEAD_TIMEOUT, reading).await;
}

/// What routing needs of a head beside the facts.
struct Head {
    length: usize,
    content_length: Option<usize>,
    preflight: bool,
    bearer: bool,
}

impl Head {
    fn routing(&self, facts: &RouteFacts<'_>) -> Routing {
        route::route(facts, self.preflight, self.bearer)
    }
}

fn with_head<T>(read: &[u8], use_it: impl FnOnce(&RouteFacts<'_>, &Head) -> T) -> Result<T, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(read) {
        Ok(httparse::Status::Complete(length)) => length,
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Malformed),
    };
    let target = request.path.unwrap_or("/");
    let (authority, path_and_query) = split_target(target);
    let named = || request.headers.iter().map(|header| (header.name, header.value));
    let value_of = |name: &str| named().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let facts = RouteFacts::of(request.method.unwrap_or(""), authority, path_and_query, named());
    let head = Head {
        length,
        content_length: value_of("content-length")
            .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok()),
        preflight: facts.method == "OPTIONS" && value_of("access-control-request-method").is_some(),
        bearer: route::is_bearer(value_of("authorization")),
    };
    Ok(use_it(&facts, &head))
}

/// `http://host/path` (a client that takes us for its proxy) into authority and path.
fn split_target(target: &str) -> (Option<&str>, &str) {
    let Some(rest) = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) else {
        return (None, target);
    };
    match rest.find(['/', '?']) {
        Some(at) => (Some(&rest[..at]), &rest[at..]),
        None => (Some(rest), "/"),
    }
}
