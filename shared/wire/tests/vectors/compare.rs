//! Bodies compared by meaning.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_wire::cbor::CborReader;
use fractus_wire::{Document, Kind, Member, Protocol, Reader, Schema};
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use crate::values::same;

/// The bytes that a vector's text stands for.
pub fn expected_bytes(protocol: Protocol, text: &str) -> Vec<u8> {
    match protocol {
        Protocol::RpcV2Cbor => STANDARD.decode(text.trim()).unwrap(),
        _ => text.as_bytes().to_vec(),
    }
}

pub fn same_body(protocol: Protocol, actual: &[u8], expected: &[u8]) -> Result<(), String> {
    let equal = match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson1 => same_json(actual, expected),
        Protocol::RpcV2Cbor => same_cbor(actual, expected),
        Protocol::RestXml => same_xml(actual, expected),
        Protocol::AwsQuery | Protocol::Ec2Query if expected.starts_with(b"<") => same_xml(actual, expected),
        Protocol::AwsQuery | Protocol::Ec2Query => pairs(actual) == pairs(expected),
    };
    if equal {
        return Ok(());
    }
    Err(format!("body {:?}, expected {:?}", printable(actual), printable(expected)))
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}

fn same_json(actual: &[u8], expected: &[u8]) -> bool {
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes);
    // No body is an object without members.
    let (actual, expected) = match (actual.is_empty(), expected.is_empty()) {
        (true, false) => (b"{}".as_slice(), expected),
        (false, true) => (actual, b"{}".as_slice()),
        _ => (actual, expected),
    };
    match (parse(actual), parse(expected)) {
        (Ok(actual), Ok(expected)) => {
            // A member that is null is a member that is not there.
            same_value(&actual, &expected) || same_value(&without_nulls(actual), &without_nulls(expected))
        }
        _ => actual == expected,
    }
}

fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}

fn same_value(one: &serde_json::Value, two: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_value(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len() && one.iter().all(|(key, one)| two.get(key).is_some_and(|two| same_value(one, two)))
        }
        (one, two) => one == two,
    }
}

fn same_cbor(actual: &[u8], expected: &[u8]) -> bool {
    static ANY: Schema = Schema::new("Any", Kind::Document);
    static MEMBER: Member = Member::new("any", 0, &ANY);
    if actual.is_empty() || expected.is_empty() {
        return actual == expected;
    }
    let read = |bytes: &[u8]| -> Option<Document> {
        let mut reader = CborReader::new(bytes);
        let document = reader.read_document(&MEMBER).ok()?;
        reader.finish().ok().map(|()| document)
    };
    matches!((read(actual), read(expected)), (Some(actual), Some(expected))
        if same(&actual, &expected) || same(&document_without_nulls(actual.clone()), &document_without_nulls(expected.clone())))
}

fn document_without_nulls(value: Document) -> Document {
    match value {
        Document::List(list) => Document::List(list.into_iter().map(document_without_nulls).collect()),
        Document::Map(map) => {
            let kept = map.into_iter().filter(|(_, value)| *value != Document::Null);
            Document::Map(kept.map(|(key, value)| (key, document_without_nulls(value))).collect())
        }
        other => other,
    }
}

/// The parameters of a form or query, decoded, in any order.
pub fn pairs(form: &[u8]) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let text = std::str::from_utf8(form).unwrap();
    let mut pairs: Vec<(String, String)> = text
        .trim()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    pairs.sort();
    pairs
}

/// An element: namespace and name, attributes, text, children.
#[derive(Debug, Default, PartialEq)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

fn same_xml(actual: &[u8], expected: &[u8]) -> bool {
    match (parse_xml(actual), parse_xml(expected)) {
        (Some(actual), Some(expected)) => same_element(&actual, &expected),
        _ => actual == expected,
    }
}

/// Members come in any order; elements of one name keep theirs, since a list's do.
fn same_element(one: &Element, two: &Element) -> bool {
    let named = |element: &Element, name: &str| -> Vec<usize> {
        (0..element.children.len()).filter(|index| element.children[*index].name == name).collect()
    };
    one.name == two.name
        && one.attributes == two.attributes
        && same_text(&one.text, &two.text)
        && one.children.len() == two.children.len()
        && one.children.iter().all(|child| {
            let (ours, theirs) = (named(one, &child.name), named(two, &child.name));
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(&theirs)
                    .all(|(ours, theirs)| same_element(&one.children[*ours], &two.children[*theirs]))
        })
}

fn same_text(one: &str, two: &str) -> bool {
    one == two || matches!((one.parse::<f64>(), two.parse::<f64>()), (Ok(one), Ok(two)) if one == two)
}

fn parse_xml(bytes: &[u8]) -> Option<Element> {
    let mut reader = quick_xml::NsReader::from_reader(bytes);
    let mut open = vec![Element::default()];
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            _ => String::new(),
        };
        match event {
            Event::Start(start) => open.push(element(&namespace, &start)?),
            Event::Empty(start) => open.last_mut()?.children.push(element(&namespace, &start)?),
            Event::End(_) => {
                let mut done = open.pop()?;
                done.text = done.text.trim().to_owned();
                open.last_mut()?.children.push(done);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(reference) => {
                let text = format!("&{};", &*reference);
                open.last_mut()?.text.push_str(&quick_xml::escape::unescape(&text).ok()?);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let root = open.pop()?;
    (open.is_empty() && root.children.len() == 1).then(|| root.children.into_iter().next())?
}

fn element(namespace: &str, start: &quick_xml::events::BytesStart<'_>) -> Option<Element> {
    let local = start.local_name().into_inner().to_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name = attribute.key.into_inner().to_owned();
        if !name.starts_with("xmlns") {
            attributes.push((name, attribute.value.into_owned()));
        }
    }
    attributes.sort();
    Some(Element { name: format!("{{{namespace}}}{local}"), attributes, ..Element::default() })
}
