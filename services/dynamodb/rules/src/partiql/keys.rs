//! The key in a WHERE: what a SELECT reads, and which item a write means.

use super::{Action, PartiqlError, Statement};
use crate::expression::{Comparator, Condition, Context, Operand};
use crate::key::KeySchema;
use crate::key_condition::{KeyCondition, KeyTerm, KeyTest};
use crate::value::{Item, Value};

/// What a SELECT reads: the whole WHERE is its filter besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    Scan,
    /// One query for each value of the partition key that the WHERE names.
    Queries(Vec<KeyCondition>),
}

/// The item a write is for, and what else its WHERE asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteKey {
    pub key: Item,
    pub rest: Option<Condition>,
}

fn conjuncts<'c>(condition: &'c Condition, found: &mut Vec<&'c Condition>) {
    match condition {
        Condition::And(all) => all.iter().for_each(|one| conjuncts(one, found)),
        other => found.push(other),
    }
}

/// The name of an attribute, not of something in it.
fn attribute<'c>(operand: &'c Operand, context: Context<'c>) -> Option<&'c str> {
    match operand {
        Operand::Path(path) if !path.is_nested() => Some(context.attribute_of(path)),
        _ => None,
    }
}

fn value(operand: &Operand, context: Context<'_>) -> Option<Value> {
    match operand {
        Operand::Value(slot) => Some(context.value(*slot).clone()),
        _ => None,
    }
}

/// A conjunct as a term of a key condition, if it can be one.
fn term(condition: &Condition, context: Context<'_>) -> Option<KeyTerm> {
    let (of, test) = match condition {
        Condition::Compare(Comparator::NotEqual, ..) => return None,
        Condition::Compare(comparator, left @ Operand::Value(_), right) => {
            (right, KeyTest::Compare(comparator.turned(), value(left, context)?))
        }
        Condition::Compare(comparator, left, right) => (left, KeyTest::Compare(*comparator, value(right, context)?)),
        Condition::Between(of, lower, upper) => (of, KeyTest::Between(value(lower, context)?, value(upper, context)?)),
        Condition::BeginsWith(of, prefix) => (of, KeyTest::BeginsWith(value(prefix, context)?)),
        _ => return None,
    };
    Some(KeyTerm { attribute: attribute(of, context)?.to_owned(), test })
}

/// The values of `attribute IN [...]`.
fn listed(condition: &Condition, name: &str, context: Context<'_>) -> Option<Vec<Value>> {
    match condition {
        Condition::In(of, list) if attribute(of, context) == Some(name) => {
            list.iter().map(|operand| value(operand, context)).collect()
        }
        _ => None,
    }
}

/// The terms of a WHERE that one query can use: the partition key, and sort keys without a gap.
fn usable(terms: Vec<KeyTerm>, schema: &KeySchema) -> Vec<KeyTerm> {
    let mut usable: Vec<KeyTerm> = Vec::new();
    let is_equal = |term: &KeyTerm| matches!(term.test, KeyTest::Compare(Comparator::Equal, _));
    for attribute in schema.attributes() {
        let is_partition = schema.partition.contains(attribute);
        let found = terms.iter().find(|term| term.attribute == attribute.name && (is_equal(term) || !is_partition));
        let Some(found) = found else { break };
        usable.push(found.clone());
        if !is_equal(found) {
            break;
        }
    }
    usable
}

/// What a SELECT with this WHERE reads in a table or index of this schema. Terms that do not fit the schema's types are
/// left to the filter.
pub fn reads(statement: &Statement, condition: Option<&Condition>, schema: &KeySchema) -> Reads {
    let Some(condition) = condition else { return Reads::Scan };
    let bound = statement.bound(Condition::And(Box::new([])));
    let context = bound.context(&statement.attributes);
    let mut all = Vec::new();
    conjuncts(condition, &mut all);
    let terms: Vec<KeyTerm> = all.iter().filter_map(|one| term(one, context)).collect();
    let query = |terms| KeyCondition::new(&usable(terms, schema), schema).ok();
    if let Some(query) = query(terms.clone()) {
        return Reads::Queries(vec![query]);
    }
    let [partition] = &schema.partition[..] else { return Reads::Scan };
    let Some(mut values) = all.iter().find_map(|one| listed(one, &partition.name, context)) else { return Reads::Scan };
    let mut distinct: Vec<Value> = Vec::with_capacity(values.len());
    values.retain(|value| {
        let is_new = !distinct.contains(value);
        if is_new {
            distinct.push(value.clone());
        }
        is_new
    });
    let of_value = |value| {
        let mut terms = terms.clone();
        let test = KeyTest::Compare(Comparator::Equal, value);
        terms.push(KeyTerm { attribute: partition.name.clone(), test });
        query(terms)
    };
    values.into_iter().map(of_value).collect::<Option<Vec<_>>>().map_or(Reads::Scan, Reads::Queries)
}

/// The attributes that a statement's WHERE wants to be equal to a value.
pub fn equalities(statement: &Statement) -> Vec<(String, Value)> {
    let condition = match &statement.action {
        Action::Select(select) | Action::Exists(select) => select.condition.as_ref(),
        Action::Update { condition, .. } | Action::Delete { condition, .. } => condition.as_ref(),
        Action::Insert(_) => None,
    };
    let bound = statement.bound(Condition::And(Box::new([])));
    let context = bound.context(&statement.attributes);
    let mut all = Vec::new();
    if let Some(condition) = condition {
        conjuncts(condition, &mut all);
    }
    let equal = |term: KeyTerm| match term.test {
        KeyTest::Compare(Comparator::Equal, value) => Some((term.attribute, value)),
        _ => None,
    };
    all.into_iter().filter_map(|one| term(one, context).and_then(equal)).collect()
}

/// The one item that an UPDATE or DELETE is for.
pub fn write_key(
    statement: &Statement,
    condition: Option<&Condition>,
    schema: &KeySchema,
) -> Result<WriteKey, PartiqlError> {
    let bound = statement.bound(Condition::And(Box::new([])));
    let context = bound.context(&statement.attributes);
    let mut all = Vec::new();
    if let Some(condition) = condition {
        conjuncts(condition, &mut all);
    }
    let (mut key, mut rest) = (Item::new(), Vec::new());
    for one in all {
        match term(one, context) {
            Some(KeyTerm { attribute, test: KeyTest::Compare(Comparator::Equal, value) })
                if schema.names(&attribute) && !key.contains(&attribute) =>
            {
                key.insert(attribute, value);
            }
            _ => rest.push(one.clone()),
        }
    }
    if schema.attributes().any(|attribute| !key.contains(&attribute.name)) {
        return Err(PartiqlError::NoKey);
    }
    let rest = (!rest.is_empty()).then(|| Condition::And(rest.into_boxed_slice()));
    Ok(WriteKey { key, rest })
}
