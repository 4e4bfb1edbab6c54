//! Building an operation's input: what is required, what a variant is about, or everything.

use fractus_clock::Timestamp;
use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};
use serde_json::Value as Json;

use super::chance::Chance;
use super::facts;
use super::names::Names;
use super::pattern::Patterns;
use super::setup::{Setup, When};
use super::site::{Path, Step};
use super::value::Value;

/// Structures in structures end here, whatever the model says.
const MAX_DEPTH: usize = 10;
/// Full inputs give optional members down to here.
const FULL_DEPTH: usize = 3;
/// Texts for which the model has no length.
const USUAL_LENGTH: usize = 12;
/// Texts shorter than this are the same with every seed: of few letters there are few texts, so that two names would be one with
/// some seeds, and a single digit is a number or a whole JSON document.
const SHORT: usize = 8;
const SEED_OF_SHORT: u64 = 1;
/// 2023-11-14T22:13:20Z.
const SOME_TIME: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What is done at the place a variant is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// It is there, as it usually is.
    Present,
    /// It is this.
    Set(Value),
    /// It is missing.
    Remove,
    /// It has this many characters, bytes, elements or entries.
    Length(usize),
    /// Another text of its pattern.
    Sample(u32),
}

/// What an input is built from.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    pub api: &'a Api,
    pub setup: &'a Setup,
    pub patterns: &'a Patterns,
    pub names: &'a Names,
    pub seed: u64,
    pub operation: &'a str,
    /// The variant's id; fresh names come from it.
    pub about: &'a str,
    pub full: bool,
    /// What the set-up table has for this variant.
    pub when: &'a [&'a When],
    pub target: Option<(&'a Path, &'a Edit)>,
}

/// Where the builder is.
struct Place<'p> {
    path: Path,
    depth: usize,
    /// In the innermost list or map.
    index: usize,
    above: Vec<&'p str>,
}

impl Place<'_> {
    fn inside(&self, step: Step, index: usize) -> Self {
        Place { path: self.path.then(step), depth: self.depth, index, above: self.above.clone() }
    }
}

impl<'a> Builder<'a> {
    /// The whole input; `None` where the place of the variant cannot be reached or filled as it should be.
    pub fn input(&self, input: &'a MemberFacts) -> Option<Value> {
        let place = Place { path: Path::default(), depth: 0, index: 0, above: Vec::new() };
        let mut value = self.structure(&input.shape, facts::shape(self.api, &input.shape), &place)?;
        super::derived::fill(&mut value);
        Some(value)
    }

    fn edit_at(&self, path: &Path) -> Option<&'a Edit> {
        self.target.filter(|(target, _)| *target == path).map(|(_, edit)| edit)
    }

    fn is_on_the_way(&self, path: &Path) -> bool {
        self.target.is_some_and(|(target, _)| path.leads_to(target))
    }

    fn value(&self, member: &'a MemberFacts, place: &Place<'a>) -> Option<Value> {
        let shape = facts::shape(self.api, &member.shape);
        match self.edit_at(&place.path) {
            Some(Edit::Set(value)) => return Some(value.clone()),
            Some(Edit::Length(length)) => return self.of_length(member, shape, *length, place),
            Some(Edit::Sample(number)) => return self.sample(shape, *number, place),
            _ => {}
        }
        let goes_through = self.is_on_the_way(&place.path) && self.edit_at(&place.path).is_none();
        if !goes_through && let Some(value) = self.set_up_value(member, shape, place) {
            return Some(value);
        }
        self.usual(member, shape, place)
    }

    fn usual(&self, member: &'a MemberFacts, shape: &'a ShapeFacts, place: &Place<'a>) -> Option<Value> {
        let (least, most) = (shape.min, shape.max);
        Some(match shape.kind {
            _ if shape.document => Value::Document(serde_json::json!({"key": "value"})),
            ShapeType::Structure => return self.structure(&member.shape, shape, place),
            ShapeType::List => return self.list(member, shape, self.usual_size(shape), place),
            ShapeType::Map => return self.map(member, shape, self.usual_size(shape), place),
            ShapeType::Boolean => Value::Bool(true),
            ShapeType::Blob => {
                let text = self.seeded(&self.key_at(place), |chance| chance.text(self.usual_length(shape)));
                Value::Blob(text.into_bytes())
            }
            ShapeType::Timestamp => Value::Time(SOME_TIME),
            kind if facts::is_integer(kind) => {
                Value::Integer(least.unwrap_or_else(|| most.map_or(1.0, |most| most.min(1.0))) as i64)
            }
            kind if facts::is_number(kind) => {
                Value::Float(least.unwrap_or_else(|| most.map_or(1.0, |most| most.min(1.0))))
            }
            _ => return self.text(shape, place),
        })
    }

    fn text(&self, shape: &'a ShapeFacts, place: &Place<'a>) -> Option<Value> {
        if let Some(first) = shape.values.get(place.index.min(shape.values.len().saturating_sub(1))) {
            return Some(Value::text(first));
        }
        self.sample(shape, 0, place)
    }

    fn sample(&self, shape: &ShapeFacts, number: u32, place: &Place<'_>) -> Option<Value> {
        let (least, most) = (shape.min.unwrap_or(0.0) as usize, shape.max.map_or(usize::MAX, |most| most as usize));
        let key = format!("{}/{}/{number}", self.key(&place.path), place.index);
        let text = self.seeded(&key, |chance| {
            let Some(pattern) = shape.pattern.as_deref() else { return chance.text(self.usual_length(shape)) };
            // An empty text is a text of many patterns, and one of few services.
            let wanted = least.max(1) + number as usize * 3;
            let sample = self.patterns.get(pattern).and_then(|pattern| {
                pattern.sample(wanted, most, chance).or_else(|| pattern.sample(least, most, chance))
            });
            sample.unwrap_or_else(|| chance.text(least.max(1)))
        });
        Some(Value::Text(text))
    }

    /// A text by the run's seed, or by the one of short texts where it is such.
    fn seeded(&self, key: &str, make: impl Fn(&mut Chance) -> String) -> String {
        let text = make(&mut Chance::of(self.seed, key));
        if text.chars().count() < SHORT { make(&mut Chance::of(SEED_OF_SHORT, key)) } else { text }
    }

    fn usual_length(&self, shape: &ShapeFacts) -> usize {
        let most = shape.max.map_or(usize::MAX, |most| most as usize);
        USUAL_LENGTH.max(shape.min.unwrap_or(0.0) as usize).min(most)
    }

    fn usual_size(&self, shape: &ShapeFacts) -> usize {
        (shape.min.unwrap_or(0.0) as usize).max(1)
    }

    fn key(&self, path: &Path) -> String {
        format!("{}:{}/{path}", self.api.api, self.operation)
    }

    fn key_at(&self, place: &Place<'_>) -> String {
        format!("{}/{}", self.key(&place.path), place.index)
    }

    fn of_length(
        &self,
        member: &'a MemberFacts,
        shape: &'a ShapeFacts,
        length: usize,
        place: &Place<'a>,
    ) -> Option<Value> {
        match shape.kind {
            ShapeType::List => self.list(member, shape, length, place),
            ShapeType::Map => self.map(member, shape, length, place),
            ShapeType::Blob => Some(Value::Blob(vec![b'a'; length])),
            _ => {
                let seed = if length < SHORT { SEED_OF_SHORT } else { self.seed };
                let mut chance = Chance::of(seed, &self.key_at(place));
                let matching = shape.pattern.as_deref().map(|pattern| {
                    self.patterns.get(pattern).and_then(|pattern| pattern.of_length(length, &mut chance))
                });
                let is_allowed = shape.min.is_none_or(|least| length >= least as usize)
                    && shape.max.is_none_or(|most| length <= most as usize);
                match matching {
                    Some(Some(text)) => Some(Value::Text(text)),
                    // The pattern has no text of this length, though the length is allowed: there is no such value.
                    Some(None) if is_allowed => None,
                    _ => Some(Value::Text(chance.text(length))),
                }
            }
        }
    }

    fn list(&self, member: &'a MemberFacts, shape: &'a ShapeFacts, size: usize, place: &Place<'a>) -> Option<Value> {
        let element = shape.member.as_ref()?;
        let below = self.below(member, place)?;
        let of = |index| self.value(element, &below.inside(Step::Element, index));
        // A place is reached in the first element only.
        let target = self.target;
        let elements = (0..size).map(|index| match index {
            0 => of(0),
            _ => {
                let plain = Builder { target: target.filter(|(path, _)| path.0.len() <= below.path.0.len()), ..*self };
                plain.value(element, &below.inside(Step::Element, index))
            }
        });
        elements.collect::<Option<Vec<_>>>().map(Value::List)
    }

    fn map(&self, member: &'a MemberFacts, shape: &'a ShapeFacts, size: usize, place: &Place<'a>) -> Option<Value> {
        let (key, value) = (shape.key.as_ref()?, shape.value.as_ref()?);
        let below = self.below(member, place)?;
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(size);
        for index in 0..size {
            let mut name = self.value(key, &below.inside(Step::Key, index))?.plain()?;
            let is_enum = !facts::shape(self.api, &key.shape).values.is_empty();
            if entries.iter().any(|(known, _)| *known == name) {
                if is_enum {
                    return None;
                }
                name.push_str(&index.to_string());
            }
            entries.push((name, self.value(value, &below.inside(Step::Value, index))?));
        }
        Some(Value::Members(entries))
    }

    /// Goes below a member that has others inside; `None` where it goes in circles or too deep.
    fn below(&self, member: &'a MemberFacts, place: &Place<'a>) -> Option<Place<'a>> {
        let repeated = place.above.iter().filter(|above| **above == member.shape).count();
        if place.depth >= MAX_DEPTH || repeated > 1 {
            return None;
        }
        let mut above = place.above.clone();
        above.push(&member.shape);
        Some(Place { path: place.path.clone(), depth: place.depth + 1, index: place.index, above })
    }

    fn structure(&self, name: &'a str, shape: &'a ShapeFacts, place: &Place<'a>) -> Option<Value> {
        let repeated = place.above.iter().filter(|above| **above == name).count();
        if place.depth >= MAX_DEPTH || repeated > 1 {
            return None;
        }
        let mut above = place.above.clone();
        above.push(name);
        let mut members = Vec::new();
        for (member_name, member) in &shape.members {
            let path = place.path.then(Step::Member(member_name.clone()));
            let is_needed = shape.required.contains(member_name) || self.is_on_the_way(&path);
            let is_wanted = is_needed || self.is_wanted(member_name, shape, &path, place);
            if !is_wanted || self.edit_at(&path) == Some(&Edit::Remove) || self.is_event_stream(member) {
                continue;
            }
            let below = Place { path, depth: place.depth + 1, index: place.index, above: above.clone() };
            match self.value(member, &below) {
                Some(value) => members.push((member_name.clone(), value)),
                None if is_needed => return None,
                None => {}
            }
            // A union is one of its members.
            if shape.union && !members.is_empty() {
                break;
            }
        }
        if members.is_empty() && !place.path.0.is_empty() {
            members.extend(self.something(shape, place, &above));
        }
        Some(Value::Members(members))
    }

    /// A structure without anything in it is nothing at all in a form or a document: it gets its first single value.
    fn something(&self, shape: &'a ShapeFacts, place: &Place<'a>, above: &[&'a str]) -> Option<(String, Value)> {
        let is_single = |kind| !matches!(kind, ShapeType::Structure | ShapeType::List | ShapeType::Map);
        shape.members.iter().find_map(|(name, member)| {
            let path = place.path.then(Step::Member(name.clone()));
            let is_taken = is_single(facts::shape(self.api, &member.shape).kind) && self.edit_at(&path).is_none();
            let below = Place { path, depth: place.depth + 1, index: place.index, above: above.to_vec() };
            let value = is_taken.then(|| self.value(member, &below)).flatten()?;
            Some((name.clone(), value))
        })
    }

    fn is_event_stream(&self, member: &MemberFacts) -> bool {
        facts::shape(self.api, &member.shape).eventstream
    }

    /// Whether an optional member is given.
    fn is_wanted(&self, name: &str, shape: &ShapeFacts, path: &Path, place: &Place<'_>) -> bool {
        let here = self.setup.operation(self.operation);
        let text = path.to_string();
        if shape.union {
            let aims_inside =
                self.target.is_some_and(|(target, _)| place.path.leads_to(target) && *target != place.path);
            return !aims_inside;
        }
        let is_left_out = |list: &[String]| list.iter().any(|known| *known == text || known == name);
        // What variants leave out, they do without, though the operation has it otherwise.
        let without_here = self.when.iter().any(|when| is_left_out(&when.without));
        let of_operation = here.map(|here| &here.also).filter(|_| !without_here);
        let also = of_operation.into_iter().chain(self.when.iter().map(|when| &when.also));
        if also.flatten().any(|also| *also == text) || self.is_companion(&text, name) {
            return true;
        }
        let without =
            is_left_out(&self.setup.without) || here.is_some_and(|here| is_left_out(&here.without)) || without_here;
        let is_top = matches!(path.0.as_slice(), [Step::Member(_)]);
        let is_token =
            is_top && facts::is_page_token(self.api, self.operation, name) && !self.setup.gives(self.operation, path);
        self.full && place.depth < FULL_DEPTH && !without && !is_token
    }

    fn is_companion(&self, path: &str, name: &str) -> bool {
        let Some((target, _)) = self.target else { return false };
        let (target, last) = (target.to_string(), target.last());
        let here = self.setup.operation(self.operation).map(|here| &here.companions);
        let tables = here.into_iter().chain([&self.setup.companions]);
        tables.flatten().any(|(of, companions)| {
            (*of == last || is_or_ends(&target, of) || target.starts_with(&format!("{of}.")))
                && companions.iter().any(|companion| companion == path || companion == name)
        })
    }

    fn set_up_value(&self, member: &'a MemberFacts, shape: &'a ShapeFacts, place: &Place<'_>) -> Option<Value> {
        let (path, last) = (place.path.to_string(), place.path.last());
        let here = self.setup.operation(self.operation).map(|here| &here.values);
        let when = self.when.iter().map(|when| &when.values);
        let tables: Vec<_> = when.chain(here).chain([&self.setup.values]).collect();
        let by_path = tables.iter().find_map(|table| table.get(&path));
        let by_name = || tables.iter().find_map(|table| table.get(&last));
        let given = by_path.or_else(by_name).or_else(|| self.setup.shapes.get(&member.shape))?;
        Some(self.convert(given, shape, place.index))
    }

    /// A value of a set-up table as one of a shape.
    pub fn convert(&self, given: &Json, shape: &ShapeFacts, index: usize) -> Value {
        let inside = |member: Option<&MemberFacts>| member.map(|member| facts::shape(self.api, &member.shape));
        match given {
            _ if shape.document => Value::Document(given.clone()),
            Json::String(text) => {
                let text = self.names.expand(text, self.about, index);
                match shape.kind {
                    ShapeType::Blob => Value::Blob(text.into_bytes()),
                    ShapeType::Timestamp => Timestamp::parse_date_time(&text).map_or(Value::Text(text), Value::Time),
                    kind if facts::is_integer(kind) => text.parse().map_or(Value::Text(text), Value::Integer),
                    _ => Value::Text(text),
                }
            }
            Json::Number(number) if facts::is_text(shape.kind) => Value::Text(number.to_string()),
            Json::Number(number) => number
                .as_i64()
                .filter(|_| !facts::is_number(shape.kind) || facts::is_integer(shape.kind))
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(0.0)), Value::Integer),
            Json::Bool(value) => Value::Bool(*value),
            Json::Null => Value::empty(),
            Json::Array(elements) => {
                let element = inside(shape.member.as_ref()).unwrap_or(shape);
                Value::List(elements.iter().enumerate().map(|(i, given)| self.convert(given, element, i)).collect())
            }
            Json::Object(entries) => {
                let of = |name: &str| inside(shape.members.get(name).or(shape.value.as_ref())).unwrap_or(shape);
                let convert = |(name, given): (&String, &Json)| {
                    (self.names.expand(name, self.about, index), self.convert(given, of(name), index))
                };
                Value::Members(entries.iter().map(convert).collect())
            }
        }
    }
}

/// Whether a path is this one or ends with it.
fn is_or_ends(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(seed: u64, edit: &Edit) -> Option<String> {
        let api = crate::models::load("s3").unwrap();
        let (setup, patterns, names) = (Setup::default(), Patterns::default(), Names::default());
        let path = Path::default().then(Step::Member("Key".to_owned()));
        let builder = Builder {
            api: &api,
            setup: &setup,
            patterns: &patterns,
            names: &names,
            seed,
            operation: "DeleteObjectTagging",
            about: "",
            full: false,
            when: &[],
            target: Some((&path, edit)),
        };
        let input = api.operations["DeleteObjectTagging"].input.as_ref().unwrap();
        builder.input(input)?.at("Key")?.plain()
    }

    #[test]
    fn a_short_text_is_the_same_with_every_seed_and_a_long_one_is_not() {
        for (length, is_same) in [(1, true), (SHORT - 1, true), (SHORT, false), (200, false)] {
            let texts = [1, 2, 8].map(|seed| key_of(seed, &Edit::Length(length)).unwrap());
            assert!(texts.iter().all(|text| text.len() == length), "{texts:?}");
            assert_eq!(texts[0] == texts[1] && texts[1] == texts[2], is_same, "{length}: {texts:?}");
        }
        assert_ne!(key_of(1, &Edit::Present), key_of(2, &Edit::Present));
    }
}
