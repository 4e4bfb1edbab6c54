//! The tree over many vectors: nothing is lost, what is near is found, what is empty goes.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use std::collections::BTreeMap;

use fractus_aws::{Region, World};
use fractus_clock::Clocks;
use fractus_store::Store;

use super::super::{Query, search};
use super::*;
use crate::error::Error;
use crate::store::Table;
use crate::table::VectorIndex;

const DIMENSIONS: usize = 12;

/// Numbers that look like chance and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }

    /// A vector near one of forty centres.
    fn vector(&mut self) -> Vec<f32> {
        let centre = (self.next() + 0.5) * 40.0;
        let mut around = Numbers(centre as u64 + 7);
        (0..DIMENSIONS).map(|_| around.next() * 4.0 + self.next() * 0.3).collect()
    }
}

fn entry(vector: &[f32]) -> Entry {
    let mut bytes = Vec::new();
    vector::encode(vector, &mut bytes);
    Entry { vector: bytes.into(), searched: Bytes::from_static(&[]) }
}

fn scope() -> Scope {
    Scope::regional(&World::default_world(), &Region::us_east_1())
}

fn tree(distance: Distance) -> Tree {
    Tree { table: 1, index: 2, distance }
}

async fn filled(distance: Distance, count: u64) -> (Store, BTreeMap<Vec<u8>, Vec<f32>>) {
    let (store, mut numbers, mut all) = (Store::memory(Clocks::default()), Numbers(1), BTreeMap::new());
    for n in 0..count {
        all.insert(n.to_be_bytes().to_vec(), numbers.vector());
    }
    let entries: Vec<_> = all.iter().collect();
    for some in entries.chunks(500) {
        let insert = |tx: &mut Transaction<'_>| {
            for (key, vector) in some {
                tree(distance).insert(tx, &scope(), 0, key, (vector, &entry(vector)))?;
            }
            Ok::<_, Error>(())
        };
        store.write(insert).await.unwrap();
    }
    (store, all)
}

fn found(snapshot: &Snapshot<'_>, distance: &str, vector: &[f32], limit: usize) -> Vec<Vec<u8>> {
    let table = Table { id: 1, ..Table::default() };
    let index =
        VectorIndex { number: 2, dimensions: DIMENSIONS, distance: distance.to_owned(), ..VectorIndex::default() };
    let query = Query { vector, partition: 0, condition: None, limit };
    let found = search(snapshot, &scope(), (&table, &index), &query).unwrap();
    found.nearest.into_iter().map(|(key, ..)| key).collect()
}

fn nearest_of(all: &BTreeMap<Vec<u8>, Vec<f32>>, distance: Distance, vector: &[f32], limit: usize) -> Vec<Vec<u8>> {
    let mut ranked: Vec<_> =
        all.iter().map(|(key, own)| (distance.rank(distance.score(vector, own)), key.clone())).collect();
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
    ranked.into_iter().take(limit).map(|(_, key)| key).collect()
}

#[tokio::test]
async fn a_small_partition_is_searched_exactly_by_every_function() {
    for name in ["COSINE", "EUCLIDEAN", "DOT_PRODUCT"] {
        let distance = Distance::named(name).unwrap();
        let (store, all) = filled(distance, 2_000).await;
        let mut numbers = Numbers(99);
        let queries: Vec<_> = (0..20).map(|_| numbers.vector()).collect();
        let check = |snapshot: &Snapshot<'_>| {
            for query in &queries {
                assert_eq!(found(snapshot, name, query, 10), nearest_of(&all, distance, query, 10), "{name}");
            }
            Ok::<_, Error>(())
        };
        store.read(check).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_large_partition_only_a_part_is_looked_at_and_nearly_all_is_found() {
    let (store, all) = filled(Distance::Euclidean, 20_000).await;
    let mut numbers = Numbers(7);
    let queries: Vec<_> = (0..30).map(|_| numbers.vector()).collect();
    let check = |snapshot: &Snapshot<'_>| {
        let mut hits = 0;
        for query in &queries {
            let exact = nearest_of(&all, Distance::Euclidean, query, 10);
            hits += found(snapshot, "EUCLIDEAN", query, 10).iter().filter(|key| exact.contains(key)).count();
        }
        assert!(hits >= 297, "{hits} of 300");
        let index = VectorIndex {
            number: 2,
            dimensions: DIMENSIONS,
            distance: "EUCLIDEAN".to_owned(),
            ..VectorIndex::default()
        };
        let query = Query { vector: &queries[0], partition: 0, condition: None, limit: 10 };
        let table = Table { id: 1, ..Table::default() };
        let looked_at = search(snapshot, &scope(), (&table, &index), &query).unwrap().looked_at_bytes;
        assert!(looked_at < 5_000 * vector::bytes_of(DIMENSIONS) as u64, "{looked_at}");
        Ok::<_, Error>(())
    };
    store.read(check).await.unwrap();
}

#[tokio::test]
async fn what_is_removed_is_gone_and_an_empty_tree_leaves_nothing() {
    let (store, mut all) = filled(Distance::Cosine, 3_000).await;
    let keys: Vec<Vec<u8>> = all.keys().cloned().collect();
    let (first, rest) = keys.split_at(2_000);
    let remove = |tx: &mut Transaction<'_>, keys: &[Vec<u8>]| {
        keys.iter().try_for_each(|key| tree(Distance::Cosine).remove(tx, &scope(), key))
    };
    store.write(|tx| remove(tx, first)).await.unwrap();
    first.iter().for_each(|key| {
        all.remove(key);
    });
    let query = Numbers(3).vector();
    let expected = nearest_of(&all, Distance::Cosine, &query, 50);
    let got = store.read(|snapshot| Ok::<_, Error>(found(snapshot, "COSINE", &query, 50))).await.unwrap();
    assert_eq!(got, expected);
    store.write(|tx| remove(tx, rest)).await.unwrap();
    let left = store.collections(1).await.unwrap();
    assert!(left.iter().all(|info| !info.collection.starts_with("vector-") || info.records == 0), "{left:?}");
}

#[tokio::test]
async fn vectors_that_are_all_alike_are_kept_too() {
    let store = Store::memory(Clocks::default());
    let alike = vec![1.0_f32; DIMENSIONS];
    let insert = |tx: &mut Transaction<'_>| {
        (0..1_000_u64).try_for_each(|n| {
            tree(Distance::Cosine).insert(tx, &scope(), 0, &n.to_be_bytes(), (&alike, &entry(&alike)))
        })
    };
    store.write(insert).await.unwrap();
    let found = store.read(|snapshot| Ok::<_, Error>(found(snapshot, "COSINE", &alike, 100))).await.unwrap();
    assert_eq!(found.len(), 100);
    assert_eq!(found[99], 99_u64.to_be_bytes());
}
