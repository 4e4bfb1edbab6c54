//! Indexes of vectors: kept with every write of an item, in its transaction, and searched.
//!
//! An item is in an index if it has the vector, and the partition where the index is partitioned. What the index keeps of
//! it is the vector at 32 bits and the attributes that searches may ask for; what a search gives is read from the item itself,
//! which is what it was when its vector was indexed. Where a vector lies is the [tree](tree)'s to say.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/VectorSearchDataSync.html>

mod search;
mod tree;

pub use search::{Found, Query, search};
pub use tree::clear;

use bytes::Bytes;
use fractus_dynamodb_rules::key::{KeyAttribute, KeyError, KeySchema, partition_hash};
use fractus_dynamodb_rules::size::entries_bytes;
use fractus_dynamodb_rules::{Item, Kind, Value, codec, vector};
use fractus_store::{Scope, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::Table;
use crate::table::VectorIndex;

/// What an index keeps of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub vector: Bytes,
    /// The attributes that searches may ask for, in the rules' stored form.
    pub searched: Bytes,
}

/// What a write did to an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub items: i64,
    pub bytes: i64,
    /// What the write is charged with.
    pub written_bytes: u64,
}

/// An item as an index has it.
struct Placed {
    partition: u64,
    vector: Vec<f32>,
    entry: Entry,
    bytes: usize,
}

/// The part of an index that a partition is, by its value; all of it where it has no partitions.
pub fn partition_of(value: Option<&Value>) -> u64 {
    let Some(value) = value else { return 0 };
    // Half of the hash; where two values meet in it, the condition of a search tells them apart.
    (u128::from_be_bytes(partition_hash(std::iter::once(value))) >> 64) as u64
}

/// Attributes that searches ask for are of the types that are defined for them.
fn check_types(table: &Table, index: &VectorIndex, item: &Item) -> Result<bool> {
    let kind = |name: &String| KeyAttribute { name: name.clone(), kind: table.kind_of(name).unwrap_or(Kind::S) };
    let partition = KeySchema { partition: index.partition.iter().map(kind).collect(), sort: Vec::new() };
    let is_whole = partition.check_index(&index.name, item)?;
    for attribute in index.filters.iter().map(kind) {
        if let Some(value) = item.get(&attribute.name).filter(|value| value.kind() != attribute.kind) {
            let (expected, actual) = (attribute.kind, value.kind());
            return Err(
                KeyError::IndexType { name: attribute.name, expected, actual, index: index.name.clone() }.into()
            );
        }
    }
    Ok(is_whole)
}

/// An item as an index would have it; nothing where it has no place there.
fn placed(table: &Table, index: &VectorIndex, item: Option<&Item>) -> Result<Option<Placed>> {
    let Some(item) = item else { return Ok(None) };
    let Some(value) = item.get(&index.attribute) else {
        check_types(table, index, item)?;
        return Ok(None);
    };
    let vector = vector::of_attribute(&index.attribute, value, index.dimensions, &index.name)?;
    if !check_types(table, index, item)? {
        return Ok(None);
    }
    let partition = partition_of(index.partition.as_ref().and_then(|name| item.get(name)));
    let searched: Item = index.searched().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
    let (mut vector_bytes, mut searched_bytes) = (Vec::with_capacity(vector::bytes_of(vector.len())), Vec::new());
    vector::encode(&vector, &mut vector_bytes);
    codec::encode(&searched, &mut searched_bytes);
    let others = item.iter().filter(|(name, _)| *name != index.attribute && table.projects_beside(index, name));
    let bytes = vector_bytes.len() + index.attribute.len() + entries_bytes(others);
    let entry = Entry { vector: vector_bytes.into(), searched: searched_bytes.into() };
    Ok(Some(Placed { partition, vector, entry, bytes }))
}

/// Whether an item can be put into a table with this index.
pub fn check(table: &Table, index: &VectorIndex, item: &Item) -> Result<()> {
    placed(table, index, Some(item)).map(|_| ())
}

/// Whether anything that an index has of an item is another one.
fn differs(table: &Table, index: &VectorIndex, before: &Item, after: &Item) -> bool {
    let of = |item| Item::iter(item).filter(|(name, _)| table.projects_beside(index, name));
    !of(before).eq(of(after))
}

/// Brings a change of an item into an index.
pub fn change(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, index): (&Table, &VectorIndex),
    key: &[u8],
    (before, after): (Option<&Item>, Option<&Item>),
) -> Result<Changed> {
    if index.deleted_at.is_some() {
        return Ok(Changed::default());
    }
    let now = placed(table, index, after)?;
    // An item that was there before the index may have no place in it, or not have come into it yet.
    let was = placed(table, index, before).unwrap_or_default();
    let tree = tree::Tree { table: table.id, index: index.number, distance: index.distance() };
    let was = match was {
        Some(was) if index.filling.is_none() || tree.has(tx, scope, key)? => Some(was),
        _ => None,
    };
    let has_changed = match (before, after, &was, &now) {
        (Some(before), Some(after), Some(_), Some(_)) => differs(table, index, before, after),
        (_, _, None, None) => false,
        _ => true,
    };
    if !has_changed {
        return Ok(Changed::default());
    }
    let stays = was
        .as_ref()
        .zip(now.as_ref())
        .is_some_and(|(was, now)| was.partition == now.partition && was.entry.vector == now.entry.vector);
    match &now {
        Some(now) if stays => tree.replace(tx, scope, key, &now.entry)?,
        _ => {
            if was.is_some() {
                tree.remove(tx, scope, key)?;
            }
            if let Some(now) = &now {
                tree.insert(tx, scope, now.partition, key, (&now.vector, &now.entry))?;
            }
        }
    }
    let bytes = |placed: &Option<Placed>| placed.as_ref().map_or(0, |placed| placed.bytes);
    Ok(Changed {
        items: i64::from(now.is_some()) - i64::from(was.is_some()),
        bytes: bytes(&now) as i64 - bytes(&was) as i64,
        written_bytes: bytes(&now).max(bytes(&was)) as u64,
    })
}

/// Puts an item that was there before an index into it, if it has a place there and has not come into it since.
pub fn fill(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, index): (&Table, &VectorIndex),
    key: &[u8],
    item: &Item,
) -> Result<Changed> {
    let tree = tree::Tree { table: table.id, index: index.number, distance: index.distance() };
    // What is no vector of the index is left out of it.
    let Ok(Some(now)) = placed(table, index, Some(item)) else { return Ok(Changed::default()) };
    if tree.has(tx, scope, key)? {
        return Ok(Changed::default());
    }
    tree.insert(tx, scope, now.partition, key, (&now.vector, &now.entry))?;
    Ok(Changed { items: 1, bytes: now.bytes as i64, written_bytes: now.bytes as u64 })
}
