//! What requests ask for: with an upload, and by PutObjectRetention.

use fractus_clock::Timestamp;

use super::{AskedHold, EventHold, Mode, Retention};
use crate::error::{Error, Result};

/// What is to be kept unchanged must be known to have come unchanged.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#API_PutObject_RequestParameters>
pub fn needs_digest(requests: &str) -> Error {
    Error::invalid_request(format!(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for {requests} requests with Object Lock parameters"
    ))
}

/// A retention that a request to write an object gives: a mode together with a date in the future, an event hold, or both.
pub fn given(
    mode: Option<&str>,
    until: Option<Timestamp>,
    hold: AskedHold,
    now: Timestamp,
) -> Result<Option<Retention>> {
    const HOLD: &str = "x-amz-object-lock-event-hold";
    let event_hold = match hold {
        AskedHold { on: Some(true), duration: Some(duration) } => Some(EventHold { on: true, duration }),
        AskedHold { on: Some(true), duration: None } => {
            return Err(Error::invalid_argument(HOLD, "ON", "An event hold must have a duration in days or years."));
        }
        AskedHold { duration: Some(_), .. } => {
            let message = "The duration of an event hold must come with an event hold that is ON.";
            return Err(Error::invalid_argument(HOLD, hold.on.map_or("null", |_| "OFF"), message));
        }
        AskedHold { .. } => None,
    };
    if let (Some(mode), None, Some(_)) = (mode, until, event_hold) {
        return Ok(Some(Retention { mode: Mode::parse(mode)?, until: None, event_hold }));
    }
    match (mode, until) {
        (None, None) if event_hold.is_none() => Ok(None),
        (Some(mode), Some(until)) if until > now => {
            Ok(Some(Retention { mode: Mode::parse(mode)?, until: Some(until), event_hold }))
        }
        (Some(_), Some(until)) => Err(Error::invalid_argument(
            "x-amz-object-lock-retain-until-date",
            until.date_time(),
            "The retain until date must be in the future!",
        )),
        _ => Err(Error::invalid_argument(
            "x-amz-object-lock-mode",
            "null",
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
        )),
    }
}

/// What PutObjectRetention asks for.
#[derive(Clone, Copy, Debug)]
pub struct AskedRetention {
    pub mode: Option<Mode>,
    pub until: Option<Timestamp>,
    pub hold: AskedHold,
}

impl AskedRetention {
    /// What becomes of a version's retention; a hold of which nothing is said stays.
    pub fn applied(&self, current: Option<&Retention>, now: Timestamp) -> Result<Option<Retention>> {
        let AskedRetention { mode, until, hold } = *self;
        if mode.is_none() && until.is_none() && hold.is_nothing() {
            return Ok(None);
        }
        let of_hold = !hold.is_nothing();
        // A mode and a date belong together, unless it is about a hold.
        let mode = match mode {
            Some(mode) if until.is_some() || of_hold => mode,
            None if of_hold && until.is_none() => current.map(|current| current.mode).ok_or_else(|| needs("Mode"))?,
            _ => return Err(Error::MalformedXml),
        };
        let before = current.and_then(|current| current.event_hold);
        let until = until.or_else(|| current.and_then(|current| current.until).filter(|_| of_hold));
        let duration = hold.duration.or(before.map(|before| before.duration));
        let event_hold = match (hold.on, duration) {
            (Some(true), None) => return Err(needs("EventHoldDuration")),
            (Some(true), Some(duration)) => Some(EventHold { on: true, duration }),
            // The event: what is counted from now is the duration that holds from now.
            (Some(false), Some(duration)) if before.is_some_and(|before| before.on) => {
                return Ok(Some(
                    Retention { mode, until, event_hold: Some(EventHold { on: true, duration }) }.released(now),
                ));
            }
            (Some(false), _) if until.is_none() => return Err(needs("EventHold that is ON")),
            (None, Some(_)) if before.is_none() => return Err(needs("EventHold")),
            (_, duration) => before.zip(duration).map(|(before, duration)| EventHold { on: before.on, duration }),
        };
        Ok(Some(Retention { mode, until, event_hold }))
    }
}

/// A retention that lacks what a hold has to have.
fn needs(what: &str) -> Error {
    Error::invalid_request(format!("The retention of an object with an event hold must have {what}."))
}

#[cfg(test)]
mod tests {
    use super::super::{DAY, HoldDuration, check_change, check_removal};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn held(mode: Mode, days: i32) -> Retention {
        let hold = AskedHold { on: Some(true), duration: Some(HoldDuration::Days(days)) };
        let mode = Some(mode.as_str());
        given(mode, None, hold, NOW).unwrap().unwrap()
    }

    fn asked(on: Option<bool>, days: Option<i32>) -> AskedRetention {
        AskedRetention { mode: None, until: None, hold: AskedHold { on, duration: days.map(HoldDuration::Days) } }
    }

    #[test]
    fn an_event_hold_holds_until_the_event_and_its_duration_after_it() {
        let hold = held(Mode::Compliance, 30);
        let late = NOW.plus(DAY * 1_000);
        assert!(check_removal(Some(&hold), false, true, late).is_err());
        assert!(check_removal(Some(&held(Mode::Governance, 30)), false, true, late).is_ok());
        let released = asked(Some(false), None).applied(Some(&hold), late).unwrap().unwrap();
        assert_eq!(released.until, Some(late.plus(DAY * 30)));
        assert!(check_change(Some(&hold), Some(&released), false, late).is_ok());
        assert!(check_removal(Some(&released), false, true, late.plus(DAY * 29)).is_err());
        assert!(check_removal(Some(&released), false, false, late.plus(DAY * 30)).is_ok());
    }

    #[test]
    fn a_date_beyond_the_duration_stays() {
        let both = Retention { until: Some(NOW.plus(DAY * 90)), ..held(Mode::Compliance, 30) };
        let released = asked(Some(false), None).applied(Some(&both), NOW).unwrap().unwrap();
        assert_eq!(released.until, both.until);
    }

    #[test]
    fn an_event_hold_is_not_shortened_or_dropped() {
        let hold = held(Mode::Compliance, 30);
        let shorter = asked(None, Some(29)).applied(Some(&hold), NOW).unwrap();
        assert!(check_change(Some(&hold), shorter.as_ref(), true, NOW).is_err());
        let at_release = asked(Some(false), Some(1)).applied(Some(&hold), NOW).unwrap();
        assert!(check_change(Some(&hold), at_release.as_ref(), true, NOW).is_err());
        let longer = asked(None, Some(31)).applied(Some(&hold), NOW).unwrap();
        assert!(check_change(Some(&hold), longer.as_ref(), false, NOW).is_ok());
        assert!(check_change(Some(&hold), None, true, NOW).is_err());
        // A date of its own does not take the hold away.
        let dated =
            AskedRetention { mode: Some(Mode::Compliance), until: Some(NOW.plus(DAY)), hold: AskedHold::default() };
        assert_eq!(dated.applied(Some(&hold), NOW).unwrap().unwrap().event_hold, hold.event_hold);
    }

    #[test]
    fn a_hold_needs_a_mode_and_one_duration() {
        assert!(asked(Some(true), Some(5)).applied(None, NOW).is_err());
        assert!(asked(Some(false), None).applied(None, NOW).is_err());
        let no_duration = AskedHold { on: Some(true), duration: None };
        assert!(given(Some("GOVERNANCE"), None, no_duration, NOW).is_err());
        let no_mode = AskedHold { on: Some(true), duration: Some(HoldDuration::Years(1)) };
        assert!(given(None, None, no_mode, NOW).is_err());
        assert!(HoldDuration::given(Some(1), Some(1)).is_err());
        assert!(HoldDuration::given(Some(0), None).is_err());
        assert!(HoldDuration::given(None, Some(101)).is_err());
    }
}
