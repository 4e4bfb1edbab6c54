//! Reading a table through once: into a new index, or into a time to live that is new. It goes on beside the table's writes, a piece
//! in a transaction; what has been written since is in its place already.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.OnlineOps.html>

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::codec;
use fractus_dynamodb_rules::key::KeyRange;
use fractus_store::{Order, Scope, Transaction};

use crate::error::Result;
use crate::store::{EXPIRIES, FILLINGS, Filled, FillingTask, ITEMS, Raw, StoredKey, TABLES, Table, item_range};
use crate::writes::Writer;

/// The most items one transaction looks at.
const LOOKED_AT_ONCE: usize = 500;

/// The number under which a table's time to live is filled; indexes have their own.
pub const TIME_TO_LIVE: u64 = u64::MAX;

/// How far a filling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Over,
    More,
    /// It begins then.
    Later(Timestamp),
}

pub fn begin(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, of: Filled, begins_at: Timestamp) -> Result<()> {
    let number = match of {
        Filled::Index(number) => number,
        Filled::TimeToLive(_) => TIME_TO_LIVE,
    };
    let task = FillingTask { table: table.id, begins_at, after: None, of };
    Ok(tx.put(&FILLINGS, scope, &(table.name.as_str(), number), &task)?)
}

/// Does the next piece of a filling.
pub fn step(tx: &mut Transaction<'_>, scope: &Scope, name: &str, number: u64) -> Result<Step> {
    let Some(task) = tx.get(&FILLINGS, scope, &(name, number))? else { return Ok(Step::Over) };
    let now = tx.now(scope);
    if task.begins_at > now {
        return Ok(Step::Later(task.begins_at));
    }
    let table =
        tx.get_shared(&TABLES, scope, &(name,))?.filter(|table| table.id == task.table && is_wanted(table, task.of));
    let Some(table) = table else {
        tx.delete(&FILLINGS, scope, &(name, number))?;
        return Ok(Step::Over);
    };
    let mut range = KeyRange::everything();
    if let Some(after) = &task.after {
        range = range.after(after, true)?;
    }
    let found = tx.range(&ITEMS, scope, item_range(table.id, &range), Order::Ascending)?.take(LOOKED_AT_ONCE);
    let items = found.collect::<std::result::Result<Vec<_>, _>>()?;
    let mut writer = Writer::default();
    for ((_, key), stored) in &items {
        fill(tx, scope, &table, task.of, (key, stored), &mut writer)?;
    }
    writer.finish(tx, scope)?;
    if let (LOOKED_AT_ONCE, Some(((_, last), _))) = (items.len(), items.last()) {
        let after = Some(Bytes::copy_from_slice(&last.0));
        tx.put(&FILLINGS, scope, &(name, number), &FillingTask { after, ..task })?;
        return Ok(Step::More);
    }
    tx.delete(&FILLINGS, scope, &(name, number))?;
    let mut table = (*table).clone();
    for index in table.indexes.iter_mut().filter(|index| task.of == Filled::Index(index.number)) {
        index.filling.iter_mut().for_each(|filling| filling.is_over = true);
    }
    for index in table.vectors.iter_mut().filter(|index| task.of == Filled::Index(index.number)) {
        index.filling.iter_mut().for_each(|filling| filling.is_over = true);
    }
    tx.put(&TABLES, scope, &(name,), &table)?;
    Ok(Step::Over)
}

fn is_wanted(table: &Table, of: Filled) -> bool {
    match of {
        Filled::Index(number) => {
            table.indexes.iter().any(|index| index.number == number && index.deleted_at.is_none())
                || table.vectors.iter().any(|index| index.number == number && index.deleted_at.is_none())
        }
        Filled::TimeToLive(id) => {
            table.time_to_live.as_ref().is_some_and(|settings| settings.id == id && settings.is_enabled)
        }
    }
}

fn fill(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    of: Filled,
    (key, stored): (&StoredKey, &Bytes),
    writer: &mut Writer,
) -> Result<()> {
    let item = codec::decode(stored)?;
    match of {
        Filled::Index(number) => {
            let own = table.indexes.iter().find(|index| index.number == number);
            let of_vectors = table.vectors.iter().find(|index| index.number == number);
            match (own, of_vectors) {
                (Some(index), _) => writer.fill(tx, scope, (table, index), &key.0, &item),
                (None, Some(index)) => writer.fill_vectors(tx, scope, (table, index), &key.0, &item),
                (None, None) => Ok(()),
            }
        }
        Filled::TimeToLive(id) => {
            let now = tx.now(scope);
            let expiry = table.time_to_live.as_ref().and_then(|settings| settings.expiry(&item, now));
            match expiry {
                Some(expiry) => Ok(tx.put(&EXPIRIES, scope, &(id, expiry, Raw(&key.0)), &())?),
                None => Ok(()),
            }
        }
    }
}
