//! Expected, QueryFilter, ScanFilter and KeyConditions.

use super::LegacyError;
use crate::expression::{Attributes, Bound, Comparator, Condition, DocumentPath, ExpressionKind, Operand};
use crate::key_condition::{KeyTerm, KeyTest};
use crate::value::{Kind, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonOperator {
    Eq,
    Ne,
    In,
    Le,
    Lt,
    Ge,
    Gt,
    Between,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
}

impl ComparisonOperator {
    pub const fn as_str(self) -> &'static str {
        match self {
            ComparisonOperator::Eq => "EQ",
            ComparisonOperator::Ne => "NE",
            ComparisonOperator::In => "IN",
            ComparisonOperator::Le => "LE",
            ComparisonOperator::Lt => "LT",
            ComparisonOperator::Ge => "GE",
            ComparisonOperator::Gt => "GT",
            ComparisonOperator::Between => "BETWEEN",
            ComparisonOperator::NotNull => "NOT_NULL",
            ComparisonOperator::Null => "NULL",
            ComparisonOperator::Contains => "CONTAINS",
            ComparisonOperator::NotContains => "NOT_CONTAINS",
            ComparisonOperator::BeginsWith => "BEGINS_WITH",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        use ComparisonOperator::{
            BeginsWith, Between, Contains, Eq, Ge, Gt, In, Le, Lt, Ne, NotContains, NotNull, Null,
        };
        [Eq, Ne, In, Le, Lt, Ge, Gt, Between, NotNull, Null, Contains, NotContains, BeginsWith]
            .into_iter()
            .find(|operator| operator.as_str() == name)
    }

    const fn takes(self, count: usize) -> bool {
        match self {
            ComparisonOperator::NotNull | ComparisonOperator::Null => count == 0,
            ComparisonOperator::Between => count == 2,
            ComparisonOperator::In => count > 0,
            _ => count == 1,
        }
    }

    const fn takes_kind(self, kind: Kind) -> bool {
        match self {
            ComparisonOperator::Eq | ComparisonOperator::Ne => true,
            ComparisonOperator::BeginsWith => matches!(kind, Kind::S | Kind::B),
            _ => kind.is_ordered(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConditionalOperator {
    #[default]
    And,
    Or,
}

/// One entry of QueryFilter, ScanFilter or KeyConditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub attribute: String,
    pub operator: ComparisonOperator,
    pub values: Vec<Value>,
}

/// One entry of Expected, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    pub value: Option<Value>,
    pub exists: Option<bool>,
    pub operator: Option<ComparisonOperator>,
    pub list: Option<Vec<Value>>,
}

fn check(test: &Test) -> Result<(), LegacyError> {
    let operator = test.operator.as_str();
    if !test.operator.takes(test.values.len()) {
        return Err(LegacyError::ArgumentCount(operator));
    }
    if let Some(value) = test.values.iter().find(|value| !test.operator.takes_kind(value.kind())) {
        return Err(LegacyError::ArgumentType { operator, kind: value.kind() });
    }
    let mut kinds = test.values.iter().map(Value::kind);
    let first = kinds.next();
    if kinds.any(|kind| Some(kind) != first) {
        return Err(LegacyError::ArgumentTypesDiffer);
    }
    match (test.operator, &test.values[..]) {
        (ComparisonOperator::Between, [lower, upper]) if lower.order(upper).is_some_and(|order| order.is_gt()) => {
            Err(LegacyError::BoundsInverted)
        }
        _ => Ok(()),
    }
}

/// The condition of a test whose values have been given slots from `slot`.
fn condition(test: &Test, slot: usize) -> Condition {
    let path = || DocumentPath::of_name(&test.attribute);
    let of = || Operand::Path(path());
    let value = |offset: usize| Operand::Value(u16::try_from(slot + offset).unwrap_or(u16::MAX));
    let compare = |comparator| Condition::Compare(comparator, of(), value(0));
    match test.operator {
        ComparisonOperator::Eq => compare(Comparator::Equal),
        ComparisonOperator::Ne => compare(Comparator::NotEqual),
        ComparisonOperator::Le => compare(Comparator::LessOrEqual),
        ComparisonOperator::Lt => compare(Comparator::Less),
        ComparisonOperator::Ge => compare(Comparator::GreaterOrEqual),
        ComparisonOperator::Gt => compare(Comparator::Greater),
        ComparisonOperator::In => Condition::In(of(), (0..test.values.len()).map(value).collect()),
        ComparisonOperator::Between => Condition::Between(of(), value(0), value(1)),
        ComparisonOperator::NotNull => Condition::Exists(path()),
        ComparisonOperator::Null => Condition::NotExists(path()),
        ComparisonOperator::Contains => Condition::Contains(of(), value(0)),
        ComparisonOperator::NotContains => Condition::Not(Box::new(Condition::Contains(of(), value(0)))),
        ComparisonOperator::BeginsWith => Condition::BeginsWith(of(), value(0)),
    }
}

/// QueryFilter or ScanFilter as a filter.
pub fn filter(
    tests: Vec<Test>,
    operator: Option<ConditionalOperator>,
) -> Result<(Bound<Condition>, Attributes), LegacyError> {
    combined(ExpressionKind::Filter, tests, operator)
}

fn combined(
    kind: ExpressionKind,
    tests: Vec<Test>,
    operator: Option<ConditionalOperator>,
) -> Result<(Bound<Condition>, Attributes), LegacyError> {
    match (tests.len(), operator) {
        (0, Some(_)) => return Err(LegacyError::OperatorAlone),
        (1, Some(_)) => return Err(LegacyError::OperatorOfOne),
        _ => {}
    }
    let (mut conditions, mut values) = (Vec::with_capacity(tests.len()), Vec::new());
    for test in tests {
        check(&test)?;
        conditions.push(condition(&test, values.len()));
        values.extend(test.values);
    }
    let conditions = conditions.into_boxed_slice();
    let root = match operator.unwrap_or_default() {
        ConditionalOperator::And => Condition::And(conditions),
        ConditionalOperator::Or => Condition::Or(conditions),
    };
    Ok((Bound::direct(kind, root, values.len()), Attributes::of_slots(values)))
}

/// An entry of Expected says what it wants in one of two ways.
fn test_of(attribute: String, entry: Expected) -> Result<Test, LegacyError> {
    let test = |attribute, operator, values| Ok(Test { attribute, operator, values });
    if entry.value.is_some() && entry.list.is_some() {
        return Err(LegacyError::ValueAndList(attribute));
    }
    if let Some(operator) = entry.operator {
        if entry.exists.is_some() {
            return Err(LegacyError::ExistsAndOperator(attribute));
        }
        let values = match (entry.value, entry.list) {
            (Some(value), _) => vec![value],
            (None, Some(list)) => list,
            (None, None) if operator.takes(0) => Vec::new(),
            (None, None) => return Err(LegacyError::NoValues { operator: operator.as_str(), attribute }),
        };
        return test(attribute, operator, values);
    }
    if entry.list.is_some() {
        return Err(LegacyError::ListAlone(attribute));
    }
    match (entry.exists, entry.value) {
        (Some(false), Some(_)) => Err(LegacyError::ValueOfMissing(attribute)),
        (Some(false), None) => test(attribute, ComparisonOperator::Null, Vec::new()),
        (Some(true), None) => Err(LegacyError::ValueOfExisting(attribute)),
        (None, None) => Err(LegacyError::ValueMissing(attribute)),
        (_, Some(value)) => test(attribute, ComparisonOperator::Eq, vec![value]),
    }
}

/// Expected as a condition.
pub fn expected(
    entries: Vec<(String, Expected)>,
    operator: Option<ConditionalOperator>,
) -> Result<(Bound<Condition>, Attributes), LegacyError> {
    let tests = entries.into_iter().map(|(name, entry)| test_of(name, entry)).collect::<Result<_, _>>()?;
    combined(ExpressionKind::Condition, tests, operator)
}

/// KeyConditions as the terms of a key condition.
pub fn key_terms(tests: Vec<Test>) -> Result<Vec<KeyTerm>, LegacyError> {
    if !matches!(tests.len(), 1 | 2) {
        return Err(LegacyError::KeyConditionCount);
    }
    tests.into_iter().map(key_term).collect()
}

fn key_term(test: Test) -> Result<KeyTerm, LegacyError> {
    check(&test)?;
    let mut values = test.values.into_iter();
    let (first, second) = (values.next(), values.next());
    let compare = |comparator| move |value| KeyTest::Compare(comparator, value);
    let of_one = match test.operator {
        ComparisonOperator::Eq => first.map(compare(Comparator::Equal)),
        ComparisonOperator::Le => first.map(compare(Comparator::LessOrEqual)),
        ComparisonOperator::Lt => first.map(compare(Comparator::Less)),
        ComparisonOperator::Ge => first.map(compare(Comparator::GreaterOrEqual)),
        ComparisonOperator::Gt => first.map(compare(Comparator::Greater)),
        ComparisonOperator::BeginsWith => first.map(KeyTest::BeginsWith),
        ComparisonOperator::Between => first.zip(second).map(|(lower, upper)| KeyTest::Between(lower, upper)),
        _ => None,
    };
    let attribute = test.attribute;
    of_one.map(|test| KeyTerm { attribute, test }).ok_or(LegacyError::NotIndexable)
}
