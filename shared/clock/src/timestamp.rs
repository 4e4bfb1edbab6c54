//! A point in time, to the microsecond.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Sorts by time; stored as one integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is no timestamp in the expected form.
#[derive(Debug, thiserror::Error)]
#[error("not a timestamp: {0:?}")]
pub struct ParseTimestampError(pub String);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The last representable point; sorts after everything.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1_000))
    }

    pub const fn from_secs(secs: i64) -> Self {
        Timestamp(secs.saturating_mul(1_000_000))
    }

    /// From seconds with a fraction, as JSON and CBOR carry it; saturates, and NaN is the epoch.
    pub fn from_secs_f64(secs: f64) -> Self {
        Timestamp((secs * 1e6).round() as i64)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Later by `duration`; saturates at the ends of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `duration`; saturates at the ends of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same point cut to whole milliseconds, the precision most services keep.
    #[must_use]
    pub const fn to_millis_precision(self) -> Self {
        Timestamp(self.0.div_euclid(1_000) * 1_000)
    }

    /// The same point cut to whole seconds.
    #[must_use]
    pub const fn to_secs_precision(self) -> Self {
        Timestamp(self.0.div_euclid(1_000_000) * 1_000_000)
    }

    /// The calendar view of this point, clamped to the years that have one.
    pub fn civil(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// `2006-01-02T15:04:05Z`, with `.sss` only when there are milliseconds: Smithy's `date-time`.
    pub fn date_time(self) -> String {
        let civil = self.civil();
        if self.0.rem_euclid(1_000_000) / 1_000 == 0 {
            civil.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            self.date_time_millis()
        }
    }

    /// `2006-01-02T15:04:05.000Z`, always with milliseconds, as S3 and IAM write it.
    pub fn date_time_millis(self) -> String {
        let millis = self.0.rem_euclid(1_000_000) / 1_000;
        format!("{}.{millis:03}Z", self.civil().strftime("%Y-%m-%dT%H:%M:%S"))
    }

    /// `Mon, 02 Jan 2006 15:04:05 GMT`: Smithy's `http-date` (RFC 9110 IMF-fixdate).
    ///
    /// Every answer of some services carries one, so the calendar's common years are written without the way over a format.
    pub fn http_date(self) -> String {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, second) = (self.secs().div_euclid(86_400), self.secs().rem_euclid(86_400));
        let (year, month, day) = date_of(days);
        if !(1..=9_999).contains(&year) {
            return self.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        }
        let mut text = String::with_capacity(29);
        let two = |text: &mut String, number: i64, after: &str| {
            text.push(char::from(b'0' + (number / 10 % 10) as u8));
            text.push(char::from(b'0' + (number % 10) as u8));
            text.push_str(after);
        };
        text.push_str(WEEKDAYS[days.rem_euclid(7) as usize]);
        text.push_str(", ");
        two(&mut text, day, " ");
        text.push_str(MONTHS[(month - 1) as usize]);
        text.push(' ');
        two(&mut text, year / 100, "");
        two(&mut text, year % 100, " ");
        two(&mut text, second / 3_600, ":");
        two(&mut text, second / 60 % 60, ":");
        two(&mut text, second % 60, " GMT");
        text
    }

    /// `20060102T150405Z`, the form SigV4 uses.
    pub fn amz_date(self) -> String {
        self.civil().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Reads RFC 3339 (with any offset, with or without a fraction).
    pub fn parse_date_time(text: &str) -> Result<Self, ParseTimestampError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError(text.to_owned()))?;
        Ok(Timestamp(parsed.as_microsecond()))
    }

    /// Reads an HTTP date (IMF-fixdate, with an optional fraction of the second).
    pub fn parse_http_date(text: &str) -> Result<Self, ParseTimestampError> {
        let error = || ParseTimestampError(text.to_owned());
        let body = text.strip_suffix(" GMT").or_else(|| text.strip_suffix(" UTC")).ok_or_else(error)?;
        let parsed = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S%.f", body)
            .or_else(|_| jiff::civil::DateTime::strptime("%A, %d-%b-%y %H:%M:%S", body))
            .map_err(|_| error())?;
        let point = jiff::tz::Offset::UTC.to_timestamp(parsed).map_err(|_| error())?;
        Ok(Timestamp(point.as_microsecond()))
    }

    /// Reads SigV4's `20060102T150405Z`.
    pub fn parse_amz_date(text: &str) -> Result<Self, ParseTimestampError> {
        let error = || ParseTimestampError(text.to_owned());
        let body = text.strip_suffix('Z').ok_or_else(error)?;
        let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", body).map_err(|_| error())?;
        let point = jiff::tz::Offset::UTC.to_timestamp(parsed).map_err(|_| error())?;
        Ok(Timestamp(point.as_microsecond()))
    }
}

/// Year, month and day of a day since 1970-01-01. Years are counted from March on, in eras of 400, so that a leap day is the
/// last of its year: Howard Hinnant's `civil_from_days`, <https://howardhinnant.github.io/date_algorithms.html>.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_those_of_the_calendar() {
        let by_format = |point: Timestamp| point.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        // Every 20 days and some hours from the year -50 to 2700, and the ends.
        let points = (-63_000_000_000..23_000_000_000_i64).step_by(1_731_601).map(Timestamp::from_secs);
        for point in points.chain([Timestamp::EPOCH, Timestamp::MAX, Timestamp::from_micros(i64::MIN)]) {
            assert_eq!(point.http_date(), by_format(point));
        }
        assert_eq!(Timestamp::from_secs(951_782_400).http_date(), "Tue, 29 Feb 2000 00:00:00 GMT");
    }

    #[test]
    fn forms_and_parses_each_written_form() {
        let point = Timestamp::from_millis(1_136_214_245_120);
        assert_eq!(point.date_time(), "2006-01-02T15:04:05.120Z");
        assert_eq!(point.to_secs_precision().date_time(), "2006-01-02T15:04:05Z");
        assert_eq!(point.http_date(), "Mon, 02 Jan 2006 15:04:05 GMT");
        assert_eq!(point.amz_date(), "20060102T150405Z");
        assert_eq!(Timestamp::parse_date_time("2006-01-02T16:04:05.12+01:00").unwrap(), point);
        assert_eq!(Timestamp::parse_http_date("Mon, 02 Jan 2006 15:04:05 GMT").unwrap(), point.to_secs_precision());
        assert_eq!(Timestamp::parse_http_date("Mon, 02 Jan 2006 15:04:05.12 GMT").unwrap(), point);
        assert_eq!(Timestamp::parse_amz_date("20060102T150405Z").unwrap(), point.to_secs_precision());
        assert!(Timestamp::parse_date_time("yesterday").is_err());
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_secs(5)), Duration::ZERO);
    }
}
