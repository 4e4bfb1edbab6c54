//! What a transaction may rely on, the same on every engine: snapshots, atomicity, serialisable writes.
//!
//! The concurrent histories are forced where the engine allows them: each transaction, on its first run, waits between
//! its reads and its writes until the others have read too. An engine that runs one transaction at a time never lets
//! them meet; then the wait runs out and the histories are serial by themselves.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Setting, scope};
use fractus_clock::Clocks;
use fractus_store::{Collection, Order, Range, Snapshot, Store, StoreConfig, StoreError, Transaction};
use parking_lot::{Condvar, Mutex};

const VALUES: Collection<(String,), i64> = Collection::new("values");

/// Where transactions meet after reading; gives up waiting after a while.
struct Meeting {
    expected: usize,
    present: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    fn of(expected: usize) -> Arc<Self> {
        Arc::new(Meeting { expected, present: Mutex::new(0), changed: Condvar::new() })
    }

    fn wait(&self) {
        let mut present = self.present.lock();
        *present += 1;
        self.changed.notify_all();
        self.changed.wait_while_for(&mut present, |present| *present < self.expected, Duration::from_millis(150));
    }
}

async fn value(setting: &Setting, key: &'static str) -> Option<i64> {
    let scope = scope();
    setting.store.read(|snap| snap.get(&VALUES, &scope, &(key,))).await.unwrap()
}

async fn put(setting: &Setting, key: &'static str, value: i64) {
    let scope = scope();
    setting.store.write(|tx| tx.put(&VALUES, &scope, &(key,), &value)).await.unwrap();
}

async fn a_snapshot_does_not_move(setting: Setting) {
    put(&setting, "a", 1).await;
    put(&setting, "b", 1).await;
    let (go, begin) = tokio::sync::oneshot::channel::<()>();
    let (done, written) = std::sync::mpsc::channel::<()>();
    let writer = tokio::spawn({
        let store = setting.store.clone();
        async move {
            begin.await.unwrap();
            store
                .write(|tx| {
                    tx.put(&VALUES, &scope(), &("a",), &2)?;
                    tx.delete(&VALUES, &scope(), &("b",))?;
                    tx.put(&VALUES, &scope(), &("c",), &2)
                })
                .await
                .unwrap();
            done.send(()).unwrap();
        }
    });
    let (scope, mut go) = (scope(), Some(go));
    let seen = setting
        .store
        .read(|snap| {
            assert_eq!(snap.get(&VALUES, &scope, &("a",))?, Some(1));
            go.take().unwrap().send(()).unwrap();
            tokio::task::block_in_place(|| written.recv_timeout(Duration::from_secs(20)).unwrap());
            snap.range(&VALUES, &scope, Range::all(), Order::Ascending)?.collect::<Result<Vec<_>, StoreError>>()
        })
        .await
        .unwrap();
    assert_eq!(seen, [(("a".to_owned(),), 1), (("b".to_owned(),), 1)]);
    writer.await.unwrap();
    assert_eq!((value(&setting, "a").await, value(&setting, "b").await), (Some(2), None));
}

async fn a_failed_closure_leaves_no_trace(setting: Setting) {
    #[derive(Debug, thiserror::Error)]
    enum Refused {
        #[error(transparent)]
        Store(#[from] StoreError),
        #[error("no")]
        No,
    }
    put(&setting, "kept", 1).await;
    put(&setting, "gone", 1).await;
    let scope = scope();
    let refused: Result<(), Refused> = setting
        .store
        .write(|tx| {
            tx.put(&VALUES, &scope, &("kept",), &2)?;
            tx.put(&VALUES, &scope, &("kept",), &3)?;
            tx.delete(&VALUES, &scope, &("gone",))?;
            tx.put_until(&VALUES, &scope, &("new",), &1, fractus_clock::Timestamp::from_secs(2_000_000))?;
            assert_eq!(tx.get(&VALUES, &scope, &("kept",))?, Some(3), "own writes are seen");
            assert_eq!(tx.keys(&VALUES, &scope, Range::all(), Order::Ascending)?.count(), 2);
            Err(Refused::No)
        })
        .await;
    assert!(matches!(refused, Err(Refused::No)));
    let store = setting.store.clone();
    let panicked = tokio::spawn(async move {
        let scope = common::scope();
        store
            .write(|tx| -> Result<(), StoreError> {
                tx.put(&VALUES, &scope, &("kept",), &4)?;
                panic!("on purpose")
            })
            .await
    });
    assert!(panicked.await.is_err());
    assert_eq!(value(&setting, "kept").await, Some(1));
    assert_eq!(value(&setting, "gone").await, Some(1));
    assert_eq!(value(&setting, "new").await, None);
    assert_eq!(setting.store.next_expiry(&common::lane("main")).await.unwrap(), None);
    put(&setting, "kept", 5).await;
    assert_eq!(value(&setting, "kept").await, Some(5), "the store still takes writes");
}

/// Two read the same value, then both write it plus one: one update would be lost.
async fn no_update_is_lost(setting: Setting) {
    put(&setting, "n", 0).await;
    for round in 1..=5 {
        let meeting = Meeting::of(2);
        let add = |_| {
            let (store, meeting) = (setting.store.clone(), meeting.clone());
            tokio::spawn(async move {
                store
                    .write(|tx| {
                        let n = tx.get(&VALUES, &scope(), &("n",))?.unwrap_or(0);
                        meeting.wait();
                        tx.put(&VALUES, &scope(), &("n",), &(n + 1))
                    })
                    .await
                    .unwrap();
            })
        };
        for task in [0, 1].map(add) {
            task.await.unwrap();
        }
        assert_eq!(value(&setting, "n").await, Some(round * 2));
    }
}

/// Many tasks, many increments, no choreography.
async fn increments_add_up(setting: Setting) {
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let store = setting.store.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    store
                        .write(|tx| {
                            let n = tx.get(&VALUES, &scope(), &("n",))?.unwrap_or(0);
                            tx.put(&VALUES, &scope(), &("n",), &(n + 1))
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(&setting, "n").await, Some(120));
}

/// Two doctors are on call and each may leave if another stays. Under snapshot isolation both leave, since neither
/// writes what the other writes.
async fn no_write_skew(setting: Setting) {
    for _ in 0..5 {
        put(&setting, "one", 1).await;
        put(&setting, "two", 1).await;
        let meeting = Meeting::of(2);
        let leave = |doctor: &'static str| {
            let (store, meeting) = (setting.store.clone(), meeting.clone());
            tokio::spawn(async move {
                store
                    .write(|tx| {
                        let on_call = tx.get(&VALUES, &scope(), &("one",))?.unwrap_or(0)
                            + tx.get(&VALUES, &scope(), &("two",))?.unwrap_or(0);
                        meeting.wait();
                        if on_call > 1 {
                            tx.put(&VALUES, &scope(), &(doctor,), &0)?;
                        }
                        Ok::<_, StoreError>(())
                    })
                    .await
                    .unwrap();
            })
        };
        for task in ["one", "two"].map(leave) {
            task.await.unwrap();
        }
        let left = value(&setting, "one").await.unwrap() + value(&setting, "two").await.unwrap();
        assert_eq!(left, 1, "exactly one is still on call");
    }
}

/// Each takes the only seat if the room is empty. Under snapshot isolation both find it empty, and sit down under keys
/// of their own.
async fn no_phantom(setting: Setting) {
    for room in ["red", "green", "blue"] {
        const SEATS: Collection<(String, String), i64> = Collection::new("seats");
        let meeting = Meeting::of(2);
        let sit = |guest: &'static str| {
            let (store, meeting) = (setting.store.clone(), meeting.clone());
            tokio::spawn(async move {
                store
                    .write(|tx| {
                        let taken = tx.keys(&SEATS, &scope(), Range::prefix(&(room,)), Order::Ascending)?.count();
                        meeting.wait();
                        if taken == 0 {
                            tx.put(&SEATS, &scope(), &(room, guest), &1)?;
                        }
                        Ok::<_, StoreError>(())
                    })
                    .await
                    .unwrap();
            })
        };
        for task in ["ann", "bob"].map(sit) {
            task.await.unwrap();
        }
        let scope = scope();
        let taken = setting
            .store
            .read(|snap| {
                Ok::<_, StoreError>(snap.keys(&SEATS, &scope, Range::prefix(&(room,)), Order::Ascending)?.count())
            })
            .await
            .unwrap();
        assert_eq!(taken, 1);
    }
}

/// A transaction reads what it wrote itself: by key, in scans that begin before and after, and what it took away.
async fn a_transaction_sees_its_own_changes(setting: Setting) {
    for key in ["b", "d"] {
        put(&setting, key, 1).await;
    }
    let (scope, all) = (scope(), || Range::<(String,)>::all());
    let keys = |tx: &Transaction<'_>, order| -> Result<Vec<String>, StoreError> {
        tx.keys(&VALUES, &scope, all(), order)?.map(|key| key.map(|(key,)| key)).collect()
    };
    setting
        .store
        .write(|tx| {
            assert_eq!(keys(tx, Order::Ascending)?, ["b", "d"]);
            tx.put(&VALUES, &scope, &("c",), &2)?;
            tx.delete(&VALUES, &scope, &("b",))?;
            assert_eq!(tx.get(&VALUES, &scope, &("c",))?, Some(2));
            assert_eq!(tx.get(&VALUES, &scope, &("b",))?, None);
            assert_eq!(keys(tx, Order::Descending)?, ["d", "c"]);
            // Changed again after it was looked at.
            tx.put(&VALUES, &scope, &("b",), &3)?;
            tx.delete(&VALUES, &scope, &("c",))?;
            assert_eq!(tx.first(&VALUES, &scope, all(), Order::Ascending)?, Some((("b".to_owned(),), 3)));
            assert_eq!(tx.get(&VALUES, &scope, &("c",))?, None);
            tx.put(&VALUES, &scope, &("b",), &4)
        })
        .await
        .unwrap();
    assert_eq!((value(&setting, "b").await, value(&setting, "c").await), (Some(4), None));
}

/// Two replicas whose every write meets in one record: none is given up, and all count, with a log of them in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_queue_for_what_both_write() {
    const LOG: Collection<(i64,), i64> = Collection::new("log");
    const EACH: i64 = 20;
    let Some(url) = fractus_store::testing::postgres_url() else { return };
    let service = format!("queue{}", std::process::id());
    let mut tasks = Vec::new();
    let mut stores = Vec::new();
    for replica in 0..2 {
        let config = StoreConfig { store: Some(url.to_owned()), ..StoreConfig::default() };
        let store = Store::open(config, &service, Clocks::default()).await.unwrap();
        stores.push(store.clone());
        for writer in 0..24 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                for _ in 0..EACH {
                    let add = |tx: &mut Transaction<'_>| {
                        let n = tx.get(&VALUES, &scope(), &("n",))?.unwrap_or(0);
                        tx.put(&LOG, &scope(), &(n,), &(writer * 2 + replica))?;
                        tx.put(&VALUES, &scope(), &("n",), &(n + 1))
                    };
                    store.write(add).await.unwrap();
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    for store in stores {
        let scope = scope();
        let logged = |snapshot: &Snapshot<'_>| -> Result<_, StoreError> {
            let log = snapshot.keys(&LOG, &scope, Range::all(), Order::Ascending)?;
            Ok((snapshot.get(&VALUES, &scope, &("n",))?, log.collect::<Result<Vec<_>, _>>()?))
        };
        let (n, log) = store.read(logged).await.unwrap();
        assert_eq!(n, Some(48 * EACH));
        assert!(log.into_iter().eq((0..48 * EACH).map(|place| (place,))));
    }
}

on_every_engine!(
    a_transaction_sees_its_own_changes,
    a_snapshot_does_not_move,
    a_failed_closure_leaves_no_trace,
    no_update_is_lost,
    increments_add_up,
    no_write_skew,
    no_phantom,
);
