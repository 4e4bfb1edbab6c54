//! The parameters from before expressions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{item, json, shown, value};
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::key_condition::KeyCondition;
use fractus_dynamodb_rules::legacy::{
    ComparisonOperator as Op, ConditionalOperator, Expected, Test, attributes_to_get, check_mixing, expected, filter,
    key_terms,
};
use fractus_dynamodb_rules::{Kind, RuleError};
use serde_json::Value as Json;

const INVALID: &str = "One or more parameter values were invalid: ";

fn test(attribute: &str, operator: Op, values: &[Json]) -> Test {
    Test { attribute: attribute.into(), operator, values: values.iter().cloned().map(value).collect() }
}

#[test]
fn filters_mean_what_they_meant() {
    let of = item(json!({"s": {"S": "hello"}, "n": {"N": "5"}, "ss": {"SS": ["a"]}, "a.b": {"S": "dots"}}));
    let cases = [
        (test("n", Op::Eq, &[json!({"N": "5.0"})]), true),
        (test("n", Op::Ne, &[json!({"N": "5"})]), false),
        (test("gone", Op::Ne, &[json!({"N": "5"})]), true),
        (test("n", Op::Lt, &[json!({"N": "6"})]), true),
        (test("n", Op::Ge, &[json!({"N": "6"})]), false),
        (test("n", Op::Between, &[json!({"N": "1"}), json!({"N": "5"})]), true),
        (test("n", Op::In, &[json!({"N": "1"}), json!({"N": "5"})]), true),
        (test("s", Op::BeginsWith, &[json!({"S": "he"})]), true),
        (test("s", Op::Contains, &[json!({"S": "ll"})]), true),
        (test("ss", Op::Contains, &[json!({"S": "a"})]), true),
        (test("s", Op::NotContains, &[json!({"S": "ll"})]), false),
        (test("gone", Op::Null, &[]), true),
        (test("s", Op::NotNull, &[]), true),
        (test("a.b", Op::Eq, &[json!({"S": "dots"})]), true),
    ];
    for (test, holds) in cases {
        let (condition, attributes) = filter(vec![test.clone()], None).unwrap();
        assert_eq!(condition.holds(&attributes, &of), holds, "{test:?}");
    }
    let two = || vec![test("n", Op::Eq, &[json!({"N": "5"})]), test("s", Op::Eq, &[json!({"S": "x"})])];
    let (all, attributes) = filter(two(), Some(ConditionalOperator::And)).unwrap();
    assert!(!all.holds(&attributes, &of));
    let (any, attributes) = filter(two(), Some(ConditionalOperator::Or)).unwrap();
    assert!(any.holds(&attributes, &of));
}

#[test]
fn filters_are_refused_in_aws_s_words() {
    let refused = |operator, values: &[Json]| filter(vec![test("a", operator, values)], None).unwrap_err().to_string();
    assert_eq!(refused(Op::Eq, &[]), format!("{INVALID}Invalid number of argument(s) for the EQ ComparisonOperator"));
    assert_eq!(
        refused(Op::Between, &[json!({"N": "1"})]),
        format!("{INVALID}Invalid number of argument(s) for the BETWEEN ComparisonOperator")
    );
    assert_eq!(
        refused(Op::Lt, &[json!({"SS": ["a"]})]),
        format!("{INVALID}ComparisonOperator LT is not valid for SS AttributeValue type")
    );
    assert_eq!(
        refused(Op::Between, &[json!({"N": "1"}), json!({"S": "1"})]),
        format!("{INVALID}AttributeValues inside AttributeValueList must be of same type")
    );
    assert_eq!(
        refused(Op::Between, &[json!({"N": "2"}), json!({"N": "1"})]),
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    );
    let one = vec![test("a", Op::Null, &[])];
    assert_eq!(
        filter(one, Some(ConditionalOperator::And)).unwrap_err().to_string(),
        "ConditionalOperator can only be used when Filter or Expected has two or more elements"
    );
    assert_eq!(
        filter(Vec::new(), Some(ConditionalOperator::Or)).unwrap_err().to_string(),
        "ConditionalOperator cannot be used without Filter or Expected"
    );
    assert_eq!(Op::named("NOT_CONTAINS"), Some(Op::NotContains));
    assert_eq!(Op::named("LIKE"), None);
}

#[test]
fn expected_values_and_their_errors() {
    let given = |value: Option<Json>, exists, operator, list: Option<Vec<Json>>| Expected {
        value: value.map(common::value),
        exists,
        operator,
        list: list.map(|list| list.into_iter().map(common::value).collect()),
    };
    let of = item(json!({"a": {"N": "1"}}));
    let holds = |entry| {
        let (condition, attributes) = expected(vec![("a".to_owned(), entry)], None).unwrap();
        condition.holds(&attributes, &of)
    };
    assert!(holds(given(Some(json!({"N": "1"})), None, None, None)));
    assert!(holds(given(Some(json!({"N": "1"})), Some(true), None, None)));
    assert!(!holds(given(None, Some(false), None, None)));
    assert!(holds(given(None, None, Some(Op::Ge), Some(vec![json!({"N": "1"})]))));
    let refused = |entry| expected(vec![("a".to_owned(), entry)], None).unwrap_err().to_string();
    let one = || Some(json!({"N": "1"}));
    let cases = [
        (given(None, Some(true), None, None), "Value must be provided when Exists is true for Attribute: a"),
        (given(one(), Some(false), None, None), "Value cannot be used when Exists is false for Attribute: a"),
        (
            given(None, None, Some(Op::Eq), None),
            "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (
            given(one(), None, Some(Op::Eq), Some(vec![])),
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            given(one(), Some(true), Some(Op::Eq), None),
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            given(None, None, None, Some(vec![])),
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
    ];
    for (entry, words) in cases {
        assert_eq!(refused(entry), format!("{INVALID}{words}"));
    }
    let error = RuleError::from(expected(vec![("a".to_owned(), Expected::default())], None).unwrap_err());
    assert!(error.in_envelope().starts_with("1 validation error detected: One or more"));
}

#[test]
fn key_conditions_from_before_expressions() {
    let schema = KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::N)));
    let pk = || test("pk", Op::Eq, &[json!({"S": "a"})]);
    let range = |tests| KeyCondition::new(&key_terms(tests).unwrap(), &schema).unwrap().range();
    let whole = range(vec![pk()]);
    let key = |number: u32| schema.table_bytes(&item(json!({"pk": {"S": "a"}, "sk": {"N": number.to_string()}})));
    assert!(whole.contains(&key(1)) && whole.contains(&key(9)));
    let between = range(vec![pk(), test("sk", Op::Between, &[json!({"N": "2"}), json!({"N": "4"})])]);
    assert_eq!((1..6).filter(|number| between.contains(&key(*number))).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(
        key_terms(vec![pk(), test("sk", Op::Ne, &[json!({"N": "2"})])]).unwrap_err().to_string(),
        "Attempted conditional constraint is not an indexable operation"
    );
    assert_eq!(key_terms(vec![]).unwrap_err().to_string(), "Conditions can be of length 1 or 2 only");
}

#[test]
fn attributes_to_get_are_names() {
    let (projection, attributes) = attributes_to_get(&["a.b".to_owned(), "c".to_owned()]).unwrap();
    let of = item(json!({"a.b": {"S": "x"}, "a": {"M": {"b": {"S": "y"}}}, "d": {"S": "z"}}));
    assert_eq!(shown(&projection.apply(&attributes, &of)), json!({"a.b": {"S": "x"}}));
    assert_eq!(
        attributes_to_get(&["a".to_owned(), "a".to_owned()]).unwrap_err().to_string(),
        format!("{INVALID}Duplicate value in attribute name: a")
    );
}

#[test]
fn the_two_kinds_of_parameters_do_not_mix() {
    assert_eq!(check_mixing(&["Expected"], &[]), Ok(()));
    assert_eq!(check_mixing(&[], &["ConditionExpression"]), Ok(()));
    assert_eq!(
        check_mixing(&["AttributeUpdates"], &["UpdateExpression"]).unwrap_err().to_string(),
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}"
    );
}
