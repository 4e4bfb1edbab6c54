//! What a writing transaction has read.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::scan::{column, record};
use crate::engine::RawRecord;
use crate::error::StoreError;
use crate::key::KeyBytes;

/// How many bytes of records are kept, to be read again.
const MOST_BYTES: usize = 1 << 20;
/// How many records another run reads in one go.
const MOST_KEYS: usize = 256;

#[derive(Default)]
pub(super) struct Reads {
    records: HashMap<KeyBytes, Known>,
    bytes: usize,
}

enum Known {
    /// As it was read; there may have been none.
    Record(Option<RawRecord<'static>>),
    /// Read, and not kept or changed since.
    Read,
}

fn copy(record: &RawRecord<'static>) -> RawRecord<'static> {
    RawRecord { value: record.value.clone(), expires_at: record.expires_at }
}

impl Reads {
    pub(super) fn get(&self, key: &KeyBytes) -> Option<Option<RawRecord<'static>>> {
        match self.records.get(key)? {
            Known::Record(record) => Some(record.as_ref().map(copy)),
            Known::Read => None,
        }
    }

    pub(super) fn keep(&mut self, key: &KeyBytes, record: Option<&RawRecord<'static>>) {
        let bytes = key.len() + record.map_or(0, |record| record.value.len());
        let has_room = self.bytes + bytes <= MOST_BYTES;
        self.bytes += if has_room { bytes } else { 0 };
        let known = if has_room { Known::Record(record.map(copy)) } else { Known::Read };
        self.records.insert(key.clone(), known);
    }

    /// The same of many keys, and the rows that there are of them.
    pub(super) fn keep_all(&mut self, keys: Vec<KeyBytes>, rows: &[Row]) -> Result<(), StoreError> {
        for key in keys {
            self.keep(&key, None);
        }
        for row in rows {
            self.keep(&KeyBytes::from_slice(column(row, 0)?), Some(&record(row, 1)?));
        }
        Ok(())
    }

    /// What is changed is not as it was read; says whether it was read.
    pub(super) fn forget(&mut self, key: &KeyBytes) -> bool {
        self.records.get_mut(key).map(|known| *known = Known::Read).is_some()
    }

    /// All of their keys, unless there are too many.
    pub(super) fn keys(&self) -> Vec<KeyBytes> {
        if self.records.len() > MOST_KEYS { Vec::new() } else { self.records.keys().cloned().collect() }
    }
}
