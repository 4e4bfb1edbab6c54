//! Keys, key conditions, pages, capacity.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{attributes, bind_condition, bind_projection, item, json, shown};
use fractus_dynamodb_rules::capacity::{Projected, ReadMode, Units, index_write, read, write};
use fractus_dynamodb_rules::expression::{Attributes, ExpressionKind};
use fractus_dynamodb_rules::key::{KeyAttribute, KeyRange, KeySchema};
use fractus_dynamodb_rules::key_condition::{KeyCondition, terms};
use fractus_dynamodb_rules::plan::{MAX_PAGE_BYTES, Page, ReadPlan};
use fractus_dynamodb_rules::{Item, Kind, Value};
use serde_json::Value as Json;

fn table() -> KeySchema {
    KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::N)))
}

fn texts() -> KeySchema {
    KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::S)))
}

#[test]
fn an_item_has_its_key() {
    let refused = |json: Json| table().check_item(&item(json)).unwrap_err().to_string();
    assert_eq!(table().check_item(&item(json!({"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": ""}}))), Ok(()));
    assert_eq!(
        refused(json!({"pk": {"S": "a"}})),
        "One or more parameter values were invalid: Missing the key sk in the item"
    );
    assert_eq!(
        refused(json!({"pk": {"N": "1"}, "sk": {"N": "1"}})),
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"
    );
    assert_eq!(
        refused(json!({"pk": {"S": ""}, "sk": {"N": "1"}})),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    );
    let long = |count| json!({"pk": {"S": "x".repeat(count)}, "sk": {"N": "1"}});
    assert_eq!(table().check_item(&item(long(2_048))), Ok(()));
    assert_eq!(
        refused(long(2_049)),
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    );
    let long_sort = item(json!({"pk": {"S": "a"}, "sk": {"S": "x".repeat(1_025)}}));
    assert_eq!(
        texts().check_item(&long_sort).unwrap_err().to_string(),
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    );
    let binary = KeySchema::of_table(("pk", Kind::B), None);
    assert_eq!(
        binary.check_key(&item(json!({"pk": {"B": ""}}))).unwrap_err().to_string(),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: pk"
    );
    for wrong in [
        json!({"pk": {"S": "a"}}),
        json!({"pk": {"S": "a"}, "sk": {"S": "1"}}),
        json!({"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": "y"}}),
    ] {
        assert_eq!(
            table().check_key(&item(wrong)).unwrap_err().to_string(),
            "The provided key element does not match the schema"
        );
    }
}

#[test]
fn an_index_takes_what_has_its_key() {
    let index = KeySchema::of_table(("g", Kind::S), Some(("h", Kind::N)));
    assert_eq!(index.check_index("gsi", &item(json!({"g": {"S": "a"}, "h": {"N": "1"}}))), Ok(true));
    assert_eq!(index.check_index("gsi", &item(json!({"g": {"S": "a"}}))), Ok(false));
    let refused = |json: Json| index.check_index("gsi", &item(json)).unwrap_err().to_string();
    assert_eq!(
        refused(json!({"g": {"N": "1"}})),
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: gsi"
    );
    assert_eq!(
        refused(json!({"g": {"S": ""}, "h": {"N": "1"}})),
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: gsi, IndexKey: g"
    );
}

fn key_condition(text: &str, given: Json, schema: &KeySchema) -> Result<KeyCondition, String> {
    let attributes = attributes(given);
    let bound = bind_condition(ExpressionKind::KeyCondition, text, &attributes)?;
    let terms = terms(&bound, &attributes).map_err(|error| error.to_string())?;
    KeyCondition::new(&terms, schema).map_err(|error| error.to_string())
}

#[test]
fn key_conditions_are_refused_in_aws_s_words() {
    const PREFIX: &str = "Invalid KeyConditionExpression: ";
    const TYPE: &str = "One or more parameter values were invalid: Condition parameter type does not match schema type";
    let operand = |operator, kind| {
        format!(
            "{PREFIX}Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
        )
    };
    let cases = [
        ("pk = :p AND begins_with(sk, :n)", operand("begins_with", "N")),
        ("pk = :p AND begins_with(sk, :s)", TYPE.to_owned()),
        ("pk = :p AND sk < :b", operand("<", "BOOL")),
        ("pk = :p AND :b >= sk", operand(">=", "BOOL")),
        ("pk = :p AND sk BETWEEN :b AND :b", operand("BETWEEN", "BOOL")),
        ("pk = :p AND sk = :b", TYPE.to_owned()),
        ("pk = :n", TYPE.to_owned()),
        ("pk = :p AND sk > :n AND sk < :n", format!("{PREFIX}KeyConditionExpressions must only contain one condition per key")),
        ("pk = :p AND sk > :n AND extra = :n", "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)".to_owned()),
        ("sk = :n", "Query condition missed key schema element: pk".to_owned()),
        ("pk = :p AND extra = :n", "Query condition missed key schema element: sk".to_owned()),
        ("pk > :p", "Query key condition not supported".to_owned()),
        ("pk = :p OR sk = :n", "Invalid operator used in KeyConditionExpression: OR".to_owned()),
        ("pk = :p AND sk IN (:n)", "Invalid operator used in KeyConditionExpression: IN".to_owned()),
        ("pk <> :p", "Invalid operator used in KeyConditionExpression: <>".to_owned()),
        ("pk = :empty", "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk".to_owned()),
        ("pk = :missing AND begins_with(sk, :n)", format!("{PREFIX}An expression attribute value used in expression is not defined; attribute value: :missing")),
        ("begins_with(sk, :n) AND pk = :missing", operand("begins_with", "N")),
    ];
    for (text, words) in cases {
        let given =
            json!({":p": {"S": "q"}, ":n": {"N": "1"}, ":s": {"S": "a"}, ":b": {"BOOL": true}, ":empty": {"S": ""}});
        assert_eq!(key_condition(text, given, &table()).expect_err(text), words, "{text}");
    }
}

/// The sort keys of these items that a key condition's range holds, in order.
fn found(text: &str, given: Json, schema: &KeySchema, items: &[Item]) -> Vec<String> {
    let range = key_condition(text, given, schema).unwrap().range();
    let mut keys: Vec<_> = items.iter().map(|item| (schema.table_bytes(item), item)).collect();
    keys.sort_by(|one, other| one.0.cmp(&other.0));
    keys.into_iter()
        .filter(|(key, _)| range.contains(key))
        .map(|(_, item)| match item.get("sk").unwrap() {
            Value::S(text) => text.clone(),
            Value::N(number) => number.to_string(),
            other => other.to_string(),
        })
        .collect()
}

#[test]
fn ranges_hold_the_right_sort_keys() {
    let numbers = ["-1e30", "-2.5", "-2", "0", "0.001", "1", "1.5", "10", "1e100"];
    let items: Vec<Item> =
        numbers.iter().rev().map(|number| item(json!({"pk": {"S": "p"}, "sk": {"N": number}}))).collect();
    let values = || json!({":p": {"S": "p"}, ":a": {"N": "-2"}, ":b": {"N": "1.50"}});
    let of = |text| found(text, values(), &table(), &items);
    let all = of("pk = :p");
    assert_eq!(all.len(), numbers.len());
    assert_eq!(all[1..4], ["-2.5", "-2", "0"]);
    assert_eq!(of("pk = :p AND sk = :b"), ["1.5"]);
    assert_eq!(of("pk = :p AND sk < :a"), [all[0].as_str(), "-2.5"]);
    assert_eq!(of("pk = :p AND sk <= :a"), [all[0].as_str(), "-2.5", "-2"]);
    assert_eq!(of("pk = :p AND :a < sk"), all[3..]);
    assert_eq!(of("pk = :p AND sk >= :b"), all[6..]);
    assert_eq!(of("sk BETWEEN :a AND :b AND pk = :p"), ["-2", "0", "0.001", "1", "1.5"]);
    let words = ["", "a", "ab", "ab\u{0}", "abc", "abcdefgh", "abcdefghi", "ac", "b", "é"];
    let items: Vec<Item> =
        words[1..].iter().rev().map(|word| item(json!({"pk": {"S": "p"}, "sk": {"S": word}}))).collect();
    let of =
        |text| found(text, json!({":p": {"S": "p"}, ":a": {"S": "ab"}, ":h": {"S": "abcdefgh"}}), &texts(), &items);
    assert_eq!(of("pk = :p"), words[1..]);
    assert_eq!(of("pk = :p AND begins_with(sk, :a)"), words[2..7]);
    assert_eq!(of("pk = :p AND begins_with(sk, :h)"), words[5..7]);
    assert_eq!(of("pk = :p AND sk > :a"), words[3..]);
    let other = json!({":p": {"S": "q"}});
    assert!(found("pk = :p", other, &texts(), &items).is_empty());
}

#[test]
fn index_keys_of_several_attributes_are_given_from_the_first() {
    let attribute = |name: &str| KeyAttribute { name: name.to_owned(), kind: Kind::S };
    let index = KeySchema { partition: vec![attribute("h")], sort: ["a", "b", "c"].map(attribute).to_vec() };
    let base = KeySchema::of_table(("pk", Kind::S), None);
    let of = |number: usize, a: &str, b: &str, c: &str| {
        item(json!({"pk": {"S": number.to_string()}, "h": {"S": "o"}, "a": {"S": a}, "b": {"S": b}, "c": {"S": c}}))
    };
    let items = [of(1, "T", "live", "b"), of(2, "T", "live", "a"), of(3, "T", "draft", "c"), of(4, "F", "live", "a")];
    let given = || json!({":h": {"S": "o"}, ":a": {"S": "T"}, ":b": {"S": "live"}, ":c": {"S": "a"}});
    let found = |text: &str| -> Vec<String> {
        let range = key_condition(text, given(), &index).unwrap().range();
        let mut keys: Vec<_> = items.iter().map(|item| (index.index_bytes(&base, item), item)).collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        keys.into_iter()
            .filter(|(key, _)| range.contains(key))
            .map(|(_, item)| item.get("pk").unwrap().to_string())
            .collect()
    };
    assert_eq!(found("h = :h"), ["{S:4}", "{S:3}", "{S:2}", "{S:1}"]);
    assert_eq!(found("b = :b AND h = :h AND a = :a"), ["{S:2}", "{S:1}"]);
    assert_eq!(found("h = :h AND a = :a AND b < :b"), ["{S:3}"]);
    assert_eq!(found("h = :h AND a = :a AND b = :b AND c > :c"), ["{S:1}"]);
    for text in ["h = :h AND a = :a AND c = :c", "h = :h AND a = :a AND b > :b AND c = :c"] {
        assert_eq!(
            key_condition(text, given(), &index).unwrap_err(),
            "RANGE key attributes b must have equality conditions specified in the query because a condition is present on key attribute c"
        );
    }
}

#[test]
fn reading_goes_on_after_a_key() {
    let key = |number: u32| table().table_bytes(&item(json!({"pk": {"S": "p"}, "sk": {"N": number.to_string()}})));
    let range =
        key_condition("pk = :p AND sk >= :n", json!({":p": {"S": "p"}, ":n": {"N": "2"}}), &table()).unwrap().range();
    let rest = range.clone().after(&key(5), true).unwrap();
    assert!(!rest.contains(&key(5)) && rest.contains(&key(6)) && !rest.contains(&key(4)));
    let rest = range.clone().after(&key(5), false).unwrap();
    assert!(!rest.contains(&key(5)) && !rest.contains(&key(6)) && rest.contains(&key(4)));
    assert_eq!(
        range.after(&key(1), true).unwrap_err().to_string(),
        "The provided starting key is outside query boundaries based on provided conditions"
    );
}

#[test]
fn segments_part_a_table_without_gap_or_overlap() {
    let key = |number: u32| {
        KeySchema::of_table(("pk", Kind::N), None).table_bytes(&item(json!({"pk": {"N": number.to_string()}})))
    };
    for of in [1, 2, 3, 7, 1_000_000] {
        let mut used = std::collections::BTreeSet::new();
        for number in 0..200 {
            let key = key(number);
            let hash = u64::from_be_bytes(key[..8].try_into().unwrap());
            let near = ((u128::from(hash) * u128::from(of)) >> 64) as u32;
            let range = near.saturating_sub(2)..(near + 3).min(of);
            let holders: Vec<u32> = range.filter(|segment| KeyRange::segment(*segment, of).contains(&key)).collect();
            assert_eq!(holders.len(), 1, "{number} of {of}");
            used.insert(holders[0]);
        }
        assert!(used.len() as u32 >= of.min(7), "{of} segments share the work");
    }
    assert_eq!(KeyRange::segment(0, 1), KeyRange::everything());
}

#[test]
fn a_page_counts_before_it_filters() {
    let given = attributes(json!({":two": {"N": "2"}}));
    let plan = ReadPlan {
        range: KeyRange::everything(),
        is_forward: true,
        limit: Some(3),
        filter: Some(bind_condition(ExpressionKind::Filter, "n < :two", &given).unwrap()),
        projection: Some(bind_projection("n", &Attributes::default()).unwrap()),
        counts_only: false,
    };
    let mut page = Page::default();
    let mut number = 0;
    while !page.is_full(&plan) {
        page.read(&plan, &given, item(json!({"pk": {"S": "abc"}, "n": {"N": number.to_string()}})));
        number += 1;
    }
    assert_eq!((page.scanned_count, page.count, page.read_bytes), (3, 2, 5 + 2 + 2 * (5 + 3)));
    assert_eq!(page.items.iter().map(shown).collect::<Vec<_>>(), [json!({"n": {"N": "0"}}), json!({"n": {"N": "1"}})]);
    let counting = ReadPlan { counts_only: true, limit: None, filter: None, ..plan };
    let mut page = Page::default();
    let large = item(json!({"v": {"S": "x".repeat(300 * 1_024 - 1)}}));
    while !page.is_full(&counting) {
        page.read(&counting, &given, large.clone());
    }
    assert_eq!((page.scanned_count, page.items.len()), (4, 0));
    assert!(page.read_bytes > MAX_PAGE_BYTES);
}

#[test]
fn capacity_is_rounded_once_and_up() {
    let units = |units: Units| units.as_f64();
    assert_eq!(units(read(0, ReadMode::Eventual)), 0.5);
    assert_eq!(units(read(4_096, ReadMode::Eventual)), 0.5);
    assert_eq!(units(read(4_097, ReadMode::Eventual)), 1.0);
    assert_eq!(units(read(4_097, ReadMode::Consistent)), 2.0);
    assert_eq!(units(read(1, ReadMode::Transactional)), 2.0);
    assert_eq!(units(write(None, Some(1_024), false)), 1.0);
    assert_eq!(units(write(Some(5_000), Some(10), false)), 5.0);
    assert_eq!(units(write(None, None, false)), 1.0);
    assert_eq!(units(write(None, Some(1_025), true)), 4.0);
    let entry = |key: &'static [u8], bytes| Some(Projected { key, bytes });
    assert_eq!(units(index_write(None, None, false, false)), 0.0);
    assert_eq!(units(index_write(None, entry(b"a", 2_000), true, false)), 2.0);
    assert_eq!(units(index_write(entry(b"a", 10), entry(b"a", 10), false, false)), 0.0);
    assert_eq!(units(index_write(entry(b"a", 10), entry(b"a", 1_500), true, false)), 2.0);
    assert_eq!(units(index_write(entry(b"a", 10), entry(b"b", 1_500), true, false)), 3.0);
    assert_eq!(units(index_write(entry(b"a", 10), None, true, true)), 2.0);
    assert_eq!(units([Units::whole(1), read(1, ReadMode::Eventual)].into_iter().sum()), 1.5);
}
