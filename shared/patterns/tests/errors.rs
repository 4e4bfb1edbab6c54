//! Refusals, word for word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fractus_patterns::{Dialect, Pattern, PatternError};
use proptest::prelude::*;

fn refuse(text: &str, dialect: Dialect) -> PatternError {
    Pattern::parse(text, dialect).expect_err(text)
}

fn assert_refused(text: &str, message: &str, column: usize) {
    let expected = format!(
        "Event pattern is not valid. Reason: {message}\n at [Source: (String)\"{text}\"; line: 1, column: {column}]"
    );
    assert_eq!(refuse(text, Dialect::EventBridge).event_bridge_message(), expected);
}

/// As users have reported them of AWS.
#[test]
fn reported_refusals() {
    assert_refused(r#"{"source": ["aws.health"], "detail": {}}"#, "Empty objects are not allowed", 40);
    assert_refused(
        r#"{"source":["test.event-pattern"],"detail":{"lenderId":"LenderA"}}"#,
        r#""lenderId" must be an object or an array"#,
        56,
    );
    assert_refused(
        r#"{"detail-type":["CodeCommit Repository State Change"],"resources":"arn:aws"}"#,
        r#""resources" must be an object or an array"#,
        68,
    );
}

#[test]
fn every_rule_has_its_words() {
    let cases = [
        (r#""text""#, "Filter is not an object", 2),
        ("", "Filter is not an object", 1),
        ("{}", "Empty objects are not allowed", 3),
        (r#"{"a": []}"#, "Empty arrays are not allowed", 9),
        (r#"{"a": 1}"#, r#""a" must be an object or an array"#, 8),
        (r#"{"a": [[1]]}"#, "Match value must be String, number, true, false, or null", 9),
        (r#"{"a": [{}]}"#, "Match expression name not found", 10),
        (r#"{"a": [{"like": "x"}]}"#, "Unrecognized match type like", 18),
        (r#"{"a": [{"prefix": 1}]}"#, "prefix match pattern must be a string", 20),
        (r#"{"a": [{"prefix": "a", "suffix": "b"}]}"#, "Only one key allowed in match expression", 35),
        (r#"{"a": [{"suffix": ["b"]}]}"#, "suffix match pattern must be a string", 20),
        (r#"{"a": [{"prefix": {"x": "b"}}]}"#, "Unsupported prefix pattern: x", 26),
        (r#"{"a": [{"equals-ignore-case": 1}]}"#, "equals-ignore-case match pattern must be a string", 32),
        (r#"{"a": [{"exists": "true"}]}"#, "exists match pattern must be either true or false.", 20),
        (r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#, "IPv4 mask bits must be < 32", 30),
        (r#"{"a": [{"wildcard": "a**"}]}"#, "Consecutive wildcard characters at pos 2", 26),
        (r#"{"a": [{"numeric": 1}]}"#, "Value of numeric must be an array.", 21),
        (r#"{"a": [{"numeric": [1]}]}"#, "Invalid member in numeric match: 1", 22),
        (r#"{"a": [{"numeric": ["~", 1]}]}"#, "Unrecognized numeric range operator: ~", 27),
        (r#"{"a": [{"numeric": ["<", "1"]}]}"#, "Value of < must be numeric", 27),
        (r#"{"a": [{"numeric": ["=", 1, 2]}]}"#, "Too many elements in numeric expression", 30),
        (r#"{"a": [{"numeric": [">", 1, "~", 2]}]}"#, "Bad numeric range operator: ~", 32),
        (r#"{"a": [{"numeric": [">", 2, "<", 2]}]}"#, "Bottom must be less than top", 36),
        (r#"{"a": [{"numeric": [">", 1, "<", 2, 3]}]}"#, "Too many terms in numeric range expression", 38),
        (r#"{"a": [{"numeric": [">", 5000000001]}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive", 37),
        (
            r#"{"a": [{"anything-but": null}]}"#,
            "Value of anything-but must be an array or single string/number value.",
            29,
        ),
        (
            r#"{"a": [{"anything-but": [1, "b"]}]}"#,
            "Inside anything but list, either all values are number or string, mixed type is not supported",
            33,
        ),
        (r#"{"a": [{"anything-but": [true]}]}"#, "Inside anything but list, start|null|boolean is not supported.", 30),
        (r#"{"a": [{"anything-but": {"cidr": "x"}}]}"#, "Unsupported anything-but pattern: cidr", 35),
        (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "Null prefix/suffix not allowed", 38),
        (r#"{"$or": {"a": [1]}}"#, "It must be an Array followed with $or.", 10),
        (r#"{"$or": [{"a": [1]}]}"#, "There must have at least 2 Objects in $or relationship.", 21),
        (r#"{"$or": [{"a": [1]}, 2]}"#, "Only JSON object is allowed in array of $or relationship.", 23),
        (
            r#"{"$or": [{"prefix": ["x"]}, {"a": [1]}]}"#,
            "prefix is Ruler reserved fieldName which cannot be used inside $or.",
            22,
        ),
    ];
    for (text, message, column) in cases {
        assert_refused(text, message, column);
    }
}

#[test]
fn wildcards_may_be_too_complex() {
    let pattern = |texts: &[&str]| {
        let conditions: Vec<String> = texts.iter().map(|text| format!(r#"{{"wildcard": "{text}"}}"#)).collect();
        format!(r#"{{"key": [{}]}}"#, conditions.join(", "))
    };
    let refused = pattern(&["*/datasync/*.bif", "*/datasync/*.tif", "*/datasync/*.tiff", "*/datasync/*.svs"]);
    assert_eq!(
        refuse(&refused, Dialect::EventBridge).event_bridge_message(),
        "Event pattern is not valid. Reason: Rule is too complex - try using fewer wildcard characters or fewer \
         repeating character sequences after a wildcard character"
    );
    for accepted in
        [pattern(&["*/datasync/*.bif", "*/datasync/*.tif"]), pattern(&["*.bif", "*.tiff", "*.tif", "*.svs"])]
    {
        assert!(Pattern::parse(&accepted, Dialect::EventBridge).is_ok());
    }
}

#[test]
fn or_has_a_limit() {
    let alternatives = |field: &str| {
        let list: Vec<String> = (0..10).map(|n| format!(r#"{{"{field}{n}": [1]}}"#)).collect();
        format!(r#""$or": [{}]"#, list.join(","))
    };
    let three = format!(r#"{{{}, "x": {{{}}}, "y": {{{}}}}}"#, alternatives("a"), alternatives("b"), alternatives("c"));
    assert_eq!(Pattern::parse(&three, Dialect::EventBridge).unwrap().combinations(), 1_000);
    let four = format!("{}, \"z\": {{{}}}}}", &three[..three.len() - 1], alternatives("d"));
    assert_eq!(refuse(&four, Dialect::EventBridge), PatternError::TooManyCombinations(1_000));
}

#[test]
fn hostile_patterns_are_refused_quickly() {
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(60_000), "}".repeat(60_000));
    assert!(matches!(refuse(&deep, Dialect::EventBridge), PatternError::NotAllowed(_)));
    let ors = format!("{}{}", r#"{"$or": ["#.repeat(60_000), "]}".repeat(60_000));
    assert!(Pattern::parse(&ors, Dialect::SnsBody).is_err());
}

#[test]
fn dialects_differ() {
    let accepted = |text: &str, dialect| Pattern::parse(text, dialect).is_ok();
    let all = [Dialect::EventBridge, Dialect::Pipes, Dialect::Lambda, Dialect::SnsAttributes, Dialect::SnsBody];
    let cases = [
        (r#"{"a": [{"wildcard": "x*"}]}"#, [true, false, false, false, false]),
        (r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#, [true, false, false, true, true]),
        (r#"{"a": [{"anything-but": {"suffix": "x"}}]}"#, [true, false, false, false, false]),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": "x"}}]}"#, [true, false, false, false, false]),
        (r#"{"a": [{"anything-but": ["x"]}]}"#, [true; 5]),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "x"}}]}"#, [true; 5]),
        (r#"{"a": [{"numeric": [">", 2000000000]}]}"#, [true, true, true, false, false]),
        (r#"{"a": {"b": [1]}}"#, [true, true, true, false, true]),
        (r#"{"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}"#, [true, true, true, false, false]),
        (r#"{"a": {"a": [1], "b": [1], "c": [1]}, "d": [1], "e": [1], "f": [1]}"#, [true, true, true, false, true]),
        (r#"{"$or": [{"a": [1]}, {"b": [1]}]}"#, [true; 5]),
    ];
    for (text, expected) in cases {
        assert_eq!(all.map(|dialect| accepted(text, dialect)), expected, "{text}");
    }
}

#[test]
fn sns_has_its_own_words() {
    let message = |text: &str, dialect| refuse(text, dialect).sns_message();
    assert_eq!(message("{", Dialect::SnsBody), "Invalid parameter: FilterPolicy: failed to parse JSON.");
    assert_eq!(
        message(r#"{"a": [{"b": 1}]}"#, Dialect::SnsAttributes),
        "Invalid parameter: FilterPolicy: Unrecognized match type b\n at [Source: (String)\"{\"a\": [{\"b\": 1}]}\"; \
         line: 1, column: 15]"
    );
    assert_eq!(
        message(r#"{"a": {"b": [1]}}"#, Dialect::SnsAttributes),
        "Invalid parameter: FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy"
    );
    assert_eq!(
        message(r#"{"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}"#, Dialect::SnsAttributes),
        "Invalid parameter: FilterPolicy: Filter policy can not have more than 5 keys"
    );
    let list = |count: usize| format!("{:?}", (0..count).collect::<Vec<_>>());
    let flat = |a: usize, b: usize| format!(r#"{{"a": {}, "b": {}}}"#, list(a), list(b));
    assert!(Pattern::parse(&flat(15, 10), Dialect::SnsAttributes).is_ok());
    assert_eq!(
        message(&flat(15, 11), Dialect::SnsBody),
        "Invalid parameter: FilterPolicy: Filter policy is too complex"
    );
    // The documentation's example: 4 × 3 levels × 3 × 2 levels × 2 = 144.
    let nested = |last: usize| {
        format!(r#"{{"a": {{"b": {{"c": {}}}}}, "d": {{"e": {}}}, "f": {}}}"#, list(4), list(3), list(last))
    };
    assert!(Pattern::parse(&nested(2), Dialect::SnsBody).is_ok());
    assert!(Pattern::parse(&nested(3), Dialect::SnsBody).is_err());
}

/// Pieces of patterns in any order: nothing but an answer may come of them.
fn nonsense() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"$or\"",
        "\"prefix\"",
        "\"numeric\"",
        "\"anything-but\"",
        "\"wildcard\"",
        "\"cidr\"",
        "\"<\"",
        "\"=\"",
        "1",
        "-2.5e3",
        "1e999",
        "\"\"",
        "\"*a*\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "null",
        "true",
        "tru",
        "\\",
        "\"",
        "é",
        "\n",
        " ",
        "{\"a\": [",
        "]}",
        "[{\"anything-but\": {",
        "\u{7}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..25).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in prop_oneof![nonsense(), any::<String>()]) {
        for dialect in [Dialect::EventBridge, Dialect::SnsAttributes] {
            if let Err(error) = Pattern::parse(&text, dialect) {
                prop_assert!(error.event_bridge_message().len() < 4_000);
            }
        }
        let _ = fractus_patterns::Event::parse(&text);
    }
}
