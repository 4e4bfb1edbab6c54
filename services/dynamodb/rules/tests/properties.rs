//! Rules that hold for whatever comes: nothing panics, order is kept, evaluation agrees with a plain one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::cmp::Ordering;
use std::sync::Arc;

use common::item;
use fractus_dynamodb_rules::expression::{Attributes, Bound, Expression, ExpressionKind, Used};
use fractus_dynamodb_rules::key::{KeyBytes, encode_sort};
use fractus_dynamodb_rules::key_condition::terms;
use fractus_dynamodb_rules::partiql::Statement;
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, Number, Value, codec, json};
use proptest::prelude::*;
use serde_json::json;

fn number() -> impl Strategy<Value = Number> {
    ("-?[0-9]{1,20}(\\.[0-9]{1,15})?", -80_i32..80)
        .prop_filter_map("a number that can be kept", |(digits, exponent)| {
            Number::parse(&format!("{digits}e{exponent}")).ok()
        })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-c\u{0}é]{0,12}".prop_map(Value::S),
        number().prop_map(Value::N),
        prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()], 0..20).prop_map(Value::B),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::L),
            prop::collection::vec(("[a-d]", inner), 0..4).prop_map(|entries| Value::M(entries.into_iter().collect())),
            prop::collection::btree_set("[a-d]{1,2}", 1..4).prop_map(|set| Value::SS(set.into_iter().collect())),
        ]
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    prop::collection::vec(("[a-d]", value()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

/// A condition and what it should answer, kept as a tree beside its text.
#[derive(Debug, Clone)]
enum Plain {
    Compare(&'static str, Side, Side),
    Between(Side, Side, Side),
    In(Side, Vec<Side>),
    Exists(Vec<Step>),
    Contains(Side, Side),
    BeginsWith(Side, Side),
    And(Box<Plain>, Box<Plain>),
    Or(Box<Plain>, Box<Plain>),
    Not(Box<Plain>),
}

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Clone)]
enum Side {
    Path(Vec<Step>),
    Value(usize),
    Size(Vec<Step>),
}

fn path() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof!["[a-d]".prop_map(Step::Name), (0_usize..3).prop_map(Step::Index)];
    ("[a-d]", prop::collection::vec(step, 0..3)).prop_map(|(first, mut rest)| {
        rest.insert(0, Step::Name(first));
        rest
    })
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![3 => path().prop_map(Side::Path), 2 => (0_usize..4).prop_map(Side::Value), 1 => path().prop_map(Side::Size)]
}

fn plain() -> impl Strategy<Value = Plain> {
    let operator = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (operator, side(), side()).prop_map(|(operator, left, right)| Plain::Compare(operator, left, right)),
        (side(), side(), side()).prop_map(|(of, lower, upper)| Plain::Between(of, lower, upper)),
        (side(), prop::collection::vec(side(), 1..4)).prop_map(|(of, list)| Plain::In(of, list)),
        path().prop_map(Plain::Exists),
        (side(), side()).prop_map(|(of, part)| Plain::Contains(of, part)),
        (side(), side()).prop_map(|(of, prefix)| Plain::BeginsWith(of, prefix)),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| Plain::And(Box::new(one), Box::new(other))),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| Plain::Or(Box::new(one), Box::new(other))),
            inner.prop_map(|one| Plain::Not(Box::new(one))),
        ]
    })
}

fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Name(name) if text.is_empty() => text += name,
            Step::Name(name) => text += &format!(".{name}"),
            Step::Index(index) => text += &format!("[{index}]"),
        }
    }
    text
}

fn side_text(side: &Side) -> String {
    match side {
        Side::Path(path) => path_text(path),
        Side::Value(slot) => format!(":v{slot}"),
        Side::Size(path) => format!("size({})", path_text(path)),
    }
}

/// In parentheses wherever a mistake of precedence could show, without them where the plain tree needs none.
fn text(plain: &Plain, is_inside_and: bool) -> String {
    match plain {
        Plain::Compare(operator, left, right) => format!("{} {operator} {}", side_text(left), side_text(right)),
        Plain::Between(of, lower, upper) => {
            format!("{} BETWEEN {} AND {}", side_text(of), side_text(lower), side_text(upper))
        }
        Plain::In(of, list) => {
            format!("{} IN ({})", side_text(of), list.iter().map(side_text).collect::<Vec<_>>().join(", "))
        }
        Plain::Exists(path) => format!("attribute_exists({})", path_text(path)),
        Plain::Contains(of, part) => format!("contains({}, {})", side_text(of), side_text(part)),
        Plain::BeginsWith(of, prefix) => format!("begins_with({}, {})", side_text(of), side_text(prefix)),
        Plain::And(one, other) => format!("{} AND {}", text(one, true), text(other, true)),
        Plain::Or(one, other) if is_inside_and => format!("({} OR {})", text(one, false), text(other, false)),
        Plain::Or(one, other) => format!("{} OR {}", text(one, false), text(other, false)),
        Plain::Not(one) => match **one {
            Plain::And(..) | Plain::Or(..) => format!("NOT ({})", text(one, false)),
            _ => format!("NOT {}", text(one, true)),
        },
    }
}

fn walk(path: &[Step], item: &Item) -> Option<Value> {
    let mut current = Value::M(item.clone());
    for step in path {
        current = match (current, step) {
            (Value::M(map), Step::Name(name)) => map.get(name)?.clone(),
            (Value::L(list), Step::Index(index)) => list.get(*index)?.clone(),
            _ => return None,
        };
    }
    Some(current)
}

fn resolve(side: &Side, item: &Item, values: &[Value]) -> Option<Value> {
    match side {
        Side::Path(path) => walk(path, item),
        Side::Value(slot) => Some(values[*slot].clone()),
        Side::Size(path) => walk(path, item)?.length().map(|length| Value::number(length as u64)),
    }
}

fn order(one: Option<&Value>, other: Option<&Value>) -> Option<Ordering> {
    one?.order(other?)
}

/// The same question, answered with copies and without sharing anything with the evaluator but the comparison of values.
fn answer(plain: &Plain, item: &Item, values: &[Value]) -> bool {
    let get = |side: &Side| resolve(side, item, values);
    match plain {
        Plain::Compare(operator, left, right) => {
            let (left, right) = (get(left), get(right));
            let is_equal = left.is_some() && left == right;
            let order = order(left.as_ref(), right.as_ref());
            match *operator {
                "=" => is_equal,
                "<>" => !is_equal,
                "<" => order == Some(Ordering::Less),
                "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                ">" => order == Some(Ordering::Greater),
                _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            }
        }
        Plain::Between(of, lower, upper) => {
            let of = get(of);
            order(of.as_ref(), get(lower).as_ref()).is_some_and(Ordering::is_ge)
                && order(of.as_ref(), get(upper).as_ref()).is_some_and(Ordering::is_le)
        }
        Plain::In(of, list) => get(of).is_some_and(|of| list.iter().any(|one| get(one).as_ref() == Some(&of))),
        Plain::Exists(path) => walk(path, item).is_some(),
        Plain::Contains(of, part) => match (get(of), get(part)) {
            (Some(Value::S(text)), Some(Value::S(part))) => text.contains(&part),
            (Some(Value::B(bytes)), Some(Value::B(part))) => (0..=bytes.len()).any(|at| bytes[at..].starts_with(&part)),
            (Some(Value::SS(set)), Some(Value::S(member))) => set.contains(&member),
            (Some(Value::L(list)), Some(element)) => list.contains(&element),
            _ => false,
        },
        Plain::BeginsWith(of, prefix) => match (get(of), get(prefix)) {
            (Some(Value::S(text)), Some(Value::S(prefix))) => text.starts_with(&prefix),
            (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(&prefix),
            _ => false,
        },
        Plain::And(one, other) => answer(one, item, values) && answer(other, item, values),
        Plain::Or(one, other) => answer(one, item, values) || answer(other, item, values),
        Plain::Not(one) => !answer(one, item, values),
    }
}

fn bound(text: &str, values: &[Value]) -> Option<(Bound<fractus_dynamodb_rules::expression::Condition>, Attributes)> {
    let values = values.iter().enumerate().map(|(slot, value)| (format!(":v{slot}"), value.clone())).collect();
    let attributes = Attributes::new(None, Some(values)).unwrap();
    let form = Arc::new(Expression::condition(ExpressionKind::Condition, text).ok()?);
    Some((Bound::new(&form, &attributes, &mut Used::default()).ok()?, attributes))
}

/// Pieces that expressions are made of, so that random texts are nearly right.
fn nearly_an_expression() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SET",
        "REMOVE",
        "ADD",
        "DELETE",
        "a",
        "b.c",
        "a[0]",
        "#n",
        ":v0",
        ":v1",
        "=",
        "<>",
        "<",
        "(",
        ")",
        ",",
        "+",
        "-",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "size(",
        "contains(",
        "list_append(",
        "if_not_exists(",
        "attribute_exists(",
        "attribute_type(",
        "begins_with(",
        ".",
        "[",
        "]",
        "7",
        "é",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.join(" "))
}

fn nearly_a_statement() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SELECT",
        "*",
        "FROM",
        "\"T\"",
        "T",
        ".",
        "WHERE",
        "a",
        "=",
        "'x'",
        "1",
        "-",
        ".5",
        "1e5",
        "<<",
        ">>",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        "?",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "MISSING",
        "BETWEEN",
        "(",
        ")",
        "size",
        "INSERT INTO",
        "VALUE",
        "UPDATE",
        "SET",
        "REMOVE",
        "DELETE",
        "RETURNING ALL NEW *",
        "ORDER BY",
        "EXISTS",
        "set_add",
        "list_append",
        "true",
        "--",
        "/*",
        "*/",
        "'",
        "\"",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn numbers_come_back_from_their_text(number in number()) {
        prop_assert_eq!(Number::parse(&number.to_string()).unwrap(), number);
    }

    #[test]
    fn encoded_numbers_sort_like_numbers(one in number(), other in number()) {
        let encoded = |number: Number| {
            let mut bytes = KeyBytes::new();
            encode_sort(&Value::N(number), &mut bytes);
            bytes
        };
        prop_assert_eq!(encoded(one).cmp(&encoded(other)), one.cmp(&other));
        let difference = one.minus(other);
        if let Ok(difference) = difference {
            prop_assert_eq!(difference.cmp(&Number::ZERO), one.cmp(&other));
            prop_assert_eq!(difference.plus(other), Ok(one));
        }
    }

    #[test]
    fn encoded_bytes_sort_like_bytes(one in prop::collection::vec(prop_oneof![Just(0_u8), Just(255), any::<u8>()], 0..24),
                                     other in prop::collection::vec(prop_oneof![Just(0_u8), Just(255), any::<u8>()], 0..24)) {
        let encoded = |bytes: &Vec<u8>| {
            let mut out = KeyBytes::new();
            encode_sort(&Value::B(bytes.clone()), &mut out);
            out
        };
        prop_assert_eq!(encoded(&one).cmp(&encoded(&other)), one.cmp(&other));
        prop_assert!(one == other || !encoded(&one).starts_with(&encoded(&other)));
    }

    #[test]
    fn items_come_back_from_their_stored_form_and_from_json(item in any_item()) {
        let mut bytes = Vec::new();
        codec::encode(&item, &mut bytes);
        prop_assert_eq!(codec::decode(&bytes).unwrap(), item.clone());
        prop_assert_eq!(codec::stored_item_bytes(&bytes).unwrap(), item_bytes(&item));
        prop_assert_eq!(json::item_from_json(json::item_to_json(&item)).unwrap(), item);
    }

    #[test]
    fn damaged_items_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), item in any_item(), at in any::<prop::sample::Index>(), by in any::<u8>()) {
        let _ = (codec::decode(&bytes), codec::stored_item_bytes(&bytes));
        let mut stored = Vec::new();
        codec::encode(&item, &mut stored);
        let at = at.index(stored.len());
        stored[at] ^= by;
        let _ = (codec::decode(&stored), codec::stored_item_bytes(&stored));
    }

    #[test]
    fn conditions_agree_with_a_plain_evaluator(plain in plain(), item in any_item(), values in prop::collection::vec(value(), 4)) {
        let text = text(&plain, false);
        if let Some((condition, attributes)) = bound(&text, &values) {
            prop_assert_eq!(condition.holds(&attributes, &item), answer(&plain, &item, &values), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,120}") {
        everything_with(&text);
    }

    #[test]
    fn no_nearly_right_text_panics(text in nearly_an_expression()) {
        everything_with(&text);
    }

    #[test]
    fn no_statement_panics(text in prop_oneof![".{0,120}", nearly_a_statement()], parameter in value()) {
        if let Ok(statement) = Statement::parse(&text, vec![parameter]) {
            assert!(!format!("{:?}", statement.action).is_empty());
        }
        let _ = Statement::parse(&text, Vec::new());
    }
}

/// Whatever compiles evaluates.
fn everything_with(text: &str) {
    let of = item(json!({"a": {"L": [{"N": "1"}]}, "b": {"M": {"c": {"SS": ["x"]}}}}));
    let names = vec![("#n".to_owned(), "a".to_owned())];
    let values = vec![(":v0".to_owned(), Value::number(1)), (":v1".to_owned(), Value::L(vec![Value::text("x")]))];
    let attributes = Attributes::new(Some(names), Some(values)).unwrap();
    for kind in [ExpressionKind::Condition, ExpressionKind::KeyCondition] {
        if let Ok(form) = Expression::condition(kind, text)
            && let Ok(bound) = Bound::new(&Arc::new(form), &attributes, &mut Used::default())
        {
            let _ = bound.holds(&attributes, &of);
            let _ = terms(&bound, &attributes);
        }
    }
    if let Ok(form) = Expression::update(text)
        && let Ok(bound) = Bound::new(&Arc::new(form), &attributes, &mut Used::default())
        && let Ok(after) = bound.apply(&attributes, &of)
    {
        let _ = bound.touched(&attributes, &after);
    }
    if let Ok(form) = Expression::projection(text)
        && let Ok(bound) = Bound::new(&Arc::new(form), &attributes, &mut Used::default())
    {
        let _ = bound.apply(&attributes, &of);
    }
}
