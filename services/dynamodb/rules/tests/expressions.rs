//! What expressions are refused with, and what they mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{attributes, bind_condition, bind_projection, bind_update, condition_error, holds, item, json, projected};
use fractus_dynamodb_rules::expression::{Attributes, Cache, Expression, ExpressionKind, Used};

#[test]
fn syntax_errors_show_the_token_between_its_neighbours() {
    // As AWS answered these, by reports of its users.
    let cases = [
        ("a = = b", "=", "= = b"),
        ("a-b", "-", "a-b"),
        ("tenantAgent:abc123-", ":abc123", "tenantAgent:abc123-"),
        ("#articleId attribute_not_exists :ckpst", "attribute_not_exists", "#articleId attribute_not_exists :ckpst"),
        ("_type = :v", "_", "_type"),
        ("()", ")", "()"),
    ];
    for (text, token, near) in cases {
        let words = format!("Invalid ConditionExpression: Syntax error; token: \"{token}\", near: \"{near}\"");
        assert_eq!(condition_error(text, json!({})), words, "{text}");
    }
    let updates = [
        ("INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("ADD hits : incr", ":", "hits : incr"),
        ("set _something = :something", "_", "set _something"),
        ("SET a = :v SET", "<EOF>", "SET"),
        ("SET a = b + c + d", "+", "c + d"),
        ("ADD a b", "b", "a b"),
    ];
    for (text, token, near) in updates {
        let words = format!("Invalid UpdateExpression: Syntax error; token: \"{token}\", near: \"{near}\"");
        assert_eq!(bind_update(text, &Attributes::default()).unwrap_err(), words, "{text}");
    }
}

#[test]
fn conditions_are_refused_in_aws_s_words() {
    let v = || json!({":v": {"S": "x"}, ":n": {"N": "1"}, ":b": {"BOOL": true}, "#a": "data", ":w": {"S": "a"}, ":m": {"M": {}}});
    let cases = [
        ("", "The expression can not be empty;"),
        ("   ", "The expression can not be empty;"),
        ("name = :v", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a.Status = :v", "Attribute name is a reserved keyword; reserved keyword: Status"),
        ("a = :x", "An expression attribute value used in expression is not defined; attribute value: :x"),
        ("#x = :v", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        ("((attribute_not_exists(pk)))", "The expression has redundant parentheses;"),
        ("foo(a)", "Invalid function name; function: foo"),
        ("SIZE(a) = :n", "Invalid function name; function: SIZE"),
        ("if_not_exists(a, :v)", "The function is not allowed in a condition expression; function: if_not_exists"),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "attribute_exists(a) = :b",
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "attribute_exists(:v)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "attribute_exists(a, b)",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
        ),
        (
            "attribute_exists()",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 0",
        ),
        (
            "begins_with(a, :n)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("a < :b", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        (":m >= a", "Incorrect operand type for operator or function; operator or function: >=, operand type: M"),
        (
            "a BETWEEN :b AND :n",
            "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: BOOL",
        ),
        (
            "size(:n) > :n",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        ),
        (
            "a BETWEEN :v AND :n",
            "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "a BETWEEN :v AND :w",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {S:a}",
        ),
        (
            "contains(#a, #a)",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [data]",
        ),
        (
            "a[1].b = a[1].b",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a, [1], b]",
        ),
        (
            "attribute_type(a, :v)",
            "Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "attribute_type(a, :n)",
            "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
        ),
    ];
    for (text, words) in cases {
        assert_eq!(condition_error(text, v()), format!("Invalid ConditionExpression: {words}"), "{text}");
    }
}

#[test]
fn limits_hold() {
    let many = |count: usize| vec!["a = :v"; count].join(" AND ");
    let given = || json!({":v": {"S": "x"}});
    assert!(bind_condition(ExpressionKind::Filter, &many(150), &attributes(given())).is_ok());
    assert_eq!(
        bind_condition(ExpressionKind::Filter, &many(151), &attributes(given())).unwrap_err(),
        "Invalid FilterExpression: The expression contains too many operators; operator count: 301"
    );
    let long = format!("{} = :v", "a".repeat(4_096 - 5));
    assert!(bind_condition(ExpressionKind::Condition, &long, &attributes(given())).is_ok());
    assert_eq!(
        condition_error(&format!("a{long}"), given()),
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"
    );
    let long = format!("SET {}", vec!["a"; 3_000].join(", "));
    assert_eq!(
        bind_update(&long, &Attributes::default()).unwrap_err(),
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"
    );
    let list = |count: usize| format!("a IN ({})", vec![":v"; count].join(", "));
    assert!(bind_condition(ExpressionKind::Condition, &list(100), &attributes(given())).is_ok());
    assert_eq!(
        condition_error(&list(101), given()),
        "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"
    );
    let path = |count: usize| vec!["a"; count].join(".");
    assert!(bind_projection(&path(32), &Attributes::default()).is_ok());
    assert_eq!(
        bind_projection(&path(33), &Attributes::default()).unwrap_err(),
        "Invalid ProjectionExpression: The document path has too many nesting elements; nesting levels: 33"
    );
    // Hostile depth neither passes nor exhausts the stack.
    for hostile in ["(".repeat(4_096), "NOT ".repeat(1_024), "size(".repeat(800), format!("a = {}", "(".repeat(4_000))]
    {
        assert!(bind_condition(ExpressionKind::Condition, &hostile, &Attributes::default()).is_err());
    }
}

#[test]
fn updates_are_refused_in_aws_s_words() {
    let v = || json!({":s": {"S": "x"}, ":n": {"N": "1"}, ":l": {"L": []}, ":m": {"M": {}}, ":ss": {"SS": ["a"]}, "#n": "name"});
    let cases = [
        ("SET a = :s SET b = :s", "The \"SET\" section can only be used once in an update expression;"),
        (
            "SET a = :s, a = :n",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "SET a.b = :s REMOVE a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]",
        ),
        (
            "SET #n.x[1] = :s, b = :s, #n.x[1].y = :s",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [name, x, [1]], path two: [name, x, [1], y]",
        ),
        (
            "SET a.b = :s, a[0] = :s",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]",
        ),
        (
            "ADD a :s",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "ADD a :l",
            "Incorrect operand type for operator or function; operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :n",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = list_append(a, :m)",
            "Incorrect operand type for operator or function; operator or function: list_append, operand type: M",
        ),
        ("SET a = a + :s", "Incorrect operand type for operator or function; operator or function: +, operand type: S"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        (
            "SET a = if_not_exists(:s, :n)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET a = if_not_exists(b)",
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
        ),
        (
            "SET a = :missing",
            "An expression attribute value used in expression is not defined; attribute value: :missing",
        ),
        ("REMOVE value", "Attribute name is a reserved keyword; reserved keyword: value"),
    ];
    for (text, words) in cases {
        let error = bind_update(text, &attributes(v())).expect_err(text);
        assert_eq!(error, format!("Invalid UpdateExpression: {words}"), "{text}");
    }
}

#[test]
fn names_and_values_have_to_be_used() {
    let texts = |names: &[(&str, &str)], values: &[&str]| {
        let names = names.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect();
        let values = values.iter().map(|key| ((*key).to_owned(), fractus_dynamodb_rules::Value::Null)).collect();
        Attributes::new(Some(names), Some(values)).map_err(|error| error.to_string())
    };
    let given = texts(&[("#a", "x"), ("#unused", "y")], &[":v", ":x", ":w"]).unwrap();
    let mut used = Used::default();
    let cache = Cache::new();
    let form = cache.condition(ExpressionKind::Condition, "#a = :v").unwrap();
    fractus_dynamodb_rules::expression::Bound::new(&form, &given, &mut used).unwrap();
    assert_eq!(
        given.check_used(&used).unwrap_err().to_string(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}"
    );
    let form = cache.condition(ExpressionKind::Filter, "#unused = :v").unwrap();
    fractus_dynamodb_rules::expression::Bound::new(&form, &given, &mut used).unwrap();
    assert_eq!(
        given.check_used(&used).unwrap_err().to_string(),
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w, :x}"
    );
    assert_eq!(
        given.check_absent("FilterExpression is null").unwrap_err().to_string(),
        "ExpressionAttributeNames can only be specified when using expressions"
    );
    assert_eq!(texts(&[], &[":v"]).unwrap_err(), "ExpressionAttributeNames must not be empty");
    assert_eq!(texts(&[("#a", "b")], &[]).unwrap_err(), "ExpressionAttributeValues must not be empty");
    assert_eq!(
        texts(&[("a", "b")], &[":v"]).unwrap_err(),
        "ExpressionAttributeNames contains invalid key: Syntax error; key: \"a\""
    );
    assert_eq!(
        texts(&[("#a", "b")], &[":a-b"]).unwrap_err(),
        "ExpressionAttributeValues contains invalid key: Syntax error; key: \":a-b\""
    );
}

#[test]
fn conditions_mean_what_the_guide_says() {
    let of = item(json!({
        "s": {"S": "hello"}, "n": {"N": "5"}, "b": {"B": "AQID"}, "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "l": {"L": [{"S": "x"}, {"N": "2"}]},
        "m": {"M": {"k": {"L": [{"M": {"deep": {"BOOL": true}}}]}}}, "t": {"BOOL": true}, "nul": {"NULL": true}, "n2": {"N": "6"}
    }));
    let given = || {
        json!({":five": {"N": "5.0"}, ":six": {"N": "6"}, ":h": {"S": "he"}, ":a": {"S": "a"}, ":x": {"S": "x"}, ":true": {"BOOL": true}, ":S": {"S": "S"},
               ":M": {"S": "M"}, ":set": {"SS": ["b", "a"]}, ":bin": {"B": "Ag=="}, ":two": {"N": "2"}, ":z": {"S": "z"}})
    };
    let cases = [
        ("n = :five", true),
        ("n <> :five", false),
        ("n < :six", true),
        (":six > n", true),
        ("n >= :six", false),
        ("n < n2", true),
        ("s < :six", false),
        ("absent = :five", false),
        ("absent <> :five", true),
        ("absent = nothing", false),
        ("NOT absent < :five", true),
        ("n BETWEEN :five AND :six", true),
        ("n2 BETWEEN n AND :five", false),
        ("n IN (:six, :five)", true),
        ("s IN (:a, :x)", false),
        ("absent IN (:a)", false),
        ("begins_with(s, :h)", true),
        ("begins_with(n, :h)", false),
        ("contains(s, :h)", true),
        ("contains(ss, :a)", true),
        ("contains(ss, :x)", false),
        ("contains(l, :x)", true),
        ("contains(l, :two)", true),
        ("contains(ns, :two)", true),
        ("contains(b, :bin)", true),
        ("size(s) = :five", true),
        ("size(l) = :two", true),
        ("size(n) = :two", false),
        ("size(absent) <> :two", true),
        ("( size ( l ) ) < :five", true),
        ("attribute_exists(m.k[0].deep)", true),
        ("attribute_exists(m.k[1])", false),
        ("attribute_not_exists(m.k.deep)", true),
        ("attribute_type(s, :S)", true),
        ("attribute_type(m, :S)", false),
        ("attribute_type(m.k[0], :M)", true),
        ("m.k[0].deep = :true", true),
        ("ss = :set", true),
        ("n = :six OR n = :five AND s = :a", false),
        ("(n = :six OR n = :five) AND begins_with(s, :h)", true),
        ("NOT n = :six AND s = :z", false),
        ("NOT (n = :six AND s = :z)", true),
        ("not n = :six or s = :z", true),
    ];
    for (text, expected) in cases {
        assert_eq!(holds(text, given(), &of), expected, "{text}");
    }
}

#[test]
fn projections_merge_what_is_nested() {
    let of = || {
        json!({"a": {"M": {"b": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}, {"M": {"x": {"S": "y"}, "z": {"S": "w"}}}]}, "c": {"S": "c"}, "d": {"S": "d"}}},
               "s": {"S": "s"}, "t": {"S": "t"}})
    };
    assert_eq!(projected("s", json!({}), of()), json!({"s": {"S": "s"}}));
    assert_eq!(projected("absent, a.absent, s.x, t[0]", json!({}), of()), json!({}));
    assert_eq!(
        projected("a.b[2], a.c, t, a.b[0], a.b[3].x, a.b[9]", json!({}), of()),
        json!({"a": {"M": {"b": {"L": [{"N": "0"}, {"N": "2"}, {"M": {"x": {"S": "y"}}}]}, "c": {"S": "c"}}}, "t": {"S": "t"}})
    );
    assert_eq!(projected("#a.#c", json!({"#a": "a", "#c": "c"}), of()), json!({"a": {"M": {"c": {"S": "c"}}}}));
    assert_eq!(
        bind_projection("a.b, s, a", &Attributes::default()).unwrap_err(),
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]"
    );
    assert_eq!(
        bind_projection("a,", &Attributes::default()).unwrap_err(),
        "Invalid ProjectionExpression: Syntax error; token: \"<EOF>\", near: \",\""
    );
}

#[test]
fn the_cache_gives_the_same_form_again_and_forgets() {
    let cache = Cache::new();
    let first = cache.update("SET a = :v").unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &cache.update("SET a = :v").unwrap()));
    assert!(cache.update("SET").is_err());
    for number in 0..2_000 {
        cache.update(&format!("SET a{number} = :v")).unwrap();
    }
    assert!(!std::sync::Arc::ptr_eq(&first, &cache.update("SET a = :v").unwrap()));
    assert_eq!(first, cache.update("SET a = :v").unwrap());
    let of_filter = cache.condition(ExpressionKind::Filter, "a = :v").unwrap();
    assert_ne!(of_filter, cache.condition(ExpressionKind::Condition, "a = :v").unwrap());
    assert_eq!(of_filter.root(), Expression::condition(ExpressionKind::KeyCondition, "a = :v").unwrap().root());
}
