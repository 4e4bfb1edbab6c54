//! Work that nobody asks for: timers, sweeps, pollers. One replica does it; it wakes by each lane's own clock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
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

/// A lane in which nothing happens is looked at ever more rarely, since its work may wait for something in real time (a bus
/// that is away) or have failed: after the first pause at first, after the longest in the end.
const FIRST_LOOK: Duration = Duration::from_secs(10);
const LONGEST_LOOK: Duration = Duration::from_secs(640);

/// Expired records removed in one transaction.
const SWEEP_RECORDS: usize = 1_000;
const SWEEP_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    holder: String,
    until: Timestamp,
}

/// A lane's piece of background work; when it is due again.
type Work = dyn Fn(Lane) -> BoxFuture<'static, Option<Timestamp>> + Send + Sync;

/// Wakes a piece of background work before its time, when what it waits for may have changed.
#[derive(Clone, Default)]
pub struct Waker(Arc<Bell>);

/// What wakes turns: a bell for each lane, and one for whoever looks which lanes there are.
#[derive(Default)]
struct Bell {
    any: Notify,
    lanes: Mutex<HashMap<Lane, Arc<Notify>>>,
}

impl Waker {
    /// Something has changed, in whichever lane.
    pub fn wake(&self) {
        for bell in self.0.lanes.lock().values() {
            bell.notify_one();
        }
        self.0.any.notify_one();
    }

    /// Something has changed in this lane.
    pub fn wake_in(&self, lane: &Lane) {
        match self.0.lanes.lock().get(lane) {
            Some(bell) => bell.notify_one(),
            None => self.0.any.notify_one(),
        }
    }

    pub(crate) async fn woken(&self) {
        self.0.any.notified().await;
    }

    fn bell(&self, lane: &Lane) -> Arc<Notify> {
        Arc::clone(self.0.lanes.lock().entry(lane.clone()).or_default())
    }
}

impl Host {
    /// Runs `work` for every lane, again and again until the host drains; on one replica where several share a store.
    /// It answers when it is due in that lane again, by the lane's clock; `None`: when it is woken. Each lane waits by
    /// itself; one at a time works.
    pub fn background<F, Fut>(&self, name: &'static str, work: F) -> Waker
    where
        F: Fn(Lane) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Timestamp>> + Send + 'static,
    {
        self.work(name, Box::new(move |lane| Box::pin(work(lane))))
    }

    /// The same for every kind of work: what stands here is compiled once.
    fn work(&self, name: &'static str, work: Box<Work>) -> Waker {
        let waker = Waker::default();
        let (host, woken) = (self.clone(), waker.clone());
        self.inner.wakers.lock().push(waker.clone());
        self.spawn(name, async move {
            let draining = host.draining();
            let working = async {
                loop {
                    if leads(&host, name).await {
                        lead(&host, name, &*work, &woken).await;
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

    /// Lanes have come, or what they hold is another: all background work looks again.
    pub(crate) fn wake_all(&self) {
        self.inner.wakers.lock().iter().for_each(Waker::wake);
    }
}

/// Works as long as this replica leads: every lane has a turn that waits for its time, and new lanes get one.
async fn lead(host: &Host, name: &'static str, work: &Work, woken: &Waker) {
    let one_at_a_time = tokio::sync::Mutex::new(());
    let (mut turns, mut known) = (FuturesUnordered::new(), HashSet::new());
    let mut look = FIRST_LOOK;
    loop {
        let before = known.len();
        for lane in lanes(host).await {
            if known.insert(lane.clone()) {
                turns.push(turn(host, lane, work, woken, &one_at_a_time));
            }
        }
        look = if known.len() > before { FIRST_LOOK } else { (look * 2).min(LONGEST_LOOK) };
        let is_shared = host.config().store.is_some();
        let next_look = real_sleep(if is_shared { LEASE / 3 } else { look });
        tokio::pin!(next_look);
        // A turn never ends; it is only driven here.
        tokio::select! {
            Some(()) = turns.next() => {}
            () = woken.woken() => {}
            () = &mut next_look => {}
        }
        if is_shared && !leads(host, name).await {
            return;
        }
    }
}

/// A lane's own turn: its work, and the wait until that is due again, or something has changed.
async fn turn(host: &Host, lane: Lane, work: &Work, woken: &Waker, one_at_a_time: &tokio::sync::Mutex<()>) {
    let (clock, bell) = (host.clocks().lane(lane.as_str()), woken.bell(&lane));
    let is_shared = host.config().store.is_some();
    let mut look = FIRST_LOOK;
    loop {
        let due = {
            let _turn = one_at_a_time.lock().await;
            work(lane.clone()).await
        };
        let due = async {
            match due {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        // Where others may change the store, nobody rings the bell for what they did.
        let pause = if is_shared { LEASE / 3 } else { look };
        tokio::select! {
            () = due => look = FIRST_LOOK,
            () = bell.notified() => look = FIRST_LOOK,
            () = real_sleep(pause) => look = (look * 2).min(LONGEST_LOOK),
        }
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
