//! A change of one item inside a transaction: the item, its indexes, its stream's record, its expiry, the table's counters, and
//! what it costs.

use bytes::Bytes;
use fractus_dynamodb_rules::capacity::{self, Projected, Units};
use fractus_dynamodb_rules::key::{KeyBytes, KeySchema};
use fractus_dynamodb_rules::size::{entries_bytes, item_bytes};
use fractus_dynamodb_rules::{Item, codec};
use fractus_store::{Scope, Snapshot, Transaction};

use crate::error::Result;
use crate::features;
use crate::store::{COUNTERS, EXPIRIES, INDEX_ITEMS, ITEMS, Index, Raw, Table, share_of};
use crate::streams;
use crate::table::VectorIndex;
use crate::throttle::Taken;
use crate::vectors;

/// What an operation consumed.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    pub table: Units,
    /// Units of each index that was touched: its name, whether it is global.
    pub indexes: Vec<(String, bool, Units)>,
    /// Bytes written to each index of vectors, by its name.
    pub vectors: Vec<(String, u64)>,
}

pub(crate) fn encoded(item: &Item) -> Bytes {
    encoded_of(item, item_bytes(item))
}

/// The same for an item whose size is known.
fn encoded_of(item: &Item, item_bytes: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(64 + item_bytes);
    codec::encode(item, &mut bytes);
    bytes.into()
}

/// The item at a stored key, as it is stored.
pub fn stored(snapshot: &Snapshot<'_>, scope: &Scope, table: &Table, key: &[u8]) -> Result<Option<Bytes>> {
    Ok(snapshot.get(&ITEMS, scope, &(table.id, Raw(key)))?)
}

/// The item at a stored key.
pub fn read(snapshot: &Snapshot<'_>, scope: &Scope, table: &Table, key: &[u8]) -> Result<Option<Item>> {
    Ok(stored(snapshot, scope, table, key)?.map(|bytes| codec::decode(&bytes)).transpose()?)
}

/// On whose behalf an item is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Caller,
    /// Its time had come.
    TimeToLive,
}

/// Counts of one share of a table, as a transaction changes them.
#[derive(Debug)]
struct Tally {
    table: u64,
    share: u64,
    items: i64,
    bytes: i64,
    indexes: Vec<(u64, i64, i64)>,
}

/// The writes of one transaction. What several of them change alike is written once, by [`Writer::finish`].
#[derive(Debug, Default)]
pub struct Writer {
    by: By,
    tallies: Vec<Tally>,
    /// Items of tables whose keys are counted, with their tables.
    touched: Vec<(Table, Item)>,
    /// The first of the expiries that were put.
    first_expiry: Option<u64>,
    /// What was taken of the tables' throughput.
    taken: Taken,
}

/// An item before and after.
type Change<'a> = (Option<&'a Item>, Option<&'a Item>);

/// The stored key of an item's entry in an index, if it has one there.
fn entry_key(table: &Table, schema: &KeySchema, index: &Index, item: Option<&Item>) -> Result<Option<KeyBytes>> {
    let Some(item) = item else { return Ok(None) };
    let index_schema = table.index_schema(index);
    if !index_schema.check_index(&index.name, item)? {
        return Ok(None);
    }
    Ok(Some(index_schema.index_bytes(schema, item)))
}

fn put_entry(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, index): (&Table, &Index),
    key: &[u8],
    item: &Item,
) -> Result<()> {
    let entries = table.projected(index, item);
    let mut bytes = Vec::with_capacity(64 + entries_bytes(entries.clone()));
    codec::encode_entries(entries, &mut bytes);
    Ok(tx.put(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(key)), &Bytes::from(bytes))?)
}

impl Writer {
    pub fn by(by: By) -> Self {
        Writer { by, ..Self::default() }
    }

    /// Replaces an item by another, or removes it; both are of the same key, which `key` is the stored form of.
    pub fn change(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        (table, schema): (&Table, &KeySchema),
        key: &[u8],
        (before, after): Change<'_>,
    ) -> Result<Cost> {
        let (before_bytes, after_bytes) = (before.map(item_bytes), after.map(item_bytes));
        let table_cost = capacity::write(before_bytes, after_bytes, false);
        if !table.features.insights.is_empty() {
            self.touched.extend(after.or(before).map(|item| (table.clone(), item.clone())));
        }
        let mut cost = Cost { table: table_cost, ..Cost::default() };
        if before == after {
            return Ok(cost);
        }
        for index in &table.indexes {
            let units = self.change_index(tx, scope, (table, schema, index), key, (before, after))?;
            if units > Units::ZERO {
                cost.indexes.push((index.name.clone(), index.is_global, units));
            }
        }
        for index in &table.vectors {
            let changed = vectors::change(tx, scope, (table, index), key, (before, after))?;
            self.count_index(table, key, index.number, (changed.items, changed.bytes));
            if changed.written_bytes > 0 {
                cost.vectors.push((index.name.clone(), changed.written_bytes));
            }
        }
        let stored = after.map(encoded);
        match &stored {
            Some(stored) => tx.put(&ITEMS, scope, &(table.id, Raw(key)), stored)?,
            None => tx.delete(&ITEMS, scope, &(table.id, Raw(key)))?,
        }
        if let Some(stream) = &table.stream {
            let change = streams::Change { schema, key, before, after, stored, by: self.by };
            streams::record(tx, scope, stream, change)?;
        }
        features::changed(tx, scope, table, features::Change { key, before, after })?;
        self.expire(tx, scope, table, key, (before, after))?;
        self.count(table, key, |tally| {
            tally.items += i64::from(after.is_some()) - i64::from(before.is_some());
            tally.bytes += difference(before_bytes, after_bytes);
        });
        Ok(cost)
    }

    /// Replaces whatever is at a stored key, in a table that [is plain](Table::is_plain): what was there is not taken apart.
    pub fn replace(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        table: &Table,
        key: &[u8],
        after: Option<&Item>,
    ) -> Result<Cost> {
        let before = stored(tx, scope, table, key)?;
        let before_bytes = before.as_deref().map(codec::stored_item_bytes).transpose()?;
        let after_bytes = after.map(item_bytes);
        let after = after.zip(after_bytes).map(|(item, bytes)| encoded_of(item, bytes));
        let cost = Cost { table: capacity::write(before_bytes, after_bytes, false), ..Cost::default() };
        // Equal items are the same bytes: attributes and sets are sorted, and numbers have one form.
        if before == after {
            return Ok(cost);
        }
        match &after {
            Some(stored) => tx.put(&ITEMS, scope, &(table.id, Raw(key)), stored)?,
            None => tx.delete(&ITEMS, scope, &(table.id, Raw(key)))?,
        }
        self.count(table, key, |tally| {
            tally.items += i64::from(after.is_some()) - i64::from(before.is_some());
            tally.bytes += difference(before_bytes, after_bytes);
        });
        Ok(cost)
    }

    /// Puts an item that was there before an index into it, if it has a place there and has not come into it since.
    pub fn fill(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        (table, index): (&Table, &Index),
        key: &[u8],
        item: &Item,
    ) -> Result<()> {
        let Ok(Some(entry)) = entry_key(table, table.schema(), index, Some(item)) else { return Ok(()) };
        if tx.contains(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(&entry)))? {
            return Ok(());
        }
        put_entry(tx, scope, (table, index), &entry, item)?;
        let bytes = entries_bytes(table.projected(index, item)) as i64;
        self.count_index(table, key, index.number, (1, bytes));
        Ok(())
    }

    /// The same with an index of vectors.
    pub fn fill_vectors(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        (table, index): (&Table, &VectorIndex),
        key: &[u8],
        item: &Item,
    ) -> Result<()> {
        let changed = vectors::fill(tx, scope, (table, index), key, item)?;
        self.count_index(table, key, index.number, (changed.items, changed.bytes));
        Ok(())
    }

    fn change_index(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        (table, schema, index): (&Table, &KeySchema, &Index),
        key: &[u8],
        (before, after): Change<'_>,
    ) -> Result<Units> {
        if index.deleted_at.is_some() {
            return Ok(Units::ZERO);
        }
        // An item that was there before the index may have no place in it, or not have come into it yet.
        let mut before_key = entry_key(table, schema, index, before).unwrap_or_default();
        if let (Some(key), Some(filling)) = (&before_key, &index.filling)
            && !filling.is_over
            && !tx.contains(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(key)))?
        {
            before_key = None;
        }
        let after_key = entry_key(table, schema, index, after)?;
        if before_key.is_none() && after_key.is_none() {
            return Ok(Units::ZERO);
        }
        let of = |item: Option<&Item>, has_entry: bool| {
            item.filter(|_| has_entry).map(|item| entries_bytes(table.projected(index, item)))
        };
        let (before_bytes, after_bytes) = (of(before, before_key.is_some()), of(after, after_key.is_some()));
        let has_changed = match (before, after) {
            (Some(before), Some(after)) if before_key == after_key => {
                !table.projected(index, before).eq(table.projected(index, after))
            }
            _ => true,
        };
        if has_changed {
            if let Some(before_key) = before_key.as_ref().filter(|_| before_key != after_key) {
                tx.delete(&INDEX_ITEMS, scope, &(table.id, index.number, Raw(before_key)))?;
            }
            if let (Some(after_key), Some(after)) = (&after_key, after) {
                put_entry(tx, scope, (table, index), after_key, after)?;
            }
            let items = i64::from(after_key.is_some()) - i64::from(before_key.is_some());
            self.count_index(table, key, index.number, (items, difference(before_bytes, after_bytes)));
        }
        let projected = |key: &Option<KeyBytes>, bytes: Option<usize>| {
            key.as_ref().zip(bytes).map(|(key, bytes)| (key.clone(), bytes))
        };
        let (before, after) = (projected(&before_key, before_bytes), projected(&after_key, after_bytes));
        Ok(capacity::index_write(
            before.as_ref().map(|(key, bytes)| Projected { key, bytes: *bytes }),
            after.as_ref().map(|(key, bytes)| Projected { key, bytes: *bytes }),
            has_changed,
            false,
        ))
    }

    /// Keeps the index of expiries as the items are.
    fn expire(
        &mut self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        table: &Table,
        key: &[u8],
        (before, after): Change<'_>,
    ) -> Result<()> {
        let Some(settings) = table.time_to_live.as_ref().filter(|settings| settings.is_enabled) else { return Ok(()) };
        let now = tx.now(scope);
        let at = |item: Option<&Item>| item.and_then(|item| settings.expiry(item, now));
        let (old, new) = (before.and_then(|item| settings.any_expiry(item)), at(after));
        if old == new {
            return Ok(());
        }
        if let Some(old) = old {
            tx.delete(&EXPIRIES, scope, &(settings.id, old, Raw(key)))?;
        }
        if let Some(new) = new {
            tx.put(&EXPIRIES, scope, &(settings.id, new, Raw(key)), &())?;
            self.first_expiry = Some(self.first_expiry.map_or(new, |first| first.min(new)));
        }
        Ok(())
    }

    fn count(&mut self, table: &Table, key: &[u8], change: impl FnOnce(&mut Tally)) {
        let share = share_of(key);
        let found = self.tallies.iter_mut().position(|tally| tally.table == table.id && tally.share == share);
        let at = found.unwrap_or_else(|| {
            self.tallies.push(Tally { table: table.id, share, items: 0, bytes: 0, indexes: Vec::new() });
            self.tallies.len() - 1
        });
        change(&mut self.tallies[at]);
    }

    fn count_index(&mut self, table: &Table, key: &[u8], number: u64, (items, bytes): (i64, i64)) {
        if items != 0 || bytes != 0 {
            self.count(table, key, |tally| tally.indexes.push((number, items, bytes)));
        }
    }

    /// Throughput was taken for this.
    pub fn took(&mut self, taken: Taken) {
        self.taken.add(taken);
    }

    pub fn taken(&mut self) -> Taken {
        std::mem::take(&mut self.taken)
    }

    /// The items that were written of tables whose keys are counted.
    pub fn take_touched(&mut self) -> Vec<(Table, Item)> {
        std::mem::take(&mut self.touched)
    }

    /// The same of another writer of the transaction.
    pub fn touch(&mut self, touched: Vec<(Table, Item)>) {
        self.touched.extend(touched);
    }

    /// Expects an expiry that another writer of the transaction put.
    pub fn expect(&mut self, expiry: Option<u64>) {
        self.first_expiry = self.first_expiry.into_iter().chain(expiry).min();
    }

    /// Writes what was counted. Gives the first of the expiries that were put, in seconds.
    pub fn finish(self, tx: &mut Transaction<'_>, scope: &Scope) -> Result<Option<u64>> {
        for tally in self.tallies {
            if tally.items == 0 && tally.bytes == 0 && tally.indexes.is_empty() {
                continue;
            }
            let at = (tally.table, tally.share);
            let mut counters = tx.get(&COUNTERS, scope, &at)?.unwrap_or_default();
            counters.change((tally.items, tally.bytes));
            for (number, items, bytes) in tally.indexes {
                counters.change_index(number, (items, bytes));
            }
            tx.put(&COUNTERS, scope, &at, &counters)?;
        }
        Ok(self.first_expiry)
    }
}

fn difference(before: Option<usize>, after: Option<usize>) -> i64 {
    after.unwrap_or(0) as i64 - before.unwrap_or(0) as i64
}

/// One change that is a transaction's only one.
pub fn change(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: (&Table, &KeySchema),
    key: &[u8],
    change: Change<'_>,
) -> Result<Cost> {
    let mut writer = Writer::default();
    let cost = writer.change(tx, scope, table, key, change)?;
    writer.finish(tx, scope)?;
    Ok(cost)
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
        for (name, bytes) in other.vectors {
            match self.vectors.iter_mut().find(|(own, _)| *own == name) {
                Some((_, own)) => *own += bytes,
                None => self.vectors.push((name, bytes)),
            }
        }
        for (name, is_global, units) in other.indexes {
            match self.indexes.iter_mut().find(|(own, ..)| *own == name) {
                Some((_, _, own)) => *own = *own + units,
                None => self.indexes.push((name, is_global, units)),
            }
        }
    }
}
