//! Scalars as text, the way XML and Query carry them.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::schema::TimestampFormat;
use crate::shape::{ReadError, ReadErrorKind};

/// Clients differ in whether they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Quotes at most this much of a value in a message.
const QUOTED_CHARS: usize = 64;

fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

pub fn parse_boolean(text: &str) -> Result<bool, ReadError> {
    match text.trim_ascii() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ReadError::wrong_type(format!("'{}' is not a boolean", quoted(other)))),
    }
}

pub fn parse_integer(text: &str) -> Result<i32, ReadError> {
    let value = parse_long(text)?;
    i32::try_from(value).map_err(|_| out_of_range(text, "an integer"))
}

pub fn parse_long(text: &str) -> Result<i64, ReadError> {
    let text = text.trim_ascii();
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => out_of_range(text, "a long"),
        _ => ReadError::wrong_type(format!("'{}' is not a whole number", quoted(text))),
    })
}

fn out_of_range(text: &str, what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::OutOfRange, format!("'{}' does not fit into {what}", quoted(text)))
}

pub fn parse_double(text: &str) -> Result<f64, ReadError> {
    match text.trim_ascii() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // Rust's own parser also takes words such as `inf`, which AWS does not.
        text if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) => {
            text.parse().map_err(|_| not_a_number(text))
        }
        text => Err(not_a_number(text)),
    }
}

pub fn parse_float(text: &str) -> Result<f32, ReadError> {
    parse_double(text).map(|value| value as f32)
}

fn not_a_number(text: &str) -> ReadError {
    ReadError::wrong_type(format!("'{}' is not a number", quoted(text)))
}

pub fn parse_blob(text: &str) -> Result<Bytes, ReadError> {
    let compact: Cow<'_, str> = if text.bytes().any(|b| b.is_ascii_whitespace()) {
        Cow::Owned(text.split_ascii_whitespace().collect())
    } else {
        Cow::Borrowed(text)
    };
    LENIENT.decode(compact.as_bytes()).map(Bytes::from).map_err(|_| ReadError::malformed("a blob is not base64"))
}

/// Reads a timestamp in the format that is expected, or in any other that AWS takes in its place.
pub fn parse_timestamp(text: &str, expected: TimestampFormat) -> Result<Timestamp, ReadError> {
    let text = text.trim_ascii();
    let first = match expected {
        TimestampFormat::DateTime => parse_iso8601(text),
        TimestampFormat::HttpDate => Timestamp::parse_http_date(text).ok(),
        TimestampFormat::EpochSeconds => parse_epoch(text),
    };
    first
        .or_else(|| parse_iso8601(text))
        .or_else(|| parse_epoch(text))
        .or_else(|| Timestamp::parse_http_date(text).ok())
        .ok_or_else(|| ReadError::wrong_type(format!("'{}' is not a timestamp", quoted(text))))
}

fn parse_epoch(text: &str) -> Option<Timestamp> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    if let Ok(secs) = text.parse::<i64>() {
        return Some(Timestamp::from_secs(secs));
    }
    let secs = parse_double(text).ok()?;
    secs.is_finite().then(|| Timestamp::from_secs_f64(secs))
}

/// ISO 8601 in the forms AWS takes: RFC 3339, without an offset (then it is UTC), the basic form, or a date alone.
fn parse_iso8601(text: &str) -> Option<Timestamp> {
    if text.len() < 10 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    if let Ok(point) = Timestamp::parse_date_time(text) {
        return Some(point);
    }
    if let Ok(point) = Timestamp::parse_amz_date(text) {
        return Some(point);
    }
    if text.len() == 10 {
        return Timestamp::parse_date_time(&format!("{text}T00:00:00Z")).ok();
    }
    Timestamp::parse_date_time(&format!("{text}Z")).ok()
}

pub fn push_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub fn push_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value).as_bytes());
    }
}

pub fn push_float(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(f64::from(value)).as_bytes());
    }
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

pub fn push_blob(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    let Some(length) = base64::encoded_len(value.len(), true) else { return };
    out.resize(start + length, 0);
    let written = STANDARD.encode_slice(value, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// Whether a date-time shows milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Millis {
    #[default]
    WhenAny,
    /// S3 and IAM write `.000Z`.
    Always,
}

pub fn push_timestamp(out: &mut Vec<u8>, value: Timestamp, format: TimestampFormat, millis: Millis) {
    match format {
        TimestampFormat::DateTime => push_date_time(out, value, millis),
        TimestampFormat::HttpDate => out.extend_from_slice(value.http_date().as_bytes()),
        TimestampFormat::EpochSeconds => push_epoch(out, value),
    }
}

fn push_epoch(out: &mut Vec<u8>, value: Timestamp) {
    let millis = value.millis().rem_euclid(1_000);
    if millis == 0 {
        push_integer(out, value.secs());
    } else {
        push_double(out, value.millis() as f64 / 1e3);
    }
}

/// `2006-01-02T15:04:05Z`. Written out by hand, since a page of a listing holds a thousand of them.
fn push_date_time(out: &mut Vec<u8>, value: Timestamp, millis: Millis) {
    let secs = value.secs();
    let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
    if !(0..=9_999).contains(&year) {
        out.extend_from_slice(value.date_time().as_bytes());
        return;
    }
    let second_of_day = secs.rem_euclid(86_400);
    push_digits(out, year, 4);
    out.push(b'-');
    push_digits(out, month, 2);
    out.push(b'-');
    push_digits(out, day, 2);
    out.push(b'T');
    push_digits(out, second_of_day / 3_600, 2);
    out.push(b':');
    push_digits(out, second_of_day / 60 % 60, 2);
    out.push(b':');
    push_digits(out, second_of_day % 60, 2);
    let fraction = value.millis().rem_euclid(1_000);
    if millis == Millis::Always || fraction != 0 {
        out.push(b'.');
        push_digits(out, fraction, 3);
    }
    out.push(b'Z');
}

fn push_digits(out: &mut Vec<u8>, value: i64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

/// The Gregorian date of a day counted from 1970-01-01, by the era arithmetic of H. Hinnant's `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
