//! What a target is brought: the Input with its keywords replaced, or the notification that stands in for none.

use fractus_clock::Timestamp;
use serde_json::json;

use crate::store::Place;

/// What the keywords in an Input are replaced with.
///
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub schedule_arn: &'a str,
    pub scheduled_at: Timestamp,
    pub execution_id: &'a str,
    pub attempt: u32,
}

const KEYWORD: &str = "<aws.scheduler.";

/// Whether an Input says something else on each attempt.
pub fn has_keywords(input: &str) -> bool {
    input.contains(KEYWORD)
}

/// The Input of one attempt.
pub fn with_facts(input: &str, facts: &Facts<'_>) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find(KEYWORD) {
        out.push_str(&rest[..at]);
        let after = &rest[at + KEYWORD.len()..];
        let word = after.split('>').next().unwrap_or_default();
        let value = match word {
            "schedule-arn" => Some(facts.schedule_arn.to_owned()),
            "scheduled-time" => Some(facts.scheduled_at.to_secs_precision().date_time()),
            "execution-id" => Some(facts.execution_id.to_owned()),
            "attempt-number" => Some(facts.attempt.to_string()),
            _ => None,
        };
        match value {
            Some(value) if after.len() > word.len() => {
                out.push_str(&value);
                rest = &after[word.len() + 1..];
            }
            _ => {
                out.push_str(KEYWORD);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What is brought where a schedule has no Input.
pub fn notification(place: &Place, schedule_arn: &str, id: &str, scheduled_at: Timestamp) -> String {
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": place.world.account.as_str(),
        "time": scheduled_at.to_secs_precision().date_time(),
        "region": place.region.as_str(),
        "resources": [schedule_arn],
        "detail": "{}",
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_replaced_and_nothing_else() {
        let facts = Facts {
            schedule_arn: "arn:s",
            scheduled_at: Timestamp::from_secs(1_647_975_583),
            execution_id: "d32c5kddcf5bb8c3",
            attempt: 2,
        };
        let replaced = |input: &str| with_facts(input, &facts);
        assert_eq!(
            replaced(r#"{"a":"<aws.scheduler.schedule-arn>","t":"<aws.scheduler.scheduled-time>"}"#),
            r#"{"a":"arn:s","t":"2022-03-22T18:59:43Z"}"#
        );
        assert_eq!(replaced("<aws.scheduler.execution-id>/<aws.scheduler.attempt-number>!"), "d32c5kddcf5bb8c3/2!");
        for kept in ["", "plain", "<aws.scheduler.other>", "<aws.scheduler.", "<aws.scheduler.schedule-arn", "ä<b>"] {
            assert_eq!(replaced(kept), kept);
        }
        assert!(has_keywords("x<aws.scheduler.attempt-number>") && !has_keywords("<aws.events.rule-arn>"));
    }
}
