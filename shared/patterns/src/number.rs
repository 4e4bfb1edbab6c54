//! Numbers as patterns compare them: decimals with six digits after the point, between −5,000,000,000 and
//! +5,000,000,000 inclusive ([numeric matching]). They are exact here: millionths in an `i64`, never floating point.
//!
//! [numeric matching]: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-numeric-matching

/// A number in millionths.
pub type Millionths = i64;

/// The largest number that is compared by value.
pub const MAX: Millionths = 5_000_000_000 * 1_000_000;
/// The smallest.
pub const MIN: Millionths = -MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotComparable {
    /// More than six digits after the point.
    TooPrecise,
    OutOfRange,
    NotANumber,
}

/// Reads a decimal with optional fraction and exponent. Bounded by the text's length, whatever the exponent.
pub fn parse(text: &str) -> Result<Millionths, NotComparable> {
    let (is_negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() && fraction.is_empty() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(NotComparable::NotANumber);
    }
    let count = whole.len() + fraction.len();
    let leading = digits().take_while(|byte| *byte == b'0').count();
    if leading == count {
        return Ok(0);
    }
    let trailing = fraction.bytes().rev().chain(whole.bytes().rev()).take_while(|byte| *byte == b'0').count();
    let significant = count - leading - trailing;
    // The value is the significant digits times ten to this power.
    let power = exponent.saturating_sub(to_i64(fraction.len())).saturating_add(to_i64(trailing));
    if power < -6 {
        return Err(NotComparable::TooPrecise);
    }
    if to_i64(significant).saturating_add(power) > 10 {
        return Err(NotComparable::OutOfRange);
    }
    let mut value: i64 =
        digits().skip(leading).take(significant).fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    for _ in 0..power + 6 {
        value *= 10;
    }
    if value > MAX {
        return Err(NotComparable::OutOfRange);
    }
    Ok(if is_negative { -value } else { value })
}

fn read_exponent(text: &str) -> Result<i64, NotComparable> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotComparable::NotANumber);
    }
    // An exponent beyond an i64 is as good as the largest one.
    let size = digits.parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Ok(if text.starts_with('-') { -size } else { size })
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        for text in ["300", "300.0", "3.0e2", "3E+2", "0.3e3", "30000e-2", "300.000000000"] {
            assert_eq!(parse(text), Ok(300_000_000), "{text}");
        }
        for text in ["0", "-0", "0.0e99999999999999999999", "0e-5"] {
            assert_eq!(parse(text), Ok(0), "{text}");
        }
    }

    #[test]
    fn limits_are_exact() {
        assert_eq!(parse("5000000000"), Ok(MAX));
        assert_eq!(parse("-5e9"), Ok(MIN));
        assert_eq!(parse("5000000000.000001"), Err(NotComparable::OutOfRange));
        assert_eq!(parse("1e300000000000000000000"), Err(NotComparable::OutOfRange));
        assert_eq!(parse("0.000001"), Ok(1));
        assert_eq!(parse("0.0000001"), Err(NotComparable::TooPrecise));
        assert_eq!(parse("1e-99999999999999999999"), Err(NotComparable::TooPrecise));
        for text in ["", "-", ".", "1e", "a", "1.2.3", "0x10"] {
            assert_eq!(parse(text), Err(NotComparable::NotANumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in MIN..=MAX) {
            let sign = if value < 0 { "-" } else { "" };
            let size = value.unsigned_abs();
            let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
            prop_assert_eq!(parse(&text), Ok(value));
        }

        #[test]
        fn any_text_is_answered(text in "[-+0-9.eE]{0,40}") {
            let _ = parse(&text);
        }
    }
}
