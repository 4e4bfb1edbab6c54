//! TestEventPattern.

use fractus_events_api as api;
use fractus_host::Context;
use fractus_patterns::{Dialect, Event, Pattern};

use crate::error::{Error, Result};
use crate::service::Events;

/// What an event must have besides what the pattern asks for.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html>
const REQUIRED: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

/// Whether an event has what every event has.
fn is_whole(text: &str) -> bool {
    let Ok(serde_json::Value::Object(event)) = serde_json::from_str(text) else { return false };
    REQUIRED.iter().all(|name| event.contains_key(*name))
}

pub async fn test_event_pattern(
    _: &Events,
    _: &Context,
    input: api::TestEventPatternInput,
) -> Result<api::TestEventPatternOutput> {
    let pattern = Pattern::parse(&input.event_pattern, Dialect::EventBridge)
        .map_err(|error| Error::InvalidPattern(error.event_bridge_message()))?;
    let wrong = || Error::validation("Parameter Event is not valid.");
    if !is_whole(&input.event) {
        return Err(wrong());
    }
    let event = Event::parse(&input.event).map_err(|_| wrong())?;
    Ok(api::TestEventPatternOutput { result: Some(pattern.matches(&event)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_all_its_members() {
        let whole = r#"{"id":"1","account":"a","source":"s","time":"t","region":"r","resources":[],"detail-type":"d"}"#;
        assert!(is_whole(whole));
        for name in REQUIRED {
            assert!(!is_whole(&whole.replace(&format!("\"{name}\""), "\"x\"")), "{name}");
        }
        assert!(!is_whole("[]") && !is_whole("{"));
    }
}
