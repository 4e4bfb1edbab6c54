//! Time zones, by the IANA database that is built into the program.

use std::sync::OnceLock;

use fractus_clock::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::error::UnknownTimeZone;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The database is taken from the program and never from the machine, so that a schedule fires alike everywhere, also
/// in an image that has no such files.
fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

impl Zone {
    /// The zone of every rule, and of a schedule that names none.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// By its name in the IANA database, exactly as written there: `Europe/Berlin`.
    pub fn parse(name: &str) -> Result<Self, UnknownTimeZone> {
        if name == "UTC" {
            return Ok(Zone::UTC);
        }
        let found = database().get(name).ok().filter(|zone| zone.iana_name() == Some(name));
        found.map(Zone).ok_or_else(|| UnknownTimeZone(name.to_owned()))
    }

    /// What clocks in the zone show.
    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at.civil())
    }

    /// When clocks in the zone show this. None if they skip it; the first time if they show it twice.
    pub(crate) fn first_at(&self, local: DateTime) -> Option<Timestamp> {
        let offset = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { .. } => return None,
        };
        let at = offset.to_timestamp(local).ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }

    /// The same, but a time that clocks skip is taken as far behind the gap as it lies in it.
    pub(crate) fn at_or_behind(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_databases() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "US/Eastern", "Asia/Kolkata", "Etc/GMT+5"] {
            assert!(Zone::parse(name).is_ok(), "{name}");
        }
        for name in ["", "europe/berlin", "Europe/Atlantis", "+01:00", "CEST", "../etc/passwd"] {
            assert_eq!(Zone::parse(name), Err(UnknownTimeZone(name.to_owned())));
        }
        assert_eq!(UnknownTimeZone("X".to_owned()).to_string(), "Invalid ScheduleExpressionTimezone X.");
    }
}
