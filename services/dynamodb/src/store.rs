//! The collections DynamoDB keeps, and their records.
//!
//! A table has an id of its own for each incarnation of its name. Items lie under it, sorted by the hash of their
//! partition key and then by their sort key, and once more, as far as they are projected, under each index whose key they have.
//! A deleted table's id is put among the discarded ones, and the janitor clears what lies under it.

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::key::{KeyAttribute, KeyRange, KeySchema};
use fractus_dynamodb_rules::{Item, Kind};
use fractus_store::{Collection, Key, KeyBytes, KeyOf, Range};
use serde::{Deserialize, Serialize};

pub const TABLES: Collection<(String,), Table> = Collection::new("tables");
/// Items by (table, stored key), in the rules' stored form.
pub const ITEMS: Collection<(u64, StoredKey), Bytes> = Collection::new("items");
/// What indexes hold, by (table, index, stored key): the projected part of the item.
pub const INDEX_ITEMS: Collection<(u64, u64, StoredKey), Bytes> = Collection::new("index-items");
/// How much a table holds.
pub const COUNTERS: Collection<(u64,), Counters> = Collection::new("counters");
/// Tables nobody reads any more.
pub const DISCARDED: Collection<(u64,), ()> = Collection::new("discarded-tables");

/// What a transaction's token was first used for; records expire by themselves.
pub const TOKENS: Collection<(String,), Bytes> = Collection::new("tokens");

/// A key as the rules encode it. It is always a key's last part, so it needs no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey(pub Vec<u8>);

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub &'a [u8]);

impl Key for StoredKey {
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        Ok(StoredKey(std::mem::take(bytes).to_vec()))
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub items: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// This incarnation of the name.
    pub id: u64,
    /// The id that callers see.
    pub uuid: String,
    pub created_at: Timestamp,
    pub active_at: Timestamp,
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// Names and types, as they were defined.
    pub attributes: Vec<(String, String)>,
    /// Names of the partition key's attributes, then of the sort key's.
    pub key: (Vec<String>, Vec<String>),
    #[serde(default)]
    pub indexes: Vec<Index>,
    pub on_demand: bool,
    #[serde(default)]
    pub throughput: (i64, i64),
    #[serde(default)]
    pub deletion_protection: bool,
    #[serde(default)]
    pub class: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projected {
    All,
    KeysOnly,
    Include,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub number: u64,
    pub name: String,
    pub is_global: bool,
    pub key: (Vec<String>, Vec<String>),
    pub projected: Projected,
    #[serde(default)]
    pub included: Vec<String>,
    #[serde(default)]
    pub throughput: (i64, i64),
}

impl Table {
    fn schema_of(&self, key: &(Vec<String>, Vec<String>)) -> KeySchema {
        let attribute = |name: &String| {
            let kind = self.attributes.iter().find(|(own, _)| own == name).and_then(|(_, kind)| Kind::named(kind));
            KeyAttribute { name: name.clone(), kind: kind.unwrap_or(Kind::S) }
        };
        KeySchema { partition: key.0.iter().map(attribute).collect(), sort: key.1.iter().map(attribute).collect() }
    }

    pub fn schema(&self) -> KeySchema {
        self.schema_of(&self.key)
    }

    pub fn index_schema(&self, index: &Index) -> KeySchema {
        self.schema_of(&index.key)
    }

    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Whether an index has an attribute of an item.
    pub fn projects(&self, index: &Index, attribute: &str) -> bool {
        let is_key = |key: &(Vec<String>, Vec<String>)| key.0.iter().chain(&key.1).any(|name| name == attribute);
        match index.projected {
            Projected::All => true,
            Projected::KeysOnly => is_key(&index.key) || is_key(&self.key),
            Projected::Include => {
                is_key(&index.key) || is_key(&self.key) || index.included.iter().any(|name| name == attribute)
            }
        }
    }

    /// The part of an item that an index has.
    pub fn projection(&self, index: &Index, item: &Item) -> Item {
        let entries = item.iter().filter(|(name, _)| self.projects(index, name));
        entries.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}
