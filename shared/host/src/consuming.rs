//! Taking deliveries: those that come back are handled here, faults that a tester asks for hit deliveries as they hit calls,
//! and the rest is the service's.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::contracts::Delivery;
use fractus_bus::{ConsumeConfig, Outcome};
use fractus_clock::Clock;
use http::StatusCode;

use crate::faults::FaultRule;
use crate::host::Host;
use crate::resending::Resending;

impl Host {
    /// Consumes the deliveries of this service as long as the host lives. `resending` is for those that come back to it;
    /// without it they go to the handler too.
    pub fn consume<H, F>(&self, resending: Option<Resending>, handler: H)
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (host, handler) = (self.clone(), Arc::new(handler));
        let consumption = self.bus().consume_deliveries(ConsumeConfig::default(), move |delivery| {
            let (host, handler, resending) = (host.clone(), Arc::clone(&handler), resending.clone());
            async move {
                if delivery.returned.is_some() {
                    return match &resending {
                        Some(resending) => resending.take(delivery).await,
                        None => handler(delivery).await,
                    };
                }
                match host.suffer_delivery(&delivery).await {
                    Some(outcome) => outcome,
                    None => handler(delivery).await,
                }
            }
        });
        self.keep(consumption);
    }

    /// The fault that hits a delivery, as it would hit the call that it stands for. A dead letter names no operation, so that
    /// what fails by a fault on one can still be seen to have failed.
    async fn suffer_delivery(&self, delivery: &Delivery) -> Option<Outcome> {
        let operation = delivery.action.rsplit(':').next().unwrap_or_default();
        let fault = self.inner.faults.draw(&delivery.lane, self.name(), operation)?;
        if fault.latency_ms > 0 {
            // A delay that a tester asks for is one of real time.
            Clock::real().sleep(Duration::from_millis(fault.latency_ms)).await;
        }
        outcome(fault)
    }
}

/// What a fault makes of a delivery: a server's trouble and throttling pass, another refusal does not. None for a delay alone.
fn outcome(fault: FaultRule) -> Option<Outcome> {
    let error = fault.error?;
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let passes = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || ["Throttl", "TooManyRequests", "LimitExceeded"].iter().any(|sign| error.code.contains(sign));
    Some(if passes {
        Outcome::Failed { code: error.code, reason: error.message, after: None }
    } else {
        Outcome::Refused { code: error.code, message: error.message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_passes_or_does_not() {
        let of = |code: &str, status: u16| {
            let rule = serde_json::json!({"error": {"code": code, "status": status, "message": "m"}});
            outcome(serde_json::from_value(rule).unwrap())
        };
        let failed = |code: &str| Some(Outcome::Failed { code: code.into(), reason: "m".into(), after: None });
        assert_eq!(of("ServiceUnavailable", 503), failed("ServiceUnavailable"));
        assert_eq!(of("ThrottlingException", 400), failed("ThrottlingException"));
        let denied = Outcome::Refused { code: "AccessDenied".into(), message: "m".into() };
        assert_eq!(of("AccessDenied", 403), Some(denied));
        assert_eq!(outcome(serde_json::from_value(serde_json::json!({"latency_ms": 1})).unwrap()), None);
    }
}
