//! Deliveries for services that point elsewhere.
//!
//! A service of ours consumes its deliveries itself. For one that points to a URL or to AWS the router does it: each
//! delivery becomes the public API call that it stands for, signed, and sent where the service's requests go (`Calls`
//! says how, one file for each service that takes deliveries). What the other side refuses goes to the dead-letter
//! target as it would here; what it cannot take now is tried again as the delivery's own policy says.
//!
//! Left out: private calls (`call.<service>…`), which have no public operation; and an order beyond that of the calls.
//! A call that was answered and whose answer was lost is made again, so a standard queue may get a message twice.

mod lambda;
mod sqs;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_bus::contracts::Delivery;
use fractus_bus::{Bus, BusConfig, ConsumeConfig, Consumption, Outcome};
use fractus_clock::Clock;
use fractus_sigv4::{KeyCache, Payload, Scheme, Signer, sha256};
use http::header::HOST;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};

use crate::config::Config;
use crate::proxy::body::{BoxError, RouterBody};
use crate::proxy::forward;
use crate::proxy::targets::TargetKind;
use crate::router::Router;

/// Calls under way for each service: another's endpoint is not to be flooded.
const IN_FLIGHT: usize = 16;
/// No answer within this is tried again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// What is under way gets this long to end when the stack does.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// One public API call.
#[derive(Debug, PartialEq)]
struct Call {
    signing_name: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

/// Why a delivery cannot be a call at all.
#[derive(Debug, PartialEq, Eq)]
struct Impossible {
    code: &'static str,
    message: String,
}

/// A delivery to its call; the text is where the service is: a URL without a slash at its end, or none for AWS.
type Calls = fn(&Delivery, Option<&str>) -> Result<Call, Impossible>;

fn calls_of(service: &str) -> Option<Calls> {
    match service {
        "lambda" => Some(lambda::call),
        "sqs" => Some(sqs::call),
        _ => None,
    }
}

/// The consumptions of this router.
pub struct Bridge {
    running: Vec<(Bus, Consumption)>,
}

/// Begins to carry the deliveries of every service that points elsewhere.
pub fn begin(router: &Arc<Router>, config: &Config, nats_url: Option<&str>) -> Bridge {
    let mut running = Vec::new();
    for service in config.targets.iter().filter(|(_, target)| *target != "auto").map(|(service, _)| service) {
        let Some(nats_url) = nats_url else { break };
        let Some(calls) = calls_of(service) else {
            tracing::info!(service, "it points elsewhere and takes no deliveries there");
            continue;
        };
        let instance = format!("bridge-{}", router.request_id());
        let bus = Bus::connect(BusConfig::new(Some(nats_url.to_owned()), service.clone(), instance));
        let carrier =
            Arc::new(Carrier { router: router.clone(), service: service.clone(), calls, keys: KeyCache::default() });
        let consuming = ConsumeConfig { in_flight: IN_FLIGHT, ..ConsumeConfig::default() };
        let consumption = bus.consume_deliveries(consuming, move |delivery| {
            let carrier = carrier.clone();
            async move { carrier.carry(&delivery).await }
        });
        running.push((bus, consumption));
    }
    Bridge { running }
}

impl Bridge {
    /// Takes nothing new, and lets what is under way end.
    pub async fn end(self) {
        for (bus, consumption) in self.running {
            let ending = async {
                consumption.drain().await;
                bus.shutdown().await;
            };
            // What is cut off is delivered again when a router is back.
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, ending).await;
        }
    }
}

struct Carrier {
    router: Arc<Router>,
    service: String,
    calls: Calls,
    keys: KeyCache,
}

impl Carrier {
    async fn carry(&self, delivery: &Delivery) -> Outcome {
        let target = self.router.targets.get(&self.service);
        let url = match &target.kind {
            TargetKind::Url(url) => Some(url.trim_end_matches('/')),
            TargetKind::Aws | TargetKind::Auto => None,
        };
        let call = match (self.calls)(delivery, url) {
            Ok(call) => call,
            Err(why) => return Outcome::Refused { code: why.code.to_owned(), message: why.message },
        };
        let request = match self.request(call, delivery, url) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused { code: "InternalError".to_owned(), message: error.to_string() },
        };
        let asking = async {
            let response = match target.kind {
                TargetKind::Aws => self
                    .router
                    .hybrid
                    .send(&self.service, request, &self.router.credentials)
                    .await
                    .map_err(BoxError::from),
                TargetKind::Url(_) | TargetKind::Auto => {
                    forward::send_to_any(&target, request).await.map_err(|error| error.to_string().into())
                }
            };
            outcome(response?).await
        };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
        let failed = match answered {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ANSWER_TIMEOUT:?}"),
        };
        tracing::warn!(service = self.service, id = delivery.id, error = failed, "a delivery waits for its target");
        Outcome::Retry { reason: failed }
    }

    /// The call as a request: for the delivery's account, as a local client's would be. On the way to AWS it is signed
    /// anew with the user's own key.
    fn request(&self, call: Call, delivery: &Delivery, url: Option<&str>) -> Result<Request<RouterBody>, BoxError> {
        let host = url.and_then(|url| url.split_once("://")).map_or("localhost", |(_, host)| host);
        let host = host.split('/').next().unwrap_or(host);
        let mut request = Request::post(&call.path).header(HOST, host);
        for (name, value) in call.headers {
            request = request.header(name, HeaderValue::from_static(value));
        }
        if url.is_some() && delivery.lane.as_str() != "main" {
            request = request.header("x-fractus-lane", delivery.lane.as_str());
        }
        let (mut parts, ()) = request.body(())?.into_parts();
        let signer = Signer {
            access_key: delivery.account.as_str(),
            secret: "test",
            token: None,
            service: call.signing_name,
            region: delivery.region.as_str(),
            time: Clock::real().now(),
            scheme: Scheme::V4,
        };
        signer.sign(&mut parts, &Payload::Sha256(sha256(&call.body)), &self.keys)?;
        Ok(Request::from_parts(parts, RouterBody::full(Bytes::from(call.body))))
    }
}

/// What an answer means for the delivery. Throttling and trouble of the other side pass; a refusal stays one.
async fn outcome(response: Response<RouterBody>) -> Result<Outcome, BoxError> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
    if parts.status.is_success() {
        return Ok(Outcome::Done);
    }
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| said.get(name)?.as_str()).unwrap_or("").to_owned();
    let code = match text(["__type", "code"]) {
        code if code.is_empty() => parts.status.as_str().to_owned(),
        code => code.rsplit('#').next().unwrap_or_default().to_owned(),
    };
    let message = text(["message", "Message"]);
    if parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS || code.contains("Throttl") {
        return Ok(Outcome::Retry { reason: format!("{code}: {message}") });
    }
    Ok(Outcome::Refused { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(status: u16, body: &'static str) -> Outcome {
        let response = Response::builder().status(status).body(RouterBody::full(body)).unwrap();
        outcome(response).await.unwrap()
    }

    #[tokio::test]
    async fn refusals_are_told_from_trouble_that_passes() {
        assert_eq!(of(200, "{}").await, Outcome::Done);
        let gone = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no such queue\"}";
        let refused = Outcome::Refused { code: "QueueDoesNotExist".to_owned(), message: "no such queue".to_owned() };
        assert_eq!(of(400, gone).await, refused);
        assert!(matches!(of(400, "{\"__type\":\"RequestThrottled\"}").await, Outcome::Retry { .. }));
        assert!(matches!(of(503, "<html>").await, Outcome::Retry { .. }));
        assert!(matches!(of(403, "").await, Outcome::Refused { code, .. } if code == "403"));
    }
}
