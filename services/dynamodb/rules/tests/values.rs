//! Numbers, sets, sizes, depth, the stored form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{item, json, value};
use fractus_dynamodb_rules::check::{self, ValueError};
use fractus_dynamodb_rules::json::value_from_json;
use fractus_dynamodb_rules::size::{MAX_ITEM_BYTES, item_bytes, value_bytes};
use fractus_dynamodb_rules::{Number, Value, codec};

const OVERFLOW: &str = "Number overflow. Attempting to store a number with magnitude larger than supported range";
const UNDERFLOW: &str = "Number underflow. Attempting to store a number with magnitude smaller than supported range";

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn numbers_are_given_back_plain() {
    let zeros = |count| "0".repeat(count);
    let cases = [
        ("0", "0".to_owned()),
        ("-0", "0".to_owned()),
        ("0.000", "0".to_owned()),
        ("0e125", "0".to_owned()),
        ("+1", "1".to_owned()),
        ("0042.1200", "42.12".to_owned()),
        (".5", "0.5".to_owned()),
        ("5.", "5".to_owned()),
        ("-12.50", "-12.5".to_owned()),
        ("1E2", "100".to_owned()),
        ("1.5e-3", "0.0015".to_owned()),
        ("123e-2", "1.23".to_owned()),
        ("9007199254740993", "9007199254740993".to_owned()),
        ("99999999999999999999999999999999999999", "9".repeat(38)),
        ("1E125", format!("1{}", zeros(125))),
        ("1e-130", format!("0.{}1", zeros(129))),
        ("1000000000000000000000000000000000000000000", format!("1{}", zeros(42))),
    ];
    for (text, plain) in cases {
        assert_eq!(number(text).to_string(), plain, "{text}");
        assert_eq!(number(&plain), number(text), "{text}");
    }
}

#[test]
fn numbers_are_refused_in_aws_s_words() {
    let not_numeric = |text: &str| format!("The parameter cannot be converted to a numeric value: {text}");
    let cases = [
        ("1e126", OVERFLOW.to_owned()),
        ("-1e126", OVERFLOW.to_owned()),
        ("10e125", OVERFLOW.to_owned()),
        ("1e99999999999", OVERFLOW.to_owned()),
        ("1e2147483647", OVERFLOW.to_owned()),
        ("0e126", OVERFLOW.to_owned()),
        ("1e-131", UNDERFLOW.to_owned()),
        ("1e-99999999999", UNDERFLOW.to_owned()),
        ("0e-131", UNDERFLOW.to_owned()),
        (
            "1234567890123456789012345678901234567890",
            "Attempting to store more than 38 significant digits in a Number".to_owned(),
        ),
        (
            "1.00000000000000000000000000000000000001",
            "Attempting to store more than 38 significant digits in a Number".to_owned(),
        ),
        ("", not_numeric("")),
        ("abc", not_numeric("abc")),
        ("1.2.3", not_numeric("1.2.3")),
        (" 1", not_numeric(" 1")),
        ("1 ", not_numeric("1 ")),
        ("0x10", not_numeric("0x10")),
        ("1e", not_numeric("1e")),
        (".", not_numeric(".")),
        ("-", not_numeric("-")),
        ("NaN", not_numeric("NaN")),
        ("Infinity", not_numeric("Infinity")),
        ("1e9223372036854775808", not_numeric("1e9223372036854775808")),
    ];
    for (text, words) in cases {
        assert_eq!(Number::parse(text).expect_err(text).to_string(), words, "{text}");
    }
}

#[test]
fn arithmetic_is_exact_or_refused() {
    let cases = [
        ("1", "2", "3"),
        ("0.1", "0.2", "0.3"),
        ("9007199254740993", "1", "9007199254740994"),
        ("-5", "5", "0"),
        ("-5", "2", "-3"),
        ("5", "-7", "-2"),
        ("1e30", "1", "1000000000000000000000000000001"),
        ("99999999999999999999999999999999999999", "1", "1e38"),
        ("1e100", "1e100", "2e100"),
        ("0", "-1e-130", "-1e-130"),
    ];
    for (one, other, sum) in cases {
        assert_eq!(number(one).plus(number(other)).unwrap(), number(sum), "{one} + {other}");
        assert_eq!(number(other).plus(number(one)).unwrap(), number(sum), "{other} + {one}");
        assert_eq!(number(sum).minus(number(other)).unwrap(), number(one), "{sum} - {other}");
    }
    let digits = "Attempting to store more than 38 significant digits in a Number";
    assert_eq!(number("1e50").plus(number("1")).unwrap_err().to_string(), digits);
    assert_eq!(number("1e125").plus(number("1e-130")).unwrap_err().to_string(), digits);
    assert_eq!(number("1e38").minus(number("0.1")).unwrap_err().to_string(), digits);
    assert_eq!(number("9e125").plus(number("9e125")).unwrap_err().to_string(), OVERFLOW);
}

#[test]
fn sizes_of_numbers_are_those_measured_on_aws() {
    let cases = [
        ("1", 2),
        ("0", 1),
        ("-1", 3),
        ("12", 2),
        ("123", 3),
        ("123456", 4),
        ("3.14159", 5),
        ("1E125", 2),
        ("0.0012", 2),
        ("-0.5", 3),
    ];
    for (text, bytes) in cases {
        assert_eq!(number(text).size_bytes(), bytes, "{text}");
    }
}

#[test]
fn sizes_of_documents_count_overhead() {
    assert_eq!(value_bytes(&value(json!({"S": "é"}))), 2);
    assert_eq!(value_bytes(&value(json!({"BOOL": true}))), 1);
    assert_eq!(value_bytes(&value(json!({"NULL": true}))), 1);
    assert_eq!(value_bytes(&value(json!({"L": []}))), 3);
    assert_eq!(value_bytes(&value(json!({"L": [{"S": "ab"}, {"S": ""}]}))), 3 + 2 + 1 + 1);
    assert_eq!(value_bytes(&value(json!({"M": {"name": {"S": "ab"}}}))), 3 + 4 + 2 + 1);
    assert_eq!(value_bytes(&value(json!({"SS": ["a", "bc"]}))), 3);
    assert_eq!(item_bytes(&item(json!({"pk": {"S": "abc"}, "n": {"N": "12"}}))), 2 + 3 + 1 + 2);
    let mut largest = item(json!({"pk": {"S": ""}}));
    largest.insert("pk", Value::text("x".repeat(MAX_ITEM_BYTES - 2)));
    assert_eq!(check::item(&largest), Ok(()));
    largest.insert("a", Value::text(""));
    assert_eq!(check::item(&largest).unwrap_err().to_string(), "Item size has exceeded the maximum allowed size");
}

fn refused(json: serde_json::Value) -> ValueError {
    value_from_json(json).unwrap_err()
}

#[test]
fn sets_are_not_empty_and_have_no_duplicates() {
    const INVALID: &str = "One or more parameter values were invalid: ";
    let cases = [
        (json!({"SS": []}), "An string set  may not be empty", None),
        (json!({"NS": []}), "An number set  may not be empty", None),
        (json!({"BS": []}), "Binary sets should not be empty", None),
        (
            json!({"SS": ["b", "a", "b"]}),
            r#"Input collection ["a", "b", "b"] contains duplicates."#,
            Some("One or more parameter values were invalid: Input collection [b, a, b] contains duplicates."),
        ),
        (
            json!({"BS": ["/w==", "AA==", "AA=="]}),
            r#"Input collection ["AA==","/w==","AA=="]of type BS contains duplicates."#,
            Some(
                "One or more parameter values were invalid: Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
            ),
        ),
        (
            json!({"NS": ["2", "1", "2.0"]}),
            "Input collection contains duplicates.",
            Some("Input collection contains duplicates"),
        ),
        (json!({"NULL": false}), "Null attribute value types must have the value of true", None),
    ];
    for (json, words, older) in cases {
        let error = refused(json);
        let current = format!("{INVALID}{words}");
        assert_eq!(error.to_string(), current);
        assert_eq!(error.in_older_words(), older.unwrap_or(&current));
    }
    assert_eq!(value(json!({"SS": ["b", "", "a"]})), Value::SS(vec![String::new(), "a".into(), "b".into()]));
    assert_eq!(value(json!({"NS": ["10", "9", "-1"]})).to_string(), "{NS:[-1, 9, 10]}");
}

#[test]
fn a_value_has_one_type() {
    assert_eq!(
        refused(json!({})).to_string(),
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
    );
    assert_eq!(
        refused(json!({"S": "a", "N": "1"})).to_string(),
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    );
    assert_eq!(refused(json!({"N": ""})).in_older_words(), "The parameter cannot be converted to a numeric value");
}

#[test]
fn documents_go_32_levels_deep() {
    let deep = |levels: usize| {
        (0..levels)
            .fold(value(json!({"S": "leaf"})), |inner, _| Value::M([("n".to_owned(), inner)].into_iter().collect()))
    };
    assert_eq!(check::depth(&deep(31)), Ok(()));
    assert_eq!(check::depth(&deep(32)), Err(ValueError::TooDeep));
    let mut with_empty_name = item(json!({"m": {"M": {"": {"S": "x"}}}}));
    assert_eq!(check::item(&with_empty_name), Err(ValueError::EmptyName));
    with_empty_name.insert("d", deep(40));
    assert_eq!(check::item(&with_empty_name), Err(ValueError::TooDeep));
    with_empty_name.insert("", Value::Null);
    assert_eq!(check::item(&with_empty_name), Err(ValueError::EmptyName));
}

#[test]
fn items_are_stored_and_come_back() {
    let all = item(json!({
        "s": {"S": "text é"}, "n": {"N": "-12.345"}, "b": {"B": "AAEC"}, "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.5"]},
        "bs": {"BS": ["AA==", "AQ=="]}, "m": {"M": {"l": {"L": [{"BOOL": true}, {"NULL": true}, {"M": {}}]}}}, "f": {"BOOL": false},
        "big": {"N": "99999999999999999999999999999999999999e80"}
    }));
    let mut bytes = Vec::new();
    codec::encode(&all, &mut bytes);
    assert_eq!(codec::decode(&bytes).unwrap(), all);
    for cut in 0..bytes.len() {
        assert!(codec::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    bytes[0] = 9;
    assert_eq!(codec::decode(&bytes), Err(codec::CodecError::Version));
}

#[test]
fn of_two_entries_of_one_name_the_later_counts() {
    let entries = [("b", 1), ("a", 2), ("b", 3), ("c", 4), ("b", 5)];
    let map: fractus_dynamodb_rules::Map =
        entries.into_iter().map(|(name, number)| (name.to_owned(), Value::number(number))).collect();
    assert_eq!(map.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>(), "a{N:2}b{N:5}c{N:4}");
}
