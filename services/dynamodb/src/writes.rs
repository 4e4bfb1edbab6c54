//! A change of one item inside a transaction: the item, its indexes, the table's counters, and what it costs.

use bytes::Bytes;
use fractus_dynamodb_rules::capacity::{self, Projected, Units};
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::{Item, codec};
use fractus_store::{Scope, Snapshot, Transaction};

use crate::error::Result;
use crate::store::{COUNTERS, INDEX_ITEMS, ITEMS, Index, Raw, Table};

/// What an operation consumed.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    pub table: Units,
    /// Units of each index that was touched: its name, whether it is global.
    pub indexes: Vec<(String, bool, Units)>,
}

fn encoded(item: &Item) -> Bytes {
    let mut bytes = Vec::with_capacity(64 + item_bytes(item));
    codec::encode(item, &mut bytes);
    bytes.into()
}

/// The item at a stored key.
pub fn read(snapshot: &Snapshot<'_>, scope: &Scope, table: &Table, key: &[u8]) -> Result<Option<Item>> {
    match snapshot.get(&ITEMS, scope, &(table.id, Raw(key)))? {
        Some(bytes) => Ok(Some(codec::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// One index's entry of an item: its stored key and what of the item is projected.
struct Entry {
    key: fractus_dynamodb_rules::key::KeyBytes,
    item: Item,
}

fn entry(table: &Table, schema: &KeySchema, index: &Index, item: Option<&Item>) -> Result<Option<Entry>> {
    let Some(item) = item else { return Ok(None) };
    let index_schema = table.index_schema(index);
    if !index_schema.check_index(&index.name, item)? {
        return Ok(None);
    }
    let key = index_schema.index_bytes(schema, item);
    Ok(Some(Entry { key, item: table.projection(index, item) }))
}

fn change_index(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, schema, index): (&Table, &KeySchema, &Index),
    (before, after): (Option<&Item>, Option<&Item>),
) -> Result<Units> {
    let (before, after) = (entry(table, schema, index, before)?, entry(table, schema, index, after)?);
    let has_changed = match (&before, &after) {
        (Some(before), Some(after)) => before.item != after.item || before.key != after.key,
        (None, None) => false,
        _ => true,
    };
    if has_changed {
        if let Some(before) = &before {
            tx.delete(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(&before.key)))?;
        }
        if let Some(after) = &after {
            tx.put(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(&after.key)), &encoded(&after.item))?;
        }
    }
    let of = |entry: Option<Entry>| entry.map(|entry| (entry.key, item_bytes(&entry.item)));
    let (before, after) = (of(before), of(after));
    Ok(capacity::index_write(
        before.as_ref().map(|(key, bytes)| Projected { key, bytes: *bytes }),
        after.as_ref().map(|(key, bytes)| Projected { key, bytes: *bytes }),
        has_changed,
        false,
    ))
}

/// Replaces an item by another, or removes it; both are of the same key, which `key` is the stored form of.
pub fn change(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, schema): (&Table, &KeySchema),
    key: &[u8],
    (before, after): (Option<&Item>, Option<&Item>),
) -> Result<Cost> {
    let mut cost = Cost::default();
    for index in &table.indexes {
        let units = change_index(tx, scope, (table, schema, index), (before, after))?;
        if units > Units::ZERO {
            cost.indexes.push((index.name.clone(), index.is_global, units));
        }
    }
    match after {
        Some(after) => tx.put(&ITEMS, scope, &(table.id, Raw(key)), &encoded(after))?,
        None if before.is_some() => tx.delete(&ITEMS, scope, &(table.id, Raw(key)))?,
        None => {}
    }
    let (before_bytes, after_bytes) = (before.map(item_bytes), after.map(item_bytes));
    count(tx, scope, table, before_bytes, after_bytes)?;
    cost.table = capacity::write(before_bytes, after_bytes, false);
    Ok(cost)
}

fn count(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    before: Option<usize>,
    after: Option<usize>,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let mut counters = tx.get(&COUNTERS, scope, &(table.id,))?.unwrap_or_default();
    if let Some(bytes) = before {
        counters.items = counters.items.saturating_sub(1);
        counters.bytes = counters.bytes.saturating_sub(bytes as u64);
    }
    if let Some(bytes) = after {
        counters.items += 1;
        counters.bytes += bytes as u64;
    }
    Ok(tx.put(&COUNTERS, scope, &(table.id,), &counters)?)
}

impl Cost {
    /// A transaction writes everything twice.
    #[must_use]
    pub fn doubled(mut self) -> Self {
        self.table = self.table + self.table;
        for (_, _, units) in &mut self.indexes {
            *units = *units + *units;
        }
        self
    }

    pub fn add(&mut self, other: Cost) {
        self.table = self.table + other.table;
        for (name, is_global, units) in other.indexes {
            match self.indexes.iter_mut().find(|(own, ..)| *own == name) {
                Some((_, _, own)) => *own = *own + units,
                None => self.indexes.push((name, is_global, units)),
            }
        }
    }
}
