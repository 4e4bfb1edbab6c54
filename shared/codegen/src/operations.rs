//! A marker type for each operation, and its static facts.

use std::fmt::Write as _;

use fractus_models::facts::OperationFacts;

use crate::names;
use crate::plan::Plan;
use crate::schemas::schema_name;

pub fn write(out: &mut String, plan: &Plan<'_>) {
    for (name, facts) in &plan.api.operations {
        let marker = names::type_name(name);
        let ends = &plan.ends[name.as_str()];
        let _ = writeln!(
            out,
            "#[derive(Clone, Copy, Debug)]
pub struct {marker};
impl wire::Operation for {marker} {{
    type Input = {};
    type Output = {};
    type Error = Error;
    const SCHEMA: &'static wire::OperationSchema = &O_{name};
    const SERVICE: &'static wire::ServiceSchema = &CALLED;
}}
static O_{name}: wire::OperationSchema = {};",
            ends.input,
            ends.output,
            schema(plan, name, facts)
        );
    }
}

fn schema(plan: &Plan<'_>, name: &str, facts: &OperationFacts) -> String {
    let end = |end: &Option<fractus_models::MemberFacts>| {
        end.as_ref().map_or_else(|| "wire::UNIT".to_owned(), |end| schema_name(&end.shape))
    };
    let errors: Vec<String> = facts.errors.iter().map(|error| format!("&{}", schema_name(&error.shape))).collect();
    let http = &facts.http;
    let base = format!(
        "wire::OperationSchema::new({name:?}, wire::HttpTrait {{ method: {:?}, uri: {:?}, code: {} }}, &{}, &{}, &[{}])",
        http.method,
        http.request_uri,
        http.response_code.unwrap_or(200),
        end(&facts.input),
        end(&facts.output),
        errors.join(", ")
    );
    let changes = changes(plan, name, facts);
    if changes.is_empty() { base } else { format!("wire::OperationSchema {{ {changes}..{base} }}") }
}

/// The fields that differ from those of a plain operation.
fn changes(plan: &Plan<'_>, name: &str, facts: &OperationFacts) -> String {
    let mut text = String::new();
    let input = facts.input.as_ref();
    if let Some(namespace) = input.and_then(|input| input.xml_namespace.as_ref()) {
        let (uri, prefix) = (namespace.uri(), namespace.prefix());
        let _ = write!(text, "input_xml_namespace: Some(&wire::XmlNamespace {{ uri: {uri:?}, prefix: {prefix:?} }}), ");
    }
    let checksum = facts.http_checksum.as_ref();
    let wrapper = plan.api.result_wrapper(name);
    let names = [
        ("input_xml_name", input.and_then(|input| input.location_name.as_deref())),
        ("result_wrapper", wrapper.as_deref()),
        ("host_prefix", facts.host_prefix()),
        ("checksum_algorithm_member", checksum.and_then(|checksum| checksum.request_algorithm_member.as_deref())),
        ("checksum_mode_member", checksum.and_then(|checksum| checksum.request_validation_mode_member.as_deref())),
    ];
    for (field, value) in names {
        if value.is_some() {
            let _ = write!(text, "{field}: {value:?}, ");
        }
    }
    let flags = [
        ("unsigned", facts.unsigned()),
        ("unsigned_payload", facts.unsigned_payload()),
        ("checksum_required", facts.checksum_required()),
        ("request_compression", facts.requestcompression.is_some()),
        ("idempotent", facts.idempotent),
        ("deprecated", facts.deprecated),
    ];
    for (field, _) in flags.iter().filter(|(_, set)| *set) {
        let _ = write!(text, "{field}: true, ");
    }
    text
}
