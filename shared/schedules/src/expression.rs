//! Schedule expressions: `rate(…)`, `cron(…)`, `at(…)`.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;

use crate::cron::Cron;
use crate::error::{InvalidExpression, Reason};

/// What a schedule says of itself, without a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Every so often. A day is 24 hours, whatever the clocks on the wall do.
    Rate(Duration),
    Cron(Cron),
    /// Once, at this local time.
    At(DateTime),
}

impl Expression {
    /// Reads an expression as a rule of EventBridge has it: `rate` or `cron`, and a rate's unit is singular for one and
    /// plural for more.
    pub fn parse_of_rule(text: &str) -> Result<Self, InvalidExpression> {
        match parse(text, true)? {
            Expression::At(_) => Err(InvalidExpression { expression: text.to_owned(), reason: Reason::AtInRule }),
            recurring => Ok(recurring),
        }
    }

    /// Whether it fires more than once.
    pub fn is_recurring(&self) -> bool {
        !matches!(self, Expression::At(_))
    }
}

/// Reads an expression as EventBridge Scheduler has it. A rate's unit may be singular or plural, whatever its number:
/// the rule about it stands in EventBridge's guide alone, and `rate(1 hours)` is a schedule in the wild.
impl FromStr for Expression {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Result<Self, InvalidExpression> {
        parse(text, false)
    }
}

fn parse(text: &str, units_agree: bool) -> Result<Expression, InvalidExpression> {
    let inside = |form: &str| text.strip_prefix(form)?.strip_prefix('(')?.strip_suffix(')');
    let read = if let Some(rate) = inside("rate") {
        parse_rate(rate, units_agree).map(Expression::Rate).ok_or(Reason::Rate)
    } else if let Some(cron) = inside("cron") {
        Cron::parse(cron).map(Expression::Cron)
    } else if let Some(at) = inside("at") {
        parse_at(at).map(Expression::At).ok_or(Reason::At)
    } else {
        Err(Reason::UnknownForm)
    };
    read.map_err(|reason| InvalidExpression { expression: text.to_owned(), reason })
}

/// [Rate expressions](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rate-expressions.html): with
/// `units_agree` the unit is singular for one and plural for more.
fn parse_rate(text: &str, units_agree: bool) -> Option<Duration> {
    let mut words = text.split_ascii_whitespace();
    let (value, unit) = (words.next()?, words.next()?);
    if words.next().is_some() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u32 = value.parse().ok().filter(|value| *value > 0)?;
    let is_plural = unit.ends_with('s');
    if units_agree && is_plural != (value > 1) {
        return None;
    }
    let secs = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(value) * secs))
}

/// `yyyy-mm-ddThh:mm:ss` and nothing else.
fn parse_at(text: &str) -> Option<DateTime> {
    let shape = |(position, byte): (usize, u8)| match position {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    // A leap second would be read as the second before it.
    if text.len() != 19 || !text.bytes().enumerate().all(shape) || text.ends_with(":60") {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let of = |read: Result<Expression, InvalidExpression>| match read {
            Ok(Expression::Rate(rate)) => Some(rate.as_secs()),
            _ => None,
        };
        let secs = |text: &str| of(text.parse());
        for (text, of_schedule) in [("rate(1 minutes)", 60), ("rate(5 minute)", 300), ("rate(1 hours)", 3_600)] {
            assert_eq!(secs(text), Some(of_schedule), "{text}");
            assert_eq!(of(Expression::parse_of_rule(text)), None, "{text}");
        }
        assert_eq!(of(Expression::parse_of_rule("rate(5 minutes)")), Some(300));
        assert_eq!(of(Expression::parse_of_rule("rate(1 day)")), Some(86_400));
        assert_eq!(secs("rate(1 minute)"), Some(60));
        assert_eq!(secs("rate(5 minutes)"), Some(300));
        assert_eq!(secs("rate(1 hour)"), Some(3_600));
        assert_eq!(secs("rate(7 days)"), Some(604_800));
        for text in [
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1.5 hours)",
            "rate(5)",
            "rate(minutes)",
            "rate(30 seconds)",
            "rate(5 minutes",
            "rate 5 minutes",
            "Rate(5 minutes)",
            "rate()",
            "rate(5 minutes x)",
            "rate(+5 minutes)",
            "rate(99999999999 days)",
        ] {
            assert_eq!(secs(text), None, "{text}");
        }
    }

    #[test]
    fn one_time() {
        assert!("at(2026-11-23T18:00:00)".parse::<Expression>().is_ok());
        for text in [
            "at(2026-11-23 18:00:00)",
            "at(2026-11-23T18:00)",
            "at(2026-02-30T18:00:00)",
            "at(2026-11-23T18:00:00Z)",
            "at(2026-11-23T24:00:00)",
            "at(2026-11-23T18:00:60)",
            "at()",
            "at(26-11-23T18:00:00)",
        ] {
            assert!(text.parse::<Expression>().is_err(), "{text}");
        }
        let error = Expression::parse_of_rule("at(2026-11-23T18:00:00)").unwrap_err();
        assert_eq!(error.reason, Reason::AtInRule);
    }

    #[test]
    fn refusals_have_awss_words() {
        let error = "rate(30 seconds)".parse::<Expression>().unwrap_err();
        assert_eq!(error.to_string(), "Invalid Schedule Expression rate(30 seconds).");
        assert_eq!(error.rule_message(), "Parameter ScheduleExpression is not valid.");
        let error = "cron(*/30 * * * * ? *)".parse::<Expression>().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.reason),
            ("Invalid Schedule Expression cron(*/30 * * * * ? *).", Reason::FieldCount,)
        );
    }
}
