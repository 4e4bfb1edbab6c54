//! A service on a port of its own, made of the server side of `fractus-wire`, that verifies signatures.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use fractus_clock::Clock;
use fractus_sigv4::{Body, Expectation, KeyCache, RequestSignature, RequestView};
use fractus_wire::protocol::{Answer, action_is_in_body, identify, read_request, write_failure, write_response};
use fractus_wire::{ByteStream, DynamicShape, Failure, ServiceSchema};
use http::request::Parts;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// Who asked for what, as the service saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub operation: &'static str,
    pub head: Arc<Parts>,
    pub access_key: Option<String>,
    pub region: Option<String>,
    pub token: Option<String>,
}

type Sent = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

pub type Handler = dyn Fn(&Seen, DynamicShape) -> Result<DynamicShape, Failure> + Send + Sync;

pub struct Server {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

struct Service {
    schema: &'static ServiceSchema,
    secret: String,
    handler: Box<Handler>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Serves until the test ends.
pub async fn serve(
    schema: &'static ServiceSchema,
    secret: &str,
    handler: impl Fn(&Seen, DynamicShape) -> Result<DynamicShape, Failure> + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = Service { schema, secret: secret.to_owned(), handler: Box::new(handler), seen: seen.clone() };
    let service = Arc::new(service);
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
        }
    });
    Server { url, seen }
}

impl Service {
    async fn answer(&self, request: http::Request<hyper::body::Incoming>) -> http::Response<Sent> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let answer = Answer { request_id: "request-1", ..Default::default() };
        let form = action_is_in_body(self.schema, &head).then_some(&body[..]);
        let identified = match identify(self.schema, &head, form) {
            Ok(identified) => identified,
            Err((protocol, failure)) => {
                return sent(write_failure(protocol, self.schema, None, &failure, &answer));
            }
        };
        let (protocol, operation) = (identified.protocol, identified.operation);
        let mut input = DynamicShape::new(operation.input);
        let result = self.verify(operation.name, &head, &body).and_then(|seen| {
            let read = read_request(&identified, self.schema, &head, ByteStream::Whole(body), &mut input)?;
            assert!(read.missing.is_empty(), "{:?}", read.missing);
            (self.handler)(&seen, input)
        });
        match result {
            Ok(mut output) => sent(write_response(protocol, self.schema, operation, &mut output, &answer).unwrap()),
            Err(failure) => sent(write_failure(protocol, self.schema, Some(operation), &failure, &answer)),
        }
    }

    fn verify(&self, operation: &'static str, head: &Parts, body: &[u8]) -> Result<Seen, Failure> {
        let mut seen = Seen { operation, head: Arc::new(head.clone()), access_key: None, region: None, token: None };
        if head.headers.contains_key("authorization") {
            let view = RequestView::from(head);
            let services = [self.schema.signing_name];
            let expected = Expectation::new(&services, Clock::real().now());
            let refused =
                |error: fractus_sigv4::SignatureError| Failure::new("SignatureDoesNotMatch", 403, error.to_string());
            let signature = RequestSignature::parse(&view).map_err(refused)?;
            signature
                .verify(&view, Body::Bytes(body), &self.secret, &expected, &KeyCache::default())
                .map_err(refused)?;
            seen.access_key = Some(signature.access_key().to_owned());
            seen.region = Some(signature.credential.region.to_owned());
            seen.token = view.header("x-amz-security-token").map(str::to_owned);
        }
        self.seen.lock().push(seen.clone());
        Ok(seen)
    }
}

fn sent(response: http::Response<ByteStream>) -> http::Response<Sent> {
    response.map(|body| match body {
        ByteStream::Whole(bytes) => http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
        ByteStream::Streaming { body, .. } => body.map_err(|error| error.to_string().into()).boxed_unsync(),
    })
}
