//! An answer of success against the model's output.

use fractus_models::{MemberFacts, OperationFacts, ShapeFacts, ShapeType};
use http::header::{CONTENT_RANGE, CONTENT_TYPE};

use super::element::{self, Element};
use super::flaw::{Findings, Flaw};
use super::node;
use super::typed::{Typed, of_text};
use super::xml::Xml;
use super::{Asked, is_of_type};
use crate::endpoint::Answer;
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;
use crate::shapes::value::Value;

/// Headers of AWS's own that no operation's model has.
const COMMON_HEADERS: [&str; 12] = [
    "x-amz-request-id",
    "x-amz-id-2",
    "x-amz-cf-id",
    "x-amz-cf-pop",
    "x-amz-apigw-id",
    "x-amz-crc32",
    "x-amz-bucket-region",
    "x-amz-delete-marker",
    "x-amz-version-id",
    "x-amz-checksum-type",
    "x-amz-transfer-encoding",
    "x-amz-rid",
];

/// Judges an answer and gives what it says.
pub fn judge(asked: &Asked<'_>, operation: &OperationFacts, answer: &Answer, findings: &mut Findings) -> Value {
    status(asked, operation, answer, findings);
    let output = facts::output(asked.api, operation);
    let is_bodiless = operation.http.method == "HEAD" || answer.status == http::StatusCode::NO_CONTENT;
    if output.is_some_and(|output| facts::flows_events(asked.api, output)) {
        if !is_of_type(answer, &["application/vnd.amazon.eventstream"]) {
            findings.add(Flaw::WrongContentType, "events flow as application/vnd.amazon.eventstream");
        }
        return Value::empty();
    }
    match asked.protocol {
        Protocol::RestJson | Protocol::RestXml => rest(asked, operation, output, answer, is_bodiless, findings),
        Protocol::Json | Protocol::Cbor => typed(asked, output, answer, findings),
        Protocol::Query => query(asked, operation, output, answer, findings),
        Protocol::Ec2 => ec2(asked, output, answer, findings),
    }
}

fn status(asked: &Asked<'_>, operation: &OperationFacts, answer: &Answer, findings: &mut Findings) {
    let output = facts::output(asked.api, operation);
    let in_members = output
        .is_some_and(|output| output.members.values().any(|member| member.location.as_deref() == Some("statusCode")));
    let modelled = if asked.protocol.is_rest() { operation.http.response_code.unwrap_or(200) } else { 200 };
    // AWS itself answers some operations otherwise than its model says; the table says which.
    let said = asked.expectation().filter(|expect| expect.code.is_empty()).and_then(|expect| expect.status);
    let modelled = said.unwrap_or(modelled);
    let status = answer.status.as_u16();
    // A part of an object, which the model has no code for.
    let is_part = status == 206 && answer.headers.contains_key(CONTENT_RANGE);
    if !in_members && !is_part && status != modelled {
        findings.add(Flaw::WrongStatus, format!("{status} where {modelled} should be"));
    }
}

fn typed(asked: &Asked<'_>, output: Option<&ShapeFacts>, answer: &Answer, findings: &mut Findings) -> Value {
    let is_cbor = asked.protocol == Protocol::Cbor;
    if is_cbor && answer.headers.get("smithy-protocol").is_none_or(|value| value != "rpc-v2-cbor") {
        findings.add(Flaw::MissingHeader, "smithy-protocol: rpc-v2-cbor");
    }
    let Some(output) = output.filter(|output| !output.members.is_empty()) else {
        // Nothing to say: an empty object, or nothing at all.
        if !matches!(&answer.body[..], b"" | b"{}" | b"\xa0" | b"\xbf\xff") {
            findings.add(Flaw::UnknownMember, "a body where the model has none");
        }
        return Value::empty();
    };
    content_type(asked, answer, findings);
    let tree = if is_cbor { node::of_cbor(&answer.body) } else { node::of_json(&answer.body) };
    match tree {
        Ok(tree) => Typed { api: asked.api, protocol: asked.protocol }.members(&tree, output, findings, |_| true),
        Err(why) => unreadable(findings, &why),
    }
}

fn unreadable(findings: &mut Findings, why: &str) -> Value {
    findings.add(Flaw::UnreadableBody, why);
    Value::empty()
}

/// The content type that a protocol's bodies have.
pub fn content_type(asked: &Asked<'_>, answer: &Answer, findings: &mut Findings) {
    let json = format!("application/x-amz-json-{}", asked.api.metadata.json_version.as_deref().unwrap_or("1.0"));
    let allowed: &[&str] = match asked.protocol {
        Protocol::Json => &[&json],
        Protocol::Cbor => &["application/cbor"],
        Protocol::RestJson => &["application/json"],
        _ => &["text/xml", "application/xml"],
    };
    if !is_of_type(answer, allowed) {
        let given = answer.headers.get(CONTENT_TYPE).map_or("none", |value| value.to_str().unwrap_or("?"));
        findings.add(Flaw::WrongContentType, format!("{given} where {} should be", allowed[0]));
    }
}

/// `<NameResponse xmlns="..."><NameResult>...</NameResult><ResponseMetadata><RequestId>`.
fn query(
    asked: &Asked<'_>,
    operation: &OperationFacts,
    output: Option<&ShapeFacts>,
    answer: &Answer,
    findings: &mut Findings,
) -> Value {
    content_type(asked, answer, findings);
    let root = match element::parse(&answer.body) {
        Ok(root) => root,
        Err(why) => return unreadable(findings, &why),
    };
    outermost(asked, &root, &format!("{}Response", asked.operation), findings);
    let id = root.child("ResponseMetadata").and_then(|metadata| metadata.text_of("RequestId"));
    if id.is_none_or(str::is_empty) {
        findings.add(Flaw::MissingRequestId, "ResponseMetadata/RequestId");
    }
    let usual = format!("{}Result", asked.operation);
    let given = operation.output.as_ref().and_then(|output| output.result_wrapper.as_deref());
    let wrapper = given.unwrap_or(&usual);
    for child in &root.children {
        if child.name != "ResponseMetadata" && child.name != wrapper {
            findings.add(Flaw::UnknownMember, child.name.clone());
        }
    }
    let Some(output) = output else { return Value::empty() };
    match root.child(wrapper) {
        Some(result) => Xml { api: asked.api, protocol: asked.protocol }.members(result, output, &[], findings),
        None => {
            if !output.members.is_empty() {
                findings.add(Flaw::WrongForm, format!("no element {wrapper}"));
            }
            Value::empty()
        }
    }
}

fn ec2(asked: &Asked<'_>, output: Option<&ShapeFacts>, answer: &Answer, findings: &mut Findings) -> Value {
    content_type(asked, answer, findings);
    let root = match element::parse(&answer.body) {
        Ok(root) => root,
        Err(why) => return unreadable(findings, &why),
    };
    outermost(asked, &root, &format!("{}Response", asked.operation), findings);
    if root.text_of("requestId").is_none_or(str::is_empty) {
        findings.add(Flaw::MissingRequestId, "requestId");
    }
    match output {
        Some(output) => {
            Xml { api: asked.api, protocol: asked.protocol }.members(&root, output, &["requestId", "return"], findings)
        }
        None => Value::empty(),
    }
}

fn outermost(asked: &Asked<'_>, root: &Element, name: &str, findings: &mut Findings) {
    if root.name != name {
        findings.add(Flaw::WrongForm, format!("the root is {} where {name} should be", root.name));
    }
    namespace(asked, root, findings);
}

fn namespace(asked: &Asked<'_>, root: &Element, findings: &mut Findings) {
    let modelled = asked.api.metadata.xml_namespace.as_ref().map(|namespace| namespace.uri());
    if let Some(modelled) = modelled
        && root.attribute("xmlns") != Some(modelled)
    {
        let given = root.attribute("xmlns").unwrap_or("none");
        findings.add(Flaw::WrongForm, format!("the namespace {given} where {modelled} should be"));
    }
}

fn rest(
    asked: &Asked<'_>,
    operation: &OperationFacts,
    output: Option<&ShapeFacts>,
    answer: &Answer,
    is_bodiless: bool,
    findings: &mut Findings,
) -> Value {
    let empty = ShapeFacts::default();
    let output = output.unwrap_or(&empty);
    let Value::Members(mut members) = headers(asked, output, answer, findings) else { return Value::empty() };
    if is_bodiless {
        if !answer.body.is_empty() {
            findings.add(Flaw::UnreadableBody, "a body where there can be none");
        }
    } else if let Some((name, member)) = facts::payload(output) {
        members.extend(payload(asked, name, member, answer, findings).map(|value| (name.to_owned(), value)));
        if output.required.iter().any(|required| required == name) && !members.iter().any(|(known, _)| known == name) {
            findings.add(Flaw::MissingMember, name);
        }
    } else if output.members.values().any(facts::is_in_body) {
        if let Value::Members(read) = rest_body(asked, operation, output, answer, findings) {
            members.extend(read);
        }
    } else if !matches!(&answer.body[..], b"" | b"{}") {
        findings.add(Flaw::UnknownMember, "a body where the model has none");
    }
    Value::Members(members)
}

/// A body made of the members that are bound to nothing else.
fn rest_body(
    asked: &Asked<'_>,
    operation: &OperationFacts,
    output: &ShapeFacts,
    answer: &Answer,
    findings: &mut Findings,
) -> Value {
    content_type(asked, answer, findings);
    if asked.protocol == Protocol::RestJson {
        return match node::of_json(&answer.body) {
            Ok(tree) => {
                Typed { api: asked.api, protocol: asked.protocol }.members(&tree, output, findings, facts::is_in_body)
            }
            Err(why) => unreadable(findings, &why),
        };
    }
    match element::parse(&answer.body) {
        Ok(root) => {
            let usual = operation.output.as_ref().map(|output| output.shape.as_str());
            if let Some(name) = output.location_name.as_deref().or(usual.filter(|_| !asked.api.metadata.bare_errors()))
                && root.name != name
            {
                findings.add(Flaw::WrongForm, format!("the root is {} where {name} should be", root.name));
            }
            namespace(asked, &root, findings);
            let root = only_member(output, root);
            Xml { api: asked.api, protocol: asked.protocol }.members(&root, output, &[], findings)
        }
        Err(why) => unreadable(findings, &why),
    }
}

/// S3's GetBucketLocation is the element of its one member, without one around it.
fn only_member(output: &ShapeFacts, root: Element) -> Element {
    match output.members.keys().next() {
        Some(name) if output.members.len() == 1 && *name == root.name && root.children.is_empty() => {
            Element { children: vec![root], ..Element::default() }
        }
        _ => root,
    }
}

fn payload(
    asked: &Asked<'_>,
    name: &str,
    member: &MemberFacts,
    answer: &Answer,
    findings: &mut Findings,
) -> Option<Value> {
    let shape = facts::shape(asked.api, &member.shape);
    if shape.kind == ShapeType::Blob {
        return Some(Value::Blob(answer.body.to_vec()));
    }
    if answer.body.is_empty() {
        return None;
    }
    if facts::is_text(shape.kind) {
        return Some(Value::Text(String::from_utf8_lossy(&answer.body).into_owned()));
    }
    content_type(asked, answer, findings);
    findings.inside(name, |findings| {
        if asked.protocol == Protocol::RestJson {
            return match node::of_json(&answer.body) {
                Ok(tree) => Some(Typed { api: asked.api, protocol: asked.protocol }.value(&tree, member, findings)),
                Err(why) => Some(unreadable(findings, &why)),
            };
        }
        match element::parse(&answer.body) {
            Ok(root) => {
                let wire = member.location_name.as_deref().or(shape.location_name.as_deref()).unwrap_or(name);
                if root.name != wire && root.name != member.shape {
                    findings.add(Flaw::WrongForm, format!("the root is {} where {wire} should be", root.name));
                }
                Some(Xml { api: asked.api, protocol: asked.protocol }.value(&root, member, findings))
            }
            Err(why) => Some(unreadable(findings, &why)),
        }
    })
}

/// Members that stand in headers and in the status; and headers of AWS's that are no member.
fn headers(asked: &Asked<'_>, output: &ShapeFacts, answer: &Answer, findings: &mut Findings) -> Value {
    let mut read = Vec::new();
    let mut known: Vec<String> = COMMON_HEADERS.iter().map(|name| (*name).to_owned()).collect();
    let mut prefixes = Vec::new();
    for (name, member) in &output.members {
        let wire = facts::wire_name(name, member).to_ascii_lowercase();
        match member.location.as_deref() {
            Some("header") => {
                if let Some(text) = answer.headers.get(&wire).and_then(|value| value.to_str().ok()) {
                    let value = findings.inside(name, |findings| header(asked, text, member, findings));
                    read.push((name.clone(), value));
                } else if output.required.contains(name) {
                    findings.add(Flaw::MissingMember, name.clone());
                }
                known.push(wire);
            }
            Some("headers") => prefixes.push(wire),
            Some("statusCode") => read.push((name.clone(), Value::Integer(answer.status.as_u16().into()))),
            _ => {}
        }
    }
    for name in answer.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
        let is_known =
            known.iter().any(|known| known == name) || prefixes.iter().any(|prefix| name.starts_with(prefix));
        if !is_known {
            findings.add(Flaw::UnknownMember, format!("the header {name}"));
        }
    }
    Value::Members(read)
}

fn header(asked: &Asked<'_>, text: &str, member: &MemberFacts, findings: &mut Findings) -> Value {
    let shape = facts::shape(asked.api, &member.shape);
    if shape.kind == ShapeType::List {
        return Value::List(text.split(',').map(|part| Value::text(part.trim())).collect());
    }
    if member.jsonvalue {
        return Value::text(text);
    }
    of_text(text, member, shape, "rfc822").unwrap_or_else(|(flaw, detail)| {
        findings.add(flaw, detail);
        Value::text("")
    })
}
