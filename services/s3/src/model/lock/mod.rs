//! Object Lock: retention, event holds, legal holds, and what they forbid.
//!
//! An event hold is a part of a retention: it holds until somebody says that the event has come, and from then on the version
//! is retained for the hold's duration.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

mod asked;
mod default;
mod hold;

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_wire::Failure;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use asked::{AskedRetention, given, needs_digest};
pub use default::{by_default, check};
pub use hold::{AskedHold, EventHold, HoldDuration};

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

/// Whether a retention may take the place of another: a longer one of the same mode may; anything else only where nothing
/// holds, or where governance is bypassed.
pub fn check_change(current: Option<&Retention>, new: Option<&Retention>, bypass: bool, now: Timestamp) -> Result<()> {
    let Some(current) = current.filter(|current| current.holds(now)) else { return Ok(()) };
    let extends = new.is_some_and(|new| new.mode == current.mode && lasts_as_long(current, new, now));
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
        // Even the stricter mode is another one.
        assert!(check_change(Some(&short), Some(&until(Mode::Compliance, 30)), false, NOW).is_err());
        assert!(check_change(Some(&short), Some(&until(Mode::Compliance, 30)), true, NOW).is_ok());
        let kept = until(Mode::Compliance, 20);
        assert!(check_change(Some(&kept), Some(&until(Mode::Governance, 30)), true, NOW).is_err());
        assert!(check_change(Some(&kept), Some(&until(Mode::Compliance, 30)), false, NOW).is_ok());
    }
}
