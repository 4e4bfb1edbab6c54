//! When a call is tried again, and after how long: the SDKs' standard mode
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).

use std::time::Duration;

use fractus_wire::Failure;

/// Codes that ask for patience.
const THROTTLED: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Codes of conditions that pass by themselves.
const TRANSIENT: [&str; 4] = ["RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure"];

/// How often and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// The first one included.
    pub attempts: u32,
    /// The greatest wait before the second attempt; it doubles for each further one.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

impl Default for RetryRules {
    fn default() -> Self {
        RetryRules { attempts: 3, base: Duration::from_millis(100), cap: Duration::from_secs(5) }
    }
}

impl RetryRules {
    /// One attempt and no more, for callers with a schedule of their own.
    pub const ONCE: RetryRules = RetryRules { attempts: 1, base: Duration::ZERO, cap: Duration::ZERO };

    /// The wait after `attempt` attempts, somewhere below a bound that doubles each time. `unit` is in [0, 1).
    pub fn wait(&self, attempt: u32, unit: f64) -> Duration {
        let doubled = self.base.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.cap).mul_f64(unit.clamp(0.0, 1.0))
    }
}

/// Whether an answered error is worth another attempt.
pub fn is_worth_retrying(failure: &Failure) -> bool {
    let code = failure.code.as_ref();
    THROTTLED.binary_search(&code).is_ok()
        || TRANSIENT.contains(&code)
        || matches!(failure.status, 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn throttles_and_passing_errors_are_retried_and_nothing_else() {
        assert!(THROTTLED.is_sorted());
        let retried = |code: &'static str, status| is_worth_retrying(&Failure::new(code, status, ""));
        for (code, status) in [("ThrottlingException", 400), ("SlowDown", 503), ("Whatever", 502), ("Busy", 429)] {
            assert!(retried(code, status), "{code}");
        }
        for (code, status) in [("ValidationException", 400), ("AccessDenied", 403), ("NotImplemented", 501)] {
            assert!(!retried(code, status), "{code}");
        }
    }

    proptest! {
        #[test]
        fn waits_are_bounded(attempt in 0u32..200, unit in 0.0f64..1.0) {
            let rules = RetryRules::default();
            prop_assert!(rules.wait(attempt, unit) <= rules.cap);
            prop_assert!(rules.wait(attempt, unit) <= rules.wait(attempt + 1, unit));
        }
    }
}
