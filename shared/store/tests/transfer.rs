//! Export and import, from every engine to every engine.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use bytes::Bytes;
use common::{Setting, in_lane, lane, scope};
use fractus_clock::Timestamp;
use fractus_store::{BlobRef, Collection, StoreError};

const VALUES: Collection<(u64,), String> = Collection::new("values");
const OBJECTS: Collection<(String,), BlobRef> = Collection::new("objects");

async fn fill(setting: &Setting) -> BlobRef {
    let store = &setting.store;
    let mut writer = store.blobs().writer();
    for n in 0..30u8 {
        writer.write(Bytes::from(vec![n; 10_000])).await.unwrap();
    }
    let blob = writer.finish().await.unwrap();
    let scope = scope();
    store
        .write(|tx| {
            for n in 0..2_500 {
                tx.put(&VALUES, &scope, &(n,), &format!("value {n}"))?;
            }
            tx.put_until(&VALUES, &scope, &(9_000,), &"gone".to_owned(), Timestamp::from_secs(1))?;
            tx.put_until(&VALUES, &scope, &(9_001,), &"later".to_owned(), Timestamp::from_secs(2_000_000))?;
            tx.keep_blob(&scope, &blob)?;
            tx.put(&OBJECTS, &scope, &("o",), &blob)
        })
        .await
        .unwrap();
    store.fork(&lane("main"), &lane("other")).await.unwrap();
    store.snapshot(&lane("main"), "kept").await.unwrap();
    blob
}

async fn check(setting: &Setting, blob: &BlobRef) {
    let store = &setting.store;
    for scope in [scope(), in_lane("other")] {
        store
            .read(|snap| {
                assert_eq!(snap.get(&VALUES, &scope, &(2_499,))?.as_deref(), Some("value 2499"));
                assert!(!snap.contains(&VALUES, &scope, &(9_000,))?);
                assert_eq!(snap.get(&OBJECTS, &scope, &("o",))?.as_ref(), Some(blob));
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
    assert_eq!(store.next_expiry(&lane("main")).await.unwrap(), Some(Timestamp::from_secs(2_000_000)));
    assert_eq!(store.snapshots(&lane("main")).await.unwrap(), ["kept"]);
    store.rollback(&lane("main"), "kept").await.unwrap();
    let bytes = store.blobs().read_all(blob).await.unwrap();
    assert_eq!((bytes.len(), bytes[299_999]), (300_000, 29));
    store.sweep_blobs("", 100, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(store.blobs().read_all(blob).await.unwrap().len(), 300_000, "its references came along");
}

async fn carried(from: Setting, to: Setting) {
    let blob = fill(&from).await;
    let mut stream = Vec::new();
    from.store.export(&mut stream).await.unwrap();
    let here = scope();
    to.store.write(|tx| tx.put(&VALUES, &here, &(77_777,), &"goes".to_owned())).await.unwrap();
    to.clocks.insert("other", to.clock.clone());
    to.store.import(&mut &stream[..]).await.unwrap();
    check(&to, &blob).await;
    assert!(!to.store.read(|snap| snap.contains(&VALUES, &here, &(77_777,))).await.unwrap(), "import replaces");
    let mut again = Vec::new();
    from.store.export(&mut again).await.unwrap();
    assert!(stream == again, "an export changes nothing and repeats");
    for cut in [3, stream.len() / 2, stream.len() - 1] {
        let refused = to.store.import(&mut &stream[..cut]).await;
        assert!(matches!(refused, Err(StoreError::Import(_))), "{refused:?}");
    }
    assert!(matches!(to.store.import(&mut &b"something else altogether"[..]).await, Err(StoreError::Import(_))));
}

async fn to_memory(from: Setting) {
    carried(from, common::memory().await.unwrap()).await;
}

async fn to_disk(from: Setting) {
    carried(from, common::disk().await.unwrap()).await;
}

async fn to_postgres(from: Setting) {
    if let Some(to) = common::postgres().await {
        carried(from, to).await;
    }
}

on_every_engine!(to_memory, to_disk, to_postgres);
