//! Searching an index: the nearest vectors of a partition that meet a condition.
//!
//! The tree is gone through by how near its nodes' centres are. What has been looked at is bounded: [`LOOKED_AT_LEAST`] entries are looked
//! at if there are so many, so that a partition of no more is searched exactly; and no more than [`LOOKED_AT_MOST`], where a
//! condition lets few through. In between a search ends when it has as many results as it wants.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use fractus_dynamodb_rules::codec;
use fractus_dynamodb_rules::expression::{Attributes, Bound, Condition};
use fractus_dynamodb_rules::vector::{self, Nearest};
use fractus_store::{Scope, Snapshot};

use super::tree::Tree;
use crate::error::Result;
use crate::store::Table;
use crate::table::VectorIndex;

/// Up to so many entries of a partition every search is exact.
pub const LOOKED_AT_LEAST: usize = 4_096;
pub const LOOKED_AT_MOST: usize = 65_536;

/// What is searched for.
pub struct Query<'a> {
    pub vector: &'a [f32],
    pub partition: u64,
    pub condition: Option<(&'a Bound<Condition>, &'a Attributes)>,
    pub limit: usize,
}

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// Stored keys of items with their scores and vectors, the nearest first.
    pub nearest: Vec<(Vec<u8>, f32, Vec<f32>)>,
    /// The bytes of the vectors that were looked at.
    pub looked_at_bytes: u64,
}

/// A node that has not been looked into yet; the greatest is the nearest.
struct Ahead {
    rank: f32,
    node: u64,
}

impl PartialEq for Ahead {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ahead {}

impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ahead {
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank.total_cmp(&self.rank).then_with(|| other.node.cmp(&self.node))
    }
}

pub fn search(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (table, index): (&Table, &VectorIndex),
    query: &Query<'_>,
) -> Result<Found> {
    let distance = index.distance();
    let tree = Tree { table: table.id, index: index.number, distance };
    let partition = query.partition;
    let placed = distance.placed(query.vector);
    let mut nearest = Nearest::new(query.limit);
    let mut ahead = BinaryHeap::new();
    let root = tree.root(snapshot, scope, partition)?;
    ahead.extend(root.map(|node| Ahead { rank: 0.0, node }));
    let (mut looked_at, mut vectors) = (0, 0_u64);
    while let Some(Ahead { node, .. }) = ahead.pop() {
        if looked_at >= LOOKED_AT_MOST || (looked_at >= LOOKED_AT_LEAST && nearest.is_full()) {
            break;
        }
        if tree.node(snapshot, scope, partition, node)?.entries.is_none() {
            for child in tree.children(snapshot, scope, (partition, node), index.dimensions)? {
                ahead.push(Ahead { rank: distance.towards(&placed, &child.centre), node: child.node });
            }
            continue;
        }
        for (key, entry) in tree.entries(snapshot, scope, partition, node)? {
            (looked_at, vectors) = (looked_at + 1, vectors + 1);
            if let Some((condition, attributes)) = query.condition
                && !condition.holds(attributes, &codec::decode(&entry.searched)?)
            {
                continue;
            }
            let own = vector::decode(&entry.vector);
            let score = distance.score(query.vector, &own);
            nearest.offer(distance.rank(score), &key.0, || (score, own));
        }
    }
    let nearest = nearest.into_sorted().map(|(key, (score, vector))| (key, score, vector)).collect();
    Ok(Found { nearest, looked_at_bytes: vectors * vector::bytes_of(index.dimensions) as u64 })
}
