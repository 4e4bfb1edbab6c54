//! What a table has besides its items: point-in-time recovery, replicas, destinations of its changes. All of it lies in the
//! table's own record, so that a write of a table that has none of it costs nothing more; and the one place where a write
//! is told to what follows it.

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::{Item, codec};
use fractus_host::Context;
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::contributors::Watched;
use crate::error::Result;
use crate::history::{self, HEADS, JOURNAL, Recovery, VERSIONS};
use crate::kinesis::Destination;
use crate::operations::policies::POLICIES;
use crate::replicas::{self, FEED_HEADS, Replicas, STAMPS};
use crate::scaling::Scaled;
use crate::store::{Counters, DISCARDED, Raw, Table};
use crate::streams::{self, NewStream};
use crate::table::View;
use crate::{backups, jobs, writes};

/// What a table has besides its items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// Point-in-time recovery, where it is on.
    pub recovery: Option<Recovery>,
    /// How many copies of the table are being made; its history is kept for them.
    pub copies: u32,
    /// Kinesis streams that get the table's changes.
    pub destinations: Vec<Destination>,
    /// The table's replicas in other regions.
    pub replicas: Option<Replicas>,
    /// What the table was restored from.
    pub restored: Option<Restored>,
    /// When a table that is being filled may be ACTIVE at the earliest.
    pub not_before: Option<Timestamp>,
    /// Throughput that follows what is consumed.
    pub scaled: Vec<Scaled>,
    /// The table, and indexes, whose keys are counted.
    pub insights: Vec<Watched>,
    /// Whether the table cannot be taken out of its global table.
    pub disassociation_protection: Option<bool>,
    /// How settings are brought to the other replicas, where it is said.
    pub settings_mode: Option<String>,
}

impl Features {
    const fn keep_history(&self) -> bool {
        self.recovery.is_some() || self.copies > 0
    }

    const fn feed_others(&self) -> bool {
        self.replicas.is_some() || !self.destinations.is_empty()
    }

    /// Whether [`changed`] tells a change to anything.
    pub const fn follow_changes(&self) -> bool {
        self.keep_history() || self.feed_others()
    }
}

/// Where a restored table comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub backup_arn: Option<String>,
    pub table_arn: String,
    /// The moment it was restored to.
    pub to: Timestamp,
}

/// A change of an item, as what follows a table sees it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The item's stored key.
    pub key: &'a [u8],
    pub before: Option<&'a Item>,
    pub after: Option<&'a Item>,
}

/// An item in its stored form.
pub fn encoded(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(item, &mut bytes);
    bytes.into()
}

/// Tells a change to all that follows the table, in the transaction that makes it.
pub fn changed(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, change: Change<'_>) -> Result<()> {
    let features = &table.features;
    if features.keep_history() {
        history::record(tx, scope, table, change)?;
    }
    if features.feed_others() {
        replicas::feed(tx, scope, table, change)?;
    }
    Ok(())
}

/// Puts an item that a copy brings, whatever is there. The item has been checked where it was written first.
pub fn put_item(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, item: &Item) -> Result<()> {
    let key = table.schema().table_bytes(item);
    let before = writes::read(tx, scope, table, &key)?;
    change_item(tx, scope, table, &key, (before.as_ref(), Some(item)))
}

/// Changes an item with its indexes.
pub fn change_item(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    key: &[u8],
    change: (Option<&Item>, Option<&Item>),
) -> Result<()> {
    writes::change(tx, scope, (table, table.schema()), key, change)?;
    Ok(())
}

/// Whether a table's stream has both images of every item, as global tables of the first version need it.
pub fn streams_both_images(table: &Table) -> bool {
    table.stream.as_ref().is_some_and(|stream| stream.view == View::NewAndOld)
}

/// Settings that belong to a table and not to what is in it: a copy of it does not have them.
pub fn forget_settings(table: &mut Table) {
    table.deletion_protection = false;
    table.stream = None;
    table.latest_stream_label = None;
    table.time_to_live = None;
    table.tags = Vec::new();
    table.updated_at = None;
    table.indexes.retain(|index| index.deleted_at.is_none());
    for index in &mut table.indexes {
        (index.filling, index.updated_at) = (None, None);
    }
    table.vectors.retain(|index| index.deleted_at.is_none());
    table.vectors.iter_mut().for_each(|index| index.filling = None);
}

/// A stream for a table of a region that is to be replicated and has none.
pub fn give_stream(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &mut Table,
    id: u64,
    (view, shard_count): (View, u64),
) -> Result<()> {
    if table.stream.is_some() {
        return Ok(());
    }
    let now = tx.now(scope);
    let enabled_at = if table.active_at == Timestamp::MAX { now } else { table.active_at };
    streams::enable(tx, scope, table, NewStream { id, view, now, enabled_at, shard_count })
}

/// How many items and bytes a table holds.
pub fn counted(snapshot: &Snapshot<'_>, scope: &Scope, table: u64) -> Result<(u64, u64)> {
    let counters = Counters::of(snapshot, scope, table)?;
    Ok((counters.items, counters.bytes))
}

/// What DescribeTable says of all this.
pub fn described(cx: &Context, table: &Table) -> api::TableDescription {
    let restored = table.features.restored.as_ref();
    let restore_summary = restored.map(|restored| api::RestoreSummary {
        source_backup_arn: restored.backup_arn.clone(),
        source_table_arn: Some(restored.table_arn.clone()),
        restore_date_time: restored.to,
        restore_in_progress: table.active_at > cx.now(),
    });
    api::TableDescription { restore_summary, ..replicas::described(cx, table) }
}

/// What a deleted table leaves: a backup where point-in-time recovery was on, else nothing.
pub fn retire(tx: &mut Transaction<'_>, scope: &Scope, table: &Table) -> Result<()> {
    if table.features.recovery.is_some() {
        return backups::keep_deleted(tx, scope, table);
    }
    Ok(tx.put(&DISCARDED, scope, &(table.id,), &())?)
}

/// The first of the discarded data that no job reads any more.
pub fn next_discarded(tx: &Transaction<'_>, scope: &Scope) -> Result<Option<u64>> {
    for key in tx.keys(&DISCARDED, scope, Range::all(), Order::Ascending)? {
        let (id,) = key?;
        if !jobs::is_pinned(tx, scope, id)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Clears a piece of what discarded data has here; says whether there is more.
pub fn clear(tx: &mut Transaction<'_>, scope: &Scope, data: u64, at_most: usize) -> Result<bool> {
    let range = || Range::prefix(&(data,));
    let versions = tx.keys(&VERSIONS, scope, range(), Order::Ascending)?.take(at_most);
    let versions: Vec<_> = versions.collect::<std::result::Result<_, _>>()?;
    let journal = tx.keys(&JOURNAL, scope, Range::prefix(&(data,)), Order::Ascending)?.take(at_most);
    let journal: Vec<_> = journal.collect::<std::result::Result<_, _>>()?;
    let stamps = tx.keys(&STAMPS, scope, Range::prefix(&(data,)), Order::Ascending)?.take(at_most);
    let stamps: Vec<_> = stamps.collect::<std::result::Result<_, _>>()?;
    let is_more = replicas::authorized::clear(tx, scope, data, at_most)?
        || stamps.len() == at_most
        || versions.len() == at_most
        || journal.len() == at_most;
    for (_, key) in versions {
        tx.delete(&VERSIONS, scope, &(data, Raw(&key.0)))?;
    }
    for key in journal {
        tx.delete(&JOURNAL, scope, &key)?;
    }
    for (_, key) in stamps {
        tx.delete(&STAMPS, scope, &(data, Raw(&key.0)))?;
    }
    let policies = tx.keys(&POLICIES, scope, Range::prefix(&(data,)), Order::Ascending)?;
    for (_, part) in policies.collect::<std::result::Result<Vec<_>, _>>()? {
        tx.delete(&POLICIES, scope, &(data, part.as_str()))?;
    }
    tx.delete(&HEADS, scope, &(data,))?;
    tx.delete(&FEED_HEADS, scope, &(data,))?;
    Ok(is_more)
}
