//! Faults that a tester asks for: an error or a delay on some of the requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use fractus_aws::Lane;

/// One rule. The first of a lane's rules that applies and hits decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The service it is for; unset: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The operation; unset: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// How often it hits, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Answer with this error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FaultError>,
    /// Wait so long first.
    #[serde(default)]
    pub latency_ms: u64,
}

/// The error that a rule answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultError {
    pub code: String,
    #[serde(default = "server_error")]
    pub status: u16,
    #[serde(default)]
    pub message: String,
}

fn always() -> f64 {
    1.0
}

fn server_error() -> u16 {
    500
}

/// The rules of all lanes.
pub(crate) struct Faults {
    lanes: ArcSwap<Vec<(Lane, Vec<FaultRule>)>>,
    /// Spares the common case everything but one load.
    any: AtomicBool,
    seed: u64,
    drawn: AtomicU64,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Faults { lanes: ArcSwap::default(), any: AtomicBool::new(false), seed, drawn: AtomicU64::new(0) }
    }

    pub fn rules(&self, lane: &Lane) -> Vec<FaultRule> {
        let lanes = self.lanes.load();
        lanes.iter().find(|(name, _)| name == lane).map(|(_, rules)| rules.clone()).unwrap_or_default()
    }

    /// These rules are the lane's from now on.
    pub fn replace(&self, lane: &Lane, rules: Vec<FaultRule>) {
        self.lanes.rcu(|lanes| {
            let mut lanes: Vec<_> = lanes.iter().filter(|(name, _)| name != lane).cloned().collect();
            if !rules.is_empty() {
                lanes.push((lane.clone(), rules.clone()));
            }
            lanes
        });
        self.any.store(!self.lanes.load().is_empty(), Ordering::Release);
    }

    /// The fault that hits this request, if any.
    pub fn draw(&self, lane: &Lane, service: &str, operation: &str) -> Option<FaultRule> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let lanes = self.lanes.load();
        let (_, rules) = lanes.iter().find(|(name, _)| name == lane)?;
        let applies = |rule: &&FaultRule| {
            rule.service.as_deref().is_none_or(|name| name == service)
                && rule.operation.as_deref().is_none_or(|name| name == operation)
        };
        rules.iter().filter(applies).find(|rule| self.unit() < rule.probability).cloned()
    }

    /// Uniform in 0..1, the same row of numbers for the same seed.
    fn unit(&self) -> f64 {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        (crate::host::mix(self.seed.wrapping_add(count)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hit_their_own_lane_and_operation_as_often_as_they_say() {
        let faults = Faults::new(7);
        let (main, other) = (Lane::main(), Lane::new("other").unwrap());
        assert_eq!(faults.draw(&main, "toy", "Send"), None);
        let rule: FaultRule = serde_json::from_value(serde_json::json!({
            "operation": "Send", "probability": 0.25, "error": { "code": "Throttling", "status": 400 },
        }))
        .unwrap();
        faults.replace(&main, vec![rule.clone()]);
        let hits = (0..10_000).filter(|_| faults.draw(&main, "toy", "Send").is_some()).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert_eq!(faults.draw(&other, "toy", "Send"), None);
        assert_eq!(faults.draw(&main, "toy", "Receive"), None);
        assert_eq!(faults.rules(&main), [rule]);
        faults.replace(&main, Vec::new());
        assert!(!faults.any.load(Ordering::Acquire));
    }
}
