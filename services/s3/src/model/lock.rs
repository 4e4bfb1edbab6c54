//! Object Lock: retention, legal holds, and what they forbid.
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

/// Until when a version stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub mode: Mode,
    pub until: Timestamp,
}

impl Retention {
    fn holds(&self, now: Timestamp) -> bool {
        self.until > now
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
        mode && new.until >= current.until
    });
    match current.mode {
        _ if extends => Ok(()),
        Mode::Governance if bypass => Ok(()),
        _ => Err(is_protected()),
    }
}

/// A retention that a request gives: both parts or none, and in the future.
pub fn given(mode: Option<&str>, until: Option<Timestamp>, now: Timestamp) -> Result<Option<Retention>> {
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) if until > now => Ok(Some(Retention { mode: Mode::parse(mode)?, until })),
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
    let (period, most) = match (default.days, default.years) {
        (Some(days), None) => (days, MAX_DAYS),
        (None, Some(years)) => (years, MAX_YEARS),
        _ => return Err(Error::MalformedXml),
    };
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
    let days = default.days.or_else(|| Some(default.years? * 365))?;
    let days = u32::try_from(days).ok()?;
    Some(Retention { mode, until: now.plus(DAY * days) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn until(mode: Mode, secs: u64) -> Retention {
        Retention { mode, until: NOW.plus(Duration::from_secs(secs)) }
    }

    #[test]
    fn what_is_held_stays() {
        let (governed, complied) = (until(Mode::Governance, 10), until(Mode::Compliance, 10));
        assert!(check_removal(Some(&governed), false, false, NOW).is_err());
        assert!(check_removal(Some(&governed), false, true, NOW).is_ok());
        assert!(check_removal(Some(&complied), false, true, NOW).is_err());
        assert!(check_removal(Some(&complied), false, false, complied.until).is_ok());
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
}
