//! Time-to-live: what is due, and its removal.

use fractus_aws::Lane;
use fractus_clock::Timestamp;

use crate::error::StoreError;
use crate::store::Store;

/// How many expired records one sweep transaction removes: it holds the others up for well under a millisecond.
const SWEEP_BATCH: usize = 256;

impl Store {
    /// Removes up to `limit` records whose time has come, in small transactions, and tells how many. Reads never see
    /// such records anyway: a sweep only gives the room back.
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let mut swept = 0;
        for lane in self.lanes_raw().await? {
            while swept < limit {
                let batch = SWEEP_BATCH.min(limit - swept);
                let removed = self.sweep_lane(&lane, batch).await?;
                swept += removed;
                if removed < batch {
                    break;
                }
            }
        }
        Ok(swept)
    }

    async fn sweep_lane(&self, lane: &str, limit: usize) -> Result<usize, StoreError> {
        let now = self.inner.clocks.lane(lane).now().micros();
        // Looked at in a snapshot first: a lane with nothing due costs no write transaction.
        let due = self.read(|snap| snap.source.expiring(lane, now, 1)).await?;
        if due.is_empty() {
            return Ok(0);
        }
        self.write(|tx| {
            let due = tx.source_mut().expiring(lane, now, limit)?;
            for (moment, key) in &due {
                // The list may be a step behind a record that was just written again.
                let record = tx.source.get(key)?;
                if record.is_some_and(|record| record.expires_at == *moment) {
                    tx.source_mut().delete(key)?;
                }
            }
            Ok(due.len())
        })
        .await
    }

    /// The moment at which the lane's next record expires (it may have passed already): when to sweep next.
    pub async fn next_expiry(&self, lane: &Lane) -> Result<Option<Timestamp>, StoreError> {
        let next = self.read(|snap| snap.source.expiring(lane.as_str(), i64::MAX - 1, 1)).await?;
        Ok(next.first().map(|(moment, _): &(i64, _)| Timestamp::from_micros(*moment)))
    }
}
