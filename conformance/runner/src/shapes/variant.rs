//! The variants of an operation: what each sends, and whether it should be refused.

use fractus_models::{Api, OperationFacts, ShapeFacts, ShapeType};

use super::facts;
use super::input::Edit;
use super::pattern::Patterns;
use super::protocol::Protocol;
use super::setup::Setup;
use super::site::{Path, Site, Step, sites};
use super::value::Value;

/// Longer texts and bodies are not sent.
const MAX_LENGTH: f64 = 262_144.0;
/// More elements are not sent.
const MAX_SIZE: f64 = 1_000.0;
/// Enums with more values have only their first tried; instance types alone would be a thousand.
const MAX_ENUM_VALUES: usize = 40;
/// No service knows this value.
const UNKNOWN_VALUE: &str = "FractusUnknownValue";

/// What a variant sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Sending {
    /// An input, full or minimal, with an edit at a place.
    Input { full: bool, target: Option<(Path, Edit)> },
    /// The minimal input, with a body that is broken.
    MalformedBody,
    /// A request for an operation that the service does not have.
    UnknownOperation,
    /// The minimal input, in a protocol that the service does not speak.
    ForeignProtocol,
}

#[derive(Clone, Debug)]
pub struct Variant {
    pub operation: String,
    pub protocol: Protocol,
    /// `optional/DelaySeconds`.
    pub name: String,
    pub sending: Sending,
    /// The service should refuse it.
    pub negative: bool,
    /// The constraint that is broken, as AWS tells it.
    pub broken: Option<String>,
}

impl Variant {
    pub fn minimal(operation: &str, protocol: Protocol) -> Self {
        Variant {
            operation: operation.to_owned(),
            protocol,
            name: "minimal".to_owned(),
            sending: Sending::Input { full: false, target: None },
            negative: false,
            broken: None,
        }
    }

    /// `SendMessage:json:optional/DelaySeconds`, as set-up tables know it.
    pub fn local_id(&self) -> String {
        format!("{}:{}:{}", self.operation, self.protocol.name(), self.name)
    }

    /// The place that the variant is about.
    pub fn path(&self) -> Option<&Path> {
        match &self.sending {
            Sending::Input { target: Some((path, _)), .. } => Some(path),
            _ => None,
        }
    }
}

/// All variants of an operation in one protocol.
pub fn variants(
    api: &Api,
    name: &str,
    operation: &OperationFacts,
    protocol: Protocol,
    setup: &Setup,
    patterns: &Patterns,
) -> Vec<Variant> {
    let mut plan = Plan { api, operation: name, protocol, patterns, is_token: false, variants: Vec::new() };
    plan.whole("minimal", Sending::Input { full: false, target: None }, false);
    if let Some(input) = &operation.input {
        if !facts::shape(api, &input.shape).members.is_empty() {
            plan.whole("full", Sending::Input { full: true, target: None }, false);
        }
        for site in sites(api, input) {
            let has_value = setup.gives(name, &site.path);
            plan.is_token = matches!(site.path.0.as_slice(), [Step::Member(member)] if facts::is_page_token(api, name, member))
                && !has_value;
            plan.site(&site);
        }
    }
    if protocol.has_body(api, operation) {
        plan.whole("malformed", Sending::MalformedBody, true);
    }
    plan.whole("foreign-protocol", Sending::ForeignProtocol, true);
    plan.variants
}

/// The one variant of an API and a protocol that is about no operation.
pub fn unknown_operation(protocol: Protocol) -> Variant {
    Variant {
        operation: "FractusUnknownOperation".to_owned(),
        protocol,
        name: "unknown-operation".to_owned(),
        sending: Sending::UnknownOperation,
        negative: true,
        broken: None,
    }
}

struct Plan<'a> {
    api: &'a Api,
    operation: &'a str,
    protocol: Protocol,
    patterns: &'a Patterns,
    /// The place is a page token's: no value for it can be made up.
    is_token: bool,
    variants: Vec<Variant>,
}

impl Plan<'_> {
    fn whole(&mut self, name: &str, sending: Sending, negative: bool) {
        self.variants.push(Variant {
            operation: self.operation.to_owned(),
            protocol: self.protocol,
            name: name.to_owned(),
            sending,
            negative,
            broken: None,
        });
    }

    fn add(&mut self, class: &str, site: &Site<'_>, suffix: &str, edit: Edit, broken: Option<String>, negative: bool) {
        let sending = Sending::Input { full: false, target: Some((site.path.clone(), edit)) };
        let name = format!("{class}/{}{suffix}", site.path);
        self.whole(&name, sending, negative);
        if let Some(variant) = self.variants.last_mut() {
            variant.broken = broken;
        }
    }

    fn good(&mut self, class: &str, site: &Site<'_>, suffix: &str, edit: Edit) {
        if self.is_token {
            return;
        }
        self.add(class, site, suffix, edit, None, false);
    }

    fn bad(&mut self, class: &str, site: &Site<'_>, edit: Edit, broken: impl Into<Option<String>>) {
        self.add(class, site, "", edit, broken.into(), true);
    }

    fn site(&mut self, site: &Site<'_>) {
        let shape = facts::shape(self.api, site.shape);
        if site.required {
            // A path without its label is another path.
            if site.location != Some("uri") {
                self.bad("missing", site, Edit::Remove, "Member must not be null".to_owned());
            }
        } else if matches!(site.path.0.last(), Some(Step::Member(_))) {
            self.good("optional", site, "", Edit::Present);
        }
        self.values(site, shape);
        self.lengths(site, shape);
        self.ranges(site, shape);
        self.patterns(site, shape);
        if let Some(wrong) = wrong_type(self.protocol, site, shape) {
            self.bad("type", site, Edit::Set(wrong), None);
        }
    }

    fn values(&mut self, site: &Site<'_>, shape: &ShapeFacts) {
        for value in shape.values.iter().take(MAX_ENUM_VALUES) {
            self.good("enum", site, &format!("={value}"), Edit::Set(Value::text(value)));
        }
        if !shape.values.is_empty() {
            let broken = format!("Member must satisfy enum value set: [{}]", shape.values.join(", "));
            self.bad("unknown-value", site, Edit::Set(Value::text(UNKNOWN_VALUE)), broken);
        }
    }

    fn lengths(&mut self, site: &Site<'_>, shape: &ShapeFacts) {
        let has_length =
            facts::is_text(shape.kind) || matches!(shape.kind, ShapeType::Blob | ShapeType::List | ShapeType::Map);
        if !has_length || !shape.values.is_empty() {
            return;
        }
        let bound = if facts::is_text(shape.kind) || shape.kind == ShapeType::Blob { MAX_LENGTH } else { MAX_SIZE };
        // Nothing at all in a path is another path, and nothing in a header or query is no value.
        let least_sendable = if site.location.is_some() { 1.0 } else { 0.0 };
        if let Some(least) = shape.min.filter(|least| *least <= bound) {
            if least >= least_sendable {
                self.good("length", site, "=min", Edit::Length(least as usize));
            }
            if least - 1.0 >= least_sendable {
                let broken = format!("Member must have length greater than or equal to {least}");
                self.bad("short", site, Edit::Length(least as usize - 1), broken);
            }
        }
        if let Some(most) = shape.max.filter(|most| *most <= bound && *most >= 1.0) {
            if shape.min != Some(most) {
                self.good("length", site, "=max", Edit::Length(most as usize));
            }
            let broken = format!("Member must have length less than or equal to {most}");
            self.bad("long", site, Edit::Length(most as usize + 1), broken);
        }
    }

    fn ranges(&mut self, site: &Site<'_>, shape: &ShapeFacts) {
        if !facts::is_number(shape.kind) {
            return;
        }
        let is_integer = facts::is_integer(shape.kind);
        let value = |number: f64| if is_integer { Value::Integer(number as i64) } else { Value::Float(number) };
        // A bound that is the type's own says nothing, and one beyond it cannot be sent.
        let is_bound = |bound: &f64| bound.abs() < 2_147_483_647.0;
        if let Some(least) = shape.min.filter(is_bound) {
            self.good("range", site, "=min", Edit::Set(value(least)));
            let broken = format!("Member must have value greater than or equal to {least}");
            self.bad("below", site, Edit::Set(value(least - 1.0)), broken);
        }
        if let Some(most) = shape.max.filter(is_bound) {
            if shape.min != Some(most) {
                self.good("range", site, "=max", Edit::Set(value(most)));
            }
            let broken = format!("Member must have value less than or equal to {most}");
            self.bad("above", site, Edit::Set(value(most + 1.0)), broken);
        }
    }

    fn patterns(&mut self, site: &Site<'_>, shape: &ShapeFacts) {
        let Some(text) = shape.pattern.as_deref().filter(|_| facts::is_text(shape.kind)) else { return };
        for number in [1, 2] {
            self.good("pattern", site, &format!("#{number}"), Edit::Sample(number));
        }
        let (least, most) = (shape.min.unwrap_or(0.0) as usize, shape.max.unwrap_or(MAX_LENGTH) as usize);
        if least as f64 <= MAX_LENGTH
            && let Some(mismatch) = self.patterns.get(text).and_then(|pattern| pattern.mismatch(least, most))
        {
            let broken = format!("Member must satisfy regular expression pattern: {text}");
            self.bad("mismatch", site, Edit::Set(Value::Text(mismatch)), broken);
        }
    }
}

/// A value of another type than the place's, where the protocol can tell them apart there.
fn wrong_type(protocol: Protocol, site: &Site<'_>, shape: &ShapeFacts) -> Option<Value> {
    if shape.document || site.is_payload || site.member.jsonvalue || matches!(site.path.0.last(), Some(Step::Key)) {
        return None;
    }
    let wrong_text = || Some(Value::text("wrong"));
    match shape.kind {
        kind if facts::is_number(kind) => wrong_text(),
        ShapeType::Boolean | ShapeType::Timestamp => wrong_text(),
        _ if site.location.is_some() || !protocol.has_types() => None,
        ShapeType::Structure | ShapeType::Map => Some(Value::List(Vec::new())),
        ShapeType::List => Some(Value::Bool(true)),
        _ => Some(Value::List(Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(api: &str, operation: &str, protocol: Protocol) -> Vec<String> {
        let api = crate::models::load(api).unwrap();
        let found =
            variants(&api, operation, &api.operations[operation], protocol, &Setup::default(), &Patterns::default());
        found.iter().map(|variant| variant.name.clone()).collect()
    }

    #[test]
    fn every_kind_of_variant_is_made() {
        let found = names("sts", "AssumeRole", Protocol::Query);
        for name in [
            "minimal",
            "full",
            "missing/RoleArn",
            "optional/DurationSeconds",
            "length/RoleSessionName=min",
            "length/RoleSessionName=max",
            "short/RoleSessionName",
            "long/RoleSessionName",
            "range/DurationSeconds=min",
            "below/DurationSeconds",
            "above/DurationSeconds",
            "pattern/RoleSessionName#1",
            "mismatch/RoleSessionName",
            "type/DurationSeconds",
            "optional/Tags",
            "missing/Tags.member.Key",
            "foreign-protocol",
        ] {
            assert!(found.iter().any(|known| known == name), "{name} is not in {found:#?}");
        }
        let found = names("sqs", "CreateQueue", Protocol::Json);
        for name in ["enum/Attributes.key=DelaySeconds", "unknown-value/Attributes.key", "type/QueueName", "malformed"]
        {
            assert!(found.iter().any(|known| known == name), "{name} is not in {found:#?}");
        }
    }

    /// The number that the whole run has; and no two variants of an operation are called the same.
    #[test]
    fn there_are_more_than_a_hundred_thousand() {
        let patterns = Patterns::default();
        let mut count = 0;
        for name in crate::models::names() {
            let api = crate::models::load(name).unwrap();
            let setup = Setup::load(name).unwrap();
            for protocol in Protocol::of(&api) {
                for (name, operation) in &api.operations {
                    let mut found: Vec<String> = variants(&api, name, operation, protocol, &setup, &patterns)
                        .iter()
                        .map(Variant::local_id)
                        .collect();
                    count += found.len();
                    let length = found.len();
                    found.sort();
                    found.dedup();
                    assert_eq!(found.len(), length, "{name}");
                }
            }
        }
        println!("{count} variants");
        assert!(count > 100_000, "{count}");
    }
}
