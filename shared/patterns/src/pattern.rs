//! A pattern, and the plain way to match it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::condition::Condition;
use crate::event::{Event, NONE, path_hash};
use crate::value::View;

/// Matching one event gives up after this many steps. Only an event made of large arrays beside each other, with a
/// pattern over many of them, comes near it; it then counts as not matching.
pub(crate) const MAX_STEPS: usize = 1_000_000;

/// A parsed pattern. `$or` has been multiplied out: the pattern matches if one of its branches does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(crate) branches: Vec<Branch>,
}

/// Fields that must all match, sorted by path; each path once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Branch {
    pub fields: Vec<Field>,
}

/// A path and its alternatives, sorted and without repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Field {
    pub path: Arc<str>,
    pub conditions: Arc<[Condition]>,
}

impl Branch {
    /// Later wins, as for a member that JSON gives twice.
    pub fn put(&mut self, field: Field) {
        match self.fields.binary_search_by(|known| known.path.cmp(&field.path)) {
            Ok(at) => self.fields[at] = field,
            Err(at) => self.fields.insert(at, field),
        }
    }
}

impl Pattern {
    /// Whether the event matches. The cost grows with the event and the pattern; for many patterns use an
    /// [`Index`](crate::Index).
    pub fn matches(&self, event: &Event<'_>) -> bool {
        let found = self.find_paths(event);
        let mut steps = MAX_STEPS;
        self.branches.iter().any(|branch| {
            let entries = |field: &Field| found.get(&*field.path).map_or(&[] as &[u32], Vec::as_slice);
            let entries = branch.fields.iter().map(entries).collect();
            let mut search = Search { event, branch, entries, chosen: Vec::new(), steps: &mut steps };
            search.from(0)
        })
    }

    /// The event's entries at each path that the pattern names.
    fn find_paths(&self, event: &Event<'_>) -> HashMap<&str, Vec<u32>> {
        let mut paths: Vec<(u64, &str)> = Vec::new();
        for field in self.branches.iter().flat_map(|branch| &branch.fields) {
            paths.push((path_hash(&field.path), &*field.path));
        }
        paths.sort_unstable();
        paths.dedup();
        let mut found: HashMap<&str, Vec<u32>> = HashMap::new();
        for (position, entry) in event.entries().iter().enumerate() {
            let hash = event.path_hash(entry);
            let first = paths.partition_point(|(known, _)| *known < hash);
            let same = paths[first..].iter().take_while(|(known, _)| *known == hash);
            for (_, path) in same.filter(|(_, path)| event.is_at(entry, path)) {
                found.entry(path).or_default().push(position as u32);
            }
        }
        found
    }

    /// How many branches the pattern has once `$or` is multiplied out.
    pub fn combinations(&self) -> usize {
        self.branches.len()
    }
}

/// Looks for one value for each field, field by field in the order of their paths, such that no two lie in different
/// elements of one array. An absent field is asked of the elements chosen so far.
struct Search<'s, 'e> {
    event: &'s Event<'e>,
    branch: &'s Branch,
    /// For each field the entries at its path.
    entries: Vec<&'s [u32]>,
    /// The array and the element in it of every choice so far.
    chosen: Vec<(u32, u32)>,
    steps: &'s mut usize,
}

impl Search<'_, '_> {
    fn from(&mut self, position: usize) -> bool {
        let Some(field) = self.branch.fields.get(position) else { return true };
        let mut is_present = false;
        for at in self.entries[position] {
            if *self.steps == 0 {
                return false;
            }
            *self.steps -= 1;
            let entry = &self.event.entries()[*at as usize];
            let kept = self.chosen.len();
            if self.choose(entry.element) {
                is_present = true;
                let view = View::new(&entry.value);
                if field.conditions.iter().any(|condition| condition.accepts(&view)) && self.from(position + 1) {
                    return true;
                }
            }
            self.chosen.truncate(kept);
        }
        !is_present && field.conditions.contains(&Condition::Absent) && self.from(position + 1)
    }

    /// Adds the element and those around it to the choice; false if another element of one of the arrays is chosen.
    fn choose(&mut self, element: u32) -> bool {
        let mut at = element;
        while at != NONE {
            let Some(element) = self.event.element(at) else { return true };
            match self.chosen.iter().find(|(array, _)| *array == element.array) {
                Some((_, chosen)) if *chosen != at => return false,
                Some(_) => {}
                None => self.chosen.push((element.array, at)),
            }
            at = element.parent;
        }
        true
    }
}
