//! When an invocation that failed is tried again, and when no more.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html>

use fractus_bus::contracts::RetryPolicy;
use fractus_clock::Timestamp;
use fractus_scheduler_api as api;

pub const DEFAULT_MAXIMUM_RETRIES: i32 = 185;
pub const DEFAULT_MAXIMUM_AGE_SECS: i32 = 86_400;

/// What becomes of an invocation after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Again(Timestamp),
    /// It goes to the dead-letter queue; with the condition that was exhausted, where it was the policy that ended it.
    GiveUp(Option<&'static str>),
}

/// Decides after attempt number `attempt`, which counts from 1. `passes` says whether the failure is of a kind that
/// passes by itself.
pub fn decide(
    policy: Option<&api::RetryPolicy>,
    attempt: u32,
    begun_at: Timestamp,
    now: Timestamp,
    passes: bool,
) -> Verdict {
    if !passes {
        return Verdict::GiveUp(None);
    }
    let retries = policy.and_then(|policy| policy.maximum_retry_attempts).unwrap_or(DEFAULT_MAXIMUM_RETRIES);
    let age_secs = policy.and_then(|policy| policy.maximum_event_age_in_seconds).unwrap_or(DEFAULT_MAXIMUM_AGE_SECS);
    let policy = RetryPolicy {
        maximum_retries: u32::try_from(retries).unwrap_or(0),
        maximum_age_secs: u64::try_from(age_secs).unwrap_or(0),
        ..RetryPolicy::default()
    };
    match policy.again(attempt, begun_at, now) {
        Ok(at) => Verdict::Again(at),
        Err(exhausted) => Verdict::GiveUp(Some(exhausted)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy(retries: i32, age_secs: i32) -> api::RetryPolicy {
        api::RetryPolicy { maximum_retry_attempts: Some(retries), maximum_event_age_in_seconds: Some(age_secs) }
    }

    #[test]
    fn the_default_policy_makes_its_185_retries_within_a_day() {
        let begun = Timestamp::from_secs(0);
        let (mut now, mut attempt) = (begun, 1);
        while let Verdict::Again(at) = decide(None, attempt, begun, now, true) {
            assert!(at > now);
            (now, attempt) = (at, attempt + 1);
        }
        assert_eq!(attempt, 186);
        assert_eq!(decide(None, attempt, begun, now, true), Verdict::GiveUp(Some("MaximumRetryAttempts")));
        assert!(now.since(begun) < Duration::from_secs(86_400));
    }

    #[test]
    fn a_policy_ends_by_attempts_or_by_age() {
        let (begun, now) = (Timestamp::from_secs(0), Timestamp::from_secs(59));
        assert_eq!(decide(Some(&policy(0, 60)), 1, begun, begun, true), Verdict::GiveUp(Some("MaximumRetryAttempts")));
        assert_eq!(decide(Some(&policy(5, 60)), 1, begun, now, true), Verdict::Again(Timestamp::from_secs(60)));
        assert_eq!(
            decide(Some(&policy(5, 60)), 2, begun, now, true),
            Verdict::GiveUp(Some("MaximumEventAgeInSeconds"))
        );
        assert_eq!(decide(Some(&policy(5, 60)), 1, begun, begun, false), Verdict::GiveUp(None));
    }
}
