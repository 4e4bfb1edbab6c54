//! Calling any operation of any service by its model: typed, or by name with a document.
//!
//! ```no_run
//! # async fn example(sqs: &str) -> Result<(), Box<dyn std::error::Error>> {
//! # use fractus_client::{Client, Endpoints};
//! # use fractus_client::fractus_aws::{Region, World};
//! let client = Client::new(Endpoints::at("http://127.0.0.1:4566".parse()?));
//! let calls = client.on_behalf(World::default_world(), Region::us_east_1());
//! // let sent = calls.call::<sqs_api::SendMessage>(input).await?;
//! // let sent = calls.call_dynamic("sqs", "SendMessage", document).await?;
//! # Ok(()) }
//! ```
//!
//! A call is made as a world and in a region: its signature carries both, so the service answers as that account. It
//! is signed, sent to where the service is ([`Endpoints`], or anything else that implements [`Resolve`]), and tried
//! again within bounds ([`retry`]) on throttling, on errors that pass, and when a connection breaks.
//!
//! In reading order: [`Client`] and [`Calls`] (here), [`endpoints`], [`credentials`], `request` (making one), `send`
//! (the attempts), `pool` (their connections), [`retry`] (the rules), `dynamic` (by name).
//!
//! Left out on purpose: TLS, because calls between services stay on the machine or its network and the router alone
//! speaks to the world; waiters and paginators, which are loops over calls that their users write better; the SDKs'
//! adaptive retry rate, because the services here are our own.

pub mod credentials;
pub mod endpoints;
pub mod retry;

#[cfg(feature = "dynamic")]
mod dynamic;
mod error;
mod pool;
mod request;
mod send;

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_clock::{Clock, Random};
use fractus_sigv4::KeyCache;
use fractus_wire::{DynamicShape, Failure, Operation, OperationSchema, ServiceSchema, Shape};
use http::{HeaderName, HeaderValue};

pub use fractus_aws;

pub use credentials::Credentials;
pub use endpoints::{Endpoints, Resolve};
pub use error::CallError;
use pool::Pool;
pub use request::{AGENT, CONTENT_MD5, demanded_digest};
pub use retry::RetryRules;

/// Bounds of a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the head of the answer is there; a long poll of SQS takes 20 seconds by itself.
    pub answer_within: Duration,
    /// Answers that are not streams are refused beyond this.
    pub answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { answer_within: Duration::from_secs(65), answer_bytes: 32 << 20 }
    }
}

/// A client for all services. Clones share connections and keys.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    resolver: Box<dyn Resolve>,
    http: Pool,
    keys: KeyCache,
    clock: Clock,
    random: Random,
    limits: Limits,
    retry: RetryRules,
    #[cfg(feature = "dynamic")]
    models: dynamic::Models,
}

impl Client {
    pub fn new(resolver: impl Resolve) -> Self {
        Client::with(resolver, Limits::default(), RetryRules::default(), Random::system())
    }

    /// With bounds, rules and randomness of the caller's choice.
    pub fn with(resolver: impl Resolve, limits: Limits, retry: RetryRules, random: Random) -> Self {
        let inner = Inner {
            resolver: Box::new(resolver),
            http: Pool::default(),
            keys: KeyCache::default(),
            // Signatures and waits between attempts are about real time, whatever a lane's clock says.
            clock: Clock::real(),
            random,
            limits,
            retry,
            #[cfg(feature = "dynamic")]
            models: dynamic::Models::default(),
        };
        Client { inner: Arc::new(inner) }
    }

    /// Calls as the account of `world`, in its lane, in `region`.
    pub fn on_behalf(&self, world: World, region: Region) -> Calls {
        let credentials = Credentials::of_account(&world.account);
        Calls { client: self.clone(), world, region, credentials, headers: Vec::new() }
    }
}

/// Calls on somebody's behalf.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    world: World,
    region: Region,
    credentials: Credentials,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Calls {
    /// With credentials that IAM or STS gave out, so that the caller is their principal: a role, a session.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// With a header on every call, such as `traceparent`, so that what is called knows its cause.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Calls an operation. What keeps it from being answered becomes the error that AWS's edge would answer with.
    pub async fn call<Op: Operation>(&self, input: Op::Input) -> Result<Op::Output, Op::Error> {
        self.try_call::<Op>(input).await.map_err(|error| Op::Error::from(Failure::from(error)))
    }

    /// As [`Calls::call`], and tells a service's own error from a call that did not arrive.
    pub async fn try_call<Op: Operation>(&self, mut input: Op::Input) -> Result<Op::Output, CallError> {
        let mut output = Op::Output::default();
        self.exchange(Op::SERVICE, Op::SCHEMA, &mut input, &mut output).await?;
        Ok(output)
    }

    /// Calls an operation by schemas alone; the shapes are whatever the caller reads and writes.
    pub async fn call_shape(
        &self,
        service: &'static ServiceSchema,
        operation: &'static OperationSchema,
        mut input: DynamicShape,
    ) -> Result<DynamicShape, CallError> {
        let mut output = DynamicShape::new(operation.output);
        self.exchange(service, operation, &mut input, &mut output).await?;
        Ok(output)
    }

    async fn exchange(
        &self,
        service: &'static ServiceSchema,
        operation: &'static OperationSchema,
        input: &mut dyn Shape,
        output: &mut dyn Shape,
    ) -> Result<(), CallError> {
        let prepared = request::prepare(self, service, operation, input)?;
        send::exchange(self, prepared, output).await
    }
}
