//! Numbers: up to 38 significant digits between 1E-130 and 9.99E+125, exact, and never a floating point number.
//!
//! A number is a sign, a whole number without trailing zeros and a power of ten. What is refused and in which words was
//! observed on AWS: an exponent that fits 64 bits is compared with the range, one that does not makes the text no number;
//! zero is held to the range by the exponent it is written with.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

const MAX_DIGITS: u32 = 38;
/// The power of ten of the first digit.
const MAX_MAGNITUDE: i64 = 125;
const MIN_MAGNITUDE: i64 = -130;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotNumeric(String),
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,
}

/// A number in its one form: equal numbers are the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    // Two halves, so that a number needs no more than the alignment of a pointer.
    high: u64,
    low: u64,
    exponent: i16,
    negative: bool,
}

/// What a text says, before it is held to the limits.
struct Written<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

fn digits_at_front(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// A power of ten that fits 64 bits.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let (negative, digits) = signed(text);
    let (digits, rest) = digits_at_front(digits);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |sum, digit| {
        let digit = i64::from(digit - b'0');
        sum.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
    })
}

fn written(text: &[u8]) -> Option<Written<'_>> {
    let (negative, rest) = signed(text);
    let (whole, rest) = digits_at_front(rest);
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', rest)) => digits_at_front(rest),
        _ => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest.split_first() {
        None => 0,
        Some((b'e' | b'E', rest)) => exponent_of(rest)?,
        Some(_) => return None,
    };
    Some(Written { negative, whole, fraction, exponent })
}

fn held_to_range(magnitude: i64) -> Result<(), NumberError> {
    match magnitude {
        ..MIN_MAGNITUDE => Err(NumberError::Underflow),
        MIN_MAGNITUDE..=MAX_MAGNITUDE => Ok(()),
        _ => Err(NumberError::Overflow),
    }
}

fn digit_count(whole: u128) -> u32 {
    let log = match u64::try_from(whole) {
        Ok(short) => short.checked_ilog10(),
        Err(_) => whole.checked_ilog10(),
    };
    log.map_or(0, |log| log + 1)
}

impl Number {
    pub const ZERO: Number = Number { high: 0, low: 0, exponent: 0, negative: false };

    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let written =
            written(text.as_bytes()).ok_or_else(|| NumberError::NotNumeric(text.chars().take(1_024).collect()))?;
        let digits = || written.whole.iter().chain(written.fraction).copied();
        let Some(first) = digits().position(|digit| digit != b'0') else {
            return held_to_range(written.exponent).map(|()| Number::ZERO);
        };
        let all = written.whole.len() + written.fraction.len();
        let last = all - digits().rev().position(|digit| digit != b'0').unwrap_or(0);
        // The position of a digit counts from the left; its power of ten is relative to the point.
        let power =
            |position: usize| (written.whole.len() as i64 - 1 - position as i64).saturating_add(written.exponent);
        held_to_range(power(first))?;
        if last - first > MAX_DIGITS as usize {
            return Err(NumberError::TooManyDigits);
        }
        let whole =
            digits().skip(first).take(last - first).fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        Self::of(written.negative, whole, power(last - 1))
    }

    /// The number `whole * 10^exponent`, if it is one that can be kept.
    fn of(negative: bool, mut whole: u128, mut exponent: i64) -> Result<Self, NumberError> {
        if whole == 0 {
            return Ok(Number::ZERO);
        }
        // Divisions of 128 bits are slow, and most numbers have no more than 64.
        if let Ok(mut short) = u64::try_from(whole) {
            while short.is_multiple_of(10) {
                short /= 10;
                exponent += 1;
            }
            whole = u128::from(short);
        } else {
            while whole.is_multiple_of(10) {
                whole /= 10;
                exponent += 1;
            }
        }
        let digits = digit_count(whole);
        held_to_range(exponent + i64::from(digits) - 1)?;
        if digits > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        // 38 digits below the smallest magnitude still fit sixteen bits.
        Ok(Number { high: (whole >> 64) as u64, low: whole as u64, exponent: exponent as i16, negative })
    }

    pub fn from_u64(value: u64) -> Self {
        // Twenty digits at most, so the limits hold.
        Self::of(false, u128::from(value), 0).unwrap_or(Number::ZERO)
    }

    /// Its whole part, if it is not negative and fits.
    pub fn to_u64(self) -> Option<u64> {
        if self.negative {
            return None;
        }
        let power = 10_u128.checked_pow(u32::from(self.exponent.unsigned_abs()));
        let whole = if self.exponent < 0 {
            power.map_or(0, |power| self.whole() / power)
        } else {
            self.whole().checked_mul(power?)?
        };
        u64::try_from(whole).ok()
    }

    fn whole(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    pub fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// The power of ten of the first digit.
    fn magnitude(self) -> i64 {
        i64::from(self.exponent) + i64::from(digit_count(self.whole())) - 1
    }

    /// The digits before and after the point that count, zeros at both ends left out.
    fn significant(self) -> (u32, u32) {
        let digits = digit_count(self.whole());
        let after_point = u32::try_from(-i32::from(self.exponent)).unwrap_or(0);
        let fraction = after_point.min(digits);
        (digits - fraction, fraction)
    }

    /// One byte, one for every two significant digits of each side of the point, one for a minus sign. The developer guide's
    /// rule is rougher; this one was measured on AWS at the item size limit.
    pub fn size_bytes(self) -> usize {
        let (whole, fraction) = self.significant();
        1 + whole.div_ceil(2) as usize + fraction.div_ceil(2) as usize + usize::from(self.negative)
    }

    fn negated(self) -> Self {
        Number { negative: !self.negative && !self.is_zero(), ..self }
    }

    pub fn plus(self, other: Self) -> Result<Self, NumberError> {
        if self.is_zero() {
            return Ok(other);
        }
        if other.is_zero() {
            return Ok(self);
        }
        let (coarse, fine) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // What does not fit 128 bits has more than 38 digits, and the last of them, the finer number's, is not zero.
        let gap = (i32::from(coarse.exponent) - i32::from(fine.exponent)) as u32;
        let scaled = 10_u128.checked_pow(gap).and_then(|power| power.checked_mul(coarse.whole()));
        let scaled = scaled.ok_or(NumberError::TooManyDigits)?;
        let (negative, sum) = if coarse.negative == fine.negative {
            (coarse.negative, scaled.checked_add(fine.whole()).ok_or(NumberError::TooManyDigits)?)
        } else if scaled >= fine.whole() {
            (coarse.negative, scaled - fine.whole())
        } else {
            (fine.negative, fine.whole() - scaled)
        };
        Self::of(negative, sum, i64::from(fine.exponent))
    }

    pub fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(other.negated())
    }

    /// Bytes whose order is the numbers' order, none a prefix of another: the sign, the magnitude, pairs of digits and an
    /// end; turned over for negative numbers.
    pub fn encode_ordered(self, out: &mut impl Extend<u8>) {
        const NEGATIVE: u8 = 1;
        const ZERO: u8 = 2;
        const POSITIVE: u8 = 3;
        if self.is_zero() {
            out.extend([ZERO]);
            return;
        }
        out.extend([if self.negative { NEGATIVE } else { POSITIVE }]);
        let turn = |byte: u8| if self.negative { !byte } else { byte };
        // -130 to 125 are exactly the values of a byte.
        out.extend([turn((self.magnitude() - MIN_MAGNITUDE) as u8)]);
        let mut left = self.whole();
        let mut digits = digit_count(left);
        if digits % 2 == 1 {
            left *= 10;
            digits += 1;
        }
        let mut unit = 10_u128.pow(digits - 2);
        while unit > 0 {
            let pair = (left / unit) as u8;
            left %= unit;
            out.extend([turn(pair + 1)]);
            unit /= 100;
        }
        out.extend([turn(0)]);
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Number| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = || {
            self.magnitude().cmp(&other.magnitude()).then_with(|| {
                let (own, others) = (self.whole(), other.whole());
                let (own_digits, others_digits) = (digit_count(own), digit_count(others));
                // Both have 38 digits at most, so both fit when written with as many.
                let own = own * 10_u128.pow(others_digits.saturating_sub(own_digits));
                let others = others * 10_u128.pow(own_digits.saturating_sub(others_digits));
                own.cmp(&others)
            })
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => by_size(),
            _ => by_size().reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As DynamoDB gives numbers back: plain digits, never an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if self.negative {
            f.write_char('-')?;
        }
        let mut buffer = [0_u8; 40];
        let mut at = buffer.len();
        let mut left = self.whole();
        while left > u128::from(u64::MAX) {
            at -= 1;
            buffer[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let mut left = left as u64;
        loop {
            at -= 1;
            buffer[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        let digits = std::str::from_utf8(&buffer[at..]).map_err(|_| fmt::Error)?;
        let zeros = |f: &mut fmt::Formatter<'_>, count: i32| (0..count).try_for_each(|_| f.write_char('0'));
        let exponent = i32::from(self.exponent);
        if exponent >= 0 {
            f.write_str(digits)?;
            return zeros(f, exponent);
        }
        let before_point = digits.len() as i32 + exponent;
        if before_point <= 0 {
            f.write_str("0.")?;
            zeros(f, -before_point)?;
            return f.write_str(digits);
        }
        let (whole, fraction) = digits.split_at(before_point as usize);
        write!(f, "{whole}.{fraction}")
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Number {
    /// Its bits, for the stored form.
    pub(crate) fn to_parts(self) -> (bool, i16, u128) {
        (self.negative, self.exponent, self.whole())
    }

    pub(crate) fn from_parts(negative: bool, exponent: i16, whole: u128) -> Option<Self> {
        Self::of(negative, whole, i64::from(exponent)).ok()
    }
}
