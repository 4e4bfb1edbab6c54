//! Signed HTTP to the endpoint that is judged.
//!
//! Nothing is retried here and no answer is an error: what came back is for the caller to judge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Clock;
use fractus_sigv4::{KeyCache, Payload, Scheme, SignError, Signer};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::json;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("fractus-conformance/", env!("CARGO_PKG_VERSION")));
/// No answer that is judged is larger.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Shorter than servers keep idle connections, so that a pooled one is rarely found closed.
const IDLE: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Whose requests these are.
#[derive(Clone, Debug)]
pub struct Caller {
    pub access_key: String,
    pub secret: String,
    pub session_token: Option<String>,
    pub region: String,
    /// The world that the requests are of, where the endpoint has several; others pass over its header.
    pub lane: Option<String>,
}

impl Default for Caller {
    /// The default account in the default region.
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Caller {
            access_key: text("test"),
            secret: text("test"),
            session_token: None,
            region: text("us-east-1"),
            lane: None,
        }
    }
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query from the endpoint's root, encoded.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The name in the signature's scope; `None` sends without a signature.
    pub signing_name: Option<String>,
    /// The body is not part of the signature.
    pub unsigned_payload: bool,
    /// Goes before the endpoint's host in the Host header: `data-`.
    pub host_prefix: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("{0:?} is not an endpoint; it is written as http://host:port")]
    NotAnEndpoint(String),
    #[error("{0:?} cannot be the target of a request")]
    BadTarget(String),
    #[error("the request cannot be signed")]
    Unsigned(#[from] SignError),
    #[error("the connection failed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {0} seconds")]
    TimedOut(u64),
}

/// Where all requests go. Connections are kept and shared by everyone who holds it.
pub struct Endpoint {
    authority: http::uri::Authority,
    base_path: String,
    http: Client<HttpConnector, Full<Bytes>>,
    keys: KeyCache,
    clock: Clock,
    answer_within: Duration,
    requests: AtomicU64,
}

impl Endpoint {
    pub fn new(url: &str, answer_within: Duration) -> Result<Self, SendError> {
        let not_one = || SendError::NotAnEndpoint(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| not_one())?;
        if uri.scheme_str() != Some("http") {
            return Err(not_one());
        }
        let authority = uri.authority().cloned().ok_or_else(not_one)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Endpoint {
            authority,
            base_path: uri.path().trim_end_matches('/').to_owned(),
            http,
            keys: KeyCache::default(),
            clock: Clock::real(),
            answer_within,
            requests: AtomicU64::new(0),
        })
    }

    /// `host:port`, as the Host header has it.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Signs, sends, and waits for the whole answer.
    pub async fn send(&self, caller: &Caller, outgoing: Outgoing) -> Result<Answer, SendError> {
        let request = self.request(caller, outgoing)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let whole = async {
            let answer = self.http.request(request).await.map_err(|error| SendError::Broken(Box::new(error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(SendError::Broken)?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let in_time = tokio::time::timeout(self.answer_within, whole).await;
        in_time.unwrap_or_else(|_| Err(SendError::TimedOut(self.answer_within.as_secs())))
    }

    /// Has a world forgotten. One that cannot be costs memory and nothing else, and elsewhere nobody knows of it.
    pub async fn forget(&self, lane: &str) {
        let outgoing = Outgoing {
            method: Method::POST,
            target: "/_fractus/reset".to_owned(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
            body: Bytes::from(json!({ "lane": lane }).to_string()),
            signing_name: None,
            unsigned_payload: false,
            host_prefix: None,
        };
        let _ = self.send(&Caller::default(), outgoing).await;
    }

    fn request(&self, caller: &Caller, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, SendError> {
        let bad = || SendError::BadTarget(outgoing.target.clone());
        let target: PathAndQuery = format!("{}{}", self.base_path, outgoing.target).parse().map_err(|_| bad())?;
        let uri = Uri::builder().scheme("http").authority(self.authority.clone()).path_and_query(target);
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = uri.build().map_err(|_| bad())?;
        *request.headers_mut() = outgoing.headers.clone();
        let host = format!("{}{}", outgoing.host_prefix.as_deref().unwrap_or(""), self.authority);
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| bad())?);
        headers.insert(USER_AGENT, AGENT);
        if let Some(lane) = &caller.lane {
            headers.insert("x-fractus-lane", HeaderValue::from_str(lane).map_err(|_| bad())?);
        }
        if !outgoing.body.is_empty() || matches!(outgoing.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(outgoing.body.len()));
        }
        self.sign(caller, &outgoing, request)
    }

    fn sign(
        &self,
        caller: &Caller,
        outgoing: &Outgoing,
        request: Request<Full<Bytes>>,
    ) -> Result<Request<Full<Bytes>>, SendError> {
        let Some(service) = &outgoing.signing_name else { return Ok(request) };
        let payload = if outgoing.unsigned_payload { Payload::Unsigned } else { Payload::of(&outgoing.body) };
        let (mut head, body) = request.into_parts();
        let signer = Signer {
            access_key: &caller.access_key,
            secret: &caller.secret,
            token: caller.session_token.as_deref(),
            service,
            region: &caller.region,
            time: self.clock.now(),
            scheme: Scheme::V4,
        };
        signer.sign(&mut head, &payload, &self.keys)?;
        Ok(Request::from_parts(head, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(target: &str) -> Outgoing {
        Outgoing {
            method: Method::POST,
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            signing_name: Some("sqs".to_owned()),
            unsigned_payload: false,
            host_prefix: None,
        }
    }

    #[test]
    fn a_request_goes_below_the_endpoint_and_is_signed() {
        let endpoint = Endpoint::new("http://localhost:4566/base/", Duration::from_secs(1)).unwrap();
        let prefixed = Outgoing { host_prefix: Some("data-".into()), ..outgoing("/a%20b?x=1") };
        let request = endpoint.request(&Caller::default(), prefixed).unwrap();
        assert_eq!(request.uri(), "http://localhost:4566/base/a%20b?x=1");
        assert_eq!(request.headers()[HOST], "data-localhost:4566");
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/us-east-1/sqs/aws4_request"), "{authorization}");
    }

    #[test]
    fn a_request_says_its_world() {
        let endpoint = Endpoint::new("http://localhost:4566", Duration::from_secs(1)).unwrap();
        let caller = Caller { lane: Some("a-lane".into()), ..Caller::default() };
        assert_eq!(endpoint.request(&caller, outgoing("/")).unwrap().headers()["x-fractus-lane"], "a-lane");
        let request = endpoint.request(&Caller::default(), outgoing("/")).unwrap();
        assert!(!request.headers().contains_key("x-fractus-lane"));
    }

    #[test]
    fn an_unsigned_request_carries_no_signature() {
        let endpoint = Endpoint::new("http://localhost:4566", Duration::from_secs(1)).unwrap();
        let request = endpoint.request(&Caller::default(), Outgoing { signing_name: None, ..outgoing("/") }).unwrap();
        assert!(!request.headers().contains_key("authorization"));
    }

    #[test]
    fn what_is_no_endpoint_is_said_to_be_none() {
        for text in ["localhost:4566", "https://localhost", "/", ""] {
            assert!(matches!(Endpoint::new(text, IDLE), Err(SendError::NotAnEndpoint(_))), "{text}");
        }
        let endpoint = Endpoint::new("http://localhost", IDLE).unwrap();
        let bad = endpoint.request(&Caller::default(), outgoing("/a b"));
        assert!(matches!(bad, Err(SendError::BadTarget(_))));
    }
}
