//! Finding the service that a request is for.
//!
//! What is consulted, in this order; the first that decides wins:
//! 1. the stack's own paths;
//! 2. the signature's scope (header or presigned), which says what the client's SDK believes it talks to: an SQS-signed
//!    request is for SQS whatever its host or path look like;
//! 3. `X-Amz-Target`;
//! 4. the Query protocol's Version and Action, in the query or in a form body;
//! 5. the host name;
//! 6. the path; and last, an anonymous request for a path is S3's.

mod form;
mod host;
mod path;
pub mod tables;

use std::borrow::Cow;

use fractus_handoff::{Depth, RouteFacts};

pub use form::{Form, MAX_FORM_PEEK_BYTES, read_form};

/// The name of a service, such as `sqs`. Nearly always one from the tables.
pub type ServiceName = Cow<'static, str>;

/// What became of looking for a request's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The stack's own path: the router answers.
    Reserved,
    /// This service, and how far was looked.
    Service(ServiceName, Depth),
    /// A form body decides; look there for Version and Action, then call [`route_form`].
    Form,
    /// A browser asks whether it may call, at a path that all services share: only the router can say yes.
    Preflight,
}

/// Finds the service by a request's head.
pub fn route(facts: &RouteFacts<'_>, preflight: bool, bearer: bool) -> Routing {
    if facts.reserved {
        return Routing::Reserved;
    }
    if let Some(scope) = facts.scope {
        return by_scope(facts, scope);
    }
    if let Some(service) = facts.target.and_then(tables::service_of_target) {
        return Routing::Service(service.into(), Depth::Target);
    }
    if let Some(service) = form::service_of_query(facts.query) {
        return Routing::Service(service.into(), Depth::Once);
    }
    if facts.form && facts.method == "POST" {
        return Routing::Form;
    }
    by_host_or_path(facts, preflight, bearer)
}

/// Finds the service of an unsigned form request from what is known of its body.
pub fn route_form(facts: &RouteFacts<'_>, body: &Form) -> Routing {
    match body.service() {
        Some(service) => Routing::Service(service.into(), Depth::Once),
        None => match by_host_or_path(facts, false, false) {
            Routing::Service(service, _) => Routing::Service(service, Depth::Once),
            other => other,
        },
    }
}

fn by_scope(facts: &RouteFacts<'_>, scope: &str) -> Routing {
    match tables::services_of_scope(scope) {
        [] => Routing::Service(Cow::Owned(scope.to_ascii_lowercase()), Depth::Scope),
        [service] => Routing::Service((*service).into(), Depth::Scope),
        several => {
            // Four Bedrock APIs sign alike, and both generations of API Gateway: the host says which where it is AWS's
            // own, else the path does.
            if let Some(service) = host::service_of_host(facts.host).filter(|service| several.contains(service)) {
                return Routing::Service(service.into(), Depth::Host);
            }
            let service = path::service_among(facts, several).unwrap_or(several[0]);
            Routing::Service(service.into(), Depth::Path)
        }
    }
}

fn by_host_or_path(facts: &RouteFacts<'_>, preflight: bool, bearer: bool) -> Routing {
    if let Some(service) = host::service_of_host(facts.host) {
        return Routing::Service(service.into(), Depth::Host);
    }
    if let Some(service) = path::service_of_path(facts, bearer) {
        return Routing::Service(service.into(), Depth::Path);
    }
    if preflight && facts.path == "/" {
        return Routing::Preflight;
    }
    Routing::Service("s3".into(), if bearer { Depth::Path } else { Depth::FirstSegment })
}

/// Whether the request carries a token rather than a signature. Only some APIs take one, S3 never does.
pub fn is_bearer(authorization: Option<&[u8]>) -> bool {
    authorization.is_some_and(|value| value.len() > 7 && value[..7].eq_ignore_ascii_case(b"bearer "))
}
