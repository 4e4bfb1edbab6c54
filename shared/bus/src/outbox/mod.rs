//! Sending deliveries in the same transaction as the change that causes them.
//!
//! ```ignore
//! let handoff = store.write(|tx| {
//!     tx.put(&OBJECTS, &scope, &key, &object)?;
//!     outbox.put(tx, &delivery)
//! }).await?;
//! drop(handoff); // the change is kept: the delivery goes out at once
//! ```
//!
//! The delivery is a record of the service's own store until the queue has confirmed it: so it is sent if and only if
//! the change is kept, over any crash. It is sent at least once; the queue drops what it gets twice within two minutes.
//!
//! A pump sends what is handed over as soon as its [`Handoff`] is dropped, and what an earlier process left as soon as
//! it starts. While NATS is away, or its queue is full, deliveries wait here, and go out in their order when it is back.
//!
//! Deliveries of one ordering key go out in the order in which their transactions were kept, whoever drops its handoff first
//! and whichever replica sends: none goes before what the store holds of its key from earlier on.
//!
//! At [`MOST_WAITING`] new ones are dropped, with one warning: a service must not fill its store because nobody takes its
//! messages. Without a bus (no URL) nothing is kept at all.
//!
//! Records belong to their lane: a reset of the lane forgets them, and a fork's copies of them are not sent.

mod pump;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fractus_aws::{Lane, Partition};
use fractus_clock::{Clock, Stopwatch};
use fractus_store::{Collection, Order, Range, Scope, Store, StoreError, Transaction};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use crate::contracts::Delivery;
use crate::parcel::Parcel;
use crate::{Bus, BusError, BusState};

/// The deliveries that wait, by the moment of their making (microseconds) and their id.
const OUTBOX: Collection<(u64, String), Parcel> = Collection::new("outbox");

/// Those of them that have an ordering key: by that key, their moment and their id.
const ORDERED: Collection<(String, u64, String), ()> = Collection::new("outbox-ordered");

/// Deliveries that may wait in one service's outbox.
pub const MOST_WAITING: usize = 100_000;

/// What is handed to the pump in memory; the rest it reads from the store.
const MOST_HANDED: usize = 10_000;
const MOST_HANDED_BYTES: usize = 64 << 20;

/// A service's outbox; clones share it. When the last is dropped the pump stops, and what waits stays in the store.
#[derive(Clone)]
#[must_use = "dropping it stops the pump"]
pub struct Outbox {
    shared: Arc<Shared>,
    _stop: Arc<DropGuard>,
}

struct Shared {
    bus: Bus,
    store: Store,
    /// The key of the last entry: keys of one process always grow.
    last_moment: AtomicU64,
    /// About how many entries wait in the store.
    waiting: AtomicUsize,
    dropped: AtomicU64,
    handed: Mutex<Handed>,
    wake: Notify,
    clock: Clock,
}

#[derive(Default)]
struct Handed {
    queue: VecDeque<Entry>,
    bytes: usize,
    /// More was handed over than the queue holds: the pump has to look into the store.
    overflowed: bool,
}

struct Entry {
    moment: u64,
    parcel: Parcel,
    /// Since its handing over.
    since: Stopwatch,
}

/// Proof that a delivery is in the transaction. Give it out of the transaction's closure and drop it after the
/// transaction is kept: that is when the delivery goes out. Where the transaction is not kept, dropping it does nothing.
/// Dropped inside the closure it does no harm, but the pump has to look for the record more than once.
#[must_use = "return it from the transaction's closure and drop it after: that is when the delivery goes out"]
pub struct Handoff {
    shared: Arc<Shared>,
    entry: Option<Entry>,
}

impl Drop for Handoff {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        entry.since = Stopwatch::start();
        let mut handed = self.shared.handed.lock();
        let bytes = entry.parcel.payload.len();
        if handed.queue.len() < MOST_HANDED && handed.bytes + bytes <= MOST_HANDED_BYTES {
            handed.bytes += bytes;
            handed.queue.push_back(entry);
        } else {
            handed.overflowed = true;
        }
        drop(handed);
        self.shared.wake.notify_one();
    }
}

impl Outbox {
    /// Opens the outbox that lies in `store`, and starts to send what waits in it.
    pub fn start(bus: &Bus, store: &Store) -> Self {
        let stop = bus.inner.drain.child_token();
        let shared = Arc::new(Shared {
            bus: bus.clone(),
            store: store.clone(),
            last_moment: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            handed: Mutex::default(),
            wake: Notify::new(),
            clock: Clock::real(),
        });
        if *bus.state().borrow() != BusState::Off {
            bus.inner.tasks.spawn(pump::run(Arc::clone(&shared), stop.clone()).boxed());
        }
        Outbox { shared, _stop: Arc::new(stop.drop_guard()) }
    }

    /// Puts a delivery into the transaction. It fails only where the store does; a delivery that cannot go anywhere
    /// (no bus, a full outbox, a target service that is no name) is dropped with one warning, as the change itself must
    /// not fail for it.
    pub fn put(&self, tx: &mut Transaction<'_>, delivery: &Delivery) -> Result<Handoff, StoreError> {
        let nothing = Handoff { shared: Arc::clone(&self.shared), entry: None };
        if !self.takes(&delivery.service) {
            return Ok(nothing);
        }
        let parcel = match Parcel::of(delivery) {
            Ok(parcel) => parcel,
            Err(error) => {
                tracing::error!(target_arn = %delivery.target, %error, "a delivery that can never be sent");
                return Ok(nothing);
            }
        };
        let scope = scope(&delivery.lane);
        let moment = match parcel.ordering_key.as_deref() {
            Some(key) => {
                // Later than all of its key. Having looked there, it cannot be kept beside another that has not seen it.
                let latest =
                    tx.keys(&ORDERED, &scope, Range::prefix(&(key,)), Order::Descending)?.next().transpose()?;
                let moment = self.shared.next_moment(latest.map_or(0, |(_, moment, _)| moment));
                tx.put(&ORDERED, &scope, &(key, moment, delivery.id.as_str()), &())?;
                moment
            }
            None => self.shared.next_moment(0),
        };
        tx.put(&OUTBOX, &scope, &(moment, delivery.id.as_str()), &parcel)?;
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(Handoff {
            shared: Arc::clone(&self.shared),
            entry: Some(Entry { moment, parcel, since: Stopwatch::start() }),
        })
    }

    /// About how many deliveries wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// How many deliveries were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn takes(&self, service: &str) -> bool {
        let bus = &self.shared.bus;
        let state = *bus.state().borrow();
        match state {
            BusState::Off => {
                bus.warn_of_waiting(service, &BusError::Off);
                return false;
            }
            BusState::Away => bus.warn_of_waiting(service, &BusError::Away),
            BusState::Connected => {}
        }
        if self.waiting() < MOST_WAITING {
            return true;
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        if bus.inner.warnings.first("outbox full") {
            tracing::warn!("{MOST_WAITING} deliveries wait for the message bus: new ones are dropped until it is back");
        }
        false
    }
}

impl Shared {
    /// A moment later than every one before it in this process, and than another one.
    fn next_moment(&self, than: u64) -> u64 {
        let now = u64::try_from(self.clock.now().micros()).unwrap_or(0).max(than + 1);
        let previous =
            self.last_moment.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(previous.unwrap_or(0) + 1)
    }

    fn settled(&self, count: usize) {
        let less = |waiting: usize| Some(waiting.saturating_sub(count));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// Takes an entry out.
fn delete(tx: &mut Transaction<'_>, scope: &Scope, moment: u64, parcel: &Parcel) -> Result<(), StoreError> {
    let id = parcel.id.as_str();
    if let Some(key) = parcel.ordering_key.as_deref() {
        tx.delete(&ORDERED, scope, &(key, moment, id))?;
    }
    tx.delete(&OUTBOX, scope, &(moment, id))
}

/// Where a lane's entries lie.
fn scope(lane: &Lane) -> Scope {
    Scope::new(lane, Partition::Aws, None, None)
}
