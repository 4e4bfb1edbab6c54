//! What a service may do to a request and an answer around the table: the differences between AWS's services.

use std::borrow::Cow;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};

use fractus_aws::{Arn, Lane, Region, World};
use fractus_bus::contracts::Credential;
use fractus_wire::validation::{self, Constraint, Violation};
use fractus_wire::{ByteStream, Failure, Protocol, ServiceSchema};

use crate::access::{Access, ResourceFacts};
use crate::context::Context;
use crate::operations::{Operations, TableError};

/// How a request goes on after [`Service::prepare`].
pub enum Prepared {
    /// The protocols find out which operation it is.
    Identify,
    /// It is no AWS operation: [`Service::raw`] answers it (CORS preflight, form uploads, websites, OAuth pages).
    Raw,
    /// It is refused.
    Refuse(Failure),
}

/// The state behind a service's handlers, and its hooks. Every hook has a default that does nothing, so that most
/// services say `impl Service for Sqs {}`.
pub trait Service: Send + Sync + 'static {
    /// Looks at the head of a request, and may rewrite it (a virtual host's bucket into the path), before its operation
    /// is identified. The signature is verified over the head as it came. `host` is the host that the caller named,
    /// without port and without the lane's part.
    fn prepare(&self, head: &mut Parts, host: &str) -> Prepared {
        let _ = (head, host);
        Prepared::Identify
    }

    /// Whether a request may be one of this API's, where a program serves several whose paths could be taken for each
    /// other's. Asked after [`Service::prepare`], which may leave a mark in the head's extensions.
    fn serves(&self, api: &'static ServiceSchema, head: &Parts) -> bool {
        let _ = (api, head);
        true
    }

    /// Looks up what names in the head stand for, where that takes the store (an access point's bucket), and rewrites
    /// them; after [`Service::prepare`], before the operation is identified. `None` costs nothing.
    fn resolve<'a>(
        &'a self,
        world: &'a World,
        region: &'a Region,
        head: &'a mut Parts,
    ) -> Option<BoxFuture<'a, Result<(), Failure>>> {
        let _ = (world, region, head);
        None
    }

    /// Changes the head of a request whose signature has been verified, before it is read: what a URL says in place of
    /// headers.
    fn verified(&self, _head: &mut http::request::Parts) {}

    /// Looks at a body that was read whole, before it is taken apart: digests that headers give of it.
    fn check_body(&self, cx: &Context, body: &[u8]) -> Result<(), Failure> {
        let _ = (cx, body);
        Ok(())
    }

    /// Answers what [`Service::prepare`] called raw.
    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        let _ = (cx, request);
        Box::pin(async {
            let mut response = Response::new(ByteStream::default());
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        })
    }

    /// The last word on every failure, the host's own included: a service with codes or words of its own for bad
    /// signatures, unknown operations or too long bodies changes them here.
    fn failure(&self, cx: &Context, failure: Failure) -> Failure {
        let _ = cx;
        failure
    }

    /// The last word on every answer's head. `None` costs nothing; a future may look into the store (CORS rules).
    fn finish<'a>(&'a self, cx: &'a Context, response: &'a mut Response<ByteStream>) -> Option<BoxFuture<'a, ()>> {
        let _ = (cx, response);
        None
    }

    /// Names beside the model's own that requests to this service may be signed for.
    fn other_signing_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// S3's second id of an answer.
    fn host_id<'a>(&'a self, cx: &'a Context) -> Option<&'a str> {
        let _ = cx;
        None
    }

    /// What an error's document says that the request was about: the path as it was identified.
    fn resource<'a>(&self, cx: &'a Context) -> Cow<'a, str> {
        Cow::Borrowed(cx.uri().path())
    }

    /// The namespace before a modelled error's name in JSON answers, for services that write one:
    /// `com.amazonaws.dynamodb.v20120810`.
    fn error_namespace(&self) -> Option<&'static str> {
        None
    }

    /// Whether requests without a signature are let through to the policies where signatures are verified (S3's public
    /// buckets). Otherwise only operations that the model says need none are.
    fn takes_anonymous(&self) -> bool {
        false
    }

    /// Whether policies are evaluated for requests without a signature even where `auth` is `off`: nobody has said who
    /// calls, so only what is open to everybody is given.
    fn evaluates_anonymous(&self) -> bool {
        false
    }

    /// What is said of a request that breaks the model's constraints; never asked about one that breaks none. `Ok` leaves
    /// the judgement to the handler, which then sees defaults in the place of what is missing. The default is
    /// [`invalid`]: the form that most services of the protocol have.
    fn invalid(&self, cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
        invalid(cx, violations)
    }

    /// The form of a new request id. Most services use a UUID; S3 sixteen upper-case letters and digits.
    fn request_id(&self, uuid: RequestUuid) -> String {
        uuid.hyphenated()
    }

    /// The policy on a resource of this service, where it has one, as its JSON text.
    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        let _ = (cx, resource);
        Box::pin(std::future::ready(None))
    }

    /// Everything that evaluation must know of a resource. The default is its [`Service::resource_policy`] alone.
    fn resource_facts<'a>(
        &'a self,
        cx: &'a Context,
        access: &'a Access,
        resource: &'a Arn,
    ) -> BoxFuture<'a, ResourceFacts> {
        let _ = access;
        Box::pin(
            async move { ResourceFacts { policy: self.resource_policy(cx, resource).await, ..Default::default() } },
        )
    }

    /// A key that this very service has issued. `None`: it issues no keys. (Other services ask over the bus.)
    fn look_up_credential<'a>(
        &'a self,
        lane: &'a Lane,
        access_key_id: &'a str,
    ) -> Option<BoxFuture<'a, Option<Credential>>> {
        let _ = (lane, access_key_id);
        None
    }

    /// State in memory beside the store is dropped: called after a reset, an import or a rollback changed the store.
    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Most services' words for broken constraints: `2 validation errors detected: Value '...' at 'name' failed to satisfy
/// constraint: ...`, as `ValidationException`, or `ValidationError` in the Query protocols. Services of restXml have
/// their own words for values; what their bodies lack makes these malformed.
///
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>
pub fn invalid(cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
    let code = match cx.operation().map(|operation| operation.protocol) {
        Some(Protocol::AwsQuery | Protocol::Ec2Query) => "ValidationError",
        Some(Protocol::RestXml) => {
            let lacks = violations.iter().any(|violation| violation.constraint == Constraint::Required);
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            return if lacks { Err(Failure::new("MalformedXML", 400, message)) } else { Ok(()) };
        }
        _ => "ValidationException",
    };
    Err(Failure::new(code, 400, validation::message(violations)))
}

/// The 128 bits of a request's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestUuid(pub u128);

impl RequestUuid {
    pub fn hyphenated(self) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.0.to_be_bytes();
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }

    /// Sixteen characters of `0-9A-Z`, as S3 writes its ids.
    pub fn short(self) -> String {
        // Of the 36 characters 32: each is five bits, and nothing is divided.
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut text = String::with_capacity(16);
        // Eight of each half, from bits that are not the marks of a UUID.
        for half in [(self.0 >> 84) as u64, self.0 as u64] {
            text.extend((0..8).map(|place| char::from(ALPHABET[(half >> (5 * place) & 31) as usize])));
        }
        text
    }
}

/// A started service: its state and its table.
pub struct App {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) table: Result<crate::operations::Table, TableError>,
}

impl App {
    /// A contradiction in the table is reported when the host starts to serve.
    pub fn new<S: Service>(service: impl Into<Arc<S>>, operations: Operations<S>) -> Self {
        let service = service.into();
        let table = operations.bind(&service);
        App { service, table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_has_sixteen_capitals_and_digits_of_both_halves() {
        // The marks of a version 4 UUID alone.
        let plain = RequestUuid((4 << 76) | (0b10 << 62));
        assert_eq!(plain.short(), "0000000000000000", "the marks are in none of them");
        let all: std::collections::HashSet<String> =
            (0..80).map(|bit| RequestUuid(1 << if bit < 40 { bit } else { bit + 44 }).short()).collect();
        assert_eq!(all.len(), 80, "each of the bits taken makes another id");
        assert!(
            all.iter()
                .all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
        );
    }
}
