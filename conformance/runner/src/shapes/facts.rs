//! Small questions to a model.

use std::sync::LazyLock;

use fractus_models::{Api, MemberFacts, OperationFacts, ShapeFacts, ShapeType};

static UNKNOWN: LazyLock<ShapeFacts> = LazyLock::new(ShapeFacts::default);

/// A shape by name; one without members where the model does not have it.
pub fn shape<'a>(api: &'a Api, name: &str) -> &'a ShapeFacts {
    api.shape(name).unwrap_or(&UNKNOWN)
}

pub fn is_number(kind: ShapeType) -> bool {
    is_integer(kind) || matches!(kind, ShapeType::Float | ShapeType::Double | ShapeType::BigDecimal)
}

pub fn is_integer(kind: ShapeType) -> bool {
    use ShapeType::*;
    matches!(kind, Integer | Long | Short | Byte | BigInteger)
}

/// Whether a structure is one as the protocols write it; a document is written as whatever it holds.
pub fn is_text(kind: ShapeType) -> bool {
    matches!(kind, ShapeType::String | ShapeType::Character)
}

/// The member that the whole body is.
pub fn payload(shape: &ShapeFacts) -> Option<(&str, &MemberFacts)> {
    let name = shape.payload.as_deref()?;
    shape.members.get_key_value(name).map(|(name, member)| (name.as_str(), member))
}

/// A member that is in the body: nothing binds it to the path, the query, a header or the status.
pub fn is_in_body(member: &MemberFacts) -> bool {
    member.location.is_none()
}

pub fn input<'a>(api: &'a Api, operation: &'a OperationFacts) -> Option<&'a ShapeFacts> {
    operation.input.as_ref().map(|input| shape(api, &input.shape))
}

pub fn output<'a>(api: &'a Api, operation: &'a OperationFacts) -> Option<&'a ShapeFacts> {
    operation.output.as_ref().map(|output| shape(api, &output.shape))
}

/// The timestamp's form: the member's, the shape's, or the place's.
pub fn timestamp_format<'a>(member: Option<&'a MemberFacts>, shape: &'a ShapeFacts, usual: &'a str) -> &'a str {
    member.and_then(|member| member.timestamp_format.as_deref()).or(shape.timestamp_format.as_deref()).unwrap_or(usual)
}

/// The name on the wire of a JSON, CBOR or XML body, a header or a query parameter.
pub fn wire_name<'a>(name: &'a str, member: &'a MemberFacts) -> &'a str {
    member.location_name.as_deref().unwrap_or(name)
}

/// Whether a top-level member takes a page token, of which no value can be made up.
pub fn is_page_token(api: &Api, operation: &str, member: &str) -> bool {
    let tokens = api.paginators.get(operation).and_then(|paginator| paginator.input_token.as_ref());
    tokens.is_some_and(|tokens| tokens.as_slice().iter().any(|token| token == member))
}

/// Events flow instead of a body.
pub fn flows_events(api: &Api, shape_facts: &ShapeFacts) -> bool {
    shape_facts.members.values().any(|member| shape(api, &member.shape).eventstream)
}
