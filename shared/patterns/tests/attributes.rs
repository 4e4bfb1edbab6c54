//! SNS filter policies over message attributes, by the examples of
//! <https://docs.aws.amazon.com/sns/latest/dg/example-filter-policies.html> and its neighbours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fractus_patterns::{Attribute, Dialect, Event, Pattern};

fn matches(policy: &str, attributes: &[(&str, Attribute<'_>)]) -> bool {
    let policy = Pattern::parse(policy, Dialect::SnsAttributes).unwrap_or_else(|error| panic!("{policy}: {error}"));
    policy.matches(&Event::from_attributes(attributes.iter().copied()))
}

#[test]
fn the_example_of_the_documentation() {
    let attributes = [
        ("store", Attribute::Text("example_corp")),
        ("event", Attribute::Text("order_placed")),
        ("customer_interests", Attribute::Array(r#"["soccer", "rugby", "hockey"]"#)),
        ("price_usd", Attribute::Number("210.75")),
    ];
    let accepted = r#"{"store": ["example_corp"], "event": [{"anything-but": "order_cancelled"}],
        "customer_interests": ["rugby", "football", "baseball"], "price_usd": [{"numeric": [">=", 100]}]}"#;
    assert!(matches(accepted, &attributes));
    let rejected = r#"{"store": ["example_corp"], "event": ["order_cancelled"], "encrypted": [false]}"#;
    assert!(!matches(rejected, &attributes));
}

#[test]
fn types_are_kept_apart() {
    assert!(matches(r#"{"n": [100]}"#, &[("n", Attribute::Number("100"))]));
    assert!(matches(r#"{"n": [100]}"#, &[("n", Attribute::Number("100.0"))]));
    assert!(!matches(r#"{"n": [100]}"#, &[("n", Attribute::Text("100"))]));
    assert!(!matches(r#"{"n": ["100"]}"#, &[("n", Attribute::Number("100"))]));
    assert!(matches(r#"{"n": [true, null]}"#, &[("n", Attribute::Array("[null]"))]));
}

#[test]
fn arrays_match_by_any_element() {
    let interests = [("i", Attribute::Array(r#"["rugby", "baseball"]"#))];
    assert!(matches(r#"{"i": [{"anything-but": ["rugby", "tennis"]}]}"#, &interests));
    assert!(!matches(r#"{"i": [{"anything-but": ["rugby", "baseball"]}]}"#, &interests));
}

#[test]
fn keys_may_have_to_be_absent() {
    assert!(matches(r#"{"store": [{"exists": false}]}"#, &[("other", Attribute::Text("x"))]));
    assert!(!matches(r#"{"store": [{"exists": false}]}"#, &[("store", Attribute::Text("x"))]));
    assert!(matches(r#"{"e": [{"exists": false}, {"anything-but": "x"}]}"#, &[]));
    assert!(matches(r#"{"ip": [{"cidr": "10.0.0.0/24"}]}"#, &[("ip", Attribute::Text("10.0.0.255"))]));
    assert!(matches(
        r#"{"source": ["aws"], "$or": [{"a": [1]}, {"b": [{"prefix": "x"}]}]}"#,
        &[("source", Attribute::Text("aws")), ("b", Attribute::Text("xy")),]
    ));
}
