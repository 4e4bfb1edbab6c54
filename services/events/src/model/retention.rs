//! How long an archive keeps its events: in whole days, each of which is counted by itself, so that counts stay exact as
//! days fall out.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html>

use fractus_clock::Timestamp;

const DAY_SECS: i64 = 86_400;

/// The day in which a moment lies, counted from 1970.
pub fn day_of(at: Timestamp) -> u64 {
    u64::try_from(at.secs().div_euclid(DAY_SECS)).unwrap_or(0)
}

/// The first day whose events an archive still has; `retention_days` of 0 keeps all.
pub fn first_day(retention_days: u32, now: Timestamp) -> u64 {
    match retention_days {
        0 => 0,
        days => day_of(now).saturating_sub(u64::from(days)),
    }
}

/// When a day begins.
pub fn start_of(day: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(day).unwrap_or(i64::MAX / DAY_SECS).saturating_mul(DAY_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_its_days_and_the_rest_of_the_last() {
        let at = |text: &str| Timestamp::parse_date_time(text).unwrap();
        let came = day_of(at("2026-01-01T23:59:59Z"));
        assert!(came >= first_day(1, at("2026-01-02T23:59:59Z")));
        assert!(came < first_day(1, at("2026-01-03T00:00:00Z")));
        assert_eq!(first_day(0, at("2026-01-03T00:00:00Z")), 0);
        assert_eq!(start_of(came), at("2026-01-01T00:00:00Z"));
    }
}
