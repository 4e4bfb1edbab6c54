//! Cron schedules against every minute of two years, in zones whose clocks change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fractus_clock::Timestamp;
use fractus_schedules::{Expression, Schedule, Zone};
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// A field that is a set: its text, and the numbers it stands for.
type Field = (String, Vec<i16>);

fn field(first: i16, last: i16) -> impl Strategy<Value = Field> {
    let all = move || (first..=last).collect::<Vec<i16>>();
    let range = (first..=last, first..=last).prop_map(move |(from, to)| {
        let numbers =
            if from <= to { (from..=to).collect() } else { (first..=to).chain(from..=last).collect::<Vec<i16>>() };
        (format!("{from}-{to}"), numbers)
    });
    prop_oneof![
        2 => Just(("*".to_owned(), all())),
        3 => (first..=last).prop_map(|number| (number.to_string(), vec![number])),
        2 => prop::collection::vec(first..=last, 1..4).prop_map(|numbers| {
            (numbers.iter().map(i16::to_string).collect::<Vec<_>>().join(","), numbers)
        }),
        1 => range,
        1 => (first..=last, 1i16..20).prop_map(move |(from, step)| {
            (format!("{from}/{step}"), (from..=last).step_by(step as usize).collect())
        }),
        1 => (1i16..20).prop_map(move |step| (format!("*/{step}"), (first..=last).step_by(step as usize).collect())),
    ]
}

#[derive(Clone, Debug)]
enum Days {
    OfMonth(Vec<i16>),
    OfWeek(Vec<i16>),
    Last(i8),
    LastWeekday,
    Nearest(i8),
    LastOfWeek(i16),
    Nth(i16, usize),
}

/// The texts of both day fields, and what they mean.
fn days() -> impl Strategy<Value = (String, String, Days)> {
    let week = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    prop_oneof![
        3 => field(1, 31).prop_map(|(text, numbers)| (text, "?".to_owned(), Days::OfMonth(numbers))),
        3 => field(1, 7).prop_map(|(text, numbers)| ("?".to_owned(), text, Days::OfWeek(numbers))),
        1 => Just(("L".to_owned(), "?".to_owned(), Days::Last(0))),
        1 => (0i8..5).prop_map(|days| (format!("L-{days}"), "?".to_owned(), Days::Last(days))),
        1 => Just(("LW".to_owned(), "?".to_owned(), Days::LastWeekday)),
        2 => (1i8..=31).prop_map(|day| (format!("{day}W"), "?".to_owned(), Days::Nearest(day))),
        1 => (1i16..=7).prop_map(|day| ("?".to_owned(), format!("{day}L"), Days::LastOfWeek(day))),
        1 => (1i16..=7, 1usize..=5).prop_map(move |(day, nth)| {
            ("?".to_owned(), format!("{}#{nth}", week[day as usize - 1]), Days::Nth(day, nth))
        }),
    ]
}

fn weekday(date: Date) -> i16 {
    i16::from(date.weekday().to_sunday_one_offset())
}

fn is_working_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

impl Days {
    /// By the definitions, looking at the whole month each time.
    fn contain(&self, date: Date) -> bool {
        let month: Vec<Date> =
            (1..=date.days_in_month()).map(|day| Date::new(date.year(), date.month(), day).unwrap()).collect();
        let wanted = match self {
            Days::OfMonth(numbers) => return numbers.contains(&date.day().into()),
            Days::OfWeek(numbers) => return numbers.contains(&weekday(date)),
            Days::Last(days) => month.iter().rev().nth(*days as usize),
            Days::LastWeekday => month.iter().rev().find(|day| is_working_day(**day)),
            Days::Nearest(day) if usize::from(*day as u8) > month.len() => None,
            Days::Nearest(day) => {
                month.iter().filter(|date| is_working_day(**date)).min_by_key(|date| (date.day() - day).abs())
            }
            Days::LastOfWeek(day) => month.iter().rev().find(|date| weekday(**date) == *day),
            Days::Nth(day, nth) => month.iter().filter(|date| weekday(**date) == *day).nth(nth - 1),
        };
        wanted == Some(&date)
    }
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/Sao_Paulo",
        "Africa/Cairo",
    ])
}

const MINUTES_OF_TWO_YEARS: i64 = 2 * 366 * 24 * 60;

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn every_minute_of_two_years_agrees(
        minutes in field(0, 59),
        hours in field(0, 23),
        (of_month, of_week, days) in days(),
        months in field(1, 12),
        zone in zone(),
        first_year in 2020i16..2026,
    ) {
        let text = format!("cron({} {} {of_month} {} {of_week} *)", minutes.0, hours.0, months.0);
        let tz = TimeZone::get(zone).unwrap();
        let from = jiff::tz::Offset::UTC.to_timestamp(DateTime::constant(first_year, 1, 1, 0, 0, 0, 0)).unwrap();
        let mut expected = Vec::new();
        let mut latest = DateTime::MIN;
        let mut day = (Date::MIN, false);
        for minute in 1..=MINUTES_OF_TWO_YEARS {
            let at = from.as_second() + minute * 60;
            let local = tz.to_datetime(jiff::Timestamp::from_second(at).unwrap());
            // A clock that shows what it has shown before does not count.
            if local <= latest {
                continue;
            }
            latest = local;
            let is_time = minutes.1.contains(&local.minute().into()) && hours.1.contains(&local.hour().into());
            if !is_time || !months.1.contains(&local.month().into()) {
                continue;
            }
            if day.0 != local.date() {
                day = (local.date(), days.contain(local.date()));
            }
            if day.1 {
                expected.push(Timestamp::from_secs(at));
            }
        }
        let expression: Expression = text.parse().unwrap();
        let after = Timestamp::from_secs(from.as_second());
        let schedule = Schedule::new(expression, Zone::parse(zone).unwrap(), after);
        let until = Timestamp::from_secs(from.as_second() + MINUTES_OF_TWO_YEARS * 60);
        let mut due = schedule.occurrences(after, until);
        for (position, expected) in expected.iter().enumerate() {
            prop_assert_eq!(due.next(), Some(*expected), "{} in {}, number {}", text, zone, position);
        }
        prop_assert_eq!(due.next(), None, "{} in {}", text, zone);
    }
}

proptest! {
    #[test]
    fn the_next_is_later_and_matches(
        minutes in field(0, 59),
        hours in field(0, 23),
        (of_month, of_week, days) in days(),
        months in field(1, 12),
        years in field(1970, 2199),
        zone in zone(),
        after in 0i64..7_000_000_000_000_000,
    ) {
        let text = format!("cron({} {} {of_month} {} {of_week} {})", minutes.0, hours.0, months.0, years.0);
        // Years do not go over the end.
        let Ok(expression) = text.parse::<Expression>() else { return Ok(()) };
        let after = Timestamp::from_micros(after);
        let schedule = Schedule::new(expression, Zone::parse(zone).unwrap(), after);
        let Some(next) = schedule.next_after(after) else { return Ok(()) };
        prop_assert!(next > after);
        let local = TimeZone::get(zone).unwrap().to_datetime(next.civil());
        prop_assert!(minutes.1.contains(&local.minute().into()) && hours.1.contains(&local.hour().into()));
        prop_assert!(months.1.contains(&local.month().into()) && years.1.contains(&local.year()));
        prop_assert!(days.contain(local.date()));
        prop_assert_eq!((local.second(), local.subsec_nanosecond()), (0, 0));
        // Nothing lies between.
        prop_assert_eq!(schedule.next_after(next.minus(std::time::Duration::from_micros(1))), Some(next));
        prop_assert_eq!(schedule.next_from(next), Some(next));
    }

    #[test]
    fn any_text_is_answered(text in "(cron|rate|at)\\([-0-9A-Z?*/#, :Ta-z]{0,40}\\)") {
        if let Ok(expression) = text.parse::<Expression>() {
            let now = Timestamp::from_secs(1_700_000_000);
            let next = Schedule::new(expression, Zone::UTC, now).next_after(now);
            prop_assert!(next.is_none_or(|next| next > now));
        }
    }
}
