//! Schedules by the examples of
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html> and
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use fractus_clock::{Random, Timestamp};
use fractus_schedules::{Expression, InvalidDates, Schedule, Zone, spread};

fn time(text: &str) -> Timestamp {
    Timestamp::parse_date_time(text).unwrap()
}

fn schedule(expression: &str, zone: &str, created: &str) -> Schedule {
    Schedule::new(expression.parse().unwrap(), Zone::parse(zone).unwrap(), time(created))
}

/// The first times due after `after`.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(expression, zone, after);
    schedule.occurrences(time(after), Timestamp::MAX).take(count).map(|at| at.date_time()).collect()
}

#[test]
fn the_examples_of_the_documentation() {
    // 2026-11-23 is a Monday.
    let cases = [
        ("cron(0 10 * * ? *)", ["2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"]),
        ("cron(15 12 * * ? *)", ["2026-11-23T12:15:00Z", "2026-11-24T12:15:00Z"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"]),
        ("cron(0 8 1 * ? *)", ["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"]),
        ("cron(0/15 * * * ? *)", ["2026-11-23T00:15:00Z", "2026-11-23T00:30:00Z"]),
        ("cron(0/10 * ? * MON-FRI *)", ["2026-11-23T00:10:00Z", "2026-11-23T00:20:00Z"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2026-11-23T08:00:00Z", "2026-11-23T08:05:00Z"]),
        ("cron(0/30 20-2 ? * MON-FRI *)", ["2026-11-23T00:30:00Z", "2026-11-23T01:00:00Z"]),
        ("cron(15 10 ? * 6L 2022-2027)", ["2026-11-27T10:15:00Z", "2026-12-25T10:15:00Z"]),
        ("cron(0 9 ? * 2#1 *)", ["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"]),
        ("cron(0 9 3W * ? *)", ["2026-12-03T09:00:00Z", "2027-01-04T09:00:00Z"]),
        ("cron(0 0 L * ? *)", ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"]),
        ("cron(0 0 ? * L *)", ["2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
    ];
    for (expression, expected) in cases {
        assert_eq!(next(expression, "UTC", "2026-11-23T00:00:00Z", 2), expected, "{expression}");
    }
}

#[test]
fn what_is_no_expression() {
    for text in [
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(0 10 1 * 2 *)",
        "cron(0 10 * * ?)",
        "cron(0 10 * * ? * *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * 0 *)",
        "cron(15 12 ? * -1 *)",
        "cron(0 0 1 1 ? 1969)",
        "cron(0 0 1 1 ? 2200)",
        "cron(0 0 ? * 3#6 *)",
        "cron(0 0 ? * 3#1,6#3 *)",
        "cron(0 0 1,L * ? *)",
        "cron(0 0 1W,15W * ? *)",
        "cron(0 0 ? * 2L,3L *)",
        "cron(0/0 * * * ? *)",
        "cron(/5 * * * ? *)",
        "cron(? * * * ? *)",
        "cron(0 0 W * ? *)",
        "cron(0 0 32W * ? *)",
        "cron(0 0 L-31 * ? *)",
        "cron(0 L * * ? *)",
        "cron(0 0 * FEBR ? *)",
        "cron()",
        "",
        " cron(0 10 * * ? *)",
        "cron(0 10 * * ? *) ",
        "every day",
    ] {
        assert!(text.parse::<Expression>().is_err(), "{text}");
    }
}

#[test]
fn years_end() {
    assert_eq!(next("cron(0 0 1 1 ? 2027)", "UTC", "2026-11-23T00:00:00Z", 2), ["2027-01-01T00:00:00Z"]);
    assert!(next("cron(0 0 1 1 ? 2020)", "UTC", "2026-11-23T00:00:00Z", 1).is_empty());
    assert!(next("cron(0 0 30 2 ? *)", "UTC", "2026-11-23T00:00:00Z", 1).is_empty());
    assert!(next("cron(* * * * ? *)", "UTC", "2199-12-31T23:59:00Z", 1).is_empty());
    let over = schedule("at(2026-11-22T00:00:00)", "UTC", "2026-11-01T00:00:00Z");
    assert!(over.is_over(time("2026-11-22T00:00:00Z")) && !over.is_over(time("2026-11-21T23:59:59Z")));
}

/// In New York clocks go from 2:00 to 3:00 on 2026-03-08 and from 2:00 back to 1:00 on 2026-11-01.
#[test]
fn clocks_change() {
    let zone = "America/New_York";
    // 2:30 does not exist that day.
    assert_eq!(
        next("cron(30 2 * * ? *)", zone, "2026-03-06T12:00:00Z", 3),
        ["2026-03-07T07:30:00Z", "2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"]
    );
    // 1:30 comes twice, and the schedule once.
    assert_eq!(
        next("cron(30 1 * * ? *)", zone, "2026-10-31T12:00:00Z", 2),
        ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
    );
    assert_eq!(
        next("cron(0/30 * * * ? *)", zone, "2026-11-01T04:45:00Z", 4),
        ["2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T07:00:00Z", "2026-11-01T07:30:00Z"]
    );
    // Asked in the midst of the hour that comes again.
    assert_eq!(next("cron(0/30 * * * ? *)", zone, "2026-11-01T06:10:00Z", 1), ["2026-11-01T07:00:00Z"]);
    // Noon stays noon.
    assert_eq!(
        next("cron(0 12 * * ? *)", zone, "2026-03-07T12:00:00Z", 2),
        ["2026-03-07T17:00:00Z", "2026-03-08T16:00:00Z"]
    );
    // A day of a rate has 24 hours.
    assert_eq!(next("rate(1 day)", zone, "2026-03-07T17:00:00Z", 2), ["2026-03-08T17:00:00Z", "2026-03-09T17:00:00Z"]);
    // A one-time schedule in the gap runs as far behind it; in the hour that comes twice, the first time.
    assert_eq!(next("at(2026-03-08T02:30:00)", zone, "2026-01-01T00:00:00Z", 2), ["2026-03-08T07:30:00Z"]);
    assert_eq!(next("at(2026-11-01T01:30:00)", zone, "2026-01-01T00:00:00Z", 2), ["2026-11-01T05:30:00Z"]);
}

/// Samoa had no 2011-12-30.
#[test]
fn a_day_may_be_missing() {
    assert_eq!(
        next("cron(0 6 * * ? *)", "Pacific/Apia", "2011-12-28T20:00:00Z", 2),
        ["2011-12-29T16:00:00Z", "2011-12-30T16:00:00Z"]
    );
    assert_eq!(next("cron(* * * * ? *)", "Pacific/Apia", "2011-12-30T09:59:30Z", 1), ["2011-12-30T10:00:00Z"]);
}

#[test]
fn rates_count_from_the_start() {
    let rate = schedule("rate(10 minutes)", "UTC", "2026-11-23T12:03:20Z");
    assert_eq!(rate.next_from(time("2026-11-23T12:03:20Z")), Some(time("2026-11-23T12:03:20Z")));
    assert_eq!(rate.next_after(time("2026-11-23T12:03:20Z")), Some(time("2026-11-23T12:13:20Z")));
    assert_eq!(rate.next_after(time("2026-11-23T13:00:00Z")), Some(time("2026-11-23T13:03:20Z")));
    let later = rate.within(Some(time("2026-12-01T00:00:00Z")), Some(time("2026-12-01T00:20:00Z")));
    let due: Vec<String> =
        later.occurrences(time("2026-11-23T13:00:00Z"), Timestamp::MAX).map(|at| at.date_time()).collect();
    assert_eq!(due, ["2026-12-01T00:00:00Z", "2026-12-01T00:10:00Z", "2026-12-01T00:20:00Z"]);
}

#[test]
fn cron_keeps_to_its_dates_and_a_one_time_schedule_ignores_them() {
    let (start, end) = (Some(time("2026-12-01T10:00:00Z")), Some(time("2026-12-02T10:00:00Z")));
    let cron = schedule("cron(0 10 * * ? *)", "UTC", "2026-11-23T00:00:00Z").within(start, end);
    let due: Vec<Timestamp> = cron.occurrences(time("2026-11-23T00:00:00Z"), Timestamp::MAX).collect();
    assert_eq!(due, [time("2026-12-01T10:00:00Z"), time("2026-12-02T10:00:00Z")]);
    let at = schedule("at(2026-11-24T00:00:00)", "UTC", "2026-11-23T00:00:00Z").within(start, end);
    assert_eq!(at.next_after(time("2026-11-23T00:00:00Z")), Some(time("2026-11-24T00:00:00Z")));
}

#[test]
fn a_jump_of_a_year_is_bounded() {
    let every_minute = schedule("cron(* * * * ? *)", "UTC", "2026-01-01T00:00:00Z");
    let (before, now) = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
    let due = every_minute.due(before, now, 100);
    assert_eq!(
        (due.at.len(), due.at[0], due.more_after),
        (100, time("2026-01-01T00:01:00Z"), Some(time("2026-01-01T01:40:00Z")),)
    );
    let rest = every_minute.due(time("2026-12-31T23:58:00Z"), now, 100);
    assert_eq!((rest.at, rest.more_after), (vec![time("2026-12-31T23:59:00Z"), now], None));
    assert_eq!(every_minute.due(before, now, 0).more_after, Some(before));
    assert_eq!(every_minute.occurrences(before, now).count(), 365 * 24 * 60);
}

#[test]
fn the_latest_of_a_jump_are_found() {
    let (start, end) = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
    for (expression, zone) in [
        ("cron(* * * * ? *)", "UTC"),
        ("rate(7 minutes)", "UTC"),
        ("cron(0/30 * * * ? *)", "America/New_York"),
        ("cron(* 3 1 1 ? *)", "UTC"),
    ] {
        let schedule = schedule(expression, zone, "2026-01-01T00:00:13Z");
        let all: Vec<Timestamp> = schedule.occurrences(start, end).collect();
        for limit in [1, 2, 59, 100, 1_000] {
            let expected = all[all.len().saturating_sub(limit)];
            assert_eq!(
                schedule.latest(start.plus(Duration::from_micros(1)), end, limit),
                Some(expected),
                "{expression} {limit}"
            );
        }
    }
    let daily = schedule("cron(0 12 * * ? *)", "UTC", "2026-01-01T00:00:00Z");
    assert_eq!(daily.latest(time("2026-01-01T13:00:00Z"), time("2026-01-02T11:00:00Z"), 5), None);
    // Both ends are included.
    let noon = time("2026-01-02T12:00:00Z");
    assert_eq!(daily.latest(noon, noon, 1), Some(noon));
}

#[test]
fn dates_are_checked() {
    let now = time("2026-11-23T12:00:00Z");
    let check = |start: &str, end: Option<&str>| Schedule::check_dates(Some(time(start)), end.map(time), now);
    assert_eq!(check("2026-11-23T11:54:59Z", None), Err(InvalidDates::StartTooEarly));
    assert_eq!(check("2026-11-23T11:55:00Z", None), Ok(()));
    assert_eq!(check("2026-11-24T00:00:00Z", Some("2026-11-23T23:00:00Z")), Err(InvalidDates::EndBeforeStart));
    assert_eq!(
        InvalidDates::StartTooEarly.to_string(),
        "The StartDate you specify cannot be earlier than 5 minutes ago."
    );
}

#[test]
fn a_window_spreads() {
    let (random, at) = (Random::seeded(1), time("2026-11-23T12:00:00Z"));
    let spread: Vec<Timestamp> = (0..1_000).map(|_| spread(at, 15, &random)).collect();
    let end = at.plus(Duration::from_secs(15 * 60));
    assert!(spread.iter().all(|point| (at..end).contains(point)));
    let early = spread.iter().filter(|point| **point < at.plus(Duration::from_secs(5 * 60))).count();
    assert!((250..420).contains(&early), "{early} of 1,000 in the first third");
    assert_eq!(fractus_schedules::spread(at, 0, &random), at);
}
