//! What a handler knows about the call it answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};

use fractus_aws::{AccountId, Region, World};
use fractus_bus::contracts::{Cause, Credential, CredentialKind};
use fractus_clock::{Clock, Random, Timestamp};
use fractus_wire::{Failure, HeaderMarks, OperationSchema, Protocol, ServiceSchema};

use crate::access::Access;
use crate::host::Host;
use crate::identity::Identity;
use crate::operations::Fidelity;
use crate::permissions;
use crate::timing::Timing;

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `arn:aws:iam::123456789012:root`, `arn:aws:sts::123456789012:assumed-role/reader/session` ...
    pub arn: String,
    /// The unique id: `AIDA...`, `AROA...:session`, or the account id for root.
    pub principal_id: String,
    pub account: AccountId,
    pub kind: CallerKind,
    /// Empty for an anonymous caller.
    pub access_key_id: String,
    /// The whole credential, where its issuer is known and was asked.
    pub credential: Option<Arc<Credential>>,
}

/// What sort of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// The request is not signed.
    Anonymous,
    /// A key that nobody issued: it acts as its account's root.
    Root,
    /// Somebody whom the issuer of the key knows.
    Known(CredentialKind),
    /// Another service, on its own behalf.
    Service,
}

/// Everything about a call but its input. Handlers borrow it.
pub struct Context {
    pub world: World,
    pub region: Region,
    pub caller: Arc<Caller>,
    pub request_id: String,
    pub(crate) host: Host,
    pub(crate) identity: Arc<Identity>,
    pub(crate) head: Parts,
    /// Of the head's headers, once nothing is added to them any more.
    pub(crate) marks: HeaderMarks,
    /// The request target before the service rewrote it; the signature is over this one.
    pub(crate) original_uri: Option<Uri>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) operation: Option<CalledOperation>,
    /// The cause that came with the call, where it came from inside.
    pub(crate) cause: Option<Cause>,
    /// The status of a good answer where it is another than the model's; 0: the model's.
    pub(crate) status: AtomicU16,
    pub(crate) timing: Timing,
}

/// Which operation is called, and how.
#[derive(Clone, Copy, Debug)]
pub struct CalledOperation {
    pub api: &'static ServiceSchema,
    pub schema: &'static OperationSchema,
    pub protocol: Protocol,
    pub fidelity: Fidelity,
    /// Where it stands in the table.
    pub(crate) place: usize,
}

impl Context {
    /// A context for work that no request asked for (a delivery, a timer): the service itself acts in `world`.
    pub fn internal(host: &Host, world: World, region: Region, cause: Cause) -> Self {
        let caller = Arc::new(Caller {
            arn: format!("arn:{}:iam::{}:root", world.partition, world.account),
            principal_id: world.account.to_string(),
            account: world.account.clone(),
            kind: CallerKind::Service,
            access_key_id: String::new(),
            credential: None,
        });
        let identity = Arc::new(Identity::of_service(host, &world, &region, caller.clone()));
        let (head, ()) = http::Request::new(()).into_parts();
        Context {
            world,
            region,
            caller,
            request_id: host.next_request_id().hyphenated(),
            host: host.clone(),
            identity,
            head,
            marks: HeaderMarks::ALL,
            original_uri: None,
            peer: None,
            operation: None,
            cause: Some(cause),
            status: AtomicU16::new(0),
            timing: Timing::start(),
        }
    }

    /// Answers with another status than the model's: what a handler passes on from somebody else.
    pub fn answer_with(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    /// The time of the caller's lane.
    pub fn now(&self) -> Timestamp {
        self.identity.clock.now()
    }

    /// The clock of the caller's lane.
    pub fn clock(&self) -> &Clock {
        &self.identity.clock
    }

    /// How long this request takes, for a service that tells it.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    pub fn random(&self) -> &Random {
        self.host.random()
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The operation; none for raw requests and inner work.
    pub fn operation(&self) -> Option<&CalledOperation> {
        self.operation.as_ref()
    }

    /// Whether the caller speaks one of the Query protocols; older clients get older error codes.
    pub fn speaks_query(&self) -> bool {
        self.operation.is_some_and(|operation| matches!(operation.protocol, Protocol::AwsQuery | Protocol::Ec2Query))
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first header of this name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.marks.find(&self.head.headers, name).and_then(|value| value.to_str().ok())
    }

    /// What the service's own `prepare` and `resolve` left with the head.
    pub fn extensions(&self) -> &http::Extensions {
        &self.head.extensions
    }

    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The request target, as the service's own `prepare` left it.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The request target as it came.
    pub fn original_uri(&self) -> &Uri {
        self.original_uri.as_ref().unwrap_or(&self.head.uri)
    }

    /// Scheme and authority that the caller used, or `external_url`: what links in answers begin with.
    pub fn endpoint(&self) -> String {
        if let Some(external) = &self.host.config().external_url {
            return external.trim_end_matches('/').to_owned();
        }
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// `https` where the router took TLS off.
    pub fn scheme(&self) -> &str {
        match self.header("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        }
    }

    /// Host and port as the caller named them.
    pub fn authority(&self) -> &str {
        let authority = self.original_uri().authority().map(http::uri::Authority::as_str);
        authority.or_else(|| self.header("host")).filter(|authority| !authority.is_empty()).unwrap_or("localhost")
    }

    /// The host that the caller named, without its port and the lane's part.
    pub fn named_host(&self) -> &str {
        &self.identity.host
    }

    /// Where the call came from; behind the router, what the router saw.
    pub fn source_ip(&self) -> IpAddr {
        let forwarded = self.header("x-forwarded-for").and_then(|list| list.split(',').next()?.trim().parse().ok());
        let peer = self.peer.map(|peer| peer.ip());
        match peer {
            Some(peer) if !peer.is_loopback() => peer,
            _ => forwarded.or(peer).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        }
    }

    pub fn user_agent(&self) -> Option<&str> {
        self.header("user-agent")
    }

    /// The cause of everything that this call leads to.
    pub fn cause(&self) -> Cause {
        if let Some(cause) = &self.cause {
            return cause.child(self.request_id.clone());
        }
        let trace = self
            .header("x-amzn-trace-id")
            .and_then(|header| header.split(';').find_map(|part| part.trim().strip_prefix("Root=")).map(str::to_owned));
        let trace = trace.unwrap_or_else(|| self.request_id.clone());
        Cause::root(trace, self.caller.arn.clone()).child(self.request_id.clone())
    }

    /// Whether [`Context::authorize`] has anything to ask.
    pub fn evaluates_policies(&self) -> bool {
        match self.caller.kind {
            CallerKind::Service => false,
            CallerKind::Anonymous if self.host.service().is_some_and(|service| service.evaluates_anonymous()) => true,
            _ => self.host.config().auth == crate::config::AuthMode::Enforced,
        }
    }

    /// Evaluates every policy on these accesses; the host does so for each operation that has an access rule, handlers
    /// for what they learn only later (a role to be passed, an entry of a batch). Answers at once where policies are not
    /// evaluated.
    pub async fn authorize(&self, wanted: &[Access]) -> Result<(), Failure> {
        if !self.evaluates_policies() {
            return Ok(());
        }
        // In a box: whoever asks holds it while it waits for its body, and most stacks never get here.
        Box::pin(permissions::authorize(self, wanted)).await
    }
}
