//! Object Lock: retention, event holds, legal holds, and what they forbid.
//!
//! An event hold is a part of a retention: it holds until somebody says that the event has come, and from then on the version
//! is retained for the hold's duration.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_wire::Failure;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const DAY: Duration = Duration::from_secs(86_400);
const MAX_DAYS: i32 = 36_500;
const MAX_YEARS: i32 = 100;
const DAYS_OF_YEAR: i32 = 365;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    Governance,
    Compliance,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Governance => "GOVERNANCE",
            Mode::Compliance => "COMPLIANCE",
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "GOVERNANCE" => Ok(Mode::Governance),
            "COMPLIANCE" => Ok(Mode::Compliance),
            _ => Err(Error::invalid_argument("x-amz-object-lock-mode", text, "Unknown wormMode directive.")),
        }
    }
}

/// How long a version stays once its event hold is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldDuration {
    Days(i32),
    Years(i32),
}

impl HoldDuration {
    /// One of the two, within AWS's bounds.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_S3ObjectLockEventHoldDuration.html>
    pub fn given(days: Option<i32>, years: Option<i32>) -> Result<Option<HoldDuration>> {
        let (name, period, most, duration) = match (days, years) {
            (None, None) => return Ok(None),
            (Some(days), None) => ("Days", days, MAX_DAYS, HoldDuration::Days(days)),
            (None, Some(years)) => ("Years", years, MAX_YEARS, HoldDuration::Years(years)),
            (Some(_), Some(_)) => return Err(Error::MalformedXml),
        };
        if !(1..=most).contains(&period) {
            let message = format!("The event hold duration must be between 1 and {most}.");
            return Err(Error::invalid_argument(name, period.to_string(), message));
        }
        Ok(Some(duration))
    }

    fn in_days(self) -> u32 {
        let days = match self {
            HoldDuration::Days(days) => days,
            HoldDuration::Years(years) => years.saturating_mul(DAYS_OF_YEAR),
        };
        u32::try_from(days).unwrap_or(0)
    }

    /// As inventories write it. AWS's page names the field and not its form.
    pub fn spelled(self) -> String {
        match self {
            HoldDuration::Days(days) => format!("{days} Days"),
            HoldDuration::Years(years) => format!("{years} Years"),
        }
    }

    pub fn days(self) -> Option<i32> {
        if let HoldDuration::Days(days) = self { Some(days) } else { None }
    }

    pub fn years(self) -> Option<i32> {
        if let HoldDuration::Years(years) = self { Some(years) } else { None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHold {
    /// Off once it was released; its duration is told further on.
    pub on: bool,
    pub duration: HoldDuration,
}

impl EventHold {
    pub fn status(self) -> &'static str {
        if self.on { "ON" } else { "OFF" }
    }
}

/// Until when a version stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub mode: Mode,
    /// Absent where there is only an event hold, and that has not been released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_hold: Option<EventHold>,
}

impl Retention {
    /// A retention by a date alone.
    pub fn dated(mode: Mode, until: Timestamp) -> Retention {
        Retention { mode, until: Some(until), event_hold: None }
    }

    /// The event hold, while it has not been released.
    fn held(&self) -> Option<EventHold> {
        self.event_hold.filter(|hold| hold.on)
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.held().is_some() || self.until.is_some_and(|until| until > now)
    }

    /// The first moment at which nothing of it holds; absent while an event hold does, which ends at no time of its own.
    fn ends(&self) -> Option<Timestamp> {
        if self.held().is_some() { None } else { self.until }
    }

    /// What it is once the event has come: retained for the hold's duration from now, or longer where a date says so.
    fn released(self, now: Timestamp) -> Retention {
        let Some(hold) = self.held() else { return self };
        let until = now.plus(DAY * hold.duration.in_days());
        Retention {
            until: Some(self.until.map_or(until, |own| own.max(until))),
            event_hold: Some(EventHold { on: false, ..hold }),
            ..self
        }
    }
}

/// What a request says of an event hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedHold {
    /// Whether it is put on or released; absent where that stays as it is.
    pub on: Option<bool>,
    pub duration: Option<HoldDuration>,
}

impl AskedHold {
    /// The hold as headers give it.
    pub fn of_headers(status: Option<&str>, days: Option<i32>, years: Option<i32>) -> Result<AskedHold> {
        const DAYS: &str = "x-amz-object-lock-event-hold-duration-days";
        if let (Some(days), Some(_)) = (days, years) {
            let message = "The event hold duration can be given in days or in years, not in both.";
            return Err(Error::invalid_argument(DAYS, days.to_string(), message));
        }
        let on = match status {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(other) => {
                let message = "The event hold must be ON or OFF.";
                return Err(Error::invalid_argument("x-amz-object-lock-event-hold", other, message));
            }
        };
        Ok(AskedHold { on, duration: HoldDuration::given(days, years)? })
    }

    pub fn is_nothing(self) -> bool {
        self.on.is_none() && self.duration.is_none()
    }
}

pub fn is_protected() -> Error {
    let message = "Access Denied because object protected by object lock.";
    Error::Other(Box::new(Failure::new("AccessDenied", 403, message)))
}

/// The error of every operation on locks in a bucket that has none.
pub fn no_lock_configured() -> Error {
    Error::invalid_request("Bucket is missing Object Lock Configuration")
}

/// Whether a version may be removed.
pub fn check_removal(retention: Option<&Retention>, legal_hold: bool, bypass: bool, now: Timestamp) -> Result<()> {
    let retained = retention.filter(|retention| retention.holds(now));
    match retained.map(|retention| retention.mode) {
        _ if legal_hold => Err(is_protected()),
        Some(Mode::Governance) if bypass => Ok(()),
        Some(_) => Err(is_protected()),
        None => Ok(()),
    }
}

/// Whether a retention may take the place of another: a longer one may; anything else only where nothing holds, or
/// where governance is bypassed.
pub fn check_change(current: Option<&Retention>, new: Option<&Retention>, bypass: bool, now: Timestamp) -> Result<()> {
    let Some(current) = current.filter(|current| current.holds(now)) else { return Ok(()) };
    let extends = new.is_some_and(|new| {
        let mode = new.mode == current.mode || new.mode == Mode::Compliance;
        mode && lasts_as_long(current, new, now)
    });
    match current.mode {
        _ if extends => Ok(()),
        Mode::Governance if bypass => Ok(()),
        _ => Err(is_protected()),
    }
}

/// Whether what is new ends no sooner than what is there, whenever the event of a hold comes.
fn lasts_as_long(current: &Retention, new: &Retention, now: Timestamp) -> bool {
    match (current.held(), new.held()) {
        (Some(old), Some(kept)) => kept.duration.in_days() >= old.duration.in_days() && new.until >= current.until,
        // A hold that is released, and no sooner over than it says.
        (Some(_), None) => new.ends() >= current.released(now).ends(),
        (None, _) => new.until >= current.until,
    }
}

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

/// Checks a bucket's configuration before it is kept.
pub fn check(configuration: &api::ObjectLockConfiguration) -> Result<()> {
    if configuration.object_lock_enabled != Some(api::ObjectLockEnabled::Enabled) {
        return Err(Error::MalformedXml);
    }
    let Some(rule) = &configuration.rule else { return Ok(()) };
    let default = rule.default_retention.as_ref().ok_or(Error::MalformedXml)?;
    if !matches!(
        default.mode,
        Some(api::ObjectLockRetentionMode::Governance | api::ObjectLockRetentionMode::Compliance)
    ) {
        return Err(Error::MalformedXml);
    }
    let hold = default.default_event_hold.as_ref();
    let has_hold = hold.map(|hold| HoldDuration::given(hold.days, hold.years)).transpose()?;
    let (period, most) = match (default.days, default.years) {
        (Some(days), None) => (days, MAX_DAYS),
        (None, Some(years)) => (years, MAX_YEARS),
        // "You can set one or both": a period, and an event hold.
        (None, None) if has_hold.flatten().is_some() => return Ok(()),
        _ => return Err(Error::MalformedXml),
    };
    if has_hold.is_some_and(|duration| duration.is_none()) {
        return Err(Error::MalformedXml);
    }
    let refused = |message: &str| Err(Error::Other(Box::new(Failure::new("InvalidArgument", 400, message))));
    match period {
        ..=0 => refused("Default retention period must be a positive integer value."),
        period if period > most => refused("Default retention period too large."),
        _ => Ok(()),
    }
}

/// What a bucket's configuration gives to an object that is put now.
pub fn by_default(configuration: &api::ObjectLockConfiguration, now: Timestamp) -> Option<Retention> {
    let default = configuration.rule.as_ref()?.default_retention.as_ref()?;
    let mode = match default.mode {
        Some(api::ObjectLockRetentionMode::Compliance) => Mode::Compliance,
        _ => Mode::Governance,
    };
    let days = default.days.or_else(|| default.years.map(|years| years.saturating_mul(DAYS_OF_YEAR)));
    let until = days.and_then(|days| u32::try_from(days).ok()).map(|days| now.plus(DAY * days));
    let hold = default.default_event_hold.as_ref();
    let duration = hold.and_then(|hold| HoldDuration::given(hold.days, hold.years).ok().flatten());
    let event_hold = duration.map(|duration| EventHold { on: true, duration });
    (until.is_some() || event_hold.is_some()).then_some(Retention { mode, until, event_hold })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn until(mode: Mode, secs: u64) -> Retention {
        Retention::dated(mode, NOW.plus(Duration::from_secs(secs)))
    }

    #[test]
    fn what_is_held_stays() {
        let (governed, complied) = (until(Mode::Governance, 10), until(Mode::Compliance, 10));
        assert!(check_removal(Some(&governed), false, false, NOW).is_err());
        assert!(check_removal(Some(&governed), false, true, NOW).is_ok());
        assert!(check_removal(Some(&complied), false, true, NOW).is_err());
        assert!(check_removal(Some(&complied), false, false, complied.until.unwrap()).is_ok());
        assert!(check_removal(None, true, true, NOW).is_err());
    }

    #[test]
    fn retention_is_lengthened_freely_and_shortened_by_few() {
        let (short, long) = (until(Mode::Governance, 10), until(Mode::Governance, 20));
        assert!(check_change(Some(&short), Some(&long), false, NOW).is_ok());
        assert!(check_change(Some(&long), Some(&short), false, NOW).is_err());
        assert!(check_change(Some(&long), Some(&short), true, NOW).is_ok());
        assert!(check_change(Some(&long), None, true, NOW).is_ok());
        let kept = until(Mode::Compliance, 20);
        assert!(check_change(Some(&kept), Some(&until(Mode::Governance, 30)), true, NOW).is_err());
        assert!(check_change(Some(&kept), Some(&until(Mode::Compliance, 30)), false, NOW).is_ok());
    }

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
