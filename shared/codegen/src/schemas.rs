//! The statics that hold the facts: a schema for each shape, and `MODEL`.

use std::fmt::Write as _;

use fractus_models::facts::{MemberFacts, XmlNamespace};
use fractus_models::{ShapeFacts, ShapeType};

use crate::plan::Plan;

/// The static of a shape. Names of shapes are unique as they are, whatever their case.
pub fn schema_name(shape: &str) -> String {
    format!("S_{}", shape.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// S3 uses one blob shape for streamed bodies and for whole ones; the streamed one gets a static of its own.
fn streamed_name(shape: &str) -> String {
    schema_name(shape) + "__streamed"
}

pub fn write(out: &mut String, plan: &Plan<'_>) {
    let mut streamed = std::collections::BTreeSet::new();
    for name in &plan.reached {
        let shape = plan.shape(name);
        let _ = writeln!(out, "static {}: wire::Schema = {};", schema_name(name), schema(plan, name, shape));
        let members = shape.members.values();
        streamed
            .extend(members.filter(|member| member.streaming && plan.is_stream(member)).map(|member| &member.shape));
    }
    for name in streamed {
        let schema = schema(plan, name, plan.shape(name));
        let _ = writeln!(out, "static {}: wire::Schema = {schema}.streaming();", streamed_name(name));
    }
    write_model(out, plan);
}

fn schema(plan: &Plan<'_>, name: &str, shape: &ShapeFacts) -> String {
    let mut text = format!("wire::Schema::new({name:?}, wire::Kind::{})", kind(shape));
    if !shape.document {
        push_members(&mut text, plan, shape);
    }
    if !shape.values.is_empty() {
        let _ = write!(text, ".values(&{:?})", shape.values);
    }
    if shape.min.is_some() || shape.max.is_some() || shape.pattern.is_some() {
        let _ = write!(
            text,
            ".constrained(&wire::Constraints {{ min: {:?}, max: {:?}, pattern: {:?} }})",
            shape.min, shape.max, shape.pattern
        );
    }
    if shape.is_error() {
        let status = shape.error.as_ref().and_then(|error| error.http_status_code);
        let _ = write!(
            text,
            ".error(&wire::ErrorTrait {{ code: {:?}, status: {status:?}, sender_fault: {} }})",
            plan.api.error_code(name),
            !shape.fault
        );
    }
    if let Some(index) = shape.payload.as_ref().and_then(|payload| shape.members.get_index_of(payload)) {
        let _ = write!(text, ".payload({index})");
    }
    if let Some(name) = &shape.location_name {
        let _ = write!(text, ".xml_name({name:?})");
    }
    push_namespace(&mut text, shape.xml_namespace.as_ref());
    push_format(&mut text, shape.timestamp_format.as_deref());
    let flags = [
        (shape.flattened, "flattened"),
        (shape.sparse, "sparse"),
        (shape.eventstream, "event_stream"),
        (shape.event, "event"),
        (shape.streaming, "streaming"),
        (shape.requires_length, "requires_length"),
        (shape.sensitive, "sensitive"),
    ];
    push_flags(&mut text, &flags);
    text
}

fn kind(shape: &ShapeFacts) -> &'static str {
    match shape.kind {
        _ if shape.document => "Document",
        ShapeType::Structure if shape.is_union() => "Union",
        ShapeType::Structure => "Structure",
        ShapeType::List => "List",
        ShapeType::Map => "Map",
        ShapeType::String | ShapeType::Character if shape.values.is_empty() => "String",
        ShapeType::String | ShapeType::Character => "Enum",
        ShapeType::Blob => "Blob",
        ShapeType::Boolean => "Boolean",
        ShapeType::Integer | ShapeType::Byte | ShapeType::Short => "Integer",
        ShapeType::Long | ShapeType::BigInteger => "Long",
        ShapeType::Float => "Float",
        ShapeType::Double | ShapeType::BigDecimal => "Double",
        ShapeType::Timestamp => "Timestamp",
    }
}

fn push_members(text: &mut String, plan: &Plan<'_>, shape: &ShapeFacts) {
    let mut parts: Vec<(&str, &MemberFacts)> =
        shape.members.iter().map(|(name, member)| (name.as_str(), member)).collect();
    parts.extend(shape.member.iter().map(|member| ("member", member)));
    parts.extend(shape.key.iter().map(|member| ("key", member)));
    parts.extend(shape.value.iter().map(|member| ("value", member)));
    if parts.is_empty() {
        return;
    }
    text.push_str(".with_members(&[");
    for (index, (name, member)) in parts.iter().enumerate() {
        push_member(text, plan, name, index, member);
        if shape.required.iter().any(|required| required == name) {
            text.push_str(".required()");
        }
        text.push(',');
    }
    let mut order: Vec<usize> = (0..shape.members.len()).collect();
    order.sort_by_key(|index| wire_name(parts[*index]));
    let _ = write!(text, "], &{order:?})");
}

fn wire_name<'a>((name, member): (&'a str, &'a MemberFacts)) -> &'a str {
    member.location_name.as_deref().unwrap_or(name)
}

fn push_member(text: &mut String, plan: &Plan<'_>, name: &str, index: usize, member: &MemberFacts) {
    let streamed = member.streaming && plan.is_stream(member);
    let target = if streamed { streamed_name(&member.shape) } else { schema_name(&member.shape) };
    let _ = write!(text, "\n    wire::Member::new({name:?}, {index}, &{target})");
    if let Some(wire_name) = &member.location_name {
        let _ = write!(text, ".wire({wire_name:?})");
    }
    let location = match member.location.as_deref() {
        Some("header") => Some("Header"),
        Some("headers") => Some("Headers"),
        Some("uri") => Some("Uri"),
        Some("querystring") => Some("QueryString"),
        Some("statusCode") => Some("StatusCode"),
        _ => None,
    };
    if let Some(location) = location {
        let _ = write!(text, ".at(wire::Location::{location})");
    }
    push_namespace(text, member.xml_namespace.as_ref());
    push_format(text, member.timestamp_format.as_deref());
    if let Some(name) = &member.query_name {
        let _ = write!(text, ".query_name({name:?})");
    }
    let flags = [
        (member.flattened || plan.shape(&member.shape).flattened, "flattened"),
        (member.xml_attribute, "xml_attribute"),
        (member.idempotency_token, "idempotency_token"),
        (member.host_label, "host_label"),
        (member.jsonvalue, "json_value"),
        (member.eventheader, "event_header"),
        (member.eventpayload, "event_payload"),
    ];
    push_flags(text, &flags);
}

fn push_flags(text: &mut String, flags: &[(bool, &str)]) {
    for (_, name) in flags.iter().filter(|(set, _)| *set) {
        let _ = write!(text, ".{name}()");
    }
}

fn push_namespace(text: &mut String, namespace: Option<&XmlNamespace>) {
    if let Some(namespace) = namespace {
        let (uri, prefix) = (namespace.uri(), namespace.prefix());
        let _ = write!(text, ".xml_namespace(&wire::XmlNamespace {{ uri: {uri:?}, prefix: {prefix:?} }})");
    }
}

fn push_format(text: &mut String, format: Option<&str>) {
    let format = match format {
        Some("iso8601") => "DateTime",
        Some("rfc822") => "HttpDate",
        Some("unixTimestamp") => "EpochSeconds",
        _ => return,
    };
    let _ = write!(text, ".timestamp_format(wire::TimestampFormat::{format})");
}

fn write_model(out: &mut String, plan: &Plan<'_>) {
    let metadata = &plan.api.metadata;
    let protocols: Vec<String> =
        metadata.protocols().map(|name| protocol(name, metadata.json_version.as_deref())).collect();
    let operations: Vec<String> = plan.api.operations.keys().map(|name| format!("&O_{name}")).collect();
    let _ = writeln!(
        out,
        "const FACTS: wire::ServiceSchema = wire::ServiceSchema {{
    api: {:?},
    api_version: {:?},
    service_id: {:?},
    full_name: {:?},
    endpoint_prefix: {:?},
    signing_name: {:?},
    target_prefix: {:?},
    protocols: &[{}],
    query_compatible: {},
    xml_namespace: {:?},
    global_endpoint: {},
    bare_errors: {},
    operations: &[],
}};
/// The API's facts.
pub static MODEL: wire::ServiceSchema = wire::ServiceSchema {{ operations: &[{}], ..FACTS }};
/// The same without its operations: what calls of it need, so that a program holds no more than the operations it calls.
static CALLED: wire::ServiceSchema = FACTS;",
        plan.api.api,
        metadata.api_version,
        metadata.service_id,
        metadata.service_full_name,
        metadata.endpoint_prefix,
        metadata.signing(),
        metadata.target_prefix,
        protocols.join(", "),
        metadata.query_compatible(),
        metadata.xml_namespace.as_ref().map(XmlNamespace::uri),
        metadata.global(),
        metadata.bare_errors(),
        operations.join(", "),
    );
}

fn protocol(name: &str, json_version: Option<&str>) -> String {
    let known = match name {
        "json" if json_version == Some("1.0") => "AwsJson10",
        "json" => "AwsJson11",
        "query" => "AwsQuery",
        "ec2" => "Ec2Query",
        "rest-json" => "RestJson1",
        "rest-xml" => "RestXml",
        "smithy-rpc-v2-cbor" => "RpcV2Cbor",
        other => other,
    };
    format!("wire::Protocol::{known}")
}
