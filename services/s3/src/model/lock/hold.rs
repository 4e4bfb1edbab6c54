//! Event holds: what holds a version until somebody says that the event has come, and for a duration after that.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use serde::{Deserialize, Serialize};

use super::{DAYS_OF_YEAR, MAX_DAYS, MAX_YEARS};
use crate::error::{Error, Result};

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

    pub(super) fn in_days(self) -> u32 {
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
