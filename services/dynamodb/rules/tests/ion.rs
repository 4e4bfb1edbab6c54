//! Ion text: written and read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use fractus_dynamodb_rules::ion::{self, IonError};
use fractus_dynamodb_rules::json::item_from_json;
use fractus_dynamodb_rules::{Value, check};
use proptest::prelude::*;
use serde_json::json;

fn written(value: &Value) -> String {
    let mut text = String::new();
    ion::put_value(value, &mut text);
    text
}

/// The item of AWS's own example.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html>
#[test]
fn an_item_is_written_as_in_the_documentation() {
    let item = item_from_json(json!({
        "Authors": {"SS": ["Author1", "Author2"]},
        "Dimensions": {"S": "8.5 x 11.0 x 1.5"},
        "Id": {"N": "103"},
        "InPublication": {"BOOL": false},
        "PageCount": {"N": "600"},
        "Price": {"N": "2000"},
        "Half": {"N": "-0.5"},
        "odd name": {"NULL": true},
        "Cover": {"B": "aGk="},
        "Prices": {"NS": ["1", "2.5"]},
    }));
    let text = written(&Value::M(item.unwrap()));
    for part in [
        r#"Authors:$dynamodb_SS::["Author1","Author2"]"#,
        r#"Dimensions:"8.5 x 11.0 x 1.5""#,
        "Id:103.",
        "InPublication:false",
        "PageCount:6d2",
        "Price:2d3",
        "Half:-0.5",
        "'odd name':null",
        "Cover:{{aGk=}}",
        "Prices:$dynamodb_NS::[1.,2.5]",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_others_write_is_read() {
    let text = r#"
        $ion_1_0 /* an item */ {
          Item: { id: 1, "n": 1.50e1, long: '''one ''' '''text''', note: "a\x41\u00e9\U0001F600\n", // end
                  list: [true, null.string, {{ aGk= }}], set: $dynamodb_BS::[{{aGk=}}], }
        }"#;
    let Some(Value::M(outer)) = ion::read(text).unwrap() else { panic!("no struct") };
    let Some(Value::M(item)) = outer.get("Item") else { panic!("no item") };
    assert_eq!(item.get("id"), Some(&Value::number(1)));
    assert_eq!(item.get("n"), Some(&Value::number(15)));
    assert_eq!(item.get("long"), Some(&Value::text("one text")));
    assert_eq!(item.get("note"), Some(&Value::text("aA\u{e9}\u{1F600}\n")));
    let list = vec![Value::Bool(true), Value::Null, Value::B(b"hi".to_vec())];
    assert_eq!(item.get("list"), Some(&Value::L(list)));
    assert_eq!(item.get("set"), Some(&check::binary_set(vec![b"hi".to_vec()]).unwrap()));
    assert_eq!(ion::read("$ion_1_0 "), Ok(None));
}

#[test]
fn what_is_no_value_is_refused() {
    assert_eq!(ion::read("{a: 2020-01-01T00:00:00Z}"), Err(IonError::Unsupported("a timestamp")));
    assert_eq!(ion::read("{a: (1 2)}"), Err(IonError::Unsupported("an s-expression")));
    assert_eq!(ion::read("{a: symbol}"), Err(IonError::Unsupported("a symbol")));
    assert_eq!(ion::read("{a: 'true'}"), Err(IonError::Unsupported("a symbol")));
    for text in ["{a: 1", "{a 1}", "[1,,2]", "\"open", "{{aGk", "{a:1} {b:2}", "/* open", "{a: \"\\u12\"}"] {
        assert!(matches!(ion::read(text), Err(IonError::Syntax(_))), "{text}");
    }
    assert!(matches!(ion::read("$dynamodb_SS::[1]"), Err(IonError::Value(_))));
    assert_eq!(ion::read(&"[".repeat(10_000)), Err(IonError::TooDeep));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::S),
        (any::<i64>(), -60_i32..60).prop_map(|(whole, power)| check::number(&format!("{whole}e{power}")).unwrap()),
        any::<Vec<u8>>().prop_map(Value::B),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        proptest::collection::btree_set(any::<String>(), 1..4)
            .prop_map(|set| check::string_set(set.into_iter().collect()).unwrap()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::L),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|entries| Value::M(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in value()) {
        prop_assert_eq!(ion::read(&written(&value)), Ok(Some(value)));
    }

    #[test]
    fn no_text_breaks_the_reader(text in any::<String>(), cut in 0_usize..40) {
        let _ = ion::read(&text);
        let whole = "{a:$dynamodb_SS::[\"x\\u0041\"],'b c':{{aGk=}},c:[1.,2d3,null,true]}";
        let _ = ion::read(&whole[..cut]);
    }
}
