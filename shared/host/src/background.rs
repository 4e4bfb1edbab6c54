//! Work that nobody asks for: timers, sweeps, pollers. One replica does it; it wakes by each lane's own clock.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use fractus_aws::{Lane, World};
use fractus_clock::{Clock, Timestamp};
use fractus_store::{Collection, Scope, StoreError};

use crate::host::Host;

/// Who does which work, where replicas share a store. On real time: it is about processes.
const LEASES: Collection<(String,), Lease> = Collection::new("host.leases");

/// How long a lease holds; it is renewed in a third of the time.
const LEASE: Duration = Duration::from_secs(15);

/// At most between two looks at which lanes there are.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Expired records removed in one transaction.
const SWEEP_RECORDS: usize = 1_000;
const SWEEP_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    holder: String,
    until: Timestamp,
}

/// Wakes a piece of background work before its time, when what it waits for may have changed.
#[derive(Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

impl Host {
    /// Runs `work` for every lane, again and again until the host drains; on one replica where several share a store.
    /// It answers when it is due in that lane again, by the lane's clock; `None`: when it is woken, or after some
    /// seconds of real time.
    pub fn background<F, Fut>(&self, name: &'static str, work: F) -> Waker
    where
        F: Fn(Lane) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Timestamp>> + Send + 'static,
    {
        let waker = Waker::default();
        let (host, woken) = (self.clone(), waker.0.clone());
        self.spawn(name, async move {
            let draining = host.draining();
            let working = async {
                loop {
                    if leads(&host, name).await {
                        round(&host, &work, &woken).await;
                    } else {
                        real_sleep(LEASE / 3).await;
                    }
                }
            };
            tokio::select! {
                () = draining.cancelled() => {}
                () = working => {}
            }
            give_up(&host, name).await;
        });
        waker
    }
}

/// The work of every lane once, and then the wait until some lane is due.
async fn round<F, Fut>(host: &Host, work: &F, woken: &Notify)
where
    F: Fn(Lane) -> Fut,
    Fut: Future<Output = Option<Timestamp>>,
{
    let due = FuturesUnordered::new();
    for lane in lanes(host).await {
        let clock = host.clocks().lane(lane.as_str());
        if let Some(at) = work(lane).await {
            due.push(async move { clock.sleep_until(at).await });
        }
    }
    let mut due = due;
    tokio::select! {
        Some(()) = due.next(), if !due.is_empty() => {}
        () = woken.notified() => {}
        () = real_sleep(if host.config().store.is_some() { LEASE / 3 } else { LOOK_AGAIN }) => {}
    }
}

/// The lanes that hold anything or have a clock; `main` always.
async fn lanes(host: &Host) -> Vec<Lane> {
    let mut lanes = host.store().lanes().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the lanes are not known");
        Vec::new()
    });
    lanes.push(Lane::main());
    lanes.extend(host.clocks().lanes().iter().filter_map(|name| Lane::new(name).ok()));
    lanes.sort();
    lanes.dedup();
    lanes
}

/// Whether this replica does the work; takes or renews the lease. A store that nobody shares needs none.
async fn leads(host: &Host, name: &'static str) -> bool {
    if host.config().store.is_none() {
        return true;
    }
    let now = Clock::real().now();
    let mine = Lease { holder: host.bus().instance().to_owned(), until: now.plus(LEASE) };
    let (scope, key) = (Scope::partition(&World::default_world()), (name.to_owned(),));
    let taken = host
        .store()
        .write(|tx| {
            let held = tx.get(&LEASES, &scope, &key)?;
            let is_free = held.is_none_or(|lease| lease.holder == mine.holder || lease.until < now);
            if is_free {
                tx.put(&LEASES, &scope, &key, &mine)?;
            }
            Ok::<_, StoreError>(is_free)
        })
        .await;
    taken.unwrap_or_else(|error| {
        tracing::warn!(%error, name, "who does this work is not known");
        false
    })
}

/// Lets another replica begin at once.
async fn give_up(host: &Host, name: &'static str) {
    if host.config().store.is_none() {
        return;
    }
    let (scope, key) = (Scope::partition(&World::default_world()), (name.to_owned(),));
    let own = host.bus().instance();
    let given = host
        .store()
        .write(|tx| {
            if tx.get(&LEASES, &scope, &key)?.is_some_and(|lease| lease.holder == own) {
                tx.delete(&LEASES, &scope, &key)?;
            }
            Ok::<_, StoreError>(())
        })
        .await;
    if let Err(error) = given {
        tracing::debug!(%error, name, "a lease ends by itself");
    }
}

// Real time: leases and looks at the lanes are about processes, not about a lane's clock.
#[allow(clippy::disallowed_methods)]
async fn real_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Removes what has expired. Nobody sees expired records, so there is no hurry.
pub(crate) fn sweep_store(host: &Host) {
    let (sweeping, draining) = (host.clone(), host.draining());
    host.spawn("store sweep", async move {
        loop {
            tokio::select! {
                () = draining.cancelled() => return,
                () = real_sleep(SWEEP_EVERY) => {}
            }
            loop {
                match sweeping.store().sweep(SWEEP_RECORDS).await {
                    Ok(removed) if removed >= SWEEP_RECORDS && !draining.is_cancelled() => {
                        tokio::task::yield_now().await
                    }
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "expired records are not removed");
                        break;
                    }
                }
            }
        }
    });
}
