//! Where the vectors of an index lie: a tree for each partition, whose leaves hold vectors that are near each other.
//!
//! A node that is no leaf has a centre for each of its children. A new vector goes down to the child whose centre is nearest, and
//! a leaf that has become too large is divided into two, in the transaction that made it so; so is a node with too many children,
//! up to the root, of which there is then a new one. A leaf that has become empty is taken away. So a write costs what the
//! tree is high, and one of a few hundred writes costs the division of a leaf. All of it is records of the store: a search sees
//! what its transaction sees, on every engine, and a fork of a lane has it too.

use bytes::Bytes;
use fractus_dynamodb_rules::vector::clusters::divide;
use fractus_dynamodb_rules::vector::{self, Distance, nearest_centre};
use fractus_store::{Collection, Key, Order, PrefixOf, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::error::Result;
use crate::store::{Raw, StoredKey};

/// Trees by (table, index, partition).
pub const TREES: Collection<(u64, u64, u64), Root> = Collection::new("vector-trees");
/// Nodes by (table, index, partition, node).
const NODES: Collection<(u64, u64, u64, u64), Node> = Collection::new("vector-nodes");
/// Children of the nodes that are no leaves: each one's number and its centre.
const CHILDREN: Collection<(u64, u64, u64, u64), Bytes> = Collection::new("vector-children");
/// What leaves hold, by (table, index, partition, leaf, stored key of the item).
const ENTRIES: Collection<(u64, u64, u64, u64, StoredKey), Entry> = Collection::new("vector-entries");
/// Where items are, by (table, index, stored key of the item): partition and leaf.
const PLACES: Collection<(u64, u64, StoredKey), (u64, u64)> = Collection::new("vector-places");

/// A leaf with more entries is divided.
const LEAF_ENTRIES: u64 = 256;
/// A node with more children is divided.
const NODE_CHILDREN: usize = 32;
const NUMBER_BYTES: usize = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub node: u64,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    parent: Option<u64>,
    /// How many entries a leaf has; nothing for other nodes.
    pub entries: Option<u64>,
}

/// A child and its centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    pub node: u64,
    pub centre: Vec<f32>,
}

fn encode(children: &[Child]) -> Bytes {
    let mut bytes = Vec::new();
    for child in children {
        bytes.extend_from_slice(&child.node.to_le_bytes());
        vector::encode(&child.centre, &mut bytes);
    }
    bytes.into()
}

fn decode(bytes: &[u8], dimensions: usize) -> Vec<Child> {
    let each = NUMBER_BYTES + vector::bytes_of(dimensions);
    let child = |bytes: &[u8]| {
        let (node, centre) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
        Some(Child { node: u64::from_le_bytes(*node), centre: vector::decode(centre) })
    };
    bytes.chunks_exact(each).filter_map(child).collect()
}

/// The trees of an index.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    pub table: u64,
    pub index: u64,
    pub distance: Distance,
}

impl Tree {
    fn at(&self, partition: u64, node: u64) -> (u64, u64, u64, u64) {
        (self.table, self.index, partition, node)
    }

    pub fn root(&self, snapshot: &Snapshot<'_>, scope: &Scope, partition: u64) -> Result<Option<u64>> {
        Ok(snapshot.get(&TREES, scope, &(self.table, self.index, partition))?.map(|root| root.node))
    }

    pub fn node(&self, snapshot: &Snapshot<'_>, scope: &Scope, partition: u64, node: u64) -> Result<Node> {
        Ok(snapshot.get(&NODES, scope, &self.at(partition, node))?.unwrap_or_default())
    }

    pub fn children(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        (partition, node): (u64, u64),
        dimensions: usize,
    ) -> Result<Vec<Child>> {
        let bytes = snapshot.get(&CHILDREN, scope, &self.at(partition, node))?.unwrap_or_default();
        Ok(decode(&bytes, dimensions))
    }

    /// What a leaf holds.
    pub fn entries(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        partition: u64,
        leaf: u64,
    ) -> Result<Vec<(StoredKey, Entry)>> {
        let range = Range::prefix(&self.at(partition, leaf));
        let records = snapshot.range(&ENTRIES, scope, range, Order::Ascending)?;
        records.map(|record| record.map(|((.., key), entry)| (key, entry)).map_err(Into::into)).collect()
    }

    pub fn has(&self, snapshot: &Snapshot<'_>, scope: &Scope, key: &[u8]) -> Result<bool> {
        Ok(snapshot.contains(&PLACES, scope, &(self.table, self.index, Raw(key)))?)
    }

    /// Replaces what is kept beside a vector that stays what it is.
    pub fn replace(&self, tx: &mut Transaction<'_>, scope: &Scope, key: &[u8], entry: &Entry) -> Result<()> {
        let place = tx.get(&PLACES, scope, &(self.table, self.index, Raw(key)))?;
        let Some((partition, leaf)) = place else { return Ok(()) };
        Ok(tx.put(&ENTRIES, scope, &(self.table, self.index, partition, leaf, Raw(key)), entry)?)
    }

    pub fn insert(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        partition: u64,
        key: &[u8],
        (vector, entry): (&[f32], &Entry),
    ) -> Result<()> {
        let vector = self.distance.placed(vector);
        let leaf = self.leaf_for(tx, scope, partition, &vector)?;
        self.put(tx, scope, (partition, leaf), key, entry)?;
        let at = self.at(partition, leaf);
        let mut node = tx.get(&NODES, scope, &at)?.unwrap_or_default();
        let count = node.entries.unwrap_or(0) + 1;
        node.entries = Some(count);
        tx.put(&NODES, scope, &at, &node)?;
        if count > LEAF_ENTRIES {
            self.divide_leaf(tx, scope, partition, leaf, vector.len())?;
        }
        Ok(())
    }

    fn put(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        (partition, leaf): (u64, u64),
        key: &[u8],
        entry: &Entry,
    ) -> Result<()> {
        tx.put(&ENTRIES, scope, &(self.table, self.index, partition, leaf, Raw(key)), entry)?;
        Ok(tx.put(&PLACES, scope, &(self.table, self.index, Raw(key)), &(partition, leaf))?)
    }

    /// The leaf that a vector belongs into; the first one of a partition is made.
    fn leaf_for(&self, tx: &mut Transaction<'_>, scope: &Scope, partition: u64, vector: &[f32]) -> Result<u64> {
        let Some(mut at) = self.root(tx, scope, partition)? else {
            tx.put(&TREES, scope, &(self.table, self.index, partition), &Root { node: 0, next: 1 })?;
            let leaf = Node { parent: None, entries: Some(0) };
            tx.put(&NODES, scope, &self.at(partition, 0), &leaf)?;
            return Ok(0);
        };
        while self.node(tx, scope, partition, at)?.entries.is_none() {
            let children = self.children(tx, scope, (partition, at), vector.len())?;
            let nearest = nearest_centre(vector, children.iter().map(|child| child.centre.as_slice()));
            match children.get(nearest) {
                Some(child) => at = child.node,
                // A node without children is not left in a tree; if one were, it would be the end of the way.
                None => break,
            }
        }
        Ok(at)
    }

    fn next_number(&self, tx: &mut Transaction<'_>, scope: &Scope, partition: u64) -> Result<u64> {
        let at = (self.table, self.index, partition);
        let mut root = tx.get(&TREES, scope, &at)?.unwrap_or_default();
        let number = root.next;
        root.next += 1;
        tx.put(&TREES, scope, &at, &root)?;
        Ok(number)
    }

    fn divide_leaf(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        partition: u64,
        leaf: u64,
        dimensions: usize,
    ) -> Result<()> {
        let entries = self.entries(tx, scope, partition, leaf)?;
        let vectors: Vec<Vec<f32>> =
            entries.iter().map(|(_, entry)| self.distance.placed(&vector::decode(&entry.vector))).collect();
        let borrowed: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let division = divide(&borrowed);
        let second = self.next_number(tx, scope, partition)?;
        let mut moved = 0;
        for ((key, entry), _) in entries.iter().zip(&division.is_second).filter(|(_, is_second)| **is_second) {
            tx.delete(&ENTRIES, scope, &(self.table, self.index, partition, leaf, Raw(&key.0)))?;
            self.put(tx, scope, (partition, second), &key.0, entry)?;
            moved += 1;
        }
        let parent = self.node(tx, scope, partition, leaf)?.parent;
        let stayed = entries.len() as u64 - moved;
        tx.put(&NODES, scope, &self.at(partition, leaf), &Node { parent, entries: Some(stayed) })?;
        tx.put(&NODES, scope, &self.at(partition, second), &Node { parent, entries: Some(moved) })?;
        let [first_centre, second_centre] = division.centres;
        let halves = [Child { node: leaf, centre: first_centre }, Child { node: second, centre: second_centre }];
        self.enter_halves(tx, scope, partition, halves, dimensions)
    }

    /// Tells the parent of a node that it is two now; a root gets a parent. A parent with too many children is divided too.
    fn enter_halves(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        partition: u64,
        halves: [Child; 2],
        dimensions: usize,
    ) -> Result<()> {
        let [mut first, mut second] = halves;
        loop {
            let parent = self.node(tx, scope, partition, first.node)?.parent;
            let Some(parent) = parent else { return self.grow(tx, scope, partition, [first, second]) };
            let mut children = self.children(tx, scope, (partition, parent), dimensions)?;
            children.retain(|child| child.node != first.node);
            children.extend([first, second]);
            if children.len() <= NODE_CHILDREN {
                return Ok(tx.put(&CHILDREN, scope, &self.at(partition, parent), &encode(&children))?);
            }
            [first, second] = self.divide_node(tx, scope, partition, parent, children)?;
        }
    }

    fn divide_node(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        partition: u64,
        node: u64,
        children: Vec<Child>,
    ) -> Result<[Child; 2]> {
        let borrowed: Vec<&[f32]> = children.iter().map(|child| child.centre.as_slice()).collect();
        let division = divide(&borrowed);
        let second = self.next_number(tx, scope, partition)?;
        let own = self.node(tx, scope, partition, node)?;
        tx.put(&NODES, scope, &self.at(partition, second), &own)?;
        let (mut stayed, mut moved) = (Vec::new(), Vec::new());
        for (child, is_second) in children.into_iter().zip(&division.is_second) {
            let parent = if *is_second { second } else { node };
            let of_child = Node { parent: Some(parent), ..self.node(tx, scope, partition, child.node)? };
            tx.put(&NODES, scope, &self.at(partition, child.node), &of_child)?;
            if *is_second { moved.push(child) } else { stayed.push(child) }
        }
        tx.put(&CHILDREN, scope, &self.at(partition, node), &encode(&stayed))?;
        tx.put(&CHILDREN, scope, &self.at(partition, second), &encode(&moved))?;
        let [first_centre, second_centre] = division.centres;
        Ok([Child { node, centre: first_centre }, Child { node: second, centre: second_centre }])
    }

    /// A new root over the halves of the old one.
    fn grow(&self, tx: &mut Transaction<'_>, scope: &Scope, partition: u64, halves: [Child; 2]) -> Result<()> {
        let number = self.next_number(tx, scope, partition)?;
        for half in &halves {
            let node = Node { parent: Some(number), ..self.node(tx, scope, partition, half.node)? };
            tx.put(&NODES, scope, &self.at(partition, half.node), &node)?;
        }
        tx.put(&NODES, scope, &self.at(partition, number), &Node::default())?;
        tx.put(&CHILDREN, scope, &self.at(partition, number), &encode(&halves))?;
        let root = Root { node: number, next: number + 1 };
        Ok(tx.put(&TREES, scope, &(self.table, self.index, partition), &root)?)
    }

    pub fn remove(&self, tx: &mut Transaction<'_>, scope: &Scope, key: &[u8]) -> Result<()> {
        let place = tx.take(&PLACES, scope, &(self.table, self.index, Raw(key)))?;
        let Some((partition, leaf)) = place else { return Ok(()) };
        let entry = tx.take(&ENTRIES, scope, &(self.table, self.index, partition, leaf, Raw(key)))?;
        let dimensions = entry.map_or(0, |entry| entry.vector.len()) / vector::bytes_of(1);
        let at = self.at(partition, leaf);
        let node = tx.get(&NODES, scope, &at)?.unwrap_or_default();
        match node.entries.unwrap_or(0).saturating_sub(1) {
            0 => self.prune(tx, scope, partition, (leaf, node), dimensions),
            left => Ok(tx.put(&NODES, scope, &at, &Node { entries: Some(left), ..node })?),
        }
    }

    /// Takes an empty node away, and those above it that become empty by it; at last the tree.
    fn prune(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        partition: u64,
        (mut number, mut node): (u64, Node),
        dimensions: usize,
    ) -> Result<()> {
        loop {
            tx.delete(&NODES, scope, &self.at(partition, number))?;
            tx.delete(&CHILDREN, scope, &self.at(partition, number))?;
            let Some(parent) = node.parent else {
                return Ok(tx.delete(&TREES, scope, &(self.table, self.index, partition))?);
            };
            let mut children = self.children(tx, scope, (partition, parent), dimensions)?;
            children.retain(|child| child.node != number);
            if !children.is_empty() {
                return Ok(tx.put(&CHILDREN, scope, &self.at(partition, parent), &encode(&children))?);
            }
            (number, node) = (parent, self.node(tx, scope, partition, parent)?);
        }
    }
}

/// Clears a piece of what a table, or one of its indexes, has here; `left` says how much more may be cleared.
pub fn clear<P>(tx: &mut Transaction<'_>, scope: &Scope, prefix: &P, left: &mut usize) -> Result<()>
where
    P: PrefixOf<(u64, u64, u64)>
        + PrefixOf<(u64, u64, u64, u64)>
        + PrefixOf<(u64, u64, u64, u64, StoredKey)>
        + PrefixOf<(u64, u64, StoredKey)>,
{
    clear_one(tx, scope, &ENTRIES, prefix, left, |tx, (table, index, partition, leaf, key)| {
        tx.delete(&ENTRIES, scope, &(table, index, partition, leaf, Raw(&key.0)))
    })?;
    clear_one(tx, scope, &PLACES, prefix, left, |tx, (table, index, key)| {
        tx.delete(&PLACES, scope, &(table, index, Raw(&key.0)))
    })?;
    clear_one(tx, scope, &CHILDREN, prefix, left, |tx, key| tx.delete(&CHILDREN, scope, &key))?;
    clear_one(tx, scope, &NODES, prefix, left, |tx, key| tx.delete(&NODES, scope, &key))?;
    clear_one(tx, scope, &TREES, prefix, left, |tx, key| tx.delete(&TREES, scope, &key))
}

fn clear_one<K: Key, V>(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    collection: &Collection<K, V>,
    prefix: &impl PrefixOf<K>,
    left: &mut usize,
    delete: impl Fn(&mut Transaction<'_>, K) -> std::result::Result<(), fractus_store::StoreError>,
) -> Result<()> {
    let keys = tx.keys(collection, scope, Range::prefix(prefix), Order::Ascending)?.take(*left);
    let keys: Vec<K> = keys.collect::<std::result::Result<_, _>>()?;
    *left -= keys.len();
    keys.into_iter().try_for_each(|key| delete(tx, key))?;
    Ok(())
}

#[cfg(test)]
mod tests;
