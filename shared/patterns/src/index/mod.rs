//! Many patterns at once: which of them an event matches, at a cost that does not grow with those it does not match.
//!
//! Every branch of every pattern is a path through a tree. An edge is one field with its conditions; patterns that
//! begin alike share nodes. The narrowest fields come first, so that a field on which every pattern agrees, or which
//! nearly every value satisfies, is asked only where the rest already fits. At a node with many edges on one field the
//! conditions are indexed by kind: hashes, tries, interval trees.

mod automaton;
mod children;
mod fields;
mod intervals;
mod values;
mod walk;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::condition::Condition;
use crate::event::Event;
use crate::pattern::{Branch, Field, Pattern};
use children::Children;
use fields::{FieldId, Fields};
use walk::Walk;

/// A node, or in the structures below it whatever a condition stands for.
type Target = u32;

const ROOT: Target = 0;

/// Takes one occurrence out of a list whose order does not matter.
fn take_one(list: &mut Vec<Target>, target: Target) {
    if let Some(at) = list.iter().position(|known| *known == target) {
        list.swap_remove(at);
    }
}

/// Patterns by what they are called.
#[derive(Clone, Debug)]
pub struct Index<Id> {
    nodes: Vec<Node>,
    free_nodes: Vec<Target>,
    fields: Fields,
    slots: Vec<Option<Slot<Id>>>,
    free_slots: Vec<u32>,
    by_id: HashMap<Id, u32>,
}

#[derive(Clone, Debug)]
struct Slot<Id> {
    id: Id,
    /// Where the pattern's branches end.
    ends: Vec<Target>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The patterns of which a branch ends here.
    slots: Vec<u32>,
    /// Sorted by field.
    edges: Vec<(FieldId, Children)>,
    /// The fields of which an edge is content with no value, and how many such edges there are.
    absent: Vec<(FieldId, usize)>,
    /// Where the node hangs: its parent, the field and the conditions. The root hangs nowhere.
    origin: Option<(Target, FieldId, Arc<[Condition]>)>,
}

impl<Id> Default for Index<Id> {
    fn default() -> Self {
        Index {
            nodes: vec![Node::default()],
            free_nodes: Vec::new(),
            fields: Fields::default(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            by_id: HashMap::new(),
        }
    }
}

impl<Id: Clone + Eq + Hash> Index<Id> {
    pub fn new() -> Self {
        Index::default()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds a pattern, in place of the one of the same id if there is one.
    pub fn insert(&mut self, id: Id, pattern: &Pattern) {
        self.remove(&id);
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        let ends: Vec<Target> = pattern.branches.iter().map(|branch| self.insert_branch(branch, slot)).collect();
        self.slots[slot as usize] = Some(Slot { id: id.clone(), ends });
        self.by_id.insert(id, slot);
    }

    /// Whether there was such a pattern.
    pub fn remove<Q>(&mut self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(slot) = self.by_id.remove(id) else { return false };
        if let Some(Slot { ends, .. }) = self.slots[slot as usize].take() {
            for end in ends {
                take_one(&mut self.nodes[end as usize].slots, slot);
                self.prune(end);
            }
        }
        self.free_slots.push(slot);
        true
    }

    /// The ids of the patterns that match, each once, in no particular order.
    ///
    /// Bounded: an event of large arrays beside each other, with patterns over many of them, is given up after a
    /// million combinations; what was found until then is the answer.
    pub fn matches(&self, event: &Event<'_>) -> Vec<&Id> {
        let mut found = Walk::new(&self.nodes, &self.fields, event).run();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|slot| self.slots[slot as usize].as_ref().map(|slot| &slot.id)).collect()
    }

    fn insert_branch(&mut self, branch: &Branch, slot: u32) -> Target {
        let mut at = ROOT;
        for field in in_order(branch) {
            let id = self.fields.intern(&field.path);
            at = match self.child(at, id, &field.conditions) {
                Some(child) => {
                    self.fields.release(id);
                    child
                }
                None => self.add_child(at, id, field),
            };
        }
        self.nodes[at as usize].slots.push(slot);
        at
    }

    fn child(&self, node: Target, field: FieldId, conditions: &[Condition]) -> Option<Target> {
        let edges = &self.nodes[node as usize].edges;
        let at = edges.binary_search_by_key(&field, |(known, _)| *known).ok()?;
        edges[at].1.get(conditions)
    }

    fn add_child(&mut self, parent: Target, field: FieldId, asked: &Field) -> Target {
        let conditions = Arc::clone(&asked.conditions);
        let node = Node { origin: Some((parent, field, Arc::clone(&conditions))), ..Node::default() };
        let child = match self.free_nodes.pop() {
            Some(free) => {
                self.nodes[free as usize] = node;
                free
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Target
            }
        };
        let parent = &mut self.nodes[parent as usize];
        if conditions.contains(&Condition::Absent) {
            match parent.absent.iter_mut().find(|(known, _)| *known == field) {
                Some((_, count)) => *count += 1,
                None => parent.absent.push((field, 1)),
            }
        }
        let at = match parent.edges.binary_search_by_key(&field, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                parent.edges.insert(at, (field, Children::new()));
                at
            }
        };
        parent.edges[at].1.insert(conditions, child);
        child
    }

    /// Takes out the node and those above it that nothing needs any more.
    fn prune(&mut self, mut at: Target) {
        loop {
            let node = &mut self.nodes[at as usize];
            if !node.slots.is_empty() || !node.edges.is_empty() {
                return;
            }
            let Some((parent, field, conditions)) = node.origin.take() else { return };
            *node = Node::default();
            self.free_nodes.push(at);
            self.fields.release(field);
            let parent_node = &mut self.nodes[parent as usize];
            if let Ok(position) = parent_node.edges.binary_search_by_key(&field, |(known, _)| *known) {
                parent_node.edges[position].1.remove(&conditions);
                if parent_node.edges[position].1.is_empty() {
                    parent_node.edges.remove(position);
                }
            }
            if conditions.contains(&Condition::Absent) {
                if let Some((_, count)) = parent_node.absent.iter_mut().find(|(known, _)| *known == field) {
                    *count -= 1;
                }
                parent_node.absent.retain(|(_, count)| *count > 0);
            }
            at = parent;
        }
    }
}

/// The fields of a branch as the tree asks them: the narrowest first. Those that may be absent come last, by path,
/// because absence is judged by the elements that fields of smaller paths have chosen.
fn in_order(branch: &Branch) -> Vec<&Field> {
    let mut fields: Vec<&Field> = branch.fields.iter().collect();
    fields.sort_by_cached_key(|field| {
        let breadth = field.conditions.iter().map(Condition::breadth).max().unwrap_or_default();
        let alternatives = if field.conditions.contains(&Condition::Absent) { 0 } else { field.conditions.len() };
        (breadth, alternatives, Arc::clone(&field.path))
    });
    fields
}
