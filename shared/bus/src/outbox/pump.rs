//! What carries deliveries from the outbox to the queue.
//!
//! It works in one of two ways. As long as all goes well, it sends what is handed over in memory, after a look into the
//! store that the transaction was kept. At the start, after any failure, and when too much is handed over at once, it
//! sweeps: it reads the store from the oldest entry on until nothing waits. Both send in the order of the entries: what
//! was kept before an entry of the same ordering key and is still there, because its handoff is not dropped yet or because
//! another replica has made it, is sent before that.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fractus_aws::Lane;
use fractus_clock::Stopwatch;
use fractus_store::{Order, Range, Snapshot, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Entry, MOST_WAITING, ORDERED, OUTBOX, Shared, delete, scope};
use crate::BusError;
use crate::parcel::Parcel;

/// Deliveries sent with their confirmations in flight together.
const BATCH: usize = 256;
/// How often the pump looks for entries of replicas that have ended without sending them.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Younger entries are left to the replica that made them.
const ABANDONED_AFTER: Duration = Duration::from_secs(10);
/// Before a sweep is tried again that was stopped by more than a lost connection.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// An entry that was handed over before its transaction was kept is looked for this long.
const LOOK_FOR: Duration = Duration::from_millis(200);
/// How long between two looks, at first and after a while.
const LOOK_DELAY: Duration = Duration::from_millis(1);
const LATE_LOOK_DELAY: Duration = Duration::from_millis(20);

/// Entries sent before their handoffs were dropped that are remembered; beyond it they are counted as waiting no more once
/// too often.
const MOST_AHEAD: usize = 4_096;

/// What the store says of a batch.
#[derive(Default)]
struct Looked {
    /// Those that are there, and before each ordered one what has to go first.
    kept: Vec<Entry>,
    /// Of the kept ones, those that were not handed over yet.
    ahead: Vec<(u64, String)>,
    absent: Vec<Entry>,
    /// Before some ordered one there is more than a batch.
    has_more: bool,
}

/// Why a sweep or a batch ended early.
enum Stuck {
    Bus(BusError),
    Store(StoreError),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Stuck::Store(error)
    }
}

pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut pump = Pump::default();
    if let Err(error) = shared.count_what_is_left().await {
        tracing::warn!(%error, "the outbox cannot be counted");
    }
    // Real time: it is about other processes.
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweeps.reset();
    let mut result = shared.sweep(Duration::ZERO).await;
    loop {
        if let Err(stuck) = result {
            if stop.run_until_cancelled(shared.wait_out(stuck)).await.is_none() {
                return;
            }
            result = shared.sweep(Duration::ZERO).await;
            continue;
        }
        result = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // What was handed over before the end still goes out, if it can; else it waits in the store.
                let _ = shared.send_handed(&mut pump).await;
                return;
            }
            () = shared.wake.notified() => shared.send_handed(&mut pump).await,
            () = shared.clock.sleep(look_delay(&pump.missing)), if !pump.missing.is_empty() => {
                shared.send_handed(&mut pump).await
            }
            _ = sweeps.tick() => shared.sweep(ABANDONED_AFTER).await,
        };
    }
}

fn look_delay(missing: &[Entry]) -> Duration {
    let is_fresh = missing.iter().any(|entry| entry.since.elapsed() < 10 * LOOK_DELAY);
    if is_fresh { LOOK_DELAY } else { LATE_LOOK_DELAY }
}

/// What the pump knows between its batches.
#[derive(Default)]
struct Pump {
    /// Handed over, and not in the store when last looked for.
    missing: Vec<Entry>,
    /// Sent, and not handed over yet.
    ahead: HashSet<(u64, String)>,
}

impl Pump {
    fn is_sent_ahead(&mut self, entry: &Entry) -> bool {
        !self.ahead.is_empty() && self.ahead.remove(&(entry.moment, entry.parcel.id.clone()))
    }

    fn remember(&mut self, ahead: Vec<(u64, String)>) {
        if self.ahead.len() + ahead.len() > MOST_AHEAD {
            self.ahead.clear();
        }
        self.ahead.extend(ahead);
    }
}

/// What the store has of the ordering keys of a batch from before its last entries, without those of the batch itself; and
/// whether that is too much to be sent at once.
fn ahead_of(snapshot: &Snapshot<'_>, batch: &[Entry], present: &[bool]) -> Result<(Vec<Entry>, bool), StoreError> {
    let mut last_of_key: HashMap<&str, &Entry> = HashMap::new();
    for (entry, _) in batch.iter().zip(present).filter(|(_, present)| **present) {
        if let Some(key) = entry.parcel.ordering_key.as_deref() {
            last_of_key.insert(key, entry);
        }
    }
    let (mut ahead, mut has_more) = (Vec::new(), false);
    if last_of_key.is_empty() {
        return Ok((ahead, has_more));
    }
    let handed: HashSet<(u64, &str)> = batch.iter().map(|entry| (entry.moment, entry.parcel.id.as_str())).collect();
    for (key, last) in last_of_key {
        let scope = scope(&last.parcel.lane);
        let earlier = Range::prefix(&(key,)).to(&(key, last.moment));
        let keys = snapshot.keys(&ORDERED, &scope, earlier, Order::Ascending)?.take(2 * BATCH);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        has_more |= keys.len() == 2 * BATCH;
        for (_, moment, id) in keys {
            if handed.contains(&(moment, id.as_str())) {
                continue;
            }
            let parcel = snapshot.get(&OUTBOX, &scope, &(moment, id.as_str()))?;
            ahead.extend(parcel.map(|parcel| Entry { moment, parcel, since: Stopwatch::start() }));
        }
    }
    Ok((ahead, has_more))
}

impl Shared {
    async fn wait_out(&self, stuck: Stuck) {
        match stuck {
            Stuck::Bus(BusError::Away) => {
                self.bus.inner.connection.live().await;
            }
            Stuck::Bus(error) => {
                tracing::debug!(%error, "deliveries wait in the outbox");
                self.clock.sleep(RETRY_DELAY).await;
            }
            Stuck::Store(error) => {
                if self.bus.inner.warnings.first("outbox store") {
                    tracing::warn!(%error, "the outbox cannot be read or written; trying on");
                }
                self.clock.sleep(RETRY_DELAY).await;
            }
        }
    }

    async fn send_handed(&self, pump: &mut Pump) -> Result<(), Stuck> {
        let mut looked = false;
        loop {
            let (mut batch, overflowed) = self.take_handed();
            if overflowed {
                pump.missing.clear();
                return self.sweep(Duration::ZERO).await;
            }
            if batch.is_empty() && (looked || pump.missing.is_empty()) {
                return Ok(());
            }
            looked = true;
            batch.retain(|entry| !pump.is_sent_ahead(entry));
            batch.append(&mut pump.missing);
            // What was missing may be there now, and stands before what was made after it.
            batch.sort_by_key(|entry| entry.moment);
            let Looked { kept, ahead, absent, has_more } = self.look_up(batch).await?;
            pump.missing = self.still_expected(absent);
            if has_more {
                return self.sweep(Duration::ZERO).await;
            }
            self.send(&kept).await?;
            pump.remember(ahead);
        }
    }

    /// An entry is missing because its transaction was not kept, or because a sweep has sent it; or because its handoff
    /// was dropped inside the closure, a moment before the end of the transaction. So it is looked for a while.
    fn still_expected(&self, absent: Vec<Entry>) -> Vec<Entry> {
        let (expected, gone): (Vec<Entry>, Vec<Entry>) =
            absent.into_iter().partition(|entry| entry.since.elapsed() < LOOK_FOR);
        self.settled(gone.len());
        expected
    }

    fn take_handed(&self) -> (Vec<Entry>, bool) {
        let mut handed = self.handed.lock();
        if std::mem::take(&mut handed.overflowed) {
            // All of it is in the store.
            handed.queue.clear();
            handed.bytes = 0;
            return (Vec::new(), true);
        }
        let count = handed.queue.len().min(BATCH);
        let batch: Vec<Entry> = handed.queue.drain(..count).collect();
        handed.bytes -= batch.iter().map(|entry| entry.parcel.payload.len()).sum::<usize>();
        (batch, false)
    }

    /// Parts entries whose transaction was kept from those that are not in the store.
    async fn look_up(&self, batch: Vec<Entry>) -> Result<Looked, Stuck> {
        let read = self.store.read(|snapshot| {
            let is_present = |entry: &Entry| {
                let key = (entry.moment, entry.parcel.id.as_str());
                snapshot.contains(&OUTBOX, &scope(&entry.parcel.lane), &key)
            };
            let present = batch.iter().map(is_present).collect::<Result<Vec<bool>, StoreError>>()?;
            let (ahead, has_more) = ahead_of(snapshot, &batch, &present)?;
            Ok::<_, StoreError>((present, ahead, has_more))
        });
        let (present, ahead, has_more) = read.await?;
        let mut present = present.into_iter();
        let (mut kept, absent): (Vec<Entry>, Vec<Entry>) =
            batch.into_iter().partition(|_| present.next().unwrap_or(false));
        let sent_ahead = ahead.iter().map(|entry| (entry.moment, entry.parcel.id.clone())).collect();
        if !ahead.is_empty() {
            kept.extend(ahead);
            kept.sort_by_key(|entry| entry.moment);
        }
        Ok(Looked { kept, ahead: sent_ahead, absent, has_more })
    }

    /// Sends entries and removes those that the queue has, or that it never will.
    async fn send(&self, entries: &[Entry]) -> Result<(), Stuck> {
        let parcels: Vec<&Parcel> = entries.iter().map(|entry| &entry.parcel).collect();
        let results = self.bus.deliver_parcels(&parcels).await;
        let mut first_failure = None;
        let mut through = Vec::with_capacity(entries.len());
        for (entry, result) in entries.iter().zip(results) {
            match result {
                Ok(()) => through.push(entry),
                Err(error) if error.is_temporary() => {
                    first_failure.get_or_insert(error);
                }
                Err(error) => {
                    tracing::error!(delivery = %entry.parcel.id, service = %entry.parcel.service, %error,
                        "dropped a delivery that can never be sent");
                    through.push(entry);
                }
            }
        }
        self.remove(&through).await?;
        first_failure.map_or(Ok(()), |error| Err(Stuck::Bus(error)))
    }

    async fn remove(&self, entries: &[&Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let removal = self.store.write(|tx| {
            entries.iter().try_for_each(|entry| delete(tx, &scope(&entry.parcel.lane), entry.moment, &entry.parcel))
        });
        removal.await.inspect(|()| self.settled(entries.len()))
    }

    /// Sends all that waits in the store and is at least `age` old, the oldest first.
    async fn sweep(&self, age: Duration) -> Result<(), Stuck> {
        // Without a connection there is no use in reading.
        self.bus.live().map_err(Stuck::Bus)?;
        let now = u64::try_from(self.clock.now().micros()).unwrap_or(0);
        let until = if age.is_zero() { u64::MAX } else { now.saturating_sub(age.as_micros() as u64) };
        for lane in self.store.lanes().await? {
            self.sweep_lane(&lane, until).await?;
        }
        Ok(())
    }

    async fn sweep_lane(&self, lane: &Lane, until: u64) -> Result<(), Stuck> {
        let scope = scope(lane);
        let mut after: Option<(u64, String)> = None;
        loop {
            let range = match &after {
                None => Range::all().to(&(until,)),
                Some((moment, id)) => Range::all().after(&(*moment, id.as_str())).to(&(until,)),
            };
            let read: Vec<((u64, String), Parcel)> = self
                .store
                .read(|snapshot| {
                    snapshot
                        .range(&OUTBOX, &scope, range, Order::Ascending)?
                        .take(BATCH)
                        .collect::<Result<_, StoreError>>()
                })
                .await?;
            let count = read.len();
            after = read.last().map(|(key, _)| key.clone());
            // A fork's copies: the lane they came from sends them.
            let (ours, copies): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, parcel)| parcel.lane == *lane);
            if !copies.is_empty() {
                let delete_copies = self.store.write(|tx| {
                    copies.iter().try_for_each(|((moment, _), parcel)| delete(tx, &scope, *moment, parcel))
                });
                delete_copies.await.map_err(Stuck::Store)?;
            }
            let entry = |((moment, _), parcel)| Entry { moment, parcel, since: Stopwatch::start() };
            self.send(&ours.into_iter().map(entry).collect::<Vec<_>>()).await?;
            if count < BATCH {
                return Ok(());
            }
        }
    }

    /// Entries of an earlier process count towards the bound.
    async fn count_what_is_left(&self) -> Result<(), StoreError> {
        let mut total = 0;
        for lane in self.store.lanes().await? {
            let scope = scope(&lane);
            let count = self
                .store
                .read(|snapshot| {
                    let keys = snapshot.keys(&OUTBOX, &scope, Range::all(), Order::Ascending)?;
                    Ok::<_, StoreError>(keys.take(MOST_WAITING).count())
                })
                .await?;
            total += count;
        }
        self.waiting.fetch_add(total, Ordering::Relaxed);
        Ok(())
    }
}
