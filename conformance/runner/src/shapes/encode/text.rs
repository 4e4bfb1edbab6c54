//! Values as text: in paths, queries, headers, forms and elements.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use fractus_models::{Api, MemberFacts};

use crate::shapes::facts;
use crate::shapes::value::Value;

/// A single value as text; blobs in base64.
pub fn text(api: &Api, value: &Value, member: &MemberFacts, time_format: &str) -> String {
    match value {
        Value::Time(time) => {
            let shape = facts::shape(api, &member.shape);
            timestamp(*time, facts::timestamp_format(Some(member), shape, time_format))
        }
        Value::Blob(bytes) => STANDARD.encode(bytes),
        Value::Float(number) if number.is_infinite() => {
            (if *number > 0.0 { "Infinity" } else { "-Infinity" }).to_owned()
        }
        Value::Document(document) => document.to_string(),
        other => other.plain().unwrap_or_default(),
    }
}

pub fn timestamp(time: Timestamp, format: &str) -> String {
    match format {
        "rfc822" => time.http_date(),
        "unixTimestamp" => time.secs().to_string(),
        _ => time.date_time(),
    }
}
