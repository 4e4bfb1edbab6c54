//! Blobs in memory and in files: written, read in parts, shared between records and lanes, cleaned up.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{Lane, Region, World};
use fractus_clock::Clocks;
use fractus_store::{BlobRef, Blobs, Collection, Durability, Scope, Store, StoreError};

const OBJECTS: Collection<(String,), BlobRef> = Collection::new("objects");

fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length).map(|at| ((at * 31 + seed) % 251) as u8).collect::<Vec<_>>().into()
}

async fn write(blobs: &Blobs, chunks: &[Bytes]) -> BlobRef {
    let mut writer = blobs.writer();
    for chunk in chunks {
        writer.write(chunk.clone()).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(blobs: &Blobs, blob: &BlobRef, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut stream = blobs.read(blob, range);
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(stream.remaining(), 0);
    all
}

async fn round_trip(blobs: Blobs) {
    let chunks: Vec<Bytes> = (0..40).map(|n| pattern(100_000 + n, n)).collect();
    let whole = chunks.concat();
    let blob = write(&blobs, &chunks).await;
    assert_eq!(blob.length(), whole.len() as u64);
    assert!(blob.as_inline().is_none());
    assert!(read(&blobs, &blob, 0..u64::MAX).await == whole);
    for (from, to) in [(0, 1), (99_999, 100_001), (523_000, 3_100_007), (whole.len() - 1, whole.len() + 9)] {
        assert!(read(&blobs, &blob, from as u64..to as u64).await == whole[from..to.min(whole.len())]);
    }
    let small = write(&blobs, &[Bytes::from_static(b"small")]).await;
    assert_eq!(small.as_inline().map(|bytes| &bytes[..]), Some(&b"small"[..]));
    let joined = BlobRef::concat([&blob, &small]);
    assert!(read(&blobs, &joined, whole.len() as u64 - 2..u64::MAX).await[2..] == *b"small");
    assert!(blobs.read_all(&joined).await.unwrap()[..] == *[&whole[..], b"small"].concat());
    assert_eq!(write(&blobs, &[]).await, BlobRef::default());
}

#[tokio::test]
async fn memory_round_trip() {
    round_trip(Blobs::memory()).await;
}

#[tokio::test]
async fn files_round_trip() {
    for durability in [Durability::Process, Durability::Full] {
        let folder = tempfile::tempdir().unwrap();
        round_trip(Blobs::files(folder.path(), durability).unwrap()).await;
    }
}

#[tokio::test]
async fn an_unfinished_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::files(folder.path(), Durability::Process).unwrap();
    let mut writer = blobs.writer();
    for n in 0..30 {
        writer.write(pattern(100_000, n)).await.unwrap();
    }
    drop(writer);
    // A process that ended in the middle leaves a file; opening again removes it.
    std::fs::write(folder.path().join("tmp/left"), b"part").unwrap();
    Blobs::files(folder.path(), Durability::Process).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only tmp");
}

#[tokio::test]
async fn a_piece_stays_as_long_as_any_lane_refers_to_it() {
    let store = Store::memory(Clocks::default());
    let world = World::default_world();
    let scope = Scope::regional(&world, &Region::us_east_1());
    let blob = write(store.blobs(), &[pattern(200_000, 1)]).await;
    store
        .write(|tx| {
            tx.keep_blob(&scope, &blob)?;
            tx.put(&OBJECTS, &scope, &("a",), &blob)?;
            tx.keep_blob(&scope, &blob)?;
            tx.put(&OBJECTS, &scope, &("b",), &blob)
        })
        .await
        .unwrap();
    let test = Lane::new("test").unwrap();
    store.fork(&world.lane, &test).await.unwrap();
    let remove = async |name: &'static str| {
        store
            .write(|tx| {
                if let Some(blob) = tx.take(&OBJECTS, &scope, &(name,))? {
                    tx.release_blob(&scope, &blob)?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        store.discard(&blob).await.unwrap();
    };
    remove("a").await;
    remove("b").await;
    assert_eq!(store.sweep_blobs("", 10, Duration::ZERO).await.unwrap(), None);
    assert_eq!(store.blobs().read_all(&blob).await.unwrap().len(), 200_000, "the fork refers to it");
    let account = world.account.clone();
    store.reset(&fractus_store::ResetScope::Account(test, account)).await.unwrap();
    assert_eq!(store.sweep_blobs("", 10, Duration::ZERO).await.unwrap(), None);
    assert!(store.blobs().read_all(&blob).await.is_err(), "nobody does");
}

#[tokio::test]
async fn blobs_under_way_gather_a_bounded_amount_and_go_on_when_it_is_used() {
    const MOST: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::files(folder.path(), Durability::Process).unwrap();
    blobs.gather_at_most(MOST);
    let chunks = |n: usize| (0..9).map(move |at| pattern(100_000, n + at));
    let mut stopped = Vec::new();
    for n in 0..100 {
        let mut writer = blobs.writer();
        for chunk in chunks(n) {
            writer.write(chunk).await.unwrap();
            assert!(blobs.gathered_bytes() <= MOST, "{} bytes", blobs.gathered_bytes());
        }
        stopped.push(writer);
    }
    // More than one of them may hold.
    assert!(blobs.gathered_bytes() > MOST / 8, "what is free is used: {} bytes", blobs.gathered_bytes());
    // Some go on to their end among those that stand still.
    for (n, mut writer) in stopped.drain(..10).enumerate() {
        writer.write(pattern(3_000_000, n)).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let whole: Vec<u8> = chunks(n).chain([pattern(3_000_000, n)]).flatten().collect();
        assert_eq!(read(&blobs, &blob, 0..blob.length()).await, whole);
    }
    drop(stopped);
    assert_eq!(blobs.gathered_bytes(), 0);
}

#[tokio::test]
async fn a_small_blob_without_room_goes_to_a_file_and_one_in_memory_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    for (blobs, is_inline) in
        [(Blobs::files(folder.path(), Durability::Process).unwrap(), false), (Blobs::memory(), true)]
    {
        blobs.gather_at_most(0);
        let blob = write(&blobs, &[pattern(10, 1), pattern(20, 2)]).await;
        assert_eq!(blob.as_inline().is_some(), is_inline);
        assert_eq!(read(&blobs, &blob, 0..30).await, [pattern(10, 1), pattern(20, 2)].concat());
        assert_eq!(blobs.gathered_bytes(), 0);
    }
}
