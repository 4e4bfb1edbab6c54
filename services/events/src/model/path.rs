//! The paths of input transformers and of targets' parameters: a small part of JSONPath, over the text of an event.
//!
//! Values are pieces of the event's own text, so that what a target gets is what was sent: members in their order,
//! numbers as they were written.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use std::borrow::Cow;

/// Elements that one wildcard may find.
const MAX_FOUND: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Any,
}

/// `$.detail.items[0].name`, `$.detail['a-b']`, `$.resources[*]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                if name.is_empty() {
                    return None;
                }
                steps.push(if name == "*" { Step::Any } else { Step::Member(name.to_owned()) });
                rest = &after[end..];
            } else {
                let inside = rest.strip_prefix('[')?;
                let (inside, after) = inside.split_once(']')?;
                steps.push(bracket(inside)?);
                rest = after;
            }
        }
        Some(Path(steps))
    }

    /// The text of the value in `json`, which is JSON without space between its tokens. Behind a wildcard the values
    /// that there are, as an array.
    pub fn find<'j>(&self, json: &'j str) -> Option<Cow<'j, str>> {
        let mut found: Vec<&'j str> = vec![json];
        let mut is_many = false;
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                match step {
                    Step::Member(name) => {
                        next.extend(members(value).find(|(key, _)| *key == *name).map(|(_, value)| value))
                    }
                    Step::Element(at) => next.extend(elements(value).nth(*at)),
                    Step::Any => {
                        next.extend(elements(value).chain(members(value).map(|(_, value)| value)).take(MAX_FOUND));
                    }
                }
            }
            is_many |= *step == Step::Any;
            next.truncate(MAX_FOUND);
            found = next;
        }
        if is_many {
            return Some(Cow::Owned(format!("[{}]", found.join(","))));
        }
        found.first().copied().map(Cow::Borrowed)
    }
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::Any);
    }
    for quote in ['\'', '"'] {
        if let Some(name) = inside.strip_prefix(quote) {
            return Some(Step::Member(name.strip_suffix(quote)?.to_owned()));
        }
    }
    inside.parse().ok().map(Step::Element)
}

/// A text's own characters, where the JSON is a string; anything else as it is written.
pub fn plain(json: &str) -> Cow<'_, str> {
    if !json.starts_with('"') {
        return Cow::Borrowed(json);
    }
    match json.get(1..json.len().saturating_sub(1)) {
        Some(inside) if !inside.contains('\\') => Cow::Borrowed(inside),
        _ => Cow::Owned(serde_json::from_str(json).unwrap_or_default()),
    }
}

/// Where the value that begins at `from` ends.
fn end_of_value(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(bytes[at - 1], b'"' | b'}' | b']') {
            return at;
        }
    }
    bytes.len()
}

/// One behind the closing quote of the string whose opening quote is at `from`.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn elements(json: &str) -> impl Iterator<Item = &str> {
    let mut at = if json.starts_with('[') && json != "[]" { 1 } else { json.len() };
    std::iter::from_fn(move || {
        if at >= json.len() {
            return None;
        }
        let end = end_of_value(json.as_bytes(), at);
        let value = json.get(at..end)?;
        at = end + 1;
        Some(value)
    })
}

fn members(json: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut at = if json.starts_with('{') && json != "{}" { 1 } else { json.len() };
    std::iter::from_fn(move || {
        if at >= json.len() {
            return None;
        }
        let key_end = end_of_string(json.as_bytes(), at);
        let key = plain(json.get(at..key_end)?);
        let end = end_of_value(json.as_bytes(), key_end + 1);
        let value = json.get(key_end + 1..end)?;
        at = end + 1;
        Some((key, value))
    })
}

/// The members of an object but one, as an object; what is no object as it is.
pub fn without(json: &str, name: &str) -> String {
    if !json.starts_with('{') {
        return json.to_owned();
    }
    let mut out = String::from("{");
    for (key, value) in members(json).filter(|(key, _)| key != name) {
        if out.len() > 1 {
            out.push(',');
        }
        crate::model::json::push_string(&mut out, &key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"1","detail":{"b":[{"n":1},{"n":"two \"q\""}],"a":{"z":null,"y":[]},"x-y":1.50},"resources":["r1","r2"]}"#;

    fn find(path: &str) -> Option<String> {
        Path::parse(path)?.find(EVENT).map(Cow::into_owned)
    }

    #[test]
    fn paths_find_pieces_of_the_text() {
        let cases = [
            ("$.id", r#""1""#),
            ("$.detail.b[1].n", r#""two \"q\"""#),
            ("$.detail.b[0]", r#"{"n":1}"#),
            ("$.detail.a", r#"{"z":null,"y":[]}"#),
            ("$.detail.a.z", "null"),
            ("$.detail.a.y", "[]"),
            ("$.detail['x-y']", "1.50"),
            ("$.detail.x-y", "1.50"),
            ("$.resources[1]", r#""r2""#),
            ("$.resources[*]", r#"["r1","r2"]"#),
            ("$.detail.b[*].n", r#"[1,"two \"q\""]"#),
        ];
        for (path, expected) in cases {
            assert_eq!(find(path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(find("$").as_deref(), Some(EVENT));
        for path in ["$.detail.q", "$.detail.b[2]", "$.id.x", "$.detail.a.y[0]", "detail", "$.", "$x", "$.a["] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    #[test]
    fn strings_are_read_and_members_left_out() {
        assert_eq!(plain(r#""two \"q\"""#), "two \"q\"");
        assert_eq!(plain("1.50"), "1.50");
        assert_eq!(without(EVENT, "detail"), r#"{"id":"1","resources":["r1","r2"]}"#);
    }
}
