//! What a transaction has written and not sent yet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::scan::due_key;
use crate::engine::{NEVER, RawRecord};
use crate::key::KeyBytes;
use crate::scope::RawKey;

/// Changes by their keys: sent in that order, two transactions that change the same records wait for each other in one
/// order, and neither waits for what waits for it.
#[derive(Default)]
pub(super) struct Changes {
    records: BTreeMap<KeyBytes, Option<Put>>,
    kept_bytes: usize,
}

struct Put {
    value: Vec<u8>,
    expires_at: i64,
    due: Option<Vec<u8>>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    pub(super) fn put(&mut self, key: &RawKey, value: &[u8], expires_at: i64) {
        let due = (expires_at != NEVER).then(|| due_key(key.lane(), expires_at));
        self.kept_bytes += key.bytes.len() + value.len();
        self.records.insert(key.bytes.clone(), Some(Put { value: value.to_vec(), expires_at, due }));
    }

    pub(super) fn delete(&mut self, key: &RawKey) {
        self.kept_bytes += key.bytes.len();
        self.records.insert(key.bytes.clone(), None);
    }

    /// What a key holds by these changes, if they say anything of it.
    pub(super) fn get(&self, key: &KeyBytes) -> Option<Option<RawRecord<'static>>> {
        let change = self.records.get(key)?;
        Some(change.as_ref().map(|put| RawRecord { value: Cow::Owned(put.value.clone()), expires_at: put.expires_at }))
    }

    /// Whether any of them is within `lower <= key < upper`.
    pub(super) fn touch(&self, lower: &[u8], upper: &[u8]) -> bool {
        let bounds = (Bound::Included(lower), Bound::Excluded(upper));
        lower < upper && self.records.range::<[u8], _>(bounds).next().is_some()
    }

    /// The keys that go, and the records that come.
    pub(super) fn into_statements(self) -> (Statement, Statement) {
        let (mut deleted, mut put) = (Statement::default(), Statement::default());
        let (mut values, mut moments, mut dues) = (Vec::new(), Vec::new(), Vec::new());
        for (key, change) in self.records {
            match change {
                None => deleted.keys.push(key.to_vec()),
                Some(record) => {
                    put.keys.push(key.to_vec());
                    values.push(record.value);
                    moments.push((record.expires_at != NEVER).then_some(record.expires_at));
                    dues.push(record.due);
                }
            }
        }
        put.columns = vec![Box::new(values), Box::new(moments), Box::new(dues)];
        (deleted, put)
    }
}

/// One statement about many keys.
#[derive(Default)]
pub(super) struct Statement {
    keys: Vec<Vec<u8>>,
    columns: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Statement {
    pub(super) async fn run(
        self,
        client: &Client,
        prepared: &tokio_postgres::Statement,
    ) -> Result<(), tokio_postgres::Error> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.keys];
        parameters.extend(self.columns.iter().map(|column| &**column as &(dyn ToSql + Sync)));
        client.execute(prepared, &parameters).await.map(|_| ())
    }
}
