//! Which keys a Query reads: one partition, and a range of its sort keys.

use thiserror::Error;

use crate::expression::{
    Attributes, Bound, Comparator, Condition, Context, DocumentPath, ExpressionError, ExpressionKind, Operand, Problem,
};
use crate::key::{KeyAttribute, KeyBytes, KeyError, KeyRange, KeySchema, encode_sort, partition_hash, successor};
use crate::value::Value;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyConditionError {
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("Invalid operator used in KeyConditionExpression: {0}")]
    Operator(&'static str),
    #[error(
        "The number of query conditions ({count}) exceeds the number of key attributes defined in the schema ({of})"
    )]
    TooMany { count: usize, of: usize },
    #[error("Query condition missed key schema element: {0}")]
    Missed(String),
    #[error("Query key condition not supported")]
    NotSupported,
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    Type,
    #[error(
        "RANGE key attributes {before} must have equality conditions specified in the query because a condition is present on key attribute {after}"
    )]
    Gap { before: String, after: String },
}

/// What the value of a key attribute must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTest {
    Compare(Comparator, Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl KeyTest {
    fn values(&self) -> impl Iterator<Item = &Value> {
        let (first, second) = match self {
            KeyTest::Compare(_, value) | KeyTest::BeginsWith(value) => (value, None),
            KeyTest::Between(lower, upper) => (lower, Some(upper)),
        };
        std::iter::once(first).chain(second)
    }

    const fn equal(&self) -> Option<&Value> {
        match self {
            KeyTest::Compare(Comparator::Equal, value) => Some(value),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTerm {
    pub attribute: String,
    pub test: KeyTest,
}

type Terms = Result<Vec<KeyTerm>, KeyConditionError>;

fn invalid(problem: Problem) -> KeyConditionError {
    ExpressionError { kind: ExpressionKind::KeyCondition, problem }.into()
}

fn attribute(path: &DocumentPath, context: Context<'_>) -> Result<String, KeyConditionError> {
    if path.is_nested() {
        return Err(invalid(Problem::NestedKeyCondition));
    }
    Ok(context.attribute_of(path).to_owned())
}

/// A path and values: what a key can be compared by.
fn of_path<const N: usize>(
    operator: &'static str,
    of: &Operand,
    values: [&Operand; N],
    context: Context<'_>,
) -> Result<(String, [Value; N]), KeyConditionError> {
    let Operand::Path(path) = of else {
        let is_size = matches!(of, Operand::Size(_));
        return Err(invalid(if is_size { Problem::NestedKeyOperation } else { Problem::KeyNotFirst(operator) }));
    };
    let name = attribute(path, context)?;
    let mut found = Vec::with_capacity(N);
    for value in values {
        match value {
            Operand::Value(slot) => found.push(context.value(*slot).clone()),
            _ => return Err(invalid(Problem::NestedKeyOperation)),
        }
    }
    // As many as were asked for.
    found.try_into().map(|values| (name, values)).map_err(|_| KeyConditionError::NotSupported)
}

fn collect(condition: &Condition, context: Context<'_>, terms: &mut Vec<KeyTerm>) -> Result<(), KeyConditionError> {
    let (attribute, test) = match condition {
        Condition::And(all) => return all.iter().try_for_each(|one| collect(one, context, terms)),
        Condition::Compare(Comparator::NotEqual, ..) => return Err(KeyConditionError::Operator("<>")),
        Condition::Compare(comparator, left, right) => {
            let (comparator, of, value) = match left {
                Operand::Value(_) => (comparator.turned(), right, left),
                _ => (*comparator, left, right),
            };
            let (name, [value]) = of_path(comparator.as_str(), of, [value], context)?;
            (name, KeyTest::Compare(comparator, value))
        }
        Condition::Between(of, lower, upper) => {
            let (name, [lower, upper]) = of_path("BETWEEN", of, [lower, upper], context)?;
            (name, KeyTest::Between(lower, upper))
        }
        Condition::BeginsWith(of, prefix) => {
            let (name, [prefix]) = of_path("begins_with", of, [prefix], context)?;
            (name, KeyTest::BeginsWith(prefix))
        }
        Condition::Or(_) => return Err(KeyConditionError::Operator("OR")),
        Condition::Not(_) => return Err(KeyConditionError::Operator("NOT")),
        Condition::In(..) => return Err(KeyConditionError::Operator("IN")),
        Condition::Exists(_) => return Err(KeyConditionError::Operator("attribute_exists")),
        Condition::NotExists(_) => return Err(KeyConditionError::Operator("attribute_not_exists")),
        Condition::Type(..) => return Err(KeyConditionError::Operator("attribute_type")),
        Condition::Contains(..) => return Err(KeyConditionError::Operator("contains")),
    };
    if terms.iter().any(|term| term.attribute == attribute) {
        return Err(invalid(Problem::TwoKeyConditions));
    }
    terms.push(KeyTerm { attribute, test });
    Ok(())
}

/// The terms of a KeyConditionExpression; what can be told without the table's schema is told here.
pub fn terms(condition: &Bound<Condition>, attributes: &Attributes) -> Terms {
    let mut terms = Vec::new();
    collect(condition.root(), condition.context(attributes), &mut terms)?;
    Ok(terms)
}

/// A key condition that fits a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCondition {
    partition: Vec<Value>,
    /// The sort attributes that are given, from the first.
    equal: Vec<Value>,
    /// What the sort attribute after them must be.
    last: Option<KeyTest>,
}

fn fitting<'t>(terms: &'t [KeyTerm], attribute: &KeyAttribute) -> Result<Option<&'t KeyTest>, KeyConditionError> {
    let Some(term) = terms.iter().find(|term| term.attribute == attribute.name) else { return Ok(None) };
    for value in term.test.values() {
        if value.kind() != attribute.kind {
            return Err(KeyConditionError::Type);
        }
        let is_empty = value.length() == Some(0);
        if is_empty {
            let what = if matches!(value, Value::B(_)) { "binary" } else { "string" };
            return Err(KeyError::Empty { what, name: attribute.name.clone() }.into());
        }
    }
    Ok(Some(&term.test))
}

impl KeyCondition {
    pub fn new(terms: &[KeyTerm], schema: &KeySchema) -> Result<Self, KeyConditionError> {
        let of = schema.attributes().count();
        if terms.len() > of {
            return Err(KeyConditionError::TooMany { count: terms.len(), of });
        }
        let mut partition = Vec::with_capacity(schema.partition.len());
        for attribute in &schema.partition {
            let test = fitting(terms, attribute)?.ok_or_else(|| KeyConditionError::Missed(attribute.name.clone()))?;
            partition.push(test.equal().ok_or(KeyConditionError::NotSupported)?.clone());
        }
        let (mut equal, mut last, mut closed_by) = (Vec::new(), None, None::<&KeyAttribute>);
        for attribute in &schema.sort {
            match (fitting(terms, attribute)?, closed_by) {
                (None, None) => closed_by = Some(attribute),
                (None, Some(_)) => {}
                (Some(_), Some(before)) => {
                    let (before, after) = (before.name.clone(), attribute.name.clone());
                    return Err(KeyConditionError::Gap { before, after });
                }
                (Some(test), None) => match test.equal() {
                    Some(value) => equal.push(value.clone()),
                    None => {
                        last = Some(test.clone());
                        closed_by = Some(attribute);
                    }
                },
            }
        }
        if terms.iter().any(|term| !schema.names(&term.attribute)) {
            // One of the terms is of another attribute, so one attribute of the key has none.
            return Err(match closed_by {
                Some(attribute) => KeyConditionError::Missed(attribute.name.clone()),
                None => KeyConditionError::NotSupported,
            });
        }
        Ok(KeyCondition { partition, equal, last })
    }

    /// The stored keys that meet it.
    pub fn range(&self) -> KeyRange {
        let mut prefix = KeyBytes::new();
        prefix.extend_from_slice(&partition_hash(self.partition.iter()));
        self.equal.iter().for_each(|value| encode_sort(value, &mut prefix));
        let with = |value: &Value| {
            let mut bytes = prefix.clone();
            encode_sort(value, &mut bytes);
            bytes
        };
        let whole = KeyRange::starting_with(&prefix);
        let Some(test) = &self.last else { return whole };
        match test {
            KeyTest::Compare(Comparator::Less, value) => KeyRange { start: whole.start, end: Some(with(value)) },
            KeyTest::Compare(Comparator::LessOrEqual, value) => {
                KeyRange { start: whole.start, end: successor(&with(value)) }
            }
            KeyTest::Compare(Comparator::Greater, value) => {
                KeyRange { start: successor(&with(value)).unwrap_or_default(), end: whole.end }
            }
            KeyTest::Compare(Comparator::GreaterOrEqual, value) => KeyRange { start: with(value), end: whole.end },
            KeyTest::Compare(Comparator::Equal | Comparator::NotEqual, value) => KeyRange::starting_with(&with(value)),
            KeyTest::Between(lower, upper) => KeyRange { start: with(lower), end: successor(&with(upper)) },
            KeyTest::BeginsWith(value) => {
                let end = above_prefix(value).map_or(whole.end, |above| Some(with(&Value::B(above))));
                KeyRange { start: with(value), end }
            }
        }
    }
}

/// The least bytes above all that begin with a text or binary value. A text's may be no text, which is why they are
/// bytes; both are encoded alike.
fn above_prefix(value: &Value) -> Option<Vec<u8>> {
    let bytes = match value {
        Value::S(text) => text.as_bytes(),
        Value::B(bytes) => bytes,
        _ => return None,
    };
    successor(bytes).map(|above| above.to_vec())
}
