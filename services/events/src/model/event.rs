//! An event's form on a bus, and what PutEvents asks of an entry.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>

use fractus_aws::{AccountId, Region};
use fractus_clock::Timestamp;

use super::json::push_string;

/// The most bytes of all entries of a request.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
pub const MAX_REQUEST_BYTES: usize = 1_048_576;

/// What makes an event, each part as the sender gave it.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub id: &'a str,
    pub detail_type: &'a str,
    pub source: &'a str,
    pub account: &'a AccountId,
    pub region: &'a Region,
    pub time: Timestamp,
    pub resources: &'a [String],
    /// A JSON object.
    pub detail: &'a str,
}

/// The detail of an event is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The event as JSON, its members in AWS's order and without space between its tokens. What stands inside the detail's
/// brackets is checked by whoever takes the event apart.
pub fn envelope(parts: &Parts<'_>) -> Result<String, Malformed> {
    let mut out = String::with_capacity(256 + parts.detail.len());
    out.push_str(r#"{"version":"0","id":""#);
    out.push_str(parts.id);
    out.push_str(r#"","detail-type":"#);
    push_string(&mut out, parts.detail_type);
    out.push_str(r#","source":"#);
    push_string(&mut out, parts.source);
    out.push_str(r#","account":""#);
    out.push_str(parts.account.as_str());
    out.push_str(r#"","time":""#);
    out.push_str(&parts.time.to_secs_precision().date_time());
    out.push_str(r#"","region":""#);
    out.push_str(parts.region.as_str());
    out.push_str(r#"","resources":["#);
    for (index, resource) in parts.resources.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(&mut out, resource);
    }
    out.push_str(r#"],"detail":"#);
    push_compact_object(&mut out, parts.detail)?;
    out.push('}');
    Ok(out)
}

/// Copies a JSON object without the space between its tokens. Brackets are counted, so that what is copied is one value
/// and cannot reach out of its place; whether it is JSON inside is not looked at.
pub fn push_compact_object(out: &mut String, json: &str) -> Result<(), Malformed> {
    let json = json.trim_matches([' ', '\t', '\r', '\n']);
    let bytes = json.as_bytes();
    if bytes.first() != Some(&b'{') || bytes.last() != Some(&b'}') {
        return Err(Malformed);
    }
    let (mut depth, mut copied, mut at) = (0usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while *bytes.get(at).ok_or(Malformed)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 && at + 1 < bytes.len() {
                    return Err(Malformed);
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                out.push_str(&json[copied..at]);
                copied = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if depth != 0 {
        return Err(Malformed);
    }
    out.push_str(&json[copied..]);
    Ok(())
}

/// The time that an event says of itself.
pub fn time_of(event: &str) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Head {
        time: String,
    }
    let head: Head = serde_json::from_str(event).ok()?;
    Timestamp::parse_date_time(&head.time).ok()
}

/// A whole event that came as JSON, without the space between its tokens and with another member at its end.
pub fn with_member(event: &str, name: &str, value: &str) -> String {
    let mut out = event.strip_suffix('}').unwrap_or(event).to_owned();
    out.push(',');
    push_string(&mut out, name);
    out.push(':');
    push_string(&mut out, value);
    out.push('}');
    out
}

/// An entry's size as PutEvents counts it: of its source, detail type and detail the bytes in `texts`.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
pub fn entry_bytes(has_time: bool, texts: [usize; 3], resources: &[String]) -> usize {
    let time = if has_time { 14 } else { 0 };
    time + texts.iter().sum::<usize>() + resources.iter().map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn made(detail: &str) -> Result<String, Malformed> {
        envelope(&Parts {
            id: "7bf73129-1428-4cd3-a780-95db273d1602",
            detail_type: "it \"happened\"",
            source: "my.app",
            account: &AccountId::default_account(),
            region: &Region::us_east_1(),
            time: Timestamp::from_millis(1_767_225_600_123),
            resources: &["arn:a".to_owned(), "b\\".to_owned()],
            detail,
        })
    }

    #[test]
    fn an_event_has_awss_members_in_their_order() {
        let event = made(" { \"a\" : [ 1, {\"b\": \" x { \\\" \"} ] }\n").unwrap();
        assert_eq!(
            event,
            concat!(
                r#"{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"it \"happened\"","#,
                r#""source":"my.app","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","#,
                r#""resources":["arn:a","b\\"],"detail":{"a":[1,{"b":" x { \" "}]}}"#
            )
        );
        let replayed: Value = serde_json::from_str(&with_member(&event, "replay-name", "r")).unwrap();
        assert_eq!(replayed["replay-name"], json!("r"));
    }

    #[test]
    fn a_detail_cannot_reach_out_of_its_place() {
        for detail in [
            "",
            "1",
            "[]",
            "\"x\"",
            "{",
            "{}}",
            "{]",
            "{[}]",
            "{},\"account\":{}",
            "{}{}",
            "{\"a\":\"}",
            "{\"a\":\"\\",
            "null",
        ] {
            assert_eq!(made(detail), Err(Malformed), "{detail}");
        }
        assert!(made("{}").is_ok());
    }

    #[test]
    fn sizes_count_as_aws_says() {
        assert_eq!(entry_bytes(true, [3, 2, 2], &["é".to_owned()]), 14 + 3 + 2 + 2 + 2);
        assert_eq!(entry_bytes(false, [3, 2, 2], &[]), 7);
    }

    proptest! {
        #[test]
        fn space_goes_and_meaning_stays(key in any::<String>(), text in any::<String>(), number in any::<i32>()) {
            let value = json!({ key: [text, number, {"x": null}] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let mut out = String::new();
            push_compact_object(&mut out, &pretty).unwrap();
            prop_assert_eq!(out, value.to_string());
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "[{}\\[\\]\"\\\\ a]{0,20}") {
            let mut out = String::new();
            if push_compact_object(&mut out, &text).is_ok() {
                let is_whole = out.starts_with('{') && out.ends_with('}');
                prop_assert!(is_whole);
            }
        }
    }
}
