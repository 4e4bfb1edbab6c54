//! What a bucket's configuration gives to every version that is put.

use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_wire::Failure;

use super::{DAY, DAYS_OF_YEAR, EventHold, HoldDuration, MAX_DAYS, MAX_YEARS, Mode, Retention};
use crate::error::{Error, Result};

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
