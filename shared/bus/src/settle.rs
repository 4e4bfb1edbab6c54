//! What becomes of a delivery after its handler: rules over outcome, attempt and age.

use std::time::Duration;

use crate::Outcome;
use crate::contracts::{Attribute, DeadLetter, DeadLetterForm, Delivery, Fate};

/// The code of a failure whose target says no more than that it cannot.
const SERVICE_ERROR: &str = "SERVICE_ERROR";

/// What to do with a delivery.
#[derive(Debug, PartialEq)]
pub(crate) enum Settlement {
    Done,
    /// Try again after the delay.
    Again(Duration),
    /// It cannot be made.
    GiveUp(Failure),
    /// It goes back to its sender, who decides.
    Return(Fate),
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
    if let Some(returns) = delivery.returns.as_ref().filter(|_| delivery.returned.is_none()) {
        return match fate(outcome) {
            Ok(Fate::Done { .. }) if !returns.all => Settlement::Done,
            Ok(fate) => Settlement::Return(fate),
            // Not an attempt yet, so none that the policy counts.
            Err(delay) => Settlement::Again(delay),
        };
    }
    let (delay, code, reason) = match outcome {
        Outcome::Done | Outcome::Answered { .. } => return Settlement::Done,
        Outcome::Failed { code, reason, .. } => (retry_delay(attempt), code, reason),
        Outcome::Refused { code, message } => {
            return Settlement::GiveUp(Failure { code, message, exhausted: None });
        }
        Outcome::Retry { reason } => (retry_delay(attempt), SERVICE_ERROR.to_owned(), reason),
        Outcome::RetryIn { delay, reason } => (delay, SERVICE_ERROR.to_owned(), reason),
    };
    let exhausted = if attempt > delivery.retry.maximum_retries {
        "MaximumRetryAttempts"
    } else if age + delay > delivery.retry.maximum_age() {
        "MaximumEventAgeInSeconds"
    } else {
        return Settlement::Again(delay);
    };
    Settlement::GiveUp(Failure { code, message: reason, exhausted: Some(exhausted) })
}

/// What the sender is told of an outcome; the wait where there is none yet.
fn fate(outcome: Outcome) -> Result<Fate, Duration> {
    Ok(match outcome {
        Outcome::Done => Fate::Done { answer: serde_json::Value::Null },
        Outcome::Answered { answer } => Fate::Done { answer },
        Outcome::Retry { reason } => Fate::Failed { code: SERVICE_ERROR.to_owned(), message: reason, after_ms: None },
        Outcome::Failed { code, reason, after } => {
            let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            Fate::Failed { code, message: reason, after_ms }
        }
        Outcome::RetryIn { delay, .. } => return Err(delay),
        Outcome::Refused { code, message } => Fate::Refused { code, message },
    })
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
        delivery.retry = RetryPolicy { maximum_retries, maximum_age_secs, ..RetryPolicy::default() };
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
    fn what_its_sender_waits_for_goes_back_to_it() {
        let mut sent = delivery(0, 60);
        sent.returns = Some(crate::contracts::Returns::failures("events"));
        let settled = |sent: &Delivery, outcome| decide(outcome, sent, 7, Duration::from_secs(1_000));
        assert_eq!(settled(&sent, Outcome::Done), Settlement::Done);
        let failed = Fate::Failed { code: "SERVICE_ERROR".into(), message: "busy".into(), after_ms: None };
        assert_eq!(settled(&sent, retry()), Settlement::Return(failed));
        let later = Outcome::RetryIn { delay: Duration::from_secs(3), reason: "not yet".into() };
        assert_eq!(settled(&sent, later), Settlement::Again(Duration::from_secs(3)));
        sent.returns = Some(crate::contracts::Returns { all: true, ..crate::contracts::Returns::failures("sns") });
        let answer = serde_json::json!({"MessageId": "m"});
        let told = settled(&sent, Outcome::Answered { answer: answer.clone() });
        assert_eq!(told, Settlement::Return(Fate::Done { answer }));
        // What has come back is not sent back again.
        let back = sent.back(Fate::Done { answer: serde_json::Value::Null }).unwrap();
        assert_eq!(settled(&back, Outcome::Done), Settlement::Done);
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
