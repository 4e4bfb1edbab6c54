//! The tree of one collection of one scope: leaves of neighbouring records under branches of many children.
//!
//! It is persistent: a clone is a pointer, and what two clones share is copied, a leaf and the branches above it, when one
//! of them is changed. What nobody else holds is changed in place.

use std::sync::Arc;

use smallvec::SmallVec;

use super::key::MemoryKey;
use super::leaf::{Leaf, Replaced};
use crate::engine::{RawItem, RawRecord};
use crate::key::KeyBytes;
use crate::range::Order;

/// The most children of a branch.
const WIDTH: usize = 64;

#[derive(Clone)]
enum Node {
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

#[derive(Clone)]
struct Branch {
    /// `keys[i]` parts the children `i` and `i + 1`: it is not after the first key of the latter.
    keys: Vec<MemoryKey>,
    children: Vec<Node>,
}

/// What a change of a node means for the branch above it.
enum Grown {
    No,
    /// It has a neighbour now, which begins at this key.
    Split(MemoryKey, Node),
}

#[derive(Clone)]
pub(super) struct Tree {
    root: Node,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { root: Node::Leaf(Arc::default()) }
    }
}

impl Branch {
    fn child_of(&self, key: &[u8]) -> usize {
        self.keys.partition_point(|first| first.bytes() <= key)
    }

    fn remove_child(&mut self, index: usize) {
        self.children.remove(index);
        if !self.keys.is_empty() {
            self.keys.remove(index.saturating_sub(1));
        }
    }

    /// Makes one leaf of two sparse neighbours, so that what random removals leave is not a leaf for each record.
    fn merge_sparse(&mut self, index: usize) {
        let sparse = |node: Option<&Node>| matches!(node, Some(Node::Leaf(leaf)) if leaf.is_sparse());
        if !sparse(self.children.get(index)) {
            return;
        }
        let lower = if sparse(self.children.get(index + 1)) {
            index
        } else if index > 0 && sparse(self.children.get(index - 1)) {
            index - 1
        } else {
            return;
        };
        if let (Node::Leaf(one), Node::Leaf(next)) = (self.children[lower].clone(), &self.children[lower + 1]) {
            let mut merged = (*one).clone();
            merged.absorb(next);
            self.children[lower] = Node::Leaf(Arc::new(merged));
            self.remove_child(lower + 1);
        }
    }

    fn take_in(&mut self, index: usize, first: MemoryKey, child: Node) -> Grown {
        self.keys.insert(index, first);
        self.children.insert(index + 1, child);
        if self.children.len() <= WIDTH {
            return Grown::No;
        }
        // Keys that come in order leave full branches behind them.
        let at = if index + 2 == self.children.len() { index + 1 } else { self.children.len() / 2 };
        let children = self.children.split_off(at);
        let mut keys = self.keys.split_off(at - 1);
        let first = keys.remove(0);
        Grown::Split(first, Node::Branch(Arc::new(Branch { keys, children })))
    }
}

impl Node {
    fn put(&mut self, key: &[u8], value: &[u8], expires_at: i64, undo: &mut Vec<u8>) -> (Option<Replaced>, Grown) {
        match self {
            Node::Leaf(leaf) => {
                let (replaced, upper) = Arc::make_mut(leaf).put(key, value, expires_at, undo);
                let grown = upper
                    .map_or(Grown::No, |upper| Grown::Split(MemoryKey::new(upper.key(0)), Node::Leaf(Arc::new(upper))));
                (replaced, grown)
            }
            Node::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let index = branch.child_of(key);
                let (replaced, grown) = branch.children[index].put(key, value, expires_at, undo);
                match grown {
                    Grown::No => (replaced, Grown::No),
                    Grown::Split(first, child) => (replaced, branch.take_in(index, first, child)),
                }
            }
        }
    }

    /// Removes a key that is there; whether the node is empty now.
    fn remove(&mut self, key: &[u8], undo: &mut Vec<u8>) -> (Option<Replaced>, bool) {
        match self {
            Node::Leaf(leaf) => {
                let leaf = Arc::make_mut(leaf);
                let replaced = leaf.find(key).ok().map(|index| leaf.remove(index, undo));
                (replaced, leaf.is_empty())
            }
            Node::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let index = branch.child_of(key);
                let (replaced, empty) = branch.children[index].remove(key, undo);
                if empty {
                    branch.remove_child(index);
                } else {
                    branch.merge_sparse(index);
                }
                (replaced, branch.children.is_empty())
            }
        }
    }
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.root, Node::Leaf(leaf) if leaf.is_empty())
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<RawRecord<'_>> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.find(key).ok().map(|index| leaf.record(index)),
                Node::Branch(branch) => node = &branch.children[branch.child_of(key)],
            }
        }
    }

    /// Writes a record and says what was there; a replaced value is appended to `undo`.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], expires_at: i64, undo: &mut Vec<u8>) -> Option<Replaced> {
        let (replaced, grown) = self.root.put(key, value, expires_at, undo);
        if let Grown::Split(first, upper) = grown {
            let lower = std::mem::replace(&mut self.root, Node::Leaf(Arc::default()));
            self.root = Node::Branch(Arc::new(Branch { keys: vec![first], children: vec![lower, upper] }));
        }
        replaced
    }

    /// Removes a record. It copies what is shared, also where there is no such record.
    pub(super) fn remove(&mut self, key: &[u8], undo: &mut Vec<u8>) -> Option<Replaced> {
        let (replaced, empty) = self.root.remove(key, undo);
        if empty {
            *self = Tree::default();
        }
        while let Node::Branch(branch) = &self.root
            && let [only] = &branch.children[..]
        {
            self.root = only.clone();
        }
        replaced
    }

    /// The records from `lower` on and before `upper`.
    pub(super) fn scan(&self, lower: &[u8], upper: Option<&[u8]>, order: Order) -> TreeScan<'_> {
        let mut scan = TreeScan { above: SmallVec::new(), leaf: None, from: 0, to: 0, end: None, order };
        match order {
            Order::Ascending => {
                scan.end = upper.map(KeyBytes::from_slice);
                scan.descend(&self.root, Some(lower));
            }
            Order::Descending => {
                scan.end = Some(KeyBytes::from_slice(lower));
                scan.descend(&self.root, upper);
            }
        }
        scan
    }
}

/// A scan under way: a leaf, what of it is still to come, and the way down to it.
pub(crate) struct TreeScan<'t> {
    above: SmallVec<[(&'t Branch, usize); 4]>,
    leaf: Option<&'t Leaf>,
    /// The records of the leaf that are still to come.
    from: usize,
    to: usize,
    /// Where the scan ends: the upper bound (excluded) if it ascends, the lower one (included) if it descends.
    end: Option<KeyBytes>,
    order: Order,
}

impl<'t> TreeScan<'t> {
    /// Goes down to the leaf where a scan from `start` begins; without a start to the first leaf or the last.
    fn descend(&mut self, from: &'t Node, start: Option<&[u8]>) {
        let mut node = from;
        loop {
            match node {
                Node::Branch(branch) => {
                    let index = match (start, self.order) {
                        (Some(key), _) => branch.child_of(key),
                        (None, Order::Ascending) => 0,
                        (None, Order::Descending) => branch.children.len() - 1,
                    };
                    self.above.push((branch, index));
                    node = &branch.children[index];
                }
                Node::Leaf(leaf) => return self.enter(leaf, start),
            }
        }
    }

    fn enter(&mut self, leaf: &'t Leaf, start: Option<&[u8]>) {
        let place = |key: &[u8]| leaf.find(key).unwrap_or_else(|place| place);
        let end = self.end.as_deref().map(place);
        let start = start.map(place);
        (self.from, self.to) = match self.order {
            Order::Ascending => (start.unwrap_or(0), end.unwrap_or(leaf.len())),
            Order::Descending => (end.unwrap_or(0), start.unwrap_or(leaf.len())),
        };
        self.leaf = Some(leaf);
    }

    /// Whether the scan's end lies in the leaf it has just walked through.
    fn is_at_end(&self, leaf: &Leaf) -> bool {
        match self.order {
            Order::Ascending => self.to < leaf.len(),
            // `from` is where the end was found; the walk leaves it where it is.
            Order::Descending => self.from > 0,
        }
    }

    /// Goes on to the next leaf; `false` if there is none.
    fn advance(&mut self) -> bool {
        self.leaf = None;
        while let Some((branch, index)) = self.above.pop() {
            let next = match self.order {
                Order::Ascending => index + 1,
                Order::Descending => index.wrapping_sub(1),
            };
            if let Some(child) = branch.children.get(next) {
                self.above.push((branch, next));
                self.descend(child, None);
                return true;
            }
        }
        false
    }
}

impl<'t> Iterator for TreeScan<'t> {
    type Item = RawItem<'t>;

    fn next(&mut self) -> Option<RawItem<'t>> {
        loop {
            let leaf = self.leaf?;
            if self.from < self.to {
                let index = match self.order {
                    Order::Ascending => {
                        self.from += 1;
                        self.from - 1
                    }
                    Order::Descending => {
                        self.to -= 1;
                        self.to
                    }
                };
                return Some(RawItem { tuple: leaf.key(index).into(), record: leaf.record(index) });
            }
            if self.is_at_end(leaf) || !self.advance() {
                self.leaf = None;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::NEVER;

    fn walked(scan: TreeScan<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        scan.map(|item| (item.tuple.to_vec(), item.record.value.to_vec())).collect()
    }

    fn key(number: u16) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// Against a sorted map, with copies that must not change when the tree does.
        #[test]
        fn a_tree_holds_what_a_map_holds(
            steps in proptest::collection::vec((0u16..3_000, 0usize..1_100, 0u8..10), 1..1_500),
            bounds in proptest::collection::vec((0u16..3_100, 0u16..3_100), 8),
            (start, length) in (0u16..2_000, 0u16..2_500),
        ) {
            let mut undo = Vec::new();
            let (mut tree, mut expected) = (Tree::default(), BTreeMap::new());
            for number in start..start + length {
                tree.put(&key(number), &[1; 100], NEVER, &mut undo);
                expected.insert(key(number), vec![1; 100]);
            }
            let kept = (tree.clone(), expected.clone());
            for (number, length, kind) in steps {
                if kind < 5 {
                    let value = vec![kind; length];
                    let before = tree.put(&key(number), &value, NEVER, &mut undo).is_some();
                    prop_assert_eq!(before, expected.insert(key(number), value).is_some());
                } else {
                    // Neighbours go together, so that leaves empty and meet.
                    for number in number..number.saturating_add(40) {
                        let before = tree.remove(&key(number), &mut undo).is_some();
                        prop_assert_eq!(before, expected.remove(&key(number)).is_some());
                    }
                }
            }
            prop_assert_eq!(tree.is_empty(), expected.is_empty());
            for (tree, expected) in [(&tree, &expected), (&kept.0, &kept.1)] {
                let all: Vec<_> = expected.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(walked(tree.scan(&[], None, Order::Ascending)), all);
                for (one, other) in &bounds {
                    let (lower, upper) = (key(*one.min(other)), key(*one.max(other)));
                    let mut within: Vec<_> =
                        expected.range(lower.clone()..upper.clone()).map(|(k, v)| (k.clone(), v.clone())).collect();
                    prop_assert_eq!(walked(tree.scan(&lower, Some(&upper), Order::Ascending)), within.clone());
                    within.reverse();
                    prop_assert_eq!(walked(tree.scan(&lower, Some(&upper), Order::Descending)), within);
                    let mut from: Vec<_> = expected.range(lower.clone()..).map(|(k, v)| (k.clone(), v.clone())).collect();
                    from.reverse();
                    prop_assert_eq!(walked(tree.scan(&lower, None, Order::Descending)), from);
                    let found = tree.get(&lower).map(|record| record.value.to_vec());
                    prop_assert_eq!(found.as_ref(), expected.get(&lower));
                }
            }
        }
    }
}
