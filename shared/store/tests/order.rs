//! Scans, checked against a plain sorted map: every kind of bound, both directions, on every engine.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;

use common::{Setting, scope};
use fractus_clock::Timestamp;
use fractus_store::{Collection, Order, Range, StoreError};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

type Keys = (String, i64, Vec<u8>);

const MIXED: Collection<Keys, u32> = Collection::new("mixed");

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["\u{0}", "\u{1}", "\u{2}", "a", "b", "é", "\u{10ffff}"], 0..4)
        .prop_map(|parts| parts.concat())
}

fn key() -> impl Strategy<Value = Keys> {
    let number = prop_oneof![-2i64..3, Just(i64::MIN), Just(i64::MAX)];
    let bytes = proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(0xfe), Just(0xff)], 0..3);
    (text(), number, bytes)
}

#[derive(Clone, Debug)]
enum Bounds {
    All,
    Prefix(String),
    StartsWith(String),
    Between(Keys, Keys),
    AfterThrough(Keys, Keys),
    AfterPrefix(String),
    FromPair(String, i64),
    BytesStart(String, i64, Vec<u8>),
}

fn bounds() -> impl Strategy<Value = Bounds> {
    prop_oneof![
        Just(Bounds::All),
        text().prop_map(Bounds::Prefix),
        text().prop_map(Bounds::StartsWith),
        (key(), key()).prop_map(|(one, two)| Bounds::Between(one, two)),
        (key(), key()).prop_map(|(one, two)| Bounds::AfterThrough(one, two)),
        text().prop_map(Bounds::AfterPrefix),
        (text(), -2i64..3).prop_map(|(one, two)| Bounds::FromPair(one, two)),
        key().prop_map(|(one, two, three)| Bounds::BytesStart(one, two, three)),
    ]
}

impl Bounds {
    fn range(&self) -> Range<Keys> {
        match self {
            Bounds::All => Range::all(),
            Bounds::Prefix(text) => Range::prefix(&(text,)),
            Bounds::StartsWith(text) => Range::starts_with(&(text,)),
            Bounds::Between(from, to) => Range::all().from(from).to(to),
            Bounds::AfterThrough(after, through) => Range::all().after(after).through(through),
            Bounds::AfterPrefix(text) => Range::all().after(&(text,)),
            Bounds::FromPair(text, number) => Range::all().from(&(text, *number)),
            Bounds::BytesStart(text, number, bytes) => Range::starts_with(&(text, *number, bytes)),
        }
    }

    fn holds(&self, key: &Keys) -> bool {
        match self {
            Bounds::All => true,
            Bounds::Prefix(text) => key.0 == *text,
            Bounds::StartsWith(text) => key.0.starts_with(text.as_str()),
            Bounds::Between(from, to) => from <= key && key < to,
            Bounds::AfterThrough(after, through) => after < key && key <= through,
            Bounds::AfterPrefix(text) => key.0 > *text,
            Bounds::FromPair(text, number) => (&key.0, key.1) >= (text, *number),
            Bounds::BytesStart(text, number, bytes) => key.0 == *text && key.1 == *number && key.2.starts_with(bytes),
        }
    }
}

async fn scans_agree_with_a_sorted_map(setting: Setting) {
    let mut runner = TestRunner::deterministic();
    let mut draw = |count| {
        let keys = proptest::collection::vec(key(), count).new_tree(&mut runner).unwrap().current();
        let bounds = proptest::collection::vec(bounds(), 60).new_tree(&mut runner).unwrap().current();
        (keys, bounds)
    };
    for round in 0..4 {
        let (keys, many_bounds) = draw(120);
        let (scope, other) = (scope(), common::in_lane("other"));
        let mut model: BTreeMap<Keys, u32> = BTreeMap::new();
        setting.store.reset(&fractus_store::ResetScope::All).await.unwrap();
        setting
            .store
            .write(|tx| {
                model.clear();
                for (n, key) in keys.iter().enumerate() {
                    let n = n as u32;
                    tx.put(&MIXED, &other, key, &n)?;
                    if n % 5 == 4 {
                        tx.delete(&MIXED, &scope, &keys[n as usize / 2])?;
                        model.remove(&keys[n as usize / 2]);
                    } else {
                        tx.put(&MIXED, &scope, key, &n)?;
                        model.insert(key.clone(), n);
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        for bounds in many_bounds {
            let mut expected: Vec<(Keys, u32)> =
                model.iter().filter(|(key, _)| bounds.holds(key)).map(|(key, n)| (key.clone(), *n)).collect();
            for order in [Order::Ascending, Order::Descending] {
                let found = setting
                    .store
                    .read(|snap| {
                        snap.range(&MIXED, &scope, bounds.range(), order)?.collect::<Result<Vec<_>, StoreError>>()
                    })
                    .await
                    .unwrap();
                assert_eq!(found, expected, "round {round}, {bounds:?}, {order:?}");
                expected.reverse();
            }
        }
    }
}

/// More records than any engine reads at once.
async fn long_scans_turn_their_pages(setting: Setting) {
    const NUMBERS: Collection<(u64, bool), Timestamp> = Collection::new("numbers");
    let scope = scope();
    setting
        .store
        .write(|tx| {
            for n in 0..3_000 {
                tx.put(&NUMBERS, &scope, &(n, n % 2 == 0), &Timestamp::from_secs(n as i64))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    for (order, first) in [(Order::Ascending, 100), (Order::Descending, 2_899)] {
        let found = setting
            .store
            .read(|snap| {
                let range = Range::all().from(&(100,)).to(&(2_900,));
                snap.range(&NUMBERS, &scope, range, order)?.collect::<Result<Vec<_>, StoreError>>()
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 2_800);
        assert_eq!(found[0].0.0, first);
        assert!(found.iter().all(|((n, even), time)| n % 2 == u64::from(!even) && time.secs() == *n as i64));
        assert!(found.windows(2).all(|pair| pair[0].0.0.abs_diff(pair[1].0.0) == 1));
    }
}

on_every_engine!(scans_agree_with_a_sorted_map, long_scans_turn_their_pages);
