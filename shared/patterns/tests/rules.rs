//! The published rules of the pattern language, by the examples of AWS's documentation:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-null-values.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html>.
//! Each case is asked of the pattern by itself and of an index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fractus_patterns::{Dialect, Event, Index, Pattern};

fn matches(pattern: &str, event: &str) -> bool {
    let parsed = Pattern::parse(pattern, Dialect::EventBridge).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let event = Event::parse(event).unwrap();
    let mut index = Index::new();
    index.insert(0, &parsed);
    let answer = parsed.matches(&event);
    assert_eq!(!index.matches(&event).is_empty(), answer, "{pattern}");
    answer
}

fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    for event in matching {
        assert!(matches(pattern, event), "{pattern} should match {event}");
    }
    for event in others {
        assert!(!matches(pattern, event), "{pattern} should not match {event}");
    }
}

#[test]
fn the_example_of_the_documentation() {
    let event = r#"{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "account": "111122223333",
        "time": "2017-12-22T18:43:48Z", "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": {"instance-id": "i-1234567890abcdef0", "state": "terminated"}}"#;
    let pattern = r#"{"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"],
        "detail": {"state": ["terminated"]}}"#;
    assert!(matches(pattern, event));
    assert!(!matches(&pattern.replace("terminated", "stopped"), event));
    assert!(!matches(r#"{"source": ["aws.ec2"], "detail": {"missing": ["x"]}}"#, event));
    assert!(matches(r#"{"account": ["111122223333"]}"#, event));
}

#[test]
fn texts_match_character_by_character() {
    check(
        r#"{"a": ["x"]}"#,
        &[r#"{"a": "x"}"#, r#"{"a": "\u0078"}"#],
        &[r#"{"a": "X"}"#, r#"{"a": "x "}"#, r#"{"a": 1}"#],
    );
    check(r#"{"a": ["1"]}"#, &[r#"{"a": "1"}"#], &[r#"{"a": 1}"#]);
    check(r#"{"a": ["true", "null"]}"#, &[r#"{"a": "true"}"#], &[r#"{"a": true}"#, r#"{"a": null}"#]);
}

#[test]
fn null_and_the_empty_text_are_different() {
    check(r#"{"a": [null]}"#, &[r#"{"a": null}"#, r#"{"a": [null, 1]}"#], &[r#"{"a": ""}"#, r#"{}"#, r#"{"a": []}"#]);
    check(r#"{"a": [""]}"#, &[r#"{"a": ""}"#], &[r#"{"a": null}"#, r#"{"a": " "}"#, r#"{}"#]);
}

#[test]
fn numbers_match_by_value_within_the_range_and_by_text_beyond() {
    check(
        r#"{"a": [300]}"#,
        &[r#"{"a": 300}"#, r#"{"a": 300.0}"#, r#"{"a": 3.0e2}"#],
        &[r#"{"a": "300"}"#, r#"{"a": 300.000001}"#],
    );
    check(
        r#"{"a": [123456789012]}"#,
        &[r#"{"a": 123456789012}"#],
        &[r#"{"a": 123456789012.0}"#, r#"{"a": 123456789013}"#],
    );
}

#[test]
fn prefix_and_suffix() {
    check(
        r#"{"time": [{"prefix": "2017-10-02"}]}"#,
        &[r#"{"time": "2017-10-02T18:43:48Z"}"#],
        &[r#"{"time": "2017-10-03"}"#],
    );
    check(
        r#"{"service": [{"prefix": {"equals-ignore-case": "EventB"}}]}"#,
        &[r#"{"service": "EVENTBRIDGE"}"#, r#"{"service": "eventb"}"#],
        &[r#"{"service": "event"}"#],
    );
    check(
        r#"{"FileName": [{"suffix": ".png"}]}"#,
        &[r#"{"FileName": "a.png"}"#],
        &[r#"{"FileName": "a.PNG"}"#, r#"{"FileName": 1}"#],
    );
    check(
        r#"{"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}"#,
        &[r#"{"FileName": "a.PNG"}"#],
        &[r#"{"FileName": "png"}"#],
    );
    check(r#"{"a": [{"prefix": ""}]}"#, &[r#"{"a": ""}"#, r#"{"a": "x"}"#], &[r#"{"a": 1}"#, "{}"]);
}

#[test]
fn anything_but() {
    check(
        r#"{"s": [{"anything-but": "init"}]}"#,
        &[r#"{"s": "run"}"#, r#"{"s": 1}"#, r#"{"s": null}"#],
        &[r#"{"s": "init"}"#, "{}"],
    );
    check(r#"{"x": [{"anything-but": 123}]}"#, &[r#"{"x": 124}"#, r#"{"x": "123"}"#], &[r#"{"x": 123.0}"#]);
    check(r#"{"s": [{"anything-but": ["stopped", "overloaded"]}]}"#, &[r#"{"s": "x"}"#], &[r#"{"s": "stopped"}"#]);
    check(r#"{"x": [{"anything-but": [100, 200]}]}"#, &[r#"{"x": 300}"#], &[r#"{"x": 2e2}"#]);
    check(r#"{"s": [{"anything-but": {"equals-ignore-case": "init"}}]}"#, &[r#"{"s": "ini"}"#], &[r#"{"s": "INIT"}"#]);
    check(
        r#"{"s": [{"anything-but": {"equals-ignore-case": ["init", "stopped"]}}]}"#,
        &[r#"{"s": "x"}"#],
        &[r#"{"s": "Stopped"}"#],
    );
    check(
        r#"{"s": [{"anything-but": {"prefix": "init"}}]}"#,
        &[r#"{"s": "x"}"#, r#"{"s": 5}"#],
        &[r#"{"s": "initial"}"#],
    );
    check(r#"{"s": [{"anything-but": {"prefix": ["a", "b"]}}]}"#, &[r#"{"s": "c"}"#], &[r#"{"s": "bx"}"#]);
    check(r#"{"f": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}"#, &[r#"{"f": "a.png"}"#], &[r#"{"f": "a.rtf"}"#]);
    check(r#"{"f": [{"anything-but": {"wildcard": "*/lib/*"}}]}"#, &[r#"{"f": "a/bin/b"}"#], &[r#"{"f": "a/lib/b"}"#]);
    check(
        r#"{"f": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}"#,
        &[r#"{"f": "a/b"}"#],
        &[r#"{"f": "a/bin/b"}"#],
    );
    // An array matches if one of its values does.
    check(r#"{"s": [{"anything-but": "a"}]}"#, &[r#"{"s": ["a", "b"]}"#], &[r#"{"s": ["a", "a"]}"#, r#"{"s": []}"#]);
}

#[test]
fn numeric() {
    check(
        r#"{"c": [{"numeric": [">", 0, "<=", 5]}]}"#,
        &[r#"{"c": 5}"#, r#"{"c": 0.000001}"#],
        &[r#"{"c": 0}"#, r#"{"c": 5.000001}"#, r#"{"c": "3"}"#],
    );
    check(
        r#"{"c": [{"numeric": ["<", 10]}]}"#,
        &[r#"{"c": -5000000000}"#, r#"{"c": 9.999999}"#],
        &[r#"{"c": 10}"#, r#"{"c": -5000000001}"#],
    );
    check(r#"{"c": [{"numeric": ["=", 3.018e2]}]}"#, &[r#"{"c": 301.8}"#], &[r#"{"c": 301.81}"#]);
    check(r#"{"c": [{"numeric": [">=", 5e9]}]}"#, &[r#"{"c": 5000000000}"#], &[r#"{"c": 4999999999.999999}"#]);
    check(r#"{"c": [{"numeric": [">", 5e9]}]}"#, &[], &[r#"{"c": 5000000000}"#, r#"{"c": 6000000000}"#]);
}

#[test]
fn addresses() {
    check(
        r#"{"ip": [{"cidr": "10.0.0.0/24"}]}"#,
        &[r#"{"ip": "10.0.0.255"}"#],
        &[r#"{"ip": "10.0.1.0"}"#, r#"{"ip": "x"}"#],
    );
    check(
        r#"{"ip": [{"cidr": "2001:db8::/64"}]}"#,
        &[r#"{"ip": "2001:DB8::ffff"}"#],
        &[r#"{"ip": "2001:db8:0:1::"}"#, r#"{"ip": "10.0.0.1"}"#],
    );
    check(r#"{"ip": ["::1"]}"#, &[r#"{"ip": "0:0:0:0:0:0:0:1"}"#], &[r#"{"ip": "::2"}"#]);
    // Beside a block, other conditions still see the text.
    check(
        r#"{"ip": [{"cidr": "10.0.0.0/24"}, {"prefix": "192."}]}"#,
        &[r#"{"ip": "192.168.0.1"}"#],
        &[r#"{"ip": "11.0.0.1"}"#],
    );
}

#[test]
fn exists_asks_for_leaves() {
    check(
        r#"{"d": {"c": [{"exists": true}]}}"#,
        &[r#"{"d": {"c": null}}"#, r#"{"d": {"c": ""}}"#],
        &[r#"{"d": {}}"#, r#"{"d": {"c": {"x": 1}}}"#, r#"{"d": {"c": []}}"#],
    );
    check(
        r#"{"d": {"c": [{"exists": false}]}}"#,
        &["{}", r#"{"d": {"c": {"x": 1}}}"#, r#"{"d": {"c": []}}"#],
        &[r#"{"d": {"c": 0}}"#],
    );
    check(r#"{"a": [{"exists": false}, "x"]}"#, &["{}", r#"{"a": "x"}"#], &[r#"{"a": "y"}"#]);
}

#[test]
fn equals_ignore_case_and_wildcard() {
    check(r#"{"a": [{"equals-ignore-case": "eVent"}]}"#, &[r#"{"a": "EVENT"}"#], &[r#"{"a": "events"}"#]);
    check(r#"{"a": [{"equals-ignore-case": "ÄÖÜ"}]}"#, &[r#"{"a": "äöü"}"#], &[r#"{"a": "aou"}"#]);
    check(r#"{"p": [{"wildcard": "dir/*.png"}]}"#, &[r#"{"p": "dir/a/b.png"}"#], &[r#"{"p": "x/dir/a.png"}"#]);
    check(r#"{"p": [{"wildcard": "*"}]}"#, &[r#"{"p": ""}"#, r#"{"p": "x"}"#], &[r#"{"p": 1}"#]);
    check(r#"{"p": [{"wildcard": "a\\*b\\\\*"}]}"#, &[r#"{"p": "a*b\\c"}"#], &[r#"{"p": "axb\\c"}"#]);
}

#[test]
fn or_multiplies() {
    let pattern = r#"{"source": ["aws.cloudwatch"], "$or": [
        {"metricName": ["CPUUtilization"]},
        {"metricType": ["MetricType"], "$or": [{"metricId": [1234]}, {"spaceId": [1000]}]},
        {"scope": ["Service"]}]}"#;
    check(
        pattern,
        &[
            r#"{"source": "aws.cloudwatch", "metricName": "CPUUtilization"}"#,
            r#"{"source": "aws.cloudwatch", "metricType": "MetricType", "spaceId": 1000}"#,
            r#"{"source": "aws.cloudwatch", "scope": "Service"}"#,
        ],
        &[
            r#"{"source": "aws.cloudwatch"}"#,
            r#"{"scope": "Service"}"#,
            r#"{"source": "aws.cloudwatch", "metricType": "MetricType"}"#,
        ],
    );
    assert_eq!(Pattern::parse(pattern, Dialect::EventBridge).unwrap().combinations(), 4);
    check(
        r#"{"detail": {"$or": [{"a": [1]}, {"b": {"c": [{"exists": false}]}}]}}"#,
        &[r#"{"detail": {"a": 1, "b": {"c": 1}}}"#, r#"{}"#],
        &[r#"{"detail": {"a": 2, "b": {"c": 1}}}"#],
    );
}

#[test]
fn arrays_intersect_and_elements_stay_together() {
    check(r#"{"r": ["x", "y"]}"#, &[r#"{"r": ["z", "y"]}"#, r#"{"r": [["y"]]}"#], &[r#"{"r": ["z"]}"#, r#"{"r": []}"#]);
    let employees = r#"{"employees": [[{"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"}],
        [{"firstName": "Peter", "lastName": "Jones"}]]}"#;
    assert!(matches(r#"{"employees": {"firstName": ["Anna"]}}"#, employees));
    assert!(matches(r#"{"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}"#, employees));
    assert!(!matches(r#"{"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}"#, employees));
    assert!(!matches(r#"{"employees": {"firstName": ["Anna"], "lastName": ["Doe"]}}"#, employees));
    // Elements of different arrays do not exclude each other.
    check(r#"{"p": {"a": [1]}, "q": {"b": [2]}}"#, &[r#"{"p": [{"a": 0}, {"a": 1}], "q": [{"b": 2}]}"#], &[]);
    // Absence is judged by the elements chosen for fields of smaller names.
    let items = r#"{"i": [{"a": 1}, {"a": 2, "b": 3}]}"#;
    assert!(matches(r#"{"i": {"a": [1], "b": [{"exists": false}]}}"#, items));
    assert!(!matches(r#"{"i": {"a": [2], "b": [{"exists": false}]}}"#, items));
    assert!(!matches(r#"{"i": {"b": [3], "a": [{"exists": false}]}}"#, r#"{"i": [{"a": 1}, {"b": 3}]}"#));
}

#[test]
fn dots_in_names_are_levels() {
    check(
        r#"{"d": {"s.t": [1]}}"#,
        &[r#"{"d": {"s": {"t": 1}}}"#, r#"{"d": {"s.t": 1}}"#, r#"{"d.s.t": 1}"#],
        &[r#"{"s": {"t": 1}}"#],
    );
}
