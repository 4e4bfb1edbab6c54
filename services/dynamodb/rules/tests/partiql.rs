//! PartiQL statements.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{item, json, shown, value};
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::partiql::{Action, Reads, Returning, Statement, reads, write_key};
use fractus_dynamodb_rules::{Item, Kind, Value};
use serde_json::Value as Json;

fn parse(text: &str) -> Statement {
    Statement::parse(text, Vec::new()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Statement::parse(text, Vec::new()).expect_err(text).to_string()
}

fn of() -> Item {
    item(json!({
        "pk": {"S": "p"}, "s": {"S": "str"}, "n": {"N": "7310000"}, "ss": {"SS": ["a", "b"]}, "m": {"M": {"sub": {"S": "x"}}},
        "l": {"L": [{"N": "1"}]}, "nul": {"NULL": true}, "flag": {"BOOL": true}
    }))
}

fn holds(condition: &str, parameters: Vec<Value>) -> bool {
    let statement = Statement::parse(&format!("SELECT * FROM \"T\" WHERE {condition}"), parameters)
        .unwrap_or_else(|error| panic!("{condition}: {error}"));
    let Action::Select(select) = &statement.action else { panic!("a select") };
    statement.bound(select.condition.clone().unwrap()).holds(&statement.attributes, &of())
}

#[test]
fn conditions_hold() {
    let cases = [
        ("s = 'str'", true),
        ("s <> 'str'", false),
        ("s != 'it''s'", true),
        ("n = 7.31e6", true),
        ("n = 7.31E+6 AND n = 73100000e-1", true),
        ("n > -.73e1", true),
        ("n BETWEEN 1 AND 7310000", true),
        ("n NOT BETWEEN 1 AND 2", true),
        ("s IN ['a', 'str']", true),
        ("s IN ('a', 'b')", false),
        ("NOT s IN ['a']", true),
        ("ss = <<'b', 'a'>>", true),
        ("m = {'sub': 'x'}", true),
        ("l = [1]", true),
        ("l[0] = 1", true),
        ("m.sub = 'x' and m['sub'] = 'x'", true),
        ("\"s\" = 'str'", true),
        ("flag = true", true),
        ("nul = null", true),
        ("attribute_exists(ss)", true),
        ("ATTRIBUTE_EXISTS(nope)", false),
        ("attribute_exists(ss) = true", true),
        ("attribute_exists(ss) <> true", false),
        ("NOT attribute_not_exists(m.sub)", true),
        ("(attribute_exists(nope) OR attribute_exists(ss))", true),
        ("size(s) = 3", true),
        ("attribute_type(ss, 'SS')", true),
        ("begins_with(s, 'st')", true),
        ("contains(ss, 'b')", true),
        ("nul IS NULL", true),
        ("s IS NULL", false),
        ("s IS NOT NULL", true),
        ("nope IS MISSING", true),
        ("s IS NOT MISSING", true),
        ("flag IS BOOL AND s IS STRING", true),
        ("s = 'x' OR s = 'str' AND n > 1", true),
    ];
    for (condition, expected) in cases {
        assert_eq!(holds(condition, Vec::new()), expected, "{condition}");
    }
    assert!(holds("s = ? AND n > ?", vec![Value::text("str"), Value::number(1)]));
    assert!(!holds("ss = ?", vec![value(json!({"SS": ["a"]}))]));
}

#[test]
fn selects_have_an_index_a_list_and_an_order() {
    let statement =
        parse("-- first\nSELECT pk, m.sub FROM \"T\".\"gsi\" /* then */ WHERE pk = 'p' ORDER BY s DESC, n ASC;");
    assert_eq!(statement.table, "T");
    let Action::Select(select) = &statement.action else { panic!("a select") };
    assert_eq!(select.index.as_deref(), Some("gsi"));
    assert_eq!(select.order, [("s".to_owned(), true), ("n".to_owned(), false)]);
    let projected = select.projection.as_ref().unwrap().apply(&statement.attributes, &of());
    assert_eq!(shown(&projected), json!({"pk": {"S": "p"}, "m": {"M": {"sub": {"S": "x"}}}}));
    assert!(matches!(parse("EXISTS(SELECT * FROM T WHERE pk = 'p' AND n = 1)").action, Action::Exists(_)));
}

fn updated(text: &str, parameters: Vec<Value>) -> Json {
    let statement = Statement::parse(text, parameters).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Action::Update { update, .. } = &statement.action else { panic!("an update") };
    shown(&update.apply(&statement.attributes, &of()).unwrap())
}

#[test]
fn writes_become_items_and_updates() {
    let insert = parse("INSERT INTO \"T\" VALUE {'pk': .7325e1, 'l': [1, 'a', null], 'm': {'x': <<1, 2>>}, 'e': {}}");
    let Action::Insert(inserted) = &insert.action else { panic!("an insert") };
    assert_eq!(
        shown(inserted),
        json!({"pk": {"N": "7.325"}, "l": {"L": [{"N": "1"}, {"S": "a"}, {"NULL": true}]}, "m": {"M": {"x": {"NS": ["1", "2"]}}}, "e": {"M": {}}})
    );
    let with = |name: &str, json: Json| {
        let mut whole = shown(&of());
        whole[name] = json;
        whole
    };
    assert_eq!(updated("UPDATE T SET n = n + 1 WHERE pk = 'p'", vec![]), with("n", json!({"N": "7310001"})));
    assert_eq!(updated("UPDATE T SET n=n - 1 WHERE pk = 'p'", vec![]), with("n", json!({"N": "7309999"})));
    assert_eq!(
        updated("UPDATE T SET l = list_append(l, [2]) WHERE pk = 'p'", vec![]),
        with("l", json!({"L": [{"N": "1"}, {"N": "2"}]}))
    );
    assert_eq!(
        updated("UPDATE T SET ss = SET_ADD(ss, <<'z', 'a'>>) WHERE pk = 'p'", vec![]),
        with("ss", json!({"SS": ["a", "b", "z"]}))
    );
    assert_eq!(
        updated("UPDATE T SET ss = set_delete(ss, ?) WHERE pk = 'p'", vec![value(json!({"SS": ["a"]}))]),
        with("ss", json!({"SS": ["b"]}))
    );
    assert_eq!(
        updated("FROM T WHERE pk = ? SET s = ?", vec![Value::text("p"), Value::text("t")]),
        with("s", json!({"S": "t"}))
    );
    let both = updated("UPDATE T SET a = 1 SET b = 2 REMOVE flag, nul WHERE pk = 'p'", vec![]);
    assert_eq!((&both["a"], &both["b"]), (&json!({"N": "1"}), &json!({"N": "2"})));
    assert!(both.get("flag").is_none() && both.get("nul").is_none());
    let returning = |text: &str| match parse(text).action {
        Action::Update { returning, .. } | Action::Delete { returning, .. } => returning,
        _ => None,
    };
    assert_eq!(returning("UPDATE T SET a = 1 WHERE pk = 'p' RETURNING ALL NEW *"), Some(Returning::AllNew));
    assert_eq!(returning("UPDATE T SET a = 1 WHERE pk = 'p' returning modified old *"), Some(Returning::ModifiedOld));
    assert_eq!(returning("DELETE FROM T WHERE pk = 'p' RETURNING ALL OLD *"), Some(Returning::AllOld));
    assert_eq!(returning("DELETE FROM T WHERE pk = 'p'"), None);
}

#[test]
fn statements_are_refused_in_aws_s_words() {
    const NOT_WELL_FORMED: &str = "Statement wasn't well formed, can't be processed: ";
    let left_over = format!("{NOT_WELL_FORMED}Unexpected token after expression");
    for text in [
        "SELECT * FROM \"N\" WHERE pk = 1 foo",
        "SELECT * FROM \"N\" WHERE pk = 1 e5",
        "INSERT INTO \"N\" VALUE {'pk': 970001} foo",
        "UPDATE \"N\" SET a = 9 WHERE pk = 970002 foo",
        "DELETE FROM \"N\" WHERE pk = 970003 foo",
        "SELECT * FROM \"N\" WHERE pk = 1)",
        "DELETE FROM \"N\" WHERE pk = 970004 ORDER BY pk",
        "SELECT * FROM \"N\" ORDER BY pk WHERE pk = 1",
        "INSERT INTO \"S\" t VALUE {'pk': 'x'}",
    ] {
        assert_eq!(refused(text), left_over, "{text}");
    }
    for text in [
        "SELECT * FROM \"N\" WHERE pk = 1e2147483648",
        "SELECT * FROM \"N\" WHERE pk = 1e99999999999",
        "SELECT * FROM \"N\" WHERE pk = 1.5e-2147483647",
        "SELECT * FROM \"N\" WHERE pk = 1 # note",
        "SELECT * FROM \"N\" WHERE pk = 1 /* note",
    ] {
        assert_eq!(refused(text), NOT_WELL_FORMED, "{text}");
    }
    for text in [
        "SELECT * FROM \"S\" t WHERE pk = 'x'",
        "SELECT * FROM \"S\" AS t WHERE pk = 'x'",
        "UPDATE \"S\" t SET a = 3 WHERE pk = 'x'",
        "DELETE FROM \"S\" t WHERE pk = 'x'",
    ] {
        assert_eq!(refused(text), "Aliasing is not supported", "{text}");
    }
    const OVERFLOW: &str = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let cases = [
        ("SELECT * FROM N WHERE pk = 1e126", format!("{OVERFLOW} under root")),
        ("INSERT INTO N VALUE {'pk': 1e126}", format!("{OVERFLOW} under root")),
        ("INSERT INTO N VALUE {'pk': 970006, 'm': {'x': 1e126}}", format!("{OVERFLOW} under root.x")),
        ("INSERT INTO N VALUE {'pk': 970007, 'l': [1, 1e126]}", format!("{OVERFLOW} under root[1]")),
        ("SELECT * FROM T WHERE attribute_exists('ss')", "Operator or function requires a document path; operator or function: attribute_exists".to_owned()),
        ("SELECT * FROM T WHERE attribute_exists()", "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 0".to_owned()),
        ("SELECT attribute_exists(ss) FROM T", "Unexpected path component at 1:8:16".to_owned()),
        ("SELECT * FROM T WHERE EXISTS(ss)", "Unrecognized function: exists at 1:23:6".to_owned()),
        ("SELECT * FROM T WHERE attribute_exists(m.inner)", format!("{NOT_WELL_FORMED}Invalid path dot component")),
        ("UPDATE T SET t = set_add(ss, <<'x'>>) WHERE pk = 'p'", "The first argument to SET_ADD must equal the assignment value at 1:18:7".to_owned()),
        ("UPDATE T SET ss = set_add(ss, 'x') WHERE pk = 'p'", "The second argument to SET_ADD must be a value with type SET at 1:27:2".to_owned()),
        ("UPDATE T SET ss = set_add(ss) WHERE pk = 'p'", "SET_ADD must have exactly two arguments at 1:19:7".to_owned()),
        ("UPDATE T SET ss = set_add(ss, <<>>) WHERE pk = 'p'", "Empty bags are not supported".to_owned()),
        ("UPDATE T SET ss = set_add(ss, <<'x', 'x'>>) WHERE pk = 'p'", "One or more parameter values were invalid: Input collection [x, x] contains duplicates.".to_owned()),
        ("INSERT INTO T VALUE {'pk': 'i', 'ss': set_add(<<'a'>>, <<'b'>>)}", "Unsupported data type: set_add under key root at 1:39:7".to_owned()),
        ("SELECT * FROM T WHERE val >= true", "Incorrect operand type for operator or function; operator or function: >=, operand type: BOOL".to_owned()),
    ];
    for (text, words) in cases {
        assert_eq!(refused(text), words, "{text}");
    }
    let parameters = Statement::parse("SELECT * FROM T WHERE a = ?", Vec::new()).unwrap_err();
    assert_eq!(parameters.to_string(), "Number of parameters in request and statement don't match.");
    assert_eq!(Statement::parse("SELECT * FROM T", vec![Value::Null]).unwrap_err(), parameters);
}

#[test]
fn keys_are_found_in_where() {
    let schema = KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::N)));
    let of = |text: &str| {
        let statement = parse(&format!("SELECT * FROM T WHERE {text}"));
        let Action::Select(select) = &statement.action else { panic!("a select") };
        reads(&statement, select.condition.as_ref(), &schema)
    };
    let key = |pk: &str, sk: u32| schema.table_bytes(&item(json!({"pk": {"S": pk}, "sk": {"N": sk.to_string()}})));
    let held = |reads: Reads| -> String {
        let Reads::Queries(queries) = reads else { return "scan".to_owned() };
        let ranges: Vec<_> = queries.iter().map(|query| query.range()).collect();
        [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
            .iter()
            .filter(|(pk, sk)| ranges.iter().any(|range| range.contains(&key(pk, *sk))))
            .map(|(pk, sk)| format!("{pk}{sk} "))
            .collect()
    };
    assert_eq!(held(of("pk = 'a'")), "a1 a2 a3 ");
    assert_eq!(held(of("pk = 'a' AND sk > 1 AND x = 'y'")), "a2 a3 ");
    assert_eq!(held(of("2 = sk AND pk = 'a'")), "a2 ");
    assert_eq!(held(of("pk IN ['a', 'b', 'a'] AND sk = 1")), "a1 b1 ");
    assert_eq!(held(of("pk = 'a' OR pk = 'b'")), "scan");
    assert_eq!(held(of("sk = 1")), "scan");
    assert_eq!(held(of("pk > 'a'")), "scan");
    assert_eq!(held(of("pk = 1")), "scan");
    let write = |text: &str| {
        let statement = parse(&format!("DELETE FROM T WHERE {text}"));
        let Action::Delete { condition, .. } = &statement.action else { panic!("a delete") };
        write_key(&statement, condition.as_ref(), &schema)
    };
    let found = write("pk = 'a' AND sk = 1").unwrap();
    assert_eq!((shown(&found.key), found.rest), (json!({"pk": {"S": "a"}, "sk": {"N": "1"}}), None));
    assert!(write("sk = 1 AND x = 'y' AND pk = 'a'").unwrap().rest.is_some());
    for text in ["pk = 'a'", "pk = 'a' AND sk > 1", "x = 1"] {
        assert_eq!(
            write(text).unwrap_err().to_string(),
            "Where clause does not contain a mandatory equality on all key attributes"
        );
    }
}
