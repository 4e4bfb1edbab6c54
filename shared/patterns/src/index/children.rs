//! Where a node's edges on one field lead.

use std::collections::HashMap;
use std::sync::Arc;

use super::Target;
use super::values::Values;
use crate::condition::Condition;
use crate::value::View;

/// The children of a node by what they ask of one field. A few are asked one by one; many share an index.
#[derive(Clone, Debug)]
pub(super) enum Children {
    Few(Vec<(Arc<[Condition]>, Target)>),
    Many(Box<Many>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Many {
    by_conditions: HashMap<Arc<[Condition]>, Target>,
    values: Values,
    absent: Vec<Target>,
}

/// More conditions than these are indexed.
const FEW_CONDITIONS: usize = 8;

impl Children {
    pub fn new() -> Self {
        Children::Few(Vec::new())
    }

    pub fn get(&self, conditions: &[Condition]) -> Option<Target> {
        match self {
            Children::Few(list) => list.iter().find(|(known, _)| **known == *conditions).map(|(_, child)| *child),
            Children::Many(many) => many.by_conditions.get(conditions).copied(),
        }
    }

    pub fn insert(&mut self, conditions: Arc<[Condition]>, child: Target) {
        match self {
            Children::Many(many) => many.insert(conditions, child),
            Children::Few(list) => {
                list.push((conditions, child));
                if list.iter().map(|(conditions, _)| weight(conditions)).sum::<usize>() > FEW_CONDITIONS {
                    let mut many = Box::<Many>::default();
                    for (conditions, child) in list.drain(..) {
                        many.insert(conditions, child);
                    }
                    *self = Children::Many(many);
                }
            }
        }
    }

    pub fn remove(&mut self, conditions: &[Condition]) {
        match self {
            Children::Few(list) => list.retain(|(known, _)| **known != *conditions),
            Children::Many(many) => many.remove(conditions),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Children::Few(list) => list.is_empty(),
            Children::Many(many) => many.by_conditions.is_empty(),
        }
    }

    /// The only child, if there is one only.
    pub fn only(&self) -> Option<Target> {
        match self {
            Children::Few(list) => match list.as_slice() {
                [(_, child)] => Some(*child),
                _ => None,
            },
            Children::Many(many) => {
                let mut children = many.by_conditions.values();
                children.next().copied().filter(|_| children.next().is_none())
            }
        }
    }

    /// Adds the children whose conditions the value satisfies; a child may be found more than once.
    pub fn find(&self, view: &View<'_>, found: &mut Vec<Target>) {
        match self {
            Children::Few(list) => {
                for (conditions, child) in list {
                    if conditions.iter().any(|condition| condition.accepts(view)) {
                        found.push(*child);
                    }
                }
            }
            Children::Many(many) => many.values.find(view, found),
        }
    }

    /// Adds the children that are content with no value.
    pub fn find_absent(&self, found: &mut Vec<Target>) {
        match self {
            Children::Few(list) => {
                let content = |(conditions, _): &&(Arc<[Condition]>, Target)| conditions.contains(&Condition::Absent);
                found.extend(list.iter().filter(content).map(|(_, child)| *child));
            }
            Children::Many(many) => found.extend(&many.absent),
        }
    }
}

fn weight(conditions: &[Condition]) -> usize {
    let weight = |condition: &Condition| match condition {
        Condition::AnythingBut(excluded) => excluded.len(),
        _ => 1,
    };
    conditions.iter().map(weight).sum()
}

impl Many {
    fn insert(&mut self, conditions: Arc<[Condition]>, child: Target) {
        for condition in &*conditions {
            self.values.insert(condition, child);
        }
        if conditions.contains(&Condition::Absent) {
            self.absent.push(child);
        }
        self.by_conditions.insert(conditions, child);
    }

    fn remove(&mut self, conditions: &[Condition]) {
        let Some((conditions, child)) = self.by_conditions.remove_entry(conditions) else { return };
        for condition in &*conditions {
            self.values.remove(condition, child);
        }
        super::take_one(&mut self.absent, child);
    }
}
