//! What is expected of an answer: a path and what the value there must be.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use fancy_regex::Regex;
use serde_json::Value as Json;

use super::path::Path;
use super::template::{Scope, literals_of, variables_of};
use super::value;
use super::yaml::{Mistake, Node, Value};

const NAMES: [&str; 21] = [
    "equals",
    "not",
    "matches",
    "length",
    "contains",
    "absent",
    "any_order",
    "greater",
    "less",
    "at_least",
    "at_most",
    "near",
    "one_of",
    "each",
    "some",
    "none",
    "md5",
    "sorted",
    "unique",
    "has",
    "prefix",
];
/// What two times may differ by where a scenario does not say.
const NEAR_SECS: f64 = 5.0;

/// One line of an `expect` map.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub line: usize,
    pub path: Path,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug)]
enum Matcher {
    Equals(Node),
    Not(Vec<Matcher>),
    Matches(Node),
    Length(Vec<Matcher>),
    Contains(Node),
    Absent(bool),
    AnyOrder(Node),
    Compare(Comparison, Node),
    Near { time: Node, within_secs: f64 },
    OneOf(Node),
    Each(Vec<Matcher>),
    Some(Vec<Matcher>),
    None(Vec<Matcher>),
    Md5(Node),
    Sorted,
    Unique,
    Has(Vec<Expectation>),
    Prefix(Node),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Greater,
    Less,
    AtLeast,
    AtMost,
}

/// Reads an `expect` map.
pub fn parse_expectations(node: &Node) -> Result<Vec<Expectation>, Mistake> {
    let mut expectations = Vec::new();
    for (key, value) in node.map("expect")? {
        let path = Path::parse(&key.name).map_err(|what| Mistake::at(key.line, what))?;
        expectations.push(Expectation { line: key.line, path, matchers: parse(value)? });
    }
    Ok(expectations)
}

/// A plain value must be equal; a map holds matchers, or is a function whose value must be equal.
fn parse(node: &Node) -> Result<Vec<Matcher>, Mistake> {
    let Value::Map(entries) = &node.value else { return Ok(vec![Matcher::Equals(node.clone())]) };
    if entries.iter().any(|(key, _)| key.name.starts_with('$')) {
        return Ok(vec![Matcher::Equals(node.clone())]);
    }
    node.only("a matcher", &NAMES)?;
    entries.iter().map(|(key, argument)| parse_one(&key.name, argument)).collect()
}

fn parse_one(name: &str, argument: &Node) -> Result<Matcher, Mistake> {
    let own = || argument.clone();
    Ok(match name {
        "equals" => Matcher::Equals(own()),
        "not" => Matcher::Not(parse(argument)?),
        "matches" => Matcher::Matches(own()),
        "length" => Matcher::Length(parse(argument)?),
        "contains" => Matcher::Contains(own()),
        "absent" => Matcher::Absent(argument.boolean("absent")?),
        "any_order" => Matcher::AnyOrder(own()),
        "greater" => Matcher::Compare(Comparison::Greater, own()),
        "less" => Matcher::Compare(Comparison::Less, own()),
        "at_least" => Matcher::Compare(Comparison::AtLeast, own()),
        "at_most" => Matcher::Compare(Comparison::AtMost, own()),
        "near" => parse_near(argument)?,
        "one_of" => Matcher::OneOf(own()),
        "each" => Matcher::Each(parse(argument)?),
        "some" => Matcher::Some(parse(argument)?),
        "none" => Matcher::None(parse(argument)?),
        "md5" => Matcher::Md5(own()),
        "sorted" => Matcher::Sorted,
        "unique" => Matcher::Unique,
        "has" => Matcher::Has(parse_expectations(argument)?),
        _ => Matcher::Prefix(own()),
    })
}

/// `near: TIME`, or `near: {time: TIME, secs: N}`.
fn parse_near(argument: &Node) -> Result<Matcher, Mistake> {
    let Some(time) = argument.get("time") else {
        return Ok(Matcher::Near { time: argument.clone(), within_secs: NEAR_SECS });
    };
    argument.only("near", &["time", "secs"])?;
    let within_secs = argument.get("secs").map_or(Ok(NEAR_SECS), |secs| secs.count("secs").map(|secs| secs as f64))?;
    Ok(Matcher::Near { time: time.clone(), within_secs })
}

impl Expectation {
    /// Why the answer is not as expected; `None` where it is.
    pub fn failure(&self, answer: &Json, scope: &Scope) -> Option<String> {
        let found = self.path.find(answer);
        let why = self.matchers.iter().find_map(|matcher| matcher.failure(found.as_ref(), scope))?;
        Some(format!("line {}: {}: {why}", self.line, self.path.as_str()))
    }

    /// The variables that the expectation compares with.
    pub fn variables(&self) -> BTreeSet<String> {
        self.nodes().flat_map(variables_of).collect()
    }

    /// What it compares with as it is written.
    pub fn literals(&self) -> BTreeSet<String> {
        self.nodes().flat_map(literals_of).collect()
    }

    /// Whether it is about how much there is, whether something is so, or that something is not there (any more).
    pub fn is_about_presence(&self) -> bool {
        // Every answer has a status and takes its time.
        if matches!(self.path.root(), Some("$status" | "$ms")) {
            return false;
        }
        self.matchers.iter().any(|matcher| {
            matches!(
                matcher,
                Matcher::Absent(_) | Matcher::Length(_) | Matcher::None(_) | Matcher::Not(_) | Matcher::Compare(..)
            ) || matches!(matcher, Matcher::Equals(node) if is_a_count(node))
        })
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let mut nodes = Vec::new();
        self.matchers.iter().for_each(|matcher| matcher.nodes(&mut nodes));
        nodes.into_iter()
    }
}

/// A number, also as text, a yes or no, or an empty list.
fn is_a_count(node: &Node) -> bool {
    match &node.value {
        Value::Integer(_) | Value::Boolean(_) => true,
        Value::Text(text) => text.parse::<i64>().is_ok(),
        Value::List(list) => list.is_empty(),
        _ => false,
    }
}

impl Matcher {
    fn nodes<'a>(&'a self, nodes: &mut Vec<&'a Node>) {
        match self {
            Matcher::Equals(node)
            | Matcher::Matches(node)
            | Matcher::Contains(node)
            | Matcher::AnyOrder(node)
            | Matcher::Compare(_, node)
            | Matcher::OneOf(node)
            | Matcher::Md5(node)
            | Matcher::Prefix(node)
            | Matcher::Near { time: node, .. } => nodes.push(node),
            Matcher::Not(inner)
            | Matcher::Length(inner)
            | Matcher::Each(inner)
            | Matcher::Some(inner)
            | Matcher::None(inner) => inner.iter().for_each(|matcher| matcher.nodes(nodes)),
            Matcher::Has(inner) => {
                inner.iter().flat_map(|one| &one.matchers).for_each(|matcher| matcher.nodes(nodes));
            }
            Matcher::Absent(_) | Matcher::Sorted | Matcher::Unique => {}
        }
    }

    fn failure(&self, found: Option<&Json>, scope: &Scope) -> Option<String> {
        match self {
            Matcher::Absent(true) => found.map(|found| format!("is there: {}", value::shown(found))),
            Matcher::Absent(false) => found.is_none().then(|| "is not there".to_owned()),
            // What is not there has none of a list's elements; everything else needs a value.
            Matcher::None(_) if found.is_none() => None,
            Matcher::Length(inner) if found.is_none() => failure_of(inner, Some(&Json::from(0)), scope),
            Matcher::Not(inner) => match failure_of(inner, found, scope) {
                Some(_) => None,
                None => Some(format!("is {}", found.map_or("not there".to_owned(), value::shown))),
            },
            _ => match found {
                None => Some("is not there".to_owned()),
                Some(found) => self.failure_of_value(found, scope).unwrap_or_else(|mistake| Some(mistake.to_string())),
            },
        }
    }

    /// A mistake in the template fails the expectation as well.
    fn failure_of_value(&self, found: &Json, scope: &Scope) -> Result<Option<String>, Mistake> {
        let is = |holds: bool, what: &str, expected: &Json| {
            (!holds).then(|| format!("is {}, {what} {}", value::shown(found), value::shown(expected)))
        };
        Ok(match self {
            Matcher::Equals(node) => {
                let expected = scope.value(node)?;
                is(equal(found, &expected), "not", &expected)
            }
            Matcher::Matches(node) => {
                let expected = scope.value(node)?;
                is(matches(found, &expected, node.line)?, "which does not match", &expected)
            }
            Matcher::Prefix(node) => {
                let expected = scope.value(node)?;
                let begins =
                    found.as_str().zip(expected.as_str()).is_some_and(|(found, start)| found.starts_with(start));
                is(begins, "which does not begin with", &expected)
            }
            Matcher::Length(inner) => {
                let length = value::length(found).map(Json::from);
                failure_of(inner, length.as_ref(), scope).map(|why| format!("its length {why}"))
            }
            Matcher::Contains(node) => {
                let expected = scope.value(node)?;
                is(contains(found, &expected), "which does not contain", &expected)
            }
            Matcher::AnyOrder(node) => {
                let expected = scope.value(node)?;
                is(same_in_any_order(found, &expected), "not in any order", &expected)
            }
            Matcher::Compare(comparison, node) => {
                let expected = scope.value(node)?;
                is(comparison.holds(found, &expected), comparison.unmet(), &expected)
            }
            Matcher::Near { time, within_secs } => {
                let expected = scope.value(time)?;
                is(near(found, &expected, *within_secs), "which is not near", &expected)
            }
            Matcher::OneOf(node) => {
                let expected = scope.value(node)?;
                let among = expected.as_array().is_some_and(|list| list.iter().any(|one| equal(found, one)));
                is(among, "none of", &expected)
            }
            Matcher::Md5(node) => {
                let expected = scope.value(node)?;
                let digest = super::functions::call("$md5", found, scope.now).unwrap_or_default();
                is(equal(&digest, &expected), "whose MD5 is not", &expected)
            }
            _ => self.failure_of_list(found, scope),
        })
    }

    fn failure_of_list(&self, found: &Json, scope: &Scope) -> Option<String> {
        if let Matcher::Has(inner) = self {
            return inner.iter().find_map(|one| one.failure(found, scope));
        }
        let Json::Array(list) = found else { return Some(format!("is {}, no list", value::shown(found))) };
        let mut failures = list.iter().map(|one| match self {
            Matcher::Each(inner) | Matcher::Some(inner) | Matcher::None(inner) => failure_of(inner, Some(one), scope),
            _ => None,
        });
        match self {
            Matcher::Each(_) if list.is_empty() => Some("is empty".to_owned()),
            Matcher::Each(_) => failures.find_map(|failure| failure).map(|why| format!("an element {why}")),
            Matcher::Some(_) => {
                let last = failures.try_fold("there is none".to_owned(), |_, failure| failure);
                last.map(|why| format!("no element is as expected: the last one {why}"))
            }
            Matcher::None(_) => failures
                .position(|failure| failure.is_none())
                .map(|at| format!("has at {at} what must not be there: {}", value::shown(&list[at]))),
            Matcher::Sorted => {
                let sorted = list.windows(2).all(|pair| precedes(&pair[0], &pair[1]));
                (!sorted).then(|| format!("is not sorted: {}", value::shown(found)))
            }
            _ => {
                let distinct: BTreeSet<String> = list.iter().map(Json::to_string).collect();
                (distinct.len() != list.len()).then(|| format!("has the same twice: {}", value::shown(found)))
            }
        }
    }
}

fn failure_of(matchers: &[Matcher], found: Option<&Json>, scope: &Scope) -> Option<String> {
    matchers.iter().find_map(|matcher| matcher.failure(found, scope))
}

impl Comparison {
    fn unmet(self) -> &'static str {
        match self {
            Comparison::Greater => "not greater than",
            Comparison::Less => "not less than",
            Comparison::AtLeast => "not at least",
            Comparison::AtMost => "not at most",
        }
    }

    fn holds(self, found: &Json, expected: &Json) -> bool {
        order(found, expected).is_some_and(|order| match self {
            Comparison::Greater => order.is_gt(),
            Comparison::Less => order.is_lt(),
            Comparison::AtLeast => order.is_ge(),
            Comparison::AtMost => order.is_le(),
        })
    }
}

/// Numbers by value, times by time, other text by its bytes.
fn order(one: &Json, other: &Json) -> Option<Ordering> {
    // Sequence numbers have more digits than a floating-point number holds.
    let texts = one.as_str().zip(other.as_str());
    let is_long = |text: &str| text.len() > 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((one, other)) = texts.filter(|(one, other)| one.len() == other.len() && is_long(one) && is_long(other))
    {
        return Some(one.cmp(other));
    }
    if let Some((one, other)) = value::number(one).zip(value::number(other)) {
        return one.partial_cmp(&other);
    }
    match value::time(one).zip(value::time(other)) {
        Some((one, other)) => Some(one.cmp(&other)),
        None => texts.map(|(one, other)| one.cmp(other)),
    }
}

/// Equal as values; 1 and 1.0 are.
fn equal(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| equal(one, other)))
        }
        (one, other) => one == other,
    }
}

fn precedes(one: &Json, next: &Json) -> bool {
    order(one, next).is_some_and(Ordering::is_le)
}

fn matches(found: &Json, pattern: &Json, line: usize) -> Result<bool, Mistake> {
    let wrong = |what: String| Mistake::at(line, what);
    let pattern = pattern.as_str().ok_or_else(|| wrong("a pattern must be text".to_owned()))?;
    let regex = Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
    let text = match found {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(regex.is_match(&text).unwrap_or(false))
}

/// Text within text; an element within a list; members within a map. Maps are looked for by what the expected one has.
fn contains(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::String(found), Json::String(expected)) => found.contains(expected),
        // Bytes that are no text, such as a stream of events, may have text in them.
        (Json::Object(_), Json::String(expected)) => value::bytes_of(found)
            .is_some_and(|bytes| bytes.windows(expected.len().max(1)).any(|window| window == expected.as_bytes())),
        (Json::Array(list), Json::Array(wanted)) => wanted.iter().all(|one| list.iter().any(|has| covers(has, one))),
        (Json::Array(list), one) => list.iter().any(|has| covers(has, one)),
        (found, expected) => covers(found, expected),
    }
}

fn covers(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => {
            expected.iter().all(|(name, expected)| found.get(name).is_some_and(|found| covers(found, expected)))
        }
        (found, expected) => equal(found, expected),
    }
}

fn same_in_any_order(found: &Json, expected: &Json) -> bool {
    let (Json::Array(found), Json::Array(expected)) = (found, expected) else { return false };
    let mut left: Vec<&Json> = found.iter().collect();
    found.len() == expected.len()
        && expected.iter().all(|wanted| match left.iter().position(|has| equal(has, wanted)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        })
}

fn near(found: &Json, expected: &Json, within_secs: f64) -> bool {
    match (value::time(found), value::time(expected)) {
        (Some(found), Some(expected)) => (found.secs_f64() - expected.secs_f64()).abs() <= within_secs,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::yaml;
    use serde_json::json;

    fn holds(expect: &str) -> bool {
        let answer = json!({
            "Name": "queue-1", "Count": "3", "Long": "18849496460467696384", "Empty": [], "Keys": ["a", "b", "c"], "Twice": ["a", "a"],
            "At": "2026-01-02T03:04:05Z", "Tags": {"a": "1", "b": "2"}, "List": [{"K": 1, "V": "x"}, {"K": 2, "V": "y"}],
            "Raw": {"$base64": "/2FiYw=="}
        });
        let mut scope = Scope::default();
        scope.variables.insert("name".to_owned(), json!("queue-1"));
        let expectations = parse_expectations(&yaml::parse(expect).unwrap()).unwrap();
        expectations.iter().all(|one| one.failure(&answer, &scope).is_none())
    }

    #[test]
    fn every_matcher_takes_and_refuses() {
        let pairs = [
            ("Name: '${name}'", "Name: other"),
            ("Name: {not: other}", "Name: {not: '${name}'}"),
            ("Name: {matches: '^queue-[0-9]$'}", "Name: {matches: '^[0-9]'}"),
            ("Name: {prefix: queue}", "Name: {prefix: q2}"),
            ("Keys: {length: 3}", "Keys: {length: {greater: 3}}"),
            ("Gone: {length: 0}", "Gone: {length: 1}"),
            ("Keys: {contains: b}", "Keys: {contains: x}"),
            ("List: {contains: {K: 2}}", "List: {contains: {K: 2, V: x}}"),
            ("Raw: {contains: bc}", "Raw: {contains: cb}"),
            ("Tags: {contains: {a: '1'}}", "Tags: {contains: {a: '2'}}"),
            ("Gone: {absent: true}", "Name: {absent: true}"),
            ("Name: {absent: false}", "Gone: {absent: false}"),
            ("Keys: {any_order: [c, a, b]}", "Keys: {any_order: [c, a, a]}"),
            ("Count: {greater: 2, at_most: 3}", "Count: {less: 3}"),
            ("Long: {greater: '18849496460467696128'}", "Long: {greater: '18849496460467696384'}"),
            ("At: {near: {time: '2026-01-02T03:04:00Z', secs: 5}}", "At: {near: '2026-01-02T03:03:59Z'}"),
            ("Name: {one_of: [x, queue-1]}", "Name: {one_of: [x]}"),
            ("'List[*].K': {each: {greater: 0}}", "'List[*].K': {each: {greater: 1}}"),
            ("'List[*].K': {some: {greater: 1}}", "'List[*].K': {some: {greater: 2}}"),
            ("'List[*].K': {none: {greater: 2}}", "'List[*].K': {none: {greater: 1}}"),
            ("List: {some: {has: {K: 2, V: y}}}", "List: {some: {has: {K: 2, V: x}}}"),
            ("Empty: {length: 0}", "Empty: {each: {absent: false}}"),
            ("Keys: {sorted: true, unique: true}", "Twice: {unique: true}"),
            ("Name: {md5: {$md5: queue-1}}", "Name: {md5: {$md5: queue-2}}"),
        ];
        for (taken, refused) in pairs {
            assert!(holds(taken), "{taken}");
            assert!(!holds(refused), "{refused}");
        }
    }

    #[test]
    fn an_unknown_matcher_is_a_mistake() {
        let mistake = parse_expectations(&yaml::parse("a: 1\nb: {equal: 2}").unwrap()).unwrap_err();
        assert_eq!(mistake.line, 2);
        assert!(mistake.what.contains("\"equal\""), "{mistake}");
    }
}
