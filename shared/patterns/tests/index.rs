//! The index answers as each pattern by itself does, for random patterns and random events, also after removals.

use fractus_patterns::{Dialect, Event, Index, Pattern};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,3}",
        "[aAbB]{1,2}",
        Just("10.0.0.1".to_owned()),
        Just("10.0.1.9".to_owned()),
        Just("::1".to_owned()),
        Just("éÉ".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-3i64..4).prop_map(|n| n.to_string()),
        (-3i64..4).prop_map(|n| format!("{n}.0")),
        Just("2.5".to_owned()),
        Just("123456789012".to_owned()),
        Just("0.1234567".to_owned()),
        Just("1e1".to_owned()),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => text().prop_map(|text| format!("\"{text}\"")),
        3 => number(),
        1 => prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(str::to_owned),
    ]
}

fn wildcard() -> impl Strategy<Value = String> {
    "(a|b|ab|\\*a|\\*b){1,3}\\*?"
}

fn range() -> impl Strategy<Value = String> {
    let low = prop_oneof![Just(">"), Just(">=")];
    let high = prop_oneof![Just("<"), Just("<=")];
    let one = prop_oneof![Just("="), Just("<"), Just("<="), Just(">"), Just(">=")];
    prop_oneof![
        (one, -3i64..4).prop_map(|(operator, n)| format!(r#"{{"numeric": ["{operator}", {n}]}}"#)),
        (low, -3i64..2, high, 2i64..4)
            .prop_map(|(low, bottom, high, top)| format!(r#"{{"numeric": ["{low}", {bottom}, "{high}", {top}]}}"#)),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => scalar(),
        1 => text().prop_map(|text| format!(r#"{{"prefix": "{text}"}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"suffix": "{text}"}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"equals-ignore-case": "{text}"}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"prefix": {{"equals-ignore-case": "{text}"}}}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"suffix": {{"equals-ignore-case": "{text}"}}}}"#)),
        2 => wildcard().prop_map(|text| format!(r#"{{"wildcard": "{text}"}}"#)),
        2 => range(),
        1 => (0u8..32).prop_map(|mask| format!(r#"{{"cidr": "10.0.0.0/{mask}"}}"#)),
        1 => (100u8..128).prop_map(|mask| format!(r#"{{"cidr": "::/{mask}"}}"#)),
        2 => any::<bool>().prop_map(|exists| format!(r#"{{"exists": {exists}}}"#)),
        1 => prop::collection::vec(text(), 1..3).prop_map(|texts| format!(r#"{{"anything-but": {texts:?}}}"#)),
        1 => (-3i64..4).prop_map(|n| format!(r#"{{"anything-but": {n}}}"#)),
        1 => "[ab]{1,2}".prop_map(|text| format!(r#"{{"anything-but": {{"prefix": "{text}"}}}}"#)),
        1 => "[ab]{1,2}".prop_map(|text| format!(r#"{{"anything-but": {{"suffix": ["{text}", "aa"]}}}}"#)),
        1 => text().prop_map(|text| format!(r#"{{"anything-but": {{"equals-ignore-case": "{text}"}}}}"#)),
        1 => wildcard().prop_map(|text| format!(r#"{{"anything-but": {{"wildcard": "{text}"}}}}"#)),
    ]
}

const NAMES: [&str; 4] = ["k", "l", "m", "k.l"];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.as_slice())
}

fn object_of(fields: Vec<(&'static str, String)>) -> String {
    let members: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop::collection::vec(condition(), 1..4).prop_map(|conditions| format!("[{}]", conditions.join(", ")));
    let value = leaf.prop_recursive(2, 12, 3, |inner| {
        let object = prop::collection::vec((name(), inner.clone()), 1..3).prop_map(object_of);
        prop_oneof![3 => inner.clone(), 2 => object, 1 => or(inner)]
    });
    let object = prop::collection::vec((name(), value.clone()), 1..4).prop_map(object_of);
    prop_oneof![4 => object, 1 => or(value)]
}

/// An object that holds a field and a `$or`.
fn or(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let alternative = prop::collection::vec((name(), value.clone()), 1..3).prop_map(object_of);
    (prop::collection::vec(alternative, 2..4), name(), value, any::<bool>()).prop_map(
        |(alternatives, name, value, both)| {
            let or = ("$or", format!("[{}]", alternatives.join(", ")));
            if both { object_of(vec![(name, value), or]) } else { object_of(vec![or]) }
        },
    )
}

fn event() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(4, 40, 4, |inner| {
        let object = prop::collection::vec((name(), inner.clone()), 0..4).prop_map(object_of);
        let array = prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(", ")));
        prop_oneof![2 => inner, 3 => object, 3 => array]
    });
    prop::collection::vec((name(), value), 0..5).prop_map(object_of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_each_pattern_by_itself(
        patterns in prop::collection::vec((pattern(), any::<bool>()), 1..25),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let read = |text: &String| Pattern::parse(text, Dialect::EventBridge).ok();
        let patterns: Vec<(Pattern, bool)> =
            patterns.iter().filter_map(|(text, removed)| read(text).map(|pattern| (pattern, *removed))).collect();
        let mut index = Index::new();
        for (id, (pattern, _)) in patterns.iter().enumerate() {
            index.insert(id, pattern);
        }
        let events: Vec<Event<'_>> = events.iter().map(|text| Event::parse(text).unwrap()).collect();
        for only_kept in [false, true] {
            if only_kept {
                for id in (0..patterns.len()).filter(|id| patterns[*id].1) {
                    prop_assert!(index.remove(&id));
                    prop_assert!(!index.remove(&id));
                }
            }
            for event in &events {
                let mut found: Vec<usize> = index.matches(event).into_iter().copied().collect();
                found.sort_unstable();
                let expected: Vec<usize> = (0..patterns.len())
                    .filter(|id| !(only_kept && patterns[*id].1) && patterns[*id].0.matches(event))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
        for id in 0..patterns.len() {
            index.remove(&id);
        }
        prop_assert!(index.is_empty());
        for event in &events {
            prop_assert!(index.matches(event).is_empty());
        }
    }
}

#[test]
fn a_pattern_put_again_replaces_the_first() {
    let parse = |text| Pattern::parse(text, Dialect::EventBridge).unwrap();
    let mut index = Index::new();
    index.insert("rule".to_owned(), &parse(r#"{"a": ["x"]}"#));
    index.insert("rule".to_owned(), &parse(r#"{"a": ["y"]}"#));
    let (x, y) = (Event::parse(r#"{"a": "x"}"#).unwrap(), Event::parse(r#"{"a": "y"}"#).unwrap());
    assert_eq!(index.len(), 1);
    assert!(index.matches(&x).is_empty());
    assert_eq!(index.matches(&y), ["rule"]);
    assert!(index.remove("rule"));
}

/// A scalar that stands in an array between objects lies in none of them, so it goes with each.
#[test]
fn a_scalar_beside_the_elements_of_an_array_is_found() {
    let pattern = Pattern::parse(
        r#"{"k": {"m": ["ab"], "l": ["x"]}, "k.n": ["y"], "k": [{"exists": true}]}"#,
        Dialect::EventBridge,
    );
    let mut index = Index::new();
    let pattern = pattern.unwrap();
    index.insert((), &pattern);
    for (event, expected) in [
        (r#"{"k": [{"m": "ab", "l": "x", "n": "y"}, ["-"], "z"]}"#, true),
        (r#"{"k": ["z", ["-"], {"m": "ab", "l": "x", "n": "y"}]}"#, true),
        (r#"{"k": [["-"], "z", {"m": "ab", "l": "x", "n": "y"}]}"#, true),
        (r#"{"k": [["z"], {"m": "ab", "l": "x", "n": "y"}]}"#, false),
    ] {
        let event = Event::parse(event).unwrap();
        assert_eq!(!index.matches(&event).is_empty(), expected, "{event:?}");
        assert_eq!(pattern.matches(&event), expected, "{event:?}");
    }
}

/// Thousands of elements beside each other: what matters is that the answer comes, and that it is right.
#[test]
fn large_arrays_are_answered() {
    let elements = |name: &str, count: usize| {
        let elements: Vec<String> = (0..count).map(|n| format!(r#"{{"{name}": {n}, "same": {n}}}"#)).collect();
        format!("[{}]", elements.join(","))
    };
    let text = format!(r#"{{"p": {}, "q": {}}}"#, elements("a", 6_000), elements("b", 6_000));
    let event = Event::parse(&text).unwrap();
    let cases = [
        (r#"{"p": {"a": [{"exists": true}]}, "q": {"b": [{"exists": true}]}}"#, true),
        (r#"{"p": {"a": [{"exists": true}]}, "q": {"b": [-1]}}"#, false),
        (r#"{"p": {"a": [{"numeric": [">=", 0]}], "same": [5999]}}"#, true),
        (r#"{"p": {"a": [{"numeric": ["<", 3000]}], "same": [{"numeric": [">=", 3000]}]}}"#, false),
        (r#"{"p": {"a": [5], "other": [{"exists": false}]}}"#, true),
    ];
    for (pattern, expected) in cases {
        let pattern = Pattern::parse(pattern, Dialect::EventBridge).unwrap();
        let mut index = Index::new();
        index.insert((), &pattern);
        assert_eq!(!index.matches(&event).is_empty(), expected, "{pattern:?}");
    }
}

/// Handlers share an index behind a lock and match in any thread.
#[test]
fn an_index_crosses_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<Index<String>>();
    crosses::<Pattern>();
    crosses::<Event<'static>>();
}
