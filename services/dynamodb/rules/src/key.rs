//! Key schemas: what a key must be, and the bytes that a store sorts keys by.
//!
//! Stored keys are the 128-bit hash of the partition key's values, then the sort key's values in bytes that sort as
//! they do, then, in an index, a digest of the item's own key, so that equal index keys are different stored keys. So a
//! partition is a contiguous range, a parallel scan's segment too, and no stored key is longer than about 1,250 bytes.

use smallvec::SmallVec;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use crate::size::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, value_bytes};
use crate::value::{Item, Kind, Value};

pub type KeyBytes = SmallVec<[u8; 64]>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    pub name: String,
    pub kind: Kind,
}

/// A table's key has one partition attribute and one sort attribute at most, a global index's up to four of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySchema {
    pub partition: Vec<KeyAttribute>,
    pub sort: Vec<KeyAttribute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("One or more parameter values were invalid: Missing the key {0} in the item")]
    Missing(String),
    #[error(
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}"
    )]
    Type { name: String, expected: Kind, actual: Kind },
    #[error("The provided key element does not match the schema")]
    Schema,
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {what} value. Key: {name}"
    )]
    Empty { what: &'static str, name: String },
    // "of2048" without a space: AWS's own words.
    #[error(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )]
    PartitionTooLong,
    #[error(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    )]
    SortTooLong,
    #[error(
        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {expected} Actual: {actual} IndexName: {index}"
    )]
    IndexType { name: String, expected: Kind, actual: Kind, index: String },
    #[error(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty {what} value. IndexName: {index}, IndexKey: {name}"
    )]
    IndexEmpty { what: &'static str, name: String, index: String },
    #[error(
        "One or more parameter values were invalid: Cannot update attribute {0}. This attribute is part of the key"
    )]
    Updated(String),
    #[error("The provided starting key is invalid: The provided key element does not match the schema")]
    TableStart,
    #[error("The provided starting key is invalid")]
    Start,
    #[error("The provided starting key is outside query boundaries based on provided conditions")]
    StartOutside,
}

fn empty_kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::S(text) if text.is_empty() => Some("string"),
        Value::B(bytes) if bytes.is_empty() => Some("binary"),
        _ => None,
    }
}

impl KeySchema {
    pub fn of_table(partition: (&str, Kind), sort: Option<(&str, Kind)>) -> Self {
        let attribute = |(name, kind): (&str, Kind)| KeyAttribute { name: name.to_owned(), kind };
        KeySchema { partition: vec![attribute(partition)], sort: sort.into_iter().map(attribute).collect() }
    }

    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.partition.iter().chain(&self.sort)
    }

    pub fn names(&self, name: &str) -> bool {
        self.attributes().any(|attribute| attribute.name == name)
    }

    fn check_sizes(&self, item: &Item) -> Result<(), KeyError> {
        let bytes = |attributes: &[KeyAttribute]| -> usize {
            attributes.iter().filter_map(|attribute| item.get(&attribute.name)).map(value_bytes).sum()
        };
        if bytes(&self.partition) > MAX_PARTITION_KEY_BYTES {
            return Err(KeyError::PartitionTooLong);
        }
        if bytes(&self.sort) > MAX_SORT_KEY_BYTES { Err(KeyError::SortTooLong) } else { Ok(()) }
    }

    /// An item to be put has the key, of the right types, neither empty nor too long.
    pub fn check_item(&self, item: &Item) -> Result<(), KeyError> {
        for attribute in self.attributes() {
            let name = || attribute.name.clone();
            let value = item.get(&attribute.name).ok_or_else(|| KeyError::Missing(name()))?;
            if value.kind() != attribute.kind {
                return Err(KeyError::Type { name: name(), expected: attribute.kind, actual: value.kind() });
            }
            if let Some(what) = empty_kind(value) {
                return Err(KeyError::Empty { what, name: name() });
            }
        }
        self.check_sizes(item)
    }

    /// The key of a request is the key's attributes and no others.
    pub fn check_key(&self, key: &Item) -> Result<(), KeyError> {
        if key.len() != self.attributes().count() {
            return Err(KeyError::Schema);
        }
        self.check_item(key).map_err(|error| match error {
            KeyError::Missing(_) | KeyError::Type { .. } => KeyError::Schema,
            other => other,
        })
    }

    /// Whether an item belongs into an index of this schema; a key attribute of a wrong type or an empty one is refused.
    pub fn check_index(&self, index: &str, item: &Item) -> Result<bool, KeyError> {
        let mut is_whole = true;
        for attribute in self.attributes() {
            let Some(value) = item.get(&attribute.name) else {
                is_whole = false;
                continue;
            };
            let (name, index) = (attribute.name.clone(), index.to_owned());
            if value.kind() != attribute.kind {
                let (expected, actual) = (attribute.kind, value.kind());
                return Err(KeyError::IndexType { name, expected, actual, index });
            }
            if let Some(what) = empty_kind(value) {
                return Err(KeyError::IndexEmpty { what, name, index });
            }
        }
        if is_whole {
            self.check_sizes(item)?;
        }
        Ok(is_whole)
    }

    fn values<'a>(&'a self, attributes: &'a [KeyAttribute], item: &'a Item) -> impl Iterator<Item = &'a Value> {
        attributes.iter().filter_map(|attribute| item.get(&attribute.name))
    }

    /// The key's attributes of an item, as requests and `LastEvaluatedKey` carry them.
    pub fn key_of(&self, item: &Item) -> Item {
        self.attributes()
            .filter_map(|attribute| Some((attribute.name.clone(), item.get(&attribute.name)?.clone())))
            .collect()
    }

    /// The stored key of an item in the table of this schema. The item has been checked.
    pub fn table_bytes(&self, item: &Item) -> KeyBytes {
        let mut bytes = KeyBytes::new();
        bytes.extend_from_slice(&partition_hash(self.values(&self.partition, item)));
        self.values(&self.sort, item).for_each(|value| encode_sort(value, &mut bytes));
        bytes
    }

    /// The stored key of an item in an index of this schema; `table` is the schema of the table.
    pub fn index_bytes(&self, table: &KeySchema, item: &Item) -> KeyBytes {
        let mut bytes = self.table_bytes(item);
        let mut digest = Xxh3::new();
        digest.update(&table.table_bytes(item));
        bytes.extend_from_slice(&digest.digest128().to_be_bytes());
        bytes
    }
}

/// The place of a partition among all: unkeyed and stable, because it is stored.
pub fn partition_hash<'a>(values: impl Iterator<Item = &'a Value>) -> [u8; 16] {
    let mut hash = Xxh3::new();
    let mut bytes = KeyBytes::new();
    for value in values {
        bytes.clear();
        encode_sort(value, &mut bytes);
        hash.update(value.kind().as_str().as_bytes());
        hash.update(&bytes);
    }
    hash.digest128().to_be_bytes()
}

/// Groups of eight bytes, each followed by how many of them count, nine if more follow: the order of what is encoded,
/// and no encoding a prefix of another.
fn encode_bytes(bytes: &[u8], out: &mut KeyBytes) {
    const GROUP: usize = 8;
    let mut left = bytes;
    while left.len() > GROUP {
        let (group, rest) = left.split_at(GROUP);
        out.extend_from_slice(group);
        out.push(GROUP as u8 + 1);
        left = rest;
    }
    out.extend_from_slice(left);
    out.extend(std::iter::repeat_n(0, GROUP - left.len()));
    out.push(left.len() as u8);
}

/// Bytes whose order is the values' order, for values of one key type.
pub fn encode_sort(value: &Value, out: &mut KeyBytes) {
    match value {
        Value::S(text) => encode_bytes(text.as_bytes(), out),
        Value::B(bytes) => encode_bytes(bytes, out),
        Value::N(number) => number.encode_ordered(out),
        // No other type passes a schema's checks.
        _ => {}
    }
}

/// The least bytes above everything that begins with `prefix`; nothing if there are none.
pub fn successor(prefix: &[u8]) -> Option<KeyBytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut bytes = KeyBytes::from_slice(&prefix[..=last]);
    bytes[last] += 1;
    Some(bytes)
}

/// Stored keys from `start`, up to and without `end`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    pub start: KeyBytes,
    pub end: Option<KeyBytes>,
}

impl KeyRange {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn starting_with(prefix: &[u8]) -> Self {
        KeyRange { start: KeyBytes::from_slice(prefix), end: successor(prefix) }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }

    /// What is left after `key`, in the direction read.
    pub fn after(mut self, key: &[u8], is_forward: bool) -> Result<Self, KeyError> {
        if !self.contains(key) {
            return Err(KeyError::StartOutside);
        }
        if is_forward {
            self.start = KeyBytes::from_slice(key);
            self.start.push(0);
        } else {
            self.end = Some(KeyBytes::from_slice(key));
        }
        Ok(self)
    }

    /// The part of a table that a segment of a parallel scan reads: partitions by their hash, in equal shares.
    pub fn segment(segment: u32, of: u32) -> Self {
        let bound = |number: u32| (u128::from(number) << 64) / u128::from(of.max(1));
        let bytes = |bound: u128| KeyBytes::from_slice(&(bound as u64).to_be_bytes());
        let end = (segment + 1 < of).then(|| bytes(bound(segment + 1)));
        let start = if segment == 0 { KeyBytes::new() } else { bytes(bound(segment)) };
        KeyRange { start, end }
    }
}
