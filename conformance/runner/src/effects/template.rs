//! Values with variables in them: `${name}` inside text, and functions as maps with one key that begins with `$`.
//!
//! Text that is one variable and nothing else becomes the variable's value, whatever its type. A variable's name may go on
//! as a path: `${answer.Messages[0].Body}`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::functions;
use super::path::Path;
use super::value;
use super::yaml::{Key, Mistake, Node, Value};

/// What `$each` calls the element and its number.
const ITEM: &str = "item";
const INDEX: &str = "index";
/// Enough for every list that an API takes, too few to fill the memory.
const MAX_EACH: usize = 20_000;

pub type Variables = BTreeMap<String, Json>;

/// What a template may look at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub variables: Variables,
    /// The time in the world of the scenario.
    pub now: fractus_clock::Timestamp,
}

impl Scope {
    pub fn with(&self, name: &str, value: Json) -> Scope {
        let mut inner = self.clone();
        inner.variables.insert(name.to_owned(), value);
        inner
    }

    /// The value of a template.
    pub fn value(&self, node: &Node) -> Result<Json, Mistake> {
        Ok(match &node.value {
            Value::Null => Json::Null,
            Value::Boolean(value) => Json::from(*value),
            Value::Integer(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::Text(text) => self.text(text).map_err(|what| Mistake::at(node.line, what))?,
            Value::List(list) => list.iter().map(|one| self.value(one)).collect::<Result<Json, _>>()?,
            Value::Map(entries) => match entries.as_slice() {
                [(key, arguments)] if key.name.starts_with('$') && !key.name.starts_with("${") => {
                    self.function(key, arguments)?
                }
                entries => {
                    let mut map = Map::new();
                    for (key, value) in entries {
                        let name = self.text(&key.name).map_err(|what| Mistake::at(key.line, what))?;
                        let name = plain(&name).ok_or_else(|| Mistake::at(key.line, "a key must become text"))?;
                        map.insert(name, self.value(value)?);
                    }
                    Json::Object(map)
                }
            },
        })
    }

    fn function(&self, key: &Key, arguments: &Node) -> Result<Json, Mistake> {
        if key.name == "$each" {
            return self.each(arguments);
        }
        let arguments = self.value(arguments)?;
        functions::call(&key.name, &arguments, self.now).map_err(|what| Mistake::at(key.line, what))
    }

    /// `{$each: {in: LIST or COUNT, do: TEMPLATE}}`: the template for each element, `${item}` and `${index}` (from 0).
    fn each(&self, node: &Node) -> Result<Json, Mistake> {
        node.only("$each", &["in", "do"])?;
        let missing = || Mistake::at(node.line, "$each needs `in` and `do`");
        let (list, template) = (node.get("in").ok_or_else(missing)?, node.get("do").ok_or_else(missing)?);
        let items = match self.value(list)? {
            Json::Array(items) => items,
            Json::Number(count) => (0..count.as_u64().unwrap_or(0)).take(MAX_EACH).map(Json::from).collect(),
            _ => return Err(Mistake::at(list.line, "`in` must be a list or a count")),
        };
        let mut inner = self.clone();
        let mut made = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().take(MAX_EACH).enumerate() {
            inner.variables.insert(ITEM.to_owned(), item);
            inner.variables.insert(INDEX.to_owned(), Json::from(index));
            made.push(inner.value(template)?);
        }
        Ok(Json::Array(made))
    }

    fn text(&self, text: &str) -> Result<Json, String> {
        let mut made = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("{text:?} has an open ${{"))?;
            let found = self.variable(name)?;
            if before.is_empty() && after.is_empty() && made.is_empty() {
                return Ok(found);
            }
            made.push_str(before);
            made.push_str(&plain(&found).ok_or_else(|| format!("${{{name}}} cannot stand inside text"))?);
            rest = after;
        }
        made.push_str(rest);
        Ok(Json::String(made))
    }

    fn variable(&self, name: &str) -> Result<Json, String> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let root =
            self.variables.get(&name[..end]).ok_or_else(|| format!("there is no variable {:?}", &name[..end]))?;
        let rest = &name[end..];
        let path = Path::parse(rest.strip_prefix('.').unwrap_or(rest))?;
        path.find(root).ok_or_else(|| format!("${{{name}}} has no value in {}", value::shown(root)))
    }
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The names of the variables that a template uses.
pub fn variables_of(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(node, &mut found);
    found.remove(ITEM);
    found.remove(INDEX);
    found
}

fn collect(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => collect_text(text, found),
        Value::List(list) => list.iter().for_each(|one| collect(one, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                collect_text(&key.name, found);
                collect(value, found);
            }
        }
        _ => {}
    }
}

fn collect_text(text: &str, found: &mut BTreeSet<String>) {
    for part in text.split("${").skip(1) {
        let name = part.split(['}', '.', '[']).next().unwrap_or_default();
        found.insert(name.to_owned());
    }
}

/// Text and numbers that stand in a template; a variable inside text stands as `*`. A single character proves nothing and is
/// left out.
pub fn literals_of(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    literals(node, &mut found);
    found
}

fn literals(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => {
            let pattern = pattern_of(text);
            if pattern.len() > 1 {
                found.insert(pattern);
            }
        }
        Value::Integer(number) => {
            found.insert(number.to_string());
        }
        Value::List(list) => list.iter().for_each(|one| literals(one, found)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| literals(value, found)),
        _ => {}
    }
}

/// `m${index}` is `m*`.
fn pattern_of(text: &str) -> String {
    let mut parts = text.split("${");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        pattern.push('*');
        pattern.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::yaml::parse;
    use serde_json::json;

    fn scope() -> Scope {
        let variables = [("q", json!("http://q")), ("n", json!(3)), ("l", json!([{"a": "x"}, {"a": "y"}]))];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Scope { variables, ..Scope::default() }
    }

    fn value(text: &str) -> Json {
        scope().value(&parse(text).unwrap()).unwrap()
    }

    #[test]
    fn variables_stand_for_their_values() {
        assert_eq!(value("{a: '${q}/x', b: '${n}', c: '${l[1].a}'}"), json!({"a": "http://q/x", "b": 3, "c": "y"}));
        assert_eq!(value("{$each: {in: '${l}', do: '${index}-${item.a}'}}"), json!(["0-x", "1-y"]));
        assert_eq!(value("{$each: {in: 2, do: {Id: 'i${item}'}}}"), json!([{"Id": "i0"}, {"Id": "i1"}]));
    }

    #[test]
    fn what_has_no_value_is_told_with_its_line() {
        let wrong = scope().value(&parse("a: 1\nb: '${nobody}'").unwrap()).unwrap_err();
        assert_eq!(wrong, Mistake::at(2, "there is no variable \"nobody\""));
        assert!(scope().value(&parse("'x${l}'").unwrap()).is_err());
    }

    #[test]
    fn names_and_literals_are_found() {
        let node = parse("{a: '${q}/${l[0].a}', b: {$json: {c: hello}}, d: [7, x]}").unwrap();
        assert_eq!(variables_of(&node), BTreeSet::from(["q".to_owned(), "l".to_owned()]));
        assert_eq!(literals_of(&node), BTreeSet::from(["*/*", "hello", "7"].map(str::to_owned)));
    }
}
