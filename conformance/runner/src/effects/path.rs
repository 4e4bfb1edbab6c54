//! Paths into an answer: `Messages[0].Body`, `Contents[*].Key`, `Attributes['a.b']`, `Messages[0].Body.@json.Records`.
//!
//! `[*]` gives what the rest of the path finds in every element, as a list. A step that begins with `@` reads the text
//! it stands at as something else: `@json` as JSON, `@base64` as base64 of text, `@jwt` as the claims of a web token,
//! `@url` as text that is encoded as in a query, `@length` as its length.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Index(usize),
    Every,
    Reading(Reading),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Json,
    Base64,
    Jwt,
    Url,
    Length,
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = if let Some(inner) = rest.strip_prefix('[') {
                let (inner, after) = inner.split_once(']').ok_or_else(|| format!("{text:?} has an open bracket"))?;
                steps.push(bracket(inner).ok_or_else(|| format!("[{inner}] in {text:?} is no index"))?);
                after.strip_prefix('.').unwrap_or(after)
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                steps.push(named(&rest[..end]).ok_or_else(|| format!("{:?} in {text:?} means nothing", &rest[..end]))?);
                let after = &rest[end..];
                after.strip_prefix('.').unwrap_or(after)
            };
        }
        Ok(Path { text: text.to_owned(), steps })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first member on the way, which is the answer's own.
    pub fn root(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::Member(name)) => Some(name),
            _ => None,
        }
    }

    pub fn find(&self, root: &Value) -> Option<Value> {
        find(&self.steps, root)
    }
}

fn bracket(inner: &str) -> Option<Step> {
    if inner == "*" {
        return Some(Step::Every);
    }
    let quoted = inner.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
    quoted.map(|name| Step::Member(name.to_owned())).or_else(|| inner.parse().ok().map(Step::Index))
}

fn named(name: &str) -> Option<Step> {
    Some(match name {
        "" => return None,
        "@json" => Step::Reading(Reading::Json),
        "@base64" => Step::Reading(Reading::Base64),
        "@jwt" => Step::Reading(Reading::Jwt),
        "@url" => Step::Reading(Reading::Url),
        "@length" => Step::Reading(Reading::Length),
        other if other.starts_with('@') => return None,
        other => Step::Member(other.to_owned()),
    })
}

fn find(steps: &[Step], at: &Value) -> Option<Value> {
    let Some((first, rest)) = steps.split_first() else { return Some(at.clone()) };
    match first {
        Step::Member(name) => find(rest, at.get(name)?),
        Step::Index(index) => find(rest, at.get(index)?),
        Step::Every => match at {
            Value::Array(list) => Some(Value::Array(list.iter().filter_map(|one| find(rest, one)).collect())),
            Value::Object(map) => Some(Value::Array(map.values().filter_map(|one| find(rest, one)).collect())),
            _ => None,
        },
        Step::Reading(reading) => find(rest, &read(*reading, at)?),
    }
}

fn read(reading: Reading, at: &Value) -> Option<Value> {
    match reading {
        Reading::Json => serde_json::from_slice(&value::bytes_of(at)?).ok(),
        Reading::Base64 => Some(value::of_bytes(&STANDARD.decode(at.as_str()?).ok()?)),
        Reading::Jwt => {
            let claims = at.as_str()?.split('.').nth(1)?;
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
        }
        Reading::Url => {
            let text = at.as_str()?.replace('+', " ");
            let text = percent_encoding::percent_decode_str(&text).decode_utf8().ok()?;
            Some(Value::String(text.into_owned()))
        }
        Reading::Length => value::length(at).map(Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_into_answers() {
        let answer = json!({"Messages": [{"Body": "{\"Records\":[{\"k\":1}]}"}, {"Body": "x"}], "A": {"a.b": 2}});
        let find = |path: &str| Path::parse(path).unwrap().find(&answer);
        assert_eq!(find("Messages[1].Body"), Some(json!("x")));
        assert_eq!(find("Messages[0].Body.@json.Records[0].k"), Some(json!(1)));
        assert_eq!(find("Messages[*].Body.@length"), Some(json!([21, 1])));
        assert_eq!(find("A['a.b']"), Some(json!(2)));
        assert_eq!(find("Messages[2].Body"), None);
        assert_eq!(find(""), Some(answer.clone()));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["a[", "a[x]", "a..b", "a.@yaml"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
