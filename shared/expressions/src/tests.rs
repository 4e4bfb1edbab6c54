use proptest::prelude::*;

use super::*;

fn takes(expression: &str, text: &str) -> bool {
    Expression::new(expression).unwrap().matches(text).unwrap()
}

#[test]
fn the_whole_text_is_matched() {
    for (expression, yes, no) in [
        ("[a-z]+", "abc", "ab c"),
        ("a{2,3}", "aaa", "aaaa"),
        ("(ab|a)(bc|c)?", "abc", "abcc"),
        ("^https://.+$|^s3://([^/]+)/(.*?([^/]+))$", "s3://b/a/k", "s3://b/a/"),
        ("^[a-z]([a-z]|-(?!-)){1,61}[a-z]$", "a-b-c", "a--b"),
        ("[0-9A-Za-z.]*(?<!\\.)", "a.b", "a.b."),
        ("(?i)all|[0-9]{12}", "aLL", "al"),
        ("(?s)a.*", "a\nb", "b"),
        ("a++b", "aab", "aa"),
        ("(a)(b)?\\1", "aba", "abb"),
        ("\\bx\\b.*", "x y", "xy"),
        ("[]a]+", "]a", "b"),
        ("[a\\-z]+", "a-z", "b"),
        ("[\\w-.]+", "a-b.c", "a b"),
        ("\\Qa.b\\E", "a.b", "axb"),
        ("\\x41\\u0042", "AB", "Ab"),
        ("a{,3}", "a{,3}", "aa"),
        ("[^\\p{C}]*", "é x", "a\u{7}"),
        ("[^\\P{L}]+", "éÄ", "1"),
        ("\\p{Zs}", "\u{a0}", "\u{2028}"),
    ] {
        assert!(takes(expression, yes), "{expression} {yes}");
        assert!(!takes(expression, no), "{expression} {no}");
    }
}

#[test]
fn a_dot_takes_no_end_of_a_line() {
    assert!(!takes(".*", "a\nb") && !takes(".*", "a\rb") && !takes(".*", "\u{2028}"));
}

#[test]
fn what_is_no_expression_is_refused() {
    for expression in ["(", ")", "[a", "*", "a{3,2}", "\\", "[z-a]", "\\p{Nonsense}", "(?<=a*)b", "\\1", "(?x)"] {
        assert!(Expression::new(expression).is_err(), "{expression}");
    }
    let deep = "(".repeat(10_000);
    assert!(Expression::new(&deep).is_err());
    assert!(Expression::new("((((a|b){1000}){1000}){1000}){1000}").is_err());
}

#[test]
fn time_grows_with_the_text() {
    // Where backtracking alone would not end.
    let text = "a".repeat(5_000);
    assert_eq!(Expression::new("(a+)+b").unwrap().matches(&text), Some(false));
    assert_eq!(Expression::new("(a|a)*b").unwrap().matches(&text), Some(false));
    assert_eq!(Expression::new("(a*)*").unwrap().matches(&text), Some(true));
    assert_eq!(Expression::new("(a*)*b").unwrap().matches(&text), Some(false));
    // And where nothing can be remembered, it is given up.
    assert_eq!(Expression::new("(a+)+\\1b").unwrap().matches(&text), None);
}

#[test]
fn groups_are_found() {
    let version = Expression::new(r"\Av?([0-9]+)\.?([0-9]+)?\.?([0-9]+)?").unwrap();
    assert_eq!(version.find("v2.10.26-RC"), Some(vec![Some(0..8), Some(1..2), Some(3..5), Some(6..8)]));
    assert_eq!(version.find("x2"), None);
    assert_eq!(Expression::new("b+(c)?").unwrap().find("abbd"), Some(vec![Some(1..3), None]));
}

/// Expressions in the syntax that both engines have.
fn expressions() -> impl Strategy<Value = String> {
    let single = prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("[ab]".to_owned()),
        Just("[^a]".to_owned()),
        Just("é".to_owned()),
        Just("\\b".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
    ];
    single.prop_recursive(4, 24, 3, |inside| {
        prop_oneof![
            proptest::collection::vec(inside.clone(), 1..4).prop_map(|all| all.concat()),
            (inside.clone(), inside.clone()).prop_map(|(one, two)| format!("(?:{one}|{two})")),
            inside.clone().prop_map(|one| format!("({one})")),
            (inside.clone(), prop::sample::select(vec!["=", "!"])).prop_map(|(one, kind)| format!("(?{kind}{one})")),
            (prop::sample::select(vec!["a", "b", "ab", "[ab]"]), prop::sample::select(vec!["<=", "<!"]))
                .prop_map(|(one, kind)| format!("(?{kind}{one})")),
            (inside, prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "??"]))
                .prop_map(|(one, count)| format!("(?:{one}){count}")),
        ]
    })
}

proptest! {
    #[test]
    fn the_usual_engine_says_the_same(expression in expressions(), texts in proptest::collection::vec("[abé ]{0,8}", 8)) {
        let (Ok(own), Ok(usual)) = (Expression::new(&expression), fancy_regex::Regex::new(&format!("\\A(?:{expression})\\z"))) else {
            return Ok(());
        };
        for text in texts {
            if let (Some(own), Ok(usual)) = (own.matches(&text), usual.is_match(&text)) {
                prop_assert_eq!(own, usual, "{} {:?}", expression, text);
            }
        }
    }

    #[test]
    fn no_expression_does_harm(expression in ".{0,40}", text in ".{0,20}") {
        if let Ok(expression) = Expression::new(&expression) {
            let _ = expression.matches(&text);
            let _ = expression.find(&text);
        }
    }
}
