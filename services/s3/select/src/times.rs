//! Timestamps of queries.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-date.html>

use std::time::Duration;

use fractus_clock::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    TimezoneHour,
    TimezoneMinute,
}

impl Unit {
    pub fn parse(text: &str) -> Option<Unit> {
        Some(match text.to_ascii_lowercase().as_str() {
            "year" => Unit::Year,
            "month" => Unit::Month,
            "day" => Unit::Day,
            "hour" => Unit::Hour,
            "minute" => Unit::Minute,
            "second" => Unit::Second,
            "timezone_hour" => Unit::TimezoneHour,
            "timezone_minute" => Unit::TimezoneMinute,
            _ => return None,
        })
    }

    fn secs(self) -> Option<i64> {
        match self {
            Unit::Day => Some(86_400),
            Unit::Hour => Some(3_600),
            Unit::Minute => Some(60),
            Unit::Second => Some(1),
            _ => None,
        }
    }
}

/// `2007T`, `2007-02T`, `2007-02-23`, `2007-02-23T12:14Z`, `2007-02-23T12:14:33.079-08:00` ...
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let date = match date.len() {
        4 => format!("{date}-01-01"),
        7 => format!("{date}-01"),
        10 => date.to_owned(),
        _ => return None,
    };
    if time.is_empty() {
        return Timestamp::parse_date_time(&format!("{date}T00:00:00Z")).ok();
    }
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = if zone.is_empty() { "Z" } else { zone };
    Timestamp::parse_date_time(&format!("{date}T{clock}{seconds}{zone}")).ok()
}

/// Years from the beginning of the calendar, months and days from 1, hours, minutes, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    secs: i64,
}

/// By the rules of the civil calendar; <https://howardhinnant.github.io/date_algorithms.html>.
fn parts(time: Timestamp) -> Parts {
    let days = time.secs().div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Parts { year, month, day, secs: time.secs().rem_euclid(86_400) }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub fn extract(unit: Unit, time: Timestamp) -> i64 {
    let parts = parts(time);
    match unit {
        Unit::Year => parts.year,
        Unit::Month => parts.month,
        Unit::Day => parts.day,
        Unit::Hour => parts.secs / 3_600,
        Unit::Minute => parts.secs / 60 % 60,
        Unit::Second => parts.secs % 60,
        Unit::TimezoneHour | Unit::TimezoneMinute => 0,
    }
}

pub fn add(unit: Unit, quantity: i64, time: Timestamp) -> Option<Timestamp> {
    if let Some(secs) = unit.secs() {
        let moved = Duration::from_secs(quantity.unsigned_abs().checked_mul(secs.unsigned_abs())?);
        return Some(if quantity < 0 { time.minus(moved) } else { time.plus(moved) });
    }
    let parts = parts(time);
    let months = match unit {
        Unit::Year => quantity.checked_mul(12)?,
        Unit::Month => quantity,
        _ => return None,
    };
    let total = (parts.year * 12 + parts.month - 1).checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    if !(0..=9_999).contains(&year) {
        return None;
    }
    let day = parts.day.min(days_in(year, month));
    let midnight = Timestamp::parse_date_time(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z")).ok()?;
    let micros = time.micros().rem_euclid(86_400_000_000);
    Some(midnight.plus(Duration::from_micros(micros.unsigned_abs())))
}

/// Whole units from one to the other.
pub fn difference(unit: Unit, from: Timestamp, to: Timestamp) -> Option<i64> {
    let (first, second) = (parts(from), parts(to));
    let months = (second.year * 12 + second.month) - (first.year * 12 + first.month);
    match unit {
        Unit::Year => Some(second.year - first.year),
        Unit::Month => Some(months),
        unit => Some((to.secs() - from.secs()) / unit.secs()?),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A pattern of `y`, `M`, `d`, `H`, `h`, `m`, `s`, `S`, `a`, `X` and text between.
pub fn format(time: Timestamp, pattern: &str) -> Option<String> {
    let parts = parts(time);
    let (hour, minute, second) = (parts.secs / 3_600, parts.secs / 60 % 60, parts.secs % 60);
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let count = rest.chars().take_while(|next| *next == first).count();
        let month = usize::try_from(parts.month - 1).ok().and_then(|at| MONTHS.get(at))?;
        let padded = |number: i64| format!("{number:0count$}");
        let written = match (first, count) {
            ('y', 2) => format!("{:02}", parts.year % 100),
            ('y', _) => format!("{:0width$}", parts.year, width = count.min(4)),
            ('M', 1 | 2) => padded(parts.month),
            ('M', 3) => month[..3].to_owned(),
            ('M', 4) => (*month).to_owned(),
            ('M', _) => month[..1].to_owned(),
            ('d', _) => padded(parts.day),
            ('a', _) => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
            ('h', _) => padded(if hour % 12 == 0 { 12 } else { hour % 12 }),
            ('H', _) => padded(hour),
            ('m', _) => padded(minute),
            ('s', _) => padded(second),
            ('S', _) => {
                let micros = format!("{:06}", time.micros().rem_euclid(1_000_000));
                micros.chars().chain(std::iter::repeat('0')).take(count).collect()
            }
            ('X', _) => "Z".to_owned(),
            ('x', 1) => "+00".to_owned(),
            ('x', 2 | 4) => "+0000".to_owned(),
            ('x', _) => "+00:00".to_owned(),
            (letter, _) if letter.is_ascii_alphabetic() && letter != 'T' => return None,
            (other, _) => std::iter::repeat_n(other, count).collect(),
        };
        out.push_str(&written);
        rest = &rest[count * first.len_utf8()..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse(text).unwrap()
    }

    #[test]
    fn times_are_read_in_every_precision() {
        for (text, full) in [
            ("2007T", "2007-01-01T00:00:00Z"),
            ("2007-02T", "2007-02-01T00:00:00Z"),
            ("2007-02-23", "2007-02-23T00:00:00Z"),
            ("2007-02-23T12:14Z", "2007-02-23T12:14:00Z"),
            ("2007-02-23T12:14:33-08:00", "2007-02-23T20:14:33Z"),
        ] {
            assert_eq!(at(text).date_time(), full, "{text}");
        }
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn the_calendar_is_kept() {
        assert_eq!(add(Unit::Month, 1, at("2024-01-31")).unwrap().date_time(), "2024-02-29T00:00:00Z");
        assert_eq!(add(Unit::Year, -4, at("2024-02-29")).unwrap().date_time(), "2020-02-29T00:00:00Z");
        assert_eq!(add(Unit::Day, 5, at("2009-12-30")).unwrap().date_time(), "2010-01-04T00:00:00Z");
        assert_eq!(difference(Unit::Month, at("2010-01-31"), at("2010-05-01")), Some(4));
        assert_eq!(difference(Unit::Day, at("2010-01-01T23:00Z"), at("2010-01-02T01:00Z")), Some(0));
        assert_eq!(extract(Unit::Minute, at("2010-01-01T23:17:05Z")), 17);
        assert_eq!(extract(Unit::Day, at("1969-07-20")), 20);
    }

    #[test]
    fn patterns_are_followed() {
        let time = at("1969-07-20T20:18:36Z");
        assert_eq!(format(time, "MMMM d, y").unwrap(), "July 20, 1969");
        assert_eq!(format(time, "MM-dd-yy h:m a").unwrap(), "07-20-69 8:18 PM");
        assert_eq!(format(time, "y-MM-dd''T''H:mm:ssX"), Some("1969-07-20''T''20:18:36Z".into()));
        assert_eq!(format(time, "Q"), None);
    }
}
