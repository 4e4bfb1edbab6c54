//! Typed calls, signed, over the operations' own wire protocols.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use fractus_clock::{Clock, Random};
use fractus_sigv4::{KeyCache, Payload, Scheme, Signer};
use fractus_wire::protocol::{self, ResponseError};
use fractus_wire::{ByteStream, Failure, Operation, Protocol, ServiceSchema};

/// Calls one service. Cheap to clone; `as_account`, `in_region` and the like give another caller over the same
/// connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    keys: Arc<KeyCache>,
    random: Random,
    url: String,
    api: Option<&'static ServiceSchema>,
    access_key: String,
    secret: String,
    token: Option<String>,
    region: String,
    protocol: Option<Protocol>,
    headers: Vec<(String, String)>,
    signs: bool,
}

impl Client {
    /// A client of the service at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Client {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            keys: Arc::new(KeyCache::with_capacity(16)),
            random: Random::system(),
            url: url.into(),
            api: None,
            access_key: "test".to_owned(),
            secret: "test".to_owned(),
            token: None,
            region: "us-east-1".to_owned(),
            protocol: None,
            headers: Vec::new(),
            signs: true,
        }
    }

    /// The API that requests by [`Client::send`] are signed for. Typed calls know their own.
    #[must_use]
    pub fn api(mut self, api: &'static ServiceSchema) -> Self {
        self.api = Some(api);
        self
    }

    /// A 12-digit key: the account itself.
    #[must_use]
    pub fn as_account(self, account: &str) -> Self {
        self.with_keys(account, "test", None)
    }

    #[must_use]
    pub fn with_keys(mut self, access_key: &str, secret: &str, token: Option<&str>) -> Self {
        self.access_key = access_key.to_owned();
        self.secret = secret.to_owned();
        self.token = token.map(str::to_owned);
        self
    }

    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    #[must_use]
    pub fn in_lane(self, lane: &str) -> Self {
        self.with_header("x-fractus-lane", lane)
    }

    /// A header on every request, not signed.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another of the API's protocols than its first.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Requests without a signature.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signs = false;
        self
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls an operation; an error is the service's own.
    ///
    /// # Panics
    /// When there is no answer, or none that the model allows.
    pub async fn call<Op: Operation>(&self, operation: Op, input: Op::Input) -> Result<Op::Output, Failure> {
        self.call_with_head(operation, input).await.map(|(output, _)| output)
    }

    /// The same, and the head of the answer.
    ///
    /// # Panics
    /// When there is no answer, or none that the model allows.
    pub async fn call_with_head<Op: Operation>(
        &self,
        _: Op,
        mut input: Op::Input,
    ) -> Result<(Op::Output, http::response::Parts), Failure> {
        let api = Op::SERVICE;
        let protocol = self.protocol.or(api.protocols.first().copied()).expect("the API has a protocol");
        fractus_wire::tokens::fill_idempotency_token(&mut input, || self.random.uuid()).expect("a token fits");
        let outgoing =
            protocol::write_request(protocol, api, Op::SCHEMA, &mut input).expect("the request can be written");
        let (mut head, body) = outgoing.request.into_parts();
        let body = body.collect(u64::MAX).await.expect("the body can be read");
        if let Some(digest) = fractus_client::demanded_digest(Op::SCHEMA, &head.headers, &body) {
            head.headers.insert(fractus_client::CONTENT_MD5, digest);
        }
        let answer = self.send_for(api.signing_name, Request::from_parts(head, body)).await;
        let (head, body) = answer.into_parts();
        let kept = head.clone();
        let mut output = Op::Output::default();
        let answer = Response::from_parts(head, ByteStream::from(body));
        match protocol::read_response(protocol, api, Op::SCHEMA, answer, &mut output) {
            Ok(()) => Ok((output, kept)),
            Err(ResponseError::Failure(failure)) => Err(failure),
            Err(ResponseError::Unreadable(error)) => {
                panic!("{} answered what cannot be read: {error}", Op::SCHEMA.name)
            }
        }
    }

    /// Signs and sends a request whose URI is a path on the service, or a whole URL.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.send_for(self.api.map_or("execute-api", |api| api.signing_name), request).await
    }

    async fn send_for(&self, signing_name: &str, request: Request<Bytes>) -> Response<Bytes> {
        let (mut head, body) = request.into_parts();
        head.uri = self.absolute(&head.uri);
        // As every SDK does, of an empty body, too.
        if matches!(head.method, http::Method::PUT | http::Method::POST) {
            head.headers.entry(http::header::CONTENT_LENGTH).or_insert_with(|| body.len().into());
        }
        if self.signs {
            self.sign(signing_name, &mut head, &body);
        }
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a header's name");
            head.headers.insert(name, value.parse().expect("a header's value"));
        }
        let answer = self.pool.request(Request::from_parts(head, Full::new(body))).await.expect("an answer");
        let (head, body) = answer.into_parts();
        Response::from_parts(head, body.collect().await.expect("a whole answer").to_bytes())
    }

    fn absolute(&self, uri: &Uri) -> Uri {
        if uri.authority().is_some() {
            return uri.clone();
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{path}", self.url.trim_end_matches('/')).parse().expect("a URL")
    }

    fn sign(&self, signing_name: &str, head: &mut http::request::Parts, body: &Bytes) {
        let signer = Signer {
            access_key: &self.access_key,
            secret: &self.secret,
            token: self.token.as_deref(),
            service: signing_name,
            region: &self.region,
            // Clients know nothing of a lane's clock.
            time: Clock::real().now(),
            scheme: Scheme::V4,
        };
        signer.sign(head, &Payload::of(body), &self.keys).expect("the request can be signed");
    }
}
