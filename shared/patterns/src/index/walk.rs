//! One event's way through the tree of patterns.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use super::children::Children;
use super::fields::{FieldId, Fields};
use super::{Node, ROOT, Target};
use crate::event::{Event, NONE};
use crate::pattern::MAX_STEPS;
use crate::value::View;

pub(super) struct Walk<'w, 'e> {
    nodes: &'w [Node],
    fields: &'w Fields,
    event: &'w Event<'e>,
    /// The entries whose path some pattern names, by field and then in the event's order.
    entries: Vec<(FieldId, u32)>,
    /// Where each field's entries stand in that list, sorted by field.
    groups: Vec<Group>,
    /// Whether any entry lies in an element of an array.
    has_elements: bool,
    /// The elements chosen so far: array and element.
    chosen: Vec<(u32, u32)>,
    /// The fields asked so far, with the element of the value that was taken.
    taken: Vec<(FieldId, u32)>,
    found: Vec<u32>,
    steps: usize,
    /// What fits a node's field, for nodes met again with other elements chosen.
    fitting: HashMap<(Target, FieldId), Rc<Vec<Fit>>>,
    /// Nodes under which nothing is left to find.
    exhausted: HashSet<Target>,
}

struct Group {
    field: FieldId,
    entries: Range<usize>,
    /// Whether any of the entries lies in an element of an array.
    has_elements: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Fit {
    entry: u32,
    child: Target,
}

impl<'w, 'e> Walk<'w, 'e> {
    pub fn new(nodes: &'w [Node], fields: &'w Fields, event: &'w Event<'e>) -> Self {
        let mut entries = Vec::new();
        for (position, entry) in event.entries().iter().enumerate() {
            if let Some(field) = fields.of(event, entry) {
                entries.push((field, position as u32));
            }
        }
        entries.sort_unstable();
        let mut groups: Vec<Group> = Vec::new();
        for (position, (field, entry)) in entries.iter().enumerate() {
            let is_in_element = event.entries()[*entry as usize].element != NONE;
            match groups.last_mut() {
                Some(group) if group.field == *field => {
                    group.entries.end = position + 1;
                    group.has_elements |= is_in_element;
                }
                _ => groups.push(Group { field: *field, entries: position..position + 1, has_elements: is_in_element }),
            }
        }
        Walk {
            nodes,
            fields,
            event,
            entries,
            has_elements: groups.iter().any(|group| group.has_elements),
            groups,
            chosen: Vec::new(),
            taken: Vec::new(),
            found: Vec::new(),
            steps: MAX_STEPS,
            fitting: HashMap::new(),
            exhausted: HashSet::new(),
        }
    }

    /// The patterns that match; one may be found more than once.
    pub fn run(mut self) -> Vec<u32> {
        self.visit(ROOT);
        self.found
    }

    /// Whether nothing is left to find under this node, whatever elements are chosen.
    fn visit(&mut self, at: Target) -> bool {
        let nodes = self.nodes;
        let node = &nodes[at as usize];
        self.found.extend(&node.slots);
        if node.edges.len() <= self.groups.len() {
            for (field, children) in &node.edges {
                if let Ok(group) = self.groups.binary_search_by_key(field, |group| group.field) {
                    self.ask(at, children, group);
                }
            }
        } else {
            for group in 0..self.groups.len() {
                let field = self.groups[group].field;
                if let Ok(edge) = node.edges.binary_search_by_key(&field, |(known, _)| *known) {
                    self.ask(at, &node.edges[edge].1, group);
                }
            }
        }
        for (field, _) in &node.absent {
            self.ask_absent(node, *field);
        }
        match node.edges.as_slice() {
            [] => true,
            [(_, children)] => children.only().is_some_and(|child| self.exhausted.contains(&child)),
            _ => false,
        }
    }

    /// Goes on to the children that some value of the field satisfies.
    fn ask(&mut self, at: Target, children: &Children, group: usize) {
        let Group { field, has_elements, .. } = self.groups[group];
        if has_elements {
            self.ask_elements(at, children, group);
            return;
        }
        let mut fitting = Vec::new();
        for (_, entry) in &self.entries[self.groups[group].entries.clone()] {
            children.find(&View::new(&self.event.entries()[*entry as usize].value), &mut fitting);
        }
        fitting.sort_unstable();
        fitting.dedup();
        for child in fitting {
            self.go(child, field, NONE);
        }
    }

    /// The same where values lie in elements of arrays: each may lead on with other elements chosen.
    fn ask_elements(&mut self, at: Target, children: &Children, group: usize) {
        let fitting = self.fitting(at, children, group);
        let field = self.groups[group].field;
        let mut position = 0;
        while let Some(fit) = fitting.get(position).copied() {
            position += 1;
            if self.exhausted.contains(&fit.child) {
                if children.only() == Some(fit.child) {
                    return;
                }
                continue;
            }
            if self.steps == 0 {
                return;
            }
            self.steps -= 1;
            let element = self.event.entries()[fit.entry as usize].element;
            let kept = self.chosen.len();
            match self.choose(element, fit.entry) {
                Ok(()) => self.go(fit.child, field, element),
                Err(next) => position += fitting[position..].partition_point(|fit| fit.entry < next),
            }
            self.chosen.truncate(kept);
        }
    }

    fn go(&mut self, child: Target, field: FieldId, element: u32) {
        self.taken.push((field, element));
        // Only where elements differ is a node met twice.
        if self.visit(child) && self.has_elements {
            self.exhausted.insert(child);
        }
        self.taken.pop();
    }

    fn fitting(&mut self, at: Target, children: &Children, group: usize) -> Rc<Vec<Fit>> {
        let key = (at, self.groups[group].field);
        if let Some(known) = self.fitting.get(&key) {
            return Rc::clone(known);
        }
        let mut fitting = Vec::new();
        let mut targets = Vec::new();
        for (_, entry) in &self.entries[self.groups[group].entries.clone()] {
            children.find(&View::new(&self.event.entries()[*entry as usize].value), &mut targets);
            targets.sort_unstable();
            targets.dedup();
            fitting.extend(targets.drain(..).map(|child| Fit { entry: *entry, child }));
        }
        let fitting = Rc::new(fitting);
        self.fitting.insert(key, Rc::clone(&fitting));
        fitting
    }

    /// Adds the element and those around it to the choice. If another element of one of the arrays is chosen, gives
    /// the next entry that may lie in that one.
    fn choose(&mut self, element: u32, entry: u32) -> Result<(), u32> {
        let mut at = element;
        while let Some(around) = self.event.element(at) {
            match self.chosen.iter().find(|(array, _)| *array == around.array) {
                Some((array, chosen)) if *chosen != at => {
                    return Err(self.skip(*array, *chosen, entry));
                }
                Some(_) => {}
                None => self.chosen.push((around.array, at)),
            }
            at = around.parent;
        }
        Ok(())
    }

    /// The next entry that may lie in the chosen element of the array, or beside every element of it.
    fn skip(&self, array: u32, chosen: u32, entry: u32) -> u32 {
        let first = self.event.element(chosen).map_or(0, |chosen| chosen.first);
        match self.event.array(array) {
            Some(array) if array.has_scalars => entry + 1,
            _ if first > entry => first,
            array => array.map_or(entry + 1, |array| array.end),
        }
    }

    /// Goes on to the children that are content with no value, if there is none.
    fn ask_absent(&mut self, node: &Node, field: FieldId) {
        if !self.is_absent(field) {
            return;
        }
        let Ok(edge) = node.edges.binary_search_by_key(&field, |(known, _)| *known) else { return };
        let mut content = Vec::new();
        node.edges[edge].1.find_absent(&mut content);
        for child in content {
            self.visit(child);
        }
    }

    /// A value counts only if it does not lie in other elements than those which fields of smaller paths have taken.
    fn is_absent(&mut self, field: FieldId) -> bool {
        let Ok(group) = self.groups.binary_search_by_key(&field, |group| group.field) else { return true };
        let path = self.fields.path(field);
        let before: Vec<u32> = self
            .taken
            .iter()
            .filter(|(taken, element)| *element != NONE && self.fields.path(*taken) < path)
            .map(|(_, element)| *element)
            .collect();
        if before.is_empty() {
            return false;
        }
        let kept = std::mem::take(&mut self.chosen);
        for element in before {
            // They agree with each other, as each was chosen after the others.
            let _ = self.choose(element, 0);
        }
        let range = self.groups[group].entries.clone();
        let known = self.chosen.len();
        let mut is_absent = true;
        for position in range {
            let entry = self.entries[position].1;
            self.steps = self.steps.saturating_sub(1);
            let fits = self.choose(self.event.entries()[entry as usize].element, entry).is_ok();
            self.chosen.truncate(known);
            if fits || self.steps == 0 {
                is_absent = false;
                break;
            }
        }
        self.chosen = kept;
        is_absent
    }
}
