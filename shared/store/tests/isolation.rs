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
use fractus_store::{Collection, Order, Range, StoreError};
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

on_every_engine!(
    a_snapshot_does_not_move,
    a_failed_closure_leaves_no_trace,
    no_update_is_lost,
    increments_add_up,
    no_write_skew,
    no_phantom,
);
