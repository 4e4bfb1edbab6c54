//! The document: parsed and compiled once, to be evaluated many times.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde_json::{Map, Value};

use crate::condition::{Condition, Operator};
use crate::error::{MalformedPolicy, SyntaxFlaw};
use crate::pattern::{Pattern, Syntax};
use crate::principal::{PrincipalElement, PrincipalEntry};

/// What a statement does to what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    Allow,
    Deny,
}

/// The version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Without policy variables; also that of a document that names none.
    V2008,
    V2012,
}

/// A policy document, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    version: Version,
    id: Option<String>,
    statements: Vec<Statement>,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub negated: bool,
    pub patterns: Vec<Pattern>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principal: Option<PrincipalElement>,
    pub(crate) action: Option<Element>,
    pub(crate) resource: Option<Element>,
    pub(crate) conditions: Vec<Condition>,
}

impl Statement {
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    pub fn effect(&self) -> Effect {
        self.effect
    }

    pub fn principal(&self) -> Option<&PrincipalElement> {
        self.principal.as_ref()
    }

    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The actions as the document writes them; whether they are those of `NotAction`.
    pub fn actions(&self) -> (bool, impl Iterator<Item = &str>) {
        texts(self.action.as_ref())
    }

    /// The resources as the document writes them; whether they are those of `NotResource`.
    pub fn resources(&self) -> (bool, impl Iterator<Item = &str>) {
        texts(self.resource.as_ref())
    }
}

fn texts(element: Option<&Element>) -> (bool, impl Iterator<Item = &str>) {
    let negated = element.is_some_and(|element| element.negated);
    (negated, element.into_iter().flat_map(|element| element.patterns.iter().map(Pattern::text)))
}

impl Policy {
    /// Reads a document of any kind. What its kind demands beyond the grammar, [`Self::validate`] says.
    pub fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        let document: Value = serde_json::from_str(text).map_err(|_| MalformedPolicy::InvalidJson)?;
        Self::from_value(&document)
    }

    /// The same from JSON that is already read.
    pub fn from_value(document: &Value) -> Result<Self, MalformedPolicy> {
        let members = document.as_object().ok_or(SyntaxFlaw::NotAnObject)?;
        known(members, &["Version", "Id", "Statement"])?;
        let version = match members.get("Version") {
            None => Version::V2008,
            Some(Value::String(text)) if text == "2012-10-17" => Version::V2012,
            Some(Value::String(text)) if text == "2008-10-17" => Version::V2008,
            Some(other) => return Err(invalid("Version", other).into()),
        };
        let statements = match members.get("Statement") {
            None => return Err(SyntaxFlaw::MissingElement("Statement").into()),
            Some(Value::Array(statements)) => {
                statements.iter().map(|statement| parse_statement(statement, version)).collect::<Result<_, _>>()?
            }
            Some(statement) => vec![parse_statement(statement, version)?],
        };
        Ok(Policy { version, id: string(members, "Id")?, statements })
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

fn invalid(element: &'static str, value: &Value) -> SyntaxFlaw {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    SyntaxFlaw::InvalidValue { element, value }
}

fn known(members: &Map<String, Value>, names: &[&str]) -> Result<(), SyntaxFlaw> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(SyntaxFlaw::UnknownElement(name.clone())),
        None => Ok(()),
    }
}

fn string(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, SyntaxFlaw> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(SyntaxFlaw::WrongType(name)),
    }
}

fn parse_statement(value: &Value, version: Version) -> Result<Statement, MalformedPolicy> {
    const NAMES: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let members = value.as_object().ok_or(SyntaxFlaw::WrongType("Statement"))?;
    known(members, &NAMES)?;
    let effect = match members.get("Effect") {
        None => return Err(SyntaxFlaw::MissingElement("Effect").into()),
        Some(Value::String(text)) if text == "Allow" => Effect::Allow,
        Some(Value::String(text)) if text == "Deny" => Effect::Deny,
        Some(other) => return Err(invalid("Effect", other).into()),
    };
    let variables = version == Version::V2012;
    let principal = match either(members, "Principal", "NotPrincipal")? {
        Some((negated, value)) => Some(PrincipalElement { negated, entries: parse_principals(value)? }),
        None => None,
    };
    let action = either(members, "Action", "NotAction")?;
    let resource = either(members, "Resource", "NotResource")?;
    let element = |found: Option<(bool, &Value)>, name, variables| -> Result<Option<Element>, SyntaxFlaw> {
        let Some((negated, value)) = found else { return Ok(None) };
        let syntax = Syntax { wildcards: true, variables };
        let patterns = strings(value, name)?.iter().map(|text| Pattern::compile(text, syntax)).collect();
        Ok(Some(Element { negated, patterns }))
    };
    Ok(Statement {
        sid: string(members, "Sid")?,
        effect,
        principal,
        // Variables stand in resources and conditions only.
        action: element(action, "Action", false)?,
        resource: element(resource, "Resource", variables)?,
        conditions: members.get("Condition").map_or(Ok(Vec::new()), |value| parse_conditions(value, variables))?,
    })
}

/// An element or its negation, never both.
fn either<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
    negation: &'static str,
) -> Result<Option<(bool, &'a Value)>, SyntaxFlaw> {
    match (members.get(name), members.get(negation)) {
        (Some(_), Some(_)) => Err(SyntaxFlaw::Exclusive(name, negation)),
        (Some(value), None) => Ok(Some((false, value))),
        (None, Some(value)) => Ok(Some((true, value))),
        (None, None) => Ok(None),
    }
}

/// A string or a list of strings.
fn strings<'a>(value: &'a Value, name: &'static str) -> Result<Vec<&'a str>, SyntaxFlaw> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(values) => values.iter().map(|value| value.as_str().ok_or(SyntaxFlaw::WrongType(name))).collect(),
        _ => Err(SyntaxFlaw::WrongType(name)),
    }
}

fn parse_principals(value: &Value) -> Result<Vec<PrincipalEntry>, MalformedPolicy> {
    let members = match value {
        Value::String(text) if text == "*" => return Ok(vec![PrincipalEntry::Everyone]),
        Value::Object(members) => members,
        Value::String(text) => {
            return Err(MalformedPolicy::InvalidPrincipal { kind: "AWS".into(), value: text.clone() });
        }
        _ => return Err(SyntaxFlaw::WrongType("Principal").into()),
    };
    let mut entries = Vec::new();
    for (kind, value) in members {
        for text in strings(value, "Principal")? {
            let malformed = || MalformedPolicy::InvalidPrincipal { kind: kind.clone(), value: text.to_owned() };
            let entry = match kind.as_str() {
                "AWS" => PrincipalEntry::parse_aws(text).ok_or_else(malformed)?,
                "Service" if text == "*" || text.contains('.') => PrincipalEntry::Service(text.to_owned()),
                "Federated" => PrincipalEntry::Federated(text.to_owned()),
                "CanonicalUser" => PrincipalEntry::CanonicalUser(text.to_owned()),
                _ => return Err(malformed()),
            };
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn parse_conditions(value: &Value, variables: bool) -> Result<Vec<Condition>, MalformedPolicy> {
    const NAME: &str = "Condition";
    let operators = value.as_object().ok_or(SyntaxFlaw::WrongType(NAME))?;
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::parse(name).ok_or_else(|| MalformedPolicy::UnknownOperator(name.clone()))?;
        for (key, values) in keys.as_object().ok_or(SyntaxFlaw::WrongType(NAME))? {
            let values = match values {
                Value::Array(values) => values.iter().map(scalar).collect::<Option<Vec<_>>>(),
                value => scalar(value).map(|text| vec![text]),
            };
            let values = values.ok_or(SyntaxFlaw::WrongType(NAME))?;
            conditions.push(Condition::new(name, operator, key, values, variables));
        }
    }
    Ok(conditions)
}

/// Numbers and booleans may stand bare.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}
