//! Scenarios held against the models before anything runs: a misspelt member would otherwise be a parameter that is never
//! sent, or an expectation that is never met.

use fractus_wire::{Kind, Schema};

use super::scenario::Outcome;
use super::yaml::{Mistake, Node, Value};

/// What an answer has beside the model's members.
pub const EXTRAS: [&str; 6] = ["$status", "$headers", "$body", "$error", "$ms", "pages"];

/// Every name of a call's input is a member, and every literal of its member's type.
pub fn input(node: &Node, schema: &'static Schema) -> Result<(), Mistake> {
    if is_computed(node) {
        return Ok(());
    }
    let wrong = |expected: &str| Err(Mistake::at(node.line, format!("{} must be {expected}", schema.name)));
    match (schema.kind, &node.value) {
        (_, Value::Null) => Ok(()),
        (Kind::Structure | Kind::Union, Value::Map(entries)) => {
            for (key, value) in entries {
                let Some(member) = schema.members.into_iter().find(|member| member.name == key.name) else {
                    return Err(Mistake::at(key.line, format!("{} has no member {:?}", schema.name, key.name)));
                };
                input(value, member.target)?;
            }
            Ok(())
        }
        (Kind::List, Value::List(list)) => each(list, schema),
        (Kind::Map, Value::Map(entries)) => entries.iter().try_for_each(|(_, value)| element(value, schema)),
        (Kind::Structure | Kind::Union | Kind::Map, _) => wrong("a map"),
        (Kind::List, _) => wrong("a list"),
        (Kind::String | Kind::Enum | Kind::Blob, Value::Text(_)) => Ok(()),
        (Kind::String | Kind::Enum | Kind::Blob, _) => wrong("text (in quotes, if it looks like a number)"),
        (Kind::Boolean, Value::Boolean(_)) => Ok(()),
        (Kind::Boolean, _) => wrong("true or false"),
        (Kind::Integer | Kind::Long, Value::Integer(_)) => Ok(()),
        (Kind::Integer | Kind::Long, _) => wrong("a whole number"),
        (Kind::Float | Kind::Double, Value::Integer(_) | Value::Float(_)) => Ok(()),
        (Kind::Float | Kind::Double, _) => wrong("a number"),
        (Kind::Timestamp, Value::Integer(_) | Value::Float(_) | Value::Text(_)) => Ok(()),
        (Kind::Timestamp, _) => wrong("a time"),
        (Kind::Document, _) => Ok(()),
    }
}

fn each(list: &[Node], schema: &'static Schema) -> Result<(), Mistake> {
    list.iter().try_for_each(|value| element(value, schema))
}

fn element(value: &Node, schema: &'static Schema) -> Result<(), Mistake> {
    schema.element().map_or(Ok(()), |element| input(value, element.target))
}

/// Text with a variable in it, or a function: what it becomes is known only when it runs.
fn is_computed(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text.contains("${"),
        Value::Map(entries) => matches!(entries.as_slice(), [(key, _)] if key.name.starts_with('$')),
        _ => false,
    }
}

/// Every path of an outcome begins with a member of the output, or with what every answer has.
pub fn outcome(outcome: &Outcome, schema: &'static Schema, is_paged: bool) -> Result<(), Mistake> {
    let known = |name: &str| EXTRAS.contains(&name) || schema.members.into_iter().any(|member| member.name == name);
    for expectation in &outcome.expect {
        let line = expectation.line;
        match expectation.path.root() {
            Some("pages") if !is_paged => return Err(Mistake::at(line, "the call asks for one page only")),
            Some(root) if !known(root) => {
                return Err(Mistake::at(line, format!("{} has no member {root:?}", schema.name)));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::effects::scenario::parse_file;
    use crate::effects::yaml::Mistake;

    fn mistake(step: &str) -> Mistake {
        let text = format!("scenarios:\n- name: x\n  shows: []\n  steps:\n{step}");
        parse_file("sqs", Path::new("x.yaml"), &text).unwrap_err()
    }

    #[test]
    fn what_the_model_does_not_have_is_a_mistake_with_its_line() {
        let told = |step: &str| {
            let mistake = mistake(step);
            (mistake.line, mistake.what)
        };
        let (line, what) = told("  - call: SendMesage\n");
        assert_eq!((line, what.as_str()), (5, "the model of sqs has no operation SendMesage"));
        let (line, what) = told("  - call: SendMessage\n    with:\n      QueueUrl: x\n      MesageBody: y\n");
        assert_eq!((line, what.as_str()), (8, "SendMessageRequest has no member \"MesageBody\""));
        let (line, _) = told("  - call: SendMessage\n    with: {DelaySeconds: '5'}\n");
        assert_eq!(line, 6);
        let (line, what) = told("  - call: SendMessage\n    expect:\n      MesageId: x\n");
        assert_eq!((line, what.as_str()), (7, "SendMessageResult has no member \"MesageId\""));
        assert_eq!(told("  - call: SendMessage\n    expects: {}\n").0, 6);
        assert_eq!(told("  - call: SendMessage\n    protocol: rest-xml\n").0, 6);
        assert_eq!(told("  - use: nothing\n").0, 5);
    }
}
