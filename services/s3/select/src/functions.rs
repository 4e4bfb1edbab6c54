//! Scalar functions.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-sql-functions.html>

use fractus_clock::Timestamp;

use super::syntax::Type;
use super::times::{self, Unit};
use super::value::{Value, boolean, compare};
use super::{Result, SelectError, error};

/// Whether there is a function of this name that takes so many arguments.
pub fn check(name: &str, arguments: usize) -> Result<()> {
    let wanted = match name {
        "UTCNOW" => 0..=0,
        "LOWER" | "UPPER" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "TO_TIMESTAMP" => 1..=1,
        "NULLIF" | "TO_STRING" | "EXTRACT" => 2..=2,
        "SUBSTRING" => 2..=3,
        "DATE_ADD" | "DATE_DIFF" | "TRIM" => 3..=3,
        "COALESCE" => 1..=usize::MAX,
        _ => return Err(error("UnsupportedFunction", format!("Encountered an unsupported SQL function: {name}"))),
    };
    if wanted.contains(&arguments) {
        return Ok(());
    }
    let message = format!("Incorrect number of arguments in the function call of {name}");
    Err(error("EvaluatorInvalidArguments", message))
}

fn wrong_type(name: &str) -> SelectError {
    let message = format!("Incorrect type of arguments in the function call of {name}");
    error("IncorrectSqlFunctionArgumentType", message)
}

pub fn call(name: &str, arguments: &[Value], now: Timestamp) -> Result<Value> {
    match name {
        "UTCNOW" => return Ok(Value::Time(now)),
        "COALESCE" => return Ok(arguments.iter().find(|value| !value.is_absent()).cloned().unwrap_or(Value::Null)),
        "NULLIF" => {
            let [left, right] = arguments else { return Err(wrong_type(name)) };
            let same = compare(left, right).is_some_and(|order| order.is_eq());
            return Ok(if same { Value::Null } else { left.clone() });
        }
        _ => {}
    }
    if arguments.iter().any(Value::is_absent) {
        return Ok(Value::Null);
    }
    let text = |at: usize| match arguments.get(at) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err(wrong_type(name)),
    };
    let unit = || text(0).and_then(|unit| Unit::parse(unit).ok_or_else(|| wrong_type(name)));
    Ok(match name {
        "LOWER" => Value::Text(text(0)?.to_lowercase()),
        "UPPER" => Value::Text(text(0)?.to_uppercase()),
        "CHAR_LENGTH" | "CHARACTER_LENGTH" => Value::Int(text(0)?.chars().count() as i64),
        "SUBSTRING" => substring(text(0)?, arguments.get(1), arguments.get(2))?,
        "TRIM" => trim(text(0)?, text(1)?, text(2)?),
        "TO_TIMESTAMP" => Value::Time(time(arguments.first(), name)?),
        "TO_STRING" => {
            let pattern = text(1)?;
            let written = times::format(time(arguments.first(), name)?, pattern);
            let invalid = || error("EvaluatorInvalidTimestampFormatPattern", "Invalid timestamp format pattern");
            Value::Text(written.ok_or_else(invalid)?)
        }
        "EXTRACT" => Value::Int(times::extract(unit()?, time(arguments.get(1), name)?)),
        "DATE_ADD" => {
            let quantity = arguments.get(1).and_then(Value::whole).ok_or_else(|| wrong_type(name))?;
            let moved = times::add(unit()?, quantity, time(arguments.get(2), name)?);
            Value::Time(moved.ok_or_else(|| error("IntegerOverflow", "The timestamp is out of range"))?)
        }
        "DATE_DIFF" => {
            let (from, to) = (time(arguments.get(1), name)?, time(arguments.get(2), name)?);
            Value::Int(times::difference(unit()?, from, to).ok_or_else(|| wrong_type(name))?)
        }
        _ => return Err(error("UnsupportedFunction", format!("Encountered an unsupported SQL function: {name}"))),
    })
}

fn time(value: Option<&Value>, name: &str) -> Result<Timestamp> {
    match value {
        Some(Value::Time(time)) => Ok(*time),
        Some(Value::Text(text)) => times::parse(text).ok_or_else(|| {
            error(
                "CastFailed",
                format!("Attempt to convert from one data type to another failed: {text} is no timestamp"),
            )
        }),
        _ => Err(wrong_type(name)),
    }
}

/// Positions begin with 1; what lies before the text counts, and is empty.
fn substring(text: &str, start: Option<&Value>, length: Option<&Value>) -> Result<Value> {
    let whole = |value: &Value| value.whole().ok_or_else(|| wrong_type("SUBSTRING"));
    let start = start.map(whole).transpose()?.unwrap_or(1);
    let length = length.map(whole).transpose()?;
    if length.is_some_and(|length| length < 0) {
        return Err(error("EvaluatorInvalidArguments", "The length of SUBSTRING must not be negative"));
    }
    let end = length.map_or(i64::MAX, |length| start.saturating_add(length));
    let taken = text.chars().zip(1_i64..).filter(|(_, at)| (start..end).contains(at)).map(|(character, _)| character);
    Ok(Value::Text(taken.collect()))
}

fn trim(side: &str, characters: &str, text: &str) -> Value {
    let set: Vec<char> = characters.chars().collect();
    let trimmed = match side {
        "LEADING" => text.trim_start_matches(&set[..]),
        "TRAILING" => text.trim_end_matches(&set[..]),
        _ => text.trim_matches(&set[..]),
    };
    Value::Text(trimmed.to_owned())
}

pub fn cast(value: &Value, to: Type) -> Result<Value> {
    if value.is_absent() {
        return Ok(value.clone());
    }
    let failed = || {
        let message = format!("Attempt to convert from one data type to another failed: {}", value.plain());
        error("CastFailed", message)
    };
    let cast = match to {
        Type::Text => Some(Value::Text(value.plain())),
        Type::Bool => match value {
            Value::Bool(value) => Some(Value::Bool(*value)),
            Value::Text(text) => boolean(text).map(Value::Bool),
            other => other.number().map(|number| Value::Bool(number != 0.0)),
        },
        Type::Int => match value {
            Value::Int(number) => Some(Value::Int(*number)),
            Value::Bool(value) => Some(Value::Int(i64::from(*value))),
            other => other.whole().or_else(|| other.number().and_then(truncated)).map(Value::Int),
        },
        Type::Float => match value {
            Value::Bool(value) => Some(Value::Float(f64::from(u8::from(*value)))),
            other => other.number().map(Value::Float),
        },
        Type::Time => match value {
            Value::Time(time) => Some(Value::Time(*time)),
            Value::Text(text) => times::parse(text).map(Value::Time),
            _ => None,
        },
    };
    cast.ok_or_else(failed)
}

fn truncated(number: f64) -> Option<i64> {
    (number.abs() < 9.2e18).then_some(number.trunc() as i64)
}

/// `%` is any text, `_` any one character; `escape` makes what follows it plain.
pub fn like(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    let mut wanted = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        wanted.push(match character {
            character if Some(character) == escape => {
                let invalid = || error("LikeInvalidInputs", "The escape character ends the pattern");
                Piece::Plain(characters.next().ok_or_else(invalid)?)
            }
            '%' => Piece::Any,
            '_' => Piece::One,
            plain => Piece::Plain(plain),
        });
    }
    let text: Vec<char> = text.chars().collect();
    Ok(matches(&text, &wanted))
}

#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Any,
    One,
    Plain(char),
}

/// Goes back to the latest `%` alone, so that the work is no more than text times pattern.
fn matches(text: &[char], pattern: &[Piece]) -> bool {
    let (mut at, mut piece, mut back) = (0, 0, None);
    while at < text.len() {
        match pattern.get(piece) {
            Some(Piece::Any) => {
                back = Some((piece, at));
                piece += 1;
            }
            Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Plain(wanted)) if *wanted == text[at] => (at, piece) = (at + 1, piece + 1),
            _ => match back {
                Some((any, from)) => {
                    (at, piece) = (from + 1, any + 1);
                    back = Some((any, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[piece..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_like() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "_", false),
            ("", "%", true),
            ("aXbXc", "a%b%c", true),
            ("abc", "abcd%", false),
            ("mississippi", "%iss%pi", true),
        ] {
            assert_eq!(like(text, pattern, None).unwrap(), expected, "{text} like {pattern}");
        }
        assert!(like("50%", "50\\%", Some('\\')).unwrap());
        assert!(!like("50x", "50\\%", Some('\\')).unwrap());
        assert!(like("x", "\\", Some('\\')).is_err());
    }

    #[test]
    fn casts_and_substrings() {
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(cast(&text(" 12 "), Type::Int).unwrap(), Value::Int(12));
        assert_eq!(cast(&text("1.9"), Type::Int).unwrap(), Value::Int(1));
        assert_eq!(cast(&text("x"), Type::Int).unwrap_err().code, "CastFailed");
        assert_eq!(cast(&Value::Null, Type::Int).unwrap(), Value::Null);
        let now = Timestamp::from_secs(0);
        assert_eq!(call("SUBSTRING", &[text("123456789"), Value::Int(0)], now).unwrap(), text("123456789"));
        assert_eq!(call("SUBSTRING", &[text("123456789"), Value::Int(-1), Value::Int(4)], now).unwrap(), text("12"));
        assert_eq!(
            call("TRIM", &[text("BOTH"), text("12"), text("1112211foobar22211122")], now).unwrap(),
            text("foobar")
        );
    }
}
