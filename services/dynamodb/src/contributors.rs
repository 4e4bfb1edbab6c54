//! Which keys are accessed and throttled most, where contributor insights are on: what CloudWatch's rules tell on AWS.
//!
//! Each rule counts in a bounded number of places (the Space-Saving algorithm): a key that is new takes the place of the one with the
//! least count, and its count too, so that what is told is never too low and the most frequent keys are never missed. Counts are the
//! process's own; they begin when a rule is created and end with it. `GET /_aws/dynamodb/contributors?table=NAME` tells them.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/contributorinsights_HowItWorks.html>

use std::collections::HashMap;

use fractus_clock::Timestamp;
use fractus_dynamodb_rules::{Item, Value, json};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::table::{KeyNames, Table};

/// How many keys a rule counts.
const KEYS: usize = 500;
/// Beyond it all is forgotten: a bound on what tables without end would take.
const MAX_RULES: usize = 4_000;
/// How many keys are told; as many as CloudWatch's report has at most.
const TOLD: usize = 100;

/// Insights that are on, of a table or of one of its indexes, as the table's record has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    pub index: Option<String>,
    pub only_throttled: bool,
    /// ENABLING until then: nothing is counted.
    pub since: Timestamp,
}

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Accessed,
    Throttled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Partition,
    Sort,
}

/// The kinds of rules, as their names have them.
const RULES: [(Part, Event, &str); 4] = [
    (Part::Partition, Event::Accessed, "PKC"),
    (Part::Sort, Event::Accessed, "SKC"),
    (Part::Partition, Event::Throttled, "PKT"),
    (Part::Sort, Event::Throttled, "SKT"),
];

/// The kinds of rules that watch a key of such names.
pub fn kinds(key: &KeyNames, only_throttled: bool) -> Vec<&'static str> {
    let is_there = |(part, event, _): &&(Part, Event, &str)| {
        (*part == Part::Partition || !key.1.is_empty()) && (*event == Event::Throttled || !only_throttled)
    };
    RULES.iter().filter(is_there).map(|(.., kind)| *kind).collect()
}

/// The most frequent of many, in a bounded number of places.
#[derive(Debug, Default)]
struct Frequent {
    counts: HashMap<Vec<String>, u64>,
    all: u64,
}

impl Frequent {
    fn count(&mut self, key: Vec<String>) {
        self.all += 1;
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
            return;
        }
        let mut inherited = 0;
        if self.counts.len() >= KEYS {
            // The least frequent one; of several the one that is first by name, so that it does not depend on chance.
            let least = self.counts.iter().min_by(|one, other| one.1.cmp(other.1).then_with(|| one.0.cmp(other.0)));
            if let Some((key, count)) = least.map(|(key, count)| (key.clone(), *count)) {
                self.counts.remove(&key);
                inherited = count;
            }
        }
        self.counts.insert(key, inherited + 1);
    }

    /// The most frequent first.
    fn told(&self) -> Json {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by(|one, other| other.1.cmp(one.1).then_with(|| one.0.cmp(other.0)));
        let contributors: Vec<Json> = all
            .into_iter()
            .take(TOLD)
            .map(|(keys, count)| json!({"Keys": keys, "ApproximateAggregateValue": count}))
            .collect();
        json!({"AggregateValue": self.all, "ApproximateUniqueCount": self.counts.len(), "Contributors": contributors})
    }
}

/// A rule: the table's id, the number of its index or nothing, and what it counts. One that was switched off and on is another.
type RuleId = (u64, Option<u64>, Timestamp, Part, Event);

/// The counts of all rules.
#[derive(Debug, Default)]
pub struct Contributors {
    rules: Mutex<HashMap<RuleId, Frequent>>,
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::S(text) => Some(text.clone()),
        Value::N(number) => Some(number.to_string()),
        Value::B(bytes) => Some(json::base64(bytes)),
        _ => None,
    }
}

fn texts(names: &[String], item: &Item) -> Option<Vec<String>> {
    names.iter().map(|name| item.get(name).and_then(text)).collect()
}

impl Contributors {
    /// Counts an item, or the key of one, of a table or of one of its indexes. Nothing is done where no insights are on.
    pub fn count(&self, table: &Table, index: Option<&str>, item: &Item, event: Event, now: Timestamp) {
        for watched in table.features.insights.iter().filter(|watched| watched.index.as_deref() == index) {
            let is_wanted = watched.since <= now && (event == Event::Throttled || !watched.only_throttled);
            let own = index.and_then(|name| table.index(name));
            let key = own.map_or(&table.key, |index| &index.key);
            let Some(partition) = texts(&key.0, item).filter(|_| is_wanted) else { continue };
            let sort = texts(&key.1, item).filter(|sort| !sort.is_empty());
            let mut rules = self.rules.lock();
            if rules.len() > MAX_RULES {
                rules.clear();
            }
            let rule = |part| (table.id, own.map(|index| index.number), watched.since, part, event);
            if let Some(sort) = sort {
                let both = [partition.clone(), sort].concat();
                rules.entry(rule(Part::Sort)).or_default().count(both);
            }
            rules.entry(rule(Part::Partition)).or_default().count(partition);
        }
    }

    /// Counts items of a page that was read.
    pub fn count_all<'i>(
        &self,
        table: &Table,
        index: Option<&str>,
        items: impl IntoIterator<Item = &'i Item>,
        now: Timestamp,
    ) {
        if !table.features.insights.is_empty() {
            items.into_iter().for_each(|item| self.count(table, index, item, Event::Accessed, now));
        }
    }

    /// What the rules of a table or of one of its indexes have counted, by the kind of rule; nothing where none are on.
    pub fn told(&self, table: &Table, index: Option<&str>) -> Option<Json> {
        let watched = table.features.insights.iter().find(|watched| watched.index.as_deref() == index)?;
        let own = index.and_then(|name| table.index(name));
        let key = own.map_or(&table.key, |index| &index.key);
        let kinds = kinds(key, watched.only_throttled);
        let rules = self.rules.lock();
        let one = |(part, event, kind): &(Part, Event, &str)| {
            let rule = (table.id, own.map(|index| index.number), watched.since, *part, *event);
            let told = rules.get(&rule).map_or_else(|| Frequent::default().told(), Frequent::told);
            ((*kind).to_owned(), told)
        };
        Some(Json::Object(RULES.iter().filter(|(.., kind)| kinds.contains(kind)).map(one).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(only_throttled: bool) -> Table {
        let mut table = Table { key: (vec!["pk".into()], vec!["sk".into()]), ..Table::default() };
        let since = Timestamp::from_secs(10);
        table.features.insights = vec![Watched { index: None, only_throttled, since }];
        table
    }

    fn item(pk: &str, sk: u64) -> Item {
        [("pk".to_owned(), Value::text(pk)), ("sk".to_owned(), Value::number(sk))].into_iter().collect()
    }

    #[test]
    fn the_most_frequent_keys_are_told_with_their_counts() {
        let (contributors, table, now) = (Contributors::default(), table(false), Timestamp::from_secs(10));
        contributors.count(&table, None, &item("early", 1), Event::Accessed, Timestamp::from_secs(9));
        for n in 0..5 {
            contributors.count(&table, None, &item("hot", n % 2), Event::Accessed, now);
        }
        contributors.count(&table, None, &item("cold", 1), Event::Accessed, now);
        contributors.count(&table, None, &item("hot", 1), Event::Throttled, now);
        let told = contributors.told(&table, None).unwrap();
        assert_eq!(told["PKC"]["Contributors"][0], json!({"Keys": ["hot"], "ApproximateAggregateValue": 5}));
        assert_eq!(told["PKC"]["AggregateValue"], 6);
        assert_eq!(told["SKC"]["Contributors"][0], json!({"Keys": ["hot", "0"], "ApproximateAggregateValue": 3}));
        assert_eq!(told["SKT"]["Contributors"][0]["Keys"], json!(["hot", "1"]));
        assert_eq!(contributors.told(&table, Some("other")), None);
    }

    #[test]
    fn only_what_is_throttled_is_counted_where_that_is_the_mode() {
        let (contributors, table, now) = (Contributors::default(), table(true), Timestamp::from_secs(10));
        contributors.count(&table, None, &item("a", 1), Event::Accessed, now);
        contributors.count(&table, None, &item("b", 1), Event::Throttled, now);
        let told = contributors.told(&table, None).unwrap();
        assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["PKT", "SKT"]);
        assert_eq!(told["PKT"]["AggregateValue"], 1);
    }

    #[test]
    fn places_are_bounded_and_a_frequent_key_is_not_missed() {
        let mut frequent = Frequent::default();
        for n in 0..20_000 {
            frequent.count(vec![if n % 20 == 0 { "hot".to_owned() } else { format!("key-{n}") }]);
        }
        assert_eq!(frequent.counts.len(), KEYS);
        let told = frequent.told();
        assert_eq!(told["Contributors"][0]["Keys"], json!(["hot"]));
        assert!(told["Contributors"][0]["ApproximateAggregateValue"].as_u64().unwrap() >= 1_000);
    }
}
