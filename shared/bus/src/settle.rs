//! What becomes of a delivery after its handler: rules over outcome, attempt and age.

use std::time::Duration;

use crate::Outcome;
use crate::contracts::{Attribute, DeadLetter, DeadLetterForm, Delivery};

/// What to do with a delivery.
#[derive(Debug, PartialEq)]
pub(crate) enum Settlement {
    Done,
    /// Try again after the delay.
    Again(Duration),
    /// It cannot be made.
    GiveUp(Failure),
}

/// Why a delivery could not be made, in the terms of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// `MaximumRetryAttempts` or `MaximumEventAgeInSeconds`, where it was the policy that ended it.
    pub exhausted: Option<&'static str>,
}

/// Decides by the outcome, and by how often (`attempt` counts from 1) and how long it has been tried.
pub(crate) fn decide(outcome: Outcome, delivery: &Delivery, attempt: u32, age: Duration) -> Settlement {
    let (delay, reason) = match outcome {
        Outcome::Done => return Settlement::Done,
        Outcome::Refused { code, message } => {
            return Settlement::GiveUp(Failure { code, message, exhausted: None });
        }
        Outcome::Retry { reason } => (retry_delay(attempt), reason),
        Outcome::RetryIn { delay, reason } => (delay, reason),
    };
    let exhausted = if attempt > delivery.retry.maximum_retries {
        "MaximumRetryAttempts"
    } else if age + delay > delivery.retry.maximum_age() {
        "MaximumEventAgeInSeconds"
    } else {
        return Settlement::Again(delay);
    };
    Settlement::GiveUp(Failure { code: "SERVICE_ERROR".to_owned(), message: reason, exhausted: Some(exhausted) })
}

/// Doubling from 100 ms to 5 minutes. EventBridge says no more than "exponential back-off and jitter"; the jitter is
/// left out, since one machine's services need not be kept from waking together.
pub(crate) fn retry_delay(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(12);
    Duration::from_millis(100 << doublings).min(Duration::from_secs(300))
}

/// The delivery to the dead-letter target, after attempt number `attempt`. Its id follows from the original's, so that doing
/// this twice sends it once. For senders that decide themselves when a delivery has failed; else the bus sends it.
pub fn dead_letter(original: &Delivery, dead_letter: &DeadLetter, failure: &Failure, attempt: u32) -> Delivery {
    let mut letter = Delivery::new(
        format!("{}/dead", original.id),
        original.lane.clone(),
        dead_letter.target.clone(),
        original.body.clone(),
        original.source.clone(),
        original.created_at,
    );
    letter.service = dead_letter.service.clone();
    letter.attributes = original.attributes.clone();
    letter.system_attributes = original.system_attributes.clone();
    letter.group_id = original.group_id.clone();
    letter.deduplication_id = original.deduplication_id.clone();
    letter.cause = original.cause.child(&original.id);
    letter.attributes.extend(reasons(original, dead_letter.form, failure, attempt));
    letter.attributes.extend(dead_letter.attributes.clone());
    letter
}

fn reasons(original: &Delivery, form: DeadLetterForm, failure: &Failure, attempt: u32) -> Vec<(String, Attribute)> {
    let pairs = match form {
        DeadLetterForm::Plain => Vec::new(),
        DeadLetterForm::Events => {
            let mut pairs = vec![
                ("ERROR_CODE", failure.code.clone()),
                ("ERROR_MESSAGE", failure.message.clone()),
                ("RETRY_ATTEMPTS", attempt.saturating_sub(1).to_string()),
                ("TARGET_ARN", original.target.to_string()),
            ];
            pairs.extend(failure.exhausted.map(|condition| ("EXHAUSTED_RETRY_CONDITION", condition.to_owned())));
            pairs
        }
        DeadLetterForm::Invocation => {
            vec![("ErrorCode", failure.code.clone()), ("ErrorMessage", failure.message.clone())]
        }
    };
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Attribute::string(value))).collect()
}

#[cfg(test)]
mod tests {
    use fractus_aws::{AccountId, Lane};
    use fractus_clock::Timestamp;

    use super::*;
    use crate::contracts::{RetryPolicy, Source};

    fn delivery(maximum_retries: u32, maximum_age_secs: u64) -> Delivery {
        let source = Source {
            principal: "events.amazonaws.com".into(),
            arn: None,
            account: AccountId::default_account(),
            role: None,
        };
        let target = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
        let mut delivery = Delivery::new("d", Lane::main(), target, "x".into(), source, Timestamp::EPOCH);
        delivery.retry = RetryPolicy { maximum_retries, maximum_age_secs };
        delivery
    }

    fn retry() -> Outcome {
        Outcome::Retry { reason: "busy".to_owned() }
    }

    #[test]
    fn it_is_tried_as_often_and_as_long_as_the_policy_says() {
        let delivery = delivery(2, 60);
        assert_eq!(decide(retry(), &delivery, 1, Duration::ZERO), Settlement::Again(Duration::from_millis(100)));
        assert_eq!(decide(retry(), &delivery, 2, Duration::ZERO), Settlement::Again(Duration::from_millis(200)));
        let exhausted = |settlement| match settlement {
            Settlement::GiveUp(failure) => failure.exhausted,
            other => panic!("{other:?}"),
        };
        assert_eq!(exhausted(decide(retry(), &delivery, 3, Duration::ZERO)), Some("MaximumRetryAttempts"));
        let late = decide(retry(), &delivery, 1, Duration::from_secs(60));
        assert_eq!(exhausted(late), Some("MaximumEventAgeInSeconds"));
        let refused = Outcome::Refused { code: "NO_PERMISSIONS".into(), message: "no".into() };
        assert_eq!(exhausted(decide(refused, &delivery, 1, Duration::ZERO)), None);
    }

    #[test]
    fn delays_double_and_end_at_five_minutes() {
        assert_eq!(retry_delay(0), Duration::from_millis(100));
        assert_eq!(retry_delay(4), Duration::from_millis(800));
        assert_eq!(retry_delay(u32::MAX), Duration::from_secs(300));
    }

    #[test]
    fn a_dead_letter_tells_why() {
        let original = delivery(0, 60);
        let to = DeadLetter {
            target: "arn:aws:sqs:us-east-1:000000000000:dead".parse().unwrap(),
            service: "sqs".into(),
            form: DeadLetterForm::Events,
            attributes: [("RULE_ARN".to_owned(), Attribute::string("arn:rule"))].into(),
        };
        let failure = Failure { code: "E".into(), message: "m".into(), exhausted: Some("MaximumRetryAttempts") };
        let letter = dead_letter(&original, &to, &failure, 4);
        let names: Vec<&str> = letter.attributes.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["ERROR_CODE", "ERROR_MESSAGE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS", "RULE_ARN", "TARGET_ARN"]
        );
        assert_eq!(letter.attributes["RETRY_ATTEMPTS"], Attribute::string("3"));
        assert_eq!((letter.id.as_str(), letter.body), ("d/dead", original.body));
    }
}
