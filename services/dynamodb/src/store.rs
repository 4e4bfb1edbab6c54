//! The collections DynamoDB keeps, and their records.
//!
//! A table has an id of its own for each incarnation of its name. Items lie under it, sorted by the hash of their
//! partition key and then by their sort key, and once more, as far as they are projected, under each index whose key they have.
//! What a table itself is, [`crate::table`] says. A deleted table's id is put among the discarded ones, and the janitor clears what lies under it.

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::key::{self as rules, KeyRange};
use fractus_store::{Collection, Key, KeyBytes, KeyOf, Range, Scope, Snapshot, StoreError};
use serde::{Deserialize, Serialize};

pub use crate::table::{Index, Projected, Table};
use crate::table::{KeyNames, View};

pub const TABLES: Collection<(String,), Table> = Collection::new("tables");
/// Items by (table, stored key), in the rules' stored form.
pub const ITEMS: Collection<(u64, StoredKey), Bytes> = Collection::new("items");
/// What indexes hold, by (table, index, stored key): the projected part of the item.
pub const INDEX_ITEMS: Collection<(u64, u64, StoredKey), Bytes> = Collection::new("index-items");
/// How much each [share](share_of) of a table holds: written with nearly every item, and so in shares, lest all writers of a table
/// meet in one record.
pub const COUNTERS: Collection<(u64, u64), Counters> = Collection::new("counters");
/// Ids of tables, and of times to live, that nobody reads any more.
pub const DISCARDED: Collection<(u64,), ()> = Collection::new("discarded-tables");
/// Indexes of tables, by number, that nobody reads any more.
pub const DISCARDED_INDEXES: Collection<(u64, u64), ()> = Collection::new("discarded-indexes");

/// What a transaction's token was first used for; records expire by themselves.
pub const TOKENS: Collection<(String,), Token> = Collection::new("tokens");

/// When items expire: by (time to live, second, stored key of the item).
pub const EXPIRIES: Collection<(u64, u64, StoredKey), ()> = Collection::new("expiries");
/// Tables whose items expire, by name, and the id of their time to live.
pub const EXPIRING_TABLES: Collection<(String,), u64> = Collection::new("expiring-tables");
/// Tables that are read through once, for a new index or a time to live, and how far that is.
pub const FILLINGS: Collection<(String, u64), FillingTask> = Collection::new("fillings");

/// Streams by (table's name, label): enabled ones, and disabled ones until their records are gone.
pub const STREAMS: Collection<(String, String), Stream> = Collection::new("streams");
/// A stream's shards by (stream, number).
pub const SHARDS: Collection<(u64, u64), Shard> = Collection::new("shards");
/// The shards of a stream that take records.
pub const OPEN_SHARDS: Collection<(u64,), OpenShards> = Collection::new("open-shards");
/// The place of the next record of an open shard.
pub const NEXT_PLACES: Collection<(u64, u64), u64> = Collection::new("next-places");
/// Records by (stream, shard, place). Places of a shard have no gaps; records expire by themselves.
pub const STREAM_RECORDS: Collection<(u64, u64, u64), StreamRecord> = Collection::new("stream-records");

/// A key as the rules encode it. It is always a key's last part, so it needs no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey(pub rules::KeyBytes);

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub &'a [u8]);

impl Key for StoredKey {
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        Ok(StoredKey(rules::KeyBytes::from_slice(std::mem::take(bytes))))
    }
}

impl KeyOf<StoredKey> for Raw<'_> {
    fn encode(&self, out: &mut KeyBytes) {
        out.extend_from_slice(self.0);
    }
}

/// A range of a table's items.
pub fn item_range(table: u64, range: &KeyRange) -> Range<(u64, StoredKey)> {
    let from = Range::prefix(&(table,)).from(&(table, Raw(&range.start)));
    match &range.end {
        Some(end) => from.to(&(table, Raw(end))),
        None => from,
    }
}

/// A range of an index's items.
pub fn index_range(table: u64, index: u64, range: &KeyRange) -> Range<(u64, u64, StoredKey)> {
    let from = Range::prefix(&(table, index)).from(&(table, index, Raw(&range.start)));
    match &range.end {
        Some(end) => from.to(&(table, index, Raw(end))),
        None => from,
    }
}

/// How many shares a table's counters have.
const SHARES: u64 = 8;

/// The share that an item's counts are in, by its stored key.
pub fn share_of(key: &[u8]) -> u64 {
    key.first().map_or(0, |first| u64::from(*first) % SHARES)
}

/// How much a table holds, and how much of it each index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub items: u64,
    pub bytes: u64,
    /// By index: items and bytes.
    #[serde(default)]
    pub indexes: Vec<(u64, u64, u64)>,
}

impl Counters {
    /// What all of a table holds.
    pub fn of(snapshot: &Snapshot<'_>, scope: &Scope, table: u64) -> Result<Self, StoreError> {
        let mut sum = Counters::default();
        for record in snapshot.range(&COUNTERS, scope, Range::prefix(&(table,)), fractus_store::Order::Ascending)? {
            let share = record?.1;
            sum.items += share.items;
            sum.bytes += share.bytes;
            for (number, items, bytes) in share.indexes {
                sum.change_index(number, (items as i64, bytes as i64));
            }
        }
        Ok(sum)
    }

    pub fn change(&mut self, (items, bytes): (i64, i64)) {
        self.items = self.items.saturating_add_signed(items);
        self.bytes = self.bytes.saturating_add_signed(bytes);
    }

    pub fn change_index(&mut self, number: u64, (items, bytes): (i64, i64)) {
        let at = self.indexes.iter().position(|(own, ..)| *own == number).unwrap_or_else(|| {
            self.indexes.push((number, 0, 0));
            self.indexes.len() - 1
        });
        let (_, own_items, own_bytes) = &mut self.indexes[at];
        *own_items = own_items.saturating_add_signed(items);
        *own_bytes = own_bytes.saturating_add_signed(bytes);
    }

    /// Items and bytes of an index.
    pub fn index(&self, number: u64) -> (u64, u64) {
        self.indexes.iter().find(|(own, ..)| *own == number).map_or((0, 0), |(_, items, bytes)| (*items, *bytes))
    }
}

/// A transaction that was asked for with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// A digest of the request.
    pub request: Bytes,
    /// What reading its items costs, by table, in half units: what asking again costs.
    pub reads: Vec<(String, u64)>,
}

/// A table to be read through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillingTask {
    /// The table's id; another incarnation of the name has no part in it.
    pub table: u64,
    pub begins_at: Timestamp,
    /// The stored key of the last item that was looked at.
    pub after: Option<Bytes>,
    pub of: Filled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filled {
    Index(u64),
    TimeToLive(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    pub id: u64,
    pub table: String,
    pub label: String,
    pub view: View,
    pub created_at: Timestamp,
    /// ENABLING until then.
    pub enabled_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    pub key: KeyNames,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    pub opened_at: Timestamp,
    /// The shard's id that this one goes on from.
    pub parent: Option<String>,
    /// The place of its first record.
    pub start: u64,
    /// The place after its last, once it is closed.
    pub end: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenShards {
    /// In the order of what they take.
    pub shards: Vec<OpenShard>,
    pub next_number: u64,
}

/// A shard takes the items whose partition key's hash is from `from` on, up to where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenShard {
    pub from: u64,
    pub number: u64,
    pub opened_at: Timestamp,
    pub start: u64,
}

/// A change of an item. Images are in the rules' stored form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    pub at: Timestamp,
    pub event: Event,
    pub keys: Bytes,
    #[serde(default)]
    pub old: Option<Bytes>,
    #[serde(default)]
    pub new: Option<Bytes>,
    pub size_bytes: u64,
    /// Deleted because its time had come.
    #[serde(default)]
    pub is_expiry: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Insert,
    Modify,
    Remove,
}
