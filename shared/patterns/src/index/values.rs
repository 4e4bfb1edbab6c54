//! Which of many conditions on one field a value satisfies.

use std::collections::HashMap;
use std::hash::Hash;

use super::Target;
use super::automaton::Automaton;
use super::intervals::Intervals;
use crate::address::Address;
use crate::condition::Condition;
use crate::number::{self, Millionths};
use crate::value::{Literal, Value, View};

/// Conditions with their targets, each kind in the structure that finds it without looking at the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    texts: HashMap<Box<str>, Vec<Target>>,
    number_texts: HashMap<Box<str>, Vec<Target>>,
    numbers: HashMap<Millionths, Vec<Target>>,
    literals: HashMap<Literal, Vec<Target>>,
    folded: HashMap<Box<str>, Vec<Target>>,
    addresses: HashMap<Address, Vec<Target>>,
    exists: Vec<Target>,
    ranges: Intervals,
    v4: Intervals,
    v6: Intervals,
    heads: Automaton,
    tails: Automaton,
    folded_heads: Automaton,
    folded_tails: Automaton,
    anything_but: Option<Box<AnythingBut>>,
}

/// `anything-but` conditions: all of them hold but those of which an excluded value is met.
#[derive(Clone, Debug, Default)]
struct AnythingBut {
    /// By a number of their own, because one target may have several.
    targets: HashMap<u32, Target>,
    numbers: HashMap<(Target, Box<[Condition]>), u32>,
    next: u32,
    /// The excluded values; what they find is the condition's number.
    excluded: Values,
}

fn add<K: Hash + Eq>(map: &mut HashMap<K, Vec<Target>>, key: K, target: Target) {
    map.entry(key).or_default().push(target);
}

fn drop_from<K: Hash + Eq>(map: &mut HashMap<K, Vec<Target>>, key: &K, target: Target) {
    if let Some(list) = map.get_mut(key) {
        super::take_one(list, target);
        if list.is_empty() {
            map.remove(key);
        }
    }
}

/// A number as a point of the intervals.
fn point(number: Millionths) -> u128 {
    // One beyond each end, because an open range may begin or end there.
    u128::try_from(i128::from(number) - i128::from(number::MIN) + 1).unwrap_or(0)
}

impl Values {
    pub fn insert(&mut self, condition: &Condition, target: Target) {
        match condition {
            Condition::Text(text) => add(&mut self.texts, text.clone(), target),
            Condition::Number { text, value } => match value {
                Some(value) => add(&mut self.numbers, *value, target),
                None => add(&mut self.number_texts, text.clone(), target),
            },
            Condition::Literal(literal) => add(&mut self.literals, *literal, target),
            Condition::Address(address) => add(&mut self.addresses, *address, target),
            Condition::Block(Address::V4(first), Address::V4(last)) => {
                self.v4.insert((*first).into(), (*last).into(), target);
            }
            Condition::Block(Address::V6(first), Address::V6(last)) => self.v6.insert(*first, *last, target),
            Condition::Range(first, last) if first == last => add(&mut self.numbers, *first, target),
            Condition::Range(first, last) => self.ranges.insert(point(*first), point(*last), target),
            Condition::Prefix(text) => self.heads.insert_prefix(text.bytes(), target),
            Condition::Suffix(text) => self.tails.insert_prefix(text.bytes().rev(), target),
            Condition::EqualIgnoringCase(text) => add(&mut self.folded, text.clone(), target),
            Condition::PrefixIgnoringCase(text) => self.folded_heads.insert_prefix(text.bytes(), target),
            Condition::SuffixIgnoringCase(text) => self.folded_tails.insert_prefix(text.bytes().rev(), target),
            Condition::Wildcard(wildcard) => self.heads.insert_wildcard(wildcard, target),
            Condition::Exists => self.exists.push(target),
            Condition::AnythingBut(excluded) => self.anything_but.get_or_insert_default().insert(excluded, target),
            // A block of two families does not exist; what is absent is not a value.
            Condition::Block(..) | Condition::Absent => {}
        }
    }

    pub fn remove(&mut self, condition: &Condition, target: Target) {
        match condition {
            Condition::Text(text) => drop_from(&mut self.texts, text, target),
            Condition::Number { text, value } => match value {
                Some(value) => drop_from(&mut self.numbers, value, target),
                None => drop_from(&mut self.number_texts, text, target),
            },
            Condition::Literal(literal) => drop_from(&mut self.literals, literal, target),
            Condition::Address(address) => drop_from(&mut self.addresses, address, target),
            Condition::Block(Address::V4(first), Address::V4(last)) => {
                self.v4.remove((*first).into(), (*last).into(), target);
            }
            Condition::Block(Address::V6(first), Address::V6(last)) => self.v6.remove(*first, *last, target),
            Condition::Range(first, last) if first == last => drop_from(&mut self.numbers, first, target),
            Condition::Range(first, last) => self.ranges.remove(point(*first), point(*last), target),
            Condition::Prefix(text) => self.heads.remove_prefix(text.bytes(), target),
            Condition::Suffix(text) => self.tails.remove_prefix(text.bytes().rev(), target),
            Condition::EqualIgnoringCase(text) => drop_from(&mut self.folded, text, target),
            Condition::PrefixIgnoringCase(text) => self.folded_heads.remove_prefix(text.bytes(), target),
            Condition::SuffixIgnoringCase(text) => self.folded_tails.remove_prefix(text.bytes().rev(), target),
            Condition::Wildcard(wildcard) => self.heads.remove_wildcard(wildcard, target),
            Condition::Exists => super::take_one(&mut self.exists, target),
            Condition::AnythingBut(excluded) => {
                if let Some(anything_but) = &mut self.anything_but {
                    anything_but.remove(excluded, target);
                    if anything_but.targets.is_empty() {
                        self.anything_but = None;
                    }
                }
            }
            Condition::Block(..) | Condition::Absent => {}
        }
    }

    /// Adds the targets of all conditions that the value satisfies. A target may be found more than once.
    pub fn find(&self, view: &View<'_>, found: &mut Vec<Target>) {
        found.extend(&self.exists);
        match view.value() {
            Value::Text(text) => self.find_text(text, view, found),
            Value::Number { text, value } => {
                extend(found, self.number_texts.get(&**text));
                if let Some(value) = value {
                    extend(found, self.numbers.get(value));
                    self.ranges.find(point(*value), found);
                }
            }
            Value::Literal(literal) => extend(found, self.literals.get(literal)),
        }
        if let Some(anything_but) = &self.anything_but {
            anything_but.find(view, found);
        }
    }

    fn find_text(&self, text: &str, view: &View<'_>, found: &mut Vec<Target>) {
        extend(found, self.texts.get(text));
        self.heads.find(text.bytes(), found);
        self.tails.find(text.bytes().rev(), found);
        if !self.folded.is_empty() || !self.folded_heads.is_empty() || !self.folded_tails.is_empty() {
            let folded = view.as_folded().unwrap_or_default();
            extend(found, self.folded.get(folded));
            self.folded_heads.find(folded.bytes(), found);
            self.folded_tails.find(folded.bytes().rev(), found);
        }
        if self.addresses.is_empty() && self.v4.is_empty() && self.v6.is_empty() {
            return;
        }
        if let Some(address) = view.as_address() {
            extend(found, self.addresses.get(&address));
            match address {
                Address::V4(bits) => self.v4.find(bits.into(), found),
                Address::V6(bits) => self.v6.find(bits, found),
            }
        }
    }
}

fn extend(found: &mut Vec<Target>, targets: Option<&Vec<Target>>) {
    if let Some(targets) = targets {
        found.extend(targets);
    }
}

impl AnythingBut {
    fn insert(&mut self, excluded: &[Condition], target: Target) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.targets.insert(number, target);
        self.numbers.insert((target, excluded.into()), number);
        for condition in excluded {
            self.excluded.insert(condition, number);
        }
    }

    fn remove(&mut self, excluded: &[Condition], target: Target) {
        let Some(number) = self.numbers.remove(&(target, excluded.into())) else { return };
        self.targets.remove(&number);
        for condition in excluded {
            self.excluded.remove(condition, number);
        }
    }

    fn find(&self, view: &View<'_>, found: &mut Vec<Target>) {
        let mut failed = Vec::new();
        self.excluded.find(view, &mut failed);
        failed.sort_unstable();
        let holds = |(number, _): &(&u32, &Target)| failed.binary_search(number).is_err();
        found.extend(self.targets.iter().filter(holds).map(|(_, target)| target));
    }
}
