//! Time-to-live, lanes, resets and inspection, the same on every engine.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::time::Duration;

use common::{Setting, in_lane, lane, scope, scope_of, world};
use fractus_aws::{AccountId, Lane, Region};
use fractus_clock::Timestamp;
use fractus_store::{Collection, Order, Range, ResetScope, Scope, Store, StoreError};

const VALUES: Collection<(String, u64), String> = Collection::new("values");
const OTHERS: Collection<(String,), String> = Collection::new("others");

async fn put(store: &Store, scope: &Scope, name: &str, text: &str) {
    store.write(|tx| tx.put(&VALUES, scope, &(name, 1), &text.to_owned())).await.unwrap();
}

async fn get(store: &Store, scope: &Scope, name: &str) -> Option<String> {
    store
        .read(|snap| {
            let value = snap.get(&VALUES, scope, &(name, 1))?;
            // Kept decoded or not, it is the same record at every moment.
            assert_eq!(snap.get_shared(&VALUES, scope, &(name, 1))?.as_deref(), value.as_ref());
            Ok::<_, StoreError>(value)
        })
        .await
        .unwrap()
}

async fn records_end_by_the_clock(setting: Setting) {
    let (store, scope) = (&setting.store, scope());
    let now = setting.clock.now();
    let at = |secs: u64| now.plus(Duration::from_secs(secs));
    store
        .write(|tx| {
            for n in 1..=5 {
                tx.put_until(&VALUES, &scope, &("k", n), &format!("{n}"), at(n * 10))?;
            }
            tx.put(&VALUES, &scope, &("k", 9), &"stays".to_owned())?;
            // A record that is written again lives by what was said last.
            tx.put_until(&OTHERS, &scope, &("kept",), &String::new(), at(1))?;
            tx.put(&OTHERS, &scope, &("kept",), &String::new())?;
            tx.put_until(&OTHERS, &scope, &("deleted",), &String::new(), at(2))?;
            tx.delete(&OTHERS, &scope, &("deleted",))?;
            tx.put_until(&OTHERS, &scope, &("moved",), &String::new(), at(3))?;
            tx.put_until(&OTHERS, &scope, &("moved",), &String::new(), at(300))
        })
        .await
        .unwrap();
    let present = async || {
        let keys = store
            .read(|snap| {
                snap.keys(&VALUES, &scope, Range::all(), Order::Descending)?.collect::<Result<Vec<_>, StoreError>>()
            })
            .await
            .unwrap();
        keys.into_iter().map(|(_, n)| n).collect::<Vec<_>>()
    };
    assert_eq!(store.next_expiry(&lane("main")).await.unwrap(), Some(at(10)));
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    setting.clock.advance(Duration::from_secs(30));
    assert_eq!(present().await, [9, 5, 4], "a record is absent from its very moment on");
    assert_eq!(store.next_expiry(&lane("main")).await.unwrap(), Some(at(10)), "due, and not swept yet");
    assert_eq!(store.sweep(2).await.unwrap(), 2);
    assert_eq!(store.sweep(100).await.unwrap(), 1);
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert_eq!(present().await, [9, 5, 4]);
    assert_eq!(store.next_expiry(&lane("main")).await.unwrap(), Some(at(40)));
    setting.clock.set(Timestamp::from_secs(5_000_000));
    assert_eq!(store.sweep(100).await.unwrap(), 3);
    assert_eq!(present().await, [9]);
    assert_eq!(store.next_expiry(&lane("main")).await.unwrap(), None);
    assert_eq!(store.next_expiry(&lane("none")).await.unwrap(), None);
    assert!(store.read(|snap| snap.contains(&OTHERS, &scope, &("kept",))).await.unwrap());
}

async fn lanes_fork_and_roll_back(setting: Setting) {
    let store = &setting.store;
    let (main, test) = (lane("main"), lane("test"));
    let (in_main, in_test) = (scope(), in_lane("test"));
    put(store, &in_main, "a", "1").await;
    store
        .write(|tx| tx.put_until(&VALUES, &in_main, &("soon", 1), &"x".to_owned(), Timestamp::from_secs(1_000_010)))
        .await
        .unwrap();
    put(store, &in_test, "old", "goes").await;
    // The fork's own clock says when its records end.
    setting.clocks.insert("test", fractus_clock::Clock::frozen_at(Timestamp::from_secs(1_000_000)));
    store.fork(&main, &test).await.unwrap();
    assert_eq!(get(store, &in_test, "a").await.as_deref(), Some("1"));
    assert_eq!(get(store, &in_test, "old").await, None, "a fork replaces what was there");
    setting.clock.advance(Duration::from_secs(60));
    assert_eq!(get(store, &in_main, "soon").await, None);
    assert_eq!(get(store, &in_test, "soon").await.as_deref(), Some("x"));
    assert_eq!(store.next_expiry(&test).await.unwrap(), Some(Timestamp::from_secs(1_000_010)));
    put(store, &in_test, "a", "2").await;
    assert_eq!(get(store, &in_main, "a").await.as_deref(), Some("1"), "lanes do not see each other");

    store.snapshot(&test, "before").await.unwrap();
    put(store, &in_test, "a", "3").await;
    put(store, &in_test, "b", "3").await;
    assert_eq!(store.snapshots(&test).await.unwrap(), ["before"]);
    assert_eq!(store.lanes().await.unwrap(), [main.clone(), test.clone()]);
    store.reset(&ResetScope::Lane(test.clone())).await.unwrap();
    assert_eq!(get(store, &in_test, "a").await, None);
    for _ in 0..2 {
        store.rollback(&test, "before").await.unwrap();
        assert_eq!(get(store, &in_test, "a").await.as_deref(), Some("2"));
        assert_eq!(get(store, &in_test, "b").await, None);
        put(store, &in_test, "a", "4").await;
    }
    store.drop_snapshot(&test, "before").await.unwrap();
    let gone = store.rollback(&test, "before").await;
    assert!(matches!(gone, Err(StoreError::NoSnapshot { .. })), "{gone:?}");
    assert!(store.snapshot(&test, "no/name").await.is_err());

    // A snapshot of a lane that holds nothing is a snapshot, too.
    let empty = lane("empty");
    store.snapshot(&empty, "nothing").await.unwrap();
    put(store, &in_lane("empty"), "a", "1").await;
    store.rollback(&empty, "nothing").await.unwrap();
    assert_eq!(get(store, &in_lane("empty"), "a").await, None);
}

async fn resets_remove_what_they_say(setting: Setting) {
    let store = &setting.store;
    let places = [
        ("main", "000000000000", "us-east-1"),
        ("main", "000000000000", "eu-west-1"),
        ("main", "111111111111", "us-east-1"),
        ("main", "111111111111", "eu-west-1"),
        ("test", "000000000000", "us-east-1"),
    ];
    let account = |id: &str| AccountId::new(id).unwrap();
    let region = |code: &str| Region::new(code).unwrap();
    let main = || Lane::main();
    let cases: [(ResetScope, &[usize], bool); 6] = [
        (ResetScope::Account(main(), account("111111111111")), &[0, 1, 4], true),
        (ResetScope::World(world()), &[2, 3, 4], true),
        (ResetScope::Region(main(), region("eu-west-1")), &[0, 2, 4], true),
        (ResetScope::WorldRegion(world(), region("us-east-1")), &[1, 2, 3, 4], true),
        (ResetScope::Lane(main()), &[4], false),
        (ResetScope::All, &[], false),
    ];
    let shared = Scope::partition(&world());
    setting.clocks.insert("test", setting.clock.clone());
    for (reset, kept, keeps_shared) in cases {
        let expiry = setting.clock.now().plus(Duration::from_secs(10));
        for (lane, account, region) in places {
            let scope = scope_of(lane, account, region);
            put(store, &scope, "a", "1").await;
            store.write(|tx| tx.put_until(&OTHERS, &scope, &("a",), &"1".to_owned(), expiry)).await.unwrap();
        }
        put(store, &shared, "name", "1").await;
        store.reset(&reset).await.unwrap();
        let mut found = Vec::new();
        for (at, (lane, account, region)) in places.into_iter().enumerate() {
            let scope = scope_of(lane, account, region);
            let others = store.read(|snap| snap.contains(&OTHERS, &scope, &("a",))).await.unwrap();
            assert_eq!(get(store, &scope, "a").await.is_some(), others);
            found.extend(others.then_some(at));
        }
        assert_eq!(found, kept, "{reset:?}");
        assert_eq!(get(store, &shared, "name").await.is_some(), keeps_shared, "{reset:?}");
        setting.clock.advance(Duration::from_secs(20));
        assert_eq!(store.sweep(100).await.unwrap(), kept.len(), "what is gone is not due either");
    }
    assert!(store.lanes().await.unwrap().is_empty());
}

async fn a_store_can_be_looked_into(setting: Setting) {
    let (store, scope) = (&setting.store, scope());
    store
        .write(|tx| {
            for n in 0..30 {
                tx.put(&VALUES, &scope, &("k\u{0}", n), &format!("v{n}"))?;
            }
            tx.put_until(&OTHERS, &scope, &("o",), &"x".to_owned(), Timestamp::from_secs(2_000_000))
        })
        .await
        .unwrap();
    let collections = store.collections(10).await.unwrap();
    let shown: Vec<_> = collections.iter().map(|c| (c.collection.as_str(), c.records, c.more)).collect();
    assert_eq!(shown, [("others", 1, false), ("values", 10, true)]);
    assert_eq!(collections[0].account, "000000000000");
    let others = store.records(&collections[0], None, 10).await.unwrap();
    assert_eq!(others[0].expires_at, Some(2_000_000_000_000));
    let first = store.records(&collections[1], None, 20).await.unwrap();
    let second = store.records(&collections[1], Some(&first[19].cursor), 20).await.unwrap();
    assert_eq!((first.len(), second.len()), (20, 10));
    assert_eq!(first[3].key, serde_json::json!(["k\u{0}", 3]));
    assert_eq!(second[0].value, serde_json::json!("v20"));
}

on_every_engine!(
    records_end_by_the_clock,
    lanes_fork_and_roll_back,
    resets_remove_what_they_say,
    a_store_can_be_looked_into,
);

/// Handlers run on any thread: what they wait for must be able to move.
#[tokio::test]
async fn futures_can_move_between_threads() {
    fn movable<F: Future + Send>(future: F) -> F {
        future
    }
    let store = common::memory().await.unwrap().store;
    let scope = scope();
    movable(store.fork(&lane("a"), &lane("b"))).await.unwrap();
    movable(store.snapshot(&lane("a"), "s")).await.unwrap();
    movable(store.rollback(&lane("a"), "s")).await.unwrap();
    movable(store.reset(&ResetScope::All)).await.unwrap();
    movable(store.sweep(1)).await.unwrap();
    movable(store.collections(1)).await.unwrap();
    movable(store.sweep_blobs("", 1, Duration::ZERO)).await.unwrap();
    let mut stream = Vec::new();
    movable(store.export(&mut stream)).await.unwrap();
    movable(store.import(&mut &stream[..])).await.unwrap();
    movable(store.write(|tx| tx.put(&VALUES, &scope, &("a", 1), &String::new()))).await.unwrap();
}
