//! How long and how often a delivery is tried.

use std::time::Duration;

use fractus_clock::Timestamp;
use serde::{Deserialize, Serialize};

/// How long the bus tries. The defaults are EventBridge's, which most senders of events share.
///
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub maximum_retries: u32,
    /// Seconds from the sending until no further attempt is made.
    pub maximum_age_secs: u64,
    /// How long a sender waits that tries again by a lane's clock.
    #[serde(default)]
    pub pace: Pace,
}

/// The waits before retries by a lane's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// They begin with a second and double up to [`LONGEST_WAIT`], so that the 185 retries of the default policy fit into its
    /// 24 hours.
    #[default]
    Doubling,
    /// As topics wait for AWS's own services: three retries at once, two a second apart, ten that grow from a second to
    /// twenty, and then one every twenty seconds.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
    Phases,
}

impl Pace {
    /// The wait before a retry, counted from 1.
    pub fn wait(self, retry: u32) -> Duration {
        let doubled = |steps: u32| Duration::from_secs(1 << steps.min(16));
        match self {
            Pace::Doubling => doubled(retry.saturating_sub(1)).min(LONGEST_WAIT),
            Pace::Phases => match retry {
                0..=3 => Duration::ZERO,
                4..=5 => Duration::from_secs(1),
                _ => doubled(retry - 6).min(Duration::from_secs(20)),
            },
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { maximum_retries: 185, maximum_age_secs: 86_400, pace: Pace::Doubling }
    }
}

/// The longest wait between two attempts of a sender that tries again by a lane's clock.
const LONGEST_WAIT: Duration = Duration::from_secs(480);

impl RetryPolicy {
    pub fn maximum_age(&self) -> Duration {
        Duration::from_secs(self.maximum_age_secs)
    }

    /// When a sender that tries again by a lane's clock does so after attempt number `attempt`, which counts from 1; the
    /// condition that is exhausted where it does so no more.
    ///
    /// "Retry attempts with exponential back-off continue until either the maximum number of attempts is made or the duration
    /// is reached": <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html>
    pub fn again(&self, attempt: u32, begun_at: Timestamp, now: Timestamp) -> Result<Timestamp, &'static str> {
        if attempt > self.maximum_retries {
            return Err("MaximumRetryAttempts");
        }
        let again = now.plus(self.pace.wait(attempt));
        if again > begun_at.plus(self.maximum_age()) {
            return Err("MaximumEventAgeInSeconds");
        }
        Ok(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_ends_by_attempts_or_by_age() {
        let begun = Timestamp::from_secs(0);
        let policy = |maximum_retries, maximum_age_secs| RetryPolicy {
            maximum_retries,
            maximum_age_secs,
            ..RetryPolicy::default()
        };
        let (mut now, mut attempt) = (begun, 1);
        while let Ok(at) = RetryPolicy::default().again(attempt, begun, now) {
            assert!(at > now);
            (now, attempt) = (at, attempt + 1);
        }
        assert_eq!(attempt, 186);
        assert!(now.since(begun) < Duration::from_secs(86_400));
        let late = Timestamp::from_secs(59);
        assert_eq!(policy(0, 60).again(1, begun, begun), Err("MaximumRetryAttempts"));
        assert_eq!(policy(5, 60).again(1, begun, late), Ok(Timestamp::from_secs(60)));
        assert_eq!(policy(5, 60).again(2, begun, late), Err("MaximumEventAgeInSeconds"));
    }

    #[test]
    fn topics_try_a_hundred_thousand_times_over_23_days() {
        let secs: Vec<u64> = (1..=18).map(|retry| Pace::Phases.wait(retry).as_secs()).collect();
        assert_eq!(secs, [0, 0, 0, 1, 1, 1, 2, 4, 8, 16, 20, 20, 20, 20, 20, 20, 20, 20]);
        let policy = RetryPolicy { maximum_retries: 100_014, maximum_age_secs: 24 * 86_400, pace: Pace::Phases };
        let (mut now, mut attempt) = (Timestamp::EPOCH, 1);
        while let Ok(at) = policy.again(attempt, Timestamp::EPOCH, now) {
            (now, attempt) = (at, attempt + 1);
        }
        assert_eq!((attempt, now.secs() / 86_400), (100_015, 23));
    }
}
