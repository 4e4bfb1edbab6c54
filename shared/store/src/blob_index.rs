//! Which records refer to which stored pieces, lane by lane, and the removal of pieces nobody refers to.

use std::time::Duration;

use crate::blobs::BlobRef;
use crate::collection::Collection;
use crate::error::StoreError;
use crate::lanes::ResetScope;
use crate::range::{Order, Range};
use crate::scope::Scope;
use crate::store::Store;
use crate::transaction::Transaction;

/// How often a scope refers to a piece: `(piece, partition, account, region)` in the lane's own scope, so that one
/// look finds whether anything in the lane does.
pub(crate) const REFERENCES: Collection<(String, String, String, String), u32> = Collection::new("_blobs");

/// How many entries one clean-up transaction handles.
const BATCH: usize = 256;

impl Transaction<'_> {
    /// Notes that a record of `scope` now refers to `blob`: in the transaction that writes the record. A copy inside
    /// the store is kept too, in the transaction that reads the original.
    pub fn keep_blob(&mut self, scope: &Scope, blob: &BlobRef) -> Result<(), StoreError> {
        self.count_blob(scope, blob, |count| count.saturating_add(1))
    }

    /// Notes that a record of `scope` refers to `blob` no more: in the transaction that removes or replaces the
    /// record. After it has ended, [`Store::discard`] gives the room back.
    pub fn release_blob(&mut self, scope: &Scope, blob: &BlobRef) -> Result<(), StoreError> {
        self.count_blob(scope, blob, |count| count.saturating_sub(1))
    }

    fn count_blob(&mut self, scope: &Scope, blob: &BlobRef, change: fn(u32) -> u32) -> Result<(), StoreError> {
        let index = Scope::internal(scope.lane());
        let [partition, account, region] = scope.parts();
        for id in blob.stored_ids() {
            let key = (id, partition, account, region);
            let count = change(self.get(&REFERENCES, &index, &key)?.unwrap_or(0));
            if count == 0 {
                self.delete(&REFERENCES, &index, &key)?;
            } else {
                self.put(&REFERENCES, &index, &key, &count)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Removes the stored pieces of `blob` that no lane refers to (snapshots of lanes included). Call it after the
    /// transaction that released the blob, or for a blob that never came into a record.
    pub async fn discard(&self, blob: &BlobRef) -> Result<(), StoreError> {
        for id in blob.stored_ids() {
            if !self.is_referenced(id).await? {
                self.blobs().remove(id).await?;
            }
        }
        Ok(())
    }

    /// Looks at up to `limit` stored pieces after the one named (from the beginning with `""`) and removes those that
    /// nothing refers to and that are older than `min_age`, which must be longer than any upload takes between its
    /// last byte and its record. Answers where to go on, `None` at the end.
    pub async fn sweep_blobs(
        &self,
        after: &str,
        limit: usize,
        min_age: Duration,
    ) -> Result<Option<String>, StoreError> {
        let page = self.blobs().list(after, limit).await?;
        for piece in page.iter().filter(|piece| piece.age >= min_age) {
            if !self.is_referenced(&piece.id).await? {
                tracing::debug!(piece = piece.id, "removing bytes that nothing refers to");
                self.blobs().remove(&piece.id).await?;
            }
        }
        Ok(if page.len() < limit { None } else { page.last().map(|piece| piece.id.clone()) })
    }

    async fn is_referenced(&self, id: &str) -> Result<bool, StoreError> {
        for lane in self.lanes_raw().await? {
            let scope = Scope::internal(&lane);
            let found = self
                .read(|snap| {
                    let mut keys = snap.keys(&REFERENCES, &scope, Range::prefix(&(id,)), Order::Ascending)?;
                    keys.next().transpose()
                })
                .await?;
            if found.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After a reset that spares a part of the lane: drops the references of the scopes that are gone. The pieces go
    /// with the next sweep.
    pub(crate) async fn forget_blobs(&self, scope: &ResetScope) -> Result<(), StoreError> {
        let Some(lane) = scope.lane().filter(|_| !matches!(scope, ResetScope::Lane(_))) else { return Ok(()) };
        let index = Scope::internal(lane);
        let mut range = Range::all();
        loop {
            let last = self
                .write(|tx| {
                    let keys = tx.keys(&REFERENCES, &index, range.clone(), Order::Ascending)?;
                    let page = keys.take(BATCH).collect::<Result<Vec<_>, StoreError>>()?;
                    for key in page
                        .iter()
                        .filter(|(_, partition, account, region)| scope.covers(lane, partition, account, region))
                    {
                        tx.delete(&REFERENCES, &index, key)?;
                    }
                    Ok::<_, StoreError>(page.last().cloned())
                })
                .await?;
            match last {
                Some(last) => range = Range::all().after(&last),
                None => return Ok(()),
            }
        }
    }
}
