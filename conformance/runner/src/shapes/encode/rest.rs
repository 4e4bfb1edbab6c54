//! Requests of the REST protocols: members in the path, the query and headers, the rest in the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_models::{Api, MemberFacts, OperationFacts, ShapeFacts};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::insert;
use super::text::text;
use super::{json, xml};
use crate::endpoint::Outgoing;
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;
use crate::shapes::value::Value;

const LABEL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A greedy label spans segments.
const GREEDY: &AsciiSet = &LABEL.remove(b'/');

pub fn request(api: &Api, operation: &OperationFacts, protocol: Protocol, input: &Value) -> Outgoing {
    static NO_MEMBERS: &[(String, Value)] = &[];
    let members = if let Value::Members(members) = input { members.as_slice() } else { NO_MEMBERS };
    let shape = facts::input(api, operation);
    let mut parts = Parts { api, query: Vec::new(), headers: HeaderMap::new() };
    if let Some(shape) = shape {
        members.iter().for_each(|(name, value)| parts.bind(name, value, shape));
    }
    let body = body(api, operation, protocol, members, &mut parts.headers);
    Outgoing {
        method: Method::from_bytes(operation.http.method.as_bytes()).unwrap_or(Method::POST),
        target: target(&operation.http.request_uri, members, shape, &parts),
        headers: parts.headers,
        body: Bytes::from(body),
        signing_name: None,
        unsigned_payload: false,
        host_prefix: None,
    }
}

struct Parts<'a> {
    api: &'a Api,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Parts<'_> {
    fn bind(&mut self, name: &str, value: &Value, shape: &ShapeFacts) {
        let Some(member) = shape.members.get(name) else { return };
        let wire = facts::wire_name(name, member);
        match member.location.as_deref() {
            Some("querystring") => self.query_value(wire, value, member),
            Some("header") => {
                let text = self.header_text(value, member);
                if let Ok(name) = HeaderName::try_from(wire) {
                    insert(&mut self.headers, name, &text);
                }
            }
            Some("headers") => {
                let Value::Members(entries) = value else { return };
                for (key, value) in entries {
                    if let (Ok(name), Some(text)) = (HeaderName::try_from(format!("{wire}{key}")), value.plain()) {
                        insert(&mut self.headers, name, &text);
                    }
                }
            }
            _ => {}
        }
    }

    fn query_value(&mut self, wire: &str, value: &Value, member: &MemberFacts) {
        let shape = facts::shape(self.api, &member.shape);
        match value {
            Value::List(elements) => elements.iter().for_each(|element| {
                let element_facts = shape.member.as_ref().unwrap_or(member);
                self.query.push((wire.to_owned(), text(self.api, element, element_facts, "iso8601")));
            }),
            Value::Members(entries) => {
                let value_facts = shape.value.as_ref().unwrap_or(member);
                entries.iter().for_each(|(key, value)| match value {
                    Value::List(_) => self.query_value(key, value, value_facts),
                    single => self.query.push((key.clone(), text(self.api, single, value_facts, "iso8601"))),
                });
            }
            single => self.query.push((wire.to_owned(), text(self.api, single, member, "iso8601"))),
        }
    }

    fn header_text(&self, value: &Value, member: &MemberFacts) -> String {
        let shape = facts::shape(self.api, &member.shape);
        match value {
            Value::List(elements) => {
                let element_facts = shape.member.as_ref().unwrap_or(member);
                let texts = elements.iter().map(|element| quoted(text(self.api, element, element_facts, "rfc822")));
                texts.collect::<Vec<_>>().join(",")
            }
            single if member.jsonvalue => STANDARD.encode(text(self.api, single, member, "rfc822")),
            single => text(self.api, single, member, "rfc822"),
        }
    }
}

/// An element of a header's list is quoted where it would read as two.
fn quoted(text: String) -> String {
    if text.contains(',') || text.contains('"') {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

fn target(pattern: &str, members: &[(String, Value)], shape: Option<&ShapeFacts>, parts: &Parts<'_>) -> String {
    let label = |label: &str, set: &'static AsciiSet| {
        let of = |(name, value): &(String, Value)| {
            let member = shape?.members.get(name).filter(|member| member.location.as_deref() == Some("uri"))?;
            (facts::wire_name(name, member) == label).then(|| text(parts.api, value, member, "iso8601"))
        };
        let value = members.iter().find_map(of).unwrap_or_default();
        utf8_percent_encode(&value, set).to_string()
    };
    let (path, fixed_query) = pattern.split_once('?').unwrap_or((pattern, ""));
    let mut target = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        target.push_str(before);
        match name.strip_suffix('+') {
            Some(name) => target.push_str(&label(name, GREEDY)),
            None => target.push_str(&label(name, LABEL)),
        }
        rest = after;
    }
    target.push_str(rest);
    let encoded = |text: &str| utf8_percent_encode(text, LABEL).to_string();
    let mut query: Vec<String> = fixed_query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    query.extend(parts.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))));
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query.join("&"));
    }
    target
}

fn body(
    api: &Api,
    operation: &OperationFacts,
    protocol: Protocol,
    members: &[(String, Value)],
    headers: &mut HeaderMap,
) -> Vec<u8> {
    let (Some(input), Some(shape)) = (&operation.input, facts::input(api, operation)) else { return Vec::new() };
    let (content_type, body) = match facts::payload(shape) {
        Some((name, member)) => {
            let Some((_, value)) = members.iter().find(|(known, _)| known == name) else { return Vec::new() };
            payload(api, protocol, name, member, value)
        }
        None if !shape.members.values().any(facts::is_in_body) => return Vec::new(),
        None if protocol == Protocol::RestJson => {
            let object = json::object(api, members, shape, facts::is_in_body);
            ("application/json", object.to_string().into_bytes())
        }
        None => {
            let own = input.location_name.as_deref().or(shape.location_name.as_deref());
            let root = own.unwrap_or(&input.shape);
            let namespace = input.xml_namespace.as_ref().or(shape.xml_namespace.as_ref());
            let in_body = members.iter().filter(|(name, _)| shape.members.get(name).is_some_and(facts::is_in_body));
            let value = Value::Members(in_body.cloned().collect());
            let plain = MemberFacts { shape: input.shape.clone(), ..MemberFacts::default() };
            ("application/xml", xml::document(api, root, namespace, &value, &plain))
        }
    };
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    body
}

fn payload(api: &Api, protocol: Protocol, name: &str, member: &MemberFacts, value: &Value) -> (&'static str, Vec<u8>) {
    let shape = facts::shape(api, &member.shape);
    match value {
        Value::Members(_) | Value::List(_) | Value::Document(_) if protocol == Protocol::RestXml => {
            let root = member.location_name.as_deref().or(shape.location_name.as_deref()).unwrap_or(name);
            ("application/xml", xml::document(api, root, member.xml_namespace.as_ref(), value, member))
        }
        Value::Members(_) | Value::List(_) | Value::Document(_) => {
            ("application/json", json::to_json(api, value, member, shape).to_string().into_bytes())
        }
        Value::Text(text) => ("text/plain", text.clone().into_bytes()),
        other => ("application/octet-stream", other.bytes().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, value: &str) -> (String, Value) {
        (name.to_owned(), Value::text(value))
    }

    #[test]
    fn members_go_where_the_model_binds_them() {
        let api = crate::models::load("s3").unwrap();
        let input = Value::Members(vec![
            member("Bucket", "b"),
            member("Key", "a b/c"),
            member("ContentType", "text/x"),
            ("Metadata".into(), Value::Members(vec![member("k", "v")])),
            ("Body".into(), Value::Blob(b"hello".to_vec())),
        ]);
        let sent = request(&api, &api.operations["PutObject"], Protocol::RestXml, &input);
        assert_eq!((sent.target.as_str(), sent.method.as_str()), ("/b/a%20b/c", "PUT"));
        assert_eq!(sent.headers["content-type"], "text/x");
        assert_eq!(sent.headers["x-amz-meta-k"], "v");
        assert_eq!(&sent.body[..], b"hello");
    }

    #[test]
    fn a_structure_is_the_xml_document() {
        let api = crate::models::load("s3").unwrap();
        let object = Value::Members(vec![member("Key", "a&b")]);
        let delete = Value::Members(vec![("Objects".into(), Value::List(vec![object.clone(), object]))]);
        let input = Value::Members(vec![member("Bucket", "b"), ("Delete".into(), delete)]);
        let sent = request(&api, &api.operations["DeleteObjects"], Protocol::RestXml, &input);
        assert_eq!(sent.target, "/b?delete");
        assert_eq!(
            String::from_utf8(sent.body.to_vec()).unwrap(),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key></Object>\
             <Object><Key>a&amp;b</Key></Object></Delete>"
        );
    }

    #[test]
    fn a_rest_json_body_has_what_is_bound_nowhere_else() {
        let api = crate::models::load("lambda").unwrap();
        let input = Value::Members(vec![member("FunctionName", "f"), member("Description", "d")]);
        let sent = request(&api, &api.operations["UpdateFunctionConfiguration"], Protocol::RestJson, &input);
        assert_eq!(sent.target, "/2015-03-31/functions/f/configuration");
        assert_eq!(&sent.body[..], br#"{"Description":"d"}"#);
    }
}
