//! What updates make of items.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{attributes, bind_update, item, json, shown, value};
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::legacy::{AttributeUpdate, UpdateAction, updates};
use fractus_dynamodb_rules::{Kind, Value};
use serde_json::Value as Json;

fn updated(text: &str, given: Json, of: Json) -> Result<Json, String> {
    let attributes = attributes(given);
    let update = bind_update(text, &attributes)?;
    update.apply(&attributes, &item(of)).map(|item| shown(&item)).map_err(|error| error.to_string())
}

#[test]
fn set_assigns_from_the_item_as_it_was() {
    let given = || json!({":one": {"N": "1"}, ":l": {"L": [{"S": "new"}]}, ":s": {"S": "s"}, ":empty": {"L": []}});
    let of = || json!({"pk": {"S": "k"}, "n": {"N": "10"}, "l": {"L": [{"S": "old"}]}, "m": {"M": {"c": {"N": "2"}}}});
    let with = |name: &str, json: Json| {
        let mut whole = of();
        whole[name] = json;
        whole
    };
    let cases = [
        ("SET n = n + :one", with("n", json!({"N": "11"}))),
        ("SET n = :one - n", with("n", json!({"N": "-9"}))),
        ("SET n = (n) + :one", with("n", json!({"N": "11"}))),
        ("SET x = if_not_exists(x, :one)", with("x", json!({"N": "1"}))),
        ("SET n = if_not_exists(n, :one)", of()),
        ("SET x = if_not_exists(x, n) + :one", with("x", json!({"N": "11"}))),
        ("SET l = list_append(l, :l)", with("l", json!({"L": [{"S": "old"}, {"S": "new"}]}))),
        ("SET l = list_append(:l, l)", with("l", json!({"L": [{"S": "new"}, {"S": "old"}]}))),
        ("SET x = list_append(if_not_exists(x, :empty), :l)", with("x", json!({"L": [{"S": "new"}]}))),
        ("SET m.c = m.c + :one, m.d = :s", with("m", json!({"M": {"c": {"N": "3"}, "d": {"S": "s"}}}))),
        ("SET l[0] = :s", with("l", json!({"L": [{"S": "s"}]}))),
        ("SET l[9] = :one, l[5] = :s", with("l", json!({"L": [{"S": "old"}, {"S": "s"}, {"N": "1"}]}))),
        ("SET x = n, n = :one", {
            let mut whole = with("x", json!({"N": "10"}));
            whole["n"] = json!({"N": "1"});
            whole
        }),
    ];
    for (text, expected) in cases {
        assert_eq!(updated(text, given(), of()).expect(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_updated_is_refused() {
    const PATH: &str = "The document path provided in the update expression is invalid for update";
    const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
    const TYPE: &str = "An operand in the update expression has an incorrect data type";
    let cases = [
        ("SET x.y = :s", PATH),
        ("SET s.y = :s", PATH),
        ("SET s[0] = :s", PATH),
        ("SET m[0] = :s", PATH),
        ("SET l.a = :s", PATH),
        ("SET l[3].a = :s", PATH),
        ("REMOVE x.y", PATH),
        ("ADD x.y :one", PATH),
        ("SET x = y", MISSING),
        ("SET x = m.y + :one", MISSING),
        ("SET x = s + :one", TYPE),
        ("SET x = list_append(s, :l)", TYPE),
        ("ADD s :one", TYPE),
        ("ADD n :ss", TYPE),
        ("DELETE n :ss", TYPE),
    ];
    for (text, words) in cases {
        let given = json!({":s": {"S": "s"}, ":one": {"N": "1"}, ":l": {"L": []}, ":ss": {"SS": ["a"]}});
        let of = json!({"s": {"S": "s"}, "m": {"M": {}}, "l": {"L": []}, "n": {"N": "1"}});
        assert_eq!(updated(text, given, of).expect_err(text), words, "{text}");
    }
    let long = json!({":v": {"S": "x".repeat(400 * 1_024)}});
    assert_eq!(
        updated("SET v = :v", long, json!({"pk": {"S": "k"}})).unwrap_err(),
        "Item size to update has exceeded the maximum allowed size"
    );
    let overflowing = updated("SET n = n + n2", json!({}), json!({"n": {"N": "9e125"}, "n2": {"N": "9e125"}}));
    assert_eq!(
        overflowing.unwrap_err(),
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    );
}

#[test]
fn remove_add_and_delete() {
    let of = || json!({"l": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"N": "3"}]}, "ss": {"SS": ["a", "b"]}, "n": {"N": "1"}, "m": {"M": {"k": {"S": "v"}, "j": {"S": "w"}}}});
    let given = || json!({":one": {"N": "1.5"}, ":c": {"SS": ["c", "a"]}, ":ab": {"SS": ["a", "b"]}, ":a": {"SS": ["a"]}, ":s": {"S": "s"}});
    let with = |name: &str, json: Json| {
        let mut whole = of();
        whole[name] = json;
        whole
    };
    let without = |name: &str| {
        let mut whole = of();
        whole.as_object_mut().unwrap().remove(name);
        whole
    };
    let cases = [
        ("REMOVE l[0], l[2]", with("l", json!({"L": [{"N": "1"}, {"N": "3"}]}))),
        ("REMOVE l[2], l[0] SET l[1] = :s", with("l", json!({"L": [{"S": "s"}, {"N": "3"}]}))),
        ("REMOVE l[10], m.x, gone", of()),
        ("REMOVE m.k", with("m", json!({"M": {"j": {"S": "w"}}}))),
        ("REMOVE n", without("n")),
        ("ADD n :one", with("n", json!({"N": "2.5"}))),
        ("ADD x :one", with("x", json!({"N": "1.5"}))),
        ("ADD ss :c", with("ss", json!({"SS": ["a", "b", "c"]}))),
        ("ADD m.tags :a", with("m", json!({"M": {"k": {"S": "v"}, "j": {"S": "w"}, "tags": {"SS": ["a"]}}}))),
        ("DELETE ss :a", with("ss", json!({"SS": ["b"]}))),
        ("DELETE ss :ab", without("ss")),
        ("DELETE gone :ab", of()),
    ];
    for (text, expected) in cases {
        assert_eq!(updated(text, given(), of()).expect(text), expected, "{text}");
    }
}

#[test]
fn what_was_touched_is_told_before_and_after() {
    let attributes = attributes(json!({":x": {"S": "x"}, ":y": {"S": "y"}, ":n": {"N": "1"}}));
    let update = bind_update("SET a.b = :x, a.c = :y, l[1] = :x REMOVE gone ADD n :n", &attributes).unwrap();
    let before = item(json!({
        "pk": {"S": "k"}, "a": {"M": {"b": {"S": "was"}, "other": {"S": "o"}}}, "gone": {"S": "g"}, "n": {"N": "4"}, "l": {"L": [{"N": "0"}, {"N": "1"}]}
    }));
    let after = update.apply(&attributes, &before).unwrap();
    assert_eq!(
        shown(&update.touched(&attributes, &before)),
        json!({"a": {"M": {"b": {"S": "was"}}}, "gone": {"S": "g"}, "n": {"N": "4"}, "l": {"L": [{"N": "1"}]}})
    );
    assert_eq!(
        shown(&update.touched(&attributes, &after)),
        json!({"a": {"M": {"b": {"S": "x"}, "c": {"S": "y"}}}, "n": {"N": "5"}, "l": {"L": [{"S": "x"}]}})
    );
}

#[test]
fn key_attributes_stay() {
    let attributes = attributes(json!({":v": {"S": "x"}}));
    let schema = KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::S)));
    let refused = |text| bind_update(text, &attributes).unwrap().check_key(&attributes, &schema);
    assert_eq!(refused("SET a = :v"), Ok(()));
    assert_eq!(
        refused("SET a = :v, sk = :v").unwrap_err().to_string(),
        "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key"
    );
}

#[test]
fn attribute_updates_are_updates() {
    let update =
        |attribute: &str, action, value: Option<Value>| AttributeUpdate { attribute: attribute.into(), action, value };
    let (bound, attributes) = updates(vec![
        update("a.b", UpdateAction::Put, Some(Value::text("dots"))),
        update("n", UpdateAction::Add, Some(Value::number(2))),
        update("ss", UpdateAction::Delete, Some(value(json!({"SS": ["a"]})))),
        update("gone", UpdateAction::Delete, None),
    ])
    .unwrap();
    let of = item(json!({"n": {"N": "1"}, "ss": {"SS": ["a", "b"]}, "gone": {"S": "x"}}));
    assert_eq!(
        shown(&bound.apply(&attributes, &of).unwrap()),
        json!({"a.b": {"S": "dots"}, "n": {"N": "3"}, "ss": {"SS": ["b"]}})
    );
    let wrong = bound.apply(&attributes, &item(json!({"n": {"S": "text"}}))).unwrap_err();
    assert_eq!(wrong.in_legacy_words(), "Type mismatch for attribute to update");
    let refused = |action, value| updates(vec![update("a", action, value)]).unwrap_err().to_string();
    assert_eq!(
        refused(UpdateAction::Put, None),
        "One or more parameter values were invalid: Only DELETE action is allowed when no attribute value is specified"
    );
    assert_eq!(
        refused(UpdateAction::Add, Some(Value::text("s"))),
        "One or more parameter values were invalid: ADD action is not supported for the type S"
    );
    assert_eq!(
        refused(UpdateAction::Delete, Some(Value::number(1))),
        "One or more parameter values were invalid: DELETE action with value is not supported for the type N"
    );
}
