//! Work that frees room and changes nothing that a caller sees: what was deleted in one step is cleared piece by piece.

use std::error::Error;
use std::time::Duration;

use fractus_aws::{AccountId, Lane, Partition, Region, World};
use fractus_clock::Clock;
use fractus_store::StoreError;

use crate::background::Waker;
use crate::host::Host;

/// The janitor comes by at least so often, in real time.
const ROUND_EVERY: Duration = Duration::from_secs(5);

impl Host {
    /// Runs `round` every few seconds and whenever `waker` is woken, until the host drains. A round that fails is warned of
    /// and tried again. Each round must take its work in short transactions: requests go on meanwhile, on other replicas
    /// too.
    pub fn janitor<F, Fut, E>(&self, waker: &Waker, round: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + 'static,
    {
        let (draining, waker) = (self.draining(), waker.clone());
        self.spawn("janitor", async move {
            loop {
                tokio::select! {
                    () = draining.cancelled() => return,
                    () = Clock::real().sleep(ROUND_EVERY) => {}
                    () = waker.woken() => {}
                }
                if let Err(error) = round().await {
                    tracing::warn!(error = &error as &dyn Error, "cleaning up failed; it is tried again");
                }
            }
        });
    }

    /// The worlds and regions in which a collection of regional records holds anything. It looks at every collection of
    /// every scope, but at no records: for background work, not for requests.
    pub async fn places(&self, collection: &str) -> Result<Vec<(World, Region)>, StoreError> {
        let spaces = self.store().collections(0).await?;
        let found = spaces.into_iter().filter(|space| space.collection == collection).filter_map(|space| {
            let world = World {
                lane: Lane::new(&space.lane).ok()?,
                partition: Partition::parse(&space.partition)?,
                account: AccountId::new(&space.account).ok()?,
            };
            Some((world, Region::new(&space.region).ok()?))
        });
        Ok(found.collect())
    }
}
