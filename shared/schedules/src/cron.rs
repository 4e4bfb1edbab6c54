//! `cron(…)`: AWS's six fields, minute to year, in local time.
//!
//! [Cron-based schedules](https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based).

use jiff::civil::{Date, DateTime, Time};

use crate::error::Reason;
use crate::field::{self, DAYS_OF_MONTH, DAYS_OF_WEEK, HOURS, Kind, MINUTES, MONTHS, Set, YEARS};

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    years: Set,
}

/// Which days: one of the two day fields, as the other is `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Set),
    /// `L` and `L-3`: so many days before the last of the month.
    BeforeLast(i8),
    /// `LW`: the last of the month that is no Saturday or Sunday.
    LastWeekday,
    /// `15W`: the day nearest to this one, in the same month, that is no Saturday or Sunday.
    NearestWeekday(i8),
    OfWeek(Set),
    /// `6L`: the last Friday of the month.
    LastOfWeek(u16),
    /// `6#3`: the third Friday of the month.
    NthOfWeek(u16, i8),
}

impl Cron {
    /// Reads what stands between the parentheses.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields.as_slice() else {
            return Err(Reason::FieldCount);
        };
        let days = match (*of_month, *of_week) {
            ("?", "?") => return Err(Reason::Days),
            ("?", of_week) => days_of_week(of_week).ok_or_else(|| refuse(DAYS_OF_WEEK, of_week))?,
            (of_month, "?") => days_of_month(of_month).ok_or_else(|| refuse(DAYS_OF_MONTH, of_month))?,
            _ => return Err(Reason::Days),
        };
        let set = |text: &str, kind: Kind| Set::parse(text, kind).ok_or_else(|| refuse(kind, text));
        Ok(Cron {
            minutes: set(minutes, MINUTES)?,
            hours: set(hours, HOURS)?,
            days,
            months: set(months, MONTHS)?,
            years: set(years, YEARS)?,
        })
    }

    /// The first local time that matches and is later than this one. Looks at each day of the years to come at most
    /// once.
    pub fn next_after(&self, local: DateTime) -> Option<DateTime> {
        let minute = local.with().second(0).subsec_nanosecond(0).build().ok()?;
        let mut from = minute.checked_add(jiff::Span::new().minutes(1)).ok()?;
        loop {
            let date = self.date_from(from.date())?;
            let earliest = if date == from.date() { from.time() } else { Time::midnight() };
            if let Some(time) = self.time_from(earliest) {
                return Some(date.to_datetime(time));
            }
            from = date.tomorrow().ok()?.to_datetime(Time::midnight());
        }
    }

    /// Whether the local time, to the minute, matches.
    pub fn matches(&self, local: DateTime) -> bool {
        let date = local.date();
        self.years.contains(YEARS, unsigned(date.year()))
            && self.months.contains(MONTHS, unsigned(date.month().into()))
            && self.days.contain(date)
            && self.hours.contains(HOURS, unsigned(local.hour().into()))
            && self.minutes.contains(MINUTES, unsigned(local.minute().into()))
    }

    fn date_from(&self, from: Date) -> Option<Date> {
        let mut year = self.years.from(YEARS, unsigned(from.year()))?;
        loop {
            let is_first_year = i16::try_from(year).ok()? == from.year();
            let mut month = if is_first_year { unsigned(from.month().into()) } else { 1 };
            while let Some(found) = self.months.from(MONTHS, month) {
                let first = Date::new(i16::try_from(year).ok()?, i8::try_from(found).ok()?, 1).ok()?;
                let is_first_month = is_first_year && first.month() == from.month();
                let start = if is_first_month { from.day() } else { 1 };
                let days = (start..=first.days_in_month()).filter_map(|day| first.with().day(day).build().ok());
                if let Some(date) = days.into_iter().find(|date| self.days.contain(*date)) {
                    return Some(date);
                }
                month = found + 1;
            }
            year = self.years.from(YEARS, year + 1)?;
        }
    }

    fn time_from(&self, from: Time) -> Option<Time> {
        let hour = self.hours.from(HOURS, unsigned(from.hour().into()))?;
        let is_first_hour = hour == unsigned(from.hour().into());
        let start = if is_first_hour { unsigned(from.minute().into()) } else { 0 };
        let (hour, minute) = match self.minutes.from(MINUTES, start) {
            Some(minute) => (hour, minute),
            None => (self.hours.from(HOURS, hour + 1)?, self.minutes.from(MINUTES, 0)?),
        };
        Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
    }
}

impl Days {
    fn contain(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        match self {
            Days::OfMonth(set) => set.contains(DAYS_OF_MONTH, unsigned(day.into())),
            Days::BeforeLast(days) => day == last - days,
            Days::LastWeekday => day == nearest_weekday(date, last),
            Days::NearestWeekday(wanted) => *wanted <= last && day == nearest_weekday(date, *wanted),
            Days::OfWeek(set) => set.contains(DAYS_OF_WEEK, weekday(date)),
            Days::LastOfWeek(wanted) => weekday(date) == *wanted && day + 7 > last,
            Days::NthOfWeek(wanted, nth) => weekday(date) == *wanted && (day - 1) / 7 + 1 == *nth,
        }
    }
}

/// The day of the date's month nearest to `day` that is no Saturday or Sunday.
fn nearest_weekday(date: Date, day: i8) -> i8 {
    let last = date.days_in_month();
    let Ok(wanted) = date.with().day(day).build() else { return 0 };
    match weekday(wanted) {
        SATURDAY if day == 1 => 3,
        SATURDAY => day - 1,
        SUNDAY if day == last => day - 2,
        SUNDAY => day + 1,
        _ => day,
    }
}

const SUNDAY: u16 = 1;
const SATURDAY: u16 = 7;

/// Sunday is 1.
fn weekday(date: Date) -> u16 {
    unsigned(date.weekday().to_sunday_one_offset().into())
}

/// Calendar numbers are never negative.
fn unsigned(number: i16) -> u16 {
    number.unsigned_abs()
}

fn refuse(kind: Kind, text: &str) -> Reason {
    Reason::Field { field: kind.name, text: text.to_owned() }
}

/// `L`, `W` and `#` stand alone: a list of them is not allowed.
fn days_of_month(text: &str) -> Option<Days> {
    let upper = text.to_ascii_uppercase();
    if upper == "LW" {
        return Some(Days::LastWeekday);
    }
    if upper == "L" {
        return Some(Days::BeforeLast(0));
    }
    if let Some(days) = upper.strip_prefix("L-") {
        return field::number(days)
            .filter(|days| *days <= 30)
            .and_then(|days| i8::try_from(days).ok())
            .map(Days::BeforeLast);
    }
    if let Some(day) = upper.strip_suffix('W') {
        let day = field::parse_one(day, DAYS_OF_MONTH)?;
        return i8::try_from(day).ok().map(Days::NearestWeekday);
    }
    Set::parse(text, DAYS_OF_MONTH).map(Days::OfMonth)
}

fn days_of_week(text: &str) -> Option<Days> {
    let upper = text.to_ascii_uppercase();
    if upper == "L" {
        // The last day of the week.
        return Set::parse("SAT", DAYS_OF_WEEK).map(Days::OfWeek);
    }
    if let Some((day, nth)) = upper.split_once('#') {
        let nth = field::number(nth).filter(|nth| (1..=5).contains(nth))?;
        return Some(Days::NthOfWeek(field::parse_one(day, DAYS_OF_WEEK)?, i8::try_from(nth).ok()?));
    }
    if let Some(day) = upper.strip_suffix('L') {
        return field::parse_one(day, DAYS_OF_WEEK).map(Days::LastOfWeek);
    }
    Set::parse(text, DAYS_OF_WEEK).map(Days::OfWeek)
}
