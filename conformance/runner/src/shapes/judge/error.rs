//! An error answer: is it of the protocol's form, and one that the operation has?

use fractus_models::ShapeFacts;

use super::Asked;
use super::element;
use super::flaw::{Findings, Flaw};
use super::node::{self, Node};
use super::success::content_type;
use super::typed::Typed;
use crate::endpoint::Answer;
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;

/// What an error answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorSaid {
    /// Empty where the answer can have no body.
    pub code: String,
    pub message: String,
}

/// Takes an error answer apart and judges its form.
pub fn judge(asked: &Asked<'_>, answer: &Answer, findings: &mut Findings) -> ErrorSaid {
    let is_bodiless = asked.facts.is_some_and(|operation| operation.http.method == "HEAD");
    if is_bodiless && answer.body.is_empty() {
        return ErrorSaid::default();
    }
    let said = match asked.protocol {
        Protocol::Json | Protocol::RestJson | Protocol::Cbor => typed(asked, answer, findings),
        Protocol::Query | Protocol::Ec2 | Protocol::RestXml => xml(asked, answer, findings),
    };
    if !said.code.is_empty() {
        known(asked, answer, &said.code, findings);
    }
    said
}

/// The error's code must be one of the operation's or a common one, and the status the one that it has.
fn known(asked: &Asked<'_>, answer: &Answer, code: &str, findings: &mut Findings) {
    let status = answer.status.as_u16();
    let modelled = modelled(asked, code).map(|(_, shape)| modelled_status(shape));
    match modelled.or_else(|| asked.common_status(code)) {
        Some(expected) if expected != status => {
            findings.add(Flaw::WrongErrorStatus, format!("{code} with {status} where {expected} should be"));
        }
        Some(_) => {}
        None => findings.add(Flaw::UnknownError, format!("{code} is no error of {}", asked.operation)),
    }
}

fn modelled_status(shape: &ShapeFacts) -> u16 {
    let modelled = shape.error.as_ref().and_then(|error| error.http_status_code);
    modelled.unwrap_or(if shape.fault { 500 } else { 400 })
}

/// The operation's error of a code: the shape's name in JSON and CBOR, the model's code elsewhere.
fn modelled<'a>(asked: &Asked<'a>, code: &str) -> Option<(&'a str, &'a ShapeFacts)> {
    let operation = asked.facts?;
    let by_name = matches!(asked.protocol, Protocol::Json | Protocol::RestJson | Protocol::Cbor);
    let found = operation.errors.iter().find(|error| {
        let shape = facts::shape(asked.api, &error.shape);
        let given = shape.error.as_ref().and_then(|error| error.code.as_deref());
        if by_name { error.shape == code } else { given.unwrap_or(&error.shape) == code }
    })?;
    Some((&found.shape, facts::shape(asked.api, &found.shape)))
}

fn typed(asked: &Asked<'_>, answer: &Answer, findings: &mut Findings) -> ErrorSaid {
    content_type(asked, answer, findings);
    let is_cbor = asked.protocol == Protocol::Cbor;
    let tree = if is_cbor { node::of_cbor(&answer.body) } else { node::of_json(&answer.body) };
    let tree = match tree {
        Ok(tree @ Node::Map(_)) => tree,
        Ok(other) => {
            findings.add(Flaw::WrongErrorForm, format!("{} where an object should be", other.kind()));
            return ErrorSaid::default();
        }
        Err(why) => {
            findings.add(Flaw::UnreadableBody, why);
            return ErrorSaid::default();
        }
    };
    let header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let field = |name: &str| tree.get(name).and_then(Node::as_str);
    if asked.protocol == Protocol::RestJson && header.is_none() {
        findings.add(Flaw::MissingHeader, "x-amzn-errortype");
    }
    let in_body = if asked.protocol == Protocol::RestJson { header } else { field("__type") };
    let code = bare(in_body.or(header).or(field("__type")).or(field("code")).unwrap_or_default()).to_owned();
    if in_body.is_none() && asked.protocol != Protocol::RestJson {
        findings.add(Flaw::WrongErrorForm, "no member __type");
    }
    if asked.api.metadata.query_compatible() {
        query_error(asked, answer, &code, findings);
    }
    let message = field("message").or(field("Message")).unwrap_or_default().to_owned();
    members(asked, &tree, &code, findings);
    ErrorSaid { code, message }
}

/// `com.amazon.coral.service#ValidationException:http://...` is `ValidationException`.
fn bare(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

/// `x-amzn-query-error: code;Sender`, with the code that the Query protocol has for the error.
fn query_error(asked: &Asked<'_>, answer: &Answer, code: &str, findings: &mut Findings) {
    let Some(given) = answer.headers.get("x-amzn-query-error").and_then(|value| value.to_str().ok()) else {
        return findings.add(Flaw::MissingHeader, "x-amzn-query-error");
    };
    let fault = if answer.status.is_server_error() { "Receiver" } else { "Sender" };
    let (given_code, given_fault) = given.split_once(';').unwrap_or((given, ""));
    if given_fault != fault || given_code.is_empty() {
        findings.add(Flaw::WrongErrorForm, format!("x-amzn-query-error: {given}"));
    }
    if let Some((_, shape)) = modelled(asked, code)
        && let Some(wanted) = shape.error.as_ref().and_then(|error| error.code.as_deref())
        && wanted != given_code
    {
        findings.add(Flaw::WrongErrorForm, format!("x-amzn-query-error: {given} where {wanted};{fault} should be"));
    }
}

/// The members of the error's shape; what stands there besides is the protocol's.
fn members(asked: &Asked<'_>, tree: &Node, code: &str, findings: &mut Findings) {
    let Some((_, shape)) = modelled(asked, code) else { return };
    let Node::Map(entries) = tree else { return };
    let own: Vec<(String, Node)> = entries
        .iter()
        .filter(|(name, _)| name != "__type" && name != "code" && !name.eq_ignore_ascii_case("message"))
        .cloned()
        .collect();
    let is_taken = |member: &fractus_models::MemberFacts| facts::is_in_body(member);
    let says_more = |name: &String| !name.eq_ignore_ascii_case("message");
    let plain = ShapeFacts {
        required: shape.required.iter().filter(|name| says_more(name)).cloned().collect(),
        ..shape.clone()
    };
    Typed { api: asked.api, protocol: asked.protocol }.members(&Node::Map(own), &plain, findings, is_taken);
}

fn xml(asked: &Asked<'_>, answer: &Answer, findings: &mut Findings) -> ErrorSaid {
    content_type(asked, answer, findings);
    let root = match element::parse(&answer.body) {
        Ok(root) => root,
        Err(why) => {
            findings.add(Flaw::UnreadableBody, why);
            return ErrorSaid::default();
        }
    };
    let is_bare = asked.api.metadata.bare_errors();
    let (error, wanted, request_id) = if asked.protocol == Protocol::Ec2 {
        (root.child("Errors").and_then(|errors| errors.child("Error")), "Response", "RequestID")
    } else if is_bare {
        (Some(&root), "Error", "RequestId")
    } else {
        (root.child("Error"), "ErrorResponse", "RequestId")
    };
    if root.name != wanted {
        findings.add(Flaw::WrongErrorForm, format!("the root is {} where {wanted} should be", root.name));
    }
    if root.text_of(request_id).is_none_or(str::is_empty) {
        findings.add(Flaw::MissingRequestId, format!("the element {request_id}"));
    }
    let Some(error) = error else {
        findings.add(Flaw::WrongErrorForm, "no element Error");
        return ErrorSaid::default();
    };
    for name in ["Code", "Message"] {
        if error.text_of(name).is_none() {
            findings.add(Flaw::WrongErrorForm, format!("no element {name}"));
        }
    }
    if !is_bare && asked.protocol != Protocol::Ec2 {
        let fault = if answer.status.is_server_error() { "Receiver" } else { "Sender" };
        if error.text_of("Type") != Some(fault) {
            findings.add(Flaw::WrongErrorForm, format!("Type {:?} where {fault} should be", error.text_of("Type")));
        }
    }
    let text = |name| error.text_of(name).unwrap_or_default().to_owned();
    ErrorSaid { code: text("Code"), message: text("Message") }
}
